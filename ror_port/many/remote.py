"""Files at an address, such as ``https://…``, ``s3://…`` or ``hf://…``: fetched, within a limit, to a temporary folder.

Nothing is fetched but what the user gave the address of. What is fetched is read as any other file is.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ror_port import frameworks
from ror_port.errors import MissingExtra, UnreadableFile, UnsafeFile, UsageError, printable
from ror_port.safety import limits

_BLOCK = 1 << 20


def is_address(text: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def shown(address: str) -> str:
    """An address without what may be secret in it: a user's name and password, and signatures."""
    try:
        parts = urlsplit(address)
    except ValueError:  # no host can be called so
        return address.partition("?")[0].rpartition("@")[2]
    query = f"?…{hashlib.sha256(parts.query.encode()).hexdigest()[:8]}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def place(address: str) -> PurePosixPath:
    """Where in a tree of outputs that of an address goes: as the address says, without its scheme.

    Raises UsageError where it names no file, or leads out of the tree.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        raise UsageError(f"{printable(shown(address))}: the address of one file is expected") from None
    below = [part for part in unquote(parts.path).split("/") if part not in ("", ".")]
    if not below or ".." in below or parts.path.endswith("/") or "::" in address or "\0" in "".join(below):
        raise UsageError(f"{printable(shown(address))}: the address of one file is expected")
    return PurePosixPath(*filter(None, [parts.netloc.rpartition("@")[2]]), *below)


@contextmanager
def fetched(address: str) -> Iterator[Path]:
    """A file at an address, under its own name in a temporary folder, which is removed at the end of the block.

    Raises MissingExtra where fsspec, or the package that it needs for such an address, is not installed, UnreadableFile
    where it cannot be fetched, and UnsafeFile where it is larger than is allowed.
    """
    name = place(address).name
    with tempfile.TemporaryDirectory(prefix="ror-port-") as folder:
        path = Path(folder) / name
        try:
            with _opened(address) as file, path.open("wb") as copy:
                count = 0
                while block := file.read(_BLOCK):
                    count += len(block)
                    if count > limits.MAX_FETCHED_BYTES:
                        raise UnsafeFile(f"{shown(address)}: more than {limits.MAX_FETCHED_BYTES} bytes, the limit")
                    copy.write(block)
        except (UnsafeFile, MissingExtra):
            raise
        except Exception as error:  # of whatever library speaks to such a place
            reason = f"cannot be fetched ({_reason(error, address)})"
            raise UnreadableFile(f"{shown(address)}: {reason}", passing=True) from None
        yield path


def _reason(error: Exception, address: str) -> str:
    """Why something could not be fetched. fsspec says FileNotFoundError of all that goes wrong with HTTP."""
    cause: BaseException = error
    while isinstance(cause, FileNotFoundError) and cause.__cause__ is not None:
        cause = cause.__cause__
    status = getattr(cause, "status", None)
    if isinstance(cause, FileNotFoundError) or status in (404, 410):
        return "no such file"
    if status:
        return f"the server answers {status} {getattr(cause, 'message', '')}".strip()
    return " ".join(str(cause).replace(address, shown(address)).split())[:200] or type(cause).__name__


def size(address: str) -> int | None:
    """The bytes of a file at an address, 0 where its server does not say; None where there is none. Fetches nothing."""
    try:
        system, path = frameworks.fsspec().core.url_to_fs(address)
        return int(system.size(path) or 0)
    except Exception:  # of whatever library speaks to such a place; it says why when the file is fetched
        return None


@contextmanager
def local(location: str) -> Iterator[Path]:
    """The file that a path names, or, fetched, the one at an address."""
    if not is_address(location):
        yield Path(location)
        return
    with fetched(location) as path:
        yield path


def renamed(value: Any, path: str, name: str) -> Any:
    """JSON, or a text, in which a file is called by another name: what was fetched by its address."""
    if isinstance(value, dict):
        return {key: renamed(item, path, name) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, path, name) for item in value]
    return value.replace(path, name) if isinstance(value, str) else value


def _opened(address: str) -> Any:
    """What reads an address from its beginning to its end."""
    try:
        return frameworks.fsspec().open(address, "rb", compression=None).open()
    except ImportError as error:  # the package for this kind of address
        reason = " ".join(str(error).split())[:200]
        raise MissingExtra(f"{shown(address)}: fsspec needs another package for it ({reason})") from None
