"""The guarded door: every HDF5 file is opened, and every object in it looked at, through here.

A file may come from a stranger. Only plain datasets, reached by hard links and stored in the file itself, are
accepted; what is refused is refused with one line that says why. The library only describes them, at its lower level,
which makes no detours; the numbers themselves are fetched by `ror_port.formats.storage`.
"""

from __future__ import annotations

import errno
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile, quote
from ror_port.formats import storage as place
from ror_port.formats.checkpoint import StoredLayer, StoredTensor
from ror_port.formats.hdf5.structures import overlaid
from ror_port.formats.storage import Chunk, Chunks, Inline, Piece, Place
from ror_port.layout import Array, Shape
from ror_port.safety import limits
from ror_port.safety.parsing import is_own

SIGNATURE = b"\x89HDF\r\n\x1a\n"

NUMBERS = {"<f4": h5t.IEEE_F32LE, "<f8": h5t.IEEE_F64LE, ">f4": h5t.IEEE_F32BE, ">f8": h5t.IEEE_F64BE}
"""Types that are read, bit for bit; what only resembles them (another bias or mantissa) would be converted."""

FILTERS = {place.DEFLATE, place.SHUFFLE, place.FLETCHER32}
"""What stored bytes may have gone through. For any other, HDF5 would look for a plugin, and run it."""


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
def hdf5(source: Path | BinaryIO, path: Path) -> Iterator[h5g.GroupID]:
    """The root of an HDF5 file opened for reading. `path` is what messages call it."""
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
        yield h5g.open(file.id, b"/")


def name_of(item: h5g.GroupID | h5d.DatasetID, member: str = "") -> str:
    """Its path inside the file, or that of a member, quoted."""
    path = (h5py.h5i.get_name(item) or b"?").decode("utf-8", "replace")
    return quote(f"{path.rstrip('/')}/{member}" if member else path)


def has_member(group: h5g.GroupID, name: str) -> bool:
    return bool(group.links.exists(name.encode()))


def omitted(root: h5g.GroupID, optimizer: str) -> list[str]:
    """What a file has and is not read, in words. optimizer: the group of the optimizer's state."""
    return ["optimizer state"] if has_member(root, optimizer) else []


def child(group: h5g.GroupID, name: str, path: Path) -> Any:
    """The member `name` of a group, one component at a time, through hard links alone."""
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        raise UnsafeFile(f"{path}: {quote(name)}: not a plain name")
    current: Any = group
    for part in parts:
        if not isinstance(current, h5g.GroupID):
            raise NotACheckpoint(f"{path}: {name_of(current)} is {_kind(current)} where a group is expected")
        link = part.encode()
        try:
            about = current.links.get_info(link)
        except (KeyError, RuntimeError):
            if has_member(current, part):
                raise
            raise NotACheckpoint(f"{path}: {name_of(current, part)}: listed, but not in the file") from None
        if about.type != h5l.TYPE_HARD:
            raise UnsafeFile(f"{path}: {name_of(current, part)}: a link to somewhere else, which is not followed")
        current = h5o.open(current, link)
    return current


def _kind(item: Any) -> str:
    return {h5g.GroupID: "a group", h5d.DatasetID: "a dataset"}.get(type(item), "a datatype")


def group(parent: h5g.GroupID, name: str, path: Path) -> h5g.GroupID:
    found = child(parent, name, path)
    if not isinstance(found, h5g.GroupID):
        raise NotACheckpoint(f"{path}: {name_of(found)}: expected a group, found {_kind(found)}")
    return found


class Dataset(NamedTuple):
    """A dataset of floating-point numbers that the file itself stores in full. dtype: as NumPy calls it."""

    id: h5d.DatasetID
    shape: Shape
    dtype: str
    bytes: int
    properties: Any


def dataset(parent: h5g.GroupID, name: str, path: Path) -> Dataset:
    """The dataset `name` of a group, unless its numbers are of other types, or stored anywhere but in the file."""
    found = child(parent, name, path)
    if not isinstance(found, h5d.DatasetID):
        raise NotACheckpoint(f"{path}: {name_of(found)}: expected a dataset, found {_kind(found)}")

    def where() -> str:
        return f"{path}: {name_of(found)}"

    properties, space, kind = found.get_create_plist(), found.get_space(), found.get_type()
    layout = properties.get_layout()
    if layout == h5d.VIRTUAL or properties.get_external_count():
        raise UnsafeFile(f"{where()}: its data lie in another file, which is not opened")
    if space.get_simple_extent_type() == h5s.NULL:
        raise NotACheckpoint(f"{where()}: a dataset without data")
    if kind.committed():
        raise UnsafeFile(f"{where()}: its type is an object elsewhere in the file (a committed datatype)")
    dtype = next((code for code, number in NUMBERS.items() if kind == number), None)
    if dtype is None:
        raise NotACheckpoint(f"{where()}: numbers of type {_described(kind)}; expected float32 or float64")
    shape = space.get_simple_extent_dims()
    declared = math.prod(shape) * int(dtype[2])  # in Python's integers, which cannot overflow
    if declared > limits.MAX_TENSOR_BYTES:
        raise UnsafeFile(f"{where()}: declares {declared} bytes; the limit is {limits.MAX_TENSOR_BYTES}")
    if layout != h5d.CHUNKED and found.get_storage_size() < declared:
        raise NotACheckpoint(f"{where()}: declares {declared} bytes but stores {found.get_storage_size()}")
    return Dataset(found, shape, dtype, declared, properties)


def _described(kind: h5py.h5t.TypeID) -> str:
    try:
        return str(kind.dtype)
    except TypeError:
        return "unknown to NumPy"


def _place(stored: Dataset, path: Path) -> Place:
    """Where the numbers of a dataset are."""
    if stored.properties.get_layout() == h5d.CHUNKED:
        return _chunks(stored, f"{path}: {name_of(stored.id)}")
    offset = stored.id.get_offset()
    if offset is not None:
        return Piece(offset)
    content = np.empty(stored.shape, stored.dtype)
    if content.size:
        stored.id.read(h5s.ALL, h5s.ALL, content)
    return Inline(content.tobytes())


def _chunks(stored: Dataset, where: str) -> Chunks:
    """Every chunk is there, of a size that can be read whole, and went through no filter but those of FILTERS."""
    properties, itemsize = stored.properties, int(stored.dtype[2])
    pipeline = [properties.get_filter(index) for index in range(properties.get_nfilters())]
    filters = tuple(code for code, *_ in pipeline)
    if not set(filters) <= FILTERS or len(set(filters)) < len(filters):
        raise UnsafeFile(f"{where}: stored through the filters {list(filters)}; gzip, shuffle and fletcher32 are read")
    if any(code == place.SHUFFLE and tuple(values[:1]) != (itemsize,) for code, _, values, _ in pipeline):
        raise NotACheckpoint(f"{where}: shuffled as numbers of another size than its own")
    shape = tuple(properties.get_chunk())
    size = math.prod(shape) * itemsize
    if size > limits.MAX_CHUNK_BYTES:
        raise UnsafeFile(f"{where}: chunks of {size} bytes; the limit is {limits.MAX_CHUNK_BYTES}")
    grid = [-(-length // chunk) for length, chunk in zip(stored.shape, shape, strict=True)]
    expected = math.prod(grid)
    if expected > limits.MAX_CHUNKS:
        raise UnsafeFile(f"{where}: {expected} chunks; the limit is {limits.MAX_CHUNKS}")
    if stored.id.get_num_chunks() != expected:
        raise NotACheckpoint(f"{where}: {stored.id.get_num_chunks()} of {expected} chunks are stored")
    found: list[Chunk] = []

    def note(chunk: h5d.StoreInfo) -> None:
        corner = [start // length for start, length in zip(chunk.chunk_offset, shape, strict=True)]
        number = int(np.ravel_multi_index(corner, grid))
        found.append(Chunk(number, chunk.filter_mask, chunk.byte_offset, chunk.size))

    stored.id.chunk_iter(note)
    if len({chunk.number for chunk in found}) != expected:
        raise NotACheckpoint(f"{where}: some of its chunks lie in one place, and others nowhere")
    return Chunks(shape, filters, tuple(found))


class Tensors:
    """Describes the tensors of one file, as JSON, and sees that no two of them are the same bytes.

    Use one for each file, and `check` at the end.
    """

    def __init__(self, root: h5g.GroupID, path: Path, source: Path | BinaryIO) -> None:
        self.path, self.source = path, source
        self.user_block = h5py.h5i.get_file_id(root).get_create_plist().get_userblock()
        self.size = h5py.h5i.get_file_id(root).get_filesize() + self.user_block
        self.names: dict[int, str] = {}
        self.extents: list[tuple[int, int, str]] = []
        self.pieces: list[tuple[int, int, str]] = []
        self.bytes = self.chunks = 0

    def describe(self, parent: h5g.GroupID, member: str, name: str) -> list[Any]:
        """A dataset as a tensor called `name`; `layers` makes one of it."""
        stored = dataset(parent, member, self.path)
        about = h5o.get_info(stored.id)
        if about.addr in self.names:
            same = f"the same dataset as {quote(self.names[about.addr])}, under another name"
            raise UnsafeFile(f"{self.path}: {name_of(stored.id)}: {same}")
        self.names[about.addr] = name
        if about.hdr.nchunks == 1:
            start = about.addr + self.user_block
            self.extents.append((start, start + about.hdr.space.total, f"the description of {name}"))
        self.bytes += stored.bytes
        lies = _place(stored, self.path)
        if isinstance(lies, Piece):
            self.pieces.append((lies.offset, lies.offset + stored.bytes, name))
            self.extents.append(self.pieces[-1])
        elif isinstance(lies, Chunks):
            self.extents += [(chunk.offset, chunk.offset + chunk.size, name) for chunk in lies.chunks]
            self.chunks += len(lies.chunks)
        return [name, stored.shape, stored.dtype, place.as_json(lies)]

    def check(self) -> None:
        """Once all are described: what no tensor shows alone."""
        if self.bytes > limits.MAX_EXPANSION * self.size:
            raise UnsafeFile(f"{self.path}: a file of {self.size} bytes declares tensors of {self.bytes}")
        if self.chunks > limits.MAX_CHUNKS:
            raise UnsafeFile(f"{self.path}: {self.chunks} chunks; the limit is {limits.MAX_CHUNKS}")
        self.extents.sort()
        for (_, stop, name), (start, _, other) in itertools.pairwise(self.extents):
            if start < stop:
                raise UnsafeFile(f"{self.path}: {quote(name)} and {quote(other)} share bytes of the file")
        if is_own():
            return  # a damaged address leads to other numbers, and they are compared
        pieces = sorted(self.pieces)
        with self.source.open("rb") if isinstance(self.source, Path) else nullcontext(self.source) as file:
            damaged = overlaid(file, pieces)
        if damaged is not None:
            raise NotACheckpoint(f"{self.path}: {quote(damaged)}: its data lie over a structure of the file")


def layers(described: Iterable[Sequence[Any]], file: BinaryIO, path: Path) -> tuple[StoredLayer, ...]:
    """Layers of unread tensors, of what `Tensors` described; to be read from an open file."""
    return tuple(
        StoredLayer(layer, tuple(_tensor(tensor, file, path) for tensor in tensors)) for layer, tensors in described
    )


def _tensor(described: Sequence[Any], file: BinaryIO, path: Path) -> StoredTensor:
    name, shape, code, lies = described
    shape, dtype, where = tuple(shape), np.dtype(code), f"{path}: {quote(name)}"
    return StoredTensor(name, shape, dtype, partial(_values, file, place.of_json(lies), shape, dtype, where))


def _values(file: BinaryIO, lies: Place, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Array:
    """The numbers, in native byte order and the stored precision."""
    array = place.read(file, lies, shape, dtype, where)
    return array.astype(dtype.newbyteorder("="), copy=False)


def names(owner: h5g.GroupID, attribute: str, path: Path, limit: int) -> list[str]:
    """A list of names from an attribute, or from its pieces ``attribute0``, ``attribute1`` … where it was split."""
    pieces = [attribute] if has_attribute(owner, attribute) else []
    while not pieces or pieces[-1] != attribute:
        piece = f"{attribute}{len(pieces)}"
        if not has_attribute(owner, piece) or len(pieces) > limit:
            break
        pieces.append(piece)

    def where() -> str:
        return f"{path}: attribute {attribute} of {name_of(owner)}"

    if not pieces:
        raise NotACheckpoint(f"{where()}: missing")
    found: list[str] = []
    for piece in pieces:
        for item in _strings(owner, piece, path, limit - len(found), 4 * limits.MAX_NAME):
            try:
                name = item.decode("utf-8")
            except UnicodeError:
                raise NotACheckpoint(f"{where()}: a name is not UTF-8") from None
            if not 0 < len(name) <= limits.MAX_NAME:
                raise UnsafeFile(f"{where()}: a name of {len(name)} characters; the limit is {limits.MAX_NAME}")
            found.append(name)
    repeated = next((name for name, count in Counter(found).items() if count > 1), None)
    if repeated is not None:
        raise NotACheckpoint(f"{where()}: {quote(repeated)} is listed twice")
    return found


def has_attribute(owner: h5g.GroupID, name: str) -> bool:
    return bool(h5a.exists(owner, name.encode()))


def text(owner: h5g.GroupID, attribute: str, path: Path) -> str | None:
    """A text attribute, or None where there is none."""
    if not has_attribute(owner, attribute):
        return None
    found = _strings(owner, attribute, path, 1, limits.MAX_CONFIG_BYTES)
    if len(found) != 1:
        raise NotACheckpoint(f"{path}: attribute {attribute}: expected a text")
    return found[0].decode("utf-8", "replace")


def _strings(owner: h5g.GroupID, name: str, path: Path, limit: int, length: int) -> list[bytes]:
    """The strings of an attribute, at most `limit` of at most `length` bytes each, as it must declare before."""

    def where() -> str:
        return f"{path}: attribute {name} of {name_of(owner)}"

    attribute = h5a.open(owner, name.encode())
    kind, space = attribute.get_type(), attribute.get_space()
    count = space.get_simple_extent_npoints()
    if count == 0:
        return []  # of any type: Keras lists no weights as numbers
    if not isinstance(kind, h5t.TypeStringID):
        raise NotACheckpoint(f"{where()}: expected text, found {_described(kind)}")
    if count > limit:
        raise UnsafeFile(f"{where()}: {count} strings; more than {limit} are not read")
    if not kind.is_variable_str() and kind.get_size() > length:
        raise UnsafeFile(f"{where()}: strings of {kind.get_size()} bytes; the limit is {length}")
    strings = np.empty(space.get_simple_extent_dims(), kind.dtype)
    attribute.read(strings)
    return [item if isinstance(item, bytes) else b"" for item in strings.ravel().tolist()]


def content(group: h5g.GroupID) -> str:
    """What a group holds, in words. Only a few members are ever listed: listing takes time and memory."""
    count = group.get_num_objs()
    if count > limits.MAX_LAYERS:
        return f"{count} objects"
    return (
        ", ".join(quote(group.get_objname_by_idx(index).decode("utf-8", "replace")) for index in range(min(count, 3)))
        or "nothing"
    )
