"""What is known and published of the networks, for ``ror-port list``.

Sources: arXiv 1608.02908, tables for CIFAR-10, and the repository that published the Keras weights.
"""

from __future__ import annotations

import math

from ror_port.network.families import FAMILIES, WRN, WRN2016, Family, RoR, RoRWRN

KNOWN: tuple[tuple[Family, str], ...] = (
    (RoR(1), ""),
    (RoR(2), ""),
    (RoR(3), ""),
    (RoRWRN(2, 1), ""),
    (RoRWRN(2, 8), ""),
    (RoRWRN(4, 10), ""),
    (RoRWRN(6, 2), "94.48 % accuracy [1]; 5.01 % error, 4.59 % with stochastic depth [2]"),
    (WRN(2, 2), ""),
    (WRN(4, 10), ""),
    (WRN(6, 4), ""),
    (WRN2016(2, 8), ""),
    (WRN2016(4, 8), ""),
)
"""Networks that were published or named by their authors, and what was published of them on CIFAR-10."""

NOTES = (
    "[1] the published Keras weights, trained for 100 epochs, as their repository states",
    "[2] the paper, arXiv 1608.02908, trained for 500 epochs",
    "Pre-RoR-3-164 has 5.02 % error [2]; its depth is not 6 N + 4, so it is not among these networks.",
    "Any other N, k, number of classes and input size is recognised too.",
)


def size(network: Family) -> int:
    """Parameters, running statistics included."""
    return sum(math.prod(parameter.shape) for parameter in network.graph().parameters)


def table() -> str:
    rows = [("network", "N", "k", "parameters", "published on CIFAR-10")]
    rows += [(n.name, str(n.blocks), str(n.width), f"{size(n):,}", note) for n, note in KNOWN]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    calls = [f"{family.family}: {family.original}" for family in FAMILIES]
    return "\n".join([*lines, "", *NOTES, "", "The calls that created them in 2016 and 2017:", *calls])
