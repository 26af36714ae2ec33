"""A graph as the architecture JSON of Keras: stock layers only, no framework needed to write it.

Follows what ``keras.Model.get_config`` gives in Keras 3.15 and in Keras 2.3. `ror_port.models` holds the same
networks as code; a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ror_port.mapping.software import keras_layer_name
from ror_port.network.graph import Graph


class Layer(NamedTuple):
    """A stock Keras layer. shape: of its output, with the batch as None."""

    class_name: str
    name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    shape: tuple[int | None, ...]
    merges: bool


def layers(graph: Graph, dtype: str) -> list[Layer]:
    """The layers of a graph in the order of ``model.layers``."""
    found = []
    for node in graph.keras_order:
        layer = node.layer.to_keras()
        name = keras_layer_name(node.name)
        config = {"name": name, "dtype": dtype, **layer.config}
        inputs = tuple(keras_layer_name(source) for source in node.inputs)
        found.append(Layer(layer.class_name, name, config, inputs, (None, *node.shape), node.layer.merges))
    return found


def keras_2(graph: Graph, layers: Sequence[Layer], name: str) -> dict[str, Any]:
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
                    "inbound_nodes": [[[source, 0, 0, {}] for source in layer.inputs]] if layer.inputs else [],
                }
                for layer in layers
            ],
            "input_layers": _ends(node.name for node in graph.inputs),
            "output_layers": _ends(graph.outputs),
        },
    }


def keras_3(graph: Graph, layers: Sequence[Layer], name: str) -> dict[str, Any]:
    """``config.json`` of the ``.keras`` format."""
    by_name = {layer.name: layer for layer in layers}
    inputs, outputs = _ends(node.name for node in graph.inputs), _ends(graph.outputs)
    shapes = [[None, *node.shape] for node in graph.inputs]

    def tensor(source: str) -> dict[str, Any]:
        layer = by_name[source]
        history = {"shape": list(layer.shape), "dtype": layer.config["dtype"], "keras_history": [source, 0, 0]}
        return {"class_name": "__keras_tensor__", "config": history}

    def entry(layer: Layer) -> dict[str, Any]:
        config = dict(layer.config)
        if layer.class_name == "InputLayer":
            config["batch_shape"] = config.pop("batch_input_shape")
        shapes = [list(by_name[source].shape) for source in layer.inputs]
        tensors = [tensor(source) for source in layer.inputs]
        merges = layer.merges
        nodes: list[Any] = [{"args": [tensors] if merges else tensors, "kwargs": {}}] if tensors else []
        build = {"build_config": {"input_shape": shapes if merges else shapes[0]}} if shapes else {}
        return {
            "module": "keras.layers",
            "class_name": layer.class_name,
            "config": config,
            "registered_name": None,
            **build,
            "name": layer.name,
            "inbound_nodes": nodes,
        }

    return {
        "module": "keras.src.models.functional",  # not a public name, but what every Keras 3 writes
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": True,
            "layers": [entry(layer) for layer in layers],
            "input_layers": inputs[0] if len(inputs) == 1 else inputs,
            "output_layers": outputs[0] if len(outputs) == 1 else outputs,
        },
        "registered_name": "Functional",
        "build_config": {"input_shape": shapes[0] if len(shapes) == 1 else shapes},
    }


def _ends(nodes: Iterable[str]) -> list[list[Any]]:
    """The inputs or outputs of a model."""
    return [[keras_layer_name(name), 0, 0] for name in nodes]
