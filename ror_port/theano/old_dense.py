"""Dense layers of Keras 1."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import Activation, Highway, MaxoutDense
from ror_port.theano.activation import activation
from ror_port.theano.twins import Call, Values, twin


@twin(MaxoutDense)
def maxout_dense(_: MaxoutDense, call: Call) -> Values:
    """As Keras wrote it: ``K.max(K.dot(x, W) + b, axis=1)``."""
    products = np.tensordot(call.x, call.weights["kernel"], axes=(1, 1))
    return np.asarray((products + call.weights.get("bias", 0)).max(axis=1))


@twin(Highway)
def highway(layer: Highway, call: Call) -> Values:
    """The gate of the transformed value is called carry in Keras."""
    x, weights = call.x, call.weights
    gate = 1 / (1 + np.exp(-(x @ weights["kernel_carry"] + weights.get("bias_carry", 0))))
    y = x @ weights["kernel"] + weights.get("bias", 0)
    return np.asarray(gate * activation(Activation(layer.function), call._replace(inputs=(y,))) + (1 - gate) * x)
