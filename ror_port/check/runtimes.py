"""Everything that can run a network, behind one interface.

An artifact is loaded from disk by its own framework, as its user would load it. Images and feature maps are
(batch, height, width, channels) on this side, whatever the framework has; the output of a node is asked for by its
canonical name.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ror_port import frameworks
from ror_port.check.classification import Signature, are_probabilities, ends
from ror_port.errors import MissingExtra, NotACheckpoint
from ror_port.formats import keras_config, kind_of, onnx, pytorch, safetensors
from ror_port.formats.pytorch_definition import CLASS_NAME, definition
from ror_port.formats.pytorch_recurrent import codes
from ror_port.layout import SAME, VARIES, Array, DataFormat, Layout, Shape, batched, of_extent, varies
from ror_port.mapping.software import KERAS_1, KERAS_3, module_path, torch_names
from ror_port.network.layers import Flatten, Input, Softmax
from ror_port.network.layers.layer import MODULE_CALL
from ror_port.network.layers.spatial import format_axes
from ror_port.network.sizes import fitting, stand_ins
from ror_port.source.port import Port, load

Arrays = Sequence[Array]
"""The inputs or the outputs of a network, in their order."""


class Runtime(ABC):
    """A network ready to run.

    name: the software and its version. softmax: of each output, whether `scores` gives it behind a softmax, because the
    network does not let itself be cut before it. exact: whether it computes in float64.
    """

    name: str
    signature: Signature
    softmax: tuple[bool, ...]
    scores_classes: bool = True
    """Whether the output is known to be scores of classes; True also where nothing is known of the network."""
    exact: bool = False

    @abstractmethod
    def scores(self, inputs: Arrays) -> Arrays:
        """The outputs, each without its last softmax where the network lets itself be cut there."""

    def run(self, images: Array) -> Array:
        """The only output for the only input, as of `scores`."""
        (scores,) = self.scores([images])
        return scores

    def outputs(self, inputs: Arrays, nodes: Iterable[str]) -> dict[str, Array]:
        """The outputs of the named nodes, without those that cannot be observed in this framework."""
        return {}

    def layer(self, node: str, x: Array) -> Array | None:
        """The output of a node with weights for an input of its own; None where it cannot be run in isolation."""
        return None


class Axes:
    """How the values of an artifact lie, compared with those on this side.

    graph: of the artifact, in its own order of axes; its nodes are called as those of the port that it was made from,
    and there may be more.
    """

    def __init__(self, port: Port, data_format: DataFormat) -> None:
        self.port = port
        self._last, self._theirs = port.channels_last, port.relayout(data_format)
        self.graph = self._theirs.graph.of_today()

    def _into(self, node: str) -> Layout:
        """Ours → theirs."""
        return self._last.value(node).inverse | self._theirs.value(node)

    def given(self, node: str, values: Array) -> Array:
        """A batch of values of a node, as the artifact has them."""
        return self._into(node).view(values)

    def found(self, node: str, values: Array) -> Array:
        """The way back."""
        return self._into(node).inverse.view(values)

    def inputs(self, values: Arrays) -> list[Array]:
        return [self.given(node.name, array) for node, array in zip(self.port.graph.inputs, values, strict=True)]

    def results(self, values: Arrays) -> list[Array]:
        return [self.found(name, array) for name, array in zip(self.port.graph.outputs, values, strict=True)]

    def signature(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Signature:
        """Of shapes that the artifact states; those that cannot be the network's stay as they are."""
        graph = self.port.graph
        nodes = [node.name for node in graph.inputs], graph.outputs
        found = [
            tuple(
                self._into(name).inverse.shape((1, *shape))[1:] if len(shape) == len(graph[name].shape) else shape
                for name, shape in zip(names, shapes, strict=True)
            )
            if len(names) == len(shapes)
            else tuple(shapes)
            for names, shapes in zip(nodes, (inputs, outputs), strict=True)
        ]
        return Signature(*found)


class Reference(Runtime):
    """Theano's arithmetic in NumPy float64, on a file's untouched tensors."""

    def __init__(self, port: Port) -> None:
        self.exact = not port.rounds
        self.name = f"the reference in NumPy {np.__version__}"
        self.signature = Signature.of(port)
        self.port, self.tensors = port, port.tensors()
        self.softmax = (False,) * len(port.graph.outputs)

    def scores(self, inputs: Arrays) -> Arrays:
        names = ends(self.port.graph)
        found = self.outputs(inputs, names)
        return [found[name] for name in names]

    def outputs(self, inputs: Arrays, nodes: Iterable[str]) -> dict[str, Array]:
        given = {node.name: array for node, array in zip(self.port.graph.inputs, inputs, strict=True)}
        return self.port.outputs(given, *nodes, tensors=self.tensors)

    def layer(self, node: str, x: Array) -> Array | None:
        if node not in self.port.graph:
            return None
        (source,) = self.port.graph[node].inputs
        return self.port.compute(node, {source: x}, self.tensors.get(node, {}))


class Keras(Runtime):
    """A Keras 3 model. layers: node of the port → layer name, where it is not our own."""

    def __init__(self, model: Any, port: Port, layers: Mapping[str, str]) -> None:
        framework = frameworks.keras()
        self.model = model
        first = any(
            getattr(layer, "data_format", None) == "channels_first" and type(layer).__name__ != Flatten.__name__
            for layer in model.layers
        )
        self.axes = Axes(port, "channels_first" if first else "channels_last")
        given, found = ([of_extent(tensor.shape[1:]) for tensor in ends] for ends in (model.inputs, model.outputs))
        self.signature = self.axes.signature(given, found)
        self.dtype = model.inputs[0].dtype
        self.exact = self.dtype == "float64"
        self.tensors = self._tensors(layers)
        cut = [self._before_softmax(tensor) for tensor in model.outputs]
        self.softmax = tuple(behind for _, behind in cut)
        self.cut = [tensor for tensor, _ in cut]
        backend = framework.backend.backend()
        if backend == "tensorflow":
            tensorflow = frameworks.tensorflow()
            if first and not tensorflow.config.list_physical_devices("GPU"):
                raise MissingExtra("TensorFlow has no channels_first convolution on a CPU")
            backend = f"TensorFlow {tensorflow.__version__}"
        self.name = f"Keras {framework.__version__} on {backend}"

    def _tensors(self, layers: Mapping[str, str]) -> dict[str, Any]:
        """Node → what the model computes there, symbolically. A layer that is used at several places has several."""
        present = {layer.name: layer for layer in self.model.layers}
        found = {node: present[name].output for node, name in layers.items() if name in present}
        graph = self.axes.graph
        names, count, number = KERAS_3.names(graph), dict.fromkeys(present, 0), dict[str, int]()
        for node in graph:
            name = names[node.owner]
            if name not in present:
                continue
            if graph.calls[node.name] == node.name:
                number[node.name], count[name] = count[name], count[name] + 1
            call, (result, _) = number[graph.calls[node.name]], node.layer.result or (0, 1)
            if call < len(_calls(present[name])):
                found[node.name] = _calls(present[name])[call].outputs[result]
        return found

    def _before_softmax(self, tensor: Any) -> tuple[Any, bool]:
        """What goes into a softmax that gives a tensor, if a layer of its own does; whether the result is behind one.

        A Dense layer with a softmax in it cannot be cut.
        """
        layer, index, _ = tensor._keras_history
        call = _calls(layer)[index]
        kind = type(layer).__name__
        behind = kind == "Softmax" or layer.get_config().get("activation") == "softmax"
        return (call.input_tensors[0], False) if behind and kind in ("Softmax", "Activation") else (tensor, behind)

    def _compute(self, tensors: Sequence[Any], given: Sequence[Any], values: Arrays) -> list[Array]:
        """The values of symbolic tensors, given those of others."""
        framework = frameworks.keras()
        model = framework.Model(_single(given), list(tensors))
        for layer in self.model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()
        results = []
        for batch in _batches(self.axes.port, [np.asarray(array, self.dtype) for array in values]):
            found = model(_single(batch))
            found = found if isinstance(found, list | tuple) else [found]
            results.append([framework.ops.convert_to_numpy(x) for x in found])
        return list(map(np.concatenate, zip(*results, strict=True)))

    def scores(self, inputs: Arrays) -> Arrays:
        return self.axes.results(self._compute(self.cut, self.model.inputs, self.axes.inputs(inputs)))

    def outputs(self, inputs: Arrays, nodes: Iterable[str]) -> dict[str, Array]:
        wanted = [node for node in nodes if node in self.tensors]
        if not wanted:
            return {}
        found = self._compute([self.tensors[node] for node in wanted], self.model.inputs, self.axes.inputs(inputs))
        return {node: self.axes.found(node, array) for node, array in zip(wanted, found, strict=True)}

    def layer(self, node: str, x: Array) -> Array | None:
        if node not in self.tensors:
            return None
        (source,) = self.axes.port.graph[node].inputs
        before = self.tensors.get(source)  # with what stands between the two: the zeros of a strided convolution
        if before is None:
            before = self.tensors[node]._keras_history.operation.input
        (found,) = self._compute([self.tensors[node]], [before], [self.axes.given(source, x)])
        return self.axes.found(node, found)


def _calls(layer: Any) -> Sequence[Any]:
    """The places where a Keras layer is used, each with its input_tensors and its outputs."""
    calls: Sequence[Any] = layer._inbound_nodes
    return calls


def _batches(port: Port, values: Arrays) -> list[Arrays]:
    """Values as a network is given them."""
    return [[array[part] for array in values] for part in port.graph.batches(len(values[0]))]


def _single(values: Sequence[Any]) -> Any:
    """As Keras takes what a model is given: a list where there are several."""
    return values[0] if len(values) == 1 else list(values)


class SavedModel(Runtime):
    """A TensorFlow SavedModel: a function whose layers cannot be observed.

    port: the network that it should hold; None for a network of one image that classifies.
    """

    def __init__(self, path: Path, port: Port | None) -> None:
        self.tensorflow = frameworks.tensorflow()
        self.loaded = self.tensorflow.saved_model.load(str(path))  # kept: its variables live as long as it does
        function = self.loaded.serve.concrete_functions[0]
        given = self.tensorflow.nest.flatten(function.structured_input_signature)
        self.dtype = given[0].dtype.name
        self.exact = self.dtype == "float64"
        first = b"NCHW" in _data_formats(function)
        if first and not self.tensorflow.config.list_physical_devices("GPU"):
            raise MissingExtra("TensorFlow has no channels_first convolution on a CPU")
        self.name = f"TensorFlow {self.tensorflow.__version__}"
        self.axes = Axes(port, "channels_first" if first else "channels_last") if port else None
        self.images = _images(first)
        shapes = [of_extent(tuple(spec.shape[1:])) for spec in given]
        zeros = self._of_zeros(shapes)
        made = [array.shape[1:] for array in zeros]
        if any(map(varies, shapes)):
            made = [of_extent(tuple(x.shape[1:])) for x in self.tensorflow.nest.flatten(function.structured_outputs)]
        self.signature = _signature(self.axes, self.images, shapes, made)
        last = [self.axes.graph[name].layer for name in self.axes.graph.outputs] if self.axes else []
        along = [layer.axis if isinstance(layer, Softmax) else -1 for layer in last] or [-1] * len(zeros)
        self.softmax = tuple(are_probabilities(array, axis) for array, axis in zip(zeros, along, strict=False))

    def _of_zeros(self, shapes: Sequence[Shape]) -> list[Array]:
        """The outputs for nothing but zeros, of some size where it varies."""
        for filled in stand_ins(shapes) if self.axes is None else fitting(self.axes.graph):
            try:
                return self._serve([np.zeros((1, *shape)) for shape in filled])
            except self.tensorflow.errors.InvalidArgumentError:
                continue
        raise NotACheckpoint("a SavedModel that takes no inputs of the sizes that were tried")

    def _serve(self, values: Arrays) -> list[Array]:
        tensors = [self.tensorflow.constant(np.asarray(array, self.dtype)) for array in values]
        found = self.loaded.serve(tensors[0] if len(tensors) == 1 else tensors)
        return [np.asarray(tensor) for tensor in self.tensorflow.nest.flatten(found)]

    def scores(self, inputs: Arrays) -> Arrays:
        if self.axes is None:
            return self._serve([self.images.view(array) for array in inputs])
        return self.axes.results(self._serve(self.axes.inputs(inputs)))


def _data_formats(function: Any) -> set[bytes]:
    """The data formats that the operators of a TensorFlow function state."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return {node.attr["data_format"].s for node in nodes if "data_format" in node.attr}


def _images(first: bool) -> Layout:
    """Ours → theirs, for a batch of images."""
    return batched(format_axes(2, "channels_first")) if first else SAME


def _signature(axes: Axes | None, images: Layout, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Signature:
    if axes is not None:
        return axes.signature(inputs, outputs)
    if len(inputs) == 1 and len(inputs[0]) == 3:
        inputs = [images.inverse.shape((1, *inputs[0]))[1:]]
    return Signature(tuple(inputs), tuple(outputs))


class Torch(Runtime):
    """A network of `ror_port.models.networks_torch` or, without a family, of `ror_port.formats.pytorch_definition`."""

    def __init__(self, network: Any, port: Port) -> None:
        self.torch, self.network = frameworks.torch(), network.eval()
        self.axes = Axes(port, "channels_first")
        self.signature = Signature.of(port)
        weight = next(network.parameters(), None)
        self.dtype = weight.dtype if weight is not None else getattr(self.torch, port.dtype)
        self.device = weight.device if weight is not None else "cpu"
        self.exact = self.dtype == self.torch.float64
        self.calls = self._calls(dict(network.named_modules()))
        self.name = f"PyTorch {self.torch.__version__}"
        behind = [port.family is None and isinstance(port.graph[name].layer, Softmax) for name in port.graph.outputs]
        pairs = zip(ends(port.graph), behind, strict=True)
        self.cut = [end if flag and self._place(end) else None for end, flag in pairs]
        self.softmax = tuple(flag and end is None for end, flag in zip(self.cut, behind, strict=True))

    def _calls(self, modules: Mapping[str, Any]) -> dict[str, tuple[Any, int]]:
        """Node → its module, and which call of it the node is: a layer may be used at several places.

        Left out is what gives or takes a value otherwise than its module does.
        """
        graph, family = self.axes.graph, self.axes.port.family
        names = torch_names(graph) if family is None else {node.name: module_path(node.name) for node in graph}
        written = codes(graph) if family is None else {}
        found: dict[str, tuple[Any, int]] = {}
        count: dict[str, int] = {}
        for node in graph:
            name = names[node.owner]
            if isinstance(node.layer, Input) or name not in modules or graph.calls[node.name] != node.name:
                continue
            call = count[name] = count.get(name, -1) + 1
            plain = family is not None or (written[node.name].call == MODULE_CALL and node.layer.result is None)
            if plain:
                found[node.name] = modules[name], call
        return found

    def _place(self, node: str) -> tuple[Any, int, int | None] | None:
        """Where a node can be observed: at a module, in which call, as its output (None) or which of its inputs.

        A node that is a function call is observed as an input of what reads it.
        """
        if node in self.calls:
            return *self.calls[node], None
        for reader in self.axes.graph.readers.get(node, ()):
            if reader.name in self.calls:
                return *self.calls[reader.name], reader.inputs.index(node)
        return None

    def _tensor(self, x: Array) -> Any:
        return self.torch.from_numpy(np.ascontiguousarray(x)).to(self.device, self.dtype)

    def _observed(self, inputs: Arrays, nodes: Iterable[str]) -> tuple[list[Any], dict[str, Any]]:
        """What the network gives, and what it computes at the nodes that can be observed."""
        places = {node: place for node in nodes if (place := self._place(node))}
        kept: dict[Any, list[tuple[Any, Any]]] = {module: [] for module, *_ in places.values()}
        hooks = [module.register_forward_hook(lambda m, x, y: kept[m].append((x, y))) for module in kept]
        results, observed = [], []
        if hasattr(self.network, "reset_states"):
            self.network.reset_states()
        try:
            for batch in _batches(self.axes.port, self.axes.inputs(inputs)):
                with self.torch.inference_mode():
                    given = self.network(*map(self._tensor, batch))
                results.append(given if isinstance(given, tuple) else (given,))
                found = {}
                for node, (module, call, position) in places.items():
                    arguments, result = kept[module][call]
                    found[node] = result if position is None else arguments[position]
                observed.append(found)
                for calls in kept.values():
                    calls.clear()
        finally:
            for hook in hooks:
                hook.remove()
        join = self.torch.cat
        return list(map(join, zip(*results, strict=True))), {n: join([o[n] for o in observed]) for n in places}

    def scores(self, inputs: Arrays) -> Arrays:
        given, kept = self._observed(inputs, filter(None, self.cut))
        found = [kept[end] if end else tensor for end, tensor in zip(self.cut, given, strict=True)]
        return self.axes.results([tensor.cpu().numpy() for tensor in found])

    def outputs(self, inputs: Arrays, nodes: Iterable[str]) -> dict[str, Array]:
        _, kept = self._observed(inputs, nodes)
        return {node: self.axes.found(node, tensor.cpu().numpy()) for node, tensor in kept.items()}

    def layer(self, node: str, x: Array) -> Array | None:
        if node not in self.calls:
            return None
        (source,) = self.axes.port.graph[node].inputs
        if source not in self.axes.graph[node].inputs:  # a Permute stands between
            return None
        module, _ = self.calls[node]
        with self.torch.inference_mode():
            return self.axes.found(node, module(self._tensor(self.axes.given(source, x))).cpu().numpy())


class Onnx(Runtime):
    """An ONNX model in ONNX Runtime, on the CPU. Data outside the file are refused before it is opened.

    port: as of `SavedModel`.
    """

    def __init__(self, path: Path, port: Port | None) -> None:
        self.onnxruntime = frameworks.onnxruntime()
        self.model = onnx.checked(path)
        self.axes = Axes(port, "channels_first") if port else None
        self.images = _images(first=True)
        graph = self.model.graph
        self.given = onnx.inputs(self.model)
        shapes = [
            [tuple(map(_size, value.type.tensor_type.shape.dim))[1:] for value in values]
            for values in (self.given, graph.output)
        ]
        self.signature = _signature(self.axes, self.images, *shapes)
        self.nodes = {name: node for node in graph.node for name in node.output}
        self.ends = [self._before_softmax(value.name) for value in graph.output]
        self.softmax = (False,) * len(self.ends)
        self.name = f"ONNX Runtime {self.onnxruntime.__version__}"
        if onnx.dtype(self.model) == "float64":
            raise MissingExtra("ONNX Runtime has no float64 convolution on a CPU")

    def _before_softmax(self, name: str) -> str:
        node = self.nodes.get(name)
        return node.input[0] if node is not None and node.op_type == "Softmax" else name

    def _run(self, model: Any, values: Mapping[str, Array]) -> list[Array]:
        options = self.onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = self.onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        found: list[Array] = session.run(None, {name: np.asarray(array, np.float32) for name, array in values.items()})
        return found

    def _inputs(self, inputs: Arrays) -> dict[str, Array]:
        arrays = self.axes.inputs(inputs) if self.axes else [self.images.view(array) for array in inputs]
        return {value.name: array for value, array in zip(self.given, arrays, strict=True)}

    def scores(self, inputs: Arrays) -> Arrays:
        found = self._run(onnx.with_outputs(self.model, self.ends), self._inputs(inputs))
        return self.axes.results(found) if self.axes else found

    def outputs(self, inputs: Arrays, nodes: Iterable[str]) -> dict[str, Array]:
        if self.axes is None:
            return {}
        wanted = [node for node in nodes if node in self.nodes]
        if not wanted:
            return {}
        found = self._run(onnx.with_outputs(self.model, wanted), self._inputs(inputs))
        return {node: self.axes.found(node, output) for node, output in zip(wanted, found, strict=True)}

    def layer(self, node: str, x: Array) -> Array | None:
        if self.axes is None or node not in self.nodes:
            return None
        (source,) = self.axes.port.graph[node].inputs
        alone = onnx.between(self.model, self._value(source), node)
        if alone is None:
            return None
        (output,) = self._run(alone, {self._value(source): self.axes.given(source, x)})
        return self.axes.found(node, output)

    def _value(self, node: str) -> str:
        """The value that a node stands for: a Dropout is left out of a model."""
        assert self.axes is not None
        while node not in self.nodes and (sources := self.axes.port.graph[node].inputs):
            node = sources[0]
        return node


def _size(dimension: Any) -> int:
    """Of an axis in ONNX, which has a number or, if anything, a name."""
    return int(dimension.dim_value) if dimension.HasField("dim_value") else VARIES


def open_artifact(path: Path, port: Port | None = None, *, source: Port | None = None) -> Runtime:
    """Loads a file or folder of weights in its own framework.

    port: the network that it holds; where it is not given, the artifact is read to find out. source: what it was made
    from, if it was. Weights for Theano, and all of Keras 1, run in the reference.

    Raises MissingExtra where the framework is not installed or cannot run it here, and what `load` raises.
    """
    kind = kind_of(path)
    if kind == "onnx":
        return Onnx(path, port or source)
    if kind == "savedmodel":
        return SavedModel(path, port or source)
    if port is not None:
        return _in_framework(path, kind, port)
    with load(path) as found:
        if needs_reference(found):
            return Reference(found)
        named = source if source is not None and source.family is None and found.family is None else found
        return _in_framework(path, kind, found, named)


def _in_framework(path: Path, kind: str, port: Port, named: Port | None = None) -> Runtime:
    """named: the port whose nodes the artifact's layers are called by, where it is another."""
    if kind in ("safetensors", "pt"):
        return Torch(_torch_network(path, kind, port), port)
    return Keras(_keras_model(path, kind, port), named or port, port.layers)


def needs_reference(port: Port) -> bool:
    """Whether no software of today reads the file right: Theano's, and all of Keras 1."""
    return port.convention.theano or port.convention.software is KERAS_1


def keras_model(port: Port, *, data_format: DataFormat = "channels_last") -> Any:
    """The Keras model of a port's network, without its weights: of a family, its parallel definition."""
    framework = frameworks.keras()
    if port.family is None:
        graph = port.relayout(data_format).graph.for_keras()
        model = keras_config.model(graph, port.dtype)
        return framework.Model.from_config(keras_config.keras_3(model, "model")["config"])
    from ror_port.models import networks_keras

    options = port.family.settings(port.canonical_graph)
    if port.family.family == "RoR":
        del options["width"]  # these come in one width
    return getattr(networks_keras, port.family.model_type)(**options, data_format=data_format)


def torch_model(port: Port) -> Any:
    """The PyTorch network of a port, without its weights, in the port's precision: of a family, its definition."""
    torch = frameworks.torch()
    if port.family is None:
        network = _generated(port)()
    else:
        from ror_port.models import networks_torch

        config = networks_torch.Config(**port.family.settings(port.canonical_graph))
        network = getattr(networks_torch, port.family.class_name)(config)
    return network.to(getattr(torch, port.dtype))


def _generated(port: Port) -> Any:
    """The class of a network without a family, made anew from its graph: nothing that lies in a folder is run."""
    graph = port.relayout("channels_first").graph.of_today()
    module: dict[str, Any] = {"__name__": "modeling_ror"}
    text = definition(graph, torch_names(graph), title="A network", origin="a graph")
    exec(compile(text, "modeling_ror.py", "exec"), module)
    return module[CLASS_NAME]


def _keras_model(path: Path, kind: str, port: Port) -> Any:
    framework = frameworks.keras()
    if kind == "hf":
        return framework.saving.load_model(path, compile=False)
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
        if path.is_dir() and port.family is not None:
            return type(network).from_pretrained(path)
        if kind == "pt":
            network.load_state_dict(pytorch.state_dict(path))
        else:
            weights = path / safetensors.WEIGHTS if path.is_dir() else path
            tensors = frameworks.safetensors_for_torch().load_file(weights)
            network.load_state_dict(pytorch.unwrapped(tensors))
    except (RuntimeError, ValueError) as error:  # other names, other shapes
        reason = " ".join(str(error).split())[:200]
        raise NotACheckpoint(f"{path}: does not load into {port.name} ({reason})") from None
    return network
