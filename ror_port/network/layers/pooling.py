"""Maxima and means of windows, and of whole axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any, ClassVar, Literal, Self

from ror_port.errors import UnknownNetwork
from ror_port.layout import VARIES, DataFormat, Shape
from ror_port.network.layers.activation import Activation
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
)
from ror_port.network.layers.merge import Concatenate
from ror_port.network.layers.padding import CROPPING, ZERO_PADDING
from ror_port.network.layers.settings import Settings
from ror_port.network.layers.spatial import Sizes, Spatial, onnx_pads, short, torch_pads, windows, zeros
from ror_port.network.layers.upsampling import UP_SAMPLING

PoolPadding = Literal["valid", "same", "theano"]
"""valid: incomplete windows are dropped. same: TensorFlow's. theano: what Theano has for 'same'.

Theano begins its windows before the input by k − 2 where k is odd and above 2, else by k − 1, and has ⌈length / stride⌉
of them.
"""


def border(padding: PoolPadding, size: int, stride: int, length: int) -> tuple[int, int]:
    """Places before and after an axis that windows reach over; where its length varies, as of `zeros`."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        before, after = zeros("same", size, stride, length)
        return before, after
    before = size - 2 if size > 2 and size % 2 else size - 1
    if length is VARIES:
        return before, size - 1 - before
    count = -(-length // stride)
    return before, max((count - 1) * stride + size - length - before, 0)


@immutable()
class Pooling(Spatial):
    """A figure of each window. counts_border: whether a mean counts what lies outside of the input, as zeros."""

    torch: ClassVar[str]
    onnx: ClassVar[str]

    pool_size: Sizes
    strides: Sizes
    padding: PoolPadding = "valid"
    counts_border: bool = False

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        size = settings.sizes(cls.rank, "pool_size", "pool_length", default=2)
        stated = settings.get("strides", "stride")
        padding = settings.choice("padding", "border_mode", choices=("valid", "same"), default="valid")
        if cls.torch == "MaxPool":
            settings.not_before_0_3_1("0.3.0 took the mean on Theano, and no file states which it was")
        theano, version = settings.session.theano, settings.session.version
        if padding == "same" and theano:
            padding = "theano"
            if version < (1, 2) and 1 in size:
                raise settings.refuse("pooling 'same' of Keras before 1.2 with a size of 1, which Theano cropped")
            if cls.rank == 3 and (2,) <= version < (2, 1, 6):
                raise settings.refuse("3-D pooling 'same' of Keras before 2.1.6 on Theano, which is one too long")
        counts = theano and padding == "theano" and (2, 0, 4) <= version < (2, 1, 5) and cls.rank < 3
        return [
            cls(
                size,
                settings.sizes(cls.rank, "strides", "stride") if stated is not None else size,
                padding,  # type: ignore[arg-type]
                counts and cls.torch == "AvgPool",
                data_format=cls.format_of(settings),
            )
        ]

    def borders(self, shape: Shape, padding: PoolPadding | None = None) -> list[tuple[int, int]]:
        axes = zip(self.pool_size, self.strides, self.lengths(shape), strict=True)
        return [border(padding or self.padding, size, stride, length) for size, stride, length in axes]

    def bound(self, *inputs: Shape) -> Self:
        if not self.same_on_theano(*inputs):
            return self
        for padding in ("valid", "same"):
            if self.borders(inputs[0]) == self.borders(inputs[0], padding):
                return replace(self, padding=padding)
        return self

    def same_on_theano(self, *inputs: Shape) -> bool:
        return self.padding != "same" or self.borders(inputs[0]) == self.borders(inputs[0], "theano")

    def output_shape(self, *inputs: Shape) -> Shape:
        lengths = windows(self.lengths(inputs[0]), self.borders(inputs[0]), self.pool_size, self.strides)
        return self.shaped(lengths, self.channels(inputs[0]))

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        """Windows that reach over a border are pooled by themselves: along one axis after the other.

        A maximum over a rectangle is one over its height of one over its width, and so is a mean of what is there.
        """
        if self.padding != "theano":
            return g.add("", self, *inputs)
        (x,) = inputs
        if self.counts_border:
            pad = ZERO_PADDING[self.rank](tuple(self.borders(g.shape(x))), data_format=self.data_format)
            return g.add("", replace(self, padding="valid", counts_border=False), g.add("pad", pad, x))
        for axis in range(self.rank):
            x = self._along(g, axis, x, "" if axis == self.rank - 1 else f"axis{axis}")
        return x

    def _along(self, g: Assembly, axis: int, x: str, suffix: str) -> str:
        """Pools along one axis. Whole windows go together, each of the others is a pooling of its own."""
        length = self.lengths(g.shape(x))[axis]
        size, stride = self.pool_size[axis], self.strides[axis]
        if length is VARIES:
            return self._along_any_length(g, axis, x, suffix)
        before, _ = border(self.padding, size, stride, length)
        starts = [index * stride - before for index in range(-(-length // stride))]
        parts: list[tuple[int, int, int]] = []  # from, to, length of a window
        for start in starts:
            begin, end = max(start, 0), min(start + size, length)
            if parts and parts[-1][2] == size == end - begin:
                parts[-1] = (parts[-1][0], end, size)
            else:
                parts.append((begin, end, end - begin))
        found = []
        for number, (begin, end, window) in enumerate(parts):
            part = x
            if (begin, end) != (0, length):
                part = g.add(f"part{number}", self._cropping(axis, begin, length - end), part)
            one = end - begin == 1  # of which any figure is the element itself
            found.append(part if one else g.add("window", self._window(axis, window, stride), part))
        if len(found) == 1:
            return g.add(suffix, Activation("linear"), found[0])
        counted = 1 + axis + (self.data_format == "channels_first")
        return g.add(suffix, Concatenate(counted), *found)

    def _along_any_length(self, g: Assembly, axis: int, x: str, suffix: str) -> str:
        """As `_along`, where it is not known how many windows there are.

        A window of 3 begins one place before its middle in TensorFlow too, if there is one for each place: those that
        are too many are left out. One of 2 lies as far to the left as one of 3 does where every element stands twice,
        and has the same maximum.
        """
        size, stride = self.pool_size[axis], self.strides[axis]
        if border("theano", size, stride, VARIES) == border("same", size, stride, VARIES):
            return g.add(suffix, self._window(axis, size, stride, "same"), x)
        if size == 2 and self.torch == "MaxPool":
            twice = UP_SAMPLING[self.rank](self._sizes(axis, 2), data_format=self.data_format)
            x, size, stride = g.add("twice", twice, x), 3, 2 * stride
        if size != 3:
            kind = type(self).__name__
            raise UnknownNetwork(
                f"a {kind} of Keras on Theano with padding 'same' and size {size} cannot be written to Keras for sizes "
                "that vary, but to PyTorch and ONNX"
            )
        return g.add(suffix, self._window(axis, 1, stride), g.add("window", self._window(axis, 3, 1, "same"), x))

    def _cropping(self, axis: int, before: int, after: int) -> Layer:
        sides = tuple((before, after) if index == axis else (0, 0) for index in range(self.rank))
        return CROPPING[self.rank](sides, data_format=self.data_format)

    def _window(self, axis: int, size: int, stride: int, padding: PoolPadding = "valid") -> Layer:
        return replace(self, pool_size=self._sizes(axis, size), strides=self._sizes(axis, stride), padding=padding)

    def _sizes(self, axis: int, size: int) -> Sizes:
        """A size along one axis, and 1 along the others."""
        return tuple(size if index == axis else 1 for index in range(self.rank))

    def to_keras(self) -> KerasLayer:
        config: dict[str, Any] = {
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
        }
        return KerasLayer(type(self).__name__, config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        borders = self.borders(inputs[0])
        module = f"nn.{self.torch}{self.rank}d({short(self.pool_size)}, {short(self.strides)})"
        x = self.first("{x}")
        if not any(map(any, borders)):
            return TorchCode(module, self.first(f"{{module}}({x})"))
        if self.torch == "MaxPool":
            padded = f"nn.functional.pad({x}, {torch_pads(borders)}, value=-torch.inf)"
            return TorchCode(module, self.first(f"{{module}}({padded})"))
        padded = f"nn.functional.pad({x}, {torch_pads(borders)})"
        if self.counts_border:
            return TorchCode(module, self.first(f"{{module}}({padded})"))
        ones = f"nn.functional.pad(torch.ones_like({x}), {torch_pads(borders)})"
        call = f"({{module}}({padded}) / {{module}}({ones}))"
        return TorchCode(module, self.first(call))

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        attributes: dict[str, Any] = {"kernel_shape": list(self.pool_size), "strides": list(self.strides)}
        borders = self.borders(inputs[0])
        if any(map(any, borders)):
            attributes["pads"] = onnx_pads(borders)
        if self.counts_border:
            attributes["count_include_pad"] = 1
        turn = OnnxOperator("Transpose", {"perm": [0, 2, 1]})
        pool = OnnxOperator(self.onnx, attributes)
        return [turn, pool, turn] if self.rank == 1 else [pool]


class MaxPooling(Pooling):
    torch, onnx = "MaxPool", "MaxPool"


class AveragePooling(Pooling):
    torch, onnx = "AvgPool", "AveragePool"


class MaxPooling1D(MaxPooling):
    rank = 1
    keras = ("MaxPooling1D",)


class MaxPooling2D(MaxPooling):
    rank = 2
    keras = ("MaxPooling2D",)


class MaxPooling3D(MaxPooling):
    rank = 3
    keras = ("MaxPooling3D",)


class AveragePooling1D(AveragePooling):
    rank = 1
    keras = ("AveragePooling1D",)


class AveragePooling2D(AveragePooling):
    rank = 2
    keras = ("AveragePooling2D",)


class AveragePooling3D(AveragePooling):
    rank = 3
    keras = ("AveragePooling3D",)


MAX_POOLING: dict[int, type[MaxPooling]] = {1: MaxPooling1D, 2: MaxPooling2D, 3: MaxPooling3D}
"""By the number of spatial axes."""


@immutable()
class GlobalPooling(Spatial):
    """A figure of all spatial axes, for each channel."""

    torch: ClassVar[str]
    onnx: ClassVar[str]

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        if settings.get("keepdims"):
            raise settings.refuse("keepdims is not supported")
        return [cls(data_format=cls.format_of(settings))]

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        layer, wanted, *_ = super().moved(target, arrived, inputs)
        return Moved(layer, wanted)  # the output is a vector

    def output_shape(self, *inputs: Shape) -> Shape:
        self.lengths(inputs[0])
        return (self.channels(inputs[0]),)

    def to_keras(self) -> KerasLayer:
        return KerasLayer(type(self).__name__, {"data_format": self.data_format})

    def _axes(self) -> tuple[int, ...]:
        return (
            tuple(range(2, self.rank + 2)) if self.data_format == "channels_first" else tuple(range(1, self.rank + 1))
        )

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"{{x}}.{self.torch}({self._axes()})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator(self.onnx, {"keepdims": 0}, constants=[self._axes()])]


class GlobalMaxPooling(GlobalPooling):
    torch, onnx = "amax", "ReduceMax"


class GlobalAveragePooling(GlobalPooling):
    torch, onnx = "mean", "ReduceMean"


class GlobalMaxPooling1D(GlobalMaxPooling):
    rank = 1
    keras = ("GlobalMaxPooling1D",)


class GlobalMaxPooling2D(GlobalMaxPooling):
    rank = 2
    keras = ("GlobalMaxPooling2D",)


class GlobalMaxPooling3D(GlobalMaxPooling):
    rank = 3
    keras = ("GlobalMaxPooling3D",)


@immutable()
class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean of all steps, for each channel. has_mask: of those alone that count; Keras does so since 2.2."""

    rank = 1
    keras = ("GlobalAveragePooling1D",)

    has_mask: bool = field(default=False, kw_only=True)

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        if any(masks) and self.data_format == "channels_first":
            raise ValueError("the mean of a masked sequence in channels_first, which Keras confuses, is not supported")
        return replace(self, has_mask=bool(masks[0])), ()

    def to_torch(self, *inputs: Shape) -> TorchCode:
        if not self.has_mask:
            return super().to_torch(*inputs)
        return TorchCode(None, "({x} * {mask}.unsqueeze(-1)).sum(1) / {mask}.sum(1, keepdim=True)")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        if not self.has_mask:
            return super().to_onnx(*inputs)
        return [
            OnnxOperator("Unsqueeze", takes=("mask",), constants=[(2,)]),
            OnnxOperator("Mul", takes=("0", "#0")),
            OnnxOperator("ReduceSum", {"keepdims": 0}, constants=[(1,)]),
            OnnxOperator("ReduceSum", {"keepdims": 1}, takes=("mask",), constants=[(1,)]),
            OnnxOperator("Div", takes=("#2", "#3")),
        ]


class GlobalAveragePooling2D(GlobalAveragePooling):
    rank = 2
    keras = ("GlobalAveragePooling2D",)


class GlobalAveragePooling3D(GlobalAveragePooling):
    rank = 3
    keras = ("GlobalAveragePooling3D",)
