"""Everything that can run a port, behind one signature: what each computes at every tap."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from genuine_layers import Case
from ror_port import save
from ror_port.check.expectation import Expectation
from ror_port.check.runtimes import Runtime, Torch, open_artifact, torch_model
from ror_port.formats import keras_3 as keras3
from ror_port.formats import pytorch
from ror_port.formats.format import Contents
from ror_port.layout import NCHW_TO_NHWC, NHWC_TO_NCHW
from ror_port.mapping.software import keras_layer_name
from ror_port.network.graph import Graph
from ror_port.source.port import Port

Taps = dict[str, np.ndarray]
"""Tap → output; feature maps are (batch, channels, height, width)."""


def expected(port: Port, images: np.ndarray) -> np.ndarray:
    """The logits that Theano would have computed. images: (batch, height, width, channels)."""
    return Expectation(port, images).logits


def channels_first(graph: Graph, outputs: Taps) -> Taps:
    """Outputs of nodes, images channels_last, as Theano's records have them."""
    return {node: NHWC_TO_NCHW(x) if len(graph[node].shape) == 3 else x for node, x in outputs.items()}


def numpy_reference(port: Port, images: np.ndarray, *nodes: str) -> Taps:
    """images: (batch, channels, height, width). A vector is in the order in which the file's own software flattens."""
    outputs, axes = port.outputs(NCHW_TO_NHWC(images), *nodes), port.channels_last
    vectors = {node: axes.value(node).inverse.view(x) for node, x in outputs.items() if x.ndim == 2}
    return channels_first(port.graph, {**outputs, **vectors})


def keras_file(port: Port, dtype: str, folder: Path) -> Path:
    path = folder / f"{dtype}.keras"
    moved = port.relayout("channels_last")
    keras3.write_archive(path, Contents(moved.graph.for_keras(), port.arranged(moved), dtype, {}, port.family))
    return path


KERAS = """
import sys, numpy, keras
path, images, out, *names = sys.argv[1:]
if keras.backend.backend() == "torch":
    import torch; torch.set_grad_enabled(False)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
elif keras.backend.backend() == "jax":
    import jax; jax.config.update("jax_enable_x64", True)
model = keras.saving.load_model(path, compile=False)
taps = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
outputs = taps(numpy.load(images))
numpy.savez(out, **{name: keras.ops.convert_to_numpy(output) for name, output in zip(names, outputs)})
"""


def keras_on(backend: str) -> Callable[[Port, np.ndarray, str, Path], Taps]:
    """Keras 3 on one of its backends, in a process of its own: Keras has one backend a process."""

    def run(port: Port, images: np.ndarray, dtype: str, folder: Path) -> Taps:
        np.save(folder / "images.npy", NCHW_TO_NHWC(images).astype(dtype))
        names = {keras_layer_name(tap): tap for tap in port.graph.taps}
        arguments = [str(keras_file(port, dtype, folder)), str(folder / "images.npy"), str(folder / "taps.npz")]
        environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1"}
        environment.setdefault("JAX_PLATFORMS", "cpu")
        command = [sys.executable, "-W", "ignore", "-c", KERAS, *arguments, *names]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        with np.load(folder / "taps.npz") as saved:
            outputs = {names[name]: saved[name] for name in saved}
        return channels_first(port.graph, outputs)

    return run


def torch_state(port: Port, dtype: str | None = None) -> dict[str, np.ndarray]:
    moved = port.relayout("channels_first")
    contents = Contents(moved.graph, port.arranged(moved), dtype or port.dtype, {}, port.family)
    return {tensor.name: tensor.array() for tensor in pytorch.state(contents)}


def torch_network(port: Port, dtype: str):
    """The PyTorch definition with the port's weights, in the given precision, in evaluation mode."""
    import torch

    model = torch_model(port).to(getattr(torch, dtype))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in torch_state(port, "float64").items()})
    return model.eval()


def torch_taps(port: Port, model, images: np.ndarray) -> Taps:
    """What a PyTorch network computes at the taps, on the device where it is."""
    return observed(Torch(model, port), port, images)


def written_for_torch(port: Port, folder: Path, device: str) -> Torch:
    """What `to-torch` writes, loaded from disk, on a device."""
    save(port, folder, format="safetensors", verify=False)
    return Torch(open_artifact(folder, source=port).network.to(device), port)


def beside_the_reference(
    port: Port, runtime: Runtime, inputs: dict[str, np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each output of a runtime, and what the reference has for it: before a softmax that the runtime leaves out."""
    outputs = zip(port.graph.outputs, runtime.softmax, strict=True)
    ends = [name if softmax else port.graph.before_softmax(name) for name, softmax in outputs]
    values = port.outputs(inputs, *ends)
    scores = runtime.scores([inputs[node.name] for node in port.graph.inputs])
    return [(score, values[name]) for score, name in zip(scores, ends, strict=True)]


def observed(runtime: Runtime, port: Port, images: np.ndarray) -> Taps:
    return channels_first(port.graph, runtime.outputs([NCHW_TO_NHWC(images)], port.graph.taps))


def pytorch_eager(port: Port, images: np.ndarray, dtype: str, _: Path) -> Taps:
    return torch_taps(port, torch_network(port, dtype), images)


def onnx_runtime(port: Port, images: np.ndarray, dtype: str, folder: Path) -> Taps:
    save(port, folder / "net.onnx", dtype=dtype, force=True, verify=False)
    return observed(open_artifact(folder / "net.onnx", port), port, images)


def installed(*names: str) -> bool:
    return all(importlib.util.find_spec(name) for name in names)


def keras_on_tensorflow(port: Port, images: np.ndarray, dtype: str, folder: Path) -> Taps:
    """Keras 3 on TensorFlow in this process, whose Keras it is."""
    return observed(open_artifact(keras_file(port, dtype, folder), port), port, images)


RUNTIMES: dict[str, Callable[[Port, np.ndarray, str, Path], Taps]] = {
    "numpy": lambda port, images, *_: numpy_reference(port, images, *port.graph.taps),
    "keras-tensorflow": keras_on_tensorflow,
    "keras-torch": keras_on("torch"),
    "keras-jax": keras_on("jax"),
    "pytorch": pytorch_eager,
    "onnxruntime": onnx_runtime,
}
CONVERTED = (
    Case("keras-2.2.4-theano-1.0.5", "networks", "vgg-th"),
    Case("keras-2.2.4-theano-1.0.5", "recurrent", "lstm-stack-th"),
    Case("keras-2.2.4-theano-1.0.5", "sequences", "sentiment-th"),
)
"""Networks of no family that also run on a GPU: convolutions, two LSTMs, an Embedding and an LSTM."""
NEEDS = {"keras-jax": ("jax",)}
"""What is not among the test dependencies."""
FLOAT32_ONLY = ("onnxruntime",)
"""What has no float64 convolution on a CPU."""
