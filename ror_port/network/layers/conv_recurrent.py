"""ConvLSTM2D: an LSTM on sequences of images, whose products are convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from ror_port.errors import UnknownNetwork
from ror_port.layout import VARIES, Axes, DataFormat, Shape, varies
from ror_port.network.layers.activation import FUNCTIONS
from ror_port.network.layers.convolution import (
    Conv2D,
    Windowed,
    convolution_operator,
    dilation,
    kernel_size,
    padding_of,
)
from ror_port.network.layers.layer import (
    Arrangement,
    Assembly,
    KerasLayer,
    Mask,
    Moved,
    OnnxOperator,
    TorchCode,
    immutable,
)
from ror_port.network.layers.padding import ZeroPadding2D
from ror_port.network.layers.recurrent import LSTM, torch_function
from ror_port.network.layers.settings import Settings
from ror_port.network.layers.spatial import Padding, Sizes, format_axes, onnx_pads, torch_pads, windows, zeros
from ror_port.network.layers.wrappers import TimeDistributed

MAX_UNROLLED = 1000
"""Steps that are written to ONNX, one after the other."""


@immutable(kw_only=True)
class ConvLSTM2D(LSTM, Windowed):
    """An LSTM on images, whose products with the input and with the output of the step before are convolutions.

    It takes (steps, height, width, channels), or (steps, channels, height, width) where it is channels_first. units:
    the channels of its output. kernel: (height, width, channels, 4 · units), recurrent_kernel: (height, width, units,
    4 · units). strides, padding, dilation_rate: of the convolution of the input. recurrent_padding: of that of the
    output of the step before, which keeps its size: "half" or "same".
    """

    rank = 2
    keras = ("ConvLSTM2D",)
    units_are_called = ("filters", "nb_filter")
    states = ()

    kernel_size: Sizes
    strides: Sizes = (1, 1)
    padding: Padding = "half"
    dilation_rate: Sizes = ()
    recurrent_padding: Padding = "half"

    @classmethod
    def _settings(cls, settings: Settings) -> dict[str, Any]:
        """Keras 1 writes no strides, and takes 1 when it loads the file; each gate has weights of its own there."""
        found = super()._settings(settings)
        for name in ("return_state", "stateful"):
            if found[name]:
                raise settings.refuse(f"{name} is not supported")
        keras_1 = "nb_filter" in settings.config
        if keras_1 and "subsample" not in settings.config:
            settings.session.strides_open.append(settings.where)
        return {
            **found,
            "separate": keras_1,
            "kernel_size": kernel_size(Conv2D, settings),
            "strides": settings.sizes(cls.rank, "strides", "subsample", default=1),
            "padding": padding_of(settings, ("same", "valid")),
            "dilation_rate": dilation(Conv2D, settings),
            "recurrent_padding": "half" if settings.session.theano else "same",
            "data_format": settings.data_format(),
        }

    def masked(self, name: str, *masks: Mask) -> tuple[Self, Mask]:
        if any(masks):
            raise ValueError("a ConvLSTM2D with a mask is not supported")
        return self, ()

    def lengths(self, shape: Shape) -> Sizes:
        """Height and width of an image, or of each in a sequence."""
        return super().lengths(shape[-3:])

    def channels(self, shape: Shape) -> int:
        return super().channels(shape[-3:])

    def recurrent_zeros(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        """Zeros before and after height and width of the output of the step before. shape: of an output."""
        sizes = zip(self.kernel_size, self.lengths(shape), strict=True)
        return tuple(zeros(self.recurrent_padding, size, 1, length) for size, length in sizes)

    @property
    def is_odd(self) -> bool:
        """Whether there is but one way to pad the output of the step before."""
        return all(size % 2 for size in self.kernel_size)

    def same_on_theano(self, *inputs: Shape) -> bool:
        return super().same_on_theano(*inputs) and (self.recurrent_padding == "half" or self.is_odd)

    def bound(self, *inputs: Shape) -> Self:
        layer = replace(self, recurrent_padding="same") if self.is_odd else self
        return super(ConvLSTM2D, layer).bound(*inputs)

    def output_shape(self, *inputs: Shape) -> Shape:
        steps, *image = inputs[0]
        if len(image) != 3:
            raise ValueError(f"a value of shape {inputs[0]} is no sequence of images")
        if varies(tuple(image)):
            raise ValueError("a ConvLSTM2D on images whose sizes vary is not supported; today's Keras takes none")
        sizes = windows(self.lengths(inputs[0]), self.zeros(inputs[0]), self.reach, self.strides)
        kept = self.shaped(sizes, self.units)
        return (steps, *kept) if self.return_sequences else kept

    def of_a_gate(self, shape: Shape) -> Mapping[str, Shape]:
        return {
            "kernel": (*self.kernel_size, self.channels(shape), self.units),
            "recurrent_kernel": (*self.kernel_size, self.units, self.units),
            **({"bias": (self.units,)} if self.use_bias else {}),
        }

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        if self.data_format == target:
            return Moved(self, (None,))
        axes = format_axes(self.rank, target)
        images: Axes = (0, *(axis + 1 for axis in axes))
        return Moved(replace(self, data_format=target), (images,), images if self.return_sequences else axes)

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        """With its input padded beforehand, where Keras 3 has no such padding."""
        layer, (x,) = self.of_keras_3, inputs
        if self.padding not in ("same", "valid"):
            pad = ZeroPadding2D(self.zeros(g.shape(x)), data_format=self.data_format)
            layer, x = replace(layer, padding="valid"), g.add("pad", TimeDistributed(pad), x)
        return g.add("", layer, x)

    def to_keras(self) -> KerasLayer:
        if self.recurrent_padding == "half" and not self.is_odd:
            raise UnknownNetwork(
                f"a ConvLSTM2D of the even kernel size {self.kernel_size}: Theano pads the output of the step before "
                "at the other side than today's Keras, which has no setting for that"
            )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise UnknownNetwork("a ConvLSTM2D with strides and a dilation rate cannot be written to today's Keras")
        kind, config = super().to_keras()
        own = {
            "filters": self.units,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": list(self.dilation_rate),
        }
        return KerasLayer(kind, {**own, **{name: value for name, value in config.items() if name != "units"}})

    def _torch_module(self) -> None:
        """PyTorch has none."""

    def to_torch(self, *inputs: Shape) -> TorchCode:
        functions = [torch_function(name) for name in self._functions().values()]
        arguments = [str(self.channels(inputs[0])), str(self.units), str(self.kernel_size), *functions]
        arguments += [f"stride={self.strides}"] if max(self.strides) > 1 else []
        pads = torch_pads(self.zeros(inputs[0]))
        arguments += [f"padding={pads}"] if any(pads) else []
        arguments += [f"recurrent_padding={torch_pads(self.recurrent_zeros(self.output_shape(*inputs)))}"]
        arguments += [f"dilation={self.dilation_rate}"] if max(self.dilation_rate) > 1 else []
        return TorchCode(f"ConvLSTM2D({', '.join(arguments)}{self._flags()})", needs=("ConvLSTM2D", *functions))

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        """Step after step: ONNX has no such operator. In the first step states are zeros, and nothing comes of them."""
        steps, *image = inputs[0]
        if steps is VARIES or steps > MAX_UNROLLED:
            raise UnknownNetwork(
                f"a ConvLSTM2D of {'a number of steps that varies' if steps is VARIES else f'{steps} steps'} cannot be "
                f"written to ONNX: each step takes operators of its own, and up to {MAX_UNROLLED} are written"
            )
        output = self.output_shape(*inputs)[-3:]
        operators = [
            OnnxOperator("Reshape", constants=[(-1, *image)]),
            convolution_operator(self, self.zeros(inputs[0]), ("kernel", "bias")),
            OnnxOperator("Reshape", constants=[(-1, steps, len(self.gates) * self.units, *output[1:])]),
        ]

        def add(
            kind: str, *takes: str, attributes: Mapping[str, Any] = {}, constants: Sequence[Sequence[float]] = ()
        ) -> str:
            operators.append(OnnxOperator(kind, attributes, constants=constants, takes=takes))
            return f"#{len(operators) - 1}"

        def function(setting: str, x: str) -> str:
            spelling = FUNCTIONS[self._functions()[setting]]
            return add(spelling.onnx, x, attributes=spelling.attributes)

        def gate(name: str, sums: str) -> str:
            start = self.gates.index(name) * self.units
            part = add("Slice", sums, constants=[(start,), (start + self.units,), (1,)])
            return function(self._function_of(name), part)

        of_state = {"kernel_shape": list(self.kernel_size), "pads": onnx_pads(self.recurrent_zeros(output))}
        h = cell = ""
        outputs = []
        for step in reversed(range(steps)) if self.go_backwards else range(steps):
            sums = add("Slice", "#2", constants=[(step,), (step + 1,), (1,)])
            sums = add("Squeeze", sums, constants=[(1,)])
            if h:
                sums = add("Add", sums, add("Conv", h, "recurrent_kernel", attributes=of_state))
            candidate = add("Mul", gate("i", sums), gate("c", sums))
            cell = add("Add", add("Mul", gate("f", sums), cell), candidate) if h else candidate
            h = add("Mul", gate("o", sums), function("activation", cell))
            outputs.append(h)
        if self.return_sequences:
            add("Concat", *(add("Unsqueeze", h, constants=[(1,)]) for h in outputs), attributes={"axis": 1})
        return operators
