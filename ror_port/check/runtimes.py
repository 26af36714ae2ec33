"""Everything that can run a network, behind one interface.

An artifact is loaded from disk by its own framework, as its user would load it. Images and feature maps are
(batch, height, width, channels) on this side, whatever the framework has; the output of a node is asked for by its
canonical name.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ror_port import frameworks
from ror_port.check.classification import Signature, are_probabilities, scores_node
from ror_port.check.expectation import run_reference
from ror_port.errors import MissingExtra, NotACheckpoint
from ror_port.formats import kind_of, onnx, pytorch
from ror_port.layout import NCHW_TO_NHWC, NHWC_TO_NCHW, Array
from ror_port.mapping.keras import KERAS_1, keras_layer_name
from ror_port.mapping.torch import module_path
from ror_port.network.graph import Graph
from ror_port.source.port import Port, load
from ror_port.theano import run as theano_numpy


class Runtime(ABC):
    """A network ready to run.

    name: the software and its version. probabilities: whether `run` ends in a softmax. exact: whether it computes
    in float64. flattens: the order in which it flattens feature maps, "HWC" or "CHW".
    """

    name: str
    signature: Signature
    probabilities: bool = False
    exact: bool = False
    flattens: str = "HWC"

    @abstractmethod
    def run(self, images: Array) -> Array:
        """(batch, height, width, channels) → (batch, classes), logits where the network lets itself be cut there."""

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        """The outputs of the named nodes, without those that cannot be observed in this framework."""
        return {}

    def layer(self, node: str, x: Array) -> Array | None:
        """The output of one node for an input of its own; None where it cannot be run in isolation."""
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
        self.signature = Signature.of(port.graph)
        self.graph, self.convention, self.flattens = port.graph, port.convention, port.convention.rows
        self.tensors = port.reference_tensors()

    def run(self, images: Array) -> Array:
        name = scores_node(self.graph, probabilities=False)
        return self.outputs(images, [name])[name]

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        wanted = set(nodes)
        run = run_reference(self.graph, self.tensors, self.convention, images)
        return {node: output for node, output in run if node in wanted}

    def layer(self, node: str, x: Array) -> Array | None:
        stored = self.tensors.get(node, {})
        return _last(theano_numpy.compute(self.graph[node], _first(x), stored=stored, convention=self.convention))


class Keras(Runtime):
    """A Keras 3 model. layers: node → layer name, where it is not our own."""

    def __init__(self, model: Any, graph: Graph, layers: Mapping[str, str]) -> None:
        framework = frameworks.keras()
        self.model, self.graph = model, graph
        self.signature = Signature.of(graph)
        self.dtype = model.inputs[0].dtype
        self.exact = self.dtype == "float64"
        present = {layer.name for layer in model.layers}
        own = {node.name: keras_layer_name(node.name) for node in graph}
        self.layers = {n: name for n, name in {**layers, **own}.items() if name in present} or dict(layers)
        self.channels_first = tuple(model.inputs[0].shape[1:]) == NHWC_TO_NCHW.shape((1, *self.signature.image))[1:]
        scores = model.get_layer(self.layers[scores_node(graph, probabilities=False)])
        self.probabilities = scores.activation.__name__ != "linear"
        self.scores = model if self.probabilities else framework.Model(model.inputs[0], scores.output)
        backend = framework.backend.backend()
        if backend == "tensorflow":
            tensorflow = frameworks.tensorflow()
            if self.channels_first and not tensorflow.config.list_physical_devices("GPU"):
                raise MissingExtra("TensorFlow has no channels_first convolution on a CPU")
            backend = f"TensorFlow {tensorflow.__version__}"
        self.name = f"Keras {framework.__version__} on {backend}"

    def _out(self, tensor: Any) -> Array:
        array = frameworks.keras().ops.convert_to_numpy(tensor)
        return _last(array) if self.channels_first else array

    def _in(self, x: Array) -> Array:
        return np.asarray(_first(x) if self.channels_first else x, self.dtype)

    def run(self, images: Array) -> Array:
        return self._out(self.scores(self._in(images)))

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        wanted = [node for node in nodes if node in self.layers]
        model = frameworks.keras().Model(
            self.model.inputs[0], [self.model.get_layer(self.layers[n]).output for n in wanted]
        )
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
    """A TensorFlow SavedModel: a function whose layers cannot be observed."""

    def __init__(self, path: Path) -> None:
        self.tensorflow = frameworks.tensorflow()
        self.loaded = self.tensorflow.saved_model.load(str(path))  # kept: its variables live as long as it does
        (given,) = self.loaded.signatures["serving_default"].structured_input_signature[1].values()
        self.dtype, shape = given.dtype.name, tuple(given.shape[1:])
        self.exact = self.dtype == "float64"
        self.channels_first = shape[0] < shape[2]  # an image has fewer channels than its width
        image = NCHW_TO_NHWC.shape((1, *shape))[1:] if self.channels_first else shape
        if self.channels_first and not self.tensorflow.config.list_physical_devices("GPU"):
            raise MissingExtra("TensorFlow has no channels_first convolution on a CPU")
        self.name = f"TensorFlow {self.tensorflow.__version__}"
        scores = self.run(np.zeros((1, *image), self.dtype))
        self.signature = Signature(image, scores.shape[1])
        self.probabilities = are_probabilities(scores)

    def run(self, images: Array) -> Array:
        inputs = NHWC_TO_NCHW(images) if self.channels_first else images
        return np.asarray(self.loaded.serve(self.tensorflow.constant(np.asarray(inputs, self.dtype))))


class Torch(Runtime):
    """A network of `ror_port.models.networks_torch`."""

    flattens = "CHW"

    def __init__(self, network: Any, graph: Graph) -> None:
        self.torch, self.network, self.graph = frameworks.torch(), network.eval(), graph
        self.signature = Signature.of(graph)
        self.dtype = next(network.parameters()).dtype
        self.exact = self.dtype == self.torch.float64
        self.modules = dict(network.named_modules())
        self.name = f"PyTorch {self.torch.__version__}"

    def _tensor(self, x: Array) -> Any:
        device = next(self.network.parameters()).device
        return self.torch.from_numpy(np.ascontiguousarray(_first(x))).to(device, self.dtype)

    def run(self, images: Array) -> Array:
        with self.torch.inference_mode():
            scores: Array = self.network(self._tensor(images)).cpu().numpy()
        return scores

    def outputs(self, images: Array, nodes: Iterable[str]) -> dict[str, Array]:
        """A node is observed as the output of its module; one that is a function call, as the input of its reader."""
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
        self.onnxruntime = frameworks.onnxruntime()
        self.model = onnx.checked(path)
        shape, scores = (
            tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
            for value in (self.model.graph.input[0], self.model.graph.output[0])
        )
        self.signature = Signature(NCHW_TO_NHWC.shape(shape)[1:], scores[1])
        last = self.model.graph.node[-1]
        self.scores = last.input[0] if last.op_type == "Softmax" else last.output[0]
        self.name = f"ONNX Runtime {self.onnxruntime.__version__}"
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
    if port is not None:
        return _in_framework(path, kind, port)
    with load(path) as found:
        return Reference(found) if needs_reference(found) else _in_framework(path, kind, found)


def _in_framework(path: Path, kind: str, port: Port) -> Runtime:
    if kind in ("safetensors", "pt"):
        return Torch(_torch_network(path, kind, port), port.graph)
    return Keras(_keras_model(path, kind, port), port.target.graph(), port.layers)


def needs_reference(port: Port) -> bool:
    """Whether no software of today reads the file right: Theano's, and all of Keras 1."""
    return port.convention.flipped or port.table.format == KERAS_1.name


def keras_model(port: Port, *, channels_first: bool = False) -> Any:
    """The parallel Keras definition of a port's network, without its weights."""
    frameworks.keras()
    from ror_port.models import networks_keras

    options = asdict(port.target)
    if port.network.family == "RoR":
        del options["width"]  # these come in one width
    build = getattr(networks_keras, pytorch.CLASSES[port.network.family][1])
    return build(**options, data_format="channels_first" if channels_first else "channels_last")


def torch_model(port: Port) -> Any:
    """The parallel PyTorch definition of a port's network, without its weights, in the port's precision."""
    torch = frameworks.torch()
    from ror_port.models import networks_torch

    class_name, _ = pytorch.CLASSES[port.network.family]
    network = getattr(networks_torch, class_name)(networks_torch.Config(**asdict(port.target)))
    return network.to(getattr(torch, port.dtype))


def _keras_model(path: Path, kind: str, port: Port) -> Any:
    framework = frameworks.keras()
    name = {"keras": "net.keras", "weights": "net.weights.h5"}.get(kind, "net.h5")
    with tempfile.TemporaryDirectory() as folder:  # Keras tells a format by its name alone
        named = Path(folder) / name
        named.symlink_to(path.resolve())
        if kind in ("keras", "hdf5-model"):
            return framework.saving.load_model(named, compile=False)
        model = keras_model(port)
        model.load_weights(named)
        return model


def _torch_network(path: Path, kind: str, port: Port) -> Any:
    """The definition is ours, never the one that lies beside the weights: a folder may be untrusted."""
    network = torch_model(port)
    try:
        if path.is_dir():
            return type(network).from_pretrained(path)
        if kind == "pt":
            network.load_state_dict(pytorch.state_dict(path))
        else:
            tensors = frameworks.safetensors_for_torch().load_file(path)
            network.load_state_dict(pytorch.unwrapped(tensors))
    except (RuntimeError, ValueError) as error:  # other names, other shapes
        reason = " ".join(str(error).split())[:200]
        raise NotACheckpoint(f"{path}: does not load into {port.network.name} ({reason})") from None
    return network
