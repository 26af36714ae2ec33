"""Where the numbers of a tensor lie in a file, and fetching them: plain reads of known places, by no library.

Whoever took the file apart says where to look. Chunks are put through HDF5's three filters backwards, none of which
may yield more than its place holds.
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


class Piece(NamedTuple):
    """All numbers in one piece."""

    offset: int


class Inline(NamedTuple):
    """Numbers so few that they lie within the description of their tensor."""

    content: bytes


class Chunk(NamedTuple):
    """number: in row-major order of the grid. skipped: a bit for each filter that the chunk was not put through."""

    number: int
    skipped: int
    offset: int
    size: int


class Chunks(NamedTuple):
    """Numbers in pieces of one shape, which reach over the edges. filters: in the order in which they were applied."""

    shape: Shape
    filters: tuple[int, ...]
    chunks: tuple[Chunk, ...]


Place = Piece | Inline | Chunks


def read(file: BinaryIO, place: Place, shape: Shape, dtype: np.dtype[Any], where: str) -> Array:
    """The numbers as they are stored. Raises UnreadableFile or UnsafeFile, saying `where`."""
    match place:
        case Piece(offset):
            content = fetch(file, offset, math.prod(shape) * dtype.itemsize, where)
            return np.frombuffer(content, dtype).reshape(shape)
        case Inline(content):
            return np.frombuffer(bytearray(content), dtype).reshape(shape)
        case _:
            return _assembled(file, place, shape, dtype, where)


def fetch(file: BinaryIO, offset: int, count: int, where: str) -> bytearray:
    content = bytearray(count)
    file.seek(offset)
    if file.readinto(content) != count:  # type: ignore[attr-defined]
        raise UnreadableFile(f"{where}: was cut short while it was read")
    return content


def _assembled(file: BinaryIO, place: Chunks, shape: Shape, dtype: np.dtype[Any], where: str) -> Array:
    array: Array = np.empty(shape, dtype)
    grid = [-(-length // chunk) for length, chunk in zip(shape, place.shape, strict=True)]
    for number, skipped, offset, size in place.chunks:
        applied = [code for index, code in enumerate(place.filters) if not skipped >> index & 1]
        content = bytes(fetch(file, offset, size, where))
        numbers = math.prod(place.shape) * dtype.itemsize
        for index, code in reversed(list(enumerate(applied))):
            checksums = 4 * (FLETCHER32 in applied[:index])
            content = _UNDONE[code](content, numbers + checksums, dtype.itemsize, where)
        if len(content) != numbers:
            raise UnreadableFile(f"{where}: damaged (a chunk of {len(content)} bytes where {numbers} make one)")
        corner = [k * length for k, length in zip(np.unravel_index(number, grid), place.shape, strict=True)]
        region = array[tuple(slice(start, start + length) for start, length in zip(corner, place.shape, strict=True))]
        block = np.frombuffer(content, dtype).reshape(place.shape)
        region[...] = block[tuple(slice(length) for length in region.shape)]
    return array


def _inflated(content: bytes, most: int, _: int, where: str) -> bytes:
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(content, most + 1)
    except zlib.error as error:
        raise UnreadableFile(f"{where}: damaged ({error})") from None
    if len(inflated) > most:
        raise UnsafeFile(f"{where}: a compressed chunk inflates to more than its {most} bytes")
    return inflated


def _unshuffled(content: bytes, _: int, itemsize: int, __: str) -> bytes:
    """All first bytes of the numbers, then all second ones …; what makes no whole number comes last, as it is."""
    whole = len(content) // itemsize * itemsize
    return np.frombuffer(content[:whole], np.uint8).reshape(itemsize, -1).T.tobytes() + content[whole:]


def _verified(content: bytes, _: int, __: int, where: str) -> bytes:
    content, stated = content[:-4], int.from_bytes(content[-4:], "little")
    if fletcher32(content) != (stated >> 16) % 0xFFFF << 16 | (stated & 0xFFFF) % 0xFFFF:
        raise UnreadableFile(f"{where}: damaged (a chunk does not have the checksum that it states)")
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


_UNDONE: dict[int, Callable[[bytes, int, int, str], bytes]] = {
    DEFLATE: _inflated,
    SHUFFLE: _unshuffled,
    FLETCHER32: _verified,
}
"""Filter → what undoes it: (content, the most that it may yield, bytes a number, where) → content before it."""


def as_json(place: Place) -> list[Any]:
    """A place as one process tells it to another."""
    match place:
        case Piece(offset):
            return ["piece", offset]
        case Inline(content):
            return ["inline", content.hex()]
        case Chunks(shape, filters, chunks):
            return ["chunks", shape, filters, chunks]


def of_json(told: Sequence[Any]) -> Place:
    kind, *parts = told
    if kind == "piece":
        return Piece(*parts)
    if kind == "inline":
        return Inline(bytes.fromhex(parts[0]))
    shape, filters, chunks = parts
    return Chunks(tuple(shape), tuple(filters), tuple(Chunk(*chunk) for chunk in chunks))
