"""Input, Dense, Flatten, Permute and Dropout."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import Dense, Dropout, Flatten, Input, Permute, RepeatVector, Reshape
from ror_port.theano.twins import Call, Values, twin


@twin(Input)
def input_(_: Input, call: Call) -> Values:
    return call.x


@twin(Dropout)
def dropout(_: Dropout, call: Call) -> Values:
    return call.x


@twin(Dense)
def dense(layer: Dense, call: Call) -> Values:
    kernel = call.weights["kernel"].T if call.stored.kernels == "torch" else call.weights["kernel"]
    y = call.x @ kernel
    return np.asarray(y + call.weights["bias"] if layer.use_bias else y)


@twin(Flatten)
def flatten(layer: Flatten, call: Call) -> Values:
    """Since Keras 2.2 a layer that states channels_first has the channels put last first."""
    x = np.moveaxis(call.x, 1, -1) if layer.data_format == "channels_first" and call.x.ndim > 2 else call.x
    return x.reshape(len(x), -1)


@twin(Permute)
def permute(layer: Permute, call: Call) -> Values:
    return call.x.transpose(0, *(axis + 1 for axis in layer.axes))


@twin(Reshape)
def reshape(layer: Reshape, call: Call) -> Values:
    return call.x.reshape(len(call.x), *layer.target)


@twin(RepeatVector)
def repeat_vector(layer: RepeatVector, call: Call) -> Values:
    return np.repeat(call.x[:, None], layer.n, axis=1)
