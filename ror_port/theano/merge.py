"""Layers of several inputs."""

from __future__ import annotations

from functools import reduce

import numpy as np

from ror_port.network.layers import Add, Average, Concatenate, Cosine, Dot, Maximum, Minimum, Multiply, Subtract
from ror_port.theano.twins import Call, Values, twin


@twin(Add)
def add(_: Add, call: Call) -> Values:
    return reduce(np.add, call.inputs)


@twin(Subtract)
def subtract(_: Subtract, call: Call) -> Values:
    return reduce(np.subtract, call.inputs)


@twin(Multiply)
def multiply(_: Multiply, call: Call) -> Values:
    return reduce(np.multiply, call.inputs)


@twin(Average)
def average(_: Average, call: Call) -> Values:
    return np.asarray(reduce(np.add, call.inputs) / len(call.inputs))


@twin(Maximum)
def maximum(_: Maximum, call: Call) -> Values:
    return reduce(np.maximum, call.inputs)


@twin(Minimum)
def minimum(_: Minimum, call: Call) -> Values:
    return reduce(np.minimum, call.inputs)


@twin(Concatenate)
def concatenate(layer: Concatenate, call: Call) -> Values:
    return np.concatenate(call.inputs, axis=layer.axis)


@twin(Dot)
def dot(layer: Dot, call: Call) -> Values:
    """One product for each element of the batch; normalised, each side is divided by √max(Σx², 1e-12) first."""
    a, b = call.inputs
    first, second = layer.axes
    if layer.normalize:
        a, b = (
            x / np.sqrt(np.maximum((x * x).sum(axis, keepdims=True), 1e-12)) for x, axis in ((a, first), (b, second))
        )
    return _dot(a, b, layer.axes)


def _dot(a: Values, b: Values, axes: tuple[int, int]) -> Values:
    first, second = axes
    products = [np.tensordot(x, y, axes=(first - 1, second - 1)) for x, y in zip(a, b, strict=True)]
    y = np.stack(products)
    return y if y.ndim > 1 else y[:, None]


@twin(Cosine)
def cosine(layer: Cosine, call: Call) -> Values:
    """As Keras 1 wrote it; its square root is of nothing below 0, its epsilon 1e-7."""
    a, b = call.inputs
    squares = _dot(a, a, layer.axes) * _dot(b, b, layer.axes)
    divisor = np.maximum(np.sqrt(np.maximum(squares, 0)), 1e-7)
    return np.asarray(_dot(a, b, layer.axes) / divisor)[:, None]
