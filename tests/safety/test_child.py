"""Work in a child process: its result, its errors, its limits, and what happens where there is no child."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from ror_port.errors import UnsafeFile
from ror_port.formats import open_checkpoint
from ror_port.safety import child, limits

SECONDS = 20
"""Of processor time, more than any work here takes."""

HANGS = 300
"""Seconds after which something is taken to hang; it ends long before, also on a machine with much else to do."""


def loop() -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # so that only SIGKILL ends it
    while True:
        pass


@pytest.mark.parametrize(
    ("work", "seconds", "failure"),
    [
        (loop, 1, "takes more than 1 s"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), SECONDS, "crashes"),
        (lambda: os.kill(os.getpid(), signal.SIGILL), SECONDS, "crashes"),
        (os.abort, SECONDS, "crashes"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), SECONDS, "was killed"),
        (lambda: "a" * limits.MAX_DESCRIPTION_BYTES, SECONDS, "reports more than"),
    ],
)
def test_a_failure_of_the_child_is_an_exception_here(work, seconds, failure) -> None:
    process = os.getpid()

    def in_child_only() -> object:
        assert os.getpid() != process
        return work()

    with pytest.raises(child.ChildFailed, match=failure):
        child.run_in_child(in_child_only, seconds)


def test_results_and_errors_come_back() -> None:
    def refuse() -> None:
        raise UnsafeFile(f"process {os.getpid()}, \udcff")

    process, value = child.run_in_child(lambda: [os.getpid(), {"a": "\udcff"}], SECONDS)
    assert process != os.getpid()
    assert value == {"a": "\udcff"}
    with pytest.raises(UnsafeFile, match=r"process \d+, \udcff") as error:
        child.run_in_child(refuse, SECONDS)
    assert str(os.getpid()) not in str(error.value)


@pytest.mark.parametrize(
    "end",
    [lambda: os.kill(os.getpid(), signal.SIGTERM), lambda: 1 / 0, lambda: sys.exit(0)],
    ids=["TERM", "0/0", "exit"],
)
def test_without_a_result_the_process_does_the_work(end) -> None:
    process = os.getpid()
    assert child.run_in_child(lambda: os.getpid() if os.getpid() == process else end(), SECONDS) == process


@pytest.mark.parametrize("call", ["fork", "pipe"])
@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_where_a_child_is_refused_the_process_does_the_work(monkeypatch, call, code) -> None:
    def refuse() -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(child.os, call, refuse)
    before = os.listdir("/proc/self/fd")
    assert child.run_in_child(os.getpid, SECONDS) == os.getpid()
    assert os.listdir("/proc/self/fd") == before


def test_where_the_process_does_the_work_its_errors_are_raised(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "no process left")

    def work() -> None:
        raise UnsafeFile("of the file")

    monkeypatch.setattr(child.os, "fork", refuse)
    with pytest.raises(UnsafeFile, match="of the file"):
        child.run_in_child(work, SECONDS)


REFUSED = """
import os, resource, sys
from hashlib import sha256
from pathlib import Path
from ror_port.formats import open_checkpoint
if os.getuid() == 0:
    os.setuid(65534)  # no limit applies to root
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try:
    os.fork()
except BlockingIOError as error:
    pass
else:
    sys.exit("a child was not refused")
with open_checkpoint(Path(sys.argv[1])) as checkpoint:
    print(sha256(b"".join(tensor.read().tobytes() for tensor in checkpoint.tensors)).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the number of processes as Linux does")
def test_a_file_is_read_where_the_system_refuses_a_child(pre_ror) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # for the other user that the process becomes
        path = Path(folder) / "weights.h5"
        path.write_bytes(pre_ror.weights.read_bytes())
        done = subprocess.run([sys.executable, "-c", REFUSED, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with open_checkpoint(pre_ror.weights) as checkpoint:
        elements = b"".join(tensor.read().tobytes() for tensor in checkpoint.tensors)
    assert done.stdout == f"{sha256(elements).hexdigest()}\n"


def test_a_blocked_child_is_given_up(monkeypatch) -> None:
    """As where another thread held a lock at the fork, which nothing releases in the child."""
    monkeypatch.setattr(limits, "MAX_IDLE_SECONDS", 0.1)
    process, lock = os.getpid(), threading.Lock()
    lock.acquire()

    def work() -> int:
        if os.getpid() != process:
            lock.acquire()
        return os.getpid()

    assert child.run_in_child(work, SECONDS) == process


def test_a_child_that_computes_is_waited_for(monkeypatch, tmp_path) -> None:
    """However long it takes by the clock, as on a busy machine."""
    monkeypatch.setattr(limits, "MAX_IDLE_SECONDS", 0.001)
    process, polls = os.getpid(), []
    done = tmp_path / "done"

    def growing(_: int) -> int:
        polls.append(1)
        if len(polls) == 50:
            done.touch()
        return len(polls)

    def work() -> int:
        while os.getpid() != process and not done.exists():
            time.sleep(0.001)
        return os.getpid()

    monkeypatch.setattr(child, "_processor_time", growing)
    assert child.run_in_child(work, SECONDS) != process
    assert len(polls) >= 50


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processor_time_grows_while_a_process_computes() -> None:
    before, start = child._processor_time(os.getpid()), time.process_time()
    while time.process_time() - start < 0.1:
        pass
    after = child._processor_time(os.getpid())
    ticks = os.sysconf("SC_CLK_TCK")
    assert 0.05 * ticks <= after - before
    assert after / ticks == pytest.approx(time.process_time(), abs=1.0)


def test_a_lower_limit_that_the_process_has_is_kept() -> None:
    def nested() -> list[int]:
        return [os.getpid(), child.run_in_child(os.getpid, 2 * SECONDS)]

    outer, inner = child.run_in_child(nested, SECONDS)
    assert len({os.getpid(), outer, inner}) == 3


def test_memory_is_limited_for_a_while() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), child.memory_limit(64 << 20):
        bytearray(256 << 20)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(256 << 20)) == 256 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_threads_limit_the_memory_in_turn_and_no_child_inherits_it() -> None:
    """A thread that began within the limit of another would restore that one, which stayed for ever."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    first, second, leave = threading.Event(), threading.Event(), threading.Event()

    def limit(begun: threading.Event) -> None:
        with child.memory_limit(1 << 30):
            begun.set()
            leave.wait()

    def within() -> list[object]:
        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        with child.memory_limit(1 << 20):
            return [soft, resource.getrlimit(resource.RLIMIT_AS)[0] != soft]

    with ThreadPoolExecutor(3) as threads:
        try:
            done = [threads.submit(limit, first)]
            assert first.wait(SECONDS)
            done.append(threads.submit(limit, second))
            assert threads.submit(child.run_in_child, within, SECONDS).result(HANGS) == [before[0], True]
            assert not child.memory_is_limited()
            assert not second.wait(0.2)
        finally:
            leave.set()
        assert [each.result() for each in done] == [None, None]
    assert resource.getrlimit(resource.RLIMIT_AS) == before
