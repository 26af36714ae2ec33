"""Taking a stranger's file apart within bounds of memory and time, whatever the library below does with it.

Linux has all of this. Where a system lacks a part, that part is left out.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bounded(growth: int) -> Iterator[None]:
    """Lets the process grow by `growth` bytes at most; what asks for more gets a MemoryError.

    HDF5 offers no other way: a thousand names in an attribute may all point to one long text, and nothing but
    reading them tells. The bound is the process's own, so other threads feel it too.
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


def rehearse(work: Callable[[], object], seconds: int) -> str | None:
    """Does the work in a copy of the process first; how the copy came to grief, in words, or None where it did not.

    A damaged file can send HDF5 into a loop that nothing in the process interrupts, not even Ctrl-C; a copy is ended
    after `seconds` of computing. What the work itself raises is no concern here: the process will meet it again.
    """
    if not hasattr(os, "fork"):
        return None
    import resource

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads there may be, but the copy needs none
        copy = os.fork()
    if copy == 0:
        try:
            faulthandler.disable()  # its crash is no news
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
                signal.signal(number, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            signal.alarm(10 * seconds)  # a lock that another thread held would never be released in the copy
            work()
        finally:
            os._exit(0)
    status = os.waitpid(copy, 0)[1]
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if ended in (signal.SIGXCPU, signal.SIGKILL):
        return f"it takes more than {seconds} s"
    return "it crashes" if ended in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE) else None
