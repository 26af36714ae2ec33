"""Lets a library at a stranger's file: within bounds of memory, and in a copy of the process first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ror_port import confine, limits
from ror_port.errors import UnreadableFile
from ror_port.formats import hdf5

T = TypeVar("T")


def guarded(path: Path, work: Callable[[], T], library: str = "the HDF5 library", growth: int = 0) -> T:
    """What `work` makes of a file. growth: bytes of memory that it may take beside its description of the tensors.

    The library must be imported before: that takes more memory and time than any file may.
    """

    def confined() -> T:
        with hdf5.damage(path), confine.bounded(limits.MAX_GROWTH + growth):
            return work()

    seconds = 1 + min(path.stat().st_size // limits.BYTES_A_SECOND, limits.MAX_SECONDS)
    if trouble := confine.rehearse(confined, seconds):
        raise UnreadableFile(f"{path}: damaged ({library} cannot take it apart: {trouble})")
    return confined()
