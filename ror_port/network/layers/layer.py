"""What every kind of layer provides: its settings, its shapes, and how each software spells it.

A layer is an immutable description. It holds no weights and belongs to no framework: what it computes is its twin in
`ror_port.theano`, what its weights are called is in `ror_port.mapping.weights`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

Shape = tuple[int | None, ...]
"""Without the batch, in the order of axes that the graph has. None: a length that varies."""

DataFormat = Literal["channels_last", "channels_first"]

Axes = tuple[int, ...]
"""A permutation of the axes of a value without its batch: axis i of the new value is axis ``axes[i]`` of the old."""


class KerasLayer(NamedTuple):
    """A stock layer of Keras 2 and 3. config: every setting that changes what it computes; without name and dtype."""

    class_name: str
    config: Mapping[str, Any]


class OnnxOperator(NamedTuple):
    """An ONNX operator. constants: further inputs that are no weights, as (name, integers), behind the weights."""

    kind: str
    attributes: Mapping[str, Any]
    constants: tuple[tuple[str, tuple[int, ...]], ...] = ()


class TorchCode(NamedTuple):
    """Source text. module: an ``nn.Module`` expression, or None where the layer is a function call.

    call: the expression in ``forward``; ``{x}`` stands for the first input, ``{xs}`` for all of them as a list, and
    ``{module}`` for the module.
    """

    module: str | None
    call: str = "{module}({x})"


class Moved(NamedTuple):
    """A layer in another order of axes; see `ror_port.network.relayout`.

    layer: with its settings translated. axes: what happened to the axes of its output; None where nothing did.
    inputs: the axes that each input must come in; None is the old order.
    """

    layer: Layer
    axes: Axes | None
    inputs: tuple[Axes | None, ...]


@dataclass(frozen=True)
class Layer:
    """One kind of layer and its settings. Subclasses are immutable and compare by value."""

    keras: ClassVar[tuple[str, ...]] = ()
    """Class names in stored architectures of Keras 1, 2 and 3, the one that Keras 3 has first."""

    merges: ClassVar[bool] = False
    """Whether it takes a list of inputs."""

    elementwise: ClassVar[bool] = False
    """Whether each element of the output depends on the same element of its inputs alone: no axis matters."""

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape of the output. Raises ValueError where the inputs do not fit."""
        return inputs[0]

    def weights(self, *inputs: Shape) -> Mapping[str, tuple[int, ...]]:
        """Role → canonical shape, in the order in which Keras keeps them."""
        return {}

    def moved(self, data_format: DataFormat, inputs: Sequence[Axes | None], shapes: Sequence[Shape]) -> Moved:
        """The layer where its inputs arrive with their axes permuted, or are wanted so.

        data_format: the order that the whole graph is brought to. inputs: axes of each input as it arrives.
        shapes: of the inputs in the old order. The default suits layers that look at every element alike, if all
        inputs arrive alike; else it asks for the old order.
        """
        alike = self.elementwise and len(set(inputs)) == 1
        axes = inputs[0] if alike else None
        return Moved(self, axes, (axes,) * len(inputs))

    def lowered(self, target: Literal["keras", "torch"], *inputs: Shape) -> Sequence[tuple[str, Layer]]:
        """The same function as a chain of (suffix, layer) that the target has; the last one takes the weights."""
        return [("", self)]

    def to_keras(self) -> KerasLayer:
        """The stock layer of Keras 2 and 3."""
        raise NotImplementedError(f"no Keras layer for {self}")

    def to_torch(self, *inputs: Shape) -> TorchCode:
        """PyTorch source text. inputs: shapes, channels_first."""
        raise NotImplementedError(f"no PyTorch code for {self}")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        """ONNX operators, applied one after the other; the first takes the weights. inputs: shapes, channels_first."""
        raise NotImplementedError(f"no ONNX operator for {self}")


class Elementwise(Layer):
    elementwise = True


IMAGE_AXES: Mapping[DataFormat, Axes] = {"channels_last": (1, 2, 0), "channels_first": (2, 0, 1)}
"""How the axes of an image go to the data format from the other one."""


@dataclass(frozen=True)
class ImageLayer(Layer):
    """A layer on images: (height, width, channels) where data_format is channels_last, else (channels, height, width)."""

    data_format: DataFormat = field(default="channels_last", kw_only=True)

    def moved(self, data_format: DataFormat, inputs: Sequence[Axes | None], shapes: Sequence[Shape]) -> Moved:
        from dataclasses import replace

        if self.data_format == data_format:
            return Moved(self, None, (None,) * len(inputs))
        axes = IMAGE_AXES[data_format]
        return Moved(replace(self, data_format=data_format), axes, (axes,) * len(inputs))

    def image(self, shape: Shape) -> tuple[int, int, int]:
        """Height, width and channels of an input. Raises ValueError where it is no image."""
        if len(shape) != 3:
            raise ValueError(f"{type(self).__name__} takes images, not values of shape {shape}")
        if self.data_format == "channels_first":
            channels, height, width = shape
        else:
            height, width, channels = shape
        return height, width, channels  # type: ignore[return-value]  # None only where sizes vary

    def of_image(self, height: int, width: int, channels: int) -> Shape:
        """The shape of an image in this data format."""
        return (channels, height, width) if self.data_format == "channels_first" else (height, width, channels)
