"""A graph as the architecture JSON of Keras: stock layers only, no framework needed to write it.

Follows what ``keras.Model.get_config`` gives in Keras 3.15 and in Keras 2.3. `ror_port.models` holds the same
networks as code; a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ror_port.formats import keras_masks
from ror_port.layout import Extent, extent
from ror_port.mapping.software import KERAS_3
from ror_port.network.graph import Graph


class Tensor(NamedTuple):
    """A result of one call of a layer. shape: with the batch, as None unless the network is stateful."""

    layer: str
    call: int
    shape: Extent
    result: int = 0


class Layer(NamedTuple):
    """A stock Keras layer. calls: its inputs at each place where it is used. shape: of its output at the first.

    merges: whether its inputs are one list; else those behind the first are the states that it begins with.
    """

    class_name: str
    name: str
    config: Mapping[str, Any]
    calls: list[tuple[Tensor, ...]]
    shape: Extent
    merges: bool


class Model(NamedTuple):
    """layers: in the order of ``model.layers``."""

    layers: list[Layer]
    inputs: list[Tensor]
    outputs: list[Tensor]


def model(graph: Graph, dtype: str) -> Model:
    """A graph of stock layers as a Keras model."""
    keras_masks.ensure_same(graph)
    names = KERAS_3.names(graph)
    tensors: dict[str, Tensor] = {}
    calls: dict[str, int] = {}
    layers: dict[str, Layer] = {}
    for node in graph:
        name, first = names[node.owner], graph.calls[node.name]
        if first == node.name:
            calls[name] = calls.get(name, -1) + 1
        call = calls[name] if first == node.name else tensors[first].call
        result, _ = node.layer.result or (0, 1)
        tensors[node.name] = Tensor(name, call, (graph.batch, *extent(node.shape)), result)
    for node in keras_masks.layer_order(graph):
        name = names[node.owner]
        if name not in layers:
            layer = keras_masks.plain_softmax(node) or node.layer.to_keras()
            config = {"name": name, "dtype": dtype, **_within(layer.config, dtype)}
            layers[name] = Layer(
                layer.class_name, name, config, [], (graph.batch, *extent(node.shape)), node.layer.merges
            )
    for node in graph:
        if node.inputs and graph.calls[node.name] == node.name:
            layers[names[node.owner]].calls.append(tuple(tensors[source] for source in node.inputs))
    ends = ([tensors[node.name] for node in graph.inputs], [tensors[name] for name in graph.outputs])
    return Model(list(layers.values()), *ends)


def _within(config: Mapping[str, Any], dtype: str) -> Mapping[str, Any]:
    """The configuration of a layer, with the precision of a layer within it."""
    inner = config.get("layer")
    if inner is None:
        return config
    return {**config, "layer": {**inner, "config": {"dtype": dtype, **_within(inner["config"], dtype)}}}


def keras_2(model: Model, name: str) -> dict[str, Any]:
    """``model_config`` of Keras 2, which Keras 3 reads as well."""
    return {
        "class_name": "Model",
        "config": {
            "name": name,
            "layers": [
                {
                    "class_name": layer.class_name,
                    "name": layer.name,
                    "config": dict(layer.config),
                    "inbound_nodes": [[[t.layer, t.call, t.result, {}] for t in call] for call in layer.calls],
                }
                for layer in model.layers
            ],
            "input_layers": _ends(model.inputs),
            "output_layers": _ends(model.outputs),
        },
    }


def keras_3(model: Model, name: str) -> dict[str, Any]:
    """``config.json`` of the ``.keras`` format."""

    def tensor(t: Tensor, dtype: str) -> dict[str, Any]:
        history = {"shape": list(t.shape), "dtype": dtype, "keras_history": [t.layer, t.call, t.result]}
        return {"class_name": "__keras_tensor__", "config": history}

    def entry(layer: Layer) -> dict[str, Any]:
        config = dict(layer.config)
        if layer.class_name == "InputLayer":
            config["batch_shape"] = config.pop("batch_input_shape")
        nodes: list[dict[str, Any]] = []
        for call in layer.calls:
            tensors = [tensor(t, config["dtype"]) for t in call]
            states = {"initial_state": tensors[1:]} if len(tensors) > 1 and not layer.merges else {}
            nodes.append({"args": [tensors] if layer.merges else tensors[:1], "kwargs": states})
        shapes = [list(t.shape) for t in layer.calls[0]] if layer.calls else []
        build = {"build_config": {"input_shape": shapes if layer.merges else shapes[0]}} if shapes else {}
        made = {
            "module": "keras.layers",
            "class_name": layer.class_name,
            "config": config,
            "registered_name": None,
            **build,
            "name": layer.name,
            "inbound_nodes": nodes,
        }
        return _operation(made) if layer.class_name == "Flip" else made

    inputs, outputs = _ends(model.inputs), _ends(model.outputs)
    shapes = [list(t.shape) for t in model.inputs]
    return {
        "module": "keras.src.models.functional",  # not a public name, but what every Keras 3 writes
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": True,
            "layers": [entry(layer) for layer in model.layers],
            "input_layers": inputs[0] if len(inputs) == 1 else inputs,
            "output_layers": outputs[0] if len(outputs) == 1 else outputs,
        },
        "registered_name": "Functional",
        "build_config": {"input_shape": shapes[0] if len(shapes) == 1 else shapes},
    }


def _operation(layer: dict[str, Any]) -> dict[str, Any]:
    """As Keras 3 states an operation that is no layer: it has no precision, and nothing to build."""
    config = {name: value for name, value in layer["config"].items() if name != "dtype"}
    return {
        **{k: v for k, v in layer.items() if k != "build_config"},
        "module": "keras.src.ops.numpy",
        "config": config,
    }


def _ends(tensors: Iterable[Tensor]) -> list[list[Any]]:
    """The inputs or outputs of a model."""
    return [[t.layer, t.call, t.result] for t in tensors]
