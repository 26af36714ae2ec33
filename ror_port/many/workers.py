"""Calls of one function by several workers at once, of which one that dies costs its own call alone."""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType, ModuleType, TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Call = tuple[Any, ...]
"""The arguments of a call."""

MOST_PENDING = 1_000
"""Calls that an executor is given at once: more than it has workers, and few beside the files of an archive."""


@dataclass(frozen=True)
class Lost:
    """There is no result of a call: its worker died, or the executor refused it. reason: in words."""

    reason: str


KILLED = Lost("not done, because the process that worked on it was killed (for want of memory, perhaps)")


class Workers:
    """An executor, or processes of our own, for as long as a block lasts: an exception that leaves it ends those.

    executor: any; where it breaks, what it left undone is done in processes of our own. jobs: how many of those.
    """

    def __init__(self, executor: Executor | None = None, jobs: int = 1) -> None:
        self._executor, self._jobs = executor, jobs
        self._context = _Spawn()
        self._own: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for worker in self._context.processes:
                if worker.is_alive():
                    worker.terminate()  # which removes what is half-written
        if self._own is not None:
            self._own.shutdown()

    def _processes(self, jobs: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(jobs, self._context, _begin)

    def prepare(self, module: str) -> None:
        """Has our own processes start, and import what they will need, while this one goes on.

        module: with a function `prepare` that imports it. This process has not imported the module yet, perhaps.
        """
        if self._executor is None:
            self._own = self._own or self._processes(self._jobs)
            for _ in range(self._jobs):
                self._own.submit(_prepare, module)

    def finished(self, function: Callable[..., T], calls: Iterable[Call]) -> Iterator[tuple[Call, T | Lost]]:
        """Yields each call with what it returned, as it is finished. Calls are taken as there is work to do.

        function: of a module, which raises nothing.
        """
        remaining = iter(calls)
        if self._executor is not None:
            undone = yield from _in(self._executor, function, remaining, MOST_PENDING)
            if undone is None:
                return
            self._executor, remaining = None, chain(undone, remaining)
        while True:
            self._own = self._own or self._processes(self._jobs)
            suspects = yield from _in(self._own, _Guarded(function), remaining, 2 * self._jobs)
            if suspects is None:
                return
            self._own = None
            for call in suspects:  # one by one, which tells the one that a process dies of
                with self._processes(1) as alone:
                    if (yield from _in(alone, _Guarded(function), iter([call]), 1)) is not None:
                        yield call, KILLED


def _prepare(module: str) -> None:
    importlib.import_module(module).prepare()


def _in(
    executor: Executor, function: Callable[..., T], calls: Iterator[Call], most: int
) -> Generator[tuple[Call, T | Lost], None, list[Call] | None]:
    """Yields what is finished. Returns None; where the executor breaks, the calls that it left undone."""
    pending: dict[Future[T], Call] = {}
    done: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
    left: list[Call] = []
    taken = broken = False
    try:
        while not taken or pending:
            while not taken and not broken and len(pending) < most:
                call = next(calls, None)
                if call is None:
                    taken = True
                    break
                try:
                    future = executor.submit(function, *call)
                except RuntimeError:  # it is broken, or shut down
                    left.append(call)
                    broken = True
                    break
                pending[future] = call
                future.add_done_callback(done.put)
            if not pending:
                break
            future = done.get()
            call = pending.pop(future)
            try:
                yield call, future.result()
            except BrokenExecutor:
                left.append(call)
                broken = True
            except CancelledError:
                yield call, Lost("not done, because the executor cancelled it")
            except Exception as error:  # of the executor, such as that a worker died; the function raises none
                reason = " ".join(str(error).split())[:200]
                yield call, Lost(f"not done: {type(error).__name__}{f': {reason}' if reason else ''}")
    except BaseException:
        for future in pending:
            future.cancel()
        raise
    return left if broken else None


class _Process(SpawnProcess):
    """A process that does not import the script of its parent, which needs no ``if __name__ == "__main__"`` then."""

    _starting = threading.Lock()

    def start(self) -> None:
        with self._starting:
            main = sys.modules["__main__"]
            from_no_file = ModuleType("__main__")  # in which other threads find what is in the script
            from_no_file.__dict__.update({**vars(main), "__spec__": None, "__file__": None})
            sys.modules["__main__"] = from_no_file
            try:
                super().start()
            finally:
                sys.modules["__main__"] = main


class _Spawn(SpawnContext):
    """Starts processes anew, as a fork would inherit NumPy's threads in an unknown state. processes: what it made."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[SpawnProcess] = []

    def Process(self, *arguments: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]
        process = _Process(*arguments, **options)
        self.processes.append(process)
        return process


class _Ended(BaseException):
    """The parent wants this worker to end."""


def _begin() -> None:
    """A worker's first step."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported: there are threads enough
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the parent too, which ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker when its parent was killed, which else would let it wait for more work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _end(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt the removing
    raise _Ended


@dataclass(frozen=True)
class _Guarded(Generic[T]):
    """A function as our own workers call it: a signal unwinds the stack, so that what is half-written is removed."""

    function: Callable[..., T]

    def __call__(self, *call: Any) -> T:
        try:
            signal.signal(signal.SIGTERM, _end)
            try:
                return self.function(*call)
            finally:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
        except _Ended:
            os._exit(128 + signal.SIGTERM)
