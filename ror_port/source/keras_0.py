"""The JSON of Keras 0.x in the words of Keras 1, which `from_config` reads.

Keras 0.x has the class of a layer under ``name``, among its settings, and numbers for names: ``layer_3`` is the fourth
of a Sequential, and of its weights file. A Graph, whose file has one group, becomes a model within a model: a layer
called ``graph`` that has all its weights. So does a Merge in front of a Sequential, which has the weights of its
branches. What is not known here is left as it is, so that it is refused by its name.
Source: Keras 0.2.0 to 0.3.3 (models.py, layers/containers.py, layers/core.py, utils/layer_utils.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ror_port.errors import NotACheckpoint, UnsafeFile, quote
from ror_port.safety import limits

Json = Mapping[str, Any]

SHARED = (None, "sum", "mul", "ave", "concat")
"""How the uses of a shared layer are merged, if they are; its dot products have an axis more than those of a Merge."""


def is_keras_0(config: Any) -> bool:
    """Whether it is the JSON of a model of Keras 0.x."""
    if not isinstance(config, dict):
        return False
    layers = {"Sequential": list, "Graph": dict}.get(str(config.get("name")))
    return layers is not None and isinstance(config.get("layers" if layers is list else "nodes"), layers)


def as_keras_1(config: Json) -> Json:
    """The JSON of a model of Keras 0.x as that of one of Keras 1. Raises NotACheckpoint or UnsafeFile."""
    if config["name"] == "Graph":
        return _around({"graph": _graph(config, "graph", 0)}, _graph_inputs(config))
    layers = {f"layer_{number}": layer for number, layer in enumerate(_layers(config))}
    made = {name: _layer(layer, name, 0) for name, layer in layers.items()}
    shapes = _inputs(next(iter(layers.values()), {}), 0)
    if len(shapes) == 1:
        return {"class_name": "Sequential", "config": list(made.values())}
    return _around(made, [(f"layer_0_input_{number}", shape) for number, shape in enumerate(shapes)])


class _Tensor(NamedTuple):
    """A use of a layer. model: whether that is a model, which in Keras 1 has used up its node 0 on itself."""

    layer: str
    model: bool = False
    call: int = 0
    output: int = 0

    def as_json(self) -> list[Any]:
        return [self.layer, self.call + self.model, self.output]


def _around(layers: Mapping[str, Json], inputs: Sequence[tuple[str, Any]]) -> Json:
    """A model of layers one after the other, of which the first takes all inputs."""
    made = [_input(name, shape) for name, shape in inputs]
    at = [_Tensor(name) for name, _ in inputs]
    for name, layer in layers.items():
        made.append(_called(layer, at))
        outputs = len(layer["config"]["output_layers"]) if layer["class_name"] == "Model" else 1
        at = [_Tensor(name, _is_model(layer), output=number) for number in range(outputs)]
    return _model(made, [_Tensor(name) for name, _ in inputs], at)


def _model(layers: Sequence[Json], inputs: Sequence[_Tensor], outputs: Sequence[_Tensor], name: str = "") -> Json:
    ends = {key: [tensor.as_json() for tensor in tensors] for key, tensors in
            (("input_layers", inputs), ("output_layers", outputs))}  # fmt: skip
    named = {"name": name} if name else {}
    return {"class_name": "Model", **named, "config": {**named, "layers": list(layers), **ends}}


def _called(layer: Json, *calls: Sequence[_Tensor]) -> Json:
    return {**layer, "inbound_nodes": [[tensor.as_json() for tensor in call] for call in calls]}


def _is_model(layer: Json) -> bool:
    return layer["class_name"] in ("Sequential", "Model")


def _input(name: str, shape: Any) -> Json:
    config = {"name": name, "batch_input_shape": shape}
    return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}


def _layer(layer: Json, name: str, depth: int) -> Json:
    """A layer, or a container that is one, under a name. depth: of nesting."""
    if depth > limits.MAX_NESTING:
        raise UnsafeFile(f"models nested more than {limits.MAX_NESTING} deep")
    match layer:
        case {"name": "Sequential"}:
            return _sequential(_listed(layer.get("layers")), name, depth)
        case {"name": "Graph"}:
            return _graph(layer, name, depth)
        case {"name": "Merge", "layers": list()}:
            return _branches(layer, name, depth)
        case {"name": "AutoEncoder", "output_reconstruction": True}:
            return _sequential([layer.get("encoder_config"), layer.get("decoder_config")], name, depth)
        case {"name": "TimeDistributedMerge", "mode": "ave"}:
            left = {key: value for key, value in layer.items() if key not in ("name", "mode")}
            return _layer({"name": "GlobalAveragePooling1D", **left}, name, depth)
    settings = {key: value for key, value in layer.items() if key != "name"}
    if layer["name"] == "TimeDistributed" and _is_layer(layer.get("layer")):
        settings["layer"] = _layer(layer["layer"], name, depth + 1)
    shape = next(iter(_inputs(layer, depth)), None)
    stated = {} if shape is None else {"batch_input_shape": shape}
    return {"class_name": layer["name"], "name": name, "config": {**settings, **stated, "name": name}}


def _sequential(layers: Sequence[Any], name: str, depth: int) -> Json:
    if not all(map(_is_layer, layers)):
        raise NotACheckpoint("not the JSON of a Keras model")
    made = {f"layer_{number}": _layer(layer, f"layer_{number}", depth + 1) for number, layer in enumerate(layers)}
    shapes = _inputs(layers[0], depth + 1) if layers else []
    if len(shapes) < 2:
        return {"class_name": "Sequential", "name": name, "config": list(made.values())}
    return {**_around(made, [(f"layer_0_input_{number}", shape) for number, shape in enumerate(shapes)]), "name": name}


def _branches(merge: Json, name: str, depth: int) -> Json:
    """A Merge with the models or layers whose outputs it merges: each has inputs of its own."""
    made: list[Json] = []
    inputs: list[_Tensor] = []
    ends = []
    for number, branch in enumerate(_layers(merge)):
        key = f"branch_{number}"
        layer = _layer(branch, key, depth + 1)
        shapes = {f"{key}_input_{n}": shape for n, shape in enumerate(_inputs(branch, depth + 1))}
        own = [_Tensor(key) for key in shapes]
        made += [*(_input(key, shape) for key, shape in shapes.items()), _called(layer, own)]
        inputs += own
        ends.append(_Tensor(key, _is_model(layer)))
    made.append(_called(_merge(merge, "merge", merge.get("mode")), ends))
    return _model(made, inputs, [_Tensor("merge")], name)


def _merge(settings: Json, name: str, mode: Any) -> Json:
    stated = {key: settings[key] for key in ("concat_axis", "dot_axes") if key in settings}
    return {"class_name": "Merge", "name": name, "config": {"name": name, "mode": mode, **stated}}


def _graph(graph: Json, name: str, depth: int) -> Json:
    """A Graph, whose nodes are layers in the order of its weights, and may be used by several others."""
    made = [_input(key, shape) for key, shape in _graph_inputs(graph)]
    inputs = [_Tensor(layer["name"]) for layer in made]
    values: dict[str, list[_Tensor]] = {tensor.layer: [tensor] for tensor in inputs}

    def read(*names: Any) -> list[_Tensor]:
        for key in names:
            if not isinstance(key, str) or key not in values:
                raise NotACheckpoint(f"a node of a Graph reads {quote(str(key))}, which is no node before it")
        found = [tensor for key in names for tensor in values[key]]
        if len(found) > limits.MAX_LAYERS:
            raise UnsafeFile(f"a node of more than {limits.MAX_LAYERS} inputs")
        return found

    def merged(settings: Json, key: str, tensors: Sequence[_Tensor]) -> _Tensor:
        label = f"{key}/merge"
        made.append(_called(_merge(settings, label, settings.get("merge_mode", "concat")), tensors))
        return _Tensor(label)

    def taken(settings: Json, key: str) -> _Tensor:
        """What a node or an output is given: several inputs are merged."""
        several = settings.get("inputs")
        if several:
            return merged(settings, key, read(*_listed(several)))
        found = read(settings.get("input"))
        if len(found) != 1:
            raise NotACheckpoint(f"{quote(key)} of a Graph reads a layer that has several outputs")
        return found[0]

    for node in _objects(graph.get("node_config")):
        key = _name(node)
        layer = graph["nodes"].get(key)
        if not _is_layer(layer) or key in values:
            raise NotACheckpoint(f"a Graph without the node {quote(key)}, or with two")
        if layer["name"] == "SiameseHead":
            heads = read(*_listed(node.get("inputs")))
            head = layer.get("head")
            if type(head) is not int or not 0 <= head < len(heads):
                raise NotACheckpoint(f"{quote(key)} of a Graph is output {quote(str(head))}, which there is not")
            values[key] = [heads[head]]
        elif layer["name"] == "Siamese" and _is_layer(layer.get("layer")) and node.get("merge_mode") in SHARED:
            shared = _layer(layer["layer"], key, depth + 1)
            calls = read(*_listed(node.get("inputs")))
            made.append({**_called(shared, *([tensor] for tensor in calls)), "shared": True})
            uses = [_Tensor(key, _is_model(shared), number) for number in range(len(calls))]
            values[key] = uses if node.get("merge_mode") is None else [merged(node, key, uses)]
        else:
            own = _layer(layer, key, depth + 1)
            made.append(_called(own, [taken(node, key)]))
            values[key] = [_Tensor(key, _is_model(own))]
    ends = [taken(output, f"{_name(output)}/output") for output in _objects(graph.get("output_config"))]
    return _model(made, inputs, ends, name)


def _graph_inputs(graph: Json) -> list[tuple[str, Any]]:
    return [(_name(config), _batched(config)) for config in _objects(graph.get("input_config"))]


def _inputs(layer: Json, depth: int) -> list[Any]:
    """The shapes of the inputs of a layer or container."""
    if depth > limits.MAX_NESTING:
        raise UnsafeFile(f"models nested more than {limits.MAX_NESTING} deep")
    match layer:
        case {"name": "Graph"}:
            return [shape for _, shape in _graph_inputs(layer)]
        case {"name": "Merge", "layers": list()}:
            return [shape for branch in _layers(layer) for shape in _inputs(branch, depth + 1)]
        case {"name": "Sequential", "layers": [first, *_]} | {"name": "AutoEncoder", "encoder_config": first}:
            return _inputs(first, depth + 1) if _is_layer(first) else []
    return [_batched(layer)]


def _batched(config: Json) -> Any:
    """The input shape that a layer states, with the batch in front; None where it states none."""
    if config.get("name") == "Embedding":  # its input_shape is the number of words
        return [None, config.get("input_length")]
    shape = config.get("input_shape")
    return [None, *shape] if isinstance(shape, list) else config.get("batch_input_shape")


def _layers(container: Json) -> list[Json]:
    found = _listed(container.get("layers"))
    if not all(map(_is_layer, found)):
        raise NotACheckpoint("not the JSON of a Keras model")
    return found


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > limits.MAX_LAYERS:
        raise NotACheckpoint(f"{quote(str(value))} where a list of layers is expected")
    return value


def _objects(value: Any) -> list[Json]:
    found = _listed(value)
    if not all(isinstance(item, dict) for item in found):
        raise NotACheckpoint("not the JSON of a Keras model")
    return found


def _name(config: Json) -> str:
    name = config.get("name")
    if not isinstance(name, str):
        raise NotACheckpoint("a node of a Graph without a name")
    return name


def _is_layer(layer: Any) -> bool:
    return isinstance(layer, dict) and isinstance(layer.get("name"), str)
