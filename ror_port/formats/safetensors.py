"""Reading safetensors: a JSON header behind its length in 8 bytes, then the tensors, one right after the other.

The package of that name is not used: it takes the last of two tensors of one name, and headers of 100 MB.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile, quote
from ror_port.formats.checkpoint import StoredTensor
from ror_port.formats.storage import Contiguous, read
from ror_port.layout import Shape
from ror_port.safety import limits

WEIGHTS = "model.safetensors"
"""The name of the file in a folder of a PyTorch network."""

DTYPES = {name: np.dtype(code) for name, code in (("F64", "<f8"), ("F32", "<f4"), ("F16", "<f2"), ("I64", "<i8"))}
"""The types of tensors that are listed: BatchNorm's step counter is an integer. The caller chooses among them."""


def tensors(file: BinaryIO, where: str) -> list[StoredTensor]:
    """All tensors of an open file, unread, in the order of its header.

    where: the file's name, for messages. Raises UnreadableFile where the header is damaged or the tensors do not fill
    the file, each byte of it once; UnsafeFile where the header is too long; NotACheckpoint for another type.
    """
    size = file.seek(0, 2)
    header, start = _header(file, size, where)
    header.pop("__metadata__", None)
    found, extents = [], []
    for name, entry in header.items():
        at = f"{where}: {quote(name)}"
        dtype, shape, begin, end = _entry(entry, at)
        if end - begin != math.prod(shape) * dtype.itemsize:
            raise UnreadableFile(f"{at}: damaged ({end - begin} bytes do not make the shape that it states)")
        extents.append((begin, end))
        found.append(StoredTensor(name, shape, dtype, partial(read, file, Contiguous(start + begin), shape, dtype, at)))
    expected = 0
    for begin, end in sorted(extents):
        if begin != expected:
            raise UnreadableFile(f"{where}: damaged (tensors overlap or leave a gap at byte {begin} of the data)")
        expected = end
    if start + expected != size:
        raise UnreadableFile(f"{where}: truncated or damaged ({size} bytes; its header states {start + expected})")
    return found


def _header(file: BinaryIO, size: int, where: str) -> tuple[dict[str, Any], int]:
    """The header, and the offset in bytes where the data begin."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > limits.MAX_CONFIG_BYTES:
        raise UnsafeFile(f"{where}: a header of {length} bytes; the limit is {limits.MAX_CONFIG_BYTES}")
    if 8 + length > size:
        raise UnreadableFile(f"{where}: truncated or damaged ({size} bytes; its header alone has {length})")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{where}: damaged (its header: {quote(str(error))})") from None
    if not isinstance(header, dict):
        raise UnreadableFile(f"{where}: damaged (its header is not a JSON object)")
    return header, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without a repeated name: which of two entries counts would depend on the reader."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a repeated name")
    return found


def _entry(entry: Any, at: str) -> tuple[np.dtype[Any], Shape, int, int]:
    """Type, shape and extent (begin, end), in bytes of the data, of a tensor."""
    if not isinstance(entry, Mapping) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise UnreadableFile(f"{at}: damaged (expected dtype, shape and data_offsets)")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2 or len(shape) > 32:
        raise UnreadableFile(f"{at}: damaged (shape or data_offsets are not sizes)")
    if not isinstance(kind, str) or kind not in DTYPES:
        raise NotACheckpoint(f"{at}: elements of type {quote(str(kind))}; expected float32 or float64")
    return DTYPES[kind], tuple(shape), offsets[0], offsets[1]


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
