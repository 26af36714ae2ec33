"""Safe HDF5 reading: every HDF5 file is opened, and every object in it is validated, in this module.

Files are untrusted. Only plain datasets that hard links lead to and that the file itself stores are accepted; for
anything else an error states in one line why it is refused. The library, through its low-level interface, only
describes the datasets; their elements are read by `ror_port.formats.storage`.

In all functions `path` is the file's name in messages, and a member's name is a path inside the file.
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
from ror_port.formats import storage as tensor_storage
from ror_port.formats.checkpoint import StoredLayer, StoredTensor
from ror_port.formats.hdf5.structures import overlapping_extent
from ror_port.formats.storage import Chunk, Chunked, Compact, Contiguous, Storage
from ror_port.layout import Array, Shape
from ror_port.safety import limits

SIGNATURE = b"\x89HDF\r\n\x1a\n"

NUMBERS = {"<f4": h5t.IEEE_F32LE, "<f8": h5t.IEEE_F64LE, ">f4": h5t.IEEE_F32BE, ">f8": h5t.IEEE_F64BE}
"""NumPy code → HDF5 type of the elements that are read, bit for bit. HDF5 would convert types with another exponent
bias or mantissa."""

FILTERS = {tensor_storage.DEFLATE, tensor_storage.SHUFFLE, tensor_storage.FLETCHER32}
"""The filters that are reversed. For any other, HDF5 would search for a plugin and run it."""


def has_signature(path: Path) -> bool:
    """Whether a file is HDF5, which begins at byte 0 or, behind a user block, at 512, 1024, 2048 …"""
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
    """The root of an HDF5 file that is opened for reading. Raises UnreadableFile where the library cannot open it."""
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
    """The path of an object inside the file, or that of its member, quoted."""
    path = (h5py.h5i.get_name(item) or b"?").decode("utf-8", "replace")
    return quote(f"{path.rstrip('/')}/{member}" if member else path)


def has_member(group: h5g.GroupID, name: str) -> bool:
    return bool(group.links.exists(name.encode()))


def omitted(root: h5g.GroupID, optimizer: str) -> list[str]:
    """What a file holds that is not read, for messages. optimizer: the name of the group of the optimizer's state."""
    return ["optimizer state"] if has_member(root, optimizer) else []


def child(group: h5g.GroupID, name: str, path: Path) -> Any:
    """The member `name` of a group; its path is followed one component at a time, through hard links only.

    Raises UnsafeFile for a name with "..", "." or an empty component and for another link, NotACheckpoint where it
    does not exist.
    """
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
            raise UnsafeFile(f"{path}: {name_of(current, part)}: a soft or external link, which is not followed")
        current = h5o.open(current, link)
    return current


def _kind(item: Any) -> str:
    return {h5g.GroupID: "a group", h5d.DatasetID: "a dataset"}.get(type(item), "a datatype")


def group(parent: h5g.GroupID, name: str, path: Path) -> h5g.GroupID:
    """The group `name` of a group. Errors as of `child`; NotACheckpoint where it is not a group."""
    found = child(parent, name, path)
    if not isinstance(found, h5g.GroupID):
        raise NotACheckpoint(f"{path}: {name_of(found)}: expected a group, found {_kind(found)}")
    return found


class Dataset(NamedTuple):
    """A dataset of floating-point elements that the file itself stores in full.

    dtype: its NumPy code, as in NUMBERS. bytes: of all its elements. properties: how it was created.
    """

    id: h5d.DatasetID
    shape: Shape
    dtype: str
    bytes: int
    properties: Any


def dataset(parent: h5g.GroupID, name: str, path: Path) -> Dataset:
    """The dataset `name` of a group.

    Errors as of `child`. NotACheckpoint where it is not a dataset of float32 or float64 with all elements stored;
    UnsafeFile where they are stored elsewhere, or are more than MAX_TENSOR_BYTES.
    """
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
        raise NotACheckpoint(f"{where()}: elements of type {_type_name(kind)}; expected float32 or float64")
    shape = space.get_simple_extent_dims()
    declared = math.prod(shape) * int(dtype[2])  # in Python's integers, which cannot overflow
    if declared > limits.MAX_TENSOR_BYTES:
        raise UnsafeFile(f"{where()}: declares {declared} bytes; the limit is {limits.MAX_TENSOR_BYTES}")
    if layout != h5d.CHUNKED and found.get_storage_size() < declared:
        raise NotACheckpoint(f"{where()}: declares {declared} bytes but stores {found.get_storage_size()}")
    return Dataset(found, shape, dtype, declared, properties)


def _type_name(kind: h5py.h5t.TypeID) -> str:
    try:
        return str(kind.dtype)
    except TypeError:
        return "unknown to NumPy"


def _storage(stored: Dataset, path: Path) -> Storage:
    """Where the elements of a dataset are stored."""
    if stored.properties.get_layout() == h5d.CHUNKED:
        return _chunked(stored, f"{path}: {name_of(stored.id)}")
    offset = stored.id.get_offset()
    if offset is not None:
        return Contiguous(offset)
    content = np.empty(stored.shape, stored.dtype)
    if content.size:
        stored.id.read(h5s.ALL, h5s.ALL, content)
    return Compact(content.tobytes())


def _chunked(stored: Dataset, where: str) -> Chunked:
    """The chunks of a dataset.

    Raises UnsafeFile for other filters than FILTERS and for chunks that are too large or too many; NotACheckpoint
    where a chunk is missing.
    """
    properties, itemsize = stored.properties, int(stored.dtype[2])
    pipeline = [properties.get_filter(index) for index in range(properties.get_nfilters())]
    filters = tuple(code for code, *_ in pipeline)
    if not set(filters) <= FILTERS or len(set(filters)) < len(filters):
        raise UnsafeFile(f"{where}: stored with the filters {list(filters)}; gzip, shuffle and fletcher32 are read")
    if any(code == tensor_storage.SHUFFLE and tuple(values[:1]) != (itemsize,) for code, _, values, _ in pipeline):
        raise NotACheckpoint(f"{where}: its shuffle filter is for elements of another size")
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

    def add(chunk: h5d.StoreInfo) -> None:
        corner = [start // length for start, length in zip(chunk.chunk_offset, shape, strict=True)]
        number = int(np.ravel_multi_index(corner, grid))
        found.append(Chunk(number, chunk.filter_mask, chunk.byte_offset, chunk.size))

    stored.id.chunk_iter(add)
    if len({chunk.number for chunk in found}) != expected:
        raise NotACheckpoint(f"{where}: some of its chunks are stored twice, and others are missing")
    return Chunked(shape, filters, tuple(found))


class Tensors:
    """Describes the tensors of one file, as JSON, and validates that each has bytes of its own.

    Use one for each file: `describe` for each tensor, and `validate` at the end.
    """

    def __init__(self, root: h5g.GroupID, path: Path, source: Path | BinaryIO, *, trusted: bool = False) -> None:
        """source: the file that `root` belongs to. trusted: a file that this process wrote (see `validate`)."""
        self.path, self.source, self.trusted = path, source, trusted
        self.user_block = h5py.h5i.get_file_id(root).get_create_plist().get_userblock()
        self.size = h5py.h5i.get_file_id(root).get_filesize() + self.user_block
        self.names: dict[int, str] = {}
        self.extents: list[tuple[int, int, str]] = []
        self.contiguous: list[tuple[int, int, str]] = []
        self.bytes = self.chunks = 0

    def describe(self, parent: h5g.GroupID, member: str, name: str) -> list[Any]:
        """The dataset `member` as [name, shape, dtype, storage], of which `layers` makes a tensor called `name`."""
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
        storage = _storage(stored, self.path)
        if isinstance(storage, Contiguous):
            self.contiguous.append((storage.offset, storage.offset + stored.bytes, name))
            self.extents.append(self.contiguous[-1])
        elif isinstance(storage, Chunked):
            self.extents += [(chunk.offset, chunk.offset + chunk.size, name) for chunk in storage.chunks]
            self.chunks += len(storage.chunks)
        return [name, stored.shape, stored.dtype, tensor_storage.to_json(storage)]

    def validate(self) -> None:
        """Validates all the described tensors together.

        Raises UnsafeFile where they are too large for the file, are in too many chunks or share bytes, and, unless
        the file is trusted, NotACheckpoint where one overlaps a structure of the file: a damaged address leads there.
        In a trusted file it leads to other elements, and the caller compares them all.
        """
        if self.bytes > limits.MAX_EXPANSION * self.size:
            raise UnsafeFile(f"{self.path}: a file of {self.size} bytes declares tensors of {self.bytes}")
        if self.chunks > limits.MAX_CHUNKS:
            raise UnsafeFile(f"{self.path}: {self.chunks} chunks; the limit is {limits.MAX_CHUNKS}")
        self.extents.sort()
        for (_, stop, name), (start, _, other) in itertools.pairwise(self.extents):
            if start < stop:
                raise UnsafeFile(f"{self.path}: {quote(name)} and {quote(other)} share bytes of the file")
        if self.trusted:
            return
        with self.source.open("rb") if isinstance(self.source, Path) else nullcontext(self.source) as file:
            damaged = overlapping_extent(file, sorted(self.contiguous))
        if damaged is not None:
            raise NotACheckpoint(f"{self.path}: {quote(damaged)}: its data overlap a structure of the file")


def layers(described: Iterable[Sequence[Any]], file: BinaryIO, path: Path) -> tuple[StoredLayer, ...]:
    """The layers of an open file, their tensors unread. described: pairs of a layer's name and its tensors, as
    `Tensors.describe` returned them."""
    return tuple(
        StoredLayer(layer, tuple(_tensor(tensor, file, path) for tensor in tensors)) for layer, tensors in described
    )


def _tensor(described: Sequence[Any], file: BinaryIO, path: Path) -> StoredTensor:
    name, shape, code, storage = described
    shape, dtype, where = tuple(shape), np.dtype(code), f"{path}: {quote(name)}"
    return StoredTensor(
        name, shape, dtype, partial(_elements, file, tensor_storage.from_json(storage), shape, dtype, where)
    )


def _elements(file: BinaryIO, storage: Storage, shape: Shape, dtype: np.dtype[Any], where: str) -> Array:
    """The elements of a tensor, in native byte order and the stored precision."""
    array = tensor_storage.read(file, storage, shape, dtype, where)
    return array.astype(dtype.newbyteorder("="), copy=False)


def names(owner: h5g.GroupID, attribute: str, path: Path, limit: int) -> list[str]:
    """A list of names from an attribute, or from its parts ``attribute0``, ``attribute1`` … where it was split.

    limit: how many there may be. Raises NotACheckpoint where it is missing or a name is repeated or not UTF-8;
    UnsafeFile where there are more, or a name is empty or longer than MAX_NAME.
    """
    parts = [attribute] if has_attribute(owner, attribute) else []
    while not parts or parts[-1] != attribute:
        part = f"{attribute}{len(parts)}"
        if not has_attribute(owner, part) or len(parts) > limit:
            break
        parts.append(part)

    def where() -> str:
        return f"{path}: attribute {attribute} of {name_of(owner)}"

    if not parts:
        raise NotACheckpoint(f"{where()}: missing")
    found: list[str] = []
    for part in parts:
        for item in _strings(owner, part, path, limit - len(found), 4 * limits.MAX_NAME):
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
    """A text attribute, or None where there is none. Raises NotACheckpoint where it is not one text."""
    if not has_attribute(owner, attribute):
        return None
    found = _strings(owner, attribute, path, 1, limits.MAX_CONFIG_BYTES)
    if len(found) != 1:
        raise NotACheckpoint(f"{path}: attribute {attribute}: expected a text")
    return found[0].decode("utf-8", "replace")


def count(owner: h5g.GroupID, attribute: str, path: Path, limit: int) -> int:
    """A whole number from 0. Raises NotACheckpoint where the attribute is missing or none, UnsafeFile above `limit`."""
    where = f"{path}: attribute {attribute} of {name_of(owner)}"
    if not has_attribute(owner, attribute):
        raise NotACheckpoint(f"{where}: missing")
    found = h5a.open(owner, attribute.encode())
    kind, space = found.get_type(), found.get_space()
    if not isinstance(kind, h5t.TypeIntegerID) or space.get_simple_extent_npoints() != 1:
        raise NotACheckpoint(f"{where}: expected a whole number")
    number = np.empty(space.get_simple_extent_dims(), np.int64)
    found.read(number)
    if not 0 <= number.item() <= limit:
        raise UnsafeFile(f"{where}: {number.item()}; a number from 0 to {limit} is expected")
    return int(number.item())


def _strings(owner: h5g.GroupID, name: str, path: Path, limit: int, length: int) -> list[bytes]:
    """The strings of an attribute. Raises UnsafeFile where it declares more than `limit`, or longer than `length`
    bytes."""

    def where() -> str:
        return f"{path}: attribute {name} of {name_of(owner)}"

    attribute = h5a.open(owner, name.encode())
    kind, space = attribute.get_type(), attribute.get_space()
    count = space.get_simple_extent_npoints()
    if count == 0:
        return []  # of any type: Keras writes an empty list as numbers
    if not isinstance(kind, h5t.TypeStringID):
        raise NotACheckpoint(f"{where()}: expected text, found {_type_name(kind)}")
    if count > limit:
        raise UnsafeFile(f"{where()}: {count} strings; more than {limit} are not read")
    if not kind.is_variable_str() and kind.get_size() > length:
        raise UnsafeFile(f"{where()}: strings of {kind.get_size()} bytes; the limit is {length}")
    strings = np.empty(space.get_simple_extent_dims(), kind.dtype)
    attribute.read(strings)
    return [item if isinstance(item, bytes) else b"" for item in strings.ravel().tolist()]


def content(group: h5g.GroupID) -> str:
    """What a group holds, for messages. Only a few members are listed, as that takes time and memory."""
    count = group.get_num_objs()
    if count > limits.MAX_LAYERS:
        return f"{count} objects"
    return (
        ", ".join(quote(group.get_objname_by_idx(index).decode("utf-8", "replace")) for index in range(min(count, 3)))
        or "nothing"
    )
