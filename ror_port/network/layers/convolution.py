"""Conv2D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

from ror_port.layout import Shape
from ror_port.network.layers.activation import activation
from ror_port.network.layers.layer import ImageLayer, KerasLayer, Layer, OnnxOperator, TorchCode
from ror_port.network.layers.padding import ZeroPadding2D
from ror_port.network.layers.settings import Pair, Settings

Padding = Literal["half", "same", "valid"]
"""The zeros around the input of a convolution.

half: Theano's 'same', as many on both sides whatever the stride. same: TensorFlow's, so many that the output is
⌈length / stride⌉ long, the odd one at the end. valid: none.
"""


def zeros(padding: Padding, size: int, stride: int, length: int) -> Pair:
    """Zeros before and after an axis of the given length. size: of the kernel, dilation included.

    Theano pads with size // 2 on both sides and cuts an output that is too long at its end; what is cut was made of
    zeros behind the end, so it is not padded with here.
    """
    if padding == "valid":
        return 0, 0
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    if padding == "half":
        before = size // 2
        return before, before if size % 2 else max(total - before, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Conv2D(ImageLayer):
    """kernel_size, strides, dilation_rate: (height, width). initializer: of fresh kernels."""

    keras = ("Conv2D", "Convolution2D")
    keras_1 = "Convolution2D"

    filters: int
    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: Padding = "half"
    dilation_rate: Pair = (1, 1)
    use_bias: bool = True
    initializer: str = "he_normal"

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        size = settings.get("kernel_size")
        if size is None:
            size = [settings.integer("nb_row"), settings.integer("nb_col")]
        settings.read.update(("nb_row", "nb_col"))
        padding = settings.choice("padding", "border_mode", choices=("same", "valid"), default="valid")
        if settings.get("groups", default=1) != 1:
            raise settings.refuse("groups are not supported")
        conv = cls(
            filters=settings.integer("filters", "nb_filter"),
            kernel_size=settings.pair("kernel_size", default=size),
            strides=settings.pair("strides", "subsample", default=1),
            padding="half" if padding == "same" and settings.session.theano else padding,  # type: ignore[arg-type]
            dilation_rate=settings.pair("dilation_rate", default=1),
            use_bias=settings.flag("use_bias", "bias", default=True),
            initializer=settings.initializer("kernel_initializer", "init", default="glorot_uniform"),
            data_format=settings.data_format(),
        )
        return [conv, *activation(settings)]

    @property
    def reach(self) -> Pair:
        """Height and width of the kernel, dilation included."""
        (rows, columns), (down, right) = self.kernel_size, self.dilation_rate
        return (rows - 1) * down + 1, (columns - 1) * right + 1

    def zeros(self, shape: Shape, padding: Padding | None = None) -> tuple[Pair, Pair]:
        """Zeros (above, below), (left, right) of an input of the given shape; padding: this layer's, or another."""
        lengths = self.image(shape)[:2]
        height, width = (
            zeros(padding or self.padding, size, stride, length)
            for size, stride, length in zip(self.reach, self.strides, lengths, strict=True)
        )
        return height, width

    def same_on_theano(self, shape: Shape) -> bool:
        """Whether Theano has this padding: 'same' of TensorFlow may be another there."""
        return self.padding != "same" or self.zeros(shape) == self.zeros(shape, "half")

    def output_shape(self, *inputs: Shape) -> Shape:
        lengths = self.image(inputs[0])[:2]
        pads = self.zeros(inputs[0])
        height, width = (
            (length + sum(pad) - size) // stride + 1
            for length, pad, size, stride in zip(lengths, pads, self.reach, self.strides, strict=True)
        )
        if height < 1 or width < 1:
            raise ValueError(f"a kernel of {self.reach} does not fit into {lengths}")
        return self.of_image(height, width, self.filters)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        kernel: dict[str, Shape] = {"kernel": (*self.kernel_size, self.image(inputs[0])[2], self.filters)}
        return {**kernel, "bias": (self.filters,)} if self.use_bias else kernel

    def bound(self, *inputs: Shape) -> Self:
        """Where both ways to pad agree, it is "same"; where there is nothing to pad, "valid"."""
        pads = self.zeros(inputs[0])
        for padding in ("valid", "same"):
            if pads == self.zeros(inputs[0], padding):
                return replace(self, padding=padding)
        return self

    def for_keras(self, *inputs: Shape) -> Sequence[tuple[str, Layer]]:
        if self.padding != "half":
            return [("", self)]
        pad = ZeroPadding2D(*self.zeros(inputs[0]), data_format=self.data_format)
        return [("pad", pad), ("", replace(self, padding="valid"))]

    def to_keras(self) -> KerasLayer:
        config = {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": list(self.dilation_rate),
            "use_bias": self.use_bias,
            "kernel_initializer": self.initializer,
        }
        return KerasLayer("Conv2D", config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        (top, bottom), (left, right) = self.zeros(inputs[0])
        settings = [f"{self.image(inputs[0])[2]}, {self.filters}, {_short(self.kernel_size)}"]
        settings += [f"stride={_short(self.strides)}"] if self.strides != (1, 1) else []
        even = (top, left) == (bottom, right)
        settings += [f"padding={_short((top, left))}"] if even and (top, left) != (0, 0) else []
        settings += [f"dilation={_short(self.dilation_rate)}"] if self.dilation_rate != (1, 1) else []
        settings += [] if self.use_bias else ["bias=False"]
        x = "{x}" if even else f"nn.functional.pad({{x}}, ({left}, {right}, {top}, {bottom}))"
        return TorchCode(f"nn.Conv2d({', '.join(settings)})", f"{{module}}({x})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        (top, bottom), (left, right) = self.zeros(inputs[0])
        attributes = {
            "kernel_shape": list(self.kernel_size),
            "strides": list(self.strides),
            "pads": [top, left, bottom, right],
        }
        if self.dilation_rate != (1, 1):
            attributes["dilations"] = list(self.dilation_rate)
        return [OnnxOperator("Conv", attributes, ("kernel", "bias"))]


def _short(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else str(pair)
