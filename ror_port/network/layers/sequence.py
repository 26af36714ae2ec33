"""Embedding, Masking, and sequences turned round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ror_port.layout import Shape
from ror_port.network.layers.activation import Rescaling
from ror_port.network.layers.layer import KerasLayer, Layer, Mask, OnnxOperator, TorchCode, immutable
from ror_port.network.layers.settings import Settings


class MakesMask(Layer):
    """A layer that says which steps of its output count."""

    def torch_mask(self) -> str:
        """An expression of {x}, its input: True where a step counts."""
        raise NotImplementedError

    def onnx_mask(self) -> Sequence[OnnxOperator]:
        """The same, as 1 and 0 in the type of a value."""
        raise NotImplementedError


@immutable()
class Embedding(MakesMask):
    """The rows of a table that its input names. mask_zero: whether a step of index 0 does not count."""

    keras = ("Embedding",)

    input_dim: int
    output_dim: int
    mask_zero: bool = False

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        """In Keras 0.3.3 `dropout` multiplies in inference too: by a number of the session, which is of float32."""
        settings.read.update(("dropout", "input_length"))
        for name in ("lora_rank", "quantization_config"):
            if settings.get(name) is not None:
                raise settings.refuse(f"{name} is not supported")
        mask_zero = settings.flag("mask_zero", default=False)
        embedding = cls(settings.integer("input_dim"), settings.integer("output_dim"), mask_zero)
        dropped = settings.number("dropout", default=0.0) if settings.keras_0 else 0.0
        if not 0 <= dropped < 1:
            raise settings.refuse(f"dropout is {dropped}; a number from 0, below 1, is expected")
        return [embedding, *([Rescaling(float(np.float32(1 - dropped)))] if dropped else [])]

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        return self, (name,) if self.mask_zero else ()

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0], self.output_dim)

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        return {"embeddings": (self.input_dim, self.output_dim)}

    def to_keras(self) -> KerasLayer:
        config = {"input_dim": self.input_dim, "output_dim": self.output_dim, "mask_zero": self.mask_zero}
        return KerasLayer("Embedding", config)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(f"nn.Embedding({self.input_dim}, {self.output_dim})", "{module}({x}.long())")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        index = OnnxOperator("Cast", {"to": 7})
        return [index, OnnxOperator("Gather", takes=("embeddings", "#0"))]

    def torch_mask(self) -> str:
        return "{x} != 0"

    def onnx_mask(self) -> Sequence[OnnxOperator]:
        equal = OnnxOperator("Equal", constants=[(0.0,)])
        return [equal, OnnxOperator("Not"), OnnxOperator("CastLike", takes=("#1", "0"))]


@immutable()
class Masking(MakesMask):
    """Steps of which all features have a value do not count, and are set to 0."""

    keras = ("Masking",)

    mask_value: float = 0.0

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        return [cls(settings.number("mask_value", default=0.0))]

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        return self, (name,)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Masking", {"mask_value": self.mask_value})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"{{x}} * ({{x}} != {self.mask_value!r}).any(-1, keepdim=True)")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        mask = self.onnx_mask()
        return [*mask, OnnxOperator("Unsqueeze", constants=[(-1,)]), OnnxOperator("Mul", takes=("0", f"#{len(mask)}"))]

    def torch_mask(self) -> str:
        return f"({{x}} != {self.mask_value!r}).any(-1)"

    def onnx_mask(self) -> Sequence[OnnxOperator]:
        return [
            OnnxOperator("Equal", constants=[(self.mask_value,)]),
            OnnxOperator("Not"),
            OnnxOperator("CastLike", takes=("#1", "0")),
            OnnxOperator("ReduceMax", {"keepdims": 0}, constants=[(-1,)]),
        ]


@immutable()
class Reverse(Layer):
    """The steps of a sequence in the opposite order. No layer of Keras by itself; Keras 3 has it as an operation."""

    keras = ("Flip",)

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        if settings.get("axis") != 1:
            raise settings.refuse("a Flip along another axis than that of the steps is not supported")
        return [cls()]

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        return self, ()

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Flip", {"axis": 1})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, "{x}.flip(1)")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Slice", constants=((-1,), (-(1 << 31),), (1,), (-1,)))]
