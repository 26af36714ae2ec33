"""Which network a file holds, told by its tensors alone, and which layer of it is which node.

Two witnesses pair layers with nodes. *Names*: Keras numbers automatic names in the order of creation, so the
n-th convolution by number is the n-th that the authors' code made; a layer they named is found by that name.
*Order*: a file lists layers in the order of ``model.layers``, which follows from the graph. Each pair must agree
in kind and in the shape of every tensor; where both witnesses can speak they must say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from ror_port.errors import NotACheckpoint, UnknownNetwork, quote
from ror_port.mapping.dialect import Dialect
from ror_port.network.families import FAMILIES, Network
from ror_port.network.families.signature import LayerShape
from ror_port.network.graph import Graph, Kind, Node

SHOWN_DIFFERENCES = 3


class Recognition(NamedTuple):
    """A network that fits a file. layers: node → name of its layer in the file. evidence: how they were paired."""

    network: Network
    graph: Graph
    layers: Mapping[str, str]
    evidence: str


class Misfit(NamedTuple):
    """A network that does not fit, and where."""

    network: Network
    differences: tuple[str, ...]


def recognise(layers: Sequence[LayerShape], dialect: Dialect) -> Recognition | Misfit | None:
    """The network that fits the layers, or the nearest one that does not, or None where nothing comes near.

    A network on which both witnesses agree is preferred to one that only one of them supports: by its tensors'
    shapes and numbers alone RoR-3-56 could be a Pre-RoR of 8 blocks a stage; the order of its layers tells.
    Raises NotACheckpoint where two networks are left.
    """
    nearest: Misfit | None = None
    fits: list[tuple[int, Recognition]] = []
    for family in FAMILIES:
        for network in family.candidates(layers):
            graph = network.graph()
            found = _pair(graph, layers, dialect)
            if isinstance(found, _Pairing):
                fits.append((found.witnesses, Recognition(network, graph, found.layers, found.evidence)))
            elif nearest is None or len(found) < len(nearest.differences):
                nearest = Misfit(network, found)
    if not fits:
        return nearest
    best = [found for witnesses, found in fits if witnesses == max(fit[0] for fit in fits)]
    if len(best) > 1:
        names = " and ".join(found.network.name for found in best)
        raise NotACheckpoint(
            f"{names} both fit these layers, whose names or order were altered; they cannot be told apart"
        )
    return best[0]


def unknown(where: str, misfit: Misfit | None, layers: Sequence[LayerShape]) -> UnknownNetwork:
    """The error for a file that fits no network."""
    kinds = [layer.kind for layer in layers]
    counts = ", ".join(f"{kinds.count(kind)} {_KIND_NAMES[kind]}" for kind in _KIND_NAMES if kind in kinds)
    message = f"{where}: the weights of no known network ({counts or 'no layers with weights'})"
    if misfit:
        shown = "; ".join(misfit.differences[:SHOWN_DIFFERENCES])
        more = len(misfit.differences) - SHOWN_DIFFERENCES
        message += f"; nearest is {misfit.network.name} ({misfit.network.summary}), which differs: {shown}"
        message += f"; and {more} more" if more > 0 else ""
    return UnknownNetwork(message)


@dataclass(frozen=True)
class _Pairing:
    layers: Mapping[str, str]
    evidence: str
    witnesses: int = 1


_KIND_NAMES: Mapping[Kind, str] = {"conv": "convolution", "batch_norm": "BatchNorm", "dense": "Dense"}

_Pairs = list[tuple[Node | None, LayerShape | None]]


def _pair(graph: Graph, layers: Sequence[LayerShape], dialect: Dialect) -> _Pairing | tuple[str, ...]:
    nodes = [node for node in graph if node.kind]
    canonical = {layer.name: layer for layer in layers}
    if all(dialect.own_name(node.name) in canonical for node in nodes) and len(nodes) == len(layers):
        named: _Pairs = [(node, canonical[dialect.own_name(node.name)]) for node in nodes]
        return _checked(named, "layers carry ror-port's own names", witnesses=2)
    by_order: _Pairs = list(zip_longest([node for node in graph.keras_order if node.kind], layers))
    by_number = _by_number(nodes, layers, dialect)
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


def _by_number(nodes: Sequence[Node], layers: Sequence[LayerShape], dialect: Dialect) -> _Pairs | None:
    """Pairs by given names and by the numbers of automatic ones; None where a layer has neither."""
    given = {node.original_name: node for node in nodes if node.original_name}
    automatic: dict[Kind, list[tuple[int, LayerShape]]] = {"conv": [], "batch_norm": [], "dense": []}
    pairs: _Pairs = []
    for layer in layers:
        if layer.name in given:
            pairs.append((given.pop(layer.name), layer))
            continue
        match = re.fullmatch(r"(.+?)(?:_(\d{1,9}))?", layer.name)
        kind = dialect.automatic.get(match[1]) if match else None
        if match is None or kind is None:
            return None
        automatic[kind].append((int(match[2] or 0), layer))
    pairs.extend((node, None) for node in given.values())
    for kind, numbered in automatic.items():
        expected = [node for node in nodes if node.kind == kind and not node.original_name]
        found = [layer for _, layer in sorted(numbered, key=lambda item: item[0])]
        pairs.extend(zip_longest(expected, found))
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
        elif node.kind != layer.kind:
            kind = _KIND_NAMES[layer.kind] if layer.kind else "neither convolution, BatchNorm nor Dense"
            yield f"{node.name} is a {_KIND_NAMES[node.kind]}, but {quote(layer.name)} is {kind}"  # type: ignore[index]
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
