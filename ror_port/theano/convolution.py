"""Conv2D."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ror_port.network.layers import Conv2D
from ror_port.theano.twins import Call, Stored, Values, along, twin


@twin(Conv2D)
def conv2d(layer: Conv2D, call: Call) -> Values:
    first = layer.data_format == "channels_first"
    height, width = (2, 3) if first else (1, 2)
    kernel = _out_in_height_width(call.weights["kernel"], layer, call.stored)
    x = convolve(call.x, kernel, layer, (height, width), channels=1 if first else 3, true=call.stored.true_convolution)
    y = np.moveaxis(x, 3, 1) if first else x
    return y + along(call.weights["bias"], 1 if first else 3, 4) if layer.use_bias else y


def _out_in_height_width(kernel: Values, layer: Conv2D, stored: Stored) -> Values:
    """A kernel with its axes in Theano's order. Keras 1 had them so for dim ordering "th"; Keras 2 never."""
    if stored.kernels in ("torch", "onnx") or (stored.kernels == "keras_1" and layer.data_format == "channels_first"):
        return kernel
    return np.moveaxis(kernel, (3, 2), (0, 1))


def convolve(
    x: Values, kernel: Values, layer: Conv2D, spatial: tuple[int, int], *, channels: int, true: bool
) -> Values:
    """Theano's ``conv2d(border_mode=…, subsample=…, filter_flip=true)``, or TensorFlow's padding "same".

    kernel: (out, in, height, width). spatial, channels: the axes of x. Returns (batch, height, width, out). A true
    convolution lets the first element of a window meet the last of the kernel.
    """
    lengths = [x.shape[axis] for axis in spatial]
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(kernel.shape[2:], layer.dilation_rate, strict=True)]
    pads = [(0, 0)] * x.ndim
    for axis, length, size, stride in zip(spatial, lengths, reach, layer.strides, strict=True):
        if layer.padding == "half":
            pads[axis] = (size // 2, size // 2)
        elif layer.padding == "same":
            total = max((int(np.ceil(length / stride)) - 1) * stride + size - length, 0)
            pads[axis] = (total // 2, total - total // 2)
    windows = sliding_window_view(np.pad(x, pads), reach, axis=spatial)
    (down, right), (step_down, step_right) = layer.dilation_rate, layer.strides
    windows = windows[..., ::down, ::right]
    strides = [slice(None)] * x.ndim
    strides[spatial[0]], strides[spatial[1]] = slice(None, None, step_down), slice(None, None, step_right)
    windows = windows[tuple(strides)]
    if true:
        windows = windows[..., ::-1, ::-1]
    y: Values = np.tensordot(windows, kernel, axes=([channels, 4, 5], [1, 2, 3]))
    if layer.padding == "half":  # an even kernel leaves one too many: Keras cuts it off
        rows, columns = (int(np.ceil(n / s)) for n, s in zip(lengths, layer.strides, strict=True))
        y = y[:, :rows, :columns]
    return y
