"""Writing HDF5: onto a disk that may fail, and in the time that the bytes take.

Through the library's lower level: h5py's own looks up every group and writes an attribute under another name first,
which takes several times as long as a small tensor does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t

from ror_port.layout import Array
from ror_port.safety.file_object import sink

_WITH_GROUPS = h5p.create(h5p.LINK_CREATE)
_WITH_GROUPS.set_create_intermediate_group(True)
_UNDATED = h5p.create(h5p.DATASET_CREATE)
_UNDATED.set_obj_track_times(False)


ATTRIBUTE_BYTES = 60_000
"""HDF5 keeps an attribute within 64 KiB; longer lists of names are split, as Keras splits them."""


class Group:
    """A group of a file that is being written. The root of the file is one."""

    def __init__(self, place: h5g.GroupID, between: Callable[[], None]) -> None:
        """between: is called between two calls of the library, and may raise an exception, which never may within."""
        self._place, self._between = place, between

    def group(self, name: str) -> Group:
        """A new group, and those on the way to it."""
        return Group(h5g.create(self._place, name.encode(), lcpl=_WITH_GROUPS), self._between)

    def dataset(self, name: str, array: Array) -> None:
        """A new dataset, and the groups on the way to it."""
        self._between()
        kind, space = h5t.py_create(array.dtype), h5s.create_simple(array.shape)
        made = h5d.create(self._place, name.encode(), kind, space, dcpl=_UNDATED, lcpl=_WITH_GROUPS)
        made.write(h5s.ALL, h5s.ALL, array, kind)

    def text(self, attribute: str, text: str, encoding: str = "utf-8") -> None:
        """A text of variable length, which has no limit."""
        array = np.array(text, h5py.string_dtype(encoding))
        kind = h5t.py_create(array.dtype, logical=True)
        h5a.create(self._place, attribute.encode(), kind, h5s.create(h5s.SCALAR)).write(array)

    def names(self, attribute: str, names: Sequence[str]) -> None:
        """A list of names as Keras keeps it: of one length, and no strings but numbers where there are none."""
        encoded = np.array([name.encode() for name in names])
        pieces = np.array_split(encoded, -(-encoded.nbytes // ATTRIBUTE_BYTES)) if len(names) else [np.zeros(0)]
        for index, piece in enumerate(pieces):
            name = attribute if len(pieces) == 1 else f"{attribute}{index}"
            space = h5s.create_simple(piece.shape)
            h5a.create(self._place, name.encode(), h5t.py_create(piece.dtype), space).write(piece)


@contextmanager
def writing(file: BinaryIO) -> Iterator[Group]:
    """The root of an HDF5 file to be written to an open binary file. Raises OSError where the disk fails."""
    with sink(file) as out, h5py.File(out, "w", libver=("earliest", "v110")) as target:
        yield Group(h5g.open(target.id, b"/"), out.check)
