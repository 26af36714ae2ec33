"""Convolutions, their transposes, and convolutions of each channel by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ror_port.network.layers import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Layer,
)
from ror_port.network.layers.convolution import Convolution, ConvolutionTranspose, DepthwiseConvolution
from ror_port.theano.twins import Call, Stored, Values, twin


@twin(Conv1D)
@twin(Conv2D)
@twin(Conv3D)
def convolution(layer: Convolution, call: Call) -> Values:
    """Theano's ``conv(border_mode=…, subsample=…, filter_flip=True)``, or TensorFlow's padding "same".

    A true convolution lets the first element of a window meet the last of the kernel.
    """
    kernel = _out_in_first(call.weights["kernel"], layer, call.stored)
    sizes = kernel.shape[2:]
    windows = _windows(channels_last(call.x, layer), layer, sizes)
    if call.stored.true_convolution:
        windows = np.flip(windows, tuple(range(-layer.rank, 0)))
    y = np.zeros((*windows.shape[: layer.rank + 1], len(kernel)), windows.dtype)
    for place in np.ndindex(*sizes):
        y += np.tensordot(windows[..., *place], kernel[:, :, *place], (-1, 1))
    return as_layer_has_it(_with_bias(y, call), layer)


@twin(DepthwiseConv1D)
@twin(DepthwiseConv2D)
def depthwise_convolution(layer: DepthwiseConvolution, call: Call) -> Values:
    """Keras turns the kernel round before Theano does: what is computed is a cross-correlation."""
    kernel = call.weights["depthwise_kernel"]  # (spatial axes, in, multiplier)
    if call.stored.kernels in ("torch", "onnx"):  # (in · multiplier, 1, spatial axes)
        kernel = np.moveaxis(kernel.reshape(-1, layer.depth_multiplier, *kernel.shape[2:]), (0, 1), (-2, -1))
    elif call.stored.kernels == "keras_1" and layer.data_format == "channels_first":  # (multiplier, in, height, width)
        kernel = kernel.transpose(2, 3, 1, 0)
    windows = _windows(channels_last(call.x, layer), layer, kernel.shape[:-2])
    windows = windows.reshape(*windows.shape[: layer.rank + 2], -1)
    y = np.einsum("...ck,kcm->...cm", windows, kernel.reshape(-1, *kernel.shape[-2:]))
    return as_layer_has_it(_with_bias(y.reshape(*y.shape[:-2], -1), call), layer)


@twin(Conv2DTranspose)
@twin(Conv3DTranspose)
def transposed_convolution(layer: ConvolutionTranspose, call: Call) -> Values:
    """Each input adds the kernel times itself to the output, strides apart; of the sum a part is kept.

    Theano keeps it from size // 2 on for 'same', and has zeros where the sum ends before the output does.
    """
    rank, strides = layer.rank, layer.strides
    x = channels_last(call.x, layer)
    kernel = _transposed_kernel(call.weights["kernel"], layer, call.stored)  # (in, out, spatial)
    if call.stored.true_convolution:
        kernel = kernel[(slice(None), slice(None), *[slice(None, None, -1)] * rank)]
    lengths, sizes = x.shape[1:-1], kernel.shape[2:]
    whole = [(n - 1) * s + k for n, s, k in zip(lengths, strides, sizes, strict=True)]
    y = np.zeros((len(x), *whole, kernel.shape[1]), x.dtype)
    for place in np.ndindex(*sizes):
        reached = tuple(slice(p, p + (n - 1) * s + 1, s) for p, n, s in zip(place, lengths, strides, strict=True))
        y[(slice(None), *reached)] += x @ kernel[(slice(None), slice(None), *place)]
    output = layer.output_shape(call.x.shape[1:])
    wanted = output[1:] if layer.data_format == "channels_first" else output[:-1]
    kept = np.zeros((len(x), *wanted, kernel.shape[1]), x.dtype)
    if layer.padding == "half":
        starts = [k // 2 for k in sizes]
    elif layer.padding == "same":
        starts = [max(w - n, 0) // 2 for w, n in zip(whole, wanted, strict=True)]
    else:
        starts = [0] * rank
    there = y[(slice(None), *[slice(a, a + n) for a, n in zip(starts, wanted, strict=True)])]
    kept[tuple(slice(0, n) for n in there.shape)] = there
    return as_layer_has_it(_with_bias(kept, call), layer)


def _with_bias(y: Values, call: Call) -> Values:
    return y + call.weights["bias"] if "bias" in call.weights else y


def channels_last(x: Values, layer: Layer) -> Values:
    return np.moveaxis(x, 1, -1) if getattr(layer, "data_format", None) == "channels_first" else x


def as_layer_has_it(y: Values, layer: Layer) -> Values:
    """A channels_last value in the order of axes that the layer has."""
    return np.moveaxis(y, -1, 1) if getattr(layer, "data_format", None) == "channels_first" else y


def _out_in_first(kernel: Values, layer: Convolution, stored: Stored) -> Values:
    """A kernel with its axes in Theano's order: (out, in, spatial axes).

    Keras 1 had them so for dim ordering "th"; its Conv1D kernels were images of width 1 at first, and later had that
    axis second, with the channels last.
    """
    rank = layer.rank
    if stored.kernels in ("torch", "onnx"):
        return kernel
    if stored.kernels == "keras_1" and rank == 1:
        later = kernel.shape[1] == 1 and kernel.shape[0] == layer.kernel_size[0] and kernel.shape[3] == layer.filters
        return kernel[:, 0].transpose(2, 1, 0) if later else kernel[..., 0]
    if stored.kernels == "keras_1" and layer.data_format == "channels_first":
        return kernel
    return np.moveaxis(kernel, (rank + 1, rank), (0, 1))


def _transposed_kernel(kernel: Values, layer: ConvolutionTranspose, stored: Stored) -> Values:
    """A kernel as (in, out, spatial axes). Keras 1 has it as a convolution's, Keras 2 with out before in at the end."""
    rank = layer.rank
    if stored.kernels in ("torch", "onnx"):
        return kernel
    if stored.kernels == "keras_1":
        if layer.data_format == "channels_first":
            return kernel.swapaxes(0, 1)
        return np.moveaxis(kernel, (rank, rank + 1), (0, 1))
    return np.moveaxis(kernel, (rank + 1, rank), (0, 1))


def _windows(x: Values, layer: Convolution | DepthwiseConvolution, sizes: Sequence[int]) -> Values:
    """(batch, places, channels, places within a window), for a channels_last x."""
    rank, lengths = layer.rank, x.shape[1:-1]
    pads = [(0, 0)] * (rank + 2)
    reach = [(size - 1) * rate + 1 for size, rate in zip(sizes, layer.dilation_rate, strict=True)]
    for axis, (length, size, stride) in enumerate(zip(lengths, reach, layer.strides, strict=True), 1):
        if layer.padding == "half":
            pads[axis] = (size // 2, size // 2)
        elif layer.padding == "same":
            total = max((int(np.ceil(length / stride)) - 1) * stride + size - length, 0)
            pads[axis] = (total // 2, total - total // 2)
        elif layer.padding == "full":
            pads[axis] = (size - 1, size - 1)
        elif layer.padding == "causal":
            pads[axis] = (size - 1, 0)
    windows = sliding_window_view(np.pad(x, pads), reach, axis=tuple(range(1, rank + 1)))
    windows = windows[(slice(None), *[slice(None, None, stride) for stride in layer.strides])]
    within = [slice(None, None, rate) for rate in layer.dilation_rate]
    windows = windows[(*[slice(None)] * (rank + 2), *within)]
    if layer.padding == "half":  # an even kernel leaves one too many: Keras cuts it off
        kept = [int(np.ceil(length / stride)) for length, stride in zip(lengths, layer.strides, strict=True)]
        windows = windows[(slice(None), *[slice(0, count) for count in kept])]
    return windows
