"""Everything that can run a network, behind one signature. Frameworks are imported here, and only when asked for.

An artifact is loaded from disk by its own framework, as its user would load it. Images and maps are
(batch, height, width, channels) on this side, whatever the framework has; what a node computes is asked for by its
canonical name.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ror_port.errors import MissingExtra, NotACheckpoint
from ror_port.formats import kind_of, onnx, pytorch
from ror_port.layout import NCHW_TO_NHWC, NHWC_TO_NCHW, Array
from ror_port.mapping.keras import KERAS_1, keras_layer_name
from ror_port.mapping.torch import module_path
from ror_port.network.graph import Graph
from ror_port.source.port import Port, load
from ror_port.source.provenance import Given
from ror_port.theano import run as theano_numpy

RUNTIMES = ("numpy", "tensorflow", "torch", "onnx")


class Runtime(ABC):
    """A network ready to run.

    name: the software and its version. probabilities: whether `run` ends in a softmax. exact: whether it computes
    in float64. input_shape: of an image, (height, width, channels). classes: how many answers there are. flattens:
    the order in which it flattens maps, "HWC" or "CHW".
    """

    name: str
    input_shape: tuple[int, ...]
    classes: int
    probabilities: bool = False
    exact: bool = False
    flattens: str = "HWC"

    @abstractmethod
    def run(self, images: Array) -> Array:
        """(batch, height, width, channels) → (batch, classes), logits where the network lets itself be cut there."""

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        """What the named nodes compute; without those that cannot be observed in this framework."""
        return {}

    def layer(self, node: str, x: Array) -> Array | None:
        """What one node makes of an input of its own; None where it cannot be run alone."""
        return None


def _last(array: Array) -> Array:
    return NCHW_TO_NHWC(array) if array.ndim == 4 else array


def _first(array: Array) -> Array:
    return NHWC_TO_NCHW(array) if array.ndim == 4 else array


class Reference(Runtime):
    """Theano's arithmetic in NumPy float64, on a file's untouched tensors."""

    exact = True

    def __init__(self, port: Port) -> None:
        self.name = f"the reference in NumPy {np.__version__}"
        self.input_shape, self.classes = port.graph.input.shape, port.network.classes
        self.graph, self.convention, self.flattens = port.graph, port.convention, port.convention.rows
        self.tensors = port.reference_tensors()

    def run(self, images: Array) -> Array:
        return self.outputs(images, [self.graph.logits])[self.graph.logits]

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        found = theano_numpy.outputs(self.graph, self.tensors, self.convention, NHWC_TO_NCHW(images), *nodes)
        return {node: _last(output) for node, output in found.items()}

    def layer(self, node: str, x: Array) -> Array | None:
        stored = self.tensors.get(node, {})
        return _last(theano_numpy.compute(self.graph[node], _first(x), stored=stored, convention=self.convention))


class Keras(Runtime):
    """A Keras 3 model. layers: node → layer name, where it is not our own."""

    def __init__(self, model: Any, graph: Graph, layers: Mapping[str, str]) -> None:
        framework = keras()
        self.model, self.graph = model, graph
        self.input_shape, (self.classes,) = graph.input.shape, graph.output.shape
        self.dtype = model.inputs[0].dtype
        self.exact = self.dtype == "float64"
        present = {layer.name for layer in model.layers}
        own = {node.name: keras_layer_name(node.name) for node in graph}
        self.layers = {n: name for n, name in {**layers, **own}.items() if name in present} or dict(layers)
        self.channels_first = tuple(model.inputs[0].shape[1:]) == NHWC_TO_NCHW.shape((1, *graph.input.shape))[1:]
        scores = model.get_layer(self.layers[graph.logits])
        self.probabilities = scores.activation.__name__ != "linear"
        self.scores = model if self.probabilities else framework.Model(model.inputs[0], scores.output)
        backend = framework.backend.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            if self.channels_first and not tf.config.list_physical_devices("GPU"):
                raise MissingExtra("TensorFlow has no channels_first convolution on a CPU")
            backend = f"TensorFlow {tf.__version__}"
        self.name = f"Keras {framework.__version__} on {backend}"

    def _out(self, tensor: Any) -> Array:
        array = keras().ops.convert_to_numpy(tensor)
        return _last(array) if self.channels_first else array

    def _in(self, x: Array) -> Array:
        return np.asarray(_first(x) if self.channels_first else x, self.dtype)

    def run(self, images: Array) -> Array:
        return self._out(self.scores(self._in(images)))

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        wanted = [node for node in nodes if node in self.layers]
        model = keras().Model(self.model.inputs[0], [self.model.get_layer(self.layers[n]).output for n in wanted])
        return {n: self._out(output) for n, output in zip(wanted, model(self._in(images)), strict=True)}

    def layer(self, node: str, x: Array) -> Array | None:
        if node not in self.layers:
            return None
        value = self._in(x)
        for name in (f"{self.layers[node]}_pad", self.layers[node]):  # a strided convolution and the zeros before it
            if any(layer.name == name for layer in self.model.layers):
                value = self.model.get_layer(name)(value)
        return self._out(value)


class SavedModel(Runtime):
    """A TensorFlow SavedModel: a function without layers to look into."""

    def __init__(self, path: Path) -> None:
        keras()  # TensorFlow, without its greetings
        import tensorflow as tf

        self.loaded = tf.saved_model.load(str(path))  # kept: its variables live as long as it does
        self.tensorflow = tf
        (signature,) = self.loaded.signatures["serving_default"].structured_input_signature[1].values()
        self.dtype, shape = signature.dtype.name, tuple(signature.shape[1:])
        self.exact = self.dtype == "float64"
        self.channels_first = shape[0] < shape[2]  # an image has fewer channels than columns
        self.input_shape = NCHW_TO_NHWC.shape((1, *shape))[1:] if self.channels_first else shape
        if self.channels_first and not tf.config.list_physical_devices("GPU"):
            raise MissingExtra("TensorFlow has no channels_first convolution on a CPU")
        self.name = f"TensorFlow {tf.__version__}"
        scores = self.run(np.zeros((1, *self.input_shape), self.dtype))
        self.classes = scores.shape[1]
        self.probabilities = bool(abs(scores.sum() - 1) < 1e-4 and (scores >= 0).all())

    def run(self, images: Array) -> Array:
        inputs = NHWC_TO_NCHW(images) if self.channels_first else images
        return np.asarray(self.loaded.serve(self.tensorflow.constant(np.asarray(inputs, self.dtype))))


class Torch(Runtime):
    """A network of `ror_port.models.networks_torch`."""

    flattens = "CHW"

    def __init__(self, network: Any, graph: Graph) -> None:
        import torch

        self.torch, self.network, self.graph = torch, network.eval(), graph
        self.input_shape, (self.classes,) = graph.input.shape, graph.output.shape
        self.dtype = next(network.parameters()).dtype
        self.exact = self.dtype == torch.float64
        self.modules = dict(network.named_modules())
        self.name = f"PyTorch {torch.__version__}"

    def _tensor(self, x: Array) -> Any:
        device = next(self.network.parameters()).device
        return self.torch.from_numpy(np.ascontiguousarray(_first(x))).to(device, self.dtype)

    def run(self, images: Array) -> Array:
        with self.torch.inference_mode():
            scores: Array = self.network(self._tensor(images)).cpu().numpy()
        return scores

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        """A node is seen as what its module returns; one that is but a function call, as what its reader is given."""
        kept: dict[str, Any] = {}
        hooks = []
        for node in nodes:
            if module := self.modules.get(module_path(node)):
                hooks.append(module.register_forward_hook(lambda _, __, y, node=node: kept.__setitem__(node, y)))
                continue
            readers = (self.modules.get(module_path(reader.name)) for reader in self.graph if node in reader.inputs)
            if module := next((reader for reader in readers if reader is not None), None):
                hooks.append(module.register_forward_pre_hook(lambda _, x, node=node: kept.__setitem__(node, x[0])))
        try:
            self.run(images)
        finally:
            for hook in hooks:
                hook.remove()
        return {node: _last(kept[node].cpu().numpy()) for node in nodes if node in kept}

    def layer(self, node: str, x: Array) -> Array | None:
        module = self.modules.get(module_path(node))
        if module is None:
            return None
        with self.torch.inference_mode():
            return _last(module(self._tensor(x)).cpu().numpy())


class Onnx(Runtime):
    """An ONNX model in ONNX Runtime, on the CPU. Data outside the file are refused before it is opened."""

    flattens = "CHW"

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("ONNX Runtime is not installed; pip install 'ror-port[onnx]'") from None
        self.onnxruntime = onnxruntime
        self.model = onnx.checked(path)
        shape, scores = (
            tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
            for value in (self.model.graph.input[0], self.model.graph.output[0])
        )
        self.input_shape, self.classes = NCHW_TO_NHWC.shape(shape)[1:], scores[1]
        last = self.model.graph.node[-1]
        self.scores = last.input[0] if last.op_type == "Softmax" else last.output[0]
        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        if onnx.dtype(self.model) == "float64":
            raise MissingExtra("ONNX Runtime has no float64 convolution on a CPU")
        self.nodes = {name: node for node in self.model.graph.node for name in node.output}

    def _run(self, model: Any, x: Array) -> list[Array]:
        options = self.onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = self.onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        found: list[Array] = session.run(None, {session.get_inputs()[0].name: np.asarray(_first(x), np.float32)})
        return found

    def run(self, images: Array) -> Array:
        return self.outputs(images, [self.scores])[self.scores]

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        wanted = [node for node in nodes if node in self.nodes]
        model = onnx.with_outputs(self.model, wanted)
        return {node: _last(output) for node, output in zip(wanted, self._run(model, images), strict=True)}

    def layer(self, node: str, x: Array) -> Array | None:
        if node not in self.nodes:
            return None
        (output,) = self._run(onnx.alone(self.model, self.nodes[node]), x)
        return _last(output)


def open_artifact(path: Path, port: Port | None = None) -> Runtime:
    """Loads a file or folder of weights in its own framework.

    port: the network that it holds; where it is not given, the artifact is read to find out. Weights for Theano, and
    all of Keras 1, run in the reference.

    Raises MissingExtra where the framework is not installed or cannot run it here, and what `load` raises.
    """
    kind = kind_of(path)
    if kind == "onnx":
        return Onnx(path)
    if kind == "savedmodel":
        return SavedModel(path)
    if port is None:
        with load(path) as found:
            return Reference(found) if _dead(found) else open_artifact(path, found)
    if kind in ("safetensors", "pt"):
        return Torch(_torch_network(path, port), port.graph)
    return Keras(_keras_model(path, kind, port), port.target.graph(), port.layers)


def open_result(path: Path, port: Port) -> Runtime:
    """Loads what was just written of `port`. Weights for Theano, which is no more, run in the reference."""
    if kind_of(path) == "hdf5-weights":
        with load(path) as back:
            return Reference(back)
    return open_artifact(path, port)


def choose(path: Path, runtime: str | None, given: Given) -> Runtime:
    """What runs a file: its own framework, or the one of RUNTIMES that is asked for."""
    kind = kind_of(path)
    if kind in ("savedmodel", "onnx") and runtime in (None, {"savedmodel": "tensorflow", "onnx": "onnx"}[kind]):
        return open_artifact(path)
    with load(path, given) as port:
        if runtime:
            return runtime_of(port, runtime)
        return Reference(port) if _dead(port) else open_artifact(path, port)


def _dead(port: Port) -> bool:
    """Whether no software of today reads the file right: Theano's, and all of Keras 1."""
    return port.convention.flipped or port.table.format == KERAS_1.name


def runtime_of(port: Port, runtime: str) -> Runtime:
    """A port in any of RUNTIMES: as its file is, where that is the framework's own, else converted for the occasion."""
    from ror_port.convert import write as convert

    if runtime == "numpy":
        return Reference(port)
    path = port.checkpoint.path
    own = {"keras": "tensorflow", "safetensors": "torch", "pt": "torch", "onnx": "onnx"}.get(kind_of(path))
    if own == runtime:
        return open_artifact(path, port)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "net"
        match runtime:
            case "tensorflow":
                convert.to_tensorflow(port, target, "keras")
            case "torch":
                convert.to_torch(port, target, "safetensors")
            case "onnx":
                convert.to_onnx(port, target)
        return open_artifact(target, port)


def keras() -> Any:
    """Keras 3, on TensorFlow unless the caller has imported it already; MissingExtra where it is not installed."""
    if importlib.util.find_spec("tensorflow") is None or importlib.util.find_spec("keras") is None:
        raise MissingExtra("TensorFlow is not installed; pip install 'ror-port[tensorflow]'")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # a leftover keras.json may say "theano", which fails
    with _quiet_stderr():
        import keras
        import tensorflow as tf

        tf.constant(0)  # it speaks again when it first looks for devices
    return keras


def keras_model(port: Port, *, channels_first: bool = False) -> Any:
    """The parallel Keras definition of a port's network, without its weights."""
    keras()
    from ror_port.models import networks_keras

    options = asdict(port.target)
    if port.network.family == "RoR":
        del options["width"]  # these come in one width
    build = getattr(networks_keras, pytorch.CLASSES[port.network.family][1])
    return build(**options, data_format="channels_first" if channels_first else "channels_last")


def torch_model(port: Port) -> Any:
    """The parallel PyTorch definition of a port's network, without its weights, in the port's precision."""
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra("PyTorch is not installed; pip install 'ror-port[torch]'")
    import torch

    from ror_port.models import networks_torch

    class_name, _ = pytorch.CLASSES[port.network.family]
    network = getattr(networks_torch, class_name)(networks_torch.Config(**asdict(port.target)))
    return network.to(getattr(torch, port.dtype))


def _keras_model(path: Path, kind: str, port: Port) -> Any:
    framework = keras()
    name = {"keras": "net.keras", "weights": "net.weights.h5"}.get(kind, "net.h5")
    with tempfile.TemporaryDirectory() as folder:  # Keras tells a format by its name alone
        named = Path(folder) / name
        named.symlink_to(path.resolve())
        if kind in ("keras", "hdf5-model"):
            return framework.saving.load_model(named, compile=False)
        model = keras_model(port)
        model.load_weights(named)
        return model


def _torch_network(path: Path, port: Port) -> Any:
    """The definition is ours, never the one that lies beside the weights: a folder may come from a stranger."""
    network = torch_model(port)
    try:
        if path.is_dir():
            return type(network).from_pretrained(path)
        if kind_of(path) == "pt":
            network.load_state_dict(pytorch.state_dict(path))
        else:
            from safetensors.torch import load_file

            network.load_state_dict(pytorch.unwrapped(load_file(path)))
    except (RuntimeError, ValueError) as error:  # other names, other shapes
        reason = " ".join(str(error).split())[:200]
        raise NotACheckpoint(f"{path}: does not load into {port.network.name} ({reason})") from None
    return network


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Swallows what native code writes to file descriptor 2; TensorFlow greets its users there at every start."""
    with tempfile.TemporaryFile() as sink:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except BaseException:
            sink.seek(0)
            os.write(kept, sink.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
