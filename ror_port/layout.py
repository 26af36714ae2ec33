"""Every permutation, flip and reordering of the project. Nothing else moves an axis.

A `Layout` is a rearrangement of an array's elements: it copies bytes and computes nothing, so −0.0, NaN
payloads and denormals survive. Its inverse is derived from it, never written a second time.

Axis letters: K the length of a sequence's kernel, D, H and W depth, height and width, I and O input and output
channels, M kernels for each channel, P places with kernels of their own, C channels, N the batch.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, NoReturn, cast

import numpy as np

SLAB = 32
"""Lengths of the last axis that are copied at once."""

BLOCK_BYTES = 1 << 20
"""What is rearranged at once of a large tensor on its way to the disk, so that no second copy of it is in memory."""

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]
"""Sizes of the axes; `VARIES` stands for one that is another from use to use."""

Extent = tuple[int | None, ...]
"""A shape as JSON and Keras have it: None for a size that varies, or that is not known."""
DataFormat = Literal["channels_last", "channels_first"]
"""Where the channels of an image, a volume or a sequence are among its axes, in Keras' words."""

Axes = tuple[int, ...]
"""A permutation: axis i of the result is axis ``axes[i]`` of the argument, as in `numpy.transpose`."""


class Varying:
    """The kind of `VARIES`. Nothing can be computed with it: whatever needs a number fails, and says so.

    It is no int, so that no library takes it for one, and equals nothing but itself.
    """

    def __repr__(self) -> str:
        return "?"

    def __reduce__(self) -> str:
        return "VARIES"  # a copy is the same object

    def _is_no_number(self, *_: object) -> NoReturn:
        raise ValueError("does not take sizes that vary")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = __abs__ = _is_no_number
    __floordiv__ = __rfloordiv__ = __truediv__ = __rtruediv__ = __mod__ = __rmod__ = __pow__ = _is_no_number
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __int__ = __float__ = __index__ = _is_no_number


VARIES = cast(int, Varying())
"""A size that is another from use to use: the length of a sequence, the height and width of an image."""


def varies(shape: Shape) -> bool:
    """Whether any of the sizes does."""
    return any(size is VARIES for size in shape)


def extent(shape: Shape) -> Extent:
    return tuple(None if size is VARIES else size for size in shape)


def of_extent(sizes: Extent) -> Shape:
    return tuple(VARIES if size is None else size for size in sizes)


def fits(shape: Shape, expected: Shape) -> bool:
    """Whether a shape is the expected one, in which sizes may vary."""
    if len(shape) != len(expected):
        return False
    return all(wanted is VARIES or wanted == size for size, wanted in zip(shape, expected, strict=True))


@dataclass(frozen=True)
class Arranged:
    """An array whose elements were rearranged without a copy.

    view: of the memory where the elements lie. groups: how many axes of `view` make each axis, in C order; where one
    axis is made of several, NumPy could not say it by strides, but only by a copy.
    """

    view: Array
    groups: Axes

    @staticmethod
    def of(array: Array) -> Arranged:
        return Arranged(array, (1,) * array.ndim)

    @property
    def shape(self) -> Shape:
        return tuple(math.prod(self.view.shape[axis] for axis in axes) for axes in self._axes)

    @property
    def _axes(self) -> list[range]:
        """The axes of `view` that make each axis."""
        ends = list(accumulate(self.groups))
        return [range(end - count, end) for count, end in zip(self.groups, ends, strict=True)]

    def transposed(self, axes: Axes) -> Arranged:
        own = self._axes
        order = [inner for axis in axes for inner in own[axis]]
        return Arranged(self.view.transpose(order), tuple(self.groups[axis] for axis in axes))

    def flipped(self, axes: Axes) -> Arranged:
        own = self._axes
        return Arranged(np.flip(self.view, tuple(inner for axis in axes for inner in own[axis])), self.groups)

    def first_permuted(self, grid: Shape, axes: Axes) -> Arranged:
        """With the first axis reordered as if it were a flattened grid whose axes are permuted."""
        split = self if self.groups[0] == 1 else Arranged.of(self.array())  # splitting one axis takes no copy
        view = split.view.reshape(*grid, *split.view.shape[1:])
        rest = range(len(grid), view.ndim)
        return Arranged(view.transpose(*axes, *rest), (len(grid), *split.groups[1:]))

    def array(self) -> Array:
        """As an array: a view where NumPy's strides can say it, else a copy."""
        return self.view.reshape(self.shape)

    def blocks(self) -> Iterator[tuple[Shape, Array]]:
        """The elements in C order, in blocks of about BLOCK_BYTES, each with the index of its first element.

        A block is C-contiguous and has all axes. It is a copy, but where the elements lie in order already: then all
        of them are one block.
        """
        view, shape = self.view, self.shape
        in_order = view.flags.c_contiguous and min(view.strides, default=0) >= 0  # not so: flipped, of length 1
        if in_order or not view.size:
            yield (0,) * len(shape), view.reshape(shape)
            return
        cut, size = 0, view.nbytes // view.shape[0]  # the axis of `view` that is cut; bytes for one index of it
        while size > BLOCK_BYTES and cut < view.ndim - 1:
            cut += 1
            size //= view.shape[cut]
        step = max(1, BLOCK_BYTES // size)
        axis = next(number for number, axes in enumerate(self._axes) if cut in axes)
        done = 0
        for outer in np.ndindex(view.shape[:cut]):
            for start in range(0, view.shape[cut], step):
                block = copied(view[*outer, start : start + step])
                first = tuple(map(int, np.unravel_index(done, shape)))
                done += block.size
                yield first, block.reshape((1,) * axis + (-1, *shape[axis + 1 :]))


class Step(ABC):
    """One elementary rearrangement."""

    @property
    @abstractmethod
    def inverse(self) -> Step: ...

    @abstractmethod
    def applied(self, array: Arranged) -> Arranged: ...

    @abstractmethod
    def shape(self, shape: Shape) -> Shape: ...

    def view(self, array: Array) -> Array:
        """The array rearranged, without a copy where NumPy's strides can say it."""
        return self.applied(Arranged.of(array)).array()


@dataclass(frozen=True)
class Transpose(Step):
    axes: Axes

    @property
    def inverse(self) -> Transpose:
        return Transpose(tuple(self.axes.index(i) for i in range(len(self.axes))))

    def applied(self, array: Arranged) -> Arranged:
        return array.transposed(self.axes)

    def shape(self, shape: Shape) -> Shape:
        return tuple(shape[axis] for axis in self.axes)


@dataclass(frozen=True)
class Flip(Step):
    """Reverses the given axes. Over both spatial axes of a kernel: a rotation by 180°."""

    axes: Axes

    @property
    def inverse(self) -> Flip:
        return self

    def applied(self, array: Arranged) -> Arranged:
        return array.flipped(self.axes)

    def shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class PermuteFlattened(Step):
    """Reorders a flattened axis, the first one, as if its axes had been permuted before they were flattened.

    grid: the shape that was flattened in C order. axes: its permutation.
    PermuteFlattened((C, H, W), (1, 2, 0)) takes the rows of a kernel from (C, H, W) order to (H, W, C) order.
    """

    grid: Shape
    axes: Axes

    @property
    def inverse(self) -> PermuteFlattened:
        return PermuteFlattened(tuple(self.grid[axis] for axis in self.axes), Transpose(self.axes).inverse.axes)

    def applied(self, array: Arranged) -> Arranged:
        length = array.shape[0]
        if length != math.prod(self.grid):
            raise ValueError(f"an axis of length {length} is no flattened {self.grid}")
        return array.first_permuted(self.grid, self.axes)

    def shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Reshape(Step):
    """The same elements in C order under another shape."""

    before: Shape
    after: Shape

    @property
    def inverse(self) -> Reshape:
        return Reshape(self.after, self.before)

    def applied(self, array: Arranged) -> Arranged:
        return Arranged.of(array.array().reshape(self.after))

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

    def applied(self, array: Arranged) -> Arranged:
        """The array rearranged, without a copy."""
        for step in self.steps:
            array = step.applied(array)
        return array

    def view(self, array: Array) -> Array:
        """The array rearranged, without a copy where NumPy's strides can say it."""
        return self.applied(Arranged.of(array)).array()

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
