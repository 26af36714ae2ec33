"""Every permutation, flip and row order of the project. Nothing else moves an axis.

A `Layout` is a rearrangement of an array's elements: it copies bytes and computes nothing, so −0.0, NaN
payloads and denormals survive. Its inverse is derived from it, never written a second time.

Axis letters: H and W rows and columns of a kernel or map, I and O its input and output channels, C channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

SLAB = 32
"""Lengths of the last axis that are copied at once."""

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]


class Step(Protocol):
    """One elementary rearrangement."""

    @property
    def inverse(self) -> Step: ...

    def view(self, array: Array) -> Array: ...

    def shape(self, shape: Shape) -> Shape: ...


@dataclass(frozen=True)
class Transpose:
    """Axis i of the result is axis `axes[i]` of the argument, as in `numpy.transpose`."""

    axes: tuple[int, ...]

    @property
    def inverse(self) -> Transpose:
        return Transpose(tuple(self.axes.index(i) for i in range(len(self.axes))))

    def view(self, array: Array) -> Array:
        return array.transpose(self.axes)

    def shape(self, shape: Shape) -> Shape:
        return tuple(shape[axis] for axis in self.axes)


@dataclass(frozen=True)
class Flip:
    """Reverses the given axes. Over both axes of a kernel: a rotation by 180°."""

    axes: tuple[int, ...]

    @property
    def inverse(self) -> Flip:
        return self

    def view(self, array: Array) -> Array:
        return np.flip(array, self.axes)

    def shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Rows:
    """Reorders the first axis, which counts the elements of an array of shape `grid` in C order, as `order` of it.

    Rows((C, H, W), (1, 2, 0)) takes rows in (C, H, W) order to (H, W, C) order.
    """

    grid: Shape
    order: tuple[int, ...]

    @property
    def inverse(self) -> Rows:
        return Rows(tuple(self.grid[axis] for axis in self.order), Transpose(self.order).inverse.axes)

    def view(self, array: Array) -> Array:
        if len(array) != math.prod(self.grid):
            raise ValueError(f"{len(array)} rows do not make a {self.grid} grid")
        order = np.arange(len(array)).reshape(self.grid).transpose(self.order).ravel()
        return array[order]

    def shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Layout:
    """Steps applied one after the other. `a | b` does a, then b."""

    steps: tuple[Step, ...] = ()

    def __or__(self, other: Layout) -> Layout:
        return Layout(self.steps + other.steps)

    @property
    def inverse(self) -> Layout:
        return Layout(tuple(step.inverse for step in reversed(self.steps)))

    def view(self, array: Array) -> Array:
        """The array rearranged, without a copy where NumPy's strides can say it."""
        for step in self.steps:
            array = step.view(array)
        return array

    def __call__(self, array: Array) -> Array:
        """A rearranged copy, C-contiguous and of its own memory."""
        return copied(self.view(array))

    def shape(self, shape: Shape) -> Shape:
        """The shape of the result for an argument of the given shape."""
        for step in self.steps:
            shape = step.shape(shape)
        return shape


def copied(array: Array) -> Array:
    """A C-contiguous copy, made in slabs, whose source lines stay in the processor's cache.

    A large kernel takes a fifth of the time so.
    """
    copy = np.empty(array.shape, array.dtype)
    if array.ndim < 2:
        copy[...] = array
    else:
        for start in range(0, array.shape[-2], SLAB):
            slab = np.s_[..., start : start + SLAB, :]
            copy[slab] = array[slab]
    return copy


def contiguous(array: Array) -> Array:
    """The array itself where it lies in order, else a copy.

    `ascontiguousarray` would leave a flipped 1×1 kernel its negative strides, which PyTorch does not take.
    """
    in_order = array.flags.c_contiguous and min(array.strides, default=0) >= 0
    return array if in_order else copied(array)


SAME = Layout()
OIHW_TO_HWIO = Layout((Transpose((2, 3, 1, 0)),))
HWIO_TO_OIHW = OIHW_TO_HWIO.inverse
IO_TO_OI = Layout((Transpose((1, 0)),))
FLIP_HW_OF_HWIO = Layout((Flip((0, 1)),))  # Theano's convolution ↔ everybody else's cross-correlation
NCHW_TO_NHWC = Layout((Transpose((0, 2, 3, 1)),))
NHWC_TO_NCHW = NCHW_TO_NHWC.inverse


def rows_chw_to_hwc(height: int, width: int, channels: int) -> Layout:
    """Rows of a Dense kernel behind a channels_first Flatten → the same behind a channels_last one."""
    return Layout((Rows((channels, height, width), (1, 2, 0)),))
