"""Which of the famous networks a file of weights is, told by the names, the order and the shapes of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ror_port.formats.checkpoint import Checkpoint
from ror_port.source.famous.table import FAMOUS, Famous
from ror_port.source.script.stand_in import Keras, Session

ALPHAS = (0.25, 0.5, 0.75, 1.0)
"""Width multipliers of the MobileNets that were published."""


class Candidate(NamedTuple):
    """A network that a file may hold. config: its JSON, of the file's Keras. words: what it is."""

    network: Famous
    config: dict[str, Any]
    words: str


def candidates(
    checkpoint: Checkpoint, version: tuple[int, ...], backend: str, orderings: Sequence[str], known: bool,
    size: int | None,
) -> Iterator[Candidate]:  # fmt: skip
    """Those with as many layers as a file. version: of its Keras, or its generation. known: whether the ordering is.

    size: of images, where it is given.
    """
    generation, count = version[0], len(checkpoint.weighted)
    for network in FAMOUS:
        for top, expected in zip((True, False), network.weighted.get(generation, ()), strict=False):
            if count != expected:
                continue
            classes = checkpoint.weighted[-1].tensors[0].shape[-1] if top else None
            widths = [round(32 * alpha) for alpha in ALPHAS]
            first = checkpoint.weighted[0].tensors[0].shape[-1]
            if network.by_alpha and first not in widths:
                continue
            alpha = ALPHAS[widths.index(first)] if network.by_alpha else None
            for ordering in orderings:
                keras = Keras(Session(version, ordering, known, backend))
                made = network.model(keras, classes, size, alpha)
                yield Candidate(network, made.stated(), _words(network, classes, alpha))


def _words(network: Famous, classes: int | None, alpha: float | None) -> str:
    top = "without its top" if classes is None else f"{classes:,} classes"
    width = f", alpha {alpha:g}" if alpha not in (None, 1.0) else ""
    return f"{network.name}, {top}{width}"
