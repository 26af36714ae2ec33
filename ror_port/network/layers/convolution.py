"""Conv1D, Conv2D, Conv3D, their transposes, and depthwise convolutions, of which the separable ones are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar, Self

from ror_port.errors import quote
from ror_port.layout import VARIES, DataFormat, Shape, varies
from ror_port.network.layers.activation import activation
from ror_port.network.layers.layer import Assembly, KerasLayer, Layer, OnnxOperator, TorchCode, immutable
from ror_port.network.layers.padding import CROPPING, ZERO_PADDING
from ror_port.network.layers.settings import MAX_LENGTH, Settings
from ror_port.network.layers.spatial import (
    Padding,
    Sizes,
    Spatial,
    onnx_pads,
    short,
    torch_pads,
    windows,
    zeros,
)


class Windowed(Spatial):
    """A layer whose windows are padded as a convolution's are. Its subclasses have these settings."""

    kernel_size: Sizes
    strides: Sizes
    padding: Padding
    dilation_rate: Sizes

    def __post_init__(self) -> None:
        if not self.dilation_rate:
            object.__setattr__(self, "dilation_rate", (1,) * self.rank)

    @cached_property
    def reach(self) -> Sizes:
        """The size of the kernel, dilation included."""
        return tuple((size - 1) * rate + 1 for size, rate in zip(self.kernel_size, self.dilation_rate, strict=True))

    def zeros(self, shape: Shape, padding: Padding | None = None) -> tuple[tuple[int, int], ...]:
        """Zeros before and after each spatial axis of an input; padding: this layer's, or another."""
        axes = zip(self.reach, self.strides, self.lengths(shape), strict=True)
        return tuple(zeros(padding or self.padding, size, stride, length) for size, stride, length in axes)

    def same_on_theano(self, *inputs: Shape) -> bool:
        return self.padding != "same" or self.zeros(inputs[0]) == self.zeros(inputs[0], "half")

    def bound(self, *inputs: Shape) -> Self:
        """Where both ways to pad agree, it is "same"; where there is nothing to pad, "valid".

        TensorFlow's "same" is kept where Theano's is another, though there be nothing to pad.
        """
        if not self.same_on_theano(*inputs):
            return self
        pads = self.zeros(inputs[0])
        for padding in ("valid", "same"):
            if pads == self.zeros(inputs[0], padding):
                return replace(self, padding=padding)  # type: ignore[call-arg]  # a setting of the subclasses
        return self

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        if self.padding in ("same", "valid"):
            return g.add("", self, *inputs)
        pad = ZERO_PADDING[self.rank](self.zeros(g.shape(inputs[0])), data_format=self.data_format)
        valid = replace(self, padding="valid")  # type: ignore[call-arg]
        return g.add("", valid, g.add("pad", pad, *inputs))


@immutable()
class Convolution(Windowed):
    """kernel_size, strides, dilation_rate: one number a spatial axis. initializer: of fresh kernels."""

    sizes_1: ClassVar[tuple[str, ...]]
    """What Keras 1 calls the sizes of the kernel."""

    filters: int
    kernel_size: Sizes
    strides: Sizes
    padding: Padding = "half"
    dilation_rate: Sizes = ()
    use_bias: bool = True
    initializer: str = "he_normal"

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        conv = cls(
            settings.integer("filters", "nb_filter"),
            kernel_size(cls, settings),
            settings.sizes(cls.rank, "strides", "subsample", "subsample_length", default=1),
            padding_of(settings, ("same", "valid", "full", *(["causal"] if cls.rank == 1 else []))),
            dilation(cls, settings),
            settings.flag("use_bias", "bias", default=True),
            settings.initializer("kernel_initializer", "init", default="glorot_uniform"),
            data_format=cls.format_of(settings),
        )
        first: list[Layer] = [conv]
        even = conv.padding == "half" and any(size % 2 == 0 for size in conv.kernel_size)
        if cls.rank == 3 and even and () < settings.session.version <= (1, 1, 0):
            # it pads the end by one more than the beginning; since 1.1.1 on Theano before 0.9 alone
            sides = tuple(((size - 1) // 2, size // 2) for size in conv.kernel_size)
            first = [ZERO_PADDING[3](sides, data_format=conv.data_format), replace(conv, padding="valid")]
        return [*first, *activation(settings)]

    def output_shape(self, *inputs: Shape) -> Shape:
        lengths = windows(self.lengths(inputs[0]), self.zeros(inputs[0]), self.reach, self.strides)
        return self.shaped(lengths, self.filters)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        kernel: dict[str, Shape] = {"kernel": (*self.kernel_size, self.channels(inputs[0]), self.filters)}
        return {**kernel, "bias": (self.filters,)} if self.use_bias else kernel

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
        return KerasLayer(type(self).__name__, config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        channels = self.channels(inputs[0])
        return convolution_code(self, f"{channels}, {self.filters}", self.zeros(inputs[0]))

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return on_sequences(self, convolution_operator(self, self.zeros(inputs[0]), ("kernel", "bias")))


class Conv1D(Convolution):
    rank = 1
    keras = ("Conv1D", "Convolution1D", "AtrousConvolution1D")
    keras_1 = "Convolution1D"
    sizes_1 = ("filter_length",)


class Conv2D(Convolution):
    rank = 2
    keras = ("Conv2D", "Convolution2D", "AtrousConvolution2D")
    keras_1 = "Convolution2D"
    sizes_1 = ("nb_row", "nb_col")


class Conv3D(Convolution):
    rank = 3
    keras = ("Conv3D", "Convolution3D")
    keras_1 = "Convolution3D"
    sizes_1 = ("kernel_dim1", "kernel_dim2", "kernel_dim3")


CONVOLUTION: dict[int, type[Convolution]] = {1: Conv1D, 2: Conv2D, 3: Conv3D}
"""By the number of spatial axes."""


@immutable()
class DepthwiseConvolution(Windowed):
    """Output channel ``i · depth_multiplier + j`` is input channel i under its kernel j."""

    depth_multiplier: int
    kernel_size: Sizes
    strides: Sizes
    padding: Padding = "half"
    dilation_rate: Sizes = ()
    use_bias: bool = True

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        settings.on_theano_since((2, 1, 5))
        return [cls.read(settings, settings.flag("use_bias", default=True)), *activation(settings)]

    @classmethod
    def read(cls, settings: Settings, use_bias: bool) -> Self:
        return cls(
            settings.integer("depth_multiplier", default=1),
            kernel_size(CONVOLUTION[cls.rank], settings),
            settings.sizes(cls.rank, "strides", "subsample", default=1),
            padding_of(settings, ("same", "valid")),
            dilation(CONVOLUTION[cls.rank], settings),
            use_bias,
            data_format=cls.format_of(settings),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        lengths = windows(self.lengths(inputs[0]), self.zeros(inputs[0]), self.reach, self.strides)
        return self.shaped(lengths, self.channels(inputs[0]) * self.depth_multiplier)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        channels = self.channels(inputs[0])
        kernel: dict[str, Shape] = {"depthwise_kernel": (*self.kernel_size, channels, self.depth_multiplier)}
        return {**kernel, "bias": (channels * self.depth_multiplier,)} if self.use_bias else kernel

    def to_keras(self) -> KerasLayer:
        config = {
            "depth_multiplier": self.depth_multiplier,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": list(self.dilation_rate),
            "use_bias": self.use_bias,
        }
        return KerasLayer(type(self).__name__, config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        channels = self.channels(inputs[0])
        code = convolution_code(self, f"{channels}, {channels * self.depth_multiplier}", self.zeros(inputs[0]))
        assert code.module is not None
        return code._replace(module=f"{code.module[:-1]}, groups={channels})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        operator = convolution_operator(self, self.zeros(inputs[0]), ("depthwise_kernel", "bias"))
        attributes = {**operator.attributes, "group": self.channels(inputs[0])}
        return on_sequences(self, operator._replace(attributes=attributes))


class DepthwiseConv1D(DepthwiseConvolution):
    """Every channel of a sequence convolved by itself, with depth_multiplier kernels; never flipped."""

    rank = 1
    keras = ("DepthwiseConv1D",)


class DepthwiseConv2D(DepthwiseConvolution):
    """Every channel convolved by itself, with depth_multiplier kernels; never flipped, on Theano either."""

    rank = 2
    keras = ("DepthwiseConv2D",)
    keras_1 = ""


class Separable(Layer):
    """`from_keras` gives a depthwise convolution and one of size 1, which is what it computes."""

    depthwise: ClassVar[type[DepthwiseConvolution]]

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        settings.on_theano_since((2, 2, 0))
        depthwise = cls.depthwise.read(settings, use_bias=False)
        rank = depthwise.rank
        first: list[Layer] = [depthwise]
        if depthwise.padding == "half" and any(size % 2 == 0 for size in depthwise.reach):
            # Keras 2.2 on Theano pads here as elsewhere, but does not cut what an even kernel leaves too many
            sides = tuple((size // 2, size // 2) for size in depthwise.reach)
            pad = ZERO_PADDING[rank](sides, data_format=depthwise.data_format)
            first = [pad, replace(depthwise, padding="valid")]
        pointwise = CONVOLUTION[rank](
            settings.integer("filters", "nb_filter"),
            (1,) * rank,
            (1,) * rank,
            "valid",
            use_bias=settings.flag("use_bias", "bias", default=True),
            data_format=depthwise.data_format,
        )
        return [*first, pointwise, *activation(settings)]


class SeparableConv1D(Separable):
    """`from_keras` gives a DepthwiseConv1D and a convolution of size 1, which is what it computes."""

    keras = ("SeparableConv1D",)
    depthwise = DepthwiseConv1D


class SeparableConv2D(Separable):
    """`from_keras` gives a DepthwiseConv2D and a 1×1 convolution, which is what it computes."""

    keras = ("SeparableConv2D", "SeparableConvolution2D")
    depthwise = DepthwiseConv2D


def kernel_size(kind: type[Convolution], settings: Settings) -> Sizes:
    """In Keras 2 one setting, in Keras 1 one an axis."""
    settings.read.update(kind.sizes_1)
    if settings.get("kernel_size") is not None:
        return settings.sizes(kind.rank, "kernel_size")
    return tuple(settings.integer(name) for name in kind.sizes_1)


def padding_of(settings: Settings, choices: Sequence[str]) -> Padding:
    padding = settings.choice("padding", "border_mode", choices=choices, default="valid")
    if padding == "same":
        settings.not_before_0_3_1("'same' was another with cuDNN than without")
    return "half" if padding == "same" and settings.session.theano else padding  # type: ignore[return-value]


def stated_output(settings: Settings, rank: int, data_format: DataFormat) -> Sizes | None:
    """The spatial sizes of Keras 1's output_shape, which has the batch and the channels too."""
    shape = settings.get("output_shape")
    if shape is None:
        return None
    whole = isinstance(shape, list) and len(shape) == rank + 2
    sizes = (shape[2:] if data_format == "channels_first" else shape[1:-1]) if whole else ()
    if not sizes or any(isinstance(n, bool) or not isinstance(n, int) or not 0 < n < MAX_LENGTH for n in sizes):
        raise settings.refuse(f"output_shape is {quote(str(shape))}, which is not understood")
    return tuple(sizes)


def ensure_ungrouped(settings: Settings) -> None:
    """tf.keras states groups of layers that have none, too."""
    if settings.get("groups", default=1) != 1:
        raise settings.refuse("groups are not supported")


def dilation(kind: type[Convolution], settings: Settings) -> Sizes:
    rates = settings.sizes(kind.rank, "dilation_rate", "atrous_rate", default=1)
    ensure_ungrouped(settings)
    if settings.session.theano and settings.session.version < (1, 2) and max(rates) > 1:
        raise settings.refuse(
            "an AtrousConvolution before Keras 1.2: Theano 0.8 left its rate out without a word, and "
            "the file does not record which Theano it was"
        )
    return rates


def convolution_code(
    layer: Convolution | DepthwiseConvolution, channels: str, pads: Sequence[tuple[int, int]]
) -> TorchCode:
    """A convolution of PyTorch; where the zeros are not the same before and behind, they are put there first."""
    settings = [channels, short(layer.kernel_size)]
    settings += [f"stride={short(layer.strides)}"] if max(layer.strides) > 1 else []
    even = all(before == after for before, after in pads)
    padding = tuple(before for before, _ in pads)
    settings += [f"padding={short(padding)}"] if even and any(padding) else []
    settings += [f"dilation={short(layer.dilation_rate)}"] if max(layer.dilation_rate) > 1 else []
    settings += [] if layer.use_bias else ["bias=False"]
    x = layer.first("{x}")
    x = x if even else f"nn.functional.pad({x}, {torch_pads(pads)})"
    return TorchCode(f"nn.Conv{layer.rank}d({', '.join(settings)})", layer.first(f"{{module}}({x})"))


def convolution_operator(layer: Windowed, pads: Sequence[tuple[int, int]], weights: Sequence[str]) -> OnnxOperator:
    attributes = {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.strides),
        "pads": onnx_pads(pads),
    }
    if max(layer.dilation_rate) > 1:
        attributes["dilations"] = list(layer.dilation_rate)
    return OnnxOperator("Conv", attributes, weights)


def on_sequences(layer: Spatial, operator: OnnxOperator) -> Sequence[OnnxOperator]:
    """ONNX has the channels of a sequence before its steps."""
    turn = OnnxOperator("Transpose", {"perm": [0, 2, 1]})
    return [turn, operator, turn] if layer.rank == 1 else [operator]


@immutable()
class ConvolutionTranspose(Spatial):
    """The gradient of a convolution: each input adds a kernel to the output, strides apart, of which a part is kept.

    output: sizes of the output where the configuration states them (Keras 1). output_padding: as Keras 2.2.3 has it.
    """

    filters: int
    kernel_size: Sizes
    strides: Sizes
    padding: Padding = "valid"
    use_bias: bool = True
    output_padding: Sizes | None = None
    output: Sizes | None = None

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        conv = CONVOLUTION[cls.rank]
        if settings.session.theano and settings.session.version < (1, 2):
            raise settings.refuse("a Deconvolution2D before Keras 1.2, which computed another shape than it recorded")
        if settings.session.theano and cls.rank == 3 and settings.session.version < (2, 2):
            raise settings.refuse("a Conv3DTranspose of Keras before 2.2 on Theano, of which there is no record")
        data_format = settings.data_format()
        output = stated_output(settings, cls.rank, data_format)
        padded = settings.get("output_padding") is not None
        if max(settings.sizes(cls.rank, "dilation_rate", default=1)) > 1:
            raise settings.refuse("a transposed convolution with a dilation rate is not supported")
        ensure_ungrouped(settings)
        transpose = cls(
            settings.integer("filters", "nb_filter"),
            kernel_size(conv, settings),
            settings.sizes(cls.rank, "strides", "subsample", default=1),
            padding_of(settings, ("same", "valid")),
            settings.flag("use_bias", "bias", default=True),
            settings.sizes(cls.rank, "output_padding", least=0) if padded else None,
            output,
            data_format=data_format,
        )
        return [transpose, *activation(settings)]

    def kept(self, shape: Shape) -> list[tuple[int, int, int]]:
        """Of each axis: where the kept part of the output begins, how long it is, and how long the whole one is.

        Of a length that varies they are those of length 1; for any other, kept and whole grow by as much.
        """
        found = []
        for axis, (length, size, stride) in enumerate(
            zip(self.lengths(shape), self.kernel_size, self.strides, strict=True)
        ):
            length = 1 if length is VARIES else length
            whole = (length - 1) * stride + size
            if self.output:
                kept = self.output[axis]
            elif self.output_padding:
                kept = whole + self.output_padding[axis] - (0 if self.padding == "valid" else 2 * (size // 2))
            else:
                kept = length * stride + (max(size - stride, 0) if self.padding == "valid" else 0)
            start = {"valid": 0, "half": size // 2}.get(self.padding, max(whole - kept, 0) // 2)
            found.append((start, kept, whole))
        return found

    def same_on_theano(self, *inputs: Shape) -> bool:
        return self.padding != "same" or self.kept(inputs[0]) == replace(self, padding="half").kept(inputs[0])

    def bound(self, *inputs: Shape) -> Self:
        """Where both ways to pad keep the same part, it is "same"."""
        same = replace(self, padding="same")
        return same if self.padding == "half" and same.same_on_theano(*inputs) else self

    def output_shape(self, *inputs: Shape) -> Shape:
        lengths = self.lengths(inputs[0])
        if self.output and varies(lengths):
            raise ValueError("a transposed convolution to a stated size, of sizes that vary")
        axes = zip(lengths, self.kept(inputs[0]), strict=True)
        return self.shaped([VARIES if n is VARIES else kept for n, (_, kept, _) in axes], self.filters)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        kernel: dict[str, Shape] = {"kernel": (*self.kernel_size, self.filters, self.channels(inputs[0]))}
        return {**kernel, "bias": (self.filters,)} if self.use_bias else kernel

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        """Without padding, and cut; where the output goes on beyond what inputs reach, they are continued by zeros."""
        (x,) = inputs
        shape = g.shape(x)
        kept = self.kept(shape)
        plain = replace(self, padding="valid", output=None, output_padding=None)
        if plain.kept(shape) == kept:
            return g.add("", plain, x)
        more = [max(-(-(start + n - whole) // s), 0) for (start, n, whole), s in zip(kept, self.strides, strict=True)]
        if any(more):
            pad = ZERO_PADDING[self.rank](tuple((0, n) for n in more), data_format=self.data_format)
            x = g.add("pad", pad, x)
        ends = zip(kept, plain.kept(shape), more, self.strides, strict=True)
        cuts = tuple((start, total + m * s - start - n) for (start, n, _), (_, total, _), m, s in ends)
        x = g.add("full", plain, x)
        return g.add("", CROPPING[self.rank](cuts, data_format=self.data_format), x)

    def to_keras(self) -> KerasLayer:
        config = {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": "valid",
            "data_format": self.data_format,
            "use_bias": self.use_bias,
        }
        return KerasLayer(type(self).__name__, config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        settings = [f"{self.channels(inputs[0])}, {self.filters}, {short(self.kernel_size)}"]
        settings += [f"stride={short(self.strides)}"] if max(self.strides) > 1 else []
        settings += [] if self.use_bias else ["bias=False"]
        kept = self.kept(inputs[0])
        missing = tuple(max(start + n - whole, 0) for start, n, whole in kept)
        settings += [f"output_padding={short(missing)}"] if any(missing) else []
        ends = zip(self.lengths(inputs[0]), kept, missing, strict=True)
        cuts = ", ".join(
            f"{start or ''}:{(start + n - whole - more or '') if length is VARIES else start + n}"
            for length, (start, n, whole), more in ends
        )
        whole = all((start, n) == (0, total + more) for (start, n, total), more in zip(kept, missing, strict=True))
        call = "{module}({x})" if whole else f"{{module}}({{x}})[:, :, {cuts}]"
        return TorchCode(f"nn.ConvTranspose{self.rank}d({', '.join(settings)})", call)

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        kept = self.kept(inputs[0])
        attributes = {
            "kernel_shape": list(self.kernel_size),
            "strides": list(self.strides),
            "pads": onnx_pads([(start, max(whole - start - n, 0)) for start, n, whole in kept]),
            "output_padding": [max(start + n - whole, 0) for start, n, whole in kept],
        }
        return [OnnxOperator("ConvTranspose", attributes, ("kernel", "bias"))]


class Conv2DTranspose(ConvolutionTranspose):
    rank = 2
    keras = ("Conv2DTranspose", "Deconvolution2D")
    keras_1 = "Deconvolution2D"


class Conv3DTranspose(ConvolutionTranspose):
    rank = 3
    keras = ("Conv3DTranspose",)
