"""What layers on sequences, images and volumes share: their data format, and windows that slide along their axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import ClassVar, Literal

from ror_port.layout import VARIES, Axes, DataFormat, Shape
from ror_port.network.layers.layer import Arrangement, Layer, Moved, immutable
from ror_port.network.layers.settings import DATA_FORMATS, Settings

Sizes = tuple[int, ...]
"""One number a spatial axis."""

Padding = Literal["half", "same", "valid", "full", "causal"]
"""The zeros around the input of a convolution.

half: Theano's 'same', as many on both sides whatever the stride. same: TensorFlow's, so many that the output is
⌈length / stride⌉ long, the odd one at the end. valid: none. full: size − 1 on both sides. causal: size − 1 before.
"""


def format_axes(rank: int, target: DataFormat) -> Axes:
    """How the axes of a value with so many spatial axes are permuted on the way to a data format from the other one."""
    return (*range(1, rank + 1), 0) if target == "channels_last" else (rank, *range(rank))


def brought_to(rank: int, target: DataFormat) -> DataFormat:
    """The data format of values with so many spatial axes, where images are brought to `target`.

    Sequences are channels_last then, whatever images are.
    """
    return "channels_last" if rank == 1 else target


@immutable()
class Spatial(Layer):
    """A layer on values of (spatial axes, channels), or (channels, spatial axes) where it is channels_first.

    rank: how many spatial axes there are: 1 for sequences, 2 for images, 3 for volumes.
    """

    rank: ClassVar[int]

    data_format: DataFormat = field(default="channels_last", kw_only=True)

    @classmethod
    def format_of(cls, settings: Settings) -> DataFormat:
        if cls.rank > 1:
            return settings.data_format()
        stated = settings.choice("data_format", choices=("channels_last", "channels_first"), default="channels_last")
        return DATA_FORMATS[stated]

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        target = brought_to(self.rank, target)
        if self.data_format == target:
            return Moved(self, (None,))
        axes = format_axes(self.rank, target)
        return Moved(replace(self, data_format=target), (axes,), axes)

    def lengths(self, shape: Shape) -> Sizes:
        """The sizes of the spatial axes of an input. Raises ValueError where it has another number of axes."""
        if len(shape) != self.rank + 1:
            raise ValueError(f"{type(self).__name__} takes values of {self.rank + 1} axes, not of shape {shape}")
        return shape[1:] if self.data_format == "channels_first" else shape[:-1]

    def channels(self, shape: Shape) -> int:
        return shape[0] if self.data_format == "channels_first" else shape[-1]

    def shaped(self, lengths: Sequence[int], channels: int) -> Shape:
        """The shape of a value in this data format. Raises ValueError where nothing is left of an axis."""
        if any(length is not VARIES and length < 1 for length in lengths):
            raise ValueError(f"{type(self).__name__} leaves nothing of an axis: {tuple(lengths)}")
        return (channels, *lengths) if self.data_format == "channels_first" else (*lengths, channels)

    def first(self, x: str) -> str:
        """PyTorch source text of a value with its channels first: sequences are the other way round there."""
        return f"{x}.transpose(1, 2)" if self.rank == 1 else x


def windows(lengths: Sequence[int], pads: Sequence[tuple[int, int]], reach: Sizes, strides: Sizes) -> list[int]:
    """How many whole windows fit along each axis. reach: length of a window; pads: before and after each axis.

    Raises ValueError where the pads vary with the length.
    """
    if any(VARIES in pad for pad in pads):
        raise ValueError("'same' with strides, on TensorFlow, pads by the length, which varies")
    return [
        VARIES if length is VARIES else (length + sum(pad) - size) // stride + 1
        for length, pad, size, stride in zip(lengths, pads, reach, strides, strict=True)
    ]


def zeros(padding: Padding, size: int, stride: int, length: int) -> tuple[int, int]:
    """Zeros before and after an axis of the given length. size: of the kernel, dilation included.

    Theano pads with size // 2 on both sides and cuts an output that is too long at its end; what is cut was made of
    zeros behind the end, so it is not padded with here. Where the length varies, all are there that any length needs:
    no window begins within those that are too many. TensorFlow's strided 'same' begins elsewhere for each length, and
    its zeros vary.
    """
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return size - 1, size - 1
    if padding == "causal":
        return size - 1, 0
    if length is not VARIES:
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
    elif padding == "half" or 1 in (size, stride):
        total = size - 1
    else:
        return VARIES, VARIES
    if padding == "half":
        before = size // 2
        return before, before if size % 2 else max(total - before, 0)
    return total // 2, total - total // 2


def onnx_pads(pads: Sequence[tuple[int, int]]) -> list[int]:
    """Starts of all axes, then ends of all axes."""
    return [pad[0] for pad in pads] + [pad[1] for pad in pads]


def torch_pads(pads: Sequence[tuple[int, int]]) -> Sizes:
    """As ``nn.functional.pad`` has them: the last axis first."""
    return tuple(side for pad in reversed(pads) for side in pad)


def short(sizes: Sizes) -> str:
    """Source text of sizes, one number where all are the same."""
    return str(sizes[0]) if len(set(sizes)) == 1 else str(tuple(sizes))
