"""Back to the file that a network came in: the same architecture, names and layouts, with the numbers of today.

A format has the network in other words: in another order of axes, in layers that Keras 3 has, with the gammas and betas
that PyTorch needs, without a last softmax. The original is put into these words as on the way there. If that is the
network at hand, node by node, its parameters go back by the same rearrangements, inverted; else it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ror_port.convert.remainders import restored
from ror_port.errors import NotACheckpoint, UnknownNetwork, quote
from ror_port.formats.checkpoint import KERAS_0
from ror_port.formats.format import Original
from ror_port.layout import SAME, Arranged, Layout
from ror_port.mapping.engine import Entry
from ror_port.mapping.software import KERAS_1
from ror_port.network.graph import Graph, Parameter
from ror_port.network.layers import BatchNormalization
from ror_port.network.relayout import Relayout
from ror_port.source import original as original_file
from ror_port.source.port import Port, stored_variance


class Form(NamedTuple):
    """The original's network in the words of a format; its parameters are in the original's order.

    changes: name of a parameter of the original → layout, original → there. nodes: of the graph → of the port's.
    scaled: whether the weights of some gates are multiplied there, see `Layer.factors`.
    """

    graph: Graph
    changes: Mapping[str, Layout]
    nodes: Mapping[str, str]
    scaled: bool = False


def parameters(port: Port, original: Port) -> Iterator[tuple[Parameter, Arranged]]:
    """The port's numbers as parameters of the original, in its order and its own canonical form.

    Raises UnknownNetwork where the port's network is not the original's, or has weights that it has no place for.
    """
    form = _form(port, original)
    if form is None:
        raise UnknownNetwork(f"{port.checkpoint.path}: {_difference(port, original)}")
    left = {parameter.name: parameter for parameter in port.canonical_graph.parameters}
    places = [left.pop(f"{form.nodes[p.node]}/{p.role}") for p in form.graph.parameters]
    for parameter in left.values():
        if (port.canonical(parameter).array() != (parameter.role == "gamma")).any():
            where = f"{port.checkpoint.path}: {quote(parameter.node)}"
            raise UnknownNetwork(f"{where}: was trained to have a {parameter.role}, which the original has not")
    held = dict(zip((p.name for p in original.canonical_graph.parameters), places, strict=True))
    return _as_kept(port, original, form, held)


def _as_kept(
    port: Port, original: Port, form: Form, places: Mapping[str, Parameter]
) -> Iterator[tuple[Parameter, Arranged]]:
    """places: canonical parameter of the original → that of the port. The gates of Keras 1 are taken apart again."""
    remainders = port.original.get("remainders", {}) if port.original else {}
    if not isinstance(remainders, dict):
        raise NotACheckpoint(f"{port.checkpoint.path}: the remainders that it carries are not what ror-port wrote")
    for node in original.graph:
        own = {parameter.role: parameter for parameter in node.parameters}
        found: dict[str, Arranged] = {}
        for parameter in original.canonical_graph[node.name].parameters:
            there = port.canonical(places[parameter.name])
            factors = parameter.layer.factors(parameter.role) if form.scaled else ()
            if factors:
                carried = remainders.get(parameter.name)
                there = Arranged.of(restored(there.array(), factors, carried, str(port.checkpoint.path)))
            arranged = form.changes.get(parameter.name, SAME).inverse.applied(there)
            pieces = node.layer.pieces(parameter.role)
            parts = np.split(arranged.array(), len(pieces), -1) if len(pieces) > 1 else []
            found |= {piece: Arranged.of(part) for piece, part in zip(pieces, parts, strict=False)}
            if not parts:
                found[parameter.role] = stored_variance(own[parameter.role], arranged)
        yield from ((own[role], found[role]) for role in own)


def original(back: Port) -> Original:
    """The file that is written, of the port that `Port.returned` gave."""
    entries = []
    for parameter in back.graph.parameters:
        tensor = back.stored[parameter.name]
        layout = back.convention.layout(parameter, tensor.shape)
        group = "" if back.checkpoint.writer == KERAS_0 else f"{back.layers[parameter.node]}/"
        entries.append(Entry(parameter, f"{group}{tensor.name}", layout))
    return Original(back.checkpoint, original_file.is_model(back.checkpoint, back.convention.software), entries)


def opening(back: Port, path: Path) -> str:
    """How the written file is opened: code, and in which Keras."""
    generation = "1" if back.convention.software is KERAS_1 else "2"
    generation = "0.3" if back.checkpoint.writer == KERAS_0 else generation
    keras = f"Keras {back.checkpoint.keras_version or generation} on Theano"
    if original(back).full:
        return f"keras.models.load_model({str(path)!r}), in {keras}"
    return f"model.load_weights({str(path)!r}), in {keras}, once the model is built"


def statement(port: Port, back: Port) -> dict[str, Any]:
    """What the written file states of itself: what it does not state by its form, as the original did."""
    stated, carried = port.statement(), port.original or {}
    found = {key: stated[key] for key in ("ror_port", "source", "facts")}
    if not back.other_norms:  # else its BatchNormalizations are of another rule than ours
        found["network"] = stated["network"]
    if "graph" in back.checkpoint.stated:
        found["graph"] = back.checkpoint.stated["graph"]
    if given := {key: value for key, value in original_file.stated(back.given).items() if key != "backend"}:
        found["given"] = given
    if back.checkpoint.config is not None and not original_file.is_model(back.checkpoint, back.convention.software):
        found["original"] = carried
    return found


def plain(graph: Graph) -> Graph:
    """With a gamma and a beta for every BatchNormalization: PyTorch and ONNX have both or none."""
    return graph.map(lambda layer: layer.plain if isinstance(layer, BatchNormalization) else layer)


def _difference(port: Port, original: Port) -> str:
    """Why a network is not what the original computes on Theano."""
    elsewhere = port.original_on("tensorflow")
    if _form(port, elsewhere) is not None:
        for node in elsewhere.graph:
            if node.name not in original.graph or original.graph[node.name].layer != node.layer:
                return f"{node.name} pads as TensorFlow's 'same' does, which Theano has no mode for"
    return "is not the network of the original that it carries; one of them was altered later"


def _form(port: Port, original: Port) -> Form | None:
    graph, canonical = port.canonical_graph, original.canonical_graph
    moves = Relayout(canonical, {}, {}), original.relayout("channels_last"), original.relayout("channels_first")
    for moved in moves:
        for form, scaled in _forms(moved.graph):
            for end in (form, form.until(*map(form.before_softmax, form.outputs))):
                nodes = _paired(end, graph) or _paired(plain(end), graph)
                if nodes is not None:
                    return Form(form, moved.weights, nodes, scaled)
    return None


def _forms(graph: Graph) -> Iterator[tuple[Graph, bool]]:
    """A graph as it is, in layers of today, and of Keras 3, where these have it; whether it is that of Keras 3."""
    yield graph, False
    for form, keras in ((graph.of_today, False), (graph.for_keras, True)):
        try:
            yield form(), keras
        except UnknownNetwork:
            continue


def _paired(graph: Graph, other: Graph) -> dict[str, str] | None:
    """Node → node of another graph, where the two are the same but for their names and the order of their nodes."""
    found: dict[str, str] = {}
    waiting = list(zip((n.name for n in graph.inputs), (n.name for n in other.inputs), strict=False))
    waiting += zip(graph.outputs, other.outputs, strict=False)
    while waiting:
        name, there = waiting.pop()
        if name in found:
            if found[name] != there:
                return None
            continue
        found[name] = there
        waiting += zip(graph[name].inputs, other[there].inputs, strict=False)
    alike = len(found) == len(set(found.values())) == len(graph.nodes) == len(other.nodes)
    ends = len(graph.inputs) == len(other.inputs) and tuple(map(found.get, graph.outputs)) == other.outputs
    if not alike or not ends:
        return None
    for node in graph:
        twin = other[found[node.name]]
        sources = tuple(map(found.get, node.inputs)), found.get(node.owner)
        if (node.layer, node.shape, *sources) != (twin.layer, twin.shape, twin.inputs, twin.owner):
            return None
    return found
