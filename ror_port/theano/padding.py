"""Zero padding and cropping."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from ror_port.network.layers.padding import Cropping, ZeroPadding
from ror_port.theano.convolution import as_layer_has_it, channels_last
from ror_port.theano.twins import Call, Values, twin


@twin(ZeroPadding1D)
@twin(ZeroPadding2D)
@twin(ZeroPadding3D)
def zero_padding(layer: ZeroPadding, call: Call) -> Values:
    x = channels_last(call.x, layer)
    lengths = [n + before + after for n, (before, after) in zip(x.shape[1:-1], layer.sides, strict=True)]
    padded = np.zeros((len(x), *lengths, x.shape[-1]), x.dtype)
    inside = [slice(before, before + n) for n, (before, _) in zip(x.shape[1:-1], layer.sides, strict=True)]
    padded[(slice(None), *inside)] = x
    return as_layer_has_it(padded, layer)


@twin(Cropping1D)
@twin(Cropping2D)
@twin(Cropping3D)
def cropping(layer: Cropping, call: Call) -> Values:
    x = channels_last(call.x, layer)
    inside = [slice(before, n - after) for n, (before, after) in zip(x.shape[1:-1], layer.sides, strict=True)]
    return as_layer_has_it(x[(slice(None), *inside)], layer)
