"""Signals that ask the process to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDINGS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Held:
    """What came while signals were held back."""

    def __init__(self) -> None:
        self.handlers: dict[int, Any] = {number: signal.getsignal(number) for number in ENDINGS}
        self.came: list[tuple[int, FrameType | None]] = []

    def keep(self, number: int, frame: FrameType | None) -> None:
        self.came.append((number, frame))

    def release(self) -> None:
        """Lets the handlers have what came; most of them raise an exception."""
        while self.came:
            number, frame = self.came.pop(0)
            self.handlers[number](number, frame)


@contextmanager
def held_back() -> Iterator[Held]:
    """Holds back the signals that ask the process to end, while a library calls our code.

    Python runs a signal's handler wherever its own code is at work, and an exception that goes from there into a
    library written in C is lost, or becomes another. `release` is to be called where one may be raised; it is called
    at the end too. A signal without a handler in Python is not held.
    """
    held = Held()
    if threading.current_thread() is not threading.main_thread():  # no handler ever runs here
        yield held
        return
    try:
        for number, handler in held.handlers.items():
            if callable(handler):
                signal.signal(number, held.keep)
        yield held
    finally:
        for number, handler in held.handlers.items():
            if signal.getsignal(number) == held.keep:  # unless a handler has set another
                signal.signal(number, handler)
        held.release()
