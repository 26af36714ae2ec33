"""The guarded door: every HDF5 file is opened, and every object in it fetched, through here.

A file may come from a stranger. Only plain datasets, reached by hard links and stored in the file itself, are
ever read; checks come before any data. What is refused is refused with one line that says why.
"""

from __future__ import annotations

import errno
import io
import itertools
import math
import os
import stat
import zlib
from collections import Counter
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

NUMBERS = (h5py.h5t.IEEE_F32LE, h5py.h5t.IEEE_F64LE, h5py.h5t.IEEE_F32BE, h5py.h5t.IEEE_F64BE)
"""Types that are read, bit for bit; what only resembles them (another bias or mantissa) would be converted."""

DEFLATE, SHUFFLE, FLETCHER32 = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32
FILTERS = {DEFLATE, SHUFFLE, FLETCHER32}
"""What stored bytes may have gone through. For any other, HDF5 would look for a plugin, and run it."""


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
    if _stored(path, -(-status.st_size // limits.MAX_EXPANSION)) * limits.MAX_EXPANSION < status.st_size:
        raise UnsafeFile(f"{path}: a sparse file: the disk holds little of its {status.st_size} bytes")
    return path


def _stored(path: Path, enough: int) -> int:
    """How many bytes of a file lie on the disk and not in holes, counted until they are enough."""
    if not hasattr(os, "SEEK_DATA"):  # on Windows holes cannot be told
        return enough
    found = place = 0
    with path.open("rb") as file:
        while found < enough:
            try:
                start = os.lseek(file.fileno(), place, os.SEEK_DATA)
            except OSError as error:
                return found if error.errno == errno.ENXIO else enough  # no data from here on; no such question
            place = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found += place - start
    return found


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
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, NotImplementedError, MemoryError) as error:
        if isinstance(error, MemoryError) or "memory allocation failed" in str(error):
            raise UnsafeFile(f"{path}: asks for more memory than any network needs") from None
        raise UnreadableFile(f"{path}: damaged ({' '.join(str(error).split())[:200]})") from None


@contextmanager
def hdf5(source: Path | BinaryIO, path: Path) -> Iterator[h5py.File]:
    """An HDF5 file opened for reading. `path` is what messages call it."""
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        reason = f"cannot be opened as HDF5 ({error})"
        if "truncated" in str(error):
            reason = "truncated or damaged"
        elif error.errno in (errno.EAGAIN, errno.EACCES) and "lock" in str(error):
            reason = "another process is writing it; try again when that is done"
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
        if not isinstance(current, h5py.Group):
            raise NotACheckpoint(f"{path}: {quote(current.name)} is a dataset where a group is expected")
        links, link = current.id.links, part.encode()
        if not links.exists(link):
            raise NotACheckpoint(f"{path}: {quote(f'{current.name}/{part}')}: listed, but not in the file")
        if links.get_info(link).type != h5py.h5l.TYPE_HARD:
            where = f"{path}: {quote(f'{current.name}/{part}')}"
            raise UnsafeFile(f"{where}: a link to somewhere else, which is not followed")
        opened = h5py.h5o.open(current.id, link)  # what h5py's own look-up does, but for its detours
        current = h5py.Group(opened) if isinstance(opened, h5py.h5g.GroupID) else _not_a_group(current, part, opened)
    return current


def _not_a_group(parent: h5py.Group, part: str, opened: Any) -> Any:
    return h5py.Dataset(opened) if isinstance(opened, h5py.h5d.DatasetID) else parent[part]


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
    kind = found.id.get_type()
    if kind.committed():
        raise UnsafeFile(f"{where}: its type is an object elsewhere in the file (a committed datatype)")
    if kind not in NUMBERS:
        raise NotACheckpoint(f"{where}: numbers of type {_described(kind)}; expected float32 or float64")
    declared = math.prod(found.shape) * kind.get_size()  # in Python's integers, which cannot overflow
    if declared > limits.MAX_TENSOR_BYTES:
        raise UnsafeFile(f"{where}: declares {declared} bytes; the limit is {limits.MAX_TENSOR_BYTES}")
    if found.chunks is not None:
        _check_chunks(found, where)
    elif found.id.get_storage_size() < declared:
        raise NotACheckpoint(f"{where}: declares {declared} bytes but stores {found.id.get_storage_size()}")
    return found


def _described(kind: h5py.h5t.TypeID) -> str:
    try:
        return str(kind.dtype)
    except TypeError:
        return "unknown to NumPy"


def _check_chunks(stored: h5py.Dataset, where: str) -> None:
    """Every chunk is there, of a size that can be read whole, and went through no filter but those of FILTERS."""
    pipeline = _filters(stored)
    if not set(pipeline) <= FILTERS or len(set(pipeline)) < len(pipeline):
        raise UnsafeFile(f"{where}: stored through the filters {pipeline}; gzip, shuffle and fletcher32 are read")
    if _chunk_bytes(stored) > limits.MAX_CHUNK_BYTES:
        raise UnsafeFile(f"{where}: chunks of {_chunk_bytes(stored)} bytes; the limit is {limits.MAX_CHUNK_BYTES}")
    expected = math.prod(-(-length // chunk) for length, chunk in zip(stored.shape, stored.chunks, strict=True))
    if expected > limits.MAX_CHUNKS:
        raise UnsafeFile(f"{where}: {expected} chunks; the limit is {limits.MAX_CHUNKS}")
    if stored.id.get_num_chunks() != expected:
        raise NotACheckpoint(f"{where}: {stored.id.get_num_chunks()} of {expected} chunks are stored")


def _filters(stored: h5py.Dataset) -> list[int]:
    """In the order in which they were applied."""
    properties = stored.id.get_create_plist()
    return [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]


def _chunk_bytes(stored: h5py.Dataset) -> int:
    return int(math.prod(stored.chunks) * stored.dtype.itemsize)


def _chunks(stored: h5py.Dataset) -> list[Any]:
    """Where every chunk lies: its corner, the filters it was not put through, offset and size in the file."""
    found: list[Any] = []
    stored.id.chunk_iter(found.append)
    return found


def _inflate(stored: h5py.Dataset, path: Path) -> None:
    """Raises UnsafeFile where a compressed chunk holds more than its place: HDF5 would inflate all of it first."""
    pipeline = _filters(stored)
    for chunk in _chunks(stored) if DEFLATE in pipeline else []:
        skipped, content = stored.id.read_direct_chunk(chunk.chunk_offset)
        applied = [code for index, code in enumerate(pipeline) if not skipped >> index & 1]
        if DEFLATE in applied:
            checksums = 4 * (FLETCHER32 in applied[: applied.index(DEFLATE)])
            place = _chunk_bytes(stored) + checksums
            if len(zlib.decompressobj().decompress(content, place + 1)) > place:
                raise UnsafeFile(
                    f"{path}: {quote(stored.name)}: a compressed chunk inflates to more than its {place} bytes"
                )


def _extents(stored: h5py.Dataset) -> tuple[range, ...]:
    """The bytes of the file that hold the numbers; none where they lie within the description."""
    if stored.chunks is not None:
        return tuple(range(chunk.byte_offset, chunk.byte_offset + chunk.size) for chunk in _chunks(stored))
    start = stored.id.get_offset()
    return () if start is None else (range(start, start + stored.nbytes),)


STRUCTURES = {b"TREE\0": 544, b"TREE\1": 544, b"SNOD\1\0": 328, b"HEAP\0\0\0\0": 32, b"GCOL\1\0\0\0": 4096}
"""What the library's own structures begin with, and the bytes they take as a rule."""


def _check_place(stored: h5py.Dataset, path: Path) -> None:
    """Raises NotACheckpoint where the numbers lie over one of HDF5's own structures: their address is damaged.

    Nothing else tells: the file has no checksum of it.
    """
    for extent in _extents(stored) if stored.chunks is None and stored.file.driver != "fileobj" else ():
        before = min(extent.start, max(STRUCTURES.values()))
        with path.open("rb") as file:
            file.seek(extent.start - before)
            content = file.read(before + len(extent))
        for mark, length in STRUCTURES.items():
            at = content.find(mark, max(0, before - length + 1))
            if at >= 0 and (mark[:4] != b"TREE" or _is_tree(content[at : at + 24], path.stat().st_size)):
                raise NotACheckpoint(f"{path}: {quote(stored.name)}: its data lie over a structure of the file")


def _is_tree(head: bytes, size: int) -> bool:
    """Whether a mark of five bytes, which any large tensor may hold by chance, is followed by what belongs there.

    Behind mark, level and count lie the addresses of two neighbours, which are in the file or undefined.
    """
    neighbours = [int.from_bytes(head[start : start + 8], "little") for start in (8, 16)]
    return all(address < size or address == 2**64 - 1 for address in neighbours)


def values(stored: h5py.Dataset, path: Path) -> Array:
    """The numbers, in native byte order and the stored precision."""
    with damage(path):
        try:
            _check_place(stored, path)
            _inflate(stored, path)
        except zlib.error as error:
            raise UnreadableFile(f"{path}: {quote(stored.name)}: damaged ({error})") from None
        array: Array = stored[()]
    return array.astype(array.dtype.newbyteorder("="), copy=False)


class Tensors:
    """Fetches the tensors of one file, and sees that no two of them are the same bytes.

    Use one for each file, and `check` at the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: dict[int, str] = {}
        self.extents: list[tuple[int, int, str]] = []
        self.bytes = 0

    def fetch(self, parent: h5py.Group, member: str, name: str) -> StoredTensor:
        """A dataset as an unread tensor called `name`."""
        stored = dataset(parent, member, self.path)
        about = h5py.h5o.get_info(stored.id)
        if about.addr in self.names:
            same = f"the same dataset as {quote(self.names[about.addr])}, under another name"
            raise UnsafeFile(f"{self.path}: {quote(stored.name)}: {same}")
        self.names[about.addr] = name
        if about.hdr.nchunks == 1:
            start = about.addr + stored.file.userblock_size
            self.extents.append((start, start + about.hdr.space.total, f"the description of {name}"))
        self.extents += [(extent.start, extent.stop, name) for extent in _extents(stored)]
        self.bytes += stored.nbytes
        # It is fetched again to be read: a thousand open datasets take more memory than their network.
        return StoredTensor(
            name, stored.shape, stored.dtype, lambda: values(dataset(parent, member, self.path), self.path)
        )

    def check(self) -> None:
        """Once all are fetched: what no tensor shows alone."""
        size = self.path.stat().st_size
        if self.bytes > limits.MAX_EXPANSION * size:
            raise UnsafeFile(f"{self.path}: a file of {size} bytes declares tensors of {self.bytes}")
        self.extents.sort()
        for (_, stop, name), (start, _, other) in itertools.pairwise(self.extents):
            if start < stop:
                raise UnsafeFile(f"{self.path}: {quote(name)} and {quote(other)} share bytes of the file")


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
        for item in _strings(owner, piece, path, limit - len(found), 4 * limits.MAX_NAME):
            try:
                name = item.decode("utf-8")
            except UnicodeError:
                raise NotACheckpoint(f"{where}: a name is not UTF-8") from None
            if not 0 < len(name) <= limits.MAX_NAME:
                raise UnsafeFile(f"{where}: a name of {len(name)} characters; the limit is {limits.MAX_NAME}")
            found.append(name)
    repeated = next((name for name, count in Counter(found).items() if count > 1), None)
    if repeated is not None:
        raise NotACheckpoint(f"{where}: {quote(repeated)} is listed twice")
    return found


def text(owner: h5py.Group, attribute: str, path: Path) -> str | None:
    """A text attribute, or None where there is none."""
    if attribute not in owner.attrs:
        return None
    found = _strings(owner, attribute, path, 1, limits.MAX_CONFIG_BYTES)
    if len(found) != 1:
        raise NotACheckpoint(f"{path}: attribute {attribute}: expected a text")
    return found[0].decode("utf-8", "replace")


def _strings(owner: h5py.Group, name: str, path: Path, limit: int, length: int) -> list[bytes]:
    """The strings of an attribute, at most `limit` of at most `length` bytes each, as it must declare before."""
    where = f"{path}: attribute {name} of {quote(owner.name)}"
    with damage(path):
        attribute = h5py.h5a.open(owner.id, name.encode())
        kind = attribute.get_type()
        count = 0 if attribute.shape is None else math.prod(attribute.shape)
        if count == 0:
            return []  # of any type: Keras lists no weights as numbers
        if not isinstance(kind, h5py.h5t.TypeStringID):
            raise NotACheckpoint(f"{where}: expected text, found {_described(kind)}")
        if count > limit:
            raise UnsafeFile(f"{where}: {count} strings; more than {limit} are not read")
        if not kind.is_variable_str() and kind.get_size() > length:
            raise UnsafeFile(f"{where}: strings of {kind.get_size()} bytes; the limit is {length}")
        strings = np.empty(attribute.shape, attribute.dtype)
        attribute.read(strings)
    return [item if isinstance(item, bytes) else b"" for item in strings.ravel().tolist()]


def content(group: h5py.Group) -> str:
    """What a group holds, in words. Only a few members are ever listed: listing takes time and memory."""
    if len(group) > limits.MAX_LAYERS:
        return f"{len(group)} objects"
    return ", ".join(quote(name) for name in itertools.islice(group, 3)) or "nothing"


def quote(name: str) -> str:
    """A name out of a file, fit for a terminal: control characters escaped, length cut."""
    shown = printable(name[:121])
    return f"'{shown if len(shown) <= 120 else shown[:117] + '...'}'"


def printable(text: object) -> str:
    """What a terminal shows as one line and does not obey: whatever is not printable is escaped."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
