"""Activation and Softmax, and layers that are functions of one element: ReLU, ELU, Rescaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Self

from ror_port.errors import UnknownNetwork, shown
from ror_port.layout import DataFormat, Shape
from ror_port.network.layers.layer import (
    Arrangement,
    Assembly,
    KerasLayer,
    Layer,
    Moved,
    OnnxOperator,
    TorchCode,
    axis_of,
    immutable,
    moved_axis,
)
from ror_port.network.layers.settings import Settings


class _Spelling(NamedTuple):
    """torch: an expression of {x}. onnx: operator and attributes."""

    torch: str
    onnx: str
    attributes: Mapping[str, float] = {}


HARD_SIGMOID_OF_KERAS_3 = "hard_sigmoid of Keras 3"

FUNCTIONS = {
    "linear": _Spelling("{x}", "Identity"),
    "relu": _Spelling("torch.relu({x})", "Relu"),
    "tanh": _Spelling("torch.tanh({x})", "Tanh"),
    "sigmoid": _Spelling("torch.sigmoid({x})", "Sigmoid"),
    "hard_sigmoid": _Spelling("torch.clamp(0.2 * {x} + 0.5, 0.0, 1.0)", "HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "elu": _Spelling("nn.functional.elu({x})", "Elu"),
    "selu": _Spelling("torch.selu({x})", "Selu"),
    "softplus": _Spelling("torch.logaddexp({x}, torch.zeros_like({x}))", "Softplus"),
    "softsign": _Spelling("nn.functional.softsign({x})", "Softsign"),
    "exponential": _Spelling("torch.exp({x})", "Exp"),
}
FUNCTIONS[HARD_SIGMOID_OF_KERAS_3] = _Spelling(
    "nn.functional.hardsigmoid({x})", "HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}
)
"""Names of Keras 1 and 2. Their hard_sigmoid is clip(0.2 x + 0.5, 0, 1); that of Keras 3 is clip(x / 6 + 0.5, 0, 1)."""


@immutable()
class Activation(Layer):
    """A function of each element. function: a key of FUNCTIONS."""

    keras = ("Activation",)
    elementwise = True

    function: str

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise ValueError(f"{self.function!r} is no activation that is known")

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        return activation(settings) or [cls("linear")]

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        if self.function == "hard_sigmoid":
            return g.add("", ReLU(max_value=1.0), g.add("scaled", Rescaling(0.2, 0.5), *inputs))
        return g.add("", self, *inputs)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Activation", {"activation": keras_name(self.function)})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, FUNCTIONS[self.function].torch)

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        spelling = FUNCTIONS[self.function]
        return [OnnxOperator(spelling.onnx, spelling.attributes)]


RELU = Activation("relu")


@immutable()
class Rescaling(Layer):
    """scale · x + offset."""

    keras = ("Rescaling",)
    elementwise = True

    scale: float
    offset: float = 0.0

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        return [cls(settings.number("scale"), settings.number("offset", default=0.0))]

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Rescaling", {"scale": self.scale, "offset": self.offset})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"({self.scale!r} * {{x}} + {self.offset!r})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        scaled = [OnnxOperator("Mul", constants=[(self.scale,)])]
        return [*scaled, OnnxOperator("Add", constants=[(self.offset,)])] if self.offset else scaled


@immutable()
class ReLU(Layer):
    """max_value from there on; x from the threshold on; negative_slope · (x − threshold) below it."""

    keras = ("ReLU", "LeakyReLU", "ThresholdedReLU")
    elementwise = True

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        """LeakyReLU's slope is called alpha until Keras 3; ThresholdedReLU's threshold is theta."""
        match settings.class_name:
            case "LeakyReLU":
                return [cls(negative_slope=settings.number("negative_slope", "alpha", default=0.3))]
            case "ThresholdedReLU":
                return [cls(threshold=settings.number("theta", default=1.0))]
        most = settings.get("max_value")
        return [
            cls(
                None if most is None else settings.number("max_value"),
                settings.number("negative_slope", default=0.0),
                settings.number("threshold", default=0.0),
            )
        ]

    def to_keras(self) -> KerasLayer:
        if min(self.max_value or 0.0, self.negative_slope, self.threshold) < 0:
            raise UnknownNetwork(f"{self}: the ReLU of today's Keras takes no negative settings")
        config = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return KerasLayer("ReLU", config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        below = "torch.zeros_like({x})"
        if self.negative_slope:
            below = (
                f"{self.negative_slope!r} * ({{x}} - {self.threshold!r})"
                if self.threshold
                else (f"{self.negative_slope!r} * {{x}}")
            )
        above = "{x}" if self.max_value is None else f"{{x}}.clamp(max={self.max_value!r})"
        edge = ">" if self.threshold else ">="
        if not self.threshold and not self.negative_slope:
            most = "" if self.max_value is None else f", {self.max_value!r}"
            return TorchCode(None, f"torch.clamp({{x}}, 0.0{most})")
        return TorchCode(None, f"torch.where({{x}} {edge} {self.threshold!r}, {above}, {below})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        if not self.threshold and (self.max_value is None or self.max_value >= 0):
            slope = self.negative_slope
            below = OnnxOperator("LeakyRelu", {"alpha": slope}) if slope else OnnxOperator("Relu")
            return [below] if self.max_value is None else [below, OnnxOperator("Min", constants=[(self.max_value,)])]
        if self.max_value is None and not self.negative_slope and self.threshold >= 0:
            return [OnnxOperator("ThresholdedRelu", {"alpha": self.threshold})]
        raise UnknownNetwork(f"{self} cannot be written to ONNX")


@immutable()
class ELU(Layer):
    """x, or alpha · (exp(x) − 1) where that is negative."""

    keras = ("ELU",)
    elementwise = True

    alpha: float = 1.0

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        return [cls(settings.number("alpha", default=1.0))]

    def to_keras(self) -> KerasLayer:
        return KerasLayer("ELU", {"alpha": self.alpha})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"nn.functional.elu({{x}}, {self.alpha!r})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Elu", {"alpha": self.alpha})]


@immutable()
class Softmax(Layer):
    """exp(x) / sum of exp(x) along an axis, which counts the batch as 0."""

    keras = ("Softmax",)
    passes_masks = True

    axis: int = -1

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        axis = settings.get("axis", default=-1)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise settings.refuse(f"axis is {shown(axis)}; a whole number is expected")
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
    return [Activation(function_named(settings, value))]


def function_named(settings: Settings, value: object) -> str:
    """The key of FUNCTIONS that a stored configuration means."""
    if not isinstance(value, str) or value not in FUNCTIONS or value == HARD_SIGMOID_OF_KERAS_3:
        raise settings.refuse(f"the activation {shown(value)} is not supported")
    return HARD_SIGMOID_OF_KERAS_3 if value == "hard_sigmoid" and settings.session.version >= (3,) else value


def keras_name(function: str) -> str:
    """What Keras 3 calls a function."""
    if function == "hard_sigmoid":
        raise UnknownNetwork("the hard_sigmoid of Keras 1 and 2 in such a place cannot be written to today's Keras")
    return "hard_sigmoid" if function == HARD_SIGMOID_OF_KERAS_3 else function
