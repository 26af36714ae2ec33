"""BatchNormalization and UnitNormalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, Self

from ror_port.errors import shown
from ror_port.layout import DataFormat, Layout, PermuteFlattened, Shape
from ror_port.network.layers.layer import (
    Arrangement,
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

Divisor = Literal["√(variance + epsilon)", "√variance + epsilon", "std + epsilon"]
"""What a BatchNormalization divides by; the second and third are those of Keras 1.0.7 and of Keras up to 1.0.6, which
stored standard deviations."""

ROLES = ("gamma", "beta", "moving_mean", "moving_variance")


class NormRule(NamedTuple):
    """BatchNormalization from one version of Keras on: what it divides by, and its defaults."""

    since: tuple[int, ...]
    divisor: Divisor
    epsilon: float
    momentum: float


NORM_RULES = (
    NormRule((0,), "std + epsilon", 1e-6, 0.9),
    NormRule((1, 0, 7), "√variance + epsilon", 1e-6, 0.99),
    NormRule((1, 0, 8), "√(variance + epsilon)", 1e-5, 0.99),
    NormRule((1, 2, 0), "√(variance + epsilon)", 1e-3, 0.99),
)
"""Sources: Keras 0.3.3 and 1.0.6 to 1.2.2, layers/normalization.py; confirmed by records with epsilon 0.1."""

LATEST = NORM_RULES[-1]


def norm_rule(version: tuple[int, ...]) -> NormRule:
    """The rule of a Keras; of an unknown one, (), today's."""
    return [rule for rule in NORM_RULES if rule.since <= version][-1] if version else LATEST


@immutable()
class BatchNormalization(Layer):
    """gamma · (x − moving_mean) / divisor + beta, along one axis, which counts the batch as 0.

    momentum is Keras': running ← momentum · running + (1 − momentum) · batch. scale, center: whether there is a gamma,
    a beta.
    """

    keras = ("BatchNormalization",)
    passes_masks = True

    epsilon: float
    momentum: float = 0.99
    axis: int = -1
    divisor: Divisor = "√(variance + epsilon)"
    scale: bool = True
    center: bool = True

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        mode = settings.get("mode", default=0)
        if mode != 0:
            raise settings.refuse(
                f"a BatchNormalization of mode {shown(mode)}, which normalises by the batch at hand and keeps no "
                "running statistics; its predictions depend on the batch and cannot be ported"
            )
        axis = settings.get("axis", default=-1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise settings.refuse(f"axis is {shown(axis)}; a whole number is expected")
        for name in ("renorm", "virtual_batch_size", "synchronized"):
            if settings.get(name):
                raise settings.refuse(f"{name} is not supported")
        settings.read.update(("renorm_clipping", "renorm_momentum"))  # of renorm
        rule = norm_rule(settings.session.version)
        if "epsilon" not in settings.config:
            settings.session.epsilons_open.append(settings.where)
        epsilon = settings.number("epsilon", default=rule.epsilon)
        momentum = settings.number("momentum", default=rule.momentum)
        if not 0 <= epsilon <= 1 or not 0 <= momentum <= 1:
            raise settings.refuse(f"epsilon {epsilon} or momentum {momentum} is not from 0 to 1")
        scale, center = (settings.flag(name, default=True) for name in ("scale", "center"))
        return [cls(epsilon, momentum, axis, rule.divisor, scale, center)]

    def bound(self, *inputs: Shape) -> Self:
        return replace(self, axis=axis_of(self.axis, inputs[0]))

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        return dict.fromkeys(self.roles, (inputs[0][axis_of(self.axis, inputs[0]) - 1],))

    @property
    def roles(self) -> tuple[str, ...]:
        left_out = {"gamma": not self.scale, "beta": not self.center}
        return tuple(role for role in ROLES if not left_out.get(role))

    @property
    def canonical(self) -> BatchNormalization:
        """With today's divisor; where it was another, its epsilon is folded into the variances."""
        return self if self.divisor == LATEST.divisor else replace(self, epsilon=0.0, divisor=LATEST.divisor)

    @property
    def plain(self) -> BatchNormalization:
        """With a gamma and a beta, which PyTorch and ONNX have for all layers or none."""
        return replace(self, scale=True, center=True)

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        (arrangement,) = arrived
        weights = {}
        if isinstance(arrangement, PermuteFlattened):
            weights = dict.fromkeys(self.roles, Layout((arrangement,)))
        moved = replace(self, axis=moved_axis(self.axis, arrangement))
        return Moved(moved, (arrangement,), arrangement, weights)

    def to_keras(self) -> KerasLayer:
        config = {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }
        return KerasLayer("BatchNormalization", config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        (shape,) = inputs
        (size,) = self.weights(shape)["moving_mean"]
        kind = {1: "BatchNorm1d", 2: "BatchNorm1d", 3: "BatchNorm2d", 4: "BatchNorm3d"}[len(shape)]
        module = f"nn.{kind}({size}, eps={self.epsilon!r}, momentum={round(1 - self.momentum, 12)!r})"
        if self.axis == 1:
            return TorchCode(module)
        return TorchCode(module, f"{{module}}({{x}}.movedim({self.axis}, 1)).movedim(1, {self.axis})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        normalise = OnnxOperator("BatchNormalization", {"epsilon": self.epsilon}, ROLES)
        if self.axis == 1:
            return [normalise]
        there = [i for i in range(len(inputs[0]) + 1) if i != self.axis]
        there.insert(1, self.axis)
        back = [there.index(i) for i in range(len(there))]
        return [OnnxOperator("Transpose", {"perm": there}), normalise, OnnxOperator("Transpose", {"perm": back})]


@immutable()
class UnitNormalization(Layer):
    """x / max(√(sum of x²), 1e-12), along one axis, which counts the batch as 0. Layers of Keras 1 are made of it."""

    keras = ("UnitNormalization",)
    passes_masks = True

    axis: int = -1

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        axis = settings.get("axis", default=-1)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise settings.refuse(f"axis is {axis!r}; a whole number is expected")
        return [cls(axis)]

    def bound(self, *inputs: Shape) -> Self:
        return replace(self, axis=axis_of(self.axis, inputs[0]))

    def to_keras(self) -> KerasLayer:
        return KerasLayer("UnitNormalization", {"axis": self.axis})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"nn.functional.normalize({{x}}, dim={self.axis})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("LpNormalization", {"axis": self.axis, "p": 2})]
