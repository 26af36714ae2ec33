"""Writing HDF5: onto a disk that may fail, and in the time that the bytes take."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import h5py

from ror_port.layout import Array


class _Sink(io.RawIOBase):
    """A file for HDF5 to write to that never fails: the first error of the disk is kept, to be raised later.

    The library cannot bear an error while it closes a file; met there, a full disk ends in a crash.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file = file
        self.error: OSError | None = None

    def _attempt(self, operation: Callable[[], int], otherwise: int) -> int:
        if self.error is None:
            try:
                return operation()
            except OSError as error:
                self.error = error
        return otherwise

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._attempt(lambda: self.file.seek(offset, whence), offset)

    def tell(self) -> int:
        return self._attempt(self.file.tell, 0)

    def readinto(self, buffer: Any) -> int:
        return self._attempt(lambda: self.file.readinto(buffer), len(buffer))  # type: ignore[attr-defined]

    def write(self, buffer: Any) -> int:
        return self._attempt(lambda: self.file.write(buffer), len(buffer))

    def truncate(self, size: int | None = None, /) -> int:
        return self._attempt(lambda: self.file.truncate(size), size or 0)

    def flush(self) -> None:
        self._attempt(lambda: self.file.flush() or 0, 0)


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
