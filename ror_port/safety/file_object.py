"""A file for a library that writes through our code and cannot bear an exception from it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from ror_port.safety.signals import Held, held_back


class Sink(io.RawIOBase):
    """A file that never fails. After the first error of the disk it only seems to write; `check` raises it.

    It begins where the open file stands, and goes on to its end. A place to write at is only noted: HDF5 moves to one
    before each of thousands of small writes.
    """

    def __init__(self, file: BinaryIO, held: Held) -> None:
        super().__init__()
        self.handle, self.start = file.fileno(), file.tell()
        self.held = held
        self.at = 0
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self.at = offset if whence == os.SEEK_SET else os.lseek(self.handle, offset, whence) - self.start
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        os.lseek(self.handle, self.start + self.at, os.SEEK_SET)  # and no pread: Windows has none
        content = os.read(self.handle, len(buffer))
        buffer[: len(content)] = content
        self.at += len(buffer)
        return len(buffer)  # as if the disk had taken everything

    def write(self, buffer: Any) -> int:
        rest = memoryview(buffer).cast("B")
        size = len(rest)
        try:
            os.lseek(self.handle, self.start + self.at, os.SEEK_SET)
            while rest and self.error is None:
                rest = rest[os.write(self.handle, rest) :]
        except OSError as error:
            self.error = error
        self.at += size
        return size

    def truncate(self, size: int | None = None, /) -> int:
        size = self.at if size is None else size
        try:
            if self.error is None:
                os.ftruncate(self.handle, self.start + size)
        except OSError as error:
            self.error = error
        return size

    def check(self) -> None:
        """Raises what has been kept from the library, where it is not at work: a signal's exception, a disk's error."""
        self.held.release()
        if self.error is not None:
            raise self.error


@contextmanager
def sink(file: BinaryIO) -> Iterator[Sink]:
    """For an open binary file; what is kept from the library is raised at the end.

    HDF5 crashes where it meets a full disk while it closes a file, torch where the file is closed already; both take
    the exception of a signal for an error of the disk.
    """
    with held_back() as held:
        it = Sink(file, held)
        try:
            yield it
        except (OSError, RuntimeError):
            if it.error is None:
                raise
        it.check()
