"""Layers of several inputs: sums, products, means, extremes, concatenation, dot products and cosines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

from ror_port.errors import UnknownNetwork, shown
from ror_port.layout import VARIES, DataFormat, Shape
from ror_port.network.layers.activation import Rescaling
from ror_port.network.layers.core import Reshape
from ror_port.network.layers.layer import (
    Arrangement,
    Assembly,
    Composed,
    KerasLayer,
    Layer,
    Mask,
    Moved,
    OnnxOperator,
    TorchCode,
    axis_of,
    immutable,
    joint,
    moved_axis,
)
from ror_port.network.layers.normalization import UnitNormalization
from ror_port.network.layers.settings import Settings


@immutable()
class Elementwise(Layer):
    """A function of the same element of all inputs."""

    merges = True
    elementwise = True
    keras_1 = "Merge"
    torch: ClassVar[str]
    onnx: ClassVar[str]

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(set(inputs)) != 1:
            raise ValueError(f"cannot merge values of shapes {inputs} element by element")
        return inputs[0]

    def to_keras(self) -> KerasLayer:
        return KerasLayer(type(self).__name__, {})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, _folded(self.torch, len(inputs)))

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator(self.onnx)]


def _folded(call: str, count: int) -> str:
    """A function of two applied to so many, from the left; {0}, {1} … stand for the inputs."""
    text = "{0}"
    for index in range(1, count):
        text = f"{call}({text}, {{{index}}})"
    return text


class Add(Elementwise):
    """The sum of all inputs, in their order."""

    keras = ("Add",)
    torch, onnx = "torch.add", "Sum"

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Add" if len(inputs) == 2 else "Sum")]


class Subtract(Elementwise):
    """The first of two inputs less the second."""

    keras = ("Subtract",)
    keras_1 = ""
    torch, onnx = "torch.sub", "Sub"


class Multiply(Elementwise):
    """The product of all inputs."""

    keras = ("Multiply",)
    torch, onnx = "torch.mul", "Mul"

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Mul")] if len(inputs) == 2 else [OnnxOperator("Mul", folds=True)]


class Average(Elementwise):
    """The mean of all inputs."""

    keras = ("Average",)
    torch, onnx = "torch.add", "Mean"

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"({_folded(self.torch, len(inputs))} / {len(inputs)})")


class Maximum(Elementwise):
    """The largest of all inputs."""

    keras = ("Maximum",)
    torch, onnx = "torch.maximum", "Max"


class Minimum(Elementwise):
    """The smallest of all inputs."""

    keras = ("Minimum",)
    keras_1 = ""
    torch, onnx = "torch.minimum", "Min"


@immutable()
class Concatenate(Layer):
    """All inputs, one after the other along an axis, which counts the batch as 0."""

    keras = ("Concatenate",)
    keras_1 = "Merge"
    merges = True

    axis: int = -1

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        axis = settings.get("axis", "concat_axis", default=-1)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise settings.refuse(f"axis is {shown(axis)}; a whole number is expected")
        return [cls(axis)]

    def output_shape(self, *inputs: Shape) -> Shape:
        axis = axis_of(self.axis, inputs[0]) - 1
        if len({(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}) != 1:
            raise ValueError(f"cannot concatenate values of shapes {inputs} along axis {axis + 1}")
        sizes = [shape[axis] for shape in inputs]
        return (*inputs[0][:axis], VARIES if VARIES in sizes else sum(sizes), *inputs[0][axis + 1 :])

    def bound(self, *inputs: Shape) -> Self:
        return replace(self, axis=axis_of(self.axis, inputs[0]))

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        if any(masks) and self.axis != 2:
            raise ValueError("masked sequences are concatenated along another axis than that of their features")
        return self, joint(*masks)

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        alike = arrived[0] if len(set(arrived)) == 1 and isinstance(arrived[0], tuple) else None
        return Moved(replace(self, axis=moved_axis(self.axis, alike)), (alike,) * len(arrived), alike)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Concatenate", {"axis": self.axis})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"torch.cat([{{xs}}], {self.axis})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Concat", {"axis": self.axis})]


@immutable()
class Dot(Layer):
    """Products of two inputs summed along one axis of each, which counts the batch as 0; the batch is kept.

    normalize: both inputs are divided by their norms along these axes first. Two vectors give (1,).
    """

    keras = ("Dot",)
    keras_1 = "Merge"
    merges = True

    axes: tuple[int, int]
    normalize: bool = False

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        return [cls(_axes(settings, "axes", default=None), settings.flag("normalize", default=False))]

    def bound(self, *inputs: Shape) -> Self:
        first, second = (axis_of(axis, shape) for axis, shape in zip(self.axes, inputs, strict=True))
        return replace(self, axes=(first, second))

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise ValueError(f"{len(inputs)} inputs; two are expected")
        first, second = (axis_of(axis, shape) - 1 for axis, shape in zip(self.axes, inputs, strict=True))
        a, b = inputs
        if a[first] != b[second]:
            raise ValueError(f"axes {self.axes} of values of shapes {a} and {b} are not of one length")
        return (*a[:first], *a[first + 1 :], *b[:second], *b[second + 1 :]) or (1,)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Dot", {"axes": list(self.axes), "normalize": self.normalize})

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        return self, ()

    def _equation(self, inputs: Sequence[Shape]) -> str:
        letters = iter("abcdefghijklmnopqrstuvwxy")
        first, second = ([next(letters) for _ in shape] for shape in inputs)
        first[self.axes[0] - 1] = second[self.axes[1] - 1] = "z"
        rest = "".join(letter for letter in (*first, *second) if letter != "z")
        return f"n{''.join(first)},n{''.join(second)}->n{rest}"

    def to_torch(self, *inputs: Shape) -> TorchCode:
        a, b = "{0}", "{1}"
        if self.normalize:
            a, b = (f"nn.functional.normalize({{{i}}}, dim={axis}, eps=1e-6)" for i, axis in enumerate(self.axes))
        call = f'torch.einsum("{self._equation(inputs)}", {a}, {b})'
        return TorchCode(None, call if len(inputs[0]) + len(inputs[1]) > 2 else f"{call}[:, None]")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        if self.normalize:
            raise UnknownNetwork("a normalized Dot cannot be written to ONNX")
        product = OnnxOperator("Einsum", {"equation": self._equation(inputs)})
        if len(inputs[0]) + len(inputs[1]) > 2:
            return [product]
        return [product, OnnxOperator("Unsqueeze", constants=[(1,)])]


@immutable()
class Cosine(Composed):
    """Of two inputs a and b: a·b / max(√(a·a · b·b), 1e-7), products summed along one axis of each as in `Dot`.

    In front of the other axes the output has one of length 1. Keras 1's mode cos; negative radicands, which the
    products of sequences can give, count as 0.
    """

    keras_1 = "Merge"
    merges = True

    axes: tuple[int, int]

    def bound(self, *inputs: Shape) -> Self:
        return replace(self, axes=Dot(self.axes).bound(*inputs).axes)

    def output_shape(self, *inputs: Shape) -> Shape:
        first, second = (axis_of(axis, shape) for axis, shape in zip(self.axes, inputs, strict=True))
        if first != second:
            raise ValueError(f"a cosine along axis {first} of one input and axis {second} of the other")
        return (1, *Dot(self.axes).output_shape(*inputs))

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        return self, ()

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        """Of vectors. |a| is a · a/|a|; where |a|·|b| is below 1e-7, the cosine is made smaller by as much.

        A layer that divides by |a| takes no norm below 1e-12 for what it is: both are made larger before.
        """
        if len(g.shape(inputs[0])) != 1:
            raise UnknownNetwork("the merge mode 'cos' of sequences can be written to Theano alone")
        large = 2.0**20
        values = [g.add("large", Rescaling(large), x) for x in inputs]
        units = [g.add("unit", UnitNormalization(), x) for x in values]
        norms = [g.add("norm", Dot(self.axes), unit, x) for unit, x in zip(units, values, strict=True)]
        share = g.add("product", Rescaling(1e7 / large**2), g.add("norms", Multiply(), *norms))
        least = g.add("share", Minimum(), share, g.add("one", Rescaling(0.0, 1.0), share))
        cosine = g.add("cosine", Multiply(), g.add("dot", Dot(self.axes), *units), least)
        return g.add("", Reshape((1, 1)), cosine)


def _axes(settings: Settings, name: str, default: int | None) -> tuple[int, int]:
    stated = settings.get(name, default=default)
    if settings.keras_0 and isinstance(stated, int) and stated != -1:
        raise settings.refuse(f"{name} is {stated}: to Keras 0.x that many axes, which is not supported")
    while isinstance(stated, list) and len(stated) == 1:
        stated = stated[0]
    pair = [stated, stated] if isinstance(stated, int) else stated
    pair = pair if isinstance(pair, list) else []
    pair = [axis[0] if isinstance(axis, list) and len(axis) == 1 else axis for axis in pair]
    if len(pair) != 2 or any(isinstance(axis, bool) or not isinstance(axis, int) for axis in pair):
        raise settings.refuse(f"{name} is {shown(stated)}; one axis of each input is expected")
    return pair[0], pair[1]


@immutable()
class Merge(Layer):
    """Keras 1's layer for all of these; `from_keras` gives the one that its mode names."""

    keras = ("Merge",)
    merges = True

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        for name in ("mode_type", "output_shape_type", "output_mask_type"):
            if (kind := settings.get(name, default="raw")) != "raw":
                raise settings.refuse(f"{name} is {shown(kind)}: a function, which is Python code")
        settings.read.update(
            ("output_shape", "output_mask", "arguments", "node_indices", "tensor_indices", "dot_axes", "concat_axis")
        )
        if settings.keras_0 and settings.get("mode") == "cos":
            raise settings.refuse("the merge mode 'cos' of Keras 0.x, which has another shape, is not supported")
        modes = {"sum": Add, "mul": Multiply, "ave": Average, "max": Maximum}
        mode = settings.choice("mode", choices=(*modes, "concat", "dot", "cos"), default="sum")
        if mode == "concat":
            return Concatenate.from_keras(settings)
        if mode in ("dot", "cos"):
            axes = _axes(settings, "dot_axes", default=-1)
            return [Dot(axes) if mode == "dot" else Cosine(axes)]
        return [modes[mode]()]
