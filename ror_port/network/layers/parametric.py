"""Functions of one element with trained parameters: PReLU, and of Keras 1 ParametricSoftplus and SReLU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ror_port.errors import shown
from ror_port.layout import VARIES, DataFormat, Layout, PermuteFlattened, Shape, Transpose
from ror_port.network.layers.activation import RELU, Activation, Rescaling
from ror_port.network.layers.layer import (
    Arrangement,
    Assembly,
    Composed,
    KerasLayer,
    Layer,
    Moved,
    OnnxOperator,
    TorchCode,
    immutable,
    moved_axis,
)
from ror_port.network.layers.merge import Add, Maximum, Minimum, Multiply, Subtract
from ror_port.network.layers.settings import Settings

NEGATIVE = Rescaling(-1.0)
MINUS_ONE = Rescaling(0.0, -1.0)


@immutable()
class Parametric(Layer):
    """A function of each element, whose parameters are of the shape of its input but for a 1 along shared_axes.

    shared_axes: count the batch as 0. Keras 1.2.2 leaves them out of the configuration; the shapes in the file tell.
    """

    passes_masks = True

    roles: ClassVar[tuple[str, ...]]

    shared_axes: tuple[int, ...] = ()

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        stated = settings.get("shared_axes")
        axes = [] if stated is None else [stated] if isinstance(stated, int) else stated
        if not isinstance(axes, list) or any(isinstance(a, bool) or not isinstance(a, int) or a < 1 for a in axes):
            raise settings.refuse(f"shared_axes is {shown(stated)}, which is not understood")
        return [cls(tuple(axes))]

    def fitted(self, stored: Sequence[Shape], *inputs: Shape) -> Layer:
        if self.shared_axes or len(set(stored)) != 1 or len(stored[0]) != len(inputs[0]):
            return self
        sizes = enumerate(zip(stored[0], inputs[0], strict=True), 1)
        return type(self)(tuple(axis for axis, (one, n) in sizes if one == 1 and (n is VARIES or n > 1)))

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        return dict.fromkeys(self.roles, tuple(1 if i + 1 in self.shared_axes else n for i, n in enumerate(inputs[0])))

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        (arrangement,) = arrived
        if isinstance(arrangement, PermuteFlattened):
            return Moved(self, (arrangement,), arrangement, dict.fromkeys(self.roles, Layout((arrangement,))))
        if arrangement is None:
            return Moved(self, (None,))
        axes = tuple(sorted(moved_axis(axis, arrangement) for axis in self.shared_axes))
        changes = dict.fromkeys(self.roles, Layout((Transpose(arrangement),)))
        return Moved(type(self)(axes), (arrangement,), arrangement, changes)

    def times(self, g: Assembly, parameter: str, x: str) -> str:
        """A parameter times x, where no element of x is above 0: there a PReLU is nothing else."""
        return g.add(parameter, PReLU(self.shared_axes), x)


class PReLU(Parametric):
    """x, or alpha · x where that is negative, with an alpha for each element but along shared_axes."""

    keras = ("PReLU",)
    roles = ("alpha",)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("PReLU", {"shared_axes": list(self.shared_axes) or None})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        (shape,) = self.weights(*inputs).values()
        module = f'nn.ParameterDict({{{{"alpha": torch.zeros({shape})}}}})'.replace("{{", "{").replace("}}", "}")
        return TorchCode(module, 'torch.where({x} >= 0, {x}, {module}["alpha"] * {x})')

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("PRelu", weights=("alpha",))]


class ParametricSoftplus(Parametric, Composed):
    """alpha · log(1 + exp(beta · x)), with an alpha and a beta for each element but along shared_axes."""

    keras = ("ParametricSoftplus",)
    roles = ("alpha", "beta")

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        (x,) = inputs
        one = g.add("minus_one", MINUS_ONE, x)
        alpha, beta = (self.times(g, role, one) for role in self.roles)  # both times −1
        scaled = g.add("scaled", Multiply(), g.add("negative", NEGATIVE, x), beta)
        softplus = g.add("softplus", Activation("softplus"), scaled)
        return g.add("", Multiply(), g.add("negative", NEGATIVE, softplus), alpha)


class SReLU(Parametric, Composed):
    """x between two thresholds, and straight lines of other slopes beyond them, all of them for each element.

    With u = x − t_left and d = |t_right|: t_left + min(prelu(u, a_left), d) + a_right · max(u − d, 0). Theano's minimum
    also cuts what a negative a_left makes of a negative u; what TensorFlow did there has no record.
    """

    keras = ("SReLU",)
    roles = ("t_left", "a_left", "t_right", "a_right")

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        if not settings.session.theano:
            raise settings.refuse("an SReLU on TensorFlow, which clipped otherwise than Theano")
        return super().from_keras(settings)

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        (x,) = inputs
        one = g.add("minus_one", MINUS_ONE, x)
        left = self.times(g, "t_left", one)  # −t_left
        above = g.add("above_left", Add(), x, left)
        bent = g.add("a_left", PReLU(self.shared_axes), above)
        right = self.times(g, "t_right", one)
        distance = g.add("distance", Maximum(), right, g.add("negative", NEGATIVE, right))
        middle = g.add("middle", Minimum(), bent, distance)
        beyond = g.add("beyond", RELU, g.add("above_right", Subtract(), above, distance))
        slope = self.times(g, "a_right", g.add("negative", NEGATIVE, beyond))
        return g.add("", Subtract(), middle, g.add("sum", Add(), left, slope))
