"""How long work reports its progress; here it reports nothing. The command line shows it on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

T = TypeVar("T")


class Progress:
    def track(self, items: Iterable[T], count: int, what: str) -> Iterable[T]:
        """Passes `count` items on. what: the work that is done on them."""
        return items

    def busy(self, what: str) -> AbstractContextManager[None]:
        """Surrounds work that cannot be counted."""
        return nullcontext()


SILENT = Progress()
