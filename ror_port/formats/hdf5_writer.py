"""Writing HDF5: onto a disk that may fail, and in the time that the bytes take.

Through the library's lower level: h5py's own looks up every group and writes an attribute under another name first,
which takes several times as long as a small tensor does.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t

from ror_port.layout import Array


class _Sink(io.RawIOBase):
    """A file for HDF5 to write to that never fails: the first error of the disk is kept, to be raised later.

    The library cannot bear an error while it closes a file; met there, a full disk ends in a crash. It moves to a
    place before each of thousands of small writes, so a place is only noted.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.handle = file.fileno()
        self.at = 0
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self.at = offset if whence == os.SEEK_SET else os.lseek(self.handle, offset, whence)
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        os.lseek(self.handle, self.at, os.SEEK_SET)
        content = os.read(self.handle, len(buffer))
        buffer[: len(content)] = content
        return len(buffer)  # as if the disk had taken everything

    def write(self, buffer: Any) -> int:
        rest = memoryview(buffer).cast("B")
        try:
            os.lseek(self.handle, self.at, os.SEEK_SET)
            while rest and self.error is None:
                rest = rest[os.write(self.handle, rest) :]
        except OSError as error:
            self.error = error
        return len(buffer)

    def truncate(self, size: int | None = None, /) -> int:
        if self.error is None:
            try:
                os.ftruncate(self.handle, self.at if size is None else size)
            except OSError as error:
                self.error = error
        return size or 0


@contextmanager
def writing(file: BinaryIO) -> Iterator[h5g.GroupID]:
    """The root of an HDF5 file to be written to an open binary file. Raises OSError where the disk fails."""
    sink = _Sink(file)
    try:
        with h5py.File(sink, "w", libver=("earliest", "v110")) as target:
            yield h5g.open(target.id, b"/")
    except (OSError, RuntimeError):
        if sink.error is None:
            raise
    if sink.error is not None:
        raise sink.error


_WITH_GROUPS = h5p.create(h5p.LINK_CREATE)
_WITH_GROUPS.set_create_intermediate_group(True)
_UNDATED = h5p.create(h5p.DATASET_CREATE)
_UNDATED.set_obj_track_times(False)


def group(parent: h5g.GroupID, name: str) -> h5g.GroupID:
    """A new group, and those on the way to it."""
    return h5g.create(parent, name.encode(), lcpl=_WITH_GROUPS)


def dataset(parent: h5g.GroupID, name: str, array: Array) -> None:
    """A new dataset, and the groups on the way to it."""
    kind, space = h5t.py_create(array.dtype), h5s.create_simple(array.shape)
    made = h5d.create(parent, name.encode(), kind, space, dcpl=_UNDATED, lcpl=_WITH_GROUPS)
    made.write(h5s.ALL, h5s.ALL, array)


def text(owner: h5g.GroupID, attribute: str, text: str, encoding: str = "utf-8") -> None:
    """A text of variable length, which has no limit."""
    array = np.array(text, h5py.string_dtype(encoding))
    kind = h5t.py_create(array.dtype, logical=True)
    h5a.create(owner, attribute.encode(), kind, h5s.create(h5s.SCALAR)).write(array)


ATTRIBUTE_BYTES = 60_000
"""HDF5 keeps an attribute within 64 KiB; longer lists of names are split, as Keras splits them."""


def names(owner: h5g.GroupID, attribute: str, names: Sequence[str]) -> None:
    """A list of names as Keras keeps it: of one length, and no strings but numbers where there are none."""
    encoded = np.array([name.encode() for name in names])
    pieces = np.array_split(encoded, -(-encoded.nbytes // ATTRIBUTE_BYTES)) if len(names) else [np.zeros(0)]
    for index, piece in enumerate(pieces):
        name = attribute if len(pieces) == 1 else f"{attribute}{index}"
        space = h5s.create_simple(piece.shape)
        h5a.create(owner, name.encode(), h5t.py_create(piece.dtype), space).write(piece)
