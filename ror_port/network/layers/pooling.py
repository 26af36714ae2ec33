"""MaxPooling2D and AveragePooling2D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ror_port.layout import Shape
from ror_port.network.layers.layer import ImageLayer, KerasLayer, Layer, OnnxOperator, TorchCode
from ror_port.network.layers.settings import Pair, Settings


@dataclass(frozen=True)
class Pooling2D(ImageLayer):
    """A figure of each window; incomplete windows are dropped. pool_size, strides: (height, width)."""

    torch: ClassVar[str]
    onnx: ClassVar[str]

    pool_size: Pair
    strides: Pair

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        size = settings.pair("pool_size", default=2)
        settings.choice("padding", "border_mode", choices=("valid",), default="valid")
        strides = settings.get("strides")
        return [cls(size, settings.pair("strides") if strides else size, data_format=settings.data_format())]

    def output_shape(self, *inputs: Shape) -> Shape:
        *lengths, channels = self.image(inputs[0])
        height, width = (
            (length - size) // stride + 1
            for length, size, stride in zip(lengths, self.pool_size, self.strides, strict=True)
        )
        if height < 1 or width < 1:
            raise ValueError(f"windows of {self.pool_size} do not fit into {tuple(lengths)}")
        return self.of_image(height, width, channels)

    def to_keras(self) -> KerasLayer:
        config = {
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": "valid",
            "data_format": self.data_format,
        }
        return KerasLayer(type(self).__name__, config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(f"nn.{self.torch}({self.pool_size}, {self.strides})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator(self.onnx, {"kernel_shape": list(self.pool_size), "strides": list(self.strides)})]


class MaxPooling2D(Pooling2D):
    """The maximum of each window."""

    keras = ("MaxPooling2D",)
    torch, onnx = "MaxPool2d", "MaxPool"


class AveragePooling2D(Pooling2D):
    """The mean of each window."""

    keras = ("AveragePooling2D",)
    torch, onnx = "AvgPool2d", "AveragePool"
