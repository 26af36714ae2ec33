"""Lets a library at a stranger's file: in a copy of the process, within bounds of memory and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from ror_port.errors import UnreadableFile, UnsafeFile
from ror_port.safety import child as confine
from ror_port.safety import limits

T = TypeVar("T")


_own = ContextVar("own", default=False)


@contextmanager
def own_file() -> Iterator[None]:
    """Where a file is one that this very process wrote, and nobody else yet knows of.

    No copy is made for it, and nothing in it is looked through for traps. Whoever reads it compares every tensor.
    """
    before = _own.set(True)
    try:
        yield
    finally:
        _own.reset(before)


def is_own() -> bool:
    return _own.get()


def described(path: Path, work: Callable[[], Any]) -> Any:
    """What `work` says of an HDF5 file, as JSON has it; the library meets the file in a copy of the process alone."""
    return _in_copy(path, work, "the HDF5 library", limits.MAX_GROWTH)


def rehearsed(path: Path, work: Callable[[], T], library: str, growth: int) -> T:
    """What `work` makes of a file, once a copy of the process came through it: for what cannot be told as JSON.

    growth: bytes of memory that it may take. The library must be imported before: that takes more memory and time
    than any file may.
    """
    if not is_own():
        _in_copy(path, lambda: work() is None, library, growth)
    with damage(path), confine.bounded(growth):
        return work()


def _in_copy(path: Path, work: Callable[[], Any], library: str, growth: int) -> Any:
    def confined() -> Any:
        with damage(path), confine.bounded(growth):
            return work()

    seconds = 1 + min(path.stat().st_size // limits.BYTES_A_SECOND, limits.MAX_SECONDS)
    try:
        return confined() if is_own() else confine.in_copy(confined, seconds)
    except confine.Grief as grief:
        raise UnreadableFile(f"{path}: damaged ({library} cannot take it apart: {grief})") from None


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turns whatever a library raises over a damaged file into one error of ours."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, NotImplementedError, MemoryError) as error:
        if isinstance(error, MemoryError) or "memory allocation failed" in str(error):
            raise UnsafeFile(f"{path}: asks for more memory than any network needs") from None
        raise UnreadableFile(f"{path}: damaged ({' '.join(str(error).split())[:200]})") from None
