"""The guarded door: every HDF5 file is opened, and every object in it fetched, through here.

A file may come from a stranger. Only plain datasets, reached by hard links and stored in the file itself, are
ever read; checks come before any data. What is refused is refused with one line that says why.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from ror_port import limits
from ror_port.checkpoint import StoredTensor
from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile
from ror_port.layout import Array

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def readable(path: Path) -> Path:
    """The path of an existing regular file, or an error. Never blocks on a FIFO or a device."""
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableFile(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise UnreadableFile(f"{path}: {kind}; expected a file of Keras weights")
    if not os.access(path, os.R_OK):
        raise UnreadableFile(f"{path}: permission denied")
    if status.st_size == 0:
        raise UnreadableFile(f"{path}: the file is empty")
    return path


def first_bytes(path: Path, count: int = 64) -> bytes:
    with readable(path).open("rb") as file:
        return file.read(count)


def has_signature(path: Path) -> bool:
    """HDF5 begins at byte 0 or, behind a user block, at 512, 1024, 2048 …"""
    size = path.stat().st_size
    with path.open("rb") as file:
        offset = 0
        while offset + len(SIGNATURE) <= size:
            file.seek(offset)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            offset = max(512, 2 * offset)
    return False


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turns whatever the HDF5 library raises over a damaged file into one error of ours."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, NotImplementedError) as error:
        raise UnreadableFile(f"{path}: damaged ({' '.join(str(error).split())[:200]})") from None


@contextmanager
def hdf5(source: Path | BinaryIO, path: Path) -> Iterator[h5py.File]:
    """An HDF5 file opened for reading. `path` is what messages call it."""
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        reason = "truncated or damaged" if "truncated" in str(error) else f"cannot be opened as HDF5 ({error})"
        raise UnreadableFile(f"{path}: {reason}") from None
    with file:
        yield file


class _Sink(io.RawIOBase):
    """A file for HDF5 to write to that never fails: the first error of the disk is kept, to be raised later.

    The library cannot bear an error while it closes a file; met there, a full disk ends in a crash.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file = file
        self.error: OSError | None = None

    def _attempt(self, operation: Callable[[], int], otherwise: int) -> int:
        if self.error is None:
            try:
                return operation()
            except OSError as error:
                self.error = error
        return otherwise

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._attempt(lambda: self.file.seek(offset, whence), offset)

    def tell(self) -> int:
        return self._attempt(self.file.tell, 0)

    def readinto(self, buffer: Any) -> int:
        return self._attempt(lambda: self.file.readinto(buffer), len(buffer))  # type: ignore[attr-defined]

    def write(self, buffer: Any) -> int:
        return self._attempt(lambda: self.file.write(buffer), len(buffer))

    def truncate(self, size: int | None = None, /) -> int:
        return self._attempt(lambda: self.file.truncate(size), size or 0)

    def flush(self) -> None:
        self._attempt(lambda: self.file.flush() or 0, 0)


@contextmanager
def writing(file: BinaryIO) -> Iterator[h5py.File]:
    """An HDF5 file to be written to an open binary file. Raises OSError where the disk fails."""
    sink = _Sink(file)
    try:
        with h5py.File(sink, "w", libver=("earliest", "v110")) as target:
            yield target
    except (OSError, RuntimeError):
        if sink.error is None:
            raise
    if sink.error is not None:
        raise sink.error


_WITH_GROUPS = h5py.h5p.create(h5py.h5p.LINK_CREATE)
_WITH_GROUPS.set_create_intermediate_group(True)
_UNDATED = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
_UNDATED.set_obj_track_times(False)


def store(parent: h5py.Group, name: str, array: Array) -> None:
    """Writes a dataset, and the groups on the way to it.

    What h5py's `create_dataset` does, in a third of its time, most of which goes into looking up those groups.
    """
    kind, space = h5py.h5t.py_create(array.dtype), h5py.h5s.create_simple(array.shape)
    made = h5py.h5d.create(parent.id, name.encode(), kind, space, dcpl=_UNDATED, lcpl=_WITH_GROUPS)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, array)


def child(group: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset:
    """The member `name` of a group, one component at a time, through hard links alone."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        raise UnsafeFile(f"{path}: {quote(name)}: not a plain name")
    current = group
    for part in parts:
        where = f"{path}: {quote(current.name.rstrip('/') + '/' + part)}"
        if not isinstance(current, h5py.Group):
            raise NotACheckpoint(f"{path}: {quote(current.name)} is a dataset where a group is expected")
        links, link = current.id.links, part.encode()
        if not links.exists(link):
            raise NotACheckpoint(f"{where}: listed, but not in the file")
        if links.get_info(link).type != h5py.h5l.TYPE_HARD:
            raise UnsafeFile(f"{where}: a link to somewhere else, which is not followed")
        current = current[part]
    return current


def group(parent: h5py.Group, name: str, path: Path) -> h5py.Group:
    found = child(parent, name, path)
    if not isinstance(found, h5py.Group):
        raise NotACheckpoint(f"{path}: {quote(found.name)}: expected a group, found a {type(found).__name__.lower()}")
    return found


def dataset(parent: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """A dataset of floating-point numbers that the file itself stores in full."""
    found = child(parent, name, path)
    where = f"{path}: {quote(found.name)}"
    if not isinstance(found, h5py.Dataset):
        raise NotACheckpoint(f"{where}: expected a dataset, found a {type(found).__name__.lower()}")
    if found.is_virtual or found.external:
        raise UnsafeFile(f"{where}: its data lie in another file, which is not opened")
    if found.shape is None:
        raise NotACheckpoint(f"{where}: a dataset without data")
    if found.dtype.kind != "f" or found.dtype.itemsize not in (4, 8):
        raise NotACheckpoint(f"{where}: numbers of type {found.dtype}; expected float32 or float64")
    if found.nbytes > limits.MAX_TENSOR_BYTES:
        raise UnsafeFile(f"{where}: declares {found.nbytes} bytes; the limit is {limits.MAX_TENSOR_BYTES}")
    if found.chunks is None and found.id.get_storage_size() < found.nbytes:
        raise NotACheckpoint(f"{where}: declares {found.nbytes} bytes but stores {found.id.get_storage_size()}")
    if found.chunks is not None:
        expected = int(np.prod([-(-length // chunk) for length, chunk in zip(found.shape, found.chunks, strict=True)]))
        if found.id.get_num_chunks() < expected:
            raise NotACheckpoint(f"{where}: {found.id.get_num_chunks()} of {expected} chunks are stored")
    return found


def values(stored: h5py.Dataset, path: Path) -> Array:
    """The numbers, in native byte order and the stored precision."""
    with damage(path):
        array: Array = stored[()]
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def tensor(parent: h5py.Group, member: str, name: str, path: Path) -> StoredTensor:
    """A dataset as an unread tensor called `name`."""
    stored = dataset(parent, member, path)
    return StoredTensor(name, stored.shape, stored.dtype, lambda: values(stored, path))


def names(owner: h5py.Group, attribute: str, path: Path, limit: int) -> list[str]:
    """A list of names from an attribute, or from its pieces ``attribute0``, ``attribute1`` … where it was split."""
    pieces = [attribute] if attribute in owner.attrs else []
    while not pieces or pieces[-1] != attribute:
        piece = f"{attribute}{len(pieces)}"
        if piece not in owner.attrs or len(pieces) > limit:
            break
        pieces.append(piece)
    where = f"{path}: attribute {attribute} of {quote(owner.name)}"
    if not pieces:
        raise NotACheckpoint(f"{where}: missing")
    found: list[str] = []
    for piece in pieces:
        raw = np.atleast_1d(_attribute(owner, piece, path))
        if raw.size and raw.dtype.kind not in "SOU":
            raise NotACheckpoint(f"{where}: expected names, found {raw.dtype}")
        for item in raw.tolist():
            try:
                name = item.decode("utf-8") if isinstance(item, bytes) else str(item)
                name.encode("utf-8")
            except UnicodeError:
                raise NotACheckpoint(f"{where}: a name is not UTF-8") from None
            if not 0 < len(name) <= limits.MAX_NAME:
                raise UnsafeFile(f"{where}: a name of {len(name)} characters; the limit is {limits.MAX_NAME}")
            found.append(name)
        if len(found) > limit:
            raise UnsafeFile(f"{where}: more than {limit} names")
    repeated = sorted({name for name in found if found.count(name) > 1}) if len(set(found)) < len(found) else []
    if repeated:
        raise NotACheckpoint(f"{where}: {quote(repeated[0])} is listed twice")
    return found


def text(owner: h5py.Group, attribute: str, path: Path) -> str | None:
    """A text attribute, or None where there is none."""
    if attribute not in owner.attrs:
        return None
    value = _attribute(owner, attribute, path)
    if isinstance(value, bytes | np.bytes_):
        value = bytes(value).decode("utf-8", "replace")
    if not isinstance(value, str):
        raise NotACheckpoint(f"{path}: attribute {attribute}: expected a text")
    if len(value) > limits.MAX_CONFIG_BYTES:
        raise UnsafeFile(f"{path}: attribute {attribute}: {len(value)} characters")
    return value


def _attribute(owner: h5py.Group, name: str, path: Path) -> Any:
    try:
        return owner.attrs[name]
    except (OSError, TypeError, ValueError, UnicodeError) as error:
        raise NotACheckpoint(f"{path}: attribute {name} of {quote(owner.name)} cannot be read ({error})") from None


def quote(name: str) -> str:
    """A name out of a file, fit for a terminal: control characters escaped, length cut."""
    shown = name.encode("unicode_escape").decode("ascii") if not name.isprintable() else name
    return f"'{shown if len(shown) <= 120 else shown[:117] + '...'}'"
