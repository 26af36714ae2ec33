"""What Theano would have computed, in NumPy float64: the executable reference.

Interprets a graph on the tensors of a file exactly as they lie in it. Shares no conversion code with the rest:
a mistake in a layout or a table cannot hide in here. Checked against logits and layer outputs that genuine
Keras on Theano computed (``fixtures/``). Arrays are (batch, channels, rows, columns), as Theano had them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

from ror_port.mapping.convention import Convention, Deviation
from ror_port.network.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Graph,
    Input,
    MaxPool,
    Node,
    Padding,
    Relu,
    Softmax,
    padding,
)

Float64 = NDArray[np.float64]
Stored = Mapping[str, Mapping[str, NDArray[Any]]]
"""Node → role → tensor as the file has it."""


def run(
    graph: Graph,
    stored: Stored,
    convention: Convention,
    images: NDArray[Any],
    *,
    dtype: DTypeLike = np.float64,
    training: bool = False,
) -> Iterator[tuple[str, Float64]]:
    """Yields (node, output) in the order of the graph.

    images: (batch, channels, rows, columns). convention: only says how to read `stored`: whether the network
    convolved truly (Theano) or cross-correlated, the axes of its kernels, and the order in which it flattened.
    dtype: what is computed in; float32 shows what that precision costs. training: normalise by the mean and the
    variance of the batch, as in training, and not by the running ones.
    """
    pending = {node.name: sum(node.name in other.inputs for other in graph) for node in graph}
    values: dict[str, Float64] = {}
    for node in graph:
        inputs = [values[name] for name in node.inputs] or [np.asarray(images, dtype)]
        values[node.name] = compute(
            node, *inputs, stored=stored.get(node.name, {}), convention=convention, training=training
        )
        yield node.name, values[node.name]
        for name in node.inputs:  # a map is let go once its last reader is done
            pending[name] -= 1
            if not pending[name]:
                del values[name]


def outputs(
    graph: Graph, stored: Stored, convention: Convention, images: NDArray[Any], *names: str
) -> dict[str, Float64]:
    """The outputs of the named nodes."""
    return {name: output for name, output in run(graph, stored, convention, images) if name in names}


def compute(
    node: Node, *inputs: Float64, stored: Mapping[str, NDArray[Any]], convention: Convention, training: bool = False
) -> Float64:
    """The output of one node; its tensors as the file has them, role → tensor."""
    x = inputs[0]
    weights = {role: np.asarray(tensor, x.dtype) for role, tensor in stored.items()}
    match node.operation:
        case Input() | Dropout():
            return x
        case Conv(stride=stride, padding=kind):
            kernel = weights["kernel"]
            if convention.kernels == "HWIO":
                kernel = np.moveaxis(kernel, (3, 2), (0, 1))
            x = convolve(x, kernel, stride, truly=convention.flipped, kind=kind)
            return x + weights["bias"][:, None, None] if "bias" in weights else x
        case BatchNorm(epsilon=epsilon) if training:
            scale = weights["gamma"] / np.sqrt(x.var((0, 2, 3)) + epsilon)
            centred = x - x.mean((0, 2, 3), keepdims=True)
            return np.asarray(centred * scale[:, None, None] + weights["beta"][:, None, None])
        case BatchNorm(epsilon=epsilon):
            scale = weights["gamma"] / _deviation(weights["moving_variance"], epsilon, convention.deviation)
            return (x - weights["moving_mean"][:, None, None]) * scale[:, None, None] + weights["beta"][:, None, None]
        case Relu():
            return np.maximum(x, 0)
        case Add():
            return sum(inputs[1:], start=x)
        case MaxPool(size=size):
            return np.asarray(_windows(x, size).max(axis=(4, 5)))
        case AveragePool(size=size):
            return np.asarray(_windows(x, size).mean(axis=(4, 5)))
        case Flatten():
            return (x if convention.rows == "CHW" else np.moveaxis(x, 1, 3)).reshape(len(x), -1)
        case Dense():
            kernel = weights["kernel"] if convention.dense == "IO" else weights["kernel"].T
            return np.asarray(x @ kernel + weights["bias"])
        case Softmax():
            return softmax(x)
    raise TypeError(f"no arithmetic for {node.operation}")


def _deviation(statistic: Float64, epsilon: float, rule: Deviation) -> Float64:
    """What a BatchNorm divides by, from what Keras kept as its running variance."""
    match rule:
        case "√(variance + epsilon)":
            return np.sqrt(statistic + epsilon)
        case "√variance + epsilon":
            return np.sqrt(statistic) + epsilon
        case "std + epsilon":
            return statistic + epsilon


def softmax(scores: Float64) -> Float64:
    """(batch, classes) → probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def convolve(x: Float64, kernel: Float64, stride: int, *, truly: bool, kind: Padding = "half") -> Float64:
    """Theano's ``conv2d(border_mode=kind, subsample=(stride, stride), filter_flip=truly)``, or TensorFlow's "same".

    x: (batch, in, rows, columns). kernel: (out, in, rows, columns). A true convolution lets the window's first
    element meet the kernel's last.
    """
    rows, columns = kernel.shape[2:]
    before_after = [
        padding(kind, size, stride, length) for size, length in zip((rows, columns), x.shape[2:], strict=True)
    ]
    padded = np.pad(x, ((0, 0), (0, 0), *before_after))
    windows = sliding_window_view(padded, (rows, columns), axis=(2, 3))[:, :, ::stride, ::stride]
    if truly:
        windows = windows[..., ::-1, ::-1]
    return np.moveaxis(np.tensordot(windows, kernel, axes=([1, 4, 5], [1, 2, 3])), 3, 1)


def _windows(x: Float64, size: int) -> Float64:
    """Whole size × size windows side by side: (batch, channels, rows, columns, size, size)."""
    return sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::size, ::size]
