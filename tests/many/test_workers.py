"""Calls by several workers at once, of our own or of any executor, of which one that dies costs its own call."""

import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from genuine import ROOT
from ror_port.many.workers import KILLED, Lost, Workers

HANGS = 300
"""Seconds after which something is taken to hang; it ends long before, also on a machine with much else to do."""


def finished(function, calls, executor=None, jobs=1):
    with Workers(executor, jobs) as workers:
        yield from workers.finished(function, calls)


def double(number: int) -> int:
    return 2 * number


def die(number: int) -> int:
    """Ends its process at one number, as the kernel does where memory runs out."""
    if number == 3:
        os._exit(9)
    return number


NUMBERS = [(number,) for number in range(8)]


def spawned(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"))


@pytest.mark.parametrize("executor", [lambda: None, lambda: ThreadPoolExecutor(2), lambda: spawned(2)])
def test_every_call_has_its_result(executor) -> None:
    given = executor()
    assert dict(finished(double, iter(NUMBERS), executor=given, jobs=2)) == {call: 2 * call[0] for call in NUMBERS}
    if given:
        given.shutdown()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("own", [True, False])
def test_a_killed_worker_costs_its_own_call(own, jobs) -> None:
    """Also where the executor that was given breaks with it."""
    results = dict(finished(die, NUMBERS, executor=None if own else spawned(jobs), jobs=jobs))
    assert results == {call: KILLED if call == (3,) else call[0] for call in NUMBERS}


class Refusing(Executor):
    """One that says why it does not do some calls, as Dask does where a worker was killed."""

    def submit(self, function, *call):
        future: Future = Future()
        if call == (1,):
            future.set_exception(RuntimeError("a worker\ndied"))
        elif call == (2,):
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(function(*call))
        return future


def test_what_an_executor_does_not_do_is_lost() -> None:
    results = dict(finished(double, NUMBERS[:4], executor=Refusing()))
    assert results[0,] == 0
    assert results[1,] == Lost("not done: RuntimeError: a worker died")
    assert results[2,] == Lost("not done, because the executor cancelled it")
    assert results[3,] == 6


def test_calls_are_taken_as_there_is_work_to_do() -> None:
    """Else a run of any length would hold all its calls."""
    taken = []
    results = finished(double, (taken.append(call) or call for call in NUMBERS), jobs=1)
    next(results)
    assert len(taken) < len(NUMBERS)
    results.close()


def take_part(role: str, pipe: Path) -> str:
    handle = os.open(pipe, os.O_RDWR)  # which waits for nobody at the other end
    if role == "sends":
        os.write(handle, b"!")
    elif role == "waits" and not select.select([handle], [], [], HANGS)[0]:
        role = "waits in vain"
    os.close(handle)
    return role


def test_calls_run_at_the_same_time(tmp_path) -> None:
    """The first waits for the second."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # a pipe that nobody holds open loses what is in it
    try:
        results = list(finished(take_part, [("waits", pipe), ("sends", pipe)], jobs=2))
    finally:
        os.close(held)
    assert [role for _, role in results].count("waits in vain") == 0


def wait(seconds: float, then: Path) -> None:
    time.sleep(seconds)
    then.touch()


def test_an_interrupt_ends_the_workers(tmp_path) -> None:
    def calls():
        yield HANGS, tmp_path / "done"
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(finished(wait, calls(), jobs=2))
    assert os.listdir(tmp_path) == []
    assert threading.active_count() == before  # else Python may find them at work at its end, and print a traceback


class Mine:
    """What belongs to the script, as a test is one."""


def test_threads_that_start_workers_leave_the_script_in_its_place(monkeypatch) -> None:
    """Each starts them while the script is another one for a moment."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "Mine", Mine, raising=False)
    monkeypatch.setattr(Mine, "__module__", "__main__")
    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(list, finished(double, [(number,)])) for number in range(6)]
        while not all(each.done() for each in done):
            assert pickle.loads(pickle.dumps(Mine)) is Mine
        assert [each.result() for each in done] == [[((number,), 2 * number)] for number in range(6)]
    assert sys.modules["__main__"] is main


PARENT = """
import sys, time
from test_workers import finished, say_and_sleep
list(finished(say_and_sleep, [()]))  # of a script without a guard, which no worker imports
"""


def say_and_sleep() -> None:
    os.write(1, f"{os.getpid()}\n".encode())
    time.sleep(HANGS)


def test_workers_end_with_their_parent(tmp_path) -> None:
    """Where that was killed, nobody else would end them."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    path = os.pathsep.join(map(str, (Path(__file__).parent, ROOT / "tests", ROOT)))
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
    ) as parent:
        assert parent.stdout
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        end = time.monotonic() + HANGS
        assert parent.stdout.readline() == ""  # the worker has closed its end
        while Path(f"/proc/{worker}").exists() and "State:\tZ" not in Path(f"/proc/{worker}/status").read_text():
            assert time.monotonic() < end


def count_threads() -> int:
    np.ones((500, 500)) @ np.ones((500, 500))
    return len(os.listdir("/proc/self/task"))


def test_a_worker_computes_in_one_thread_and_leaves_the_environment_as_it_is(monkeypatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert [count for _, count in finished(count_threads, [()], jobs=2)] == [
        2
    ]  # and one that waits for the parent's end
    assert "OPENBLAS_NUM_THREADS" not in os.environ
