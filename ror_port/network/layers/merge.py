"""Add and Concatenate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from ror_port.layout import Shape
from ror_port.network.layers.layer import (
    Arrangement,
    DataFormat,
    KerasLayer,
    Layer,
    Moved,
    OnnxOperator,
    TorchCode,
    axis_of,
    moved_axis,
)
from ror_port.network.layers.settings import Settings


@dataclass(frozen=True)
class Add(Layer):
    """The sum of all inputs, in their order."""

    keras = ("Add",)
    keras_1 = "Merge"
    merges = True
    elementwise = True

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(set(inputs)) != 1:
            raise ValueError(f"cannot add values of shapes {inputs}")
        return inputs[0]

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Add", {})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, "sum([{xs}])" if len(inputs) > 2 else "torch.add({xs})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Add" if len(inputs) == 2 else "Sum")]


@dataclass(frozen=True)
class Concatenate(Layer):
    """All inputs, one after the other along an axis, which counts the batch as 0."""

    keras = ("Concatenate",)
    keras_1 = "Merge"
    merges = True

    axis: int = -1

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        axis = settings.get("axis", "concat_axis", default=-1)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise settings.refuse(f"axis is {axis!r}; a whole number is expected")
        return [cls(axis)]

    def output_shape(self, *inputs: Shape) -> Shape:
        axis = axis_of(self.axis, inputs[0]) - 1
        if len({(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}) != 1:
            raise ValueError(f"cannot concatenate values of shapes {inputs} along axis {axis + 1}")
        return (*inputs[0][:axis], sum(shape[axis] for shape in inputs), *inputs[0][axis + 1 :])

    def bound(self, *inputs: Shape) -> Self:
        return replace(self, axis=axis_of(self.axis, inputs[0]))

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        alike = arrived[0] if len(set(arrived)) == 1 and isinstance(arrived[0], tuple) else None
        return Moved(replace(self, axis=moved_axis(self.axis, alike)), (alike,) * len(arrived), alike)

    def to_keras(self) -> KerasLayer:
        return KerasLayer("Concatenate", {"axis": self.axis})

    def to_torch(self, *inputs: Shape) -> TorchCode:
        return TorchCode(None, f"torch.cat([{{xs}}], {self.axis})")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        return [OnnxOperator("Concat", {"axis": self.axis})]


@dataclass(frozen=True)
class Merge(Layer):
    """Keras 1's layer for all of these; `from_keras` gives the one that its mode names."""

    keras = ("Merge",)
    merges = True

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        for name in ("mode_type", "output_shape_type", "output_mask_type"):
            if settings.get(name, default="raw") != "raw":
                raise settings.refuse(f"{name} is {settings.get(name)!r}: a function, which is Python code")
        settings.get("output_shape", "output_mask", "arguments", "node_indices", "tensor_indices", "dot_axes")
        settings.read.update(
            ("output_shape", "output_mask", "arguments", "node_indices", "tensor_indices", "dot_axes", "concat_axis")
        )
        mode = settings.choice("mode", choices=("sum", "concat"), default="sum")
        return [Add()] if mode == "sum" else Concatenate.from_keras(settings)
