"""What a twin is: the arithmetic of one kind of layer, and how the tensors it is given lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ror_port.network.layers import Layer

Values = NDArray[Any]
"""A batch of values, in the graph's order of axes; float64, or float32 to see what that precision costs."""


class Stored(NamedTuple):
    """How the tensors of a file lie. kernels: whose order of axes. true_convolution: whether Theano trained them."""

    kernels: Literal["keras_1", "keras_2", "keras_3", "torch", "onnx"]
    true_convolution: bool


class Call(NamedTuple):
    """One use of a layer. weights: role → tensor as the file has it. training: normalise by the batch at hand.

    mask: (batch, steps), True where a step of the first input counts; None where all do. memory: of a stateful layer,
    which leaves the states there that it ended with.
    """

    inputs: tuple[Values, ...]
    weights: Mapping[str, Values]
    stored: Stored
    training: bool = False
    mask: Values | None = None
    memory: list[Values] | None = None

    @property
    def x(self) -> Values:
        return self.inputs[0]


Twin = Callable[[Any, Call], Values]

MASKS: dict[type[Layer], Twin] = {}
"""Kind of layer → which steps of its output count, for the layers that say it."""

TWINS: dict[type[Layer], Twin] = {}
"""Kind of layer → its arithmetic."""

T = TypeVar("T", bound=Twin)


def twin(layer: type[Layer]) -> Callable[[T], T]:
    """Marks a function of (layer, call) as the arithmetic of a kind of layer."""

    def register(function: T) -> T:
        TWINS[layer] = function
        return function

    return register


def mask_of(layer: type[Layer]) -> Callable[[T], T]:
    """Marks a function of (layer, call) as what a kind of layer says about its steps."""

    def register(function: T) -> T:
        MASKS[layer] = function
        return function

    return register


def along(vector: Values, axis: int, dimensions: int) -> Values:
    """A vector shaped so that it applies along one axis of a batch; axis counts the batch as 0."""
    shape = [1] * dimensions
    shape[axis] = -1
    return np.asarray(vector).reshape(shape)
