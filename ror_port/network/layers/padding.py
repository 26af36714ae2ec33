"""Zero padding and cropping of sequences, images and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ror_port.errors import shown
from ror_port.layout import VARIES, Shape
from ror_port.network.layers.layer import KerasLayer, Layer, OnnxOperator, TorchCode, immutable
from ror_port.network.layers.settings import MAX_LENGTH, Settings
from ror_port.network.layers.spatial import Spatial, onnx_pads, torch_pads

Sides = tuple[tuple[int, int], ...]
"""(before, after) of each spatial axis."""

END = (1 << 63) - 1
"""In ONNX: to the end of an axis."""


@immutable()
class Bordered(Spatial):
    """A layer that adds to, or takes from, both ends of each spatial axis."""

    setting: ClassVar[str]
    default: ClassVar[int] = 1

    sides: Sides

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        stated = settings.get(cls.setting, default=cls.default)
        if isinstance(stated, list) and len(stated) == 4 and () < settings.session.version < (1, 2):
            raise settings.refuse("four numbers of padding before Keras 1.2, which had them in another order")
        sides = sides_of(stated, cls.rank)
        if sides is None:
            raise settings.refuse(f"{cls.setting} is {shown(stated)}, which is not understood")
        return [cls(sides, data_format=cls.format_of(settings))]

    def to_keras(self) -> KerasLayer:
        sides = [list(side) for side in self.sides]
        config = {self.setting: sides[0] if self.rank == 1 else sides}
        return KerasLayer(
            type(self).__name__, config if self.rank == 1 else {**config, "data_format": self.data_format}
        )


def sides_of(stated: Any, rank: int) -> Sides | None:
    """One number for all, one an axis or a pair an axis; in Keras 1 also two or four numbers, or a mapping."""
    names = {1: ("left_pad", "right_pad"), 2: ("top_pad", "bottom_pad", "left_pad", "right_pad")}.get(rank, ())
    if isinstance(stated, dict):
        if not stated.keys() <= set(names):
            return None
        stated = [stated.get(name, 0) for name in names]
    if isinstance(stated, int):
        stated = [stated] * rank
    if not isinstance(stated, list | tuple):
        return None
    if len(stated) == 2 * rank and all(isinstance(n, int) for n in stated) and rank < 3:
        stated = [stated[i : i + 2] for i in range(0, 2 * rank, 2)]
    pairs = [[n, n] if isinstance(n, int) else n for n in stated]
    if len(pairs) != rank or any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        return None
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < MAX_LENGTH for pair in pairs for n in pair):
        return None
    return tuple((before, after) for before, after in pairs)


class ZeroPadding(Bordered):
    """Zeros around a value."""

    setting = "padding"

    def output_shape(self, *inputs: Shape) -> Shape:
        axes = zip(self.lengths(inputs[0]), self.sides, strict=True)
        return self.shaped([VARIES if n is VARIES else n + sum(side) for n, side in axes], self.channels(inputs[0]))

    def to_torch(self, *inputs: Shape) -> TorchCode:
        pads = (0, 0, *self.sides[0]) if self.rank == 1 else torch_pads(self.sides)
        return TorchCode(None, f"nn.functional.pad({{x}}, {pads})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        sides = [(0, 0), *self.sides, (0, 0)] if self.rank == 1 else [(0, 0), (0, 0), *self.sides]
        return [OnnxOperator("Pad", {"mode": "constant"}, constants=[onnx_pads(sides)])]


class ZeroPadding1D(ZeroPadding):
    rank = 1
    keras = ("ZeroPadding1D",)


class ZeroPadding2D(ZeroPadding):
    rank = 2
    keras = ("ZeroPadding2D",)


class ZeroPadding3D(ZeroPadding):
    rank = 3
    keras = ("ZeroPadding3D",)


class Cropping(Bordered):
    """Without the ends of each axis."""

    setting = "cropping"

    def output_shape(self, *inputs: Shape) -> Shape:
        axes = zip(self.lengths(inputs[0]), self.sides, strict=True)
        return self.shaped([VARIES if n is VARIES else n - sum(side) for n, side in axes], self.channels(inputs[0]))

    def _slices(self, shape: Shape) -> list[tuple[int, int | None]]:
        """Begin and end along each spatial axis; the end of a length that varies counts from behind, or is None."""
        axes = zip(self.lengths(shape), self.sides, strict=True)
        return [(before, (-after or None) if n is VARIES else n - after) for n, (before, after) in axes]

    def to_torch(self, *inputs: Shape) -> TorchCode:
        slices = ", ".join(f"{begin}:{'' if end is None else end}" for begin, end in self._slices(inputs[0]))
        return TorchCode(None, f"{{x}}[:, {slices}]" if self.rank == 1 else f"{{x}}[:, :, {slices}]")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        slices = self._slices(inputs[0])
        begins, ends = [begin for begin, _ in slices], [END if end is None else end for _, end in slices]
        axes = [1] if self.rank == 1 else list(range(2, self.rank + 2))
        return [OnnxOperator("Slice", constants=[begins, ends, axes])]


class Cropping1D(Cropping):
    rank = 1
    keras = ("Cropping1D",)


class Cropping2D(Cropping):
    rank = 2
    keras = ("Cropping2D",)
    default = 0


class Cropping3D(Cropping):
    rank = 3
    keras = ("Cropping3D",)


ZERO_PADDING: dict[int, type[ZeroPadding]] = {1: ZeroPadding1D, 2: ZeroPadding2D, 3: ZeroPadding3D}
CROPPING: dict[int, type[Cropping]] = {1: Cropping1D, 2: Cropping2D, 3: Cropping3D}
"""By the number of spatial axes."""
