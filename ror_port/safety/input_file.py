"""A file before anything in it is interpreted: that it is one, that it can be read, and how it begins."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ror_port.errors import UnreadableFile, UnsafeFile
from ror_port.safety import limits


def readable(path: Path) -> Path:
    """The path of an existing regular file, or an error. Never blocks on a FIFO or a device."""
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableFile(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise UnreadableFile(f"{path}: {kind}; expected a file of Keras weights")
    if not os.access(path, os.R_OK):
        raise UnreadableFile(f"{path}: permission denied")
    if status.st_size == 0:
        raise UnreadableFile(f"{path}: the file is empty")
    enough = -(-status.st_size // limits.MAX_EXPANSION)
    allocated = 512 * getattr(status, "st_blocks", 0)  # not where the file system compresses, or on Windows
    if allocated < enough and _stored(path, enough) < enough:
        raise UnsafeFile(f"{path}: a sparse file: the disk holds little of its {status.st_size} bytes")
    return path


def _stored(path: Path, enough: int) -> int:
    """How many bytes of a file lie on the disk and not in holes, counted until they are enough."""
    if not hasattr(os, "SEEK_DATA"):  # on Windows holes cannot be told
        return enough
    found = place = 0
    with path.open("rb") as file:
        while found < enough:
            try:
                start = os.lseek(file.fileno(), place, os.SEEK_DATA)
            except OSError as error:
                return found if error.errno == errno.ENXIO else enough  # no data from here on; no such question
            place = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found += place - start
    return found


def first_bytes(path: Path, count: int = 64) -> bytes:
    with readable(path).open("rb") as file:
        return file.read(count)
