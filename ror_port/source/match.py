"""Whether a stored architecture is a network that was recognised: compared node by node, every setting and every edge.

Free is only what a family leaves to its Keras: epsilon, momentum and rule of a BatchNormalization, a Dropout, and the
initialisers of fresh weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from ror_port.errors import quote
from ror_port.network.graph import Graph, GraphBuilder, Node
from ror_port.network.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dropout,
    Flatten,
    Layer,
    Softmax,
    ZeroPadding2D,
)

IDLE = Activation("linear")


def match(expected: Graph, stated: Graph, paired: Mapping[str, str]) -> Graph | str:
    """The family's graph with the settings that the architecture states; or the first difference, in words.

    paired: node of the family with weights → node of the stated graph. A stated network may end before the softmax.
    """
    if len(stated.outputs) != 1 or len(stated.inputs) != 1:
        return f"it has {len(stated.inputs)} inputs and {len(stated.outputs)} outputs"
    end = _real(stated, stated.output.name)
    if not isinstance(end.layer, Softmax):
        expected = expected.until(expected.logits)
    found: dict[str, Node] = {}
    signatures = _signatures(expected, dict(paired)), _signatures(stated, {name: name for name in paired.values()})
    waiting = [(expected.output, end)]
    while waiting:
        node, other = waiting.pop()
        if node.name in found:
            if found[node.name] != other:
                return f"{node.name} is {quote(found[node.name].name)} in one place and {quote(other.name)} in another"
            continue
        found[node.name] = other
        sources = [_real(stated, name) for name in other.inputs]
        if paired.get(node.name, other.name) != other.name:
            return f"{node.name} has the weights of {quote(paired[node.name])} and the place of {quote(other.name)}"
        if _padded_apart(node, other, sources, stated):
            sources = [_real(stated, sources[0].inputs[0])]
        elif problem := _difference(node.layer, other):
            return problem
        inputs = [_real(expected, name) for name in node.inputs]
        if len(inputs) != len(sources):
            return f"{quote(other.name)} has {len(sources)} inputs where {node.name} has {len(inputs)}"
        if isinstance(node.layer, Add):  # a sum of two is the same in either order
            ours, theirs = (
                [side[n.name] for n in nodes] for side, nodes in zip(signatures, (inputs, sources), strict=True)
            )
            if sorted(ours) == sorted(theirs):
                inputs.sort(key=lambda n: signatures[0][n.name])
                sources.sort(key=lambda n: signatures[1][n.name])
        waiting.extend(zip(inputs, sources, strict=True))
    return _adopted(expected, found)


def _real(graph: Graph, name: str) -> Node:
    """The node itself, or what it hands on unchanged."""
    node = graph[name]
    while isinstance(node.layer, Dropout) or node.layer == IDLE:
        node = graph[node.inputs[0]]
    return node


def _signatures(graph: Graph, names: Mapping[str, str]) -> dict[str, int]:
    """Of each node, a number that two nodes share where their layers' kinds, weights and sources are the same."""
    found: dict[str, int] = {}
    for node in graph:
        sources = tuple(sorted(found[_real(graph, name).name] for name in node.inputs))
        found[node.name] = hash((type(node.layer).__name__, names.get(node.name), sources))
    return found


def _padded_apart(node: Node, other: Node, sources: list[Node], stated: Graph) -> bool:
    """Whether a stated convolution has its zeros from a layer of their own, as Keras on TensorFlow needs them."""
    if not isinstance(node.layer, Conv2D) or not isinstance(other.layer, Conv2D) or other.layer.padding != "valid":
        return False
    if len(sources) != 1 or not isinstance(pad := sources[0].layer, ZeroPadding2D):
        return False
    (shape,) = stated.shapes(sources[0])
    same = replace(other.layer, padding=node.layer.padding)
    zeros = pad.sides == node.layer.zeros(shape) and pad.data_format == node.layer.data_format
    return zeros and _difference(node.layer, other._replace(layer=same)) is None


_FREE = {"initializer", "epsilon", "momentum", "divisor"}


def _difference(layer: Layer, other: Node) -> str | None:
    """The first setting in which a stated layer is not the expected one, in words."""
    name, found = quote(other.name), other.layer
    if type(found) is not type(layer):
        return f"{name} is {_words(found)} where {_words(layer)} is expected"
    for setting in fields(layer):
        ours, theirs = getattr(layer, setting.name), getattr(found, setting.name)
        if isinstance(layer, Conv2D) and setting.name == "padding" and {ours, theirs} == {"half", "same"}:
            continue  # trained on TensorFlow
        if isinstance(layer, Flatten) and setting.name == "data_format":
            continue  # Keras 2.2 put the channels last of its own accord
        if ours != theirs and setting.name not in _FREE:
            return f"{name} has {setting.name} {theirs} where {ours} is expected"
    return None


def _words(layer: Layer) -> str:
    kind = type(layer).__name__
    return f"{kind}({layer.function})" if isinstance(layer, Activation) else kind


def _adopted(expected: Graph, found: Mapping[str, Node]) -> Graph:
    """The family's graph with what the architecture states of the free settings."""
    g = GraphBuilder(list(expected.taps))
    for node in expected:
        layer, other = node.layer, found[node.name].layer if node.name in found else None
        if isinstance(layer, BatchNormalization) and isinstance(other, BatchNormalization):
            layer = replace(layer, epsilon=other.epsilon, momentum=other.momentum, divisor=other.divisor)
        elif isinstance(layer, Conv2D) and isinstance(other, Conv2D) and other.padding == "same":
            layer = replace(layer, padding="same")
        elif isinstance(layer, Flatten) and isinstance(other, Flatten):
            layer = other
        g.add(node.name, layer, *node.inputs, original_name=node.original_name)
    return g.finish(*expected.outputs)
