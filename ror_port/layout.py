"""Every permutation, flip and reordering of the project. Nothing else moves an axis.

A `Layout` is a rearrangement of an array's elements: it copies bytes and computes nothing, so −0.0, NaN
payloads and denormals survive. Its inverse is derived from it, never written a second time.

Axis letters: K the length of a sequence's kernel, D, H and W depth, height and width, I and O input and output
channels, M kernels for each channel, P places with kernels of their own, C channels, N the batch.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

SLAB = 32
"""Lengths of the last axis that are copied at once."""

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]
DataFormat = Literal["channels_last", "channels_first"]
"""Where the channels of an image, a volume or a sequence are among its axes, in Keras' words."""

Axes = tuple[int, ...]
"""A permutation: axis i of the result is axis ``axes[i]`` of the argument, as in `numpy.transpose`."""


class Step(Protocol):
    """One elementary rearrangement."""

    @property
    def inverse(self) -> Step: ...

    def view(self, array: Array) -> Array: ...

    def shape(self, shape: Shape) -> Shape: ...


@dataclass(frozen=True)
class Transpose:
    axes: Axes

    @property
    def inverse(self) -> Transpose:
        return Transpose(tuple(self.axes.index(i) for i in range(len(self.axes))))

    def view(self, array: Array) -> Array:
        return array.transpose(self.axes)

    def shape(self, shape: Shape) -> Shape:
        return tuple(shape[axis] for axis in self.axes)


@dataclass(frozen=True)
class Flip:
    """Reverses the given axes. Over both spatial axes of a kernel: a rotation by 180°."""

    axes: Axes

    @property
    def inverse(self) -> Flip:
        return self

    def view(self, array: Array) -> Array:
        return np.flip(array, self.axes)

    def shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class PermuteFlattened:
    """Reorders a flattened axis, the first one, as if its axes had been permuted before they were flattened.

    grid: the shape that was flattened in C order. axes: its permutation.
    PermuteFlattened((C, H, W), (1, 2, 0)) takes the rows of a kernel from (C, H, W) order to (H, W, C) order.
    """

    grid: Shape
    axes: Axes

    @property
    def inverse(self) -> PermuteFlattened:
        return PermuteFlattened(tuple(self.grid[axis] for axis in self.axes), Transpose(self.axes).inverse.axes)

    def view(self, array: Array) -> Array:
        if len(array) != math.prod(self.grid):
            raise ValueError(f"an axis of length {len(array)} is no flattened {self.grid}")
        order = np.arange(len(array)).reshape(self.grid).transpose(self.axes).ravel()
        return array[order]

    def shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Reshape:
    """The same elements in C order under another shape."""

    before: Shape
    after: Shape

    @property
    def inverse(self) -> Reshape:
        return Reshape(self.after, self.before)

    def view(self, array: Array) -> Array:
        return array.reshape(self.after)

    def shape(self, shape: Shape) -> Shape:
        return self.after


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
    """A C-contiguous copy, made in slabs whose source lines stay in the processor's cache.

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
    """The array itself where it is contiguous and in order, else a copy.

    `ascontiguousarray` would leave a flipped 1×1 kernel its negative strides, which PyTorch does not take.
    """
    in_order = array.flags.c_contiguous and min(array.strides, default=0) >= 0
    return array if in_order else copied(array)


def transposition(old: str, new: str) -> Layout:
    """From axes called by letters to the same in another order: ``transposition("OIHW", "HWIO")``."""
    return SAME if old == new else Layout((Transpose(tuple(old.index(letter) for letter in new)),))


def rearrangement(old: str, new: str, shape: Shape) -> Layout:
    """From axes called by letters to others that hold the same elements. shape: of the old ones.

    In `new` an axis of length 1 may be put in, as 1, and neighbours may be joined, in parentheses:
    ``rearrangement("HWIM", "(IM)1HW", (3, 3, 8, 2))`` leads to an array of shape (16, 1, 3, 3).
    """
    groups = re.findall(r"\([A-Z]+\)|[A-Z1]", new)
    letters = [letter for letter in new if letter.isalpha()]
    moved = transposition(old, "".join(letters))
    if groups == letters:
        return moved
    size = dict(zip(old, shape, strict=True))
    after = tuple(math.prod(size[letter] for letter in group if letter.isalpha()) for group in groups)
    return moved | Layout((Reshape(moved.shape(shape), after),))


def flip(axes: str, spatial: str = "KDHW") -> Layout:
    """Reverses the spatial axes of a kernel whose axes are called by letters.

    Theano's convolution ↔ the cross-correlation of everybody else.
    """
    found = tuple(index for index, letter in enumerate(axes) if letter in spatial)
    return Layout((Flip(found),)) if found else SAME


def batched(axes: Axes) -> Layout:
    """A permutation of the axes of one value, for a batch of them: the first axis stays."""
    return Layout((Transpose((0, *(axis + 1 for axis in axes))),))


SAME = Layout()
NCHW_TO_NHWC = transposition("NCHW", "NHWC")
NHWC_TO_NCHW = NCHW_TO_NHWC.inverse
