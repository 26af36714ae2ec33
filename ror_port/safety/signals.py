"""Deferring the signals that ask the process to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

TERMINATION_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class DeferredSignals:
    """The signals that arrived while they were deferred."""

    def __init__(self) -> None:
        self.handlers: dict[int, Any] = {number: signal.getsignal(number) for number in TERMINATION_SIGNALS}
        self.received: list[tuple[int, FrameType | None]] = []

    def record(self, number: int, frame: FrameType | None) -> None:
        """The handler that stands in for the others."""
        self.received.append((number, frame))

    def deliver(self) -> None:
        """Calls the handlers of the signals that arrived; most of them raise an exception."""
        while self.received:
            number, frame = self.received.pop(0)
            self.handlers[number](number, frame)


@contextmanager
def deferred_signals() -> Iterator[DeferredSignals]:
    """Defers the signals that ask the process to end, while a C library calls back into Python.

    Python calls a signal's handler wherever Python code runs, and an exception that the handler raises within such a
    callback is lost in the library, or becomes another. Call `deliver` where an exception may be raised; it is called
    at the end too. A signal without a handler in Python is not deferred.
    """
    deferred = DeferredSignals()
    if threading.current_thread() is not threading.main_thread():  # where no handler ever runs
        yield deferred
        return
    try:
        for number, handler in deferred.handlers.items():
            if callable(handler):
                signal.signal(number, deferred.record)
        yield deferred
    finally:
        for number, handler in deferred.handlers.items():
            if signal.getsignal(number) == deferred.record:  # unless a handler has set another
                signal.signal(number, handler)
        deferred.deliver()
