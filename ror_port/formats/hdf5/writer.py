"""Writing HDF5, to disks that may fail, as fast as the disk.

Through the library's low-level interface: h5py's own looks up every group and writes an attribute under another name
first, which takes several times as long as a small tensor does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t

from ror_port.mapping.engine import Tensor
from ror_port.safety.file_object import non_raising_file

_WITH_GROUPS = h5p.create(h5p.LINK_CREATE)
_WITH_GROUPS.set_create_intermediate_group(True)
_UNDATED = h5p.create(h5p.DATASET_CREATE)
_UNDATED.set_obj_track_times(False)


ATTRIBUTE_BYTES = 60_000
"""HDF5 keeps an attribute within 64 KiB; longer lists of names are split, as Keras splits them."""


class Group:
    """A group of a file that is being written. The root of the file is one."""

    def __init__(self, group: h5g.GroupID, raise_deferred: Callable[[], None]) -> None:
        """raise_deferred: is called between two calls of the library, where it may raise an exception."""
        self._group, self._raise_deferred = group, raise_deferred

    def group(self, name: str) -> Group:
        """A new group, and its missing parents."""
        return Group(h5g.create(self._group, name.encode(), lcpl=_WITH_GROUPS), self._raise_deferred)

    def dataset(self, name: str, tensor: Tensor) -> None:
        """A new dataset, and its missing parents. Raises OSError where the disk fails."""
        kind, space = h5t.py_create(tensor.dtype), h5s.create_simple(tensor.shape)
        made = h5d.create(self._group, name.encode(), kind, space, dcpl=_UNDATED, lcpl=_WITH_GROUPS)
        for first, block in tensor.blocks:
            self._raise_deferred()
            if block.shape == tensor.shape:
                made.write(h5s.ALL, h5s.ALL, block, kind)
            else:
                space.select_hyperslab(first, block.shape)
                made.write(h5s.create_simple(block.shape), space, block, kind)

    def text(self, attribute: str, text: str, encoding: str = "utf-8") -> None:
        """A text attribute. As it is of variable length, HDF5 does not limit it."""
        array = np.array(text, h5py.string_dtype(encoding))
        kind = h5t.py_create(array.dtype, logical=True)
        h5a.create(self._group, attribute.encode(), kind, h5s.create(h5s.SCALAR)).write(array)

    def count(self, attribute: str, number: int) -> None:
        """An attribute that is a number."""
        array = np.array(number, np.int64)
        h5a.create(self._group, attribute.encode(), h5t.py_create(array.dtype), h5s.create(h5s.SCALAR)).write(array)

    def names(self, attribute: str, names: Sequence[str]) -> None:
        """An attribute that lists names, as Keras writes it: strings of one length; an empty list as numbers."""
        encoded = np.array([name.encode() for name in names])
        parts = np.array_split(encoded, -(-encoded.nbytes // ATTRIBUTE_BYTES)) if len(names) else [np.zeros(0)]
        for index, part in enumerate(parts):
            name = attribute if len(parts) == 1 else f"{attribute}{index}"
            space = h5s.create_simple(part.shape)
            h5a.create(self._group, name.encode(), h5t.py_create(part.dtype), space).write(part)


@contextmanager
def writing(file: BinaryIO) -> Iterator[Group]:
    """The root of an HDF5 file to be written to an open binary file. Raises OSError where the disk fails."""
    with non_raising_file(file) as out, h5py.File(out, "w", libver=("earliest", "v110")) as target:
        yield Group(h5g.open(target.id, b"/"), out.raise_deferred)
