"""Activation and Softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from ror_port.layout import Shape
from ror_port.network.layers.layer import (
    Arrangement,
    DataFormat,
    KerasLayer,
    Layer,
    Moved,
    OnnxOperator,
    TorchCode,
    axis_of,
    moved_axis,
)
from ror_port.network.layers.settings import Settings

FUNCTIONS = {
    "linear": "{x}",
    "relu": "torch.relu({x})",
    "tanh": "torch.tanh({x})",
    "sigmoid": "torch.sigmoid({x})",
}
"""Name in Keras → PyTorch's expression."""

OPERATORS = {"linear": "Identity", "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
"""Name in Keras → ONNX operator."""


@dataclass(frozen=True)
class Activation(Layer):
    """A function of each element. function: a key of FUNCTIONS, as every Keras calls it."""

    keras = ("Activation", "ReLU")
    elementwise = True

    function: str

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        if settings.class_name == "ReLU":
            for name, idle in (("max_value", None), ("negative_slope", 0.0), ("threshold", 0.0)):
                if (value := settings.get(name, default=idle)) != idle:
                    raise settings.refuse(f"a ReLU with {name} {value} is not supported")
            return [cls("relu")]
        return activation(settings) or [cls("linear")]

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Activation", {"activation": self.function})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, FUNCTIONS[self.function])

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator(OPERATORS[self.function], {})]


RELU = Activation("relu")


@dataclass(frozen=True)
class Softmax(Layer):
    """exp(x) / sum of exp(x) along an axis, which counts the batch as 0."""

    keras = ("Softmax",)

    axis: int = -1

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        axis = settings.get("axis", default=-1)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise settings.refuse(f"axis is {axis}; a whole number is expected")
        return [cls(axis)]

    def bound(self, *inputs: Shape) -> Self:
        return replace(self, axis=axis_of(self.axis, inputs[0]))

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        (arrangement,) = arrived
        return Moved(replace(self, axis=moved_axis(self.axis, arrangement)), (arrangement,), arrangement)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Softmax", {"axis": self.axis})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"torch.softmax({{x}}, {self.axis})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Softmax", {"axis": self.axis})]


def activation(settings: Settings) -> list[Layer]:
    """The layers that a setting ``activation`` stands for: none for linear, which is the default."""
    value = settings.get("activation", default="linear")
    if value in ("linear", None):
        return []
    if value == "softmax":
        return [Softmax()]
    if not isinstance(value, str) or value not in FUNCTIONS:
        raise settings.refuse(f"the activation {value!r} is not supported")
    return [Activation(value)]
