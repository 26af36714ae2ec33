"""Taking a stranger's file apart within bounds of memory and time, whatever the library below does with it.

Linux has all of this. Where a system lacks a part, that part is left out.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ror_port import errors
from ror_port.safety import limits
from ror_port.safety.signals import ENDINGS, held_back


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


class Grief(Exception):
    """How a copy of the process came to grief, in words."""


class Speechless(Exception):
    """A copy of the process ended without an answer, by no fault of the file."""


def in_copy(work: Callable[[], Any], seconds: int) -> Any:
    """What `work` returns, as JSON has it, or the RorPortError that it raises; done in a copy of the process.

    A damaged file can send a library into a loop that nothing in the process interrupts, not even Ctrl-C, or make it
    overwrite memory. A copy is ended after `seconds` of computing, and nothing comes back from it but its words.
    Raises Grief where it crashed or was ended. Where no copy can be made, or the copy fails for a reason that has
    nothing to do with the file, the process does the work itself.
    """
    if not hasattr(os, "fork"):
        return work()
    try:
        said = json.loads(_words_of_copy(work, seconds))
    except Speechless:
        return work()
    if "error" in said:
        name, message = said["error"]
        raise getattr(errors, name)(message)
    return said["answer"]


def _words_of_copy(work: Callable[[], Any], seconds: int) -> bytes:
    reader, writer = os.pipe()
    copy, finished, status = 0, False, 0
    with os.fdopen(reader, "rb") as pipe, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads there may be, but the copy needs none
        try:
            with held_back():  # Python's own calls around a fork lose an exception
                copy = os.fork()
                if copy == 0:
                    try:
                        _speak(work, writer, seconds)
                    finally:
                        os._exit(0)
                os.close(writer)
            words = pipe.read(limits.MAX_DESCRIPTION_BYTES + 1)
            finished = len(words) <= limits.MAX_DESCRIPTION_BYTES
        finally:
            if copy:
                if not finished:  # or Ctrl-C came
                    os.kill(copy, signal.SIGKILL)
                status = os.waitpid(copy, 0)[1]
    if not finished:
        raise Grief(f"it has more to say than {limits.MAX_DESCRIPTION_BYTES} bytes")
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if ended in (signal.SIGXCPU, signal.SIGKILL):
        raise Grief(f"it takes more than {seconds} s")
    if ended in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE):
        raise Grief("it crashes")
    if ended or not words:
        raise Speechless
    return words


def _speak(work: Callable[[], Any], writer: int, seconds: int) -> None:
    """Life of the copy."""
    import resource

    faulthandler.disable()  # its crash is no news
    gc.disable()  # which would only touch the memory that the two share
    for number in (*ENDINGS, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    signal.alarm(10 * seconds)  # a lock that another thread held would never be released in the copy
    try:
        said = {"answer": work()}
    except errors.RorPortError as error:
        said = {"error": [type(error).__name__, str(error)]}
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(json.dumps(said).encode())
