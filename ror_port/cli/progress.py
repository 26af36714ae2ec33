"""Progress of long work: shown on a terminal, and nowhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 0.8
"""Seconds before the progress bar appears: most files are done by then."""


def track(items: Iterable[T], count: int, what: str = "converting") -> Iterator[T]:
    """Yields the items; where stderr is a terminal and PATIENCE is over, shows how many of `count` are done."""
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
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=count, completed=done)
        for item in remaining:
            yield item
            bar.advance(task)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Shows `what` on a terminal for as long as the block runs."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
