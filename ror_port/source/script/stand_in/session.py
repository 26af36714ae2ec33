"""What all parts of the stand-in share: one session of Keras, and how a script's mistakes are reported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ror_port.layout import DataFormat
from ror_port.source.script.signatures import signatures

FORMATS: Mapping[str, DataFormat] = {"th": "channels_first", "tf": "channels_last"}


class Misuse(Exception):
    """A script asks for what Keras of its time did not have, or what its stand-in has not."""


@dataclass
class Session:
    """A session of Keras in which a script builds its models.

    version: of Keras; its generation alone, (1,), where the release is not known. ordering: that Keras is set to.
    ordering_known: whether that is given; else layers that state none are written without, unless the script asked.
    models: those that were made, in order. asked: what the script wanted to know of its session: "ordering", "backend".
    folder: that the script lies in.
    """

    version: tuple[int, ...]
    ordering: str = "th"
    ordering_known: bool = True
    backend: str = "theano"
    floatx: str = "float32"
    counts: dict[str, int] = field(default_factory=dict)
    models: list[Any] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    folder: Path | None = None

    @property
    def generation(self) -> int:
        return self.version[0]

    @property
    def release_known(self) -> bool:
        return len(self.version) > 1

    @property
    def signatures(self) -> Mapping[str, Any]:
        return signatures(self.generation)

    @property
    def states_ordering(self) -> bool:
        return self.ordering_known or "ordering" in self.asked

    def place(self) -> tuple[str, int] | None:
        """File and line of the script that is being run."""
        frame = sys._getframe(1)
        while frame is not None and self.folder is not None:
            if Path(frame.f_code.co_filename).parent == self.folder:
                return frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back  # type: ignore[assignment]
        return None

    def number(self, prefix: str) -> int:
        """The next of a name, as Keras counts them."""
        self.counts[prefix] = self.counts.get(prefix, 0) + 1
        return self.counts[prefix]
