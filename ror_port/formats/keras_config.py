"""A graph as the architecture JSON of Keras: stock layers only, no framework needed to write it.

Follows what ``keras.Model.get_config`` gives in Keras 3.15 and in Keras 2.3. `ror_port.models` holds the same
networks as code; a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ror_port.formats import keras_masks
from ror_port.layout import Extent, extent
from ror_port.mapping.software import KERAS_3, snake_case
from ror_port.network.graph import Graph, Node
from ror_port.network.layers import Masking
from ror_port.network.layers.layer import Mask


class Tensor(NamedTuple):
    """A result of one call of a layer. shape: with the batch, as None unless the network is stateful."""

    layer: str
    call: int
    shape: Extent
    result: int = 0
    is_mask: bool = False


class Layer(NamedTuple):
    """A stock Keras layer, or an operation. calls: its inputs at each place where it is used. shape: of its output at
    the first.

    merges: whether its inputs are one list; else those behind the first are the states that it begins with.
    masks: at each place the mask that it is given as an argument. constants: further arguments of an operation.
    """

    class_name: str
    name: str
    config: Mapping[str, Any]
    calls: list[tuple[Tensor, ...]]
    shape: Extent
    merges: bool
    masks: list[Tensor | None]
    constants: tuple[float, ...] = ()


class Model(NamedTuple):
    """layers: in the order of ``model.layers``, and behind them the operations that masks are made by."""

    layers: list[Layer]
    inputs: list[Tensor]
    outputs: list[Tensor]
    dtype: str


def model(graph: Graph, dtype: str) -> Model:
    """A graph of stock layers as a Keras model."""
    stated = keras_masks.given(graph)
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
            shape = (graph.batch, *extent(node.shape))
            layers[name] = Layer(layer.class_name, name, config, [], shape, node.layer.merges, [])
    masks = _Masks(graph, tensors, set(names.values()))
    for node in graph:
        if node.inputs and graph.calls[node.name] == node.name:
            layers[names[node.owner]].calls.append(tuple(tensors[source] for source in node.inputs))
            layers[names[node.owner]].masks.append(masks.of(stated.get(node.name, ())))
    ends = ([tensors[node.name] for node in graph.inputs], [tensors[name] for name in graph.outputs])
    return Model([*layers.values(), *masks.operations], *ends, dtype)


class _Masks:
    """The operations by which masks are made that a layer is given as an argument.

    tensors: node → what stands for it. taken: names of layers.
    """

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor], taken: set[str]) -> None:
        self.graph, self.tensors, self.taken = graph, tensors, taken
        self.operations: list[Layer] = []
        self.made: dict[Mask, Tensor] = {}

    def of(self, mask: Mask) -> Tensor | None:
        """The mask of the nodes that make it, all of which must agree; None where there are none."""
        joined = None
        for number, maker in enumerate(mask, 1):
            if (maker,) not in self.made:
                self.made[maker,] = self._by(self.graph[maker])
            made = self.made[maker,]
            if joined is not None and mask[:number] not in self.made:
                self.made[mask[:number]] = self._add("LogicalAnd", made.layer, (joined, made), made.shape)
            joined = self.made[mask[:number]]
        return joined

    def _by(self, maker: Node) -> Tensor:
        """As Embedding and Masking make them in Keras."""
        source, layer = self.tensors[maker.inputs[0]], maker.layer
        name = self.tensors[maker.name].layer
        if not isinstance(layer, Masking):
            return self._add("NotEqual", name, (source,), source.shape, (0,))
        unequal = self._add("NotEqual", name, (source,), source.shape, (layer.mask_value,))
        return self._add("Any", name, (unequal,), source.shape[:-1], axis=-1)

    def _add(
        self,
        kind: str,
        name: str,
        given: tuple[Tensor, ...],
        shape: Extent,
        constants: tuple[float, ...] = (),
        **config: int,
    ) -> Tensor:
        name = f"{name}_{snake_case(kind)}"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        self.operations.append(Layer(kind, name, {"name": name, **config}, [given], shape, False, [None], constants))
        return Tensor(name, 0, shape, is_mask=True)


OPERATIONS = {"Flip", "NotEqual", "Any", "LogicalAnd"}
"""What is stated as an operation of Keras 3, and is no layer."""


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

    def tensor(t: Tensor) -> dict[str, Any]:
        kind = "bool" if t.is_mask else model.dtype
        history = {"shape": list(t.shape), "dtype": kind, "keras_history": [t.layer, t.call, t.result]}
        return {"class_name": "__keras_tensor__", "config": history}

    def entry(layer: Layer) -> dict[str, Any]:
        config = dict(layer.config)
        if layer.class_name == "InputLayer":
            config["batch_shape"] = config.pop("batch_input_shape")
        nodes: list[dict[str, Any]] = []
        for call, mask in zip(layer.calls, layer.masks, strict=True):
            tensors = [tensor(t) for t in call]
            if layer.class_name in OPERATIONS:
                nodes.append({"args": [*tensors, *layer.constants], "kwargs": {}})
                continue
            more: dict[str, Any] = {"initial_state": tensors[1:]} if len(tensors) > 1 and not layer.merges else {}
            if mask is not None:
                more["mask"] = tensor(mask)
            nodes.append({"args": [tensors] if layer.merges else tensors[:1], "kwargs": more})
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
        return _operation(made) if layer.class_name in OPERATIONS else made

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
