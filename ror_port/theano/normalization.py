"""BatchNormalization and UnitNormalization."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import BatchNormalization, UnitNormalization
from ror_port.theano.twins import Call, Values, along, twin


@twin(BatchNormalization)
def batch_normalization(layer: BatchNormalization, call: Call) -> Values:
    x, weights = call.x, call.weights

    def shaped(vector: Values) -> Values:
        return along(vector, layer.axis, x.ndim)

    if call.training:
        others = tuple(axis for axis in range(x.ndim) if axis != layer.axis)
        scale = weights.get("gamma", 1.0) / np.sqrt(x.var(others) + layer.epsilon)
        mean = x.mean(others)
    else:
        scale = weights.get("gamma", 1.0) / _divisor(layer, weights["moving_variance"])
        mean = weights["moving_mean"]
    y = (x - shaped(mean)) * shaped(scale)
    return y + shaped(weights["beta"]) if "beta" in weights else y


def _divisor(layer: BatchNormalization, statistic: Values) -> Values:
    """What is divided by, from what Keras kept as the running variance."""
    match layer.divisor:
        case "√(variance + epsilon)":
            return np.asarray(np.sqrt(statistic + layer.epsilon))
        case "√variance + epsilon":
            return np.asarray(np.sqrt(statistic) + layer.epsilon)
        case "std + epsilon":
            return statistic + layer.epsilon


@twin(UnitNormalization)
def unit_normalization(layer: UnitNormalization, call: Call) -> Values:
    norm = np.sqrt((call.x * call.x).sum(layer.axis, keepdims=True))
    return np.asarray(call.x / np.maximum(norm, 1e-12))
