"""UpSampling1D, UpSampling2D and UpSampling3D."""

from __future__ import annotations

from collections.abc import Sequence

from ror_port.layout import VARIES, Shape
from ror_port.network.layers.layer import KerasLayer, Layer, OnnxOperator, TorchCode, immutable
from ror_port.network.layers.settings import Settings
from ror_port.network.layers.spatial import Sizes, Spatial


@immutable()
class UpSampling(Spatial):
    """Every element so many times along each spatial axis."""

    size: Sizes

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        settings.choice("interpolation", choices=("nearest",), default="nearest")
        size = settings.sizes(cls.rank, "size", "length", default=2)
        return [cls(size, data_format=cls.format_of(settings))]

    def output_shape(self, *inputs: Shape) -> Shape:
        axes = zip(self.lengths(inputs[0]), self.size, strict=True)
        return self.shaped([VARIES if n is VARIES else n * times for n, times in axes], self.channels(inputs[0]))

    def to_keras(self) -> KerasLayer:
        if self.rank == 1:
            return KerasLayer("UpSampling1D", {"size": self.size[0]})
        return KerasLayer(type(self).__name__, {"size": list(self.size), "data_format": self.data_format})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        axes = [1] if self.rank == 1 else range(2, self.rank + 2)
        repeats = "".join(f".repeat_interleave({n}, {axis})" for n, axis in zip(self.size, axes, strict=True) if n > 1)
        return TorchCode(None, f"{{x}}{repeats}")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        """With a factor for every axis: ONNX Runtime 1.31 fails on a Resize of some axes between two Transposes."""
        attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        factors = (1.0, *map(float, self.size), 1.0) if self.rank == 1 else (1.0, 1.0, *map(float, self.size))
        return [OnnxOperator("Resize", attributes, constants=[(), factors])]


class UpSampling1D(UpSampling):
    rank = 1
    keras = ("UpSampling1D",)


class UpSampling2D(UpSampling):
    rank = 2
    keras = ("UpSampling2D",)


class UpSampling3D(UpSampling):
    rank = 3
    keras = ("UpSampling3D",)


UP_SAMPLING: dict[int, type[UpSampling]] = {1: UpSampling1D, 2: UpSampling2D, 3: UpSampling3D}
"""By the number of spatial axes."""
