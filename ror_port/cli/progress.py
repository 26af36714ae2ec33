"""Progress of long work on a terminal, and nothing otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ror_port.check.progress import Progress, T

PATIENCE = 0.8
"""Seconds before a bar appears: most files are done by then."""


class Terminal(Progress):
    """Writes to stderr where that is a terminal."""

    def track(self, items: Iterable[T], count: int, what: str) -> Iterator[T]:
        """Passes items on; shows how many of `count` are through once it takes long."""
        if not sys.stderr.isatty():
            yield from items
            return
        started = time.monotonic()
        remaining = iter(items)
        done = 0
        for item in remaining:
            yield item
            done += 1
            if time.monotonic() - started > PATIENCE:
                break
        else:
            return
        from rich.console import Console
        from rich.progress import Progress as Bar

        with Bar(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=count, completed=done)
            for item in remaining:
                yield item
                bar.advance(task)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Shows that something is going on."""
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(what):
            yield
