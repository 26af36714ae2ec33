"""Where the elements of a tensor are stored in a file, and reading them: by plain reads, without any library.

Whoever parsed the file states the storage. The three filters of HDF5 are reversed here, and none of them may yield
more bytes than its chunk has room for.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ror_port.errors import UnreadableFile, UnsafeFile
from ror_port.layout import Array, Shape

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
"""HDF5's numbers of its filters."""


class Contiguous(NamedTuple):
    """All elements in one extent. offset: in bytes, from the start of the file."""

    offset: int


class Compact(NamedTuple):
    """Elements so few that the tensor's description holds them."""

    content: bytes


class Chunk(NamedTuple):
    """One chunk of a tensor.

    number: in row-major order of the grid. filter_mask: a bit for each filter that was skipped for this chunk.
    offset, size: its extent, in bytes.
    """

    number: int
    filter_mask: int
    offset: int
    size: int


class Chunked(NamedTuple):
    """Elements in chunks of one shape, of which those at the edges extend beyond the tensor.

    filters: in the order in which they were applied.
    """

    shape: Shape
    filters: tuple[int, ...]
    chunks: tuple[Chunk, ...]


Storage = Contiguous | Compact | Chunked


def read(file: BinaryIO, storage: Storage, shape: Shape, dtype: np.dtype[Any], where: str) -> Array:
    """The elements as they are stored, as an array of this shape and dtype.

    where: file and tensor, for messages. Raises UnreadableFile where they are damaged or missing, and UnsafeFile where
    a chunk inflates to more than it has room for.
    """
    match storage:
        case Contiguous(offset):
            content = _read_extent(file, offset, math.prod(shape) * dtype.itemsize, where)
            return content.view(dtype).reshape(shape)
        case Compact(content):
            return np.frombuffer(bytearray(content), dtype).reshape(shape)
        case _:
            return _read_chunks(file, storage, shape, dtype, where)


def _read_extent(file: BinaryIO, offset: int, size: int, where: str) -> Array:
    content: Array = np.empty(size, np.uint8)  # a bytearray would be filled with zeros first
    file.seek(offset)
    if file.readinto(content) != size:  # type: ignore[attr-defined]
        raise UnreadableFile(f"{where}: the file was truncated while it was read")
    return content


def _read_chunks(file: BinaryIO, storage: Chunked, shape: Shape, dtype: np.dtype[Any], where: str) -> Array:
    array: Array = np.empty(shape, dtype)
    grid = [-(-length // chunk) for length, chunk in zip(shape, storage.shape, strict=True)]
    for number, filter_mask, offset, size in storage.chunks:
        applied = [code for index, code in enumerate(storage.filters) if not filter_mask >> index & 1]
        content = _read_extent(file, offset, size, where).tobytes()
        expected = math.prod(storage.shape) * dtype.itemsize
        for index, code in reversed(list(enumerate(applied))):
            checksums = 4 * (FLETCHER32 in applied[:index])
            content = _REVERSED[code](content, expected + checksums, dtype.itemsize, where)
        if len(content) != expected:
            raise UnreadableFile(f"{where}: damaged (a chunk of {len(content)} bytes; expected {expected})")
        corner = [k * length for k, length in zip(np.unravel_index(number, grid), storage.shape, strict=True)]
        region = array[tuple(slice(start, start + length) for start, length in zip(corner, storage.shape, strict=True))]
        block = np.frombuffer(content, dtype).reshape(storage.shape)
        region[...] = block[tuple(slice(length) for length in region.shape)]
    return array


def _inflate(content: bytes, limit: int, _: int, where: str) -> bytes:
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(content, limit + 1)
    except zlib.error as error:
        raise UnreadableFile(f"{where}: damaged ({error})") from None
    if len(inflated) > limit:
        raise UnsafeFile(f"{where}: a compressed chunk inflates to more than its {limit} bytes")
    return inflated


def _unshuffle(content: bytes, _: int, itemsize: int, __: str) -> bytes:
    """All first bytes of the elements come first, then all second ones …; an incomplete element is last, as it is."""
    whole = len(content) // itemsize * itemsize
    return np.frombuffer(content[:whole], np.uint8).reshape(itemsize, -1).T.tobytes() + content[whole:]


def _without_checksum(content: bytes, _: int, __: int, where: str) -> bytes:
    content, stated = content[:-4], int.from_bytes(content[-4:], "little")
    if fletcher32(content) != (stated >> 16) % 0xFFFF << 16 | (stated & 0xFFFF) % 0xFFFF:
        raise UnreadableFile(f"{where}: damaged (a chunk whose checksum does not match)")
    return content


def fletcher32(content: bytes) -> int:
    """The checksum of HDF5's filter, over big-endian words of two bytes; either half in 0 … 65534."""
    words = np.frombuffer(content + bytes(len(content) % 2), ">u2")
    total = weighted = 0
    for start in range(0, words.size, 1 << 16):  # of so many, no sum exceeds 64 bits
        part = words[start : start + (1 << 16)].astype(np.uint64)
        weighted += total * part.size + int(part @ np.arange(part.size, 0, -1, dtype=np.uint64))
        total += int(part.sum())
    return weighted % 0xFFFF << 16 | total % 0xFFFF


_REVERSED: dict[int, Callable[[bytes, int, int, str], bytes]] = {
    DEFLATE: _inflate,
    SHUFFLE: _unshuffle,
    FLETCHER32: _without_checksum,
}
"""Filter → its reversal: (content, bytes that it may yield at most, bytes per element, where) → content before it."""


def to_json(storage: Storage) -> list[Any]:
    """A storage as values that JSON has."""
    match storage:
        case Contiguous(offset):
            return ["contiguous", offset]
        case Compact(content):
            return ["compact", content.hex()]
        case Chunked(shape, filters, chunks):
            return ["chunked", shape, filters, chunks]


def from_json(values: Sequence[Any]) -> Storage:
    """The storage that `to_json` returned."""
    kind, *parts = values
    if kind == "contiguous":
        return Contiguous(*parts)
    if kind == "compact":
        return Compact(bytes.fromhex(parts[0]))
    shape, filters, chunks = parts
    return Chunked(tuple(shape), tuple(filters), tuple(Chunk(*chunk) for chunk in chunks))
