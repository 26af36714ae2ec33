"""The same network in another order of axes: channels_first ↔ channels_last, as one pass over the graph.

Layers on images and volumes change their axes; layers that look at every element alike do not care; named axes are
renamed. Where a layer needs the old order, a Permute goes in before it. A Flatten in front of Dense layers costs
nothing: the rows of their kernels are reordered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from ror_port.layout import SAME, Axes, DataFormat, Layout, PermuteFlattened, Transpose, batched
from ror_port.network.graph import Graph, GraphBuilder, Node
from ror_port.network.layers import BatchNormalization, Dense, Flatten, Input, Permute, TimeDistributed
from ror_port.network.layers.layer import Arrangement
from ror_port.network.layers.spatial import Spatial


class Relayout(NamedTuple):
    """graph: the moved one. weights: parameter name → its change, where it has one, old → new canonical form.

    arrangements: old node → how its value lies in the new graph.
    """

    graph: Graph
    weights: Mapping[str, Layout]
    arrangements: Mapping[str, Arrangement]

    def value(self, name: str) -> Layout:
        """The change of a batch of values of a node, old → new."""
        arrangement = self.arrangements[name]
        if isinstance(arrangement, PermuteFlattened):
            columns = Layout((Transpose((1, 0)),))
            return columns | Layout((arrangement,)) | columns
        return batched(arrangement) if arrangement else SAME


def relayout(graph: Graph, target: DataFormat) -> Relayout:
    """The graph with all images in the data format `target`."""
    g = GraphBuilder(list(graph.taps))
    arrangements: dict[str, Arrangement] = {}
    weights: dict[str, Layout] = {}
    taken: dict[str, tuple[Arrangement, ...]] = {}
    for node in graph:
        shapes = graph.shapes(node)
        arrived = tuple(arrangements[name] for name in node.inputs)
        if isinstance(node.layer, Input):
            axes = _moved_input(graph, node, target)
            arrangements[node.name] = axes
            shape = Transpose(axes).shape(node.shape) if axes else node.shape
            g.add_like(node, replace(node.layer, shape=shape))
            continue
        # what shares its weights is one layer elsewhere, so that all uses of it must become the same one
        alike = (*taken[node.shares], *arrived)[: len(arrived)] if node.shares else arrived
        layer, wanted, output, changes = node.layer.moved(target, alike, shapes)
        taken[node.name] = wanted
        if isinstance(output, PermuteFlattened) and isinstance(node.layer, Flatten) and not _read_by_rows(graph, node):
            before = tuple(range(len(shapes[0])))
            before = (*before[1:], 0) if node.layer.data_format == "channels_first" else before
            layer, wanted, output = Flatten(), (None if before[0] == 0 else before,), None
        inputs = [_permuted(g, name, at, to) for name, at, to in zip(node.inputs, arrived, wanted, strict=True)]
        arrangements[node.name] = output
        weights |= {f"{node.owner}/{role}": change for role, change in changes.items()}
        g.add_like(node, layer, *inputs)
    return Relayout(g.finish(*graph.outputs), weights, arrangements)


def _moved_input(graph: Graph, node: Node, target: DataFormat) -> Axes | None:
    """How the axes of an input change: as the first layer on images that reads it, and wants another order, has them.

    Between them may be nothing that ends an image.
    """
    waiting = list(graph.readers[node.name])
    while waiting:
        reader = waiting.pop()
        layer = reader.layer.layer if isinstance(reader.layer, TimeDistributed) else reader.layer
        if isinstance(layer, Spatial):
            wanted = reader.layer.moved(target, [None], [node.shape]).inputs[0]
            if isinstance(wanted, tuple):
                return wanted
        elif reader.layer.elementwise or isinstance(reader.layer, BatchNormalization):
            waiting.extend(graph.readers[reader.name])
    return None


def _read_by_rows(graph: Graph, node: Node) -> bool:
    """Whether all that follows a vector until Dense layers does not care for the order of its elements."""
    readers = graph.readers[node.name]
    if not readers or node.name in graph.outputs or any(_is_shared(graph, reader) for reader in readers):
        return False
    return all(
        isinstance(reader.layer, Dense)
        or (
            len(reader.inputs) == 1
            and (reader.layer.elementwise or isinstance(reader.layer, BatchNormalization))
            and _read_by_rows(graph, reader)
        )
        for reader in readers
    )


def _is_shared(graph: Graph, node: Node) -> bool:
    """Whether the weights of a node are used at another place too, where they would have to change alike."""
    return node.shares is not None or any(other.shares == node.name for other in graph)


def _permuted(g: GraphBuilder, name: str, at: Arrangement, to: Arrangement) -> str:
    """A value in the arrangement `to`, where it is in the arrangement `at`; a Permute is put in where they differ."""
    if at == to:
        return name
    assert not isinstance(at, PermuteFlattened), "a reordered vector is read by Dense layers alone"
    assert not isinstance(to, PermuteFlattened)
    size = len(at or to or ())
    axes: Axes = tuple(range(size))
    if at:
        axes = Transpose(at).inverse.axes
    if to:
        axes = tuple(axes[axis] for axis in to)
    permuted = f"{name}_permute"
    while permuted in g.nodes:
        permuted += "_"
    return g.add(permuted, Permute(axes), name)
