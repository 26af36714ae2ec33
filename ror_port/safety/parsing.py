"""Parsing an untrusted file with a library: in a child process, within limits of memory and processor time."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ror_port.errors import SystemLimit, UnreadableFile, UnsafeFile, system_limit
from ror_port.safety import limits
from ror_port.safety.child import ChildFailed, memory_is_limited, memory_limit, run_in_child

T = TypeVar("T")


def describe_in_child(path: Path, work: Callable[[], T], *, trusted: bool) -> T:
    """The description of an HDF5 file that `work` returns, of values that JSON has.

    Only a child process opens the file with the HDF5 library, and tuples come back as lists.

    trusted: a file that this process wrote, and that no other process knows of; `work` is called in this process.

    Raises UnreadableFile or UnsafeFile where the library fails or exceeds a limit, and the errors of `work`.
    """
    if trusted:
        with library_errors(path):
            return work()
    described: T = _in_child(path, work, "the HDF5 library", limits.MAX_GROWTH)
    return described


def dry_run_in_child(path: Path, work: Callable[[], T], library: str, growth: int, *, trusted: bool) -> T:
    """The result of `work`, called in this process once it succeeded in a child; for results that JSON cannot hold.

    library: its name in messages. Import it before: that takes more memory and time than any file may.
    growth: bytes of memory that `work` may take. trusted: as of `describe_in_child`; there is no dry run.

    Raises UnreadableFile or UnsafeFile where the library fails or exceeds a limit, and the errors of `work`.
    """
    if not trusted:
        _in_child(path, lambda: work() is None, library, growth)
    with library_errors(path):  # without a limit, to which other threads would be subject
        return work()


def _in_child(path: Path, work: Callable[[], Any], library: str, growth: int) -> Any:
    def limited() -> Any:
        with library_errors(path), memory_limit(growth):
            return work()

    seconds = 1 + min(path.stat().st_size // limits.BYTES_PER_SECOND, limits.MAX_SECONDS)
    try:
        return run_in_child(limited, seconds)
    except ChildFailed as failure:
        raise UnreadableFile(f"{path}: damaged ({library} {failure})", passing=failure.killed) from None


@contextmanager
def library_errors(path: Path) -> Iterator[None]:
    """Turns any exception that a library raises on a damaged file into UnreadableFile, or UnsafeFile for memory.

    Raises SystemLimit where the system refuses what any file needs.
    """
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, NotImplementedError, MemoryError) as error:
        if (isinstance(error, OSError) or memory_is_limited()) and (limit := system_limit(error)):
            raise SystemLimit(f"{path}: {limit}") from None
        if isinstance(error, MemoryError) or "memory allocation failed" in str(error):
            raise UnsafeFile(f"{path}: asks for more memory than any network needs") from None
        passing = isinstance(error, OSError) and error.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
        raise UnreadableFile(f"{path}: damaged ({' '.join(str(error).split())[:200]})", passing=passing) from None
