"""Activation and Softmax, and layers that are functions of one element."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import ELU, Activation, ReLU, Rescaling, Softmax
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
        case "hard_sigmoid":
            return np.clip(0.2 * x + 0.5, 0, 1)
        case "hard_sigmoid of Keras 3":
            return np.clip(x / 6 + 0.5, 0, 1)
        case "elu":
            return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        case "selu":
            alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
            return np.asarray(scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))
        case "softplus":
            return np.logaddexp(x, 0)
        case "softsign":
            return np.asarray(x / (1 + np.abs(x)))
        case "exponential":
            return np.exp(x)
    raise NotImplementedError(f"no arithmetic for the activation {layer.function}")


@twin(ReLU)
def relu(layer: ReLU, call: Call) -> Values:
    x = call.x
    most = np.inf if layer.max_value is None else layer.max_value
    above = np.minimum(x, most)
    inside = x > layer.threshold if layer.threshold else x >= 0
    return np.where(inside, above, layer.negative_slope * (x - layer.threshold))


@twin(ELU)
def elu(layer: ELU, call: Call) -> Values:
    return np.where(call.x > 0, call.x, layer.alpha * np.expm1(np.minimum(call.x, 0)))


@twin(Rescaling)
def rescaling(layer: Rescaling, call: Call) -> Values:
    return layer.scale * call.x + layer.offset


@twin(Softmax)
def softmax_layer(layer: Softmax, call: Call) -> Values:
    return softmax(call.x, layer.axis)


def softmax(scores: Values, axis: int = 1) -> Values:
    """Probabilities along an axis."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))
