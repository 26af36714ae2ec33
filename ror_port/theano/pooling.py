"""Maxima and means of windows, and of whole axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ror_port.network.layers import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from ror_port.network.layers.pooling import GlobalPooling, Pooling
from ror_port.theano.convolution import as_layer_has_it, channels_last
from ror_port.theano.twins import Call, Values, twin


@twin(MaxPooling1D)
@twin(MaxPooling2D)
@twin(MaxPooling3D)
def max_pooling(layer: Pooling, call: Call) -> Values:
    return _pooled(layer, call.x, -np.inf, np.max)


@twin(AveragePooling1D)
@twin(AveragePooling2D)
@twin(AveragePooling3D)
def average_pooling(layer: Pooling, call: Call) -> Values:
    """Of the elements that there are; what lies beyond the border does not count, or, in some versions, as zeros."""
    sums = _pooled(layer, call.x, 0.0, np.sum)
    if layer.counts_border:
        return np.asarray(sums / np.prod(layer.pool_size))
    return np.asarray(sums / _pooled(layer, np.ones_like(call.x), 0.0, np.sum))


def _pooled(layer: Pooling, x: Values, outside: float, figure: Callable[..., Values]) -> Values:
    rank, x = layer.rank, channels_last(x, layer)
    pads, counts = [(0, 0)] * (rank + 2), []
    for axis, (length, size, stride) in enumerate(zip(x.shape[1:-1], layer.pool_size, layer.strides, strict=True), 1):
        count = (length - size) // stride + 1
        if layer.padding == "same":
            count = int(np.ceil(length / stride))
            total = max((count - 1) * stride + size - length, 0)
            pads[axis] = (total // 2, total - total // 2)
        elif layer.padding == "theano":  # pool2d pads both sides alike, and what is too long is cut
            count = int(np.ceil(length / stride))
            border = size - 2 if size > 2 and size % 2 == 1 else size - 1
            pads[axis] = (border, border)
        counts.append(count)
    padded = np.pad(x, pads, constant_values=outside)
    windows = sliding_window_view(padded, layer.pool_size, axis=tuple(range(1, rank + 1)))
    windows = windows[(slice(None), *[slice(None, None, stride) for stride in layer.strides])]
    windows = windows[(slice(None), *[slice(0, count) for count in counts])]
    return as_layer_has_it(np.asarray(figure(windows, axis=tuple(range(-rank, 0)))), layer)


@twin(GlobalMaxPooling1D)
@twin(GlobalMaxPooling2D)
@twin(GlobalMaxPooling3D)
def global_max_pooling(layer: GlobalPooling, call: Call) -> Values:
    return np.asarray(channels_last(call.x, layer).max(axis=tuple(range(1, layer.rank + 1))))


@twin(GlobalAveragePooling1D)
def average_of_steps(layer: GlobalAveragePooling1D, call: Call) -> Values:
    if call.mask is None:
        return global_average_pooling(layer, call)
    counts = call.mask[..., np.newaxis].astype(call.x.dtype)
    return np.asarray((call.x * counts).sum(axis=1) / counts.sum(axis=1))


@twin(GlobalAveragePooling2D)
@twin(GlobalAveragePooling3D)
def global_average_pooling(layer: GlobalPooling, call: Call) -> Values:
    return np.asarray(channels_last(call.x, layer).mean(axis=tuple(range(1, layer.rank + 1))))
