"""Layers with weights of their own for each position: EinsumDense, of which LocallyConnected1D and 2D are made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product

from ror_port.layout import DataFormat, Layout, PermuteFlattened, Shape, Transpose
from ror_port.layout import Reshape as Reshaped
from ror_port.network.layers.activation import activation
from ror_port.network.layers.convolution import CONVOLUTION, kernel_size
from ror_port.network.layers.core import Permute, Reshape
from ror_port.network.layers.layer import (
    Arrangement,
    Assembly,
    Composed,
    KerasLayer,
    Layer,
    Moved,
    OnnxOperator,
    TorchCode,
    immutable,
)
from ror_port.network.layers.merge import Concatenate, Subtract
from ror_port.network.layers.padding import CROPPING
from ror_port.network.layers.parametric import MINUS_ONE, PReLU
from ror_port.network.layers.pooling import MAX_POOLING
from ror_port.network.layers.settings import Settings
from ror_port.network.layers.spatial import Sizes, Spatial, format_axes, windows

EQUATION = "abc,bcd->abd"


@immutable()
class EinsumDense(Layer):
    """x · kernel for each position of a sequence, which has a kernel of its own. Layers of old Keras are made of it."""

    keras = ("EinsumDense",)

    places: int
    units: int

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        settings.choice("equation", choices=(EQUATION,))
        for name in ("bias_axes", "lora_rank", "quantization_config", "gptq_unpacked_column_size"):
            if settings.get(name) is not None:
                raise settings.refuse(f"{name} is not supported")
        return [cls(*settings.sizes(2, "output_shape")), *activation(settings)]

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != 2 or inputs[0][0] != self.places:
            raise ValueError(f"a value of shape {inputs[0]} is no sequence of length {self.places}")
        return (self.places, self.units)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        return {"kernel": (*inputs[0], self.units)}

    def to_keras(self) -> KerasLayer:
        return KerasLayer("EinsumDense", {"equation": EQUATION, "output_shape": [self.places, self.units]})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        (shape,) = self.weights(*inputs).values()
        module = f'nn.ParameterDict({{"kernel": torch.zeros({shape})}})'
        return TorchCode(module, f'torch.einsum("{EQUATION}", {{x}}, {{module}}["kernel"])')

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Einsum", {"equation": EQUATION}, ("kernel",))]


@immutable()
class LocallyConnected(Spatial, Composed):
    """A convolution without padding whose kernel is another at each place, and never flipped.

    kernel: (places, elements of a window, filters), the elements in the order of axes that the input has. bias:
    (spatial axes, filters); where the layer is channels_first, Keras reshapes that to (filters, spatial axes), without
    moving an axis.
    """

    filters: int
    kernel_size: Sizes
    strides: Sizes
    use_bias: bool = True

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        settings.choice("padding", "border_mode", choices=("valid",), default="valid")
        layer = cls(
            settings.integer("filters", "nb_filter"),
            kernel_size(CONVOLUTION[cls.rank], settings),
            settings.sizes(cls.rank, "strides", "subsample", "subsample_length", default=1),
            settings.flag("use_bias", "bias", default=True),
            data_format=cls.format_of(settings),
        )
        return [layer, *activation(settings)]

    def places(self, shape: Shape) -> Sizes:
        """How many windows there are along each spatial axis."""
        lengths = self.lengths(shape)
        return tuple(windows(lengths, [(0, 0)] * self.rank, self.kernel_size, self.strides))

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shaped(self.places(inputs[0]), self.filters)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        places, size = self.places(inputs[0]), math.prod(self.kernel_size) * self.channels(inputs[0])
        kernel: dict[str, Shape] = {"kernel": (math.prod(places), size, self.filters)}
        return {**kernel, "bias": (*places, self.filters)} if self.use_bias else kernel

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        layer, wanted, output, _ = super().moved(target, arrived, inputs)
        axes, (shape,) = wanted[0], inputs
        if not isinstance(axes, tuple):
            return Moved(layer, wanted, output)
        channels, places = self.channels(shape), self.places(shape)
        first, last = (self.filters, *places), (*places, self.filters)
        rows = Transpose((1, 0, 2))
        if self.data_format == "channels_first":
            window: Shape = (channels, *self.kernel_size)
            bias = Layout((Reshaped(last, first), Transpose(axes)))
        else:
            window = (*self.kernel_size, channels)
            bias = Layout((Transpose(axes), Reshaped(first, last)))
        kernel = Layout((rows, PermuteFlattened(window, axes), rows))
        return Moved(layer, wanted, output, {"kernel": kernel, "bias": bias})

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        """The elements at one place of every window are a cut of x; all of them side by side are the windows.

        A last cut, of nothing, tells whoever reads the graph again that the output is an image.
        """
        (x,) = inputs
        shape = g.shape(x)
        lengths, channels, places = self.lengths(shape), self.channels(shape), self.places(shape)
        elements: list[str] = []
        for place in product(*map(range, self.kernel_size)):
            axes = zip(place, lengths, places, self.strides, strict=True)
            cuts = tuple((begin, n - begin - (count - 1) * stride - 1) for begin, n, count, stride in axes)
            element = g.add(f"element{len(elements)}", CROPPING[self.rank](cuts, data_format=self.data_format), x)
            if max(self.strides) > 1:
                pool = MAX_POOLING[self.rank]((1,) * self.rank, self.strides, data_format=self.data_format)
                element = g.add(f"strided{len(elements)}", pool, element)
            elements.append(element)
        size, count, first = len(elements), math.prod(places), self.data_format == "channels_first"
        x = g.add("windows", Concatenate(1 if first else -1), *elements) if size > 1 else elements[0]
        if first:
            x = g.add("places_last", Reshape((size, channels, count)), x)
            x = g.add("places_first", Permute((2, 1, 0)), x)
        x = g.add("rows", Reshape((count, size * channels)), x)
        x = g.add("products", EinsumDense(count, self.filters), x)
        x = g.add("places", Reshape((*places, self.filters)), x)
        bias = g.add("bias", PReLU(), g.add("minus_one", MINUS_ONE, x)) if self.use_bias else None  # times −1
        if first:
            x = g.add("output", Permute(format_axes(self.rank, "channels_first")), x)
            bias = bias and g.add("bias_reshaped", Reshape((self.filters, *places)), bias)
        x = g.add("sum", Subtract(), x, bias) if bias else x
        return g.add("", CROPPING[self.rank](((0, 0),) * self.rank, data_format=self.data_format), x)


class LocallyConnected1D(LocallyConnected):
    rank = 1
    keras = ("LocallyConnected1D",)


class LocallyConnected2D(LocallyConnected):
    rank = 2
    keras = ("LocallyConnected2D",)
