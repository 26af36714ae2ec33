"""Which network a file holds, told by its tensors alone, and which layer of it is which node.

Two witnesses pair layers with nodes. *Names*: Keras numbers automatic names in the order of creation, so the
n-th convolution by number is the n-th that the authors' code made; a layer they named is found by that name.
*Order*: a file lists layers in the order of ``model.layers``, which follows from the graph. Each pair must agree
in kind and in the shape of every tensor; where both witnesses tell, they must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
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
    """A network that fits a file. layers: node → name of its layer in the file. evidence: how they were paired."""

    family: Family
    graph: Graph
    layers: Mapping[str, str]
    evidence: str


class Misfit(NamedTuple):
    """A network that does not fit, and where."""

    family: Family
    differences: tuple[str, ...]


def recognise(layers: Sequence[LayerShape], software: Software, data_format: DataFormat) -> Recognition | Misfit | None:
    """The network that fits the layers, or the nearest one that does not, or None where there is no candidate.

    A network on which both witnesses agree is preferred to one that only one of them supports: by its tensors'
    shapes and numbers alone RoR-3-56 could be a Pre-RoR of 8 blocks a stage; the order of its layers tells.
    Raises NotACheckpoint where two networks are left.
    """
    nearest: Misfit | None = None
    fits: list[tuple[int, Recognition]] = []
    for family in (member for kind in FAMILIES for member in kind.candidates(layers)):
        graph = family.graph(data_format)
        found = _pair(graph, layers, software)
        if isinstance(found, _Pairing):
            fits.append((found.witnesses, Recognition(family, graph, found.layers, found.evidence)))
        elif nearest is None or len(found) < len(nearest.differences):
            nearest = Misfit(family, found)
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


_Pairs = list[tuple[Node | None, LayerShape | None]]


def _pair(graph: Graph, layers: Sequence[LayerShape], software: Software) -> _Pairing | tuple[str, ...]:
    nodes = [node for node in graph if node.parameters]
    canonical = {layer.name: layer for layer in layers}
    if all(software.node_name(node.name) in canonical for node in nodes) and len(nodes) == len(layers):
        named: _Pairs = [(node, canonical[software.node_name(node.name)]) for node in nodes]
        return _checked(named, "layers carry ror-port's own names", witnesses=2)
    by_order: _Pairs = list(zip_longest([node for node in graph.keras_order if node.parameters], layers))
    by_number = _by_number(nodes, layers, software)
    verdicts = [
        _checked(pairs, evidence)
        for pairs, evidence in (
            (by_number, "by the numbers in the layers' names"),
            (by_order, "by the order of the layers in the file"),
        )
        if pairs is not None
    ]
    pairings = [verdict for verdict in verdicts if isinstance(verdict, _Pairing)]
    if not pairings:
        return min((verdict for verdict in verdicts if isinstance(verdict, tuple)), key=len)
    if len(pairings) == 2:
        first, second = pairings
        if first.layers != second.layers:
            node = next(name for name in first.layers if first.layers[name] != second.layers[name])
            raise NotACheckpoint(
                f"the layers contradict themselves: by number {node} is {quote(first.layers[node])}, "
                f"by position {quote(second.layers[node])}, and both have its shapes; the file was altered later"
            )
        return _Pairing(first.layers, "the numbers in the layers' names and their order in the file agree", 2)
    return pairings[0]


def _by_number(nodes: Sequence[Node], layers: Sequence[LayerShape], software: Software) -> _Pairs | None:
    """Pairs by given names and by the numbers of automatic ones; None where a layer has neither."""
    given = {node.original_name: node for node in nodes if node.original_name}
    kinds = {prefix: kind for kind, prefix in software.automatic.items()}
    automatic: dict[type[Layer], list[tuple[int, LayerShape]]] = {kind: [] for kind in weights.KINDS}
    pairs: _Pairs = []
    for layer in layers:
        if layer.name in given:
            pairs.append((given.pop(layer.name), layer))
            continue
        found = re.fullmatch(r"(.+?)(?:_(\d{1,9}))?", layer.name)
        kind = kinds.get(found[1]) if found else None
        if found is None or kind is None:
            return None
        automatic[kind].append((int(found[2] or 0), layer))
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
