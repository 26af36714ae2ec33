"""Layers around others: TimeDistributed and Bidirectional."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ror_port.network.layers import Bidirectional, TimeDistributed
from ror_port.theano.twins import TWINS, Call, Values, twin


@twin(TimeDistributed)
def time_distributed(layer: TimeDistributed, call: Call) -> Values:
    """All steps of all sequences as one batch."""
    count, steps, *shape = call.x.shape
    within = call._replace(inputs=(call.x.reshape(count * steps, *shape),), mask=None)
    y = TWINS[type(layer.layer)](layer.layer, within)
    return y.reshape(count, steps, *y.shape[1:])


@twin(Bidirectional)
def bidirectional(layer: Bidirectional, call: Call) -> Values:
    sides = []
    for side, backwards in (("forward", False), ("backward", True)):
        own = replace(layer.layer, go_backwards=layer.layer.go_backwards is not backwards)
        weights = {role.removeprefix(f"{side}_"): w for role, w in call.weights.items() if role.startswith(side)}
        sides.append(TWINS[type(own)](own, call._replace(weights=weights)))
    forward, backward = sides
    if layer.layer.return_sequences:
        backward = backward[:, ::-1]
    match layer.merge_mode:
        case "concat":
            return np.concatenate((forward, backward), -1)
        case "sum":
            return np.asarray(forward + backward)
        case "mul":
            return np.asarray(forward * backward)
        case "ave":
            return np.asarray((forward + backward) / 2)
    raise AssertionError("a Bidirectional of two results is two layers")
