"""A bound on memory while a stranger's file is taken apart: no list of lies makes the process grow beyond it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bounded(growth: int) -> Iterator[None]:
    """Lets the process grow by `growth` bytes at most; what asks for more gets a MemoryError.

    HDF5 offers no other way: a thousand names in an attribute may all point to one long text, and nothing but
    reading them tells. The bound is the process's own, so other threads feel it too. Linux only; elsewhere none.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    bound = pages * resource.getpagesize() + growth
    resource.setrlimit(resource.RLIMIT_AS, (bound if soft == resource.RLIM_INFINITY else min(soft, bound), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
