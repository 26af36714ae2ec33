"""Detecting a damaged address in an HDF5 file: the elements that it leads to overlap one of the library's structures.

The file has no checksum of an address, nor a list of its structures; but each structure begins with a signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

SIGNATURES = {b"TREE": 544, b"SNOD": 328, b"HEAP": 32, b"GCOL": 4096}
"""The first four bytes of a structure → the bytes that it takes as a rule. Structures begin at multiples of four
bytes, as long as there are no compressed chunks between them."""

VERSIONS = (b"TREE\0", b"TREE\1", b"SNOD\1\0", b"HEAP\0\0\0\0", b"GCOL\1\0\0\0")
"""What follows a signature; for a TREE, whether it is one of groups or of chunks."""

HEAD = 24
"""Bytes by which a structure is recognised."""

BLOCK = 1 << 16
"""Bytes that are read at once; a buffer of this size is reused, one of megabytes is not."""


def overlapping_extent(file: BinaryIO, extents: Sequence[tuple[int, int, str]]) -> str | None:
    """The name of an extent of the file that overlaps a structure, or None.

    extents: (start, stop, name), start and stop in bytes; sorted and disjoint.
    """
    starts = np.array([start for start, _, _ in extents], np.int64)
    stops = np.array([stop for _, stop, _ in extents], np.int64)
    size = file.seek(0, 2)
    for start in range(0, size if extents else 0, BLOCK):
        file.seek(start)
        content = file.read(BLOCK + HEAD)
        words = np.frombuffer(content, "<u4", min(BLOCK, len(content)) // 4)
        for signature, length in SIGNATURES.items():
            (at,) = (words == int.from_bytes(signature, "little")).nonzero()
            if not at.size:
                continue
            begin = start + 4 * at
            last = np.searchsorted(starts, begin + length) - 1  # extent that begins before the structure ends
            for index in np.flatnonzero((last >= 0) & (begin < stops[last])):
                if _is_structure(content[4 * at[index] :][:HEAD], size):
                    _, _, name = extents[int(last[index])]
                    return name
    return None


def _is_structure(head: bytes, size: int) -> bool:
    """Whether what follows a signature, which any large tensor may hold by chance, is that of a structure.

    In a TREE, the addresses of two neighbours follow signature, level and count; they are in the file or undefined.
    """
    neighbours = [int.from_bytes(head[start : start + 8], "little") for start in (8, 16)]
    tree = all(address < size or address == 2**64 - 1 for address in neighbours)
    return head.startswith(VERSIONS) and (tree or not head.startswith(b"TREE"))
