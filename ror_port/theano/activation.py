"""Activation and Softmax."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import Activation, Softmax
from ror_port.theano.twins import Call, Values, twin


@twin(Activation)
def activation(layer: Activation, call: Call) -> Values:
    x = call.x
    match layer.function:
        case "linear":
            return x
        case "relu":
            return np.maximum(x, 0)
        case "tanh":
            return np.asarray(np.tanh(x))
        case "sigmoid":
            return np.asarray(1 / (1 + np.exp(-x)))
    raise NotImplementedError(f"no arithmetic for the activation {layer.function}")


@twin(Softmax)
def softmax_layer(layer: Softmax, call: Call) -> Values:
    return softmax(call.x, layer.axis)


def softmax(scores: Values, axis: int = 1) -> Values:
    """Probabilities along an axis."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))
