"""Several pieces of work at once, each in another process, which hands back what it said."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What one call wrote, and its exit code; None where it was not done because a worker was killed."""

    out: str = ""
    err: str = ""
    code: int | None = None


def run(work: Callable[..., None], calls: Sequence[Mapping[str, Any]], jobs: int) -> Iterator[Outcome]:
    """Calls `work` once with each set of parameters, `jobs` at a time; outcomes come in order.

    work: a function of a module, which prints, and ends with `sys.exit` where its code is not 0. An exception here,
    such as an interrupt, ends the workers; they remove what is half-written.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the workers' reference: as many threads as workers
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit NumPy's threads in an unknown state
    with ProcessPoolExecutor(min(jobs, len(calls)), spawn, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        futures = [pool.submit(_call, work, call) for call in calls]
        try:
            for future in futures:
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    outcome = Outcome()
                yield outcome
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


class _Ended(BaseException):
    """The parent wants this worker to end."""


def _end(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt the removing
    raise _Ended


def _call(work: Callable[..., None], parameters: Mapping[str, Any]) -> Outcome:
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        signal.signal(signal.SIGTERM, _end)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                work(**parameters)
        except SystemExit as stop:
            code = int(stop.code or 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except _Ended:
        os._exit(128 + signal.SIGTERM)
    return Outcome(out.getvalue(), err.getvalue(), code)
