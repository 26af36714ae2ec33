"""Layers around others: TimeDistributed and Bidirectional."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, Self

from ror_port.errors import UnknownNetwork
from ror_port.layout import DataFormat, Shape, varies
from ror_port.network.layers.activation import Softmax
from ror_port.network.layers.core import Dense, Flatten
from ror_port.network.layers.layer import (
    Arrangement,
    Assembly,
    KerasLayer,
    Layer,
    Mask,
    Moved,
    OnnxOperator,
    TorchCode,
    immutable,
    joint,
)
from ror_port.network.layers.merge import Add, Average, Concatenate, Multiply
from ror_port.network.layers.normalization import BatchNormalization
from ror_port.network.layers.recurrent import Recurrent
from ror_port.network.layers.sequence import Reverse
from ror_port.network.layers.settings import Settings


def over_time(layer: Layer) -> Layer:
    """A layer that does the same to each step of a sequence of its inputs."""
    if layer.elementwise or isinstance(layer, Dense):
        return layer
    if isinstance(layer, Softmax | BatchNormalization | Concatenate):
        return replace(layer, axis=layer.axis + (layer.axis > 0))
    if layer.merges:
        raise UnknownNetwork(f"a {type(layer).__name__} within a TimeDistributed is not supported")
    return TimeDistributed(layer)


@immutable()
class TimeDistributed(Layer):
    """Another layer, applied to each step of a sequence."""

    keras = ("TimeDistributed",)

    layer: Layer

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        raise settings.refuse("a TimeDistributed in such a place is not supported")

    @property
    def data_format(self) -> DataFormat:
        """Of its kernels."""
        found: DataFormat = getattr(self.layer, "data_format", "channels_last")
        return found

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) < 2:
            raise ValueError(f"a value of shape {inputs[0]} is no sequence")
        if self.layer.result is not None:
            raise ValueError(f"a {type(self.layer).__name__} within a TimeDistributed returns its output alone")
        if isinstance(self.layer, Recurrent) and self.layer.stateful:
            raise ValueError(f"a stateful {type(self.layer).__name__} within a TimeDistributed is not supported")
        return (inputs[0][0], *self.layer.output_shape(inputs[0][1:]))

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        return self.layer.weights(inputs[0][1:])

    def bound(self, *inputs: Shape) -> Self:
        return replace(self, layer=self.layer.bound(inputs[0][1:]))

    def fitted(self, stored: Sequence[Shape], *inputs: Shape) -> Layer:
        return replace(self, layer=self.layer.fitted(stored, inputs[0][1:]))

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        kind = type(self.layer).__name__
        if any(masks) and (hasattr(self.layer, "has_mask") or isinstance(self.layer, TimeDistributed)):
            raise ValueError(f"a {kind} within a TimeDistributed with a mask is not supported")
        if self.layer.masked(name, ())[1]:
            raise ValueError(f"a {kind} that makes a mask is not supported within a TimeDistributed")
        return self, joint(*masks)

    @property
    def canonical(self) -> Layer:
        return replace(self, layer=self.layer.canonical)

    def pieces(self, role: str) -> tuple[str, ...]:
        return self.layer.pieces(role)

    def factors(self, role: str) -> Sequence[float]:
        return self.layer.factors(role)

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        (arrangement,) = arrived
        keeps_steps = isinstance(arrangement, tuple) and arrangement[0] == 0
        own = tuple(axis - 1 for axis in arrangement[1:]) if keeps_steps and isinstance(arrangement, tuple) else None
        layer, (wanted,), output, weights = self.layer.moved(target, [own], [inputs[0][1:]])
        if not isinstance(output, tuple | None):  # a vector of each step whose elements would be in another order
            channels_last = (*range(1, len(inputs[0]) - 1), 0)
            turned = isinstance(self.layer, Flatten) and self.layer.data_format == "channels_first"
            return Moved(
                TimeDistributed(Flatten()) if turned else self, (_with_steps(channels_last) if turned else None,)
            )
        return Moved(TimeDistributed(layer), (_with_steps(wanted),), _with_steps(output), weights)

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        return self.layer.in_parts(_EachStep(g), *inputs)

    def is_composed(self, keras: bool, shows_masked_steps: bool) -> bool:
        return self.layer.is_composed(keras, shows_masked_steps)

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        return self.layer.for_keras(_EachStep(g), *inputs)

    def same_on_theano(self, *inputs: Shape) -> bool:
        return self.layer.same_on_theano(inputs[0][1:])

    def to_keras(self) -> KerasLayer:
        if isinstance(self.layer, Reverse):  # of a Bidirectional in parts
            raise UnknownNetwork("such a Bidirectional within a TimeDistributed cannot be written to today's Keras")
        return KerasLayer("TimeDistributed", {"layer": _as_json(self.layer)})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        code = self.layer.to_torch(inputs[0][1:])
        call = code.call.replace("{x}", "{x}.flatten(0, 1)").replace("{0}", "{0}.flatten(0, 1)")
        return code._replace(call=f"{call}.unflatten(0, {{x}}.shape[:2])")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        shape = inputs[0][1:]
        result = self.layer.output_shape(shape)
        if varies((*shape, *result)):
            raise ValueError("a size that varies, other than that of the steps, within a TimeDistributed")
        within = [
            operator._replace(takes=tuple(_behind_one(name) for name in operator.takes))
            for operator in self.layer.to_onnx(shape)
        ]
        end = len(within)
        return [
            OnnxOperator("Reshape", constants=[(-1, *shape)]),
            *within,
            OnnxOperator("Shape", {"start": 0, "end": 2}, takes=("0",)),
            OnnxOperator("Concat", {"axis": 0}, constants=[result]),
            OnnxOperator("Reshape", takes=(f"#{end}", f"#{end + 2}")),
        ]


def _with_steps(arrangement: Arrangement) -> Arrangement:
    return (0, *(axis + 1 for axis in arrangement)) if isinstance(arrangement, tuple) else None


def _behind_one(name: str) -> str:
    """An input of an operator, once another operator stands in front."""
    if name == "0":
        return "#0"
    return f"#{int(name[1:]) + 1}" if name.startswith("#") else name


class _EachStep(NamedTuple):
    """The place of one node, for layers that are applied to each step."""

    g: Assembly

    def add(self, suffix: str, layer: Layer, *inputs: str) -> str:
        return self.g.add(suffix, over_time(layer), *inputs)

    def shape(self, name: str) -> Shape:
        return self.g.shape(name)[1:]


MergeMode = Literal["concat", "sum", "mul", "ave"]
MERGES: Mapping[MergeMode, Layer] = {"concat": Concatenate(-1), "sum": Add(), "mul": Multiply(), "ave": Average()}


@immutable()
class Bidirectional(Layer):
    """A recurrent layer and another that goes the other way, whose results are merged in the order of the steps.

    One that has several results is two layers in a graph, see `is_apart`.
    """

    keras = ("Bidirectional",)

    layer: Recurrent
    merge_mode: MergeMode | None = "concat"

    @property
    def is_apart(self) -> bool:
        """Whether its results are not merged, or states are among them."""
        return self.merge_mode is None or self.layer.return_state

    @property
    def merge(self) -> Layer:
        if self.merge_mode is None:
            raise ValueError("a Bidirectional without a merge mode has two results")
        return MERGES[self.merge_mode]

    @property
    def backward(self) -> Recurrent:
        return replace(self.layer, go_backwards=not self.layer.go_backwards)

    @property
    def has_mask(self) -> bool:
        return self.layer.has_mask

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != 2:
            kind = type(self.layer).__name__
            raise ValueError(f"a Bidirectional around a {kind}, of values of shape {inputs[0]}, is not supported")
        if self.is_apart:
            raise ValueError("a Bidirectional of several results is no layer of one")
        shape = self.layer.output_shape(*inputs)
        return self.merge.output_shape(shape, shape)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        own = self.layer.weights(*inputs)
        return {f"{side}_{role}": shape for side in SIDES for role, shape in own.items()}

    def fitted(self, stored: Sequence[Shape], *inputs: Shape) -> Layer:
        return replace(self, layer=self.layer.fitted(stored[: len(stored) // 2], *inputs))

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        layer, mask = self.layer.masked(name, *masks)
        return replace(self, layer=layer), mask

    @property
    def canonical(self) -> Layer:
        return replace(self, layer=self.layer.canonical)

    def pieces(self, role: str) -> tuple[str, ...]:
        side, _, own = role.partition("_")
        return tuple(f"{side}_{piece}" for piece in self.layer.pieces(own))

    def factors(self, role: str) -> Sequence[float]:
        return self.layer.factors(role.partition("_")[2])

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        forward = g.add("forward", self.layer, *inputs)
        backward = g.add("backward", self.backward, *inputs)
        if self.layer.return_sequences:
            backward = g.add("reversed", Reverse(), backward)
        return g.add("", self.merge, forward, backward)

    def is_composed(self, keras: bool, shows_masked_steps: bool) -> bool:
        """That of Keras 3 sets the outputs of masked steps to 0, and its first layer goes forward."""
        return (
            not keras
            or self.layer.go_backwards
            or (self.layer.has_mask and self.layer.return_sequences and shows_masked_steps)
        )

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        return g.add("", replace(self, layer=self.layer.of_keras_3), *inputs)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Bidirectional", {"layer": _as_json(self.layer), "merge_mode": self.merge_mode})


SIDES = ("forward", "backward")


def _as_json(layer: Layer) -> Mapping[str, object]:
    """A layer within a layer's configuration."""
    class_name, config = layer.to_keras()
    return {"module": "keras.layers", "class_name": class_name, "config": dict(config), "registered_name": None}
