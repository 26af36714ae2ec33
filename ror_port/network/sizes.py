"""Numbers for the sizes of a network that vary; and the size of the batches of one that keeps states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from ror_port.errors import quote
from ror_port.layout import VARIES, Shape, varies
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import Input
from ror_port.network.layers.settings import MAX_LENGTH

FIRST = (9, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)
"""Sizes that are tried: odd and even ones, and such as can be halved several times."""


def sized(graph: Graph, shapes: Sequence[Shape]) -> Graph:
    """The graph for inputs of the given shapes. Raises ValueError where a layer does not take what reaches it."""
    g, given = GraphBuilder(list(graph.taps)), iter(shapes)
    for node in graph:
        layer = replace(node.layer, shape=next(given)) if isinstance(node.layer, Input) else node.layer
        g.add_like(node, layer, *node.inputs)
    return g.finish(*graph.outputs)


def fitting(graph: Graph) -> Iterator[tuple[Shape, ...]]:
    """Shapes of the inputs, growing, with which every layer takes what reaches it; one only, where no size varies.

    Sizes differ from one another where the network lets them, so that an exchange of two axes would be seen.
    """
    shapes = [node.shape for node in graph.inputs]
    if not any(map(varies, shapes)):
        yield tuple(shapes)
        return
    for first in FIRST:
        for filled in _filled(shapes, first):
            try:
                sized(graph, filled)
            except ValueError:
                continue
            yield filled
            break


def _filled(shapes: Sequence[Shape], first: int) -> Iterator[tuple[Shape, ...]]:
    """With other numbers for all sizes that vary; with the same ones for each input; with one number."""
    for step in (1, first):
        numbers = count(first, step)
        yield tuple(_with(shape, numbers) for shape in shapes)
        yield tuple(_with(shape, count(first, step)) for shape in shapes)
    yield tuple(_with(shape, count(first, 0)) for shape in shapes)


def stand_ins(shapes: Sequence[Shape]) -> Iterator[tuple[Shape, ...]]:
    """Shapes with numbers for what varies, growing, of a network of which nothing more is known."""
    for first in FIRST:
        yield from _filled(shapes, first)


def _with(shape: Shape, numbers: Iterator[int]) -> Shape:
    return tuple(next(numbers) if size is VARIES else size for size in shape)


def ensure_batches(graph: Graph) -> None:
    """Raises ValueError where stateful layers have no batches of one known size, or one of them is used twice."""
    sizes = {node.layer.batch for node in graph.inputs if isinstance(node.layer, Input)}
    if not graph.stateful:
        if sizes != {None}:
            raise ValueError("batches of a size, without layers that keep states of them")
        return
    if len(sizes) > 1 or not all(size is not None and 0 < size < MAX_LENGTH for size in sizes):
        raise ValueError("stateful layers, but no size of the batches that they keep states of")
    for node in graph.stateful:
        if node.shares and graph.calls[node.name] == node.name:
            raise ValueError(f"{quote(node.owner)}, which is stateful, is used at several places")
