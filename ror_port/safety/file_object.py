"""A file object for C libraries whose write callbacks must not raise.

HDF5 crashes where a write fails while it closes a file, PyTorch where a write fails after it closed one, and both take
the exception of a signal handler for a failed write.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from ror_port.safety.signals import DeferredSignals, deferred_signals


class NonRaisingFile(io.RawIOBase):
    """A file whose methods never raise OSError: after the first failure it only pretends to write.

    Offsets count from where the wrapped file stands. `seek` only records the offset: HDF5 calls it before each of
    thousands of small writes.
    """

    def __init__(self, file: BinaryIO, signals: DeferredSignals) -> None:
        super().__init__()
        self.handle, self.start = file.fileno(), file.tell()
        self.signals = signals
        self.offset = 0
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self.offset = offset if whence == os.SEEK_SET else os.lseek(self.handle, offset, whence) - self.start
        return self.offset

    def tell(self) -> int:
        return self.offset

    def readinto(self, buffer: Any) -> int:
        os.lseek(self.handle, self.start + self.offset, os.SEEK_SET)  # not os.pread, which Windows lacks
        content = os.read(self.handle, len(buffer))
        buffer[: len(content)] = content
        self.offset += len(buffer)
        return len(buffer)  # as if all that was written were there

    def write(self, buffer: Any) -> int:
        rest = memoryview(buffer).cast("B")
        size = len(rest)
        try:
            os.lseek(self.handle, self.start + self.offset, os.SEEK_SET)
            while rest and self.error is None:
                rest = rest[os.write(self.handle, rest) :]
        except OSError as error:
            self.error = error
        self.offset += size
        return size

    def truncate(self, size: int | None = None, /) -> int:
        size = self.offset if size is None else size
        try:
            if self.error is None:
                os.ftruncate(self.handle, self.start + size)
        except OSError as error:
            self.error = error
        return size

    def raise_deferred(self) -> None:
        """Raises what was kept from the library: the exception of a signal handler, or the OSError of a write.

        To be called between two calls of the library, never within one.
        """
        self.signals.deliver()
        if self.error is not None:
            raise self.error


@contextmanager
def non_raising_file(file: BinaryIO) -> Iterator[NonRaisingFile]:
    """A NonRaisingFile for an open binary file, from where it stands. What was kept is raised at the end.

    Raises the OSError of the first write that failed, in place of what the library makes of it.
    """
    with deferred_signals() as signals:
        wrapper = NonRaisingFile(file, signals)
        try:
            yield wrapper
        except (OSError, RuntimeError):
            if wrapper.error is None:
                raise
        wrapper.raise_deferred()
