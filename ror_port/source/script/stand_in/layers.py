"""Layers that note how they were made and what they are called on, and state it as Keras' own get_config does.

What their constructors take is recorded from genuine Keras (`session.signatures`); what is particular to a class stands
here. Source: Keras 0.3.3, 1.2.2 and 2.2.4 (engine/topology.py, layers/*.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ror_port.network.layers.normalization import norm_rule
from ror_port.source.script.signatures import in_snake_case
from ror_port.source.script.signatures import signatures as of_generation
from ror_port.source.script.stand_in import penalties, shapes
from ror_port.source.script.stand_in.inert import Inert
from ror_port.source.script.stand_in.legacy import in_keras_2
from ror_port.source.script.stand_in.session import FORMATS, Misuse, Session
from ror_port.source.script.stand_in.tracing import arithmetic_of

BASE = {
    "name", "trainable", "input_shape", "batch_input_shape", "batch_size", "input_dtype", "dtype", "weights",
    "create_input_layer", "cache_enabled", "custom_name", "updatable", "input_dim", "input_length",
}  # fmt: skip
"""What every layer takes by keyword."""

ACTIVATIONS = ("activation", "inner_activation", "recurrent_activation")
STEPS = (
    "Convolution1D", "AtrousConvolution1D", "Conv1D", "SeparableConv1D", "LocallyConnected1D", "SimpleRNN", "GRU",
    "LSTM", "TimeDistributedDense", "Masking", "RNN",
)  # fmt: skip
"""Layers of which input_dim states the size of a step, and input_length how many there are."""

COUNTS = (
    "output_dim", "units", "filters", "nb_filter", "n", "nb_row", "nb_col", "filter_length", "input_dim",
    "kernel_dim1", "kernel_dim2", "kernel_dim3", "nb_feature", "pool_length", "length",
)  # fmt: skip
"""Settings that are whole numbers."""

BUILT = ("Dense", "SimpleRNN", "GRU", "LSTM")
"""Layers of Keras 1 that state as input_dim what they were last applied to, whatever they were given."""


CELLS = ("SimpleRNN", "GRU", "LSTM")
"""Layers that Keras 2 on Theano gives no dropout."""

GATED = ("GRU", "LSTM", "GRUCell", "LSTMCell")
"""Layers whose recurrent_activation is another by default from Keras 2.3 on."""

ROUNDED = {0: (), 1: ("alpha_init",), 2: ("alpha", "negative_slope", "threshold", "theta")}
"""Settings that each generation of Keras states as the nearest number of float32."""


class Node:
    """One call of a layer."""

    def __init__(self, layer: Layer, inputs: Sequence[Tensor], count: int, arguments: Mapping[str, Any]) -> None:
        self.layer, self.inputs, self.arguments = layer, list(inputs), arguments
        self.outputs = [Tensor(self, number) for number in range(count)]
        self.shapes: list[tuple[int | None, ...]] | None = None

    @property
    def index(self) -> int:
        return self.layer.inbound_nodes.index(self)

    @property
    def inbound_layers(self) -> list[Layer]:
        return [tensor.node.layer for tensor in self.inputs]


class Tensor:
    """A result of a call. It has a shape, which is found out when it is asked for, and no values."""

    def __init__(self, node: Node, number: int) -> None:
        self.node, self.number = node, number

    @property
    def _keras_history(self) -> tuple[Layer, int, int]:
        return self.node.layer, self.node.index, self.number

    @property
    def _keras_shape(self) -> tuple[int | None, ...]:
        if self.node.shapes is None:
            self.node.shapes = self.node.layer.output_shapes(self.node.inputs, self.node.arguments)
        return self.node.shapes[self.number]

    @property
    def shape(self) -> _Sizes:
        return _Sizes(self._keras_shape)

    def get_shape(self) -> _Sizes:
        return _Sizes(self._keras_shape)

    @property
    def ndim(self) -> int:
        return len(self._keras_shape)

    @property
    def name(self) -> str:
        return f"{self.node.layer.name}/output"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert()

    def __getitem__(self, key: Any) -> Any:
        return Inert()


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg"):
    setattr(Tensor, f"__{_name}__", lambda self, *others: Inert())


class _Sizes(tuple):  # type: ignore[type-arg]
    """A shape, as Theano and TensorFlow give it."""

    def as_list(self) -> list[int | None]:
        return list(self)

    def __getitem__(self, key: Any) -> Any:
        return _Sizes(tuple(self)[key]) if isinstance(key, slice) else tuple(self)[key]


class Layer:
    """What all layers share, and the base of the script's own."""

    session: ClassVar[Session]
    signature: ClassVar[Mapping[str, Any]] = {"arguments": []}
    kind: ClassVar[str] = ""
    """The class in Keras that a stock layer is; empty for the script's own."""

    calls_before: ClassVar[int] = 0
    """Calls that Keras itself made: of a model one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if self.session.generation == 2 and self.kind:
            given, kwargs = in_keras_2(self.kind, self.signature, args, kwargs)
            args = tuple(given)
        self.settings: dict[str, Any] = self._bound(args, kwargs)
        prefix = self.class_name
        prefix = in_snake_case(prefix) if self.session.generation == 2 else prefix.lower()
        name = kwargs.get("name") or self.settings.get("name")
        self.inbound_nodes: list[Node] = []
        self.outbound_nodes: list[Node] = []
        self.named = name is not None
        self.name: str = name or (f"{prefix}_{self.session.number(prefix)}" if self.session.generation else prefix)
        self.trainable: Any = kwargs.get("trainable", True)
        self.batch_input_shape: tuple[Any, ...] | None = None
        self.input_dtype = kwargs.get("input_dtype") or kwargs.get("dtype") or self.session.floatx
        self._set_input_shape(kwargs)

    @property
    def class_name(self) -> str:
        """As a model states it: of a class that the script derives from one of Keras, its own."""
        return self.kind if "kind" in vars(type(self)) else type(self).__name__

    def __setattr__(self, name: str, value: Any) -> None:
        """A setting that is changed after the layer was made counts as given, until the layer is called."""
        settings = vars(self).get("settings", {})
        if name in settings and name not in ("name", "weights", "layer"):
            if self.inbound_nodes:
                raise Misuse(f"{name} of {self.name} is changed after it was called")
            settings[name] = value
            self.given.add(name)
        super().__setattr__(name, value)

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Argument → value. Raises Misuse for what the constructor does not take."""
        arguments, keywords = self.signature["arguments"], self.signature.get("keywords", [])
        what = f"{self.class_name} of Keras {self.session.generation}"
        names = [argument[0] for argument in arguments]
        if len(args) > len(names):
            raise Misuse(f"{what} takes {len(names)} arguments, {len(args)} are given")
        known = {*names, *(argument[0] for argument in keywords)}
        for name in kwargs:
            if name not in known and name not in BASE:
                raise Misuse(f"{what} takes no argument {name!r}")
        given = {**dict(zip(names, args, strict=False)), **{name: kwargs[name] for name in kwargs if name in known}}
        missing = [argument[0] for argument in arguments if len(argument) == 1 and argument[0] not in given]
        if missing:
            raise Misuse(f"{what} needs the argument {missing[0]!r}")
        for name in COUNTS:
            if name in given:
                given[name] = _count(given[name], name, what)
        self.given = set(given)
        return {argument[0]: argument[1] for argument in (*arguments, *keywords) if len(argument) == 2} | given

    def _set_input_shape(self, kwargs: Mapping[str, Any]) -> None:
        dimension = kwargs.get("input_dim", self.settings.get("input_dim"))
        length = kwargs.get("input_length", self.settings.get("input_length"))
        batch = (kwargs.get("batch_size"),)
        if self.kind == "Embedding":
            self.input_dtype = "int32" if self.session.generation < 2 else self.input_dtype
            sizes = tuple(length) if isinstance(length, list | tuple) else (length,)
            self.batch_input_shape = (*batch, *sizes)
        elif dimension and self.kind in STEPS:
            self.batch_input_shape = (*batch, length, dimension)
        elif dimension:
            self.batch_input_shape = (*batch, dimension)
        overruled = self.kind == "Embedding" and self.session.generation == 1
        if kwargs.get("input_shape") is not None and not overruled:
            shape = kwargs["input_shape"]
            self.batch_input_shape = (*batch, *(shape if isinstance(shape, list | tuple) else (shape,)))
        if kwargs.get("batch_input_shape") is not None:
            self.batch_input_shape = tuple(kwargs["batch_input_shape"])

    # -----------------------------------------------------------------------------------------------------------------
    # Calls

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        states = kwargs.pop("initial_state", None)
        kwargs.pop("mask", None)
        if args and self.session.generation == 2 and self.kind in (*CELLS, "ConvLSTM2D", "RNN", "Bidirectional"):
            states, *args = args  # type: ignore[assignment]
        if any(argument is not None for argument in args):
            raise Misuse(f"{self.name} is called with further arguments by their place")
        if states is not None:
            tensors += list(states) if isinstance(states, list | tuple) else [states]
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise Misuse(f"{self.name} is called on a {type(tensor).__name__}, which no layer gave")
        return self.called(tensors, kwargs)

    def called(self, tensors: Sequence[Tensor], arguments: Mapping[str, Any]) -> Any:
        node = Node(self, tensors, self.output_count(), arguments)
        self.inbound_nodes.append(node)
        for tensor in tensors:
            tensor.node.layer.outbound_nodes.append(node)
        return node.outputs[0] if len(node.outputs) == 1 else node.outputs

    def output_count(self) -> int:
        states = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1, "ConvLSTM2D": 2}.get(self.kind, 0)
        return 1 + (states if self.settings.get("return_state") else 0)

    def output_shapes(self, inputs: Sequence[Tensor], arguments: Mapping[str, Any]) -> list[tuple[int | None, ...]]:
        """Of a call's outputs, batch first. Raises Misuse where they cannot be found out."""
        given = [tensor._keras_shape for tensor in inputs]
        if self.kind == "BatchNormalization":  # also in the modes that are not supported
            return given
        if not self.kind:
            own = getattr(type(self), "compute_output_shape", getattr(type(self), "get_output_shape_for", None))
            return [tuple(own(self, given[0] if len(given) == 1 else given))] if own else given[:1]
        stated = {"class_name": self.class_name, "name": self.name, "config": self.get_config()}
        ordering = self.settings.get("dim_ordering")
        return shapes.outputs(
            stated, given, self.session, count=self.output_count(), call=self.calls_before, ordering=ordering
        )

    # -----------------------------------------------------------------------------------------------------------------
    # What scripts ask of a layer

    def _only(self, which: str, number: int = 0) -> Any:
        if number >= len(self.inbound_nodes):
            raise Misuse(f"{self.name} has not been called, so it has no {which}")
        found = getattr(self.inbound_nodes[number], f"{which}s")
        return found[0] if len(found) == 1 else found

    @property
    def input(self) -> Any:
        return self._only("input")

    @property
    def output(self) -> Any:
        return self._only("output")

    def get_output_at(self, number: int) -> Any:
        return self._only("output", number)

    def get_input_at(self, number: int) -> Any:
        return self._only("input", number)

    @property
    def output_shape(self) -> Any:
        output = self.output
        return [tensor._keras_shape for tensor in output] if isinstance(output, list) else output._keras_shape

    @property
    def input_shape(self) -> Any:
        inputs = self.input
        return [tensor._keras_shape for tensor in inputs] if isinstance(inputs, list) else inputs._keras_shape

    def get_weights(self) -> Any:
        return Inert()

    def count_params(self) -> int:
        return 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("settings", "name", "inbound_nodes", "trainable", "batch_input_shape"):
            raise AttributeError(name)
        return Inert()

    # -----------------------------------------------------------------------------------------------------------------
    # Its configuration

    def get_config(self) -> dict[str, Any]:
        """As Keras writes it; without an epsilon or a data format that nobody stated and its session left open."""
        if not self.session.generation:
            return self._config_of_keras_0()
        config = {"name": self.name, "trainable": bool(self.trainable)}
        if self.batch_input_shape is not None:
            config["batch_input_shape"] = plain(self.batch_input_shape)
            config["input_dtype" if self.session.generation == 1 else "dtype"] = self.input_dtype
        return config | self.own_config()

    def _config_of_keras_0(self) -> dict[str, Any]:
        config = {"name": self.class_name, "trainable": bool(self.trainable), **self.own_config()}
        config |= {"cache_enabled": True, "custom_name": self.name} if self.states_its_name else {}
        if self.batch_input_shape is not None and self.batch_input_shape[0] is not None:
            config["batch_input_shape"] = plain(self.batch_input_shape)
        elif self.batch_input_shape is not None:
            config["input_shape"] = plain(self.batch_input_shape[1:])
        if self.kind == "Embedding":
            config["input_shape"] = [self.settings["input_dim"]]
        return config

    @property
    def states_its_name(self) -> bool:
        """Whether a layer of Keras 0.x does; a few leave out what all layers have."""
        return "custom_name" in self.signature.get("config", {"custom_name": ""})

    def own_config(self) -> dict[str, Any]:
        config = {}
        for key, usual in self.signature.get("config", {}).items():
            if key in ("batch_input_shape", "dtype", "input_dtype", "input_shape", "cache_enabled", "custom_name"):
                continue
            if self._is_open(key):
                continue
            config[key] = self._stated(key, usual)
        given = self.settings.get("dim_ordering")
        usual = self.session.ordering if self.session.states_ordering else None
        if given in ("th", "tf") and given != usual:
            config.setdefault("dim_ordering", given)  # Keras 1 itself does not write it everywhere, and so loses it
        if self.session.generation == 1 and self.settings.get("stateful") and self.inbound_nodes:
            config = {key: config[key] for key in config if key not in ("input_dim", "input_length")}
            config["batch_input_shape"] = plain(self.inbound_nodes[0].inputs[0]._keras_shape)
        return config

    def _is_open(self, key: str) -> bool:
        """Whether a setting follows from the session, and nobody knows that."""
        if key in ("data_format", "dim_ordering") and self.settings.get(key) in (None, "default"):
            if self.kind == "Flatten" and self.session.release_known and self.session.version < (2, 1, 6):
                return True  # it has none yet
            return not self.session.states_ordering
        if self.session.release_known or key in self.given:
            return False
        changed = {1: (("epsilon", "momentum"), ("BatchNormalization",)), 2: (("recurrent_activation",), GATED)}
        names, kinds = changed.get(self.session.generation, ((), ()))
        return key in names and self.kind in kinds  # the default is another from 1.0.7, 1.0.8, 1.2.0 and 2.3.0 on

    def _stated(self, key: str, usual: Any) -> Any:
        if key not in self.settings:
            return plain(usual)
        value = self.settings[key]
        if key == "input_dim" and self.kind in BUILT and self.session.generation == 1 and self.inbound_nodes:
            return self._built_dimension(value)
        return normalised(key, value, usual, self)

    def _built_dimension(self, given: Any) -> Any:
        try:
            return self.inbound_nodes[0].inputs[0]._keras_shape[-1]
        except Misuse:
            return given


def _count(value: Any, name: str, what: str) -> Any:
    """A whole number. Raises Misuse for any other; a quotient of whole numbers is one in Python 2, not in Python 3."""
    if value is None or isinstance(value, bool | list | tuple):
        return value
    if isinstance(value, Inert) or (isinstance(value, type) and issubclass(value, Inert)):
        raise Misuse(f"{name} of {what} comes of something that is not known; write a number there")
    if isinstance(value, str | Tensor) or not float(value).is_integer() or value < 1:
        raise Misuse(f"{name} of {what} is {value!r}; a whole number from 1 is expected")
    return int(value)


def normalised(key: str, value: Any, usual: Any, layer: Layer) -> Any:
    """A setting as get_config gives it. usual: what it gives by default, which shows the form."""
    session = layer.session
    if key == "recurrent_activation" and layer.kind in GATED and key not in layer.given and session.version >= (2, 3):
        return "sigmoid"
    if key in ACTIVATIONS:
        return activation_name(value)
    if key.endswith("_initializer"):
        return penalties.serialized(value, penalties.initializers, session)
    if key in ("init", "inner_init", "forget_bias_init"):
        return value if isinstance(value, str) else _called(value)
    if key.endswith("_regularizer"):
        return penalties.serialized(value, penalties.regularizers, session)
    if key.endswith("_constraint"):
        return penalties.serialized(value, penalties.constraints, session)
    if key == "dim_ordering":
        return session.ordering if value in (None, "default") else str(value).lower()
    if key == "data_format":
        return FORMATS[session.ordering] if value is None else str(value).lower()
    if value is None and key in ("strides", "stride", "pool_length"):
        value = layer.settings.get("pool_size", layer.settings.get("pool_length"))
    if key in ROUNDED[session.generation] and value is not None:
        return float(np.float32(value))
    if key in ("dropout", "recurrent_dropout") and layer.kind in CELLS and session.generation == 2:
        return 0.0 if session.backend == "theano" else value
    by_release = session.generation == 1 and session.release_known and layer.kind == "BatchNormalization"
    if key in ("epsilon", "momentum") and key not in layer.given and by_release:
        return getattr(norm_rule(session.version), key)
    if key == "shared_axes" and value is not None:
        return plain(value if isinstance(value, list | tuple) else [value])
    if key in ("padding", "cropping") and session.generation == 2 and isinstance(usual, list):
        return _sides(value, len(usual), isinstance(usual[0], list))
    if isinstance(usual, list) and isinstance(value, int | np.integer):
        return [int(value)] * len(usual)
    if key in ("padding", "border_mode") and isinstance(value, str):
        return value.lower() if session.generation == 2 else value
    return plain(value)


def _sides(value: Any, count: int, apart: bool) -> Any:
    """What is added or cut at the two sides of each axis."""
    if not apart:
        return plain([value] * 2 if isinstance(value, int) else value)
    axes = [value] * count if isinstance(value, int) else list(value)
    return [[int(axis)] * 2 if isinstance(axis, int) else plain(axis) for axis in axes]


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    unknown = isinstance(value, Inert) or (isinstance(value, type) and issubclass(value, Inert))
    if callable(value) and not unknown:
        return _called(value)
    raise Misuse(f"something that nobody knows ({type(value).__name__}) as the setting of a layer")


def _called(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def activation_name(value: Any) -> str:
    """As Keras states it; of a function of the script's own a name that none of Keras' has."""
    if isinstance(value, Layer):
        raise Misuse(f"the layer {value.name} as an activation, which Keras cannot save")
    if value is None or isinstance(value, str):
        return value or "linear"
    of_keras = getattr(value, "of_keras", False) is True or (isinstance(value, type) and issubclass(value, Inert))
    return _called(value) if of_keras else f"{_called(value)} (of the script)"


# ---------------------------------------------------------------------------------------------------------------------
# Layers that state themselves otherwise


class InputLayer(Layer):
    def __init__(self, input_shape: Any = None, batch_input_shape: Any = None, **kwargs: Any) -> None:
        kwargs = {key: value for key, value in kwargs.items() if key not in ("input_tensor", "sparse")}
        name = kwargs.pop("name", None) or f"input_{self.session.number('input')}"
        super().__init__(input_shape=input_shape, batch_input_shape=batch_input_shape, name=name, **kwargs)
        if self.batch_input_shape is None:
            raise Misuse("an input without a shape")
        self.called([], {})

    def output_shapes(self, inputs: Sequence[Tensor], arguments: Mapping[str, Any]) -> list[tuple[int | None, ...]]:
        assert self.batch_input_shape is not None
        return [tuple(plain(self.batch_input_shape))]

    def get_config(self) -> dict[str, Any]:
        dtype = "input_dtype" if self.session.generation == 1 else "dtype"
        shape = plain(self.batch_input_shape)
        return {"batch_input_shape": shape, dtype: self.input_dtype, "sparse": False, "name": self.name}


def _stated_within(layer: Any) -> dict[str, Any]:
    if not isinstance(layer, Layer):
        raise Misuse(f"a wrapper around a {type(layer).__name__}, which is no layer")
    if not layer.session.generation:
        return layer.get_config()
    return {"class_name": layer.class_name, "config": layer.get_config()}


class Wrapper(Layer):
    """A layer around another one."""

    def own_config(self) -> dict[str, Any]:
        return {"layer": _stated_within(self.settings["layer"])}

    @property
    def layer(self) -> Layer:
        return self.settings["layer"]  # type: ignore[no-any-return]

    @property
    def trainable(self) -> Any:
        """In Keras 2 that of the layer, which a new wrapper sets."""
        return self.layer.trainable if self._of_layer else self._trainable

    @trainable.setter
    def trainable(self, value: Any) -> None:
        self._trainable = value
        if self._of_layer and isinstance(self.layer, Layer):
            self.layer.trainable = value

    @property
    def _of_layer(self) -> bool:
        return self.session.generation == 2 and self.kind != "Bidirectional"


class _Step(Tensor):
    """One step of a sequence, which the layer in a TimeDistributed is applied to."""

    def __init__(self, sequence: Tensor) -> None:
        super().__init__(sequence.node, sequence.number)
        self.sequence = sequence

    @property
    def _keras_shape(self) -> tuple[int | None, ...]:
        batch, _, *sizes = self.sequence._keras_shape
        return batch, *sizes


class TimeDistributed(Wrapper):
    def called(self, tensors: Sequence[Tensor], arguments: Mapping[str, Any]) -> Any:
        outputs = super().called(tensors, arguments)
        if isinstance(self.layer, Layer) and not self.layer.calls_before and not self.layer.inbound_nodes:
            self.layer.called([_Step(tensor) for tensor in tensors], {})
        return outputs


class Bidirectional(Wrapper):
    def own_config(self) -> dict[str, Any]:
        return {**super().own_config(), "merge_mode": self.settings["merge_mode"]}

    def output_count(self) -> int:
        states = self.layer.output_count() - 1
        return (2 if self.settings["merge_mode"] is None else 1) + 2 * states


class RNN(Layer):
    """A layer of Keras 2 around a cell."""

    def own_config(self) -> dict[str, Any]:
        cell = self.settings["cell"]
        flags = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        return {**{flag: self.settings[flag] for flag in flags}, "cell": _stated_within(cell)}


class Lambda(Layer):
    """A function. Where it is arithmetic on its input, that is stated, as ``ror_port.source.arithmetic`` reads it.

    It is looked at when the layer is called, as Keras calls it then: what it uses may change afterwards.
    """

    def called(self, tensors: Sequence[Tensor], arguments: Mapping[str, Any]) -> Any:
        self.texts = {*vars(self).get("texts", ()), self._text()}
        return super().called(tensors, arguments)

    def _text(self) -> str | None:
        function, arguments = self.settings["function"], self.settings.get("arguments") or {}
        return arithmetic_of(lambda x: function(x, **arguments))

    def own_config(self) -> dict[str, Any]:
        function, texts = self.settings["function"], vars(self).get("texts") or {self._text()}
        text = next(iter(texts)) if len(texts) == 1 else None
        kind = "arithmetic" if text is not None else "lambda" if _called(function) == "<lambda>" else "function"
        shape = self.settings.get("output_shape")
        return {
            "function": _called(function) if text is None else text,
            "function_type": kind,
            "output_shape": None if callable(shape) else plain(shape),
            "output_shape_type": "raw",
            "arguments": {},
        }

    def output_shapes(self, inputs: Sequence[Tensor], arguments: Mapping[str, Any]) -> list[tuple[int | None, ...]]:
        given = [tensor._keras_shape for tensor in inputs]
        stated = self.settings.get("output_shape")
        if callable(stated):
            return [tuple(stated(given[0] if len(given) == 1 else given))]
        if stated is not None:
            return [(given[0][0], *(stated if isinstance(stated, list | tuple) else (stated,)))]
        return [given[0]]


class Merge(Layer):
    """Of Keras 1 and before: called on tensors, or made of layers and models, whose outputs it joins."""

    def __init__(self, layers: Any = None, mode: Any = "sum", *args: Any, **kwargs: Any) -> None:
        super().__init__(layers, mode, *args, **kwargs)
        if layers is not None:
            if not isinstance(layers, list | tuple) or len(layers) < 2:
                raise Misuse("a Merge of fewer than two layers")
            self.branches = list(layers)
            if self.session.generation and all(isinstance(branch, Layer) for branch in layers):
                self.called([branch.output for branch in layers], {})

    def own_config(self) -> dict[str, Any]:
        mode = self.settings["mode"]
        if not self.session.generation:
            stated = {key: plain(self.settings[key]) for key in ("mode", "concat_axis", "dot_axes")}
            return {**stated, "layers": [branch.get_config() for branch in self.settings["layers"]]}
        return {
            "mode": mode if isinstance(mode, str) else _called(mode),
            "mode_type": "raw" if isinstance(mode, str) else "lambda",
            "concat_axis": plain(self.settings["concat_axis"]),
            "dot_axes": self._dot_axes(),
            "output_shape": plain(self.settings["output_shape"]),
            "output_shape_type": "raw",
            "output_mask": None,
            "output_mask_type": "raw",
            "arguments": plain(self.settings["arguments"] or {}),
        }

    def _dot_axes(self) -> Any:
        """An axis of products, once they are made, as one for each input, counted from the front."""
        axes = self.settings["dot_axes"]
        if self.settings["mode"] not in ("dot", "cos") or not isinstance(axes, int) or not self.inbound_nodes:
            return plain(axes)
        return [axes % len(tensor._keras_shape) if axes < 0 else axes for tensor in self.inbound_nodes[0].inputs]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.session.generation:
            config.pop("trainable")
        return config


class AutoEncoder(Layer):
    """Of Keras 0.x: two layers or models, one after the other."""

    states_its_name = False

    def own_config(self) -> dict[str, Any]:
        parts = {f"{part}_config": self.settings[part].get_config() for part in ("encoder", "decoder")}
        return {**parts, "output_reconstruction": self.settings["output_reconstruction"]}


SPECIAL: Mapping[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (InputLayer, Wrapper, TimeDistributed, Bidirectional, RNN, Lambda, Merge, AutoEncoder)
}

MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot")
"""Of Keras 2; each has a function beside its class, in lower case."""


def classes(session: Session) -> dict[str, Any]:
    """Name → class or function, all that `keras.layers` has for building."""
    base = type("Layer", (Layer,), {"session": session})
    found: dict[str, Any] = {"Layer": base}
    signatures = dict(session.signatures["layers"])
    if session.generation == 2:  # up to 2.1 as a legacy
        signatures["Merge"] = of_generation(1)["layers"]["Merge"]
    for name, signature in signatures.items():
        if "is" not in signature and name not in ("Layer", "MaskedLayer"):
            parents = (SPECIAL[name], base) if name in SPECIAL else (base,)
            found[name] = type(name, parents, {"session": session, "signature": signature, "kind": name})
    for name, signature in signatures.items():
        if "is" in signature and signature["is"] in found:
            found[name] = found[signature["is"]]
    if session.generation:
        found |= {"Input": _input(session, found["InputLayer"]), "merge": _merge(found["Merge"])}
        found["InputSpec"] = Inert
    if session.generation == 2:
        found |= {name.lower(): _function(found[name]) for name in MERGES}
        for rank in (1, 2):
            found[f"AtrousConv{rank}D"] = found[f"AtrousConvolution{rank}D"] = _atrous(found[f"Conv{rank}D"])
    return found


def _atrous(kind: type[Layer]) -> Callable[..., Any]:
    """Of Keras 1, in Keras 2 another name of a convolution whose rate is called otherwise."""

    def convolution(*args: Any, atrous_rate: Any = 1, **kwargs: Any) -> Any:
        return kind(*args, dilation_rate=atrous_rate, **kwargs)

    return convolution


def _function(kind: type[Layer]) -> Callable[..., Any]:
    def merged(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return kind(*args, **kwargs)(inputs)

    return merged


def _merge(kind: type[Layer]) -> Callable[..., Any]:
    def merge(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not all(isinstance(tensor, Tensor) for tensor in inputs):
            return kind(inputs, *args, **kwargs)
        return kind(None, *args, **kwargs)(inputs)

    return merge


def _input(session: Session, kind: type[Layer]) -> Callable[..., Tensor]:
    def Input(
        shape: Any = None, batch_shape: Any = None, name: Any = None, dtype: Any = None, sparse: Any = False,
        tensor: Any = None,
    ) -> Tensor:  # fmt: skip
        if batch_shape is None and shape is not None:
            batch_shape = (None, *(shape if isinstance(shape, list | tuple) else (shape,)))
        if batch_shape is None and tensor is not None:
            raise Misuse("an Input of a tensor of Theano or TensorFlow")
        return kind(batch_input_shape=batch_shape, name=name, dtype=dtype).output  # type: ignore[no-any-return]

    return Input
