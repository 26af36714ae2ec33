"""Writing HDF5: onto a disk that may fail, and in the time that the bytes take."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import h5py

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
def writing(file: BinaryIO) -> Iterator[h5py.File]:
    """An HDF5 file to be written to an open binary file. Raises OSError where the disk fails."""
    sink = _Sink(file)
    try:
        with h5py.File(sink, "w", libver=("earliest", "v110")) as target:
            yield target
    except (OSError, RuntimeError):
        if sink.error is None:
            raise
    if sink.error is not None:
        raise sink.error


_WITH_GROUPS = h5py.h5p.create(h5py.h5p.LINK_CREATE)
_WITH_GROUPS.set_create_intermediate_group(True)
_UNDATED = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
_UNDATED.set_obj_track_times(False)


def store(parent: h5py.Group, name: str, array: Array) -> None:
    """Writes a dataset, and the groups on the way to it.

    What h5py's `create_dataset` does, in a third of its time, most of which goes into looking up those groups.
    """
    kind, space = h5py.h5t.py_create(array.dtype), h5py.h5s.create_simple(array.shape)
    made = h5py.h5d.create(parent.id, name.encode(), kind, space, dcpl=_UNDATED, lcpl=_WITH_GROUPS)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
