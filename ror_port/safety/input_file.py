"""Validating an input file before anything in it is interpreted: a regular, readable file, and its first bytes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ror_port.errors import UnreadableFile, UnsafeFile
from ror_port.safety import limits


def readable(path: Path) -> Path:
    """Returns the path of a regular file that may be read. Never blocks on a pipe or a device.

    Raises UnreadableFile where it is none, and UnsafeFile where it is sparse.
    """
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
        raise UnsafeFile(f"{path}: a sparse file: the disk stores little of its {status.st_size} bytes")
    return path


def _stored(path: Path, enough: int) -> int:
    """How many bytes of a file are stored on the disk rather than holes, counted until they are enough."""
    if not hasattr(os, "SEEK_DATA"):  # Windows
        return enough
    stored = offset = 0
    with path.open("rb") as file:
        while stored < enough:
            try:
                start = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError as error:
                return stored if error.errno == errno.ENXIO else enough  # the rest is a hole; not supported
            offset = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            stored += offset - start
    return stored


def first_bytes(path: Path, count: int = 64) -> bytes:
    """The first bytes of a file, at most `count`. Errors as of `readable`."""
    with readable(path).open("rb") as file:
        return file.read(count)
