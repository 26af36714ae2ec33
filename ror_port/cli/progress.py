"""Progress of long work: shown on a terminal, and nowhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ror_port.check.progress import Progress, T
from ror_port.cli.streams import plain

PATIENCE = 0.8
"""Seconds before the progress bar appears: most files are done by then."""


def _animated() -> bool:
    return sys.stderr.isatty() and not plain()


class Terminal(Progress):
    """Writes to stderr where that is a terminal."""

    def track(self, items: Iterable[T], count: int, what: str) -> Iterator[T]:
        """Yields the items; once PATIENCE is over, shows how many of `count` are done."""
        if not _animated():
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

        # What is printed meanwhile goes above the bar; what goes elsewhere must not come to the terminal with it.
        with Bar(console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
            task = bar.add_task(what, total=count, completed=done)
            for item in remaining:
                yield item
                bar.advance(task)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Shows `what` for as long as the block runs."""
        if not _animated():
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(what):
            yield
