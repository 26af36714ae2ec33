"""Layers with weights of their own for each position."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import EinsumDense, LocallyConnected1D, LocallyConnected2D
from ror_port.network.layers.local import LocallyConnected
from ror_port.theano.twins import Call, Values, twin


@twin(EinsumDense)
def einsum_dense(_: EinsumDense, call: Call) -> Values:
    return np.asarray(np.einsum("npi,pio->npo", call.x, call.weights["kernel"]))


@twin(LocallyConnected1D)
@twin(LocallyConnected2D)
def locally_connected(layer: LocallyConnected, call: Call) -> Values:
    """As Keras wrote it: a slice and a dot product for each place; a channels_first bias is reshaped."""
    x, first = call.x, layer.data_format == "channels_first"
    lengths = x.shape[2:] if first else x.shape[1:-1]
    counts = [(n - k) // s + 1 for n, k, s in zip(lengths, layer.kernel_size, layer.strides, strict=True)]
    y = np.zeros((len(x), *counts, layer.filters), x.dtype)
    for kernel, place in zip(call.weights["kernel"], np.ndindex(*counts), strict=True):
        sides = zip(place, layer.strides, layer.kernel_size, strict=True)
        inside = [slice(p * stride, p * stride + size) for p, stride, size in sides]
        window = x[(slice(None), slice(None), *inside)] if first else x[(slice(None), *inside)]
        y[(slice(None), *place)] = window.reshape(len(x), -1) @ kernel
    y = np.moveaxis(y, -1, 1) if first else y
    return y + call.weights["bias"].reshape(y.shape[1:]) if layer.use_bias else y
