"""ZeroPadding2D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ror_port.layout import Shape
from ror_port.network.layers.layer import ImageLayer, KerasLayer, Layer, OnnxOperator, TorchCode
from ror_port.network.layers.settings import MAX_LENGTH, Pair, Settings


@dataclass(frozen=True)
class ZeroPadding2D(ImageLayer):
    """Zeros around an image. height: (above, below). width: (left, right)."""

    keras = ("ZeroPadding2D",)

    height: Pair
    width: Pair

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        """Keras 1 has two numbers, four (top, bottom, left, right) or a mapping; Keras 2 one, two, or two pairs."""
        stated = settings.get("padding", default=1)
        sides = ("top_pad", "bottom_pad", "left_pad", "right_pad")
        match stated:
            case int():
                four = [stated] * 4
            case [int() as height, int() as width]:
                four = [height, height, width, width]
            case [[top, bottom], [left, right]] | [top, bottom, left, right]:
                four = [top, bottom, left, right]
            case dict() if stated.keys() <= set(sides):
                four = [stated.get(side, 0) for side in sides]
            case _:
                raise settings.refuse(f"padding is {stated!r}, which is not understood")
        if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < MAX_LENGTH for n in four):
            raise settings.refuse(f"padding is {stated!r}; whole numbers from 0 are expected")
        top, bottom, left, right = four
        return [cls((top, bottom), (left, right), data_format=settings.data_format())]

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, channels = self.image(inputs[0])
        return self.of_image(height + sum(self.height), width + sum(self.width), channels)

    def to_keras(self) -> KerasLayer:
        padding = [list(self.height), list(self.width)]
        return KerasLayer("ZeroPadding2D", {"padding": padding, "data_format": self.data_format})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"nn.functional.pad({{x}}, {(*self.width, *self.height)})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        (top, bottom), (left, right) = self.height, self.width
        return [OnnxOperator("Pad", {"mode": "constant"}, constants=[(0, 0, top, left, 0, 0, bottom, right)])]
