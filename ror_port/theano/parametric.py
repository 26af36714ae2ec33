"""Functions of one element with trained parameters."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import ParametricSoftplus, PReLU, SReLU
from ror_port.theano.twins import Call, Values, twin


@twin(PReLU)
def prelu(_: PReLU, call: Call) -> Values:
    return np.where(call.x > 0, call.x, call.weights["alpha"] * call.x)


@twin(ParametricSoftplus)
def parametric_softplus(_: ParametricSoftplus, call: Call) -> Values:
    return np.asarray(call.weights["alpha"] * np.logaddexp(call.weights["beta"] * call.x, 0))


@twin(SReLU)
def srelu(_: SReLU, call: Call) -> Values:
    """As Keras wrote it: t_left + relu(x − t_left, slope a_left, at most t_right_actual − t_left) + …"""
    left, right = call.weights["t_left"], call.weights["t_left"] + np.abs(call.weights["t_right"])
    x = call.x - left
    middle = np.minimum(np.where(x > 0, x, call.weights["a_left"] * x), right - left)
    return np.asarray(left + middle + np.maximum(call.x - right, 0) * call.weights["a_right"])
