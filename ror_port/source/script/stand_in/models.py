"""Models that note what they are made of, and state it as Keras' own to_json does. Training and saving do nothing.

Source: Keras 0.3.3 (models.py), 1.2.2 and 2.2.4 (models.py, engine/topology.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np

from ror_port.source.script.stand_in.inert import Inert
from ror_port.source.script.stand_in.layers import Layer, Node, Tensor, plain
from ror_port.source.script.stand_in.session import Misuse, Session

USES = (
    "compile", "fit", "fit_generator", "evaluate", "evaluate_generator", "predict", "predict_generator",
    "predict_classes", "predict_proba", "predict_on_batch", "train_on_batch", "test_on_batch", "load_weights",
    "save_weights", "save", "summary", "to_json", "to_yaml", "reset_states",
)  # fmt: skip
"""Methods by whose call a script shows that a model is whole."""


class Network(Layer):
    """What models have in common. used: of how many layers it was made when it was used last."""

    calls_before = 1
    layers: list[Any]

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.used = -1
        self.made_at = self.session.place()
        self.chosen = False
        self.saved: list[dict[str, Any]] = []
        """What the model was when the script saved it."""

    @property
    def finished(self) -> bool:
        return self.used == len(self.layers)

    def stated(self) -> dict[str, Any]:
        """The model as JSON; with the version of its Keras and the backend, where they are known."""
        found = {"class_name": self.kind, "config": self.get_config()}
        if self.session.release_known:
            found["keras_version"] = ".".join(map(str, self.session.version))
            if self.session.generation == 2:
                found["backend"] = self.session.backend
        return found

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        if isinstance(name, int):
            name, index = None, name
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise Misuse(f"{self.name} has no layer {name!r}")

    def to_json(self, **settings: Any) -> str:
        self.used = len(self.layers)
        return json.dumps(self.stated())

    def predict(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Numbers of the right shape, all alike, as nothing is computed."""
        self.used = len(self.layers)
        try:
            shapes = self.output_shapes(self.inputs, {})
            count = len(x[0] if isinstance(x, list) else x)
            found = [np.full((count, *(size or 1 for size in shape[1:])), 1 / (shape[-1] or 1)) for shape in shapes]
            return found[0] if len(found) == 1 else found
        except (Misuse, TypeError, ValueError):
            return Inert()

    predict_proba = predict_on_batch = predict

    @property
    def inputs(self) -> Any:
        raise NotImplementedError

    @property
    def weights(self) -> list[Any]:
        return []

    trainable_weights = non_trainable_weights = weights


def _using(name: str) -> Callable[..., Any]:
    def method(self: Network, *args: Any, **kwargs: Any) -> Any:
        self.used = len(self.layers)
        if name in ("save_weights", "save"):
            with suppress(Misuse):
                self.saved.append(self.stated())
        return Inert()

    method.__name__ = name
    return method


for _name in USES:
    if _name not in vars(Network):
        setattr(Network, _name, _using(_name))


class Model(Network):
    """A graph of layers between tensors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        old, new = {"input", "output"} & kwargs.keys(), {"inputs", "outputs"} & kwargs.keys()
        if new and self.session.generation < 2:
            raise Misuse("Model of Keras 1 takes input and output, not inputs and outputs")
        names = ("input", "output", "name") if old else ("inputs", "outputs", "name")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        super().__init__(given.get("name"))
        self._inputs, self.outputs = _listed(given.get(names[0])), _listed(given.get(names[1]))
        for tensor in (*self._inputs, *self.outputs):
            if not isinstance(tensor, Tensor):
                raise Misuse(f"a Model of a {type(tensor).__name__}, which no layer gave")
        self.input_names = [tensor.node.layer.name for tensor in self._inputs]
        self.output_names = [tensor.node.layer.name for tensor in self.outputs]
        self.nodes, self.layers = container(self._inputs, self.outputs)
        self._made = tuple(self.layers), tuple(self.outputs)
        self.inbound_nodes.append(Node(self, self._inputs, len(self.outputs), {}))
        self.session.models.append(self)

    @property
    def finished(self) -> bool:
        return True

    @property
    def inputs(self) -> list[Tensor]:
        return self._inputs

    @property
    def input(self) -> Any:
        return self._inputs[0] if len(self._inputs) == 1 else self._inputs

    @property
    def output(self) -> Any:
        outputs = list(self._made[1])  # whatever the script puts in its place
        return outputs[0] if len(outputs) == 1 else outputs

    def output_count(self) -> int:
        return len(self._made[1])

    def get_config(self) -> dict[str, Any]:
        if (tuple(self.layers), tuple(self.outputs)) != self._made:
            raise Misuse(f"the layers or outputs of {self.name} were changed by hand, which Keras follows in part")
        places = {
            node: place
            for layer in self.layers
            for place, node in enumerate(
                (n for n in layer.inbound_nodes if n in self.nodes), 1 if isinstance(layer, Network) else 0
            )
        }
        listed = []
        for layer in self.layers:
            calls = [
                [self._tensor(tensor, places, node) for tensor in node.inputs]
                for node in layer.inbound_nodes
                if node in self.nodes and node.inputs and not (isinstance(layer, Network) and node.layer is not layer)
            ]
            listed.append(
                {
                    "name": layer.name,
                    "class_name": layer.class_name,
                    "config": layer.get_config(),
                    "inbound_nodes": calls,
                }
            )
        return {
            "name": self.name,
            "layers": listed,
            "input_layers": [self._tensor(tensor, places) for tensor in self._inputs],
            "output_layers": [self._tensor(tensor, places) for tensor in self.outputs],
        }

    def _tensor(self, tensor: Tensor, places: Mapping[Node, int], of: Node | None = None) -> list[Any]:
        if tensor.node not in places:
            raise Misuse(f"{self.name} reads what {tensor.node.layer.name} gave somewhere else")
        found: list[Any] = [tensor.node.layer.name, places[tensor.node], tensor.number]
        if of is not None and self.session.generation == 2:
            found.append(_as_json(of.arguments))
        return found


def _as_json(arguments: Mapping[str, Any]) -> Any:
    """The arguments of a call; Keras 2 leaves out all of them where one cannot be written."""
    try:
        return plain(dict(arguments)) if all(not callable(value) for value in arguments.values()) else {}
    except Misuse:
        return {}


def _listed(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def container(inputs: Iterable[Tensor], outputs: Iterable[Tensor]) -> tuple[set[Node], list[Layer]]:
    """The calls that lead from inputs to outputs, and their layers in the order in which Keras lists them.

    That is by their distance from the outputs, the farthest first; among equals as the graph is walked from there.
    """
    inputs = list(inputs)
    ordered: list[Node] = []
    order: dict[Layer, int] = {}
    done: set[Node] = set()
    waiting: list[tuple[Node, int]] = [(tensor.node, 0) for tensor in reversed(list(outputs))]
    ends = {tensor.node for tensor in inputs}
    while waiting:
        node, at = waiting.pop()
        if at == 0:
            if node in done:
                continue
            done.add(node)
            order.setdefault(node.layer, len(order))
        sources = [] if node in ends else node.inputs
        if at < len(sources):
            waiting.append((node, at + 1))
            if sources[at].node not in done:
                waiting.append((sources[at].node, 0))
            continue
        ordered.append(node)
    depths: dict[Node, int] = {}
    layer_depths: dict[Layer, int] = {}
    for node in reversed(ordered):
        depth = max(depths.setdefault(node, 0), layer_depths.get(node.layer, 0))
        layer_depths[node.layer] = depths[node] = depth
        for tensor in [] if node in ends else node.inputs:
            depths[tensor.node] = max(depth + 1, depths.get(tensor.node, 0))
    for tensor in inputs:
        if tensor.node.layer not in order:
            raise Misuse(f"{tensor.node.layer.name} is an input of a Model and leads to none of its outputs")
    for node in ordered:
        if not node.inputs and node not in ends:
            raise Misuse(f"a Model whose outputs need {node.layer.name}, which is none of its inputs")
    return done, sorted(order, key=lambda layer: (-layer_depths[layer], order[layer]))


class Sequential(Network):
    """Layers one after the other."""

    def __init__(self, layers: Any = None, name: str | None = None) -> None:
        super().__init__(name)
        self.layers = []
        self.outputs: list[Any] = []
        self._input: Tensor | None = None
        self.session.models.append(self)
        for layer in layers or []:
            self.add(layer)

    def add(self, layer: Any) -> None:
        if not isinstance(layer, Layer):
            raise Misuse(f"a {type(layer).__name__} is added to a Sequential; a layer is expected")
        if not self.session.generation:
            self.layers.append(layer)
            return
        if not self.layers:
            self._begin(layer)
        elif self.outputs:
            self.outputs = [layer(self.outputs[0])]
        self.layers.append(layer)
        if self.inbound_nodes:
            self.inbound_nodes[0].outputs = self._own_node().outputs

    def _ensure_chain(self) -> None:
        """Raises Misuse where the list of layers was changed by hand, and is not what leads to the output."""
        if not self.outputs or not self.layers:
            return
        linked = (
            any(before is source for node in layer.inbound_nodes for source in node.inbound_layers)
            for before, layer in pairwise(self.layers)
        )
        if not all(linked) or list(self.outputs) != self._end(self.layers[-1]):
            raise Misuse(
                f"the layers of {self.name} were changed by hand, which Keras follows in part; use pop and add"
            )

    @staticmethod
    def _end(layer: Layer) -> list[Tensor]:
        return layer.inbound_nodes[-1].outputs[:1] if layer.inbound_nodes else []

    def _begin(self, layer: Layer) -> None:
        if layer.inbound_nodes and not isinstance(layer, Network):
            self.outputs = layer.inbound_nodes[-1].outputs[-1:]
            self._input = layer.inbound_nodes[-1].inputs[0] if layer.inbound_nodes[-1].inputs else self.outputs[0]
            return
        shape = first_shape(layer)
        if shape is None:
            if self.session.generation == 1:
                raise Misuse(f"{layer.name}, the first of a Sequential, states no input_shape")
            return
        given = {"batch_input_shape": shape, "name": f"{layer.name}_input", "dtype": layer.input_dtype}
        made = self.session_layers["InputLayer"](**given)
        self._input = made.output
        self.outputs = [layer(made.output)]

    session_layers: Mapping[str, Any] = {}

    def pop(self) -> None:
        self.layers.pop()
        last = self.layers[-1] if self.layers else None
        self.outputs = last.inbound_nodes[-1].outputs[:1] if last is not None and last.inbound_nodes else []

    @property
    def inputs(self) -> list[Any]:
        first = self.layers[0] if self.layers else None
        if first is not None and getattr(first, "branches", None):
            return list(first.inbound_nodes[0].inputs)
        return [] if self._input is None else [self._input]

    def _own_node(self) -> Node:
        node = Node(self, self.inputs, 1, {})
        return node

    def _ensure_node(self) -> None:
        """As Keras does, a model uses up its first node on itself."""
        if not self.inbound_nodes:
            self.inbound_nodes.append(self._own_node())

    def called(self, tensors: Sequence[Tensor], arguments: Mapping[str, Any]) -> Any:
        self._ensure_node()
        return super().called(tensors, arguments)

    @property
    def input(self) -> Any:
        if not self.inputs:
            raise Misuse(f"{self.name} has no input yet")
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @property
    def output(self) -> Any:
        if not self.outputs:
            raise Misuse(f"{self.name} has no output yet: its first layer states no input_shape")
        return self.outputs[0]

    def get_config(self) -> Any:
        if not self.session.generation:
            listed = [layer.get_config() for layer in self.layers]
            return {"name": "Sequential", "layers": listed}
        self._ensure_chain()
        listed = [{"class_name": layer.class_name, "config": layer.get_config()}
                  for layer in self.layers if layer.kind != "InputLayer" or self.session.generation == 1]  # fmt: skip
        if len(listed) < len(self.layers) and listed and self._input is not None:
            listed[0]["config"].setdefault("batch_input_shape", plain(self._input._keras_shape))  # Keras 2 loses it
        if listed and listed[0]["class_name"] == "Merge" and getattr(self.layers[0], "branches", None):
            listed[0]["config"]["layers"] = [
                {"class_name": branch.class_name, "config": branch.get_config()} for branch in self.layers[0].branches
            ]
        if self.session.version >= (2, 2, 3):
            return {"name": self.name, "layers": listed}
        return listed

    def stated(self) -> dict[str, Any]:
        return super().stated() if self.session.generation else self.get_config()


def first_shape(layer: Layer) -> Any:
    """The input shape, batch first, that a layer states, or the first one in a model."""
    if isinstance(layer, Model):
        return layer.inputs[0]._keras_shape
    if isinstance(layer, Sequential):
        return first_shape(layer.layers[0]) if layer.layers else None
    if layer.batch_input_shape is None and layer.kind in ("TimeDistributed", "Bidirectional"):
        return None
    return layer.batch_input_shape


class Graph(Network):
    """The container of Keras 0.x, whose nodes have names."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = []
        self.nodes: dict[str, Any] = {}
        self.node_config: list[dict[str, Any]] = []
        self.input_config: list[dict[str, Any]] = []
        self.output_config: list[dict[str, Any]] = []
        self.session.models.append(self)

    def add_input(
        self, name: str, input_shape: Any = None, batch_input_shape: Any = None, dtype: str = "float"
    ) -> None:
        shape = input_shape if input_shape is not None else tuple(batch_input_shape)[1:]
        self.input_config.append({"name": name, "input_shape": plain(shape), "dtype": dtype})

    def add_node(
        self, layer: Any, name: str, input: Any = None, inputs: Any = (), merge_mode: Any = "concat",
        concat_axis: int = -1, dot_axes: Any = -1, create_output: bool = False,
    ) -> None:  # fmt: skip
        if not isinstance(layer, Layer):
            raise Misuse(f"a {type(layer).__name__} as a node of a Graph; a layer is expected")
        layer.name = name
        self.nodes[name] = layer
        self.layers.append(layer)
        self.node_config.append({
            "name": name, "input": input, "inputs": list(inputs), "merge_mode": merge_mode, "concat_axis": concat_axis,
            "dot_axes": plain(dot_axes), "create_output": create_output,
        })  # fmt: skip
        if create_output:
            self.add_output(name, input=name)

    def add_shared_node(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Misuse("add_shared_node of a Graph, which is not supported")

    def add_output(
        self, name: str, input: Any = None, inputs: Any = (), merge_mode: Any = "concat", concat_axis: int = -1,
        dot_axes: Any = -1,
    ) -> None:  # fmt: skip
        self.output_config.append({
            "name": name, "input": input, "inputs": list(inputs), "merge_mode": merge_mode, "concat_axis": concat_axis,
            "dot_axes": plain(dot_axes),
        })  # fmt: skip

    @property
    def inputs(self) -> list[Any]:
        return []

    def get_config(self) -> dict[str, Any]:
        return {
            "name": "Graph",
            "nodes": {name: layer.get_config() for name, layer in self.nodes.items()},
            "node_config": self.node_config,
            "input_config": self.input_config,
            "input_order": [config["name"] for config in self.input_config],
            "output_config": self.output_config,
            "output_order": [config["name"] for config in self.output_config],
        }

    def stated(self) -> dict[str, Any]:
        return self.get_config()


class Loaded(Network):
    """A model that a script reads from JSON of its own. It is what it is: nothing is known of its layers."""

    def __init__(self, stated: dict[str, Any]) -> None:
        super().__init__()
        self.content, self.layers, self.used = stated, [], 0
        self.session.models.append(self)

    def _unknown(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Misuse(f"{self.name} was made of JSON, and is changed or taken apart here; give that JSON itself")

    add = pop = get_layer = called = _unknown
    inputs = property(_unknown)
    output = input = inputs

    @property
    def finished(self) -> bool:
        return True

    @property
    def layers(self) -> Any:
        return _Unlisted(self._unknown)

    @layers.setter
    def layers(self, value: Any) -> None:
        if value != []:
            self._unknown()

    def stated(self) -> dict[str, Any]:
        return self.content


class _Unlisted:
    """Layers that nobody may ask for, but how many there are."""

    def __init__(self, refuse: Callable[..., NoReturn]) -> None:
        self.refuse = refuse

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> NoReturn:
        self.refuse()

    def __iter__(self) -> NoReturn:
        self.refuse()


def classes(session: Session, layers: Mapping[str, Any]) -> dict[str, Any]:
    """Name → class or function of `keras.models`."""
    base = layers["Layer"]
    made = {"session": session, "signature": {"arguments": [["name", None]]}}

    def kind(of: type[Network]) -> Any:
        own = {**made, "kind": of.__name__, "session_layers": layers}
        return type(of.__name__, (of, base), own)

    found = {"Sequential": kind(Sequential)}
    if session.generation:
        found["Model"] = kind(Model)
    else:
        found["Graph"] = kind(Graph)
    loaded = kind(Loaded)

    def model_from_json(text: Any, custom_objects: Any = None) -> Any:
        try:
            content = json.loads(text)
            content = json.loads(content) if isinstance(content, str) else content
        except (TypeError, ValueError):
            raise Misuse("model_from_json of what is no JSON") from None
        return loaded(content)

    def in_a_file(*args: Any, **kwargs: Any) -> NoReturn:
        raise Misuse("load_model: that network is stated in its own file; convert that file")

    def from_yaml(*args: Any, **kwargs: Any) -> NoReturn:
        raise Misuse("model_from_yaml: the network is stated in that file; give it with --architecture")

    def from_config(kind_of: str) -> Any:
        return staticmethod(lambda config, *args, **kwargs: loaded({"class_name": kind_of, "config": config}))

    for name in ("Sequential", "Model"):
        if name in found:
            found[name].from_config = from_config(name)
    return found | {"model_from_json": model_from_json, "load_model": in_a_file, "model_from_yaml": from_yaml}
