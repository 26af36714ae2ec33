"""SimpleRNN, GRU and LSTM, written from Keras 1.2.2 and 2.2.4 (layers/recurrent.py, backend/theano_backend.py: rnn)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ror_port.network.layers import GRU, LSTM, Activation, SimpleRNN
from ror_port.network.layers.recurrent import Recurrent
from ror_port.theano.activation import activation
from ror_port.theano.twins import Call, Values, twin

States = tuple[Values, ...]
Step = Callable[[Values, States], tuple[Values, States]]


class Gate(NamedTuple):
    """What a gate is computed from: x · kernel + bias, and h · recurrent_kernel + recurrent_bias."""

    kernel: Values
    recurrent_kernel: Values
    bias: Values | float
    recurrent_bias: Values | float = 0.0

    def input(self, x: Values) -> Values:
        return np.asarray(x @ self.kernel + self.bias)


def gates(layer: Recurrent, call: Call, names: str) -> dict[str, Gate]:
    """Gate → its weights. names: in the order of their columns, where a file has them in one array."""
    weights, units = call.weights, layer.units
    found = {}
    for number, name in enumerate(names):
        if layer.separate:
            parts = [weights[f"{role}_{name}"] for role in ("kernel", "recurrent_kernel")]
            found[name] = Gate(parts[0], parts[1], weights.get(f"bias_{name}", 0.0))
            continue
        columns = slice(number * units, (number + 1) * units)
        bias = weights["bias"][..., columns] if "bias" in weights else np.zeros(units)
        first, second = bias if bias.ndim == 2 else (bias, 0.0)
        found[name] = Gate(weights["kernel"][:, columns], weights["recurrent_kernel"][:, columns], first, second)
    return found


def function(name: str, x: Values, call: Call) -> Values:
    return activation(Activation(name), call._replace(inputs=(x,)))


def unrolled(layer: Recurrent, call: Call, step: Step, count: int) -> Values:
    """Step after step. count: of states. A step that is masked keeps the states and repeats the output before it."""
    (x, *given), mask = call.inputs, call.mask
    memory = call.memory if call.memory is not None and layer.stateful else []
    states: States = tuple(given or memory) or tuple(np.zeros((len(x), layer.units), x.dtype) for _ in range(count))
    output = np.zeros((len(x), layer.units), x.dtype)
    outputs = []
    order = range(x.shape[1])
    for at in reversed(order) if layer.go_backwards else order:
        new, following = step(x[:, at], states)
        if mask is None:
            output, states = new, following
        else:
            counts = mask[:, at, np.newaxis]
            output = np.where(counts, new, output)
            states = tuple(np.where(counts, a, b) for a, b in zip(following, states, strict=True))
        outputs.append(output)
    memory[:] = states
    if layer.gives != "output":
        return states["hc".index(layer.gives)]
    return np.stack(outputs, 1) if layer.return_sequences else output


@twin(SimpleRNN)
def simple_rnn(layer: SimpleRNN, call: Call) -> Values:
    gate = gates(layer, call, " ")[" "]

    def step(x: Values, states: States) -> tuple[Values, States]:
        h = function(layer.activation, gate.input(x) + states[0] @ gate.recurrent_kernel, call)
        return h, (h,)

    return unrolled(layer, call, step, 1)


@twin(GRU)
def gru(layer: GRU, call: Call) -> Values:
    own = gates(layer, call, "zrh")

    def step(x: Values, states: States) -> tuple[Values, States]:
        (h,) = states
        z, r = (
            function(
                layer.recurrent_activation,
                own[name].input(x) + h @ own[name].recurrent_kernel + own[name].recurrent_bias,
                call,
            )
            for name in "zr"
        )
        if layer.reset_after:
            recurrent = r * (h @ own["h"].recurrent_kernel + own["h"].recurrent_bias)
        else:
            recurrent = (r * h) @ own["h"].recurrent_kernel
        candidate = function(layer.activation, own["h"].input(x) + recurrent, call)
        h = z * h + (1 - z) * candidate
        return h, (h,)

    return unrolled(layer, call, step, 1)


@twin(LSTM)
def lstm(layer: LSTM, call: Call) -> Values:
    own = gates(layer, call, "ifco")

    def step(x: Values, states: States) -> tuple[Values, States]:
        h, cell = states
        sums = {name: own[name].input(x) + h @ own[name].recurrent_kernel for name in "ifco"}
        i, f, o = (function(layer.recurrent_activation, sums[name], call) for name in "ifo")
        cell = f * cell + i * function(layer.activation, sums["c"], call)
        h = o * function(layer.activation, cell, call)
        return h, (h, cell)

    return unrolled(layer, call, step, 2)
