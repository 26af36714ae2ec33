"""Running work in a child process, within limits of processor time and memory.

Linux has all of this. Where a system lacks a part, that part is left out.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from ror_port import errors
from ror_port.safety import limits
from ror_port.safety.signals import TERMINATION_SIGNALS, deferred_signals

_LIMITING = threading.RLock()
"""Held by the thread that limits the memory of this process, which threads do in turn: one that began within the limit
of another would take that for the one to be restored."""

_limited: tuple[int, tuple[int, int]] | None = None
"""The thread that holds it, and the limit that there was before."""


@contextmanager
def memory_limit(growth: int) -> Iterator[None]:
    """Limits the memory of this process to what it has now and `growth` bytes more; beyond, a MemoryError is raised.

    HDF5 has no limit of its own: a thousand names in an attribute may all refer to one long text, which shows only
    when they are read. The limit is that of the process, so what other threads do meanwhile is subject to it too.
    """
    global _limited
    if sys.platform != "linux":
        yield
        return
    import resource

    with _LIMITING:
        before, limited = resource.getrlimit(resource.RLIMIT_AS), _limited
        soft, hard = before
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
        limit = pages * resource.getpagesize() + growth
        soft = limit if soft == resource.RLIM_INFINITY else min(soft, limit)
        try:
            _limited = limited or (threading.get_ident(), before)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
            _limited = limited


def memory_is_limited() -> bool:
    """Whether the user limits the memory of this process, as ``ulimit -v`` does. Not to be called in `memory_limit`."""
    if sys.platform != "linux":
        return False
    import resource

    limited = _limited
    soft, _ = limited[1] if limited else resource.getrlimit(resource.RLIMIT_AS)
    return soft != resource.RLIM_INFINITY


def _forget_other_threads() -> None:
    """In a new child process, which has one thread: lifts the limit that another one held when it was forked."""
    global _LIMITING, _limited
    if _limited is not None and _limited[0] == threading.get_ident():
        return
    _LIMITING = threading.RLock()
    if _limited is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, _limited[1])
        _limited = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


class ChildFailed(Exception):
    """The work of a child process crashed or exceeded a limit. Its text is a predicate, as in "crashes".

    killed: whether something else ended it, so that it may succeed at another time.
    """

    def __init__(self, predicate: str, *, killed: bool = False) -> None:
        self.killed = killed
        super().__init__(predicate)


class NoResult(Exception):
    """No child process could be started, or one ended without a result for a reason that is not its work."""


def run_in_child(work: Callable[[], Any], seconds: int) -> Any:
    """Calls `work` in a child process and returns its result, converted to JSON and back.

    A damaged file can send a library into a loop that nothing in the process interrupts, not even Ctrl-C, or make it
    overwrite memory. The child is killed after `seconds` of processor time, and only JSON comes back from it.

    Where no child can be started (Windows; no memory or no process left), or it ends without a result for a reason
    that is not the work, `work` is called in this process.

    Raises ChildFailed where the child crashed or exceeded a limit, and any RorPortError that `work` raises.
    """
    output = None
    if hasattr(os, "fork"):
        with suppress(NoResult):
            output = json.loads(_child_output(work, seconds))
    if output is None:
        return work()
    if "error" in output:
        name, message = output["error"]
        raise getattr(errors, name)(message)
    return output["result"]


def _child_output(work: Callable[[], Any], seconds: int) -> bytes:
    """The JSON text that a child process writes. Raises ChildFailed or NoResult."""
    try:
        reader, writer = os.pipe()
    except OSError as error:
        raise NoResult from error
    child, blocked, output, complete, status, used = 0, False, b"", False, 0, 0.0
    with os.fdopen(reader, "rb") as pipe:
        try:
            with deferred_signals():  # an exception raised within os.fork is lost
                try:
                    child = _fork()
                    if child == 0:
                        _child_main(work, writer, seconds)
                finally:
                    os.close(writer)
            blocked = not _wait_for_output(pipe, child, seconds)
            if not blocked:
                output = pipe.read(limits.MAX_DESCRIPTION_BYTES + 1)
                complete = len(output) <= limits.MAX_DESCRIPTION_BYTES
        finally:
            if child:
                if not complete:  # also where a signal raised an exception here
                    os.kill(child, signal.SIGKILL)
                _, status, usage = os.wait4(child, 0)
                used = usage.ru_utime + usage.ru_stime
    if blocked:
        raise NoResult
    if not complete:
        raise ChildFailed(f"reports more than {limits.MAX_DESCRIPTION_BYTES} bytes")
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if ended_by == signal.SIGXCPU or (ended_by == signal.SIGKILL and used > seconds / 2):  # it may ignore SIGXCPU
        raise ChildFailed(f"takes more than {seconds} s")
    if ended_by == signal.SIGKILL:
        raise ChildFailed("was killed, perhaps for lack of memory", killed=True)
    if ended_by in TERMINATION_SIGNALS or (ended_by is None and not output):
        raise NoResult
    if ended_by:
        raise ChildFailed("crashes")
    return output


def _fork() -> int:
    """As os.fork. Raises NoResult where the system refuses, for lack of memory or of processes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of other threads, which the child does not need
        try:
            return os.fork()
        except OSError as error:
            raise NoResult from error


def _wait_for_output(pipe: IO[bytes], child: int, seconds: int) -> bool:
    """Waits until the child writes or ends. Returns False where it is blocked instead.

    A lock that another thread held at the fork is never released in the child. On a busy machine a child that
    computes may take any time; it is blocked where its processor time does not grow.
    """
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    idle = limits.MAX_IDLE_SECONDS if sys.platform == "linux" else 10 * seconds
    used = None
    while not poll.poll(1000 * idle):
        before, used = used, _processor_time(child)
        if used == before:
            return False
    return True


def _processor_time(process: int) -> int | None:
    """Clock ticks, of 10 ms as a rule, that a process has computed; None where the system has no /proc."""
    if sys.platform != "linux":
        return None
    fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])  # utime and stime


def _child_main(work: Callable[[], Any], writer: int, seconds: int) -> NoReturn:
    """All that the child process does. writer: the file descriptor that its JSON text is written to."""
    try:
        import resource

        faulthandler.disable()  # the parent reports a crash
        gc.disable()  # it would copy the memory that the two processes share
        for number in TERMINATION_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, allowed = resource.getrlimit(resource.RLIMIT_CPU)
        hard = seconds + 1 if allowed == resource.RLIM_INFINITY else min(seconds + 1, allowed)
        resource.setrlimit(resource.RLIMIT_CPU, (min(seconds, hard), hard))
        try:
            output = {"result": work()}
        except errors.RorPortError as error:
            output = {"error": [type(error).__name__, str(error)]}
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps(output).encode())
    finally:
        os._exit(0)
