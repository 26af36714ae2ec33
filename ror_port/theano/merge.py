"""Add and Concatenate."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import Add, Concatenate
from ror_port.theano.twins import Call, Values, twin


@twin(Add)
def add(_: Add, call: Call) -> Values:
    return np.asarray(sum(call.inputs[1:], start=call.inputs[0]))


@twin(Concatenate)
def concatenate(layer: Concatenate, call: Call) -> Values:
    return np.concatenate(call.inputs, axis=layer.axis)
