"""ConvLSTM2D, written from Keras 1.2.2 and 2.2.4 (layers/convolutional_recurrent.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ror_port.network.layers import Activation, Conv2D, ConvLSTM2D
from ror_port.theano.activation import activation
from ror_port.theano.convolution import convolution
from ror_port.theano.twins import Call, Values, twin


@twin(ConvLSTM2D)
def conv_lstm2d(layer: ConvLSTM2D, call: Call) -> Values:
    """Both convolutions are ``conv2d``: that of the input as the layer says, that of the output with strides of 1."""
    of_state = Conv2D(
        layer.units, layer.kernel_size, (1, 1), layer.recurrent_padding, use_bias=False, data_format=layer.data_format
    )
    of_input = replace(of_state, strides=layer.strides, padding=layer.padding, dilation_rate=layer.dilation_rate)
    kernels, recurrent_kernels, biases = (_gates(layer, call, r) for r in ("kernel", "recurrent_kernel", "bias"))
    channels = (-1, 1, 1) if layer.data_format == "channels_first" else (-1,)

    def convolved(conv: Conv2D, x: Values, kernel: Values) -> Values:
        return convolution(conv, call._replace(inputs=(x,), weights={"kernel": kernel}, mask=None))

    def function(name: str, x: Values) -> Values:
        return activation(Activation(name), call._replace(inputs=(x,)))

    h = cell = np.zeros_like(convolved(of_input, call.x[:, 0], kernels["i"]))
    outputs = []
    order = range(call.x.shape[1])
    for at in reversed(order) if layer.go_backwards else order:
        x = {gate: convolved(of_input, call.x[:, at], kernel) for gate, kernel in kernels.items()}
        if biases:
            x = {gate: sums + biases[gate].reshape(channels) for gate, sums in x.items()}
        sums = {gate: x[gate] + convolved(of_state, h, kernel) for gate, kernel in recurrent_kernels.items()}
        i, f, o = (function(layer.recurrent_activation, sums[gate]) for gate in "ifo")
        cell = f * cell + i * function(layer.activation, sums["c"])
        h = o * function(layer.activation, cell)
        outputs.append(h)
    return np.stack(outputs, 1) if layer.return_sequences else h


def _gates(layer: ConvLSTM2D, call: Call, role: str) -> Mapping[str, Values]:
    """Gate → its weight, which Keras 1 keeps by itself, and others side by side along the channels of the output."""
    if layer.separate:
        return {gate: call.weights[f"{role}_{gate}"] for gate in "ifco" if f"{role}_{gate}" in call.weights}
    if role not in call.weights:
        return {}
    axis = 0 if call.stored.kernels in ("torch", "onnx") else -1
    return dict(zip("ifco", np.split(call.weights[role], 4, axis), strict=True))
