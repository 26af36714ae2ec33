"""Which tensor of a file is which parameter of its network, be it recognised or stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ror_port.errors import NotACheckpoint, UnknownNetwork, quote
from ror_port.formats.checkpoint import Checkpoint, StoredLayer, StoredTensor
from ror_port.layout import DataFormat, varies
from ror_port.mapping import weights
from ror_port.mapping.convention import Convention
from ror_port.mapping.software import Software, by_order
from ror_port.network.families import Family
from ror_port.network.families.signature import LayerShape
from ror_port.network.graph import Graph, Parameter
from ror_port.network.layers import Dropout, Layer
from ror_port.network.layers.spatial import Spatial
from ror_port.network.relayout import relayout
from ror_port.source import provenance
from ror_port.source.from_config import Stated, stored_layers
from ror_port.source.match import match
from ror_port.source.provenance import Fact, Given
from ror_port.source.recognise import Misfit, Recognition, recognise


class Paired(NamedTuple):
    """A network and where its weights are. layers: node with weights → layer of the file.

    family: None where the architecture is no family's; difference: the first from the family that its tensors fit.
    """

    family: Family | None
    graph: Graph
    layers: Mapping[str, str]
    difference: str
    facts: tuple[Fact, ...]
    stored: Mapping[str, StoredTensor]


def as_recognised(
    checkpoint: Checkpoint,
    software: Software,
    found: Recognition,
    stated: Stated | None,
    given: Given,
    data_format: DataFormat,
) -> Paired:
    """The family's network, unless an architecture is stated that is another one; a family has images of one size."""
    if stated is not None and any(varies(node.shape) for node in stated.graph.inputs):
        return Paired(None, stated.graph, {}, f"{found.family.name} but for this: sizes of its input vary", (), {})
    family = _sized(checkpoint, found, stated, given, data_format)
    if stated is None:
        rate = provenance.number(
            checkpoint.stated_network.get("dropout", 0.0), f"{checkpoint.path}: {checkpoint.stated_where}"
        )
        graph = family.graph(data_format, rate)
    else:
        rates = [node.layer.rate for node in stated.graph if isinstance(node.layer, Dropout)]
        node_of = {layer: node for node, layer in reversed(list(stated.layers.items()))}
        missing = [layer for layer in found.layers.values() if layer not in node_of]
        paired = {node: node_of.get(layer, "") for node, layer in found.layers.items()}
        expected = family.graph(data_format, max(rates, default=0.0))
        matched = f"it has no layer {quote(missing[0])}" if missing else match(expected, stated.graph, paired)
        if not isinstance(matched, str):
            try:
                family.settings(matched)
            except ValueError as error:
                matched = str(error)
        if isinstance(matched, str):
            return Paired(None, stated.graph, {}, f"{family.name} but for this: {matched}", (), {})
        graph = matched
    facts = (
        Fact("network", family.name, "inferred", f"shapes of {len(graph.parameters)} tensors: {family.summary}"),
        Fact("pairing", f"{len(found.layers)} layers", "inferred", found.evidence),
    )
    by_role = {layer.name: _by_role(layer, checkpoint, software) for layer in checkpoint.weighted}
    stored = {p.name: by_role[found.layers[p.node]][p.role] for p in graph.parameters}
    return Paired(family, graph, found.layers, "", facts, stored)


def as_stated(checkpoint: Checkpoint, stated: Stated, convention: Convention, difference: str) -> Paired:
    """The network of a stored architecture. Layers are paired by name, and each checked by kind and shape.

    Raises NotACheckpoint where the file's weights are not those of the architecture.
    """
    where, graph = f"{checkpoint.path}: {checkpoint.config_where}", stated.graph
    in_file = {layer.name: layer for layer in checkpoint.weighted}
    expected = stated.parameters_of_layers()
    for surplus in in_file.keys() - expected.keys():
        raise NotACheckpoint(f"{where}: has no layer {quote(surplus)}, whose weights the file holds")
    stored = {}
    for name, parameters in expected.items():
        if name not in in_file:
            raise NotACheckpoint(f"{where}: the file has no weights of its layer {quote(name)}")
        tensors = _in_order(in_file[name], parameters, convention.software)
        if len(tensors) != len(parameters):
            raise NotACheckpoint(
                f"{where}: layer {quote(name)} expects {len(parameters)} weights, the file has {len(tensors)}"
            )
        for parameter, tensor in zip(parameters, tensors, strict=True):
            shape = convention.layout(parameter, tensor.shape).shape(parameter.shape)
            if tensor.shape != shape:
                raise NotACheckpoint(
                    f"{where}: layer {quote(name)} expects {parameter.role} {_sizes(shape)}, the file has "
                    f"{_sizes(tensor.shape)}"
                )
            stored[parameter.name] = tensor
    evidence = checkpoint.config_where + (f"; its tensors fit {difference}" if difference else "")
    facts = (Fact("network", layer_count(checkpoint, graph), "recorded", evidence),)
    layers = {node.name: stated.layers[node.name] for node in graph if node.parameters}
    return Paired(None, graph, layers, difference, facts, stored)


def layer_count(checkpoint: Checkpoint, graph: Graph) -> str:
    """How many layers a network has, in words: as its architecture lists them, where it is stated in Keras' words."""
    count = len(stored_layers(checkpoint.config)) if checkpoint.config is not None else len(graph.nodes)
    return f"{count:,} layer{'s' if count > 1 else ''}"


def _in_order(layer: StoredLayer, parameters: Sequence[Parameter], software: Software) -> Sequence[StoredTensor]:
    """The tensors of a layer in the order of its parameters: as the file lists them, or by their names."""
    if software.ordered:
        _ensure_names_agree(layer, parameters, software)
        return layer.tensors
    by_name = {tensor.name: tensor for tensor in layer.tensors}
    names = [software.weight_name(weights.row(p.layer, p.role), layer.name) for p in parameters]
    return [by_name[name] for name in names if name in by_name] if len(by_name) == len(names) else layer.tensors


def _ensure_names_agree(layer: StoredLayer, parameters: Sequence[Parameter], software: Software) -> None:
    """Raises NotACheckpoint where a weight is called as another one of its layer is."""
    words = [getattr(weights.row(p.layer, p.role), software.column) for p in parameters]
    for word, parameter, name in zip(words, parameters, layer.weights, strict=False):
        found = software.role_in_name(name)
        if found is not None and found != word and found in words:
            raise NotACheckpoint(
                f"layer {quote(layer.name)}: its weights contradict themselves: {quote(name)} stands where Keras keeps "
                f"the {parameter.role}"
            )


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def data_formats(stated: Stated | None, origin: provenance.Origin, theano: bool) -> tuple[DataFormat, ...]:
    """Data formats that the file may have: the one of its architecture, else those that its software leaves open."""
    layers = [node.layer for node in stated.graph if isinstance(node.layer, Spatial)] if stated else []
    found = {layer.data_format for layer in layers if layer.rank > 1}
    return tuple(sorted(found)) if found else provenance.orderings(origin.software, origin.version, theano)


def _sized(
    checkpoint: Checkpoint, found: Recognition, stated: Stated | None, given: Given, data_format: DataFormat
) -> Family:
    """The recognised network for images of the size that is given or stated; its Dense layer must still fit."""
    family = found.family
    shape = family.input_shape
    if given.size:
        shape = (given.size, given.size, shape[2])
    elif stated and len(stated.graph.inputs) == 1 and len(stated.graph.input.shape) == 3:
        height, width, channels = relayout(stated.graph, "channels_last").graph.input.shape
        shape = height, width, channels
    elif stored := checkpoint.stated_network.get("input_shape"):
        shape = _shape(stored, f"{checkpoint.path}: {checkpoint.stated_where}")
    sized = replace(family, input_shape=shape)
    size = _sizes(shape)
    try:
        graph = sized.graph(data_format)
    except ValueError as error:
        raise UnknownNetwork(f"{checkpoint.path}: {family.name} takes no images of {size}: {error}") from None
    if [parameter.shape for parameter in graph.parameters] != [p.shape for p in found.graph.parameters]:
        raise UnknownNetwork(f"{checkpoint.path}: images of {size} do not lead to the Dense layer that the file has")
    return sized


def _shape(value: Any, where: str) -> tuple[int, int, int]:
    if not isinstance(value, list) or len(value) != 3 or not all(type(n) is int and 0 < n < 1 << 16 for n in value):
        raise NotACheckpoint(f"{where}: {quote(str(value))} where an input shape is expected")
    height, width, channels = value
    return height, width, channels


def best_fit(
    checkpoint: Checkpoint, software: Software, formats: tuple[DataFormat, ...]
) -> tuple[Recognition | Misfit | None, DataFormat, list[LayerShape]]:
    """The first data format under which a network fits; else the one that comes nearest."""
    attempts = []
    for data_format in formats:
        layers = [_shapes(layer, checkpoint, software, data_format) for layer in checkpoint.weighted]
        try:
            found = recognise(layers, software, data_format)
        except NotACheckpoint:
            if not checkpoint.counted:  # else the order of its layers is no witness
                raise
            found = None
        if isinstance(found, Recognition):
            return found, data_format, layers
        attempts.append((found, data_format, layers))
    return min(attempts, key=lambda attempt: len(attempt[0].differences) if attempt[0] else 1 << 30)


def _shapes(layer: StoredLayer, checkpoint: Checkpoint, software: Software, data_format: DataFormat) -> LayerShape:
    """A layer's shapes as they would be in canonical form, where its images are in a data format."""
    told = _roles(layer, checkpoint, software)
    if told is None:
        return LayerShape(layer.name, None, {tensor.name: tensor.shape for tensor in layer.tensors})
    kind, roles = told
    shapes = {}
    for role, tensor in zip(roles, layer.tensors, strict=True):
        weight = weights.of_layer(kind)[role]
        axes, *_ = software.stored_axes(weight, data_format)
        fits = len(axes) == len(tensor.shape)
        shapes[role] = tuple(tensor.shape[axes.index(axis)] for axis in weight.axes) if fits else tensor.shape
    return LayerShape(layer.name, kind, shapes)


def _roles(
    layer: StoredLayer, checkpoint: Checkpoint, software: Software
) -> tuple[type[Layer], tuple[str, ...]] | None:
    """The kind of a layer and the roles of its weights; None where no kind of layer has such weights.

    In Keras' files order and shape decide, as they do for Keras itself; names must not contradict them. Elsewhere
    names decide.
    """
    shapes = [tensor.shape for tensor in layer.tensors]
    if not software.ordered:
        return software.by_names(layer.name, layer.weights, shapes)
    told = by_order(shapes)
    if told is None:
        return None
    kind, roles = told
    rows = weights.of_layer(kind)
    for role, name in zip(roles, layer.weights, strict=True):
        word, expected = software.role_in_name(name), getattr(rows[role], software.column)
        if word is not None and word != expected and word in {getattr(row, software.column) for row in rows.values()}:
            raise NotACheckpoint(
                f"{checkpoint.path}: layer {quote(layer.name)}: its weights contradict themselves: {quote(name)} "
                f"stands where Keras keeps the {role}"
            )
    return told


def _by_role(layer: StoredLayer, checkpoint: Checkpoint, software: Software) -> dict[str, StoredTensor]:
    told = _roles(layer, checkpoint, software)
    return dict(zip(told[1], layer.tensors, strict=True)) if told else {}


def ensure_unswapped(checkpoint: Checkpoint, software: Software) -> None:
    """Raises NotACheckpoint where layers hold each other's weights, by what these are called.

    A layer that was renamed, or built twice in a session, has weights under another name, but not layers in a circle.
    """
    named = {layer.name: software.layer_in_name(layer.weights[0]) for layer in checkpoint.weighted}
    elsewhere = {layer: owner for layer, owner in named.items() if owner in named and owner != layer}
    for layer in elsewhere:
        at: str | None = layer
        for _ in range(len(elsewhere)):
            at = elsewhere.get(at) if at else None
            if at == layer:
                raise NotACheckpoint(
                    f"{checkpoint.path}: layers contradict themselves: {quote(layer)} holds weights that are called "
                    f"after {quote(str(elsewhere[layer]))}, and the other way round; the file was altered later"
                )


def ensure_as_many(checkpoint: Checkpoint) -> None:
    """Raises NotACheckpoint where an architecture has not the layers of a file whose layers have numbers for names."""
    assert checkpoint.config is not None
    listed = [layer for layer in stored_layers(checkpoint.config) if layer["class_name"] != "InputLayer"]
    if len(listed) != len(checkpoint.layers):
        where = f"{checkpoint.path}: {checkpoint.config_where}"
        raise NotACheckpoint(f"{where}: lists {len(listed)} layers, the file has {len(checkpoint.layers)}")


def ensure_listed_alike(checkpoint: Checkpoint, stated: Stated) -> None:
    """Raises NotACheckpoint where layers of one class are in another order in the architecture than the weights are.

    Keras pairs them by their order, and their names must not contradict it. Of all genuine files they agree.
    """
    held = checkpoint.counted or [layer.name for layer in checkpoint.weighted]
    for kind, names in stated.listed.items():
        listed = [name for name in dict.fromkeys(names) if name in held]
        for name, other in zip(listed, (layer for layer in held if layer in names), strict=True):
            if name != other:
                raise NotACheckpoint(
                    f"{checkpoint.path}: {checkpoint.config_where}: lists the {kind} {quote(name)} where the weights "
                    f"are those of {quote(other)}; the file was altered later"
                )
