"""A graph as the architecture JSON of Keras: stock layers only, no framework needed to write it.

Follows what ``keras.Model.get_config`` gives in Keras 3.15 and in Keras 2.3. `ror_port.models` holds the same
networks as code; a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ror_port.mapping.keras import keras_layer_name
from ror_port.network.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Graph,
    Input,
    MaxPool,
    Node,
    Pad,
    Pool,
    Relu,
    Softmax,
)


class Layer(NamedTuple):
    """A stock Keras layer. shape: of its output, with the batch as None, in the model's data format."""

    class_name: str
    name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    shape: tuple[int | None, ...]


def layers(graph: Graph, *, dtype: str, channels_first: bool) -> list[Layer]:
    """The layers of a graph in the order of ``model.layers``."""
    return [_layer(node, dtype, channels_first) for node in graph.keras_order]


def _layer(node: Node, dtype: str, channels_first: bool) -> Layer:
    data_format = "channels_first" if channels_first else "channels_last"
    height_width_channels = node.shape
    shape: tuple[int | None, ...] = (None, *height_width_channels)
    if channels_first and len(height_width_channels) == 3:
        height, width, channels = height_width_channels
        shape = (None, channels, height, width)
    operation = node.operation
    config: dict[str, Any]
    match operation:
        case Input():
            class_name, config = "InputLayer", {"batch_input_shape": list(shape)}
        case Conv():
            class_name = "Conv2D"
            config = {
                "filters": operation.filters,
                "kernel_size": [operation.size] * 2,
                "strides": [operation.stride] * 2,
                "padding": "valid" if operation.padding == "valid" else "same",
                "data_format": data_format,
                "use_bias": operation.bias,
                "kernel_initializer": operation.initializer,
            }
        case Pad():
            class_name, config = "ZeroPadding2D", {"padding": operation.size, "data_format": data_format}
        case BatchNorm():
            class_name = "BatchNormalization"
            config = {
                "axis": 1 if channels_first else -1,
                "momentum": operation.momentum,
                "epsilon": operation.epsilon,
            }
        case Relu():
            class_name, config = "Activation", {"activation": "relu"}
        case Dropout():
            class_name, config = "Dropout", {"rate": operation.rate}
        case Add():
            class_name, config = "Add", {}
        case Pool():
            class_name = {MaxPool: "MaxPooling2D", AveragePool: "AveragePooling2D"}[type(operation)]
            size = [operation.size] * 2
            config = {"pool_size": size, "strides": size, "padding": "valid", "data_format": data_format}
        case Flatten():
            class_name, config = "Flatten", {"data_format": data_format}
        case Dense():
            class_name, config = "Dense", {"units": operation.units, "kernel_initializer": operation.initializer}
        case Softmax():
            class_name, config = "Softmax", {}
        case _:
            raise TypeError(f"no Keras layer for {operation}")
    name = keras_layer_name(node.name)
    inputs = tuple(keras_layer_name(source) for source in node.inputs)
    return Layer(class_name, name, {"name": name, "dtype": dtype, **config}, inputs, shape)


def keras_2(layers: Sequence[Layer], name: str) -> dict[str, Any]:
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
            "input_layers": [[layers[0].name, 0, 0]],
            "output_layers": [[layers[-1].name, 0, 0]],
        },
    }


def keras_3(layers: Sequence[Layer], name: str) -> dict[str, Any]:
    """``config.json`` of the ``.keras`` format."""
    by_name = {layer.name: layer for layer in layers}

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
        merges = layer.class_name == "Add"
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
            "input_layers": [layers[0].name, 0, 0],
            "output_layers": [layers[-1].name, 0, 0],
        },
        "registered_name": "Functional",
        "build_config": {"input_shape": list(layers[0].shape)},
    }
