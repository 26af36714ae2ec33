"""What is known and published of the networks, for ``ror-port list``.

Sources: RoR: arXiv 1608.02908, tables for CIFAR-10; "seed": the accuracy that the repository which published the
Keras weights states for its own 100 epochs.
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
    (RoRWRN(6, 2), "94.48 % accuracy (seed, 100 epochs); 5.01 % error (arXiv 1608.02908, 500 epochs), 4.59 % with SD"),
    (WRN(2, 2), ""),
    (WRN(4, 10), ""),
    (WRN(6, 4), ""),
    (WRN2016(2, 8), ""),
    (WRN2016(4, 8), ""),
)
"""Networks that were published or named by their authors, and what was published of them on CIFAR-10."""

PRE_ROR_164 = "Pre-RoR-3-164: 5.02 % error (arXiv 1608.02908)"
"""A depth that 6 N + 4 does not give: the paper's blocks are counted otherwise, so it is named, not built."""


def size(network: Family) -> int:
    """Parameters, running statistics included."""
    return sum(math.prod(parameter.shape) for parameter in network.graph().parameters)


def table() -> str:
    rows = [("network", "N", "k", "parameters", "published on CIFAR-10")]
    rows += [(n.name, str(n.blocks), str(n.width), f"{size(n):,}", note) for n, note in KNOWN]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    calls = [f"{family.family}: {family.original}" for family in FAMILIES]
    rest = ["Any other N, k, number of classes and input size is recognised too.", PRE_ROR_164]
    return "\n".join([*lines, "", *rest, "", "The calls that created them in 2016 and 2017:", *calls])
