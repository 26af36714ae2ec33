"""Which network a file holds, told by its tensors alone, and which layer of it is which node.

Two witnesses pair layers with nodes. *Names*: Keras numbers automatic names in the order of creation, so the
n-th convolution by number is the n-th that the authors' code made; a layer they named is found by that name.
*Order*: a file lists layers in the order of ``model.layers``, which follows from the graph. Each pair must agree
in kind and in the shape of every tensor. Where both witnesses tell, they must agree; where one of them is lost, because
layers were renamed or sorted, what is left of it must not contradict the other.

Up to Keras 1.0.7 layers of one depth were listed by their names, since then as the graph is walked (engine/topology.py
of 1.0.7 and 1.0.8): where the two differ, the order tells which it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import NamedTuple

from ror_port.errors import NotACheckpoint, UnknownNetwork, quote
from ror_port.layout import DataFormat
from ror_port.mapping import weights
from ror_port.mapping.software import Software
from ror_port.network.families import FAMILIES, Family
from ror_port.network.families.signature import LayerShape
from ror_port.network.graph import Graph, Node
from ror_port.network.layers import Layer

SHOWN_DIFFERENCES = 3


class Recognition(NamedTuple):
    """A network that fits a file. layers: node → name of its layer in the file. evidence: how they were paired.

    by_name: whether layers of one depth are in the order of their names, as up to Keras 1.0.7; None where that order
    and the later one are the same, or neither is the file's.
    """

    family: Family
    graph: Graph
    layers: Mapping[str, str]
    evidence: str
    by_name: bool | None = None


class Misfit(NamedTuple):
    """A network that does not fit, and where."""

    family: Family
    differences: tuple[str, ...]


def recognise(layers: Sequence[LayerShape], software: Software, data_format: DataFormat) -> Recognition | Misfit | None:
    """The network that fits the layers, or the nearest one that does not, or None where there is no candidate.

    A network on which both witnesses agree is preferred to one that only one of them supports: by its tensors'
    shapes and numbers alone RoR-3-56 could be a Pre-RoR of 8 blocks a stage; the order of its layers tells.
    Raises NotACheckpoint where two networks are left, or none but one that the layers' names and order contradict.
    """
    nearest: Misfit | None = None
    contradictions: list[str] = []
    fits: list[tuple[int, Recognition]] = []
    for family in (member for kind in FAMILIES for member in kind.candidates(layers)):
        found = _pair(family.graph(), layers, software)  # in any data format: what it pairs by is the same in each
        if isinstance(found, _Pairing):
            graph = family.graph(data_format)
            fits.append((found.witnesses, Recognition(family, graph, found.layers, found.evidence, found.by_name)))
        elif isinstance(found, str):
            contradictions.append(found)
        elif nearest is None or len(found) < len(nearest.differences):
            nearest = Misfit(family, found)
    if not fits and contradictions:
        raise NotACheckpoint(contradictions[0])
    if not fits:
        return nearest
    best = [found for witnesses, found in fits if witnesses == max(fit[0] for fit in fits)]
    if len(best) > 1:
        names = " and ".join(found.family.name for found in best)
        raise NotACheckpoint(
            f"{names} both fit these layers, whose names or order were altered; they cannot be told apart"
        )
    return best[0]


NEAR = 0.25
"""Share of a network's layers that may differ from a file's for it to be named as the nearest one."""


def unknown(where: str, misfit: Misfit | None, layers: Sequence[LayerShape]) -> UnknownNetwork:
    """The error for a file that fits no network."""
    kinds = [layer.kind for layer in layers]
    counts = [f"{kinds.count(kind)} {kind.__name__}" for kind in weights.KINDS if kind in kinds]
    others = [layer for layer in layers if layer.kind is None]
    if others:
        shapes = ", ".join(_shape(shape) for shape in others[0].shapes.values())
        counts.append(f"{len(others)} of other kinds, the first {quote(others[0].name)} with weights {shapes}")
    message = f"{where}: the weights of no known network ({'; '.join(counts)}), and no architecture with them"
    if misfit and len(misfit.differences) <= NEAR * len(layers):
        shown = "; ".join(misfit.differences[:SHOWN_DIFFERENCES])
        more = len(misfit.differences) - SHOWN_DIFFERENCES
        message += f"; nearest is {misfit.family.name} ({misfit.family.summary}), which differs: {shown}"
        message += f"; and {more} more" if more > 0 else ""
    return UnknownNetwork(message)


@dataclass(frozen=True)
class _Pairing:
    layers: Mapping[str, str]
    evidence: str
    witnesses: int = 1
    by_name: bool | None = None


_Pairs = list[tuple[Node | None, LayerShape | None]]


def _pair(graph: Graph, layers: Sequence[LayerShape], software: Software) -> _Pairing | tuple[str, ...] | str:
    """The layer of each node; or where a network differs; or, as one text, in what names and order contradict it."""
    nodes = [node for node in graph if node.parameters]
    canonical = {layer.name: layer for layer in layers}
    if all(software.node_name(node.name) in canonical for node in nodes) and len(nodes) == len(layers):
        named: _Pairs = [(node, canonical[software.node_name(node.name)]) for node in nodes]
        return _checked(named, "layers carry ror-port's own names", witnesses=2)
    listed = [node for node in graph.keras_order if node.parameters]
    by_order = _checked(list(zip_longest(listed, layers)), "by the order of the layers in the file")
    numbered = _by_number(nodes, layers, software)
    by_number = _checked(numbered, "by the numbers in the layers' names") if numbered is not None else ()
    if isinstance(by_number, _Pairing):
        return _ordered(graph, layers, by_number, by_order)
    if isinstance(by_order, _Pairing):
        return _numbers_contradict(nodes, layers, by_order, software) or by_order
    return min(filter(None, (by_number, by_order)), key=len)


def _ordered(
    graph: Graph, layers: Sequence[LayerShape], by_number: _Pairing, by_order: _Pairing | tuple[str, ...]
) -> _Pairing | str:
    """A pairing by numbers with what the order of the layers says of it."""
    found, node_of = [layer.name for layer in layers], {layer: node for node, layer in by_number.layers.items()}
    creation = [by_number.layers[node.name] for node in graph if node.name in by_number.layers]
    by_name = sorted(found, key=lambda name: (-graph.depths[node_of[name]], name))
    agreed = "the numbers in the layers' names and their order in the file agree"
    if isinstance(by_order, _Pairing) and by_order.layers == by_number.layers:
        return _Pairing(by_number.layers, agreed, 2, None if found == by_name else False)
    if found == by_name:
        return _Pairing(by_number.layers, f"{agreed}, as up to Keras 1.0.7", 2, by_name=True)
    if isinstance(by_order, _Pairing):
        first, second = by_number.layers, by_order.layers
        node = next(name for name in first if first[name] != second[name])
        return (
            f"the layers contradict themselves: by number {node} is {quote(first[node])}, "
            f"by position {quote(second[node])}, and both have its shapes; the file was altered later"
        )
    if found in (sorted(found), creation):
        return by_number
    listed = [by_number.layers[node.name] for node in graph.keras_order if node.name in by_number.layers]
    position = next(i for i, (name, expected) in enumerate(zip(found, listed, strict=True)) if name != expected)
    return (
        f"the layers contradict themselves: by the numbers in their names {quote(listed[position])} comes "
        f"{position + 1}. in the file, where {quote(found[position])} is; the file was altered later"
    )


def _numbers_contradict(
    nodes: Sequence[Node], layers: Sequence[LayerShape], by_order: _Pairing, software: Software
) -> str | None:
    """In what those names that nobody changed contradict the pairing by order; None where they do not.

    The numbers of a kind count its layers as they were created, or as the file lists them.
    """
    node_of = {layer: node for node, layer in by_order.layers.items()}
    creation = {node.name: index for index, node in enumerate(nodes)}
    for node in nodes:
        if node.original_name in node_of and node_of[node.original_name] != node.name:
            other = by_order.layers[node.name]
            return (
                f"the layers contradict themselves: by name {node.name} is {quote(node.original_name)}, by position "
                f"{quote(other)}; the file was altered later"
            )
    numbered: dict[type[Layer], list[tuple[int, str]]] = {}
    for layer in layers:
        if found := _automatic(layer.name, software):
            numbered.setdefault(found[0], []).append((found[1], layer.name))
    if all(kind == sorted(kind) for kind in numbered.values()):
        return None
    for kind in numbered.values():
        for (_, one), (_, other) in pairwise(sorted(kind)):
            if creation[node_of[one]] > creation[node_of[other]]:
                return (
                    f"the layers contradict themselves: by number {quote(one)} comes before {quote(other)}, by "
                    f"position they are {node_of[one]} and {node_of[other]}; the file was altered later"
                )
    return None


def _automatic(name: str, software: Software) -> tuple[type[Layer], int] | None:
    """The kind and the number in a name that Keras gave; None for other names."""
    found = re.fullmatch(r"(.+?)(?:_(\d{1,9}))?", name)
    kind = next((kind for kind, prefix in software.automatic.items() if found and prefix == found[1]), None)
    return (kind, int(found[2] or 0)) if found and kind else None


def _by_number(nodes: Sequence[Node], layers: Sequence[LayerShape], software: Software) -> _Pairs | None:
    """Pairs by given names and by the numbers of automatic ones; None where a layer has neither."""
    given = {node.original_name: node for node in nodes if node.original_name}
    automatic: dict[type[Layer], list[tuple[int, LayerShape]]] = {kind: [] for kind in weights.KINDS}
    pairs: _Pairs = []
    for layer in layers:
        if layer.name in given:
            pairs.append((given.pop(layer.name), layer))
            continue
        found = _automatic(layer.name, software)
        if found is None:
            return None
        automatic[found[0]].append((found[1], layer))
    pairs.extend((node, None) for node in given.values())
    for kind, numbered in automatic.items():
        expected = [node for node in nodes if type(node.layer) is kind and not node.original_name]
        sorted_layers = [layer for _, layer in sorted(numbered, key=lambda item: item[0])]
        pairs.extend(zip_longest(expected, sorted_layers))
    return pairs


def _checked(pairs: _Pairs, evidence: str, witnesses: int = 1) -> _Pairing | tuple[str, ...]:
    differences = tuple(_differences(pairs))
    if differences:
        return differences
    return _Pairing({node.name: layer.name for node, layer in pairs if node and layer}, evidence, witnesses)


def _differences(pairs: _Pairs) -> Iterator[str]:
    for node, layer in pairs:
        if node is None:
            assert layer is not None
            yield f"the file's {quote(layer.name)} has no place in it"
        elif layer is None:
            yield f"{node.name} is missing"
        elif type(node.layer) is not layer.kind:
            kind = layer.kind.__name__ if layer.kind else "of another kind"
            yield f"{node.name} is {type(node.layer).__name__}, but {quote(layer.name)} is {kind}"
        else:
            expected = {parameter.role: parameter.shape for parameter in node.parameters}
            for role in dict.fromkeys((*expected, *layer.shapes)):
                if expected.get(role) != layer.shapes.get(role):
                    yield (
                        f"{node.name} expects {role} {_shape(expected.get(role))}, "
                        f"{quote(layer.name)} has {_shape(layer.shapes.get(role))}"
                    )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "×".join(map(str, shape)) if shape is not None else "none"
