"""The road from a file to a graph with its weights. Every command starts here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ror_port import __version__
from ror_port.errors import BadValues, NotACheckpoint, RorPortError, UnknownNetwork, UsageError, printable, quote
from ror_port.formats import compare_with_graph, open_checkpoint
from ror_port.formats.checkpoint import Checkpoint, StoredLayer, StoredTensor
from ror_port.layout import SAME, Array, DataFormat
from ror_port.mapping import weights
from ror_port.mapping.convention import Convention
from ror_port.mapping.software import KERAS_1, KERAS_2, PYTORCH, Software, by_order, torch_names
from ror_port.network.as_json import from_json
from ror_port.network.families import Family
from ror_port.network.families.signature import LayerShape
from ror_port.network.graph import Graph, Parameter
from ror_port.network.layers import BatchNormalization, Dropout, Layer
from ror_port.network.layers.settings import DATA_FORMATS
from ror_port.network.layers.spatial import Padding, Spatial
from ror_port.network.relayout import Relayout, relayout
from ror_port.source import provenance
from ror_port.source.architecture import files_beside, read_architecture
from ror_port.source.from_config import Stated, stated_graph
from ror_port.source.match import match
from ror_port.source.provenance import ORDERINGS, Alternative, Basis, Fact, Given, alternatives
from ror_port.source.recognise import Misfit, Recognition, recognise, unknown
from ror_port.theano import run as reference
from ror_port.theano.twins import Stored

Inputs = Array | Mapping[str, Array]
"""What a network is given: one array, or for several inputs an array for each, by the names of their nodes."""


@dataclass(frozen=True, repr=False)
class Port:
    """A checkpoint that was understood: its graph, what is known of it, and its parameters.

    Use it as a context manager; tensors are read from the file on demand.
    graph: in the order of axes that the file has. family: the one that was recognised, or None.
    stored: canonical parameter name → tensor of the file. layers: node with weights → name of its layer in the file.
    """

    checkpoint: Checkpoint
    graph: Graph
    convention: Convention
    stored: Mapping[str, StoredTensor]
    facts: tuple[Fact, ...]
    layers: Mapping[str, str]
    family: Family | None = None
    given: Given = field(default_factory=Given)
    """What the user stated about the file."""
    admitted: dict[str, str] = field(default_factory=dict)
    """Of the tensors read so far, those that hold such values: name → what it holds."""

    def __enter__(self) -> Port:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file. What was found out stays; the weights can be read no longer."""
        self.checkpoint.closed = True
        self.checkpoint.close()

    def __repr__(self) -> str:
        return f"<Port {printable(self.checkpoint.path)}: {self.name}, {self.size:,} parameters, {self.dtype}>"

    @property
    def name(self) -> str:
        """Of the network."""
        return self.family.name if self.family else f"a network of {len(self.graph.nodes)} layers"

    @property
    def dtype(self) -> str:
        """ "float64" where any tensor is, else "float32": no output holds less than its source."""
        return "float64" if any(tensor.dtype.itemsize == 8 for tensor in self.stored.values()) else "float32"

    @property
    def size(self) -> int:
        """Number of parameters, running statistics included."""
        return sum(int(np.prod(parameter.shape)) for parameter in self.graph.parameters)

    def untouched(self, parameter: Parameter) -> Array:
        """A tensor exactly as the file has it, once its values are found to be valid or are admitted."""
        tensor = self.stored[parameter.name]
        if self.checkpoint.closed:
            raise UsageError(f"{self.checkpoint.path}: the port is closed; use it inside its with block, or load again")
        array = tensor.read()
        bad = None
        if not np.isfinite(array).all():
            bad = "NaN" if np.isnan(array).any() else "an infinity"
        elif parameter.role == "moving_variance" and (array < 0).any():
            bad = f"a negative variance ({array.min():g})"
        if bad and not self.given.bad_values:
            raise BadValues(
                f"{self.checkpoint.path}: {quote(tensor.name)}: holds {bad}; training had diverged, or the file is "
                "damaged",
                "{bad_values} converts it all the same",
            )
        if bad:
            self.admitted[tensor.name] = bad
        return array

    @cached_property
    def canonical_graph(self) -> Graph:
        """The network that outputs hold: canonical in its BatchNormalizations too.

        Where the source divides by anything but √(variance + epsilon), its epsilon is folded into the variances:
        the square of what it divides by, and epsilon 0. That is the same function for every stored value.
        """
        return self.graph.map(_canonical)

    @property
    def rounds(self) -> bool:
        """Whether writing rounds: variances of Keras up to 1.0.7 become others, in `dtype`."""
        return self.canonical_graph.nodes != self.graph.nodes and self.dtype == "float32"

    def relayout(self, data_format: DataFormat) -> Relayout:
        """The canonical graph with its images in a data format, and what that changes of its weights."""
        return relayout(self.canonical_graph, data_format)

    def parameters(self, moved: Relayout | None = None) -> Iterator[tuple[Parameter, Array]]:
        """Every parameter in canonical form, read one after the other. moved: for which graph, see `relayout`.

        All are rearranged and nothing else, but for the variances of Keras up to 1.0.7 (see `canonical_graph`), which
        come as float64. They come as views, for a writer to copy once, by the layout that it needs itself.
        """
        changes = moved.weights if moved else {}
        target = moved.graph if moved else self.canonical_graph
        for parameter, wanted in zip(self.graph.parameters, target.parameters, strict=True):
            stored = self.stored[parameter.name].shape
            array = self.convention.layout(parameter, stored).inverse.view(self.untouched(parameter))
            layer = parameter.layer
            if parameter.role == "moving_variance" and isinstance(layer, BatchNormalization):
                array = _canonical_variance(layer, array)
            yield wanted, changes.get(parameter.name, SAME).view(array)

    def tensors(self) -> dict[str, dict[str, Array]]:
        """Node → role → untouched tensor: what the reference runs on."""
        return {
            node.name: {parameter.role: self.untouched(parameter) for parameter in node.parameters}
            for node in self.graph
            if node.parameters
        }

    @property
    def how_stored(self) -> Stored:
        """How the untouched tensors lie, in the reference's terms."""
        return Stored(self.convention.software.column, self.convention.theano)

    @cached_property
    def channels_last(self) -> Relayout:
        """How values of the graph's own order of axes relate to images that are channels_last."""
        return relayout(self.graph, "channels_last")

    def run(
        self,
        inputs: Inputs,
        *,
        tensors: Mapping[str, Mapping[str, Array]] | None = None,
        dtype: DTypeLike = np.float64,
        training: bool = False,
    ) -> Iterator[tuple[str, Array]]:
        """The reference on inputs: yields (node, output), (batch, …), images channels_last.

        inputs: (batch, …), images (batch, height, width, channels); of several inputs a mapping by the names of their
        nodes. tensors: of `tensors`, where they were read before. dtype: what is computed in. training: normalise by
        the statistics of the batch.
        """
        axes, given = self.channels_last, self.inputs(inputs)
        own = {name: axes.value(name).inverse.view(array) for name, array in given.items()}
        held = self.tensors() if tensors is None else tensors
        for name, output in reference.run(self.graph, held, self.how_stored, own, dtype=dtype, training=training):
            yield name, axes.value(name).view(output)

    def outputs(
        self, inputs: Inputs, *names: str, tensors: Mapping[str, Mapping[str, Array]] | None = None
    ) -> dict[str, Array]:
        """The outputs of the named nodes; see `run`."""
        return {name: output for name, output in self.run(inputs, tensors=tensors) if name in names}

    def compute(self, name: str, inputs: Mapping[str, Array], tensors: Mapping[str, Array]) -> Array:
        """The output of one node for given inputs, all as in `run`; tensors: role → untouched tensor."""
        node, axes = self.graph[name], self.channels_last
        own = tuple(axes.value(source).inverse.view(inputs[source]) for source in node.inputs)
        return axes.value(name).view(reference.compute(node, own, tensors, self.how_stored))

    def predict(self, images: Array) -> Array:
        """What Keras on Theano would have predicted: (batch, height, width, channels) → (batch, classes).

        images: scaled as in training (the published networks: pixels / 255). Computed in float64 by the reference.

        Raises UsageError where they do not fit the network.
        """
        if len(self.graph.outputs) != 1:
            raise UsageError(f"networks of one output predict; use outputs(…) for {', '.join(self.graph.outputs)}")
        output = self.graph.output.name
        return self.outputs(self.inputs(images, "images"), output)[output]

    def inputs(self, given: Inputs, argument: str = "inputs") -> dict[str, Array]:
        """Input node → values, in the order of the graph. argument: what the user knows them as.

        Raises UsageError where they do not fit the network.
        """
        nodes = self.channels_last.graph.inputs
        names = ", ".join(node.name for node in nodes)
        if not isinstance(given, Mapping):
            if len(nodes) > 1:
                raise UsageError(f"one array; a mapping of {names} to arrays is expected", argument)
            given = {nodes[0].name: given}
        if set(given) != {node.name for node in nodes}:
            raise UsageError(f"arrays for {', '.join(map(str, given))}; expected for {names}", argument)
        found = {node.name: _numbers(given[node.name], argument) for node in nodes}
        for node in nodes:
            if problem := _misfit(found[node.name].shape, node.shape, node.name):
                raise UsageError(problem, argument)
        if len({len(array) for array in found.values()}) > 1:
            raise UsageError("batches of several lengths", argument)
        return found

    def alternatives(self) -> Iterator[tuple[Alternative, Port]]:
        """What the facts that are assumed could be instead, each with the port of the same file under it.

        Those that the file contradicts are left out.
        """
        for fact in self.facts:
            for alternative in alternatives(fact, self.given):
                try:
                    yield alternative, _understood(self.checkpoint, alternative.given, alternative.padding)
                except RorPortError:
                    continue

    @property
    def assumptions(self) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.facts if fact.basis == "assumed")

    def network_statement(self) -> dict[str, Any]:
        """What outputs state of the network: its family and settings."""
        if self.family is None:
            return {"family": None, "name": self.name}
        settings = self.family.settings(self.canonical_graph)
        return {"family": self.family.family, "name": self.family.name, **settings}

    def statement(self) -> dict[str, Any]:
        """What outputs state of themselves: network, source and facts, as JSON."""
        source = {"file": printable(self.checkpoint.path.name), "sha256": self.checkpoint.sha256}
        if "source" in self.checkpoint.stated:
            source["made_from"] = self.checkpoint.stated["source"]
        return {
            "ror_port": __version__,
            "network": self.network_statement(),
            "source": source,
            "facts": [fact.as_json() for fact in self.facts],
        }


def _numbers(given: Any, argument: str) -> Array:
    try:
        array = np.asarray(given)
    except ValueError:  # nested lists of several lengths
        raise UsageError("lists of several lengths; an array is expected", argument) from None
    if array.dtype.kind not in "fiub":
        raise UsageError(f"values of type {array.dtype}; numbers are expected", argument)
    return array


def _misfit(shape: tuple[int, ...], expected: tuple[int, ...], name: str) -> str:
    """What is wrong with the shape of what an input is given, where something is. expected: without the batch."""
    if shape[1:] == expected and shape[0]:
        return ""
    what = "images" if len(expected) == 3 else name
    problem = f"{shape}; {what} (batch, {', '.join(map(str, expected))}) are expected"
    if shape == expected:
        return f"{problem}: give one as images[None]" if len(expected) == 3 else f"{problem}, with the batch in front"
    if len(expected) == 3 and shape[1:] == (expected[2], *expected[:2]):
        return f"{problem}, with the channels last: images.transpose(0, 2, 3, 1)"
    return problem


def _canonical(layer: Layer) -> Layer:
    if isinstance(layer, BatchNormalization) and layer.divisor != "√(variance + epsilon)":
        return replace(layer, epsilon=0.0, divisor="√(variance + epsilon)")
    return layer


def _canonical_variance(layer: BatchNormalization, stored: Array) -> Array:
    """The variance that gives the same function under today's rule, with epsilon 0 where the rule was another."""
    if layer.divisor == "√(variance + epsilon)":
        return stored
    values = stored.astype(np.float64)
    with np.errstate(invalid="ignore"):  # an admitted negative variance is a NaN to Keras, too
        deviation = values if layer.divisor == "std + epsilon" else np.sqrt(values)
    return np.asarray((deviation + layer.epsilon) ** 2)


def load(
    path: Path | str,
    given: Given | None = None,
    *,
    backend: str | None = None,
    keras: str | None = None,
    epsilon: float | None = None,
    size: int | None = None,
    sha256: str | None = None,
    bad_values: bool = False,
    ordering: str | None = None,
    architecture: str | None = None,
    graph: Mapping[str, Any] | None = None,
) -> Port:
    """Opens a checkpoint and finds out what it is.

    given, or its fields as keywords: what the user states of the file where it is silent or wrong (`Given`). Where no
    architecture is given for weights that come without, the one file beside them that fits is taken.
    graph: the network as `ror_port.network.as_json` states it, for a file that states none.

    Raises UnreadableFile, UnsafeFile, NotACheckpoint or UnknownNetwork.
    """
    beside = Path(architecture) if architecture is not None else None
    given = given or Given(backend, keras, epsilon, size, sha256, bad_values, beside, ordering)
    checkpoint = open_checkpoint(Path(path), given.sha256)
    try:
        if graph is not None:
            checkpoint.stated = {**checkpoint.stated, "graph": graph}
        if given.architecture is not None:
            _attach(checkpoint, given.architecture, "given", "--architecture")
            return understand(checkpoint, given)
        try:
            return understand(checkpoint, given)
        except UnknownNetwork as error:
            if checkpoint.config is not None or checkpoint.software or "graph" in checkpoint.stated:
                raise
            return _with_what_lies_beside(checkpoint, given, error)
    except BaseException:
        checkpoint.close()
        raise


def _attach(checkpoint: Checkpoint, path: Path, basis: Basis, evidence: str) -> None:
    """Gives a checkpoint the architecture of a file. Raises NotACheckpoint where it has one already."""
    if checkpoint.config is not None:
        raise NotACheckpoint(f"{checkpoint.path}: states its architecture itself", "leave {architecture} out")
    checkpoint.config, checkpoint.config_where = read_architecture(path), path.name
    checkpoint.config_file = path
    checkpoint.config_fact = Fact("architecture", path.name, basis, evidence)


def _with_what_lies_beside(checkpoint: Checkpoint, given: Given, error: UnknownNetwork) -> Port:
    """The port under the one architecture beside the weights that fits them; else the error, with what to do."""
    fitting: list[Path] = []
    refused: UnknownNetwork | None = None
    for path in files_beside(checkpoint.path):
        checkpoint.config = None
        try:
            _attach(checkpoint, path, "inferred", "the one file beside the weights that fits them")
            understand(checkpoint, given)
            fitting.append(path)
        except UnknownNetwork as problem:  # it is an architecture, with what is not supported
            refused = problem
        except RorPortError:
            continue
    checkpoint.config = None
    if len(fitting) > 1:
        names = ", ".join(quote(path.name) for path in fitting)
        raise NotACheckpoint(f"{checkpoint.path}: {names} beside it all fit", "choose one with {architecture}")
    if not fitting:
        raise refused or UnknownNetwork(error.message, "give it, as JSON or YAML, with {architecture}")
    _attach(checkpoint, fitting[0], "inferred", "the one file beside the weights that fits them")
    return understand(checkpoint, given)


def understand(checkpoint: Checkpoint, given: Given) -> Port:
    """Finds out what an opened checkpoint is; the Port closes it. Errors as of `load`.

    A stated architecture is what is ported. A family lends it names and definitions, where it is that family's network
    in every setting and edge. Without one, the network is the family's that the tensors fit.
    """
    port = _understood(checkpoint, given)
    if given.keras and port.checkpoint.writer is None:
        _ensure_decided(port, given.keras)
    return port


def _ensure_decided(port: Port, text: str) -> None:
    """Raises UsageError where a version as the user states it stands for several that read the file differently."""
    given = port.given
    versions = provenance.eras(text)
    for version in versions if len(versions) > 1 else ():
        try:
            other = _understood(port.checkpoint, replace(given, keras=provenance.dotted(version)))
            alike = other.graph.nodes == port.graph.nodes and other.convention == port.convention
        except RorPortError:
            alike = False
        if alike:
            continue
        if any(isinstance(node.layer, BatchNormalization) for node in port.graph) and version < (1, 2):
            raise UsageError(
                f"{text} does not decide what BatchNormalization divides by; state one of {provenance.norm_choices()}",
                "keras",
            )
        choices = ", ".join(map(provenance.dotted, versions))
        raise UsageError(f"{text} does not decide between {choices}, which read this file differently", "keras")


def _understood(checkpoint: Checkpoint, given: Given, padded: Padding | None = None) -> Port:
    """padded: what strided convolutions are padded with where that is assumed, if not as usual."""
    origin = provenance.origin(checkpoint, given)
    if origin.software.ordered:
        _ensure_unswapped(checkpoint, origin.software)
    backend = provenance.backend(checkpoint, given)
    theano = backend.value == "theano"
    convention = Convention(origin.software, theano)
    stated = _stated(checkpoint, theano, origin.version, given)
    if stated is not None and checkpoint.config_file is None:
        _ensure_listed_alike(checkpoint, stated)
    unstated = _unstated(checkpoint, theano, origin.version, stated, convention, given)
    found, data_format, shapes = _recognise(checkpoint, origin.software, _formats(stated, origin, theano))
    understood = _Understood(None, Graph((), ()), {}, "", (), {})
    if isinstance(found, Recognition):
        understood = _recognised(checkpoint, origin.software, found, stated, given, data_format)
    elif stated is None:
        raise unknown(str(checkpoint.path), found, shapes)
    if understood.family is None:
        assert stated is not None
        understood = _as_stated(checkpoint, stated, convention, understood.difference)
    family = understood.family
    padding = provenance.padding(checkpoint, understood.graph, theano, stated is not None, padded)
    by_name = found.by_name if isinstance(found, Recognition) and origin.software is KERAS_1 else None
    norm, as_stored = (
        provenance.batch_norm(
            checkpoint, padding.graph, family, origin, each, stated=stated is not None, by_name=by_name
        )
        for each in (given, replace(given, epsilon=None))
    )
    graph = norm.graph
    compare_with_graph(checkpoint, family.name if family else "the network", as_stored.graph)
    states = stated is not None and not checkpoint.writer
    ordering = provenance.ordering(
        checkpoint, graph, origin, theano, states, stated is not None and stated.format_assumed, given
    )
    facts = (
        Fact("format", checkpoint.format, "recorded", "content of the file"),
        *([origin.fact] if origin.fact else []),
        backend,
        *([ordering] if ordering else []),
        *([unstated] if unstated else []),
        *([checkpoint.config_fact] if checkpoint.config_fact else []),
        *understood.facts,
        *padding.facts,
        *norm.facts,
    )
    return Port(checkpoint, graph, convention, understood.stored, facts, understood.layers, family, given)


def _ensure_unswapped(checkpoint: Checkpoint, software: Software) -> None:
    """Raises NotACheckpoint where layers hold each other's weights, by what these are called.

    A layer that was renamed, or built twice in a session, has weights under another name, but not layers in a circle.
    """
    named = {layer.name: software.layer_in_name(layer.weights[0]) for layer in checkpoint.weighted}
    elsewhere = {layer: owner for layer, owner in named.items() if owner in named and owner != layer}
    for layer in elsewhere:
        at: str | None = layer
        for _ in range(len(elsewhere)):
            at = elsewhere.get(at) if at else None
            if at == layer:
                raise NotACheckpoint(
                    f"{checkpoint.path}: layers contradict themselves: {quote(layer)} holds weights that are called "
                    f"after {quote(str(elsewhere[layer]))}, and the other way round; the file was altered later"
                )


def _ensure_listed_alike(checkpoint: Checkpoint, stated: Stated) -> None:
    """Raises NotACheckpoint where layers of one class are in another order in the architecture than the weights are.

    Keras pairs them by their order, and their names must not contradict it. Of all genuine files they agree.
    """
    held = checkpoint.counted or [layer.name for layer in checkpoint.weighted]
    for kind, names in stated.listed.items():
        listed = [name for name in dict.fromkeys(names) if name in held]
        for name, other in zip(listed, (layer for layer in held if layer in names), strict=True):
            if name != other:
                raise NotACheckpoint(
                    f"{checkpoint.path}: {checkpoint.config_where}: lists the {kind} {quote(name)} where the weights "
                    f"are those of {quote(other)}; the file was altered later"
                )


def _stated(checkpoint: Checkpoint, theano: bool, version: tuple[int, ...], given: Given) -> Stated | None:
    """The architecture that a file states, in Keras' words or in our own."""
    if checkpoint.config is not None:
        where = f"{checkpoint.path}: {checkpoint.config_where}"
        version = provenance.version_of(checkpoint.config, where) or version
        shapes = {layer.name: [tensor.shape for tensor in layer.tensors] for layer in checkpoint.weighted}
        data_format = DATA_FORMATS[given.ordering] if given.ordering else None
        return stated_graph(
            checkpoint.config, shapes, theano=theano, version=version, where=where, data_format=data_format
        )
    if "graph" in checkpoint.stated:
        graph = from_json(checkpoint.stated["graph"], f"{checkpoint.path}: {checkpoint.stated_where}")
        names = torch_names(graph) if checkpoint.software is PYTORCH else (checkpoint.software or KERAS_2).names(graph)
        return Stated(graph, names)
    return None


def _unstated(
    checkpoint: Checkpoint,
    theano: bool,
    version: tuple[int, ...],
    stated: Stated | None,
    convention: Convention,
    given: Given,
) -> Fact | None:
    """The data format of layers that state none, where others do; None where there are no such layers.

    They are found by reading the architecture under both.
    """
    if stated is None or stated.format_assumed or given.ordering or checkpoint.config is None or checkpoint.writer:
        return None
    graphs: dict[str, Graph | None] = {}
    for ordering in ORDERINGS.values():
        try:
            other = _stated(checkpoint, theano, version, replace(given, ordering=ordering))
            assert other is not None
            _as_stated(checkpoint, other, convention, "")
            graphs[ordering] = other.graph
        except RorPortError:
            graphs[ordering] = None
    alike = [name for name, graph in graphs.items() if graph is not None and graph.nodes == stated.graph.nodes]
    if len(alike) != 1:
        return None
    (taken,) = alike
    if None in graphs.values():
        return Fact(provenance.UNSTATED, taken, "inferred", "the shapes fit under no other")
    evidence = "that of the first layer that states one"
    return Fact(provenance.UNSTATED, taken, "assumed", evidence, "--source-ordering")


class _Understood(NamedTuple):
    """A network and where its weights are. layers: node with weights → layer of the file.

    family: None where the architecture is no family's; difference: the first from the family that its tensors fit.
    """

    family: Family | None
    graph: Graph
    layers: Mapping[str, str]
    difference: str
    facts: tuple[Fact, ...]
    stored: Mapping[str, StoredTensor]


def _recognised(
    checkpoint: Checkpoint,
    software: Software,
    found: Recognition,
    stated: Stated | None,
    given: Given,
    data_format: DataFormat,
) -> _Understood:
    """The family's network, unless an architecture is stated that is another one."""
    family = _sized(checkpoint, found, stated, given)
    if stated is None:
        rate = provenance.number(
            checkpoint.stated_network.get("dropout", 0.0), f"{checkpoint.path}: {checkpoint.stated_where}"
        )
        graph = family.graph(data_format, rate)
    else:
        rates = [node.layer.rate for node in stated.graph if isinstance(node.layer, Dropout)]
        node_of = {layer: node for node, layer in reversed(list(stated.layers.items()))}
        missing = [layer for layer in found.layers.values() if layer not in node_of]
        paired = {node: node_of.get(layer, "") for node, layer in found.layers.items()}
        expected = family.graph(data_format, max(rates, default=0.0))
        matched = f"it has no layer {quote(missing[0])}" if missing else match(expected, stated.graph, paired)
        if not isinstance(matched, str):
            try:
                family.settings(matched)
            except ValueError as error:
                matched = str(error)
        if isinstance(matched, str):
            return _Understood(None, stated.graph, {}, f"{family.name} but for this: {matched}", (), {})
        graph = matched
    facts = (
        Fact("network", family.name, "inferred", f"shapes of {len(graph.parameters)} tensors: {family.summary}"),
        Fact("pairing", f"{len(found.layers)} layers", "inferred", found.evidence),
    )
    by_role = {layer.name: _by_role(layer, checkpoint, software) for layer in checkpoint.weighted}
    stored = {p.name: by_role[found.layers[p.node]][p.role] for p in graph.parameters}
    return _Understood(family, graph, found.layers, "", facts, stored)


def _as_stated(checkpoint: Checkpoint, stated: Stated, convention: Convention, difference: str) -> _Understood:
    """The network of a stored architecture. Layers are paired by name, and each checked by kind and shape.

    Raises NotACheckpoint where the file's weights are not those of the architecture.
    """
    where, graph = f"{checkpoint.path}: {checkpoint.config_where}", stated.graph
    in_file = {layer.name: layer for layer in checkpoint.weighted}
    expected = stated.parameters_of_layers()
    for surplus in in_file.keys() - expected.keys():
        raise NotACheckpoint(f"{where}: has no layer {quote(surplus)}, whose weights the file holds")
    stored = {}
    for name, parameters in expected.items():
        if name not in in_file:
            raise NotACheckpoint(f"{where}: the file has no weights of its layer {quote(name)}")
        tensors = _in_order(in_file[name], parameters, convention.software)
        if len(tensors) != len(parameters):
            raise NotACheckpoint(
                f"{where}: layer {quote(name)} expects {len(parameters)} weights, the file has {len(tensors)}"
            )
        for parameter, tensor in zip(parameters, tensors, strict=True):
            shape = convention.layout(parameter, tensor.shape).shape(parameter.shape)
            if tensor.shape != shape:
                raise NotACheckpoint(
                    f"{where}: layer {quote(name)} expects {parameter.role} {_sizes(shape)}, the file has "
                    f"{_sizes(tensor.shape)}"
                )
            stored[parameter.name] = tensor
    evidence = checkpoint.config_where + (f"; its tensors fit {difference}" if difference else "")
    facts = (Fact("network", f"{len(graph.nodes)} layers", "recorded", evidence),)
    layers = {node.name: stated.layers[node.name] for node in graph if node.parameters}
    return _Understood(None, graph, layers, difference, facts, stored)


def _in_order(layer: StoredLayer, parameters: Sequence[Parameter], software: Software) -> Sequence[StoredTensor]:
    """The tensors of a layer in the order of its parameters: as the file lists them, or by their names."""
    if software.ordered:
        _ensure_names_agree(layer, parameters, software)
        return layer.tensors
    by_name = {tensor.name: tensor for tensor in layer.tensors}
    names = [software.weight_name(weights.of_layer(type(p.layer))[p.role], layer.name) for p in parameters]
    return [by_name[name] for name in names if name in by_name] if len(by_name) == len(names) else layer.tensors


def _ensure_names_agree(layer: StoredLayer, parameters: Sequence[Parameter], software: Software) -> None:
    """Raises NotACheckpoint where a weight is called as another one of its layer is."""
    words = [getattr(weights.of_layer(type(p.layer))[p.role], software.column) for p in parameters]
    for word, parameter, name in zip(words, parameters, layer.weights, strict=False):
        found = software.role_in_name(name)
        if found is not None and found != word and found in words:
            raise NotACheckpoint(
                f"layer {quote(layer.name)}: its weights contradict themselves: {quote(name)} stands where Keras keeps "
                f"the {parameter.role}"
            )


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _formats(stated: Stated | None, origin: provenance.Origin, theano: bool) -> tuple[DataFormat, ...]:
    """Data formats that the file may have: the one of its architecture, else those that its software leaves open."""
    layers = [node.layer for node in stated.graph if isinstance(node.layer, Spatial)] if stated else []
    found = {layer.data_format for layer in layers if layer.rank > 1}
    return tuple(sorted(found)) if found else provenance.orderings(origin.software, origin.version, theano)


def _sized(checkpoint: Checkpoint, found: Recognition, stated: Stated | None, given: Given) -> Family:
    """The recognised network for images of the size that is given or stated; its Dense layer must still fit."""
    family = found.family
    shape = family.input_shape
    if given.size:
        shape = (given.size, given.size, shape[2])
    elif stated and len(stated.graph.inputs) == 1 and len(stated.graph.input.shape) == 3:
        height, width, channels = relayout(stated.graph, "channels_last").graph.input.shape
        shape = height, width, channels
    elif stored := checkpoint.stated_network.get("input_shape"):
        shape = _shape(stored, f"{checkpoint.path}: {checkpoint.stated_where}")
    sized = replace(family, input_shape=shape)
    size = _sizes(shape)
    try:
        graph = sized.graph()
    except ValueError as error:
        raise UnknownNetwork(f"{checkpoint.path}: {family.name} takes no images of {size}: {error}") from None
    if [parameter.shape for parameter in graph.parameters] != [p.shape for p in found.graph.parameters]:
        raise UnknownNetwork(f"{checkpoint.path}: images of {size} do not lead to the Dense layer that the file has")
    return sized


def _shape(value: Any, where: str) -> tuple[int, int, int]:
    if not isinstance(value, list) or len(value) != 3 or not all(type(n) is int and 0 < n < 1 << 16 for n in value):
        raise NotACheckpoint(f"{where}: {quote(str(value))} where an input shape is expected")
    height, width, channels = value
    return height, width, channels


def _recognise(
    checkpoint: Checkpoint, software: Software, formats: tuple[DataFormat, ...]
) -> tuple[Recognition | Misfit | None, DataFormat, list[LayerShape]]:
    """The first data format under which a network fits; else the one that comes nearest."""
    attempts = []
    for data_format in formats:
        layers = [_shapes(layer, checkpoint, software, data_format) for layer in checkpoint.weighted]
        try:
            found = recognise(layers, software, data_format)
        except NotACheckpoint:
            if not checkpoint.counted:  # else the order of its layers is no witness
                raise
            found = None
        if isinstance(found, Recognition):
            return found, data_format, layers
        attempts.append((found, data_format, layers))
    return min(attempts, key=lambda attempt: len(attempt[0].differences) if attempt[0] else 1 << 30)


def _shapes(layer: StoredLayer, checkpoint: Checkpoint, software: Software, data_format: DataFormat) -> LayerShape:
    """A layer's shapes as they would be in canonical form, where its images are in a data format."""
    told = _roles(layer, checkpoint, software)
    if told is None:
        return LayerShape(layer.name, None, {tensor.name: tensor.shape for tensor in layer.tensors})
    kind, roles = told
    shapes = {}
    for role, tensor in zip(roles, layer.tensors, strict=True):
        weight = weights.of_layer(kind)[role]
        axes, *_ = software.stored_axes(weight, data_format)
        fits = len(axes) == len(tensor.shape)
        shapes[role] = tuple(tensor.shape[axes.index(axis)] for axis in weight.axes) if fits else tensor.shape
    return LayerShape(layer.name, kind, shapes)


def _roles(
    layer: StoredLayer, checkpoint: Checkpoint, software: Software
) -> tuple[type[Layer], tuple[str, ...]] | None:
    """The kind of a layer and the roles of its weights; None where no kind of layer has such weights.

    In Keras' files order and shape decide, as they do for Keras itself; names must not contradict them. Elsewhere
    names decide.
    """
    shapes = [tensor.shape for tensor in layer.tensors]
    if not software.ordered:
        return software.by_names(layer.name, layer.weights, shapes)
    told = by_order(shapes)
    if told is None:
        return None
    kind, roles = told
    rows = weights.of_layer(kind)
    for role, name in zip(roles, layer.weights, strict=True):
        word, expected = software.role_in_name(name), getattr(rows[role], software.column)
        if word is not None and word != expected and word in {getattr(row, software.column) for row in rows.values()}:
            raise NotACheckpoint(
                f"{checkpoint.path}: layer {quote(layer.name)}: its weights contradict themselves: {quote(name)} "
                f"stands where Keras keeps the {role}"
            )
    return told


def _by_role(layer: StoredLayer, checkpoint: Checkpoint, software: Software) -> dict[str, StoredTensor]:
    told = _roles(layer, checkpoint, software)
    return dict(zip(told[1], layer.tensors, strict=True)) if told else {}
