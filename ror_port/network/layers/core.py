"""Input, Dense, Flatten, Permute and Dropout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Self

from ror_port.errors import shown
from ror_port.layout import VARIES, Axes, DataFormat, Layout, PermuteFlattened, Shape, Transpose, extent, of_extent
from ror_port.network.layers.activation import Activation, activation
from ror_port.network.layers.layer import Arrangement, KerasLayer, Layer, Moved, OnnxOperator, TorchCode, immutable
from ror_port.network.layers.settings import MAX_LENGTH, Settings


@immutable()
class Input(Layer):
    """What a network is given. shape: without the batch; sizes may vary. batch: see `ror_port.network.graph.Graph`."""

    keras = ("InputLayer",)

    shape: Shape
    batch: int | None = None

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        shape = settings.get("batch_input_shape", "batch_shape")
        if not isinstance(shape, list) or not 1 < len(shape) < 6:
            raise settings.refuse(f"the input shape {shown(shape)} is not understood")
        if any(n is not None and (type(n) is not int or not 0 < n < MAX_LENGTH) for n in shape):
            raise settings.refuse(f"the input shape {shown(shape)} is not understood")
        return [cls(of_extent(tuple(shape[1:])), shape[0])]

    def output_shape(self, *inputs: Shape) -> Shape:
        if any(n is not VARIES and n < 1 for n in self.shape):
            raise ValueError(f"an input of shape {self.shape}")
        return self.shape

    def to_keras(self) -> KerasLayer:
        return KerasLayer("InputLayer", {"batch_input_shape": [self.batch, *extent(self.shape)]})


@immutable()
class Dense(Layer):
    """x · kernel + bias, along the last axis."""

    keras = ("Dense", "TimeDistributedDense")
    passes_masks = True

    units: int
    use_bias: bool = True
    initializer: str = "glorot_uniform"

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        settings.read.update(("input_dim",))
        for name in ("lora_rank", "quantization_config"):
            if settings.get(name) is not None:
                raise settings.refuse(f"{name} is not supported")
        dense = cls(
            settings.integer("units", "output_dim"),
            settings.flag("use_bias", "bias", default=True),
            settings.initializer("kernel_initializer", "init", default="glorot_uniform"),
        )
        return [dense, *activation(settings)]

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:-1], self.units)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        kernel: dict[str, Shape] = {"kernel": (inputs[0][-1], self.units)}
        return {**kernel, "bias": (self.units,)} if self.use_bias else kernel

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        """A vector that was flattened in another order costs nothing: the rows of the kernel are reordered."""
        (arrangement,) = arrived
        if isinstance(arrangement, PermuteFlattened):
            return Moved(self, (arrangement,), None, {"kernel": Layout((arrangement,))})
        return Moved(self, (None,))

    def to_keras(self) -> KerasLayer:
        config = {"units": self.units, "use_bias": self.use_bias, "kernel_initializer": self.initializer}
        return KerasLayer("Dense", config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        bias = "" if self.use_bias else ", bias=False"
        return TorchCode(f"nn.Linear({inputs[0][-1]}, {self.units}{bias})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        if len(inputs[0]) == 1:
            return [OnnxOperator("Gemm", {}, ("kernel", "bias"))]
        return [
            OnnxOperator("MatMul", {}, ("kernel",)),
            *([OnnxOperator("Add", {}, ("bias",))] if self.use_bias else []),
        ]


@immutable()
class Flatten(Layer):
    """To a vector, in C order.

    data_format: since Keras 2.2 "channels_first" puts the channels last before it flattens.
    """

    keras = ("Flatten",)

    data_format: DataFormat = field(default="channels_last", kw_only=True)

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        """The setting exists since Keras 2.1.6. Where it is not stated, the axes are flattened as they are."""
        stated = settings.get("data_format", default=None)
        return [cls(data_format=settings.data_format() if stated is not None else "channels_last")]

    def output_shape(self, *inputs: Shape) -> Shape:
        return (math.prod(inputs[0]),)

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        """In a moved graph all axes are flattened as they are; what follows is told of the order."""
        ((arrangement,), (shape,)) = arrived, inputs
        order = tuple(range(len(shape)))
        before = (*order[1:], 0) if self.data_format == "channels_first" else order  # as the old vector was flattened
        after = arrangement if isinstance(arrangement, tuple) else order  # as the new one is
        axes = tuple(before.index(axis) for axis in after)
        grid = tuple(shape[axis] for axis in before)
        moved = replace(self, data_format="channels_last")
        output = None if axes == order else PermuteFlattened(grid, axes)
        return Moved(moved, (arrangement,), output)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Flatten", {"data_format": self.data_format})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, "{x}.flatten(1)")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Flatten", {"axis": 1})]


@immutable()
class Permute(Layer):
    """Permutes axes. axes: without the batch, axis i of the output is axis ``axes[i]`` of the input."""

    keras = ("Permute",)

    axes: Axes

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        dims = settings.get("dims")
        if not isinstance(dims, list) or sorted(map(str, dims)) != [str(i + 1) for i in range(len(dims))]:
            raise settings.refuse(f"dims is {shown(dims)}, which is no permutation of the axes")
        return [cls(tuple(int(axis) - 1 for axis in dims))]

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != len(self.axes):
            raise ValueError(f"axes {self.axes} of a value of shape {inputs[0]} cannot be permuted")
        return Transpose(self.axes).shape(inputs[0])

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Permute", {"dims": [axis + 1 for axis in self.axes]})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"{{x}}.permute({', '.join(map(str, (0, *(axis + 1 for axis in self.axes))))})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Transpose", {"perm": [0, *(axis + 1 for axis in self.axes)]})]


@immutable()
class Reshape(Layer):
    """The same elements in C order under another shape. target: without the batch; one size may be −1.

    Where sizes of the input vary, the one that is −1 varies with them; the others must go into those that are known.
    """

    keras = ("Reshape",)

    target: tuple[int, ...]

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        shape = settings.get("target_shape", "dims")
        if not isinstance(shape, list) or not 0 < len(shape) < 6 or any(type(n) is not int or n == 0 for n in shape):
            raise settings.refuse(f"target_shape is {shown(shape)}, which is not understood")
        return [cls(tuple(shape))]

    def output_shape(self, *inputs: Shape) -> Shape:
        known = math.prod(n for n in self.target if n > 0)
        total = math.prod(n for n in inputs[0] if n is not VARIES)
        if VARIES in inputs[0]:
            if sum(n < 0 for n in self.target) != 1 or total % known:
                raise ValueError(f"a value of shape {inputs[0]} cannot be reshaped to {self.target}")
            return tuple(n if n > 0 else VARIES for n in self.target)
        shape = tuple(n if n > 0 else total // known for n in self.target)
        if math.prod(shape) != total or sum(n < 0 for n in self.target) > 1:
            raise ValueError(f"a value of shape {inputs[0]} cannot be reshaped to {self.target}")
        return shape

    def bound(self, *inputs: Shape) -> Self:
        return replace(self, target=tuple(-1 if n is VARIES else n for n in self.output_shape(*inputs)))

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Reshape", {"target_shape": list(self.target)})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        batch = "{x}.shape[0]" if -1 in self.target else "-1"
        return TorchCode(None, f"{{x}}.reshape({batch}, {', '.join(map(str, self.target))})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Reshape", constants=[(0, *self.target) if len(self.target) else (0,)])]


@immutable()
class RepeatVector(Layer):
    """A vector so many times, as a sequence."""

    keras = ("RepeatVector",)

    n: int

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        return [cls(settings.integer("n"))]

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != 1:
            raise ValueError(f"a value of shape {inputs[0]} is no vector")
        return (self.n, *inputs[0])

    def to_keras(self) -> KerasLayer:
        return KerasLayer("RepeatVector", {"n": self.n})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"{{x}}[:, None].expand(-1, {self.n}, -1)")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Unsqueeze", constants=[(1,)]), OnnxOperator("Expand", constants=[(1, self.n, 1)])]


@immutable()
class Dropout(Layer):
    """Nothing in inference. rate: the share that is dropped in training.

    All layers that only training knows are taken for one: noise, and penalties of what passes through.
    """

    keras = (
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "GaussianDropout",
        "AlphaDropout",
        "GaussianNoise",
        "ActivityRegularization",
    )
    elementwise = True

    rate: float

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        settings.read.update(("sigma", "stddev", "l1", "l2", "data_format", "dim_ordering"))
        if settings.class_name != "Dropout":
            settings.read.update(("rate", "p"))
            return [Activation("linear")]
        rate = settings.number("rate", "p", default=0.0)
        if not 0 <= rate <= 1:
            raise settings.refuse(f"rate is {rate}; a number from 0 to 1 is expected")
        if rate:
            settings.not_before_0_3_1("up to 0.2 it multiplied by 1 − rate when it predicted")
        return [cls(rate)]

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Dropout", {"rate": self.rate})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(f"nn.Dropout({self.rate!r})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return []
