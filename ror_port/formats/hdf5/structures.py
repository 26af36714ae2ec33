"""Tells a damaged address in an HDF5 file: the numbers that it leads to lie over one of the library's own structures.

Nothing else tells. The file has no checksum of an address, nor a list of its structures; but each begins with a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

MARKS = {b"TREE": 544, b"SNOD": 328, b"HEAP": 32, b"GCOL": 4096}
"""What structures begin with, and the bytes they take as a rule. They lie at multiples of four bytes, as long as no
compressed chunks lie between them."""

VERSIONS = (b"TREE\0", b"TREE\1", b"SNOD\1\0", b"HEAP\0\0\0\0", b"GCOL\1\0\0\0")
"""What follows a mark; for a TREE, whether it is one of groups or of chunks."""

HEAD = 24
"""Bytes that tell a structure."""

BLOCK = 1 << 16
"""Bytes of a file that are looked through at once; such a buffer is used again, and one of megabytes is not."""


def overlaid(file: BinaryIO, pieces: Sequence[tuple[int, int, str]]) -> str | None:
    """The name of a piece of the file, (start, stop, name), that lies over a structure; None where none does.

    pieces: in order, without overlaps.
    """
    starts = np.array([start for start, _, _ in pieces], np.int64)
    stops = np.array([stop for _, stop, _ in pieces], np.int64)
    size = file.seek(0, 2)
    for start in range(0, size if pieces else 0, BLOCK):
        file.seek(start)
        content = file.read(BLOCK + HEAD)
        words = np.frombuffer(content, "<u4", min(BLOCK, len(content)) // 4)
        for mark, length in MARKS.items():
            (at,) = (words == int.from_bytes(mark, "little")).nonzero()
            if not at.size:
                continue
            begin = start + 4 * at
            piece = np.searchsorted(starts, begin + length) - 1  # the last that begins before the structure ends
            for index in np.flatnonzero((piece >= 0) & (begin < stops[piece])):
                if _is_structure(content[4 * at[index] :][:HEAD], size):
                    _, _, name = pieces[int(piece[index])]
                    return name
    return None


def _is_structure(head: bytes, size: int) -> bool:
    """Whether a mark, which any large tensor may hold by chance, is followed by what belongs there.

    Behind mark, level and count of a TREE lie the addresses of two neighbours, which are in the file or undefined.
    """
    neighbours = [int.from_bytes(head[start : start + 8], "little") for start in (8, 16)]
    tree = all(address < size or address == 2**64 - 1 for address in neighbours)
    return head.startswith(VERSIONS) and (tree or not head.startswith(b"TREE"))
