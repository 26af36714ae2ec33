"""Opening an untrusted zip archive: its list of members is known to be short before it is read."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

from ror_port.errors import UnsafeFile, quote
from ror_port.safety import limits

_END = b"PK\x05\x06"
"""Begins the record at the end of a zip archive, which gives the size of its list of members at byte 12."""

_END_64 = b"PK\x06\x07"


def open_archive(path: Path) -> zipfile.ZipFile:
    """An archive whose list of members, which is read at once, is known to be short and to stay inside of it."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, (1 << 16) + 22), os.SEEK_END)
        tail = file.read()
    end = tail.find(_END)
    if end < 0 or tail.count(_END) > 1 or _END_64 in tail:
        raise zipfile.BadZipFile("without one plain list of its members")
    size = int.from_bytes(tail[end + 12 : end + 16], "little")
    if size > limits.MAX_ARCHIVE_DIRECTORY_BYTES:
        raise UnsafeFile(
            f"{path}: a zip archive whose list of members takes {size} bytes; the limit is "
            f"{limits.MAX_ARCHIVE_DIRECTORY_BYTES}"
        )
    archive = zipfile.ZipFile(path)
    outside = [name for name in archive.namelist() if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name)]
    if outside:
        archive.close()
        raise UnsafeFile(f"{path}: a zip archive with the member {quote(outside[0])}, a path out of it")
    return archive
