"""ZeroPadding2D."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import ZeroPadding2D
from ror_port.theano.twins import Call, Values, twin


@twin(ZeroPadding2D)
def zero_padding2d(layer: ZeroPadding2D, call: Call) -> Values:
    (top, bottom), (left, right) = layer.height, layer.width
    x = call.x
    if layer.data_format == "channels_first":
        padded = np.zeros((*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right), x.dtype)
        padded[:, :, top : top + x.shape[2], left : left + x.shape[3]] = x
    else:
        padded = np.zeros((len(x), x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3]), x.dtype)
        padded[:, top : top + x.shape[1], left : left + x.shape[2]] = x
    return padded
