"""MaxPooling2D and AveragePooling2D."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ror_port.network.layers import AveragePooling2D, MaxPooling2D
from ror_port.theano.twins import Call, Values, twin


@twin(MaxPooling2D)
def max_pooling2d(layer: MaxPooling2D, call: Call) -> Values:
    return np.asarray(_windows(layer, call.x).max(axis=(4, 5)))


@twin(AveragePooling2D)
def average_pooling2d(layer: AveragePooling2D, call: Call) -> Values:
    return np.asarray(_windows(layer, call.x).mean(axis=(4, 5)))


def _windows(layer: MaxPooling2D | AveragePooling2D, x: Values) -> Values:
    """Whole windows; the last two axes are those within a window."""
    height = 2 if layer.data_format == "channels_first" else 1
    down, right = layer.strides
    windows = sliding_window_view(x, layer.pool_size, axis=(height, height + 1))
    return windows[:, :, ::down, ::right] if height == 2 else windows[:, ::down, ::right]
