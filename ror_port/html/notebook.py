"""What ports, outputs and verifications show of themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ror_port.errors import printable
from ror_port.html.basics import number, table
from ror_port.html.drawing import chart, drawing
from ror_port.layout import varies
from ror_port.network.graph import Graph

MOST_LAYERS = 40
"""Of a network that cannot be drawn; what is more is counted."""


def network(name: str, about: str, facts: Sequence[Mapping[str, Any]], graph: Graph, *, drawn: bool) -> Iterator[str]:
    """A network with what is known of it. about: file, size and precision. drawn: whether it is of a known family."""
    yield f"<p><b>{_text(name)}</b> <span class='faint'>{_text(about)}</span></p>"
    yield drawing(graph, name) if drawn else _layers(graph)
    rows = [
        [
            f"<span class='{'warn' if fact['basis'] == 'assumed' else ''}'>{_text(fact['basis'])}</span>",
            *(_text(fact[key]) for key in ("name", "value", "evidence")),
        ]
        for fact in facts
    ]
    yield table(["basis", "fact", "value", "evidence"], rows)


def _layers(graph: Graph) -> str:
    nodes = list(graph)
    rows = [[_text(node.name), type(node.layer).__name__, _shape(node.shape)] for node in nodes[:MOST_LAYERS]]
    more = len(nodes) - MOST_LAYERS
    return table(["layer", "class", "output"], [*rows, *([[f"and {more:,} more", "", ""]] if more > 0 else [])])


def _shape(shape: Sequence[int]) -> str:
    return "×".join("?" if varies((size,)) else str(size) for size in shape)


def output(path: str, about: str, opened: str) -> Iterator[str]:
    """What was written. opened: how to open it."""
    yield f"<p>wrote <code>{_text(path)}</code> <span class='faint'>{_text(about)}</span></p>"
    yield f"<p>open it with <code>{_text(opened)}</code></p>"


VERDICTS = {True: ("passed", "good"), False: ("FAILED", "bad"), None: ("not run", "warn")}


def verification(found: Mapping[str, Any]) -> Iterator[str]:
    """found: the JSON of a verification."""
    word, look = VERDICTS[found["passed"]]
    difference, tolerance = found["difference"], found["tolerance"]
    told = _text(found["reason"] or "")
    if difference and tolerance:
        told = f"relative L2 error {number(difference['relative_l2'])} (tolerance {tolerance['value']:.1e})"
        if difference["same_top1"] is not None:
            told += f", same top-1 class on {difference['same_top1']} of {difference['images']} images"
    runtime = f" in {_text(found['runtime'])}" if found["runtime"] else ""
    yield f"<p><b class='{look}'>{word}</b>{runtime}: {told}</p>"
    if found["layers"] and tolerance:
        yield chart(found["layers"], tolerance["value"], "Relative L2 error of every layer")
        faulty = ", ".join(f"<code>{_text(name)}</code>" for name in found["faulty_layers"])
        yield f"<p class='bad'>faulty layers: {faulty}</p>" if faulty else ""


def _text(value: object) -> str:
    return escape(printable(value))
