"""What Keras 3 makes of masks: other ones than Keras 1 and 2 where several meet, and operations of the network.

Source: Keras 3.15, ``compute_mask`` of its layers, layers/layer.py, ops/function.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ror_port.errors import UnknownNetwork
from ror_port.network.graph import Graph, Node
from ror_port.network.layers import (
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Dot,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Masking,
    Maximum,
    Minimum,
    Multiply,
    Reverse,
    Softmax,
    TimeDistributed,
)
from ror_port.network.layers.layer import KerasLayer, Mask
from ror_port.network.layers.recurrent import Recurrent


def given(graph: Graph) -> dict[str, Mask]:
    """Node → the mask that it must be given as an argument, as today's Keras would give it another one, or none.

    Where masks meet, a step counts there if any of them says so, and where one is missing there is none; nor has a
    layer one that is given its initial state. A product has 1 for what does not count, a maximum and a minimum another
    input's value. Raises UnknownNetwork for these, where it shows.
    """
    found: dict[str, Any] = {}
    stated: dict[str, Mask] = {}
    for node in graph:
        masks = [found[name] for name in node.inputs]
        if any(masks) and isinstance(node.layer, MERGED_OTHERWISE) and graph.shows_masked_steps(node.name):
            kind = type(node.layer).__name__
            raise UnknownNetwork(f"{node.name}: a {kind} of masked sequences is another in today's Keras")
        if getattr(node.layer, "has_mask", False):
            wanted = graph[node.inputs[0]].mask
            if masks[0] != wanted or (len(node.inputs) > 1 and isinstance(node.layer, Recurrent)):
                stated[node.name] = wanted
        if node.name in stated or node.mask == (node.name,):
            found[node.name] = node.mask
        elif not node.mask or len(set(masks)) > 1:
            found[node.name] = () if not node.mask or () in masks else tuple(masks)
        else:
            found[node.name] = masks[0]
    return stated


MERGED_OTHERWISE = (Multiply, Maximum, Minimum)


def ensure_alike(graph: Graph, given_masks: Collection[str]) -> None:
    """Raises UnknownNetwork where a network of Keras 3 has other masks than its graph: that has those of Keras 1 and 2.

    given_masks: nodes that are given theirs as an argument.
    """
    for name in given(graph):
        if name not in given_masks:
            raise UnknownNetwork(f"{name}: where masks meet, or one is missing, Keras 3 has another one; not supported")
    for node in graph:
        both = isinstance(node.layer, Bidirectional) and node.layer.has_mask and node.layer.layer.return_sequences
        if both and graph.shows_masked_steps(node.name):
            raise UnknownNetwork(f"{node.name}: a masked Bidirectional of Keras 3 gives zeros where no step counts")


def plain_softmax(node: Node) -> KerasLayer | None:
    """A softmax of a masked sequence: the Softmax of Keras 3 would apply the mask along its axis."""
    if not isinstance(node.layer, Softmax) or not node.mask:
        return None
    if node.layer.axis != len(node.shape):
        raise UnknownNetwork(f"{node.name}: a softmax of a masked sequence along its steps cannot be written to Keras")
    return KerasLayer("Activation", {"activation": "softmax"})


def layer_order(graph: Graph) -> tuple[Node, ...]:
    """As ``model.layers`` of Keras 3 lists them: operations that make a mask are part of the network there.

    Where a layer is given a mask, what that is made of lies as many operations deeper.
    """
    stated = given(graph)
    masks: dict[str, Made] = {}
    taken: dict[str, Made] = {}
    for node in graph:
        before = [masks[name] for name in node.inputs]
        if node.name in stated:
            before[0] = _joint([_mask(graph[maker], []) for maker in stated[node.name]])
        masks[node.name] = _mask(node, before)
        if isinstance(node.layer, TAKE_MASKS):
            taken[node.name] = before[0]
    return graph.ordered(taken)


TAKE_MASKS = (Recurrent, Bidirectional, TimeDistributed, BatchNormalization, GlobalAveragePooling1D)
"""Layers that Keras 3 gives the mask of their input."""

Made = Mapping[str, int]
"""What a mask is made of: node → how many operations, at most, lie between its output and the mask."""


def _mask(node: Node, masks: Sequence[Made]) -> Made:
    """Of the mask of its output in Keras 3; empty where it has none. masks: of its inputs."""
    layer, (result, _) = node.layer, node.layer.result or (0, 1)
    match layer:
        case Embedding():
            return {node.inputs[0]: 1} if layer.mask_zero else {}
        case Masking():
            return {node.inputs[0]: 2}
        case Recurrent() | Bidirectional():
            inner = layer.layer if isinstance(layer, Bidirectional) else layer
            state = isinstance(layer, Recurrent) and result > 0
            return masks[0] if inner.return_sequences and not state else {}
        case Dot() | Reverse() | GlobalAveragePooling1D() | Input():
            return {}
        case Concatenate() if any(masks):
            parts = [
                _longest({source: 2}, _deeper(mask, 2)) if mask else {source: 1}
                for source, mask in zip(node.inputs, masks, strict=True)
            ]
            return _deeper(_longest(*parts), 2)
    if not all(masks):
        return {}
    return _joint(masks)


def _joint(masks: Sequence[Made]) -> Made:
    """Of several masks, joined one after the other."""
    made, *others = masks
    for mask in others:
        made = _deeper(_longest(made, mask), 1)
    return made


def _longest(*made: Made) -> Made:
    return {source: max(each.get(source, 0) for each in made) for source in dict.fromkeys(s for m in made for s in m)}


def _deeper(made: Made, count: int) -> Made:
    return {source: number + count for source, number in made.items()}
