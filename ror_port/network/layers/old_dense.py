"""Dense layers of Keras 1: MaxoutDense and Highway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ror_port.layout import Shape
from ror_port.network.layers.activation import Activation, Rescaling, activation
from ror_port.network.layers.core import Dense, RepeatVector
from ror_port.network.layers.layer import Assembly, Composed, Layer, immutable
from ror_port.network.layers.local import EinsumDense
from ror_port.network.layers.merge import Add, Multiply, Subtract
from ror_port.network.layers.parametric import MINUS_ONE, PReLU
from ror_port.network.layers.pooling import GlobalMaxPooling1D
from ror_port.network.layers.settings import Settings


@immutable()
class MaxoutDense(Composed):
    """The largest of several Dense layers. kernel: (features, in, units), bias: (features, units)."""

    keras = ("MaxoutDense",)

    units: int
    features: int
    use_bias: bool = True

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        units, features = settings.integer("output_dim"), settings.integer("nb_feature", default=4)
        return [cls(units, features, settings.flag("bias", default=True))]

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != 1:
            raise ValueError(f"a value of shape {inputs[0]} is no vector")
        return (self.units,)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        kernel: dict[str, Shape] = {"kernel": (self.features, *inputs[0], self.units)}
        return {**kernel, "bias": (self.features, self.units)} if self.use_bias else kernel

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        x = g.add("copies", RepeatVector(self.features), *inputs)
        x = g.add("features", EinsumDense(self.features, self.units), x)
        if self.use_bias:
            bias = g.add("bias", PReLU(), g.add("minus_one", MINUS_ONE, x))  # times −1
            x = g.add("sum", Subtract(), x, bias)
        return g.add("", GlobalMaxPooling1D(), x)


@immutable()
class Highway(Composed):
    """t · function(x · kernel + bias) + (1 − t) · x, where t is sigmoid(x · kernel_carry + bias_carry), of a vector.

    paired: whether each bias stands behind its kernel, as before Keras 1.2, or both behind both.
    """

    keras = ("Highway",)

    function: str
    use_bias: bool = True
    paired: bool = False

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        settings.read.add("transform_bias")  # of fresh weights
        (function,) = activation(settings) or [Activation("linear")]
        if not isinstance(function, Activation):
            raise settings.refuse("a Highway with a softmax inside is not supported")
        paired = () < settings.session.version < (1, 2)
        return [cls(function.function, settings.flag("bias", default=True), paired)]

    def fitted(self, stored: Sequence[Shape], *inputs: Shape) -> Layer:
        return replace(self, paired=len(stored[1]) == 1) if len(stored) == 4 else self

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != 1:
            raise ValueError(f"a value of shape {inputs[0]} is no vector")
        return inputs[0]

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        (size,) = inputs[0]
        shapes: dict[str, Shape] = {"kernel": (size, size), "kernel_carry": (size, size)}
        if self.use_bias:
            shapes |= {"bias": (size,), "bias_carry": (size,)}
        return {role: shapes[role] for role in sorted(shapes, key=lambda role: self.paired and "carry" in role)}

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        (x,) = inputs
        (size,) = g.shape(x)
        parts = {}
        for role, shape in self.weights((size,)).items():
            if len(shape) == 1:
                parts[role] = g.add(role, PReLU(), g.add("minus_one", MINUS_ONE, x))  # times −1
            else:
                parts[role] = g.add(role, Dense(size, use_bias=False), x)
        for role in ("kernel", "kernel_carry") if self.use_bias else ():
            parts[role] = g.add("sum", Subtract(), parts[role], parts[role.replace("kernel", "bias")])
        through = g.add("through", Activation("sigmoid"), parts["kernel_carry"])
        new = g.add("new", Multiply(), through, g.add("function", Activation(self.function), parts["kernel"]))
        old = g.add("old", Multiply(), g.add("carried", Rescaling(-1.0, 1.0), through), x)
        return g.add("", Add(), new, old)
