"""The road from a file to a graph with its weights. Every command starts here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from ror_port import __version__, extensions
from ror_port.errors import (
    BadValues,
    MissingExtra,
    NotACheckpoint,
    RorPortError,
    UnknownNetwork,
    UsageError,
    printable,
    quote,
)
from ror_port.formats import compare_with_graph, open_checkpoint
from ror_port.formats.checkpoint import KERAS_0, Checkpoint, StoredTensor
from ror_port.formats.pytorch_recurrent import Packing
from ror_port.layout import BLOCK_BYTES, SAME, Arranged, Array, DataFormat, Shape, fits, varies
from ror_port.mapping.convention import Convention
from ror_port.mapping.software import KERAS_1, KERAS_2, PYTORCH, torch_names
from ror_port.network.as_json import from_json
from ror_port.network.families import Family
from ror_port.network.graph import Graph, Parameter
from ror_port.network.layers import BatchNormalization
from ror_port.network.layers.recurrent import was_multiplied
from ror_port.network.layers.settings import DATA_FORMATS
from ror_port.network.layers.spatial import Padding
from ror_port.network.relayout import Relayout, relayout
from ror_port.network.sizes import sized
from ror_port.source import original, provenance
from ror_port.source.attaching import attach, beside, needs_architecture
from ror_port.source.from_config import Stated, stated_graph
from ror_port.source.pairing import (
    Paired,
    as_recognised,
    as_stated,
    best_fit,
    data_formats,
    ensure_as_many,
    ensure_listed_alike,
    ensure_unswapped,
    layer_count,
)
from ror_port.source.provenance import ORDERINGS, Alternative, Fact, Given, Settled, alternatives
from ror_port.source.recognise import Recognition, unknown
from ror_port.theano import run as reference
from ror_port.theano.twins import Stored

if TYPE_CHECKING:
    from ror_port.source.famous.table import Famous

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
    famous: Famous | None = None
    """The network of keras.applications that was recognised."""
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

    def _repr_html_(self) -> str:
        """In a notebook: the network, drawn where it is of a known family, and the facts."""
        from ror_port.html import basics, notebook

        about = f"{self.checkpoint.path}: {self.size:,} parameters, {self.dtype}"
        facts, drawn = [fact.as_json() for fact in self.facts], self.family is not None
        graph = self.channels_last.graph if drawn else self.graph
        return basics.fragment(*notebook.network(self.name, about, facts, graph, drawn=drawn))

    @property
    def name(self) -> str:
        """Of the network."""
        if self.famous:
            return self.famous.name
        return self.family.name if self.family else f"a network of {layer_count(self.checkpoint, self.graph)}"

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
        if not _is_finite(array):
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
        """The network that outputs hold: canonical in its layers, too.

        Where a BatchNormalization of the source divides by anything but √(variance + epsilon), its epsilon is folded
        into the variances: the square of what it divides by, and epsilon 0. That is the same function for every stored
        value. The gates of a recurrent layer, which Keras 1 keeps apart, stand side by side.
        """
        return self.graph.map(lambda layer: layer.canonical)

    @property
    def other_norms(self) -> bool:
        """Whether its BatchNormalizations have the rule of Keras up to 1.0.7, so that variances become others."""
        norms = [node.layer for node in self.graph if isinstance(node.layer, BatchNormalization)]
        return any(norm != norm.canonical for norm in norms)

    @property
    def rounds(self) -> bool:
        """Whether writing rounds in `dtype`: variances that become others, weights multiplied for Keras 3."""
        multiplied = self.original is not None and any(was_multiplied(node.layer) for node in self.graph)
        return self.dtype == "float32" and (self.other_norms or multiplied)

    def relayout(self, data_format: DataFormat) -> Relayout:
        """The canonical graph with its images in a data format, and what that changes of its weights."""
        if data_format == "channels_last" and self.canonical_graph is self.graph:
            return self.channels_last
        return relayout(self.canonical_graph, data_format)

    def parameters(self, moved: Relayout | None = None) -> Iterator[tuple[Parameter, Array]]:
        """Every parameter in canonical form, read one after the other. moved: for which graph, see `relayout`.

        All are rearranged and nothing else, but for the variances of Keras up to 1.0.7 (see `canonical_graph`), which
        come as float64.
        """
        for parameter, arranged in self.arranged(moved):
            yield parameter, arranged.array()

    def arranged(self, moved: Relayout | None = None) -> Iterator[tuple[Parameter, Arranged]]:
        """The same, not yet copied into the order that they have now: a writer does that, block by block."""
        changes = moved.weights if moved else {}
        target = moved.graph if moved else self.canonical_graph
        for parameter, wanted in zip(self.canonical_graph.parameters, target.parameters, strict=True):
            yield wanted, changes.get(parameter.name, SAME).applied(self.canonical(parameter))

    def canonical(self, parameter: Parameter) -> Arranged:
        """One parameter of the canonical graph; see `arranged`."""
        node = self.graph[parameter.node]
        own = {p.role: p for p in node.parameters}
        pieces = [self._rearranged(own[piece]) for piece in node.layer.pieces(parameter.role)]
        if len(pieces) == 1:
            return pieces[0]
        return Arranged.of(np.concatenate([piece.array() for piece in pieces], -1))

    def _rearranged(self, parameter: Parameter) -> Arranged:
        array, layer = self.untouched(parameter), parameter.layer
        if parameter.role == "moving_variance" and isinstance(layer, BatchNormalization):
            array = _canonical_variance(layer, array)
        return self.convention.layout(parameter, self.stored[parameter.name].shape).inverse.applied(Arranged.of(array))

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
        if any(varies(node.shape) for node in nodes):
            try:
                sized(self.channels_last.graph, [array.shape[1:] for array in found.values()])
            except ValueError as error:
                shapes = ", ".join(str(array.shape) for array in found.values())
                raise UsageError(f"{shapes}: the network takes no inputs of these sizes ({error})", argument) from None
        lengths = {len(array) for array in found.values()}
        if len(lengths) > 1:
            raise UsageError("batches of several lengths", argument)
        if self.graph.batch is not None and max(lengths) % self.graph.batch:
            raise UsageError(
                f"{max(lengths)} of each; the network is stateful, with batches of {self.graph.batch}", argument
            )
        return found

    def sized(self, inputs: Mapping[str, Array]) -> Port:
        """The port of the same network for inputs of these sizes alone, as `inputs` gives them: none varies."""
        axes = self.channels_last
        shapes = [axes.value(n.name).inverse.shape(inputs[n.name].shape)[1:] for n in self.graph.inputs]
        return replace(self, graph=sized(self.graph, shapes))

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

    @cached_property
    def original(self) -> Mapping[str, Any] | None:
        """What outputs carry of the file of old Keras that the network came in, so that it can go back."""
        return original.original(self.checkpoint, self.given)

    @cached_property
    def returned(self) -> Port | None:
        """That file as Keras on Theano would have saved it: understood as any file, but without numbers.

        None where no such file is known. Raises what `load` raises.
        """
        if self.original is None:
            return None
        back = self.original_on("theano")
        own = replace(back.given, epsilon=None, size=None)
        own = replace(own, keras=None) if back.checkpoint.keras_version else own
        if back.checkpoint.config is not None and _understood(back.checkpoint, own).graph.nodes != back.graph.nodes:
            raise UnknownNetwork(
                f"{self.checkpoint.path}: was read otherwise than its architecture states "
                f"({original.words(back.given)}), and a file of Keras cannot state that"
            )
        return back

    def original_on(self, backend: str) -> Port:
        """What `returned` gives, on any backend."""
        return _understood(*original.as_saved(self.original, self.checkpoint.path, backend))

    def network_statement(self) -> dict[str, Any]:
        """What outputs state of the network: its family and settings."""
        if self.family is None:
            prepared = {"preprocessing": self.famous.preprocessing} if self.famous else {}
            return {"family": None, "name": self.name, **prepared}
        settings = self.family.settings(self.canonical_graph)
        return {"family": self.family.family, "name": self.family.name, **settings}

    def statement(self) -> dict[str, Any]:
        """What outputs state of themselves: network, source and facts, as JSON."""
        return {
            "ror_port": __version__,
            "network": self.network_statement(),
            "source": source_statement(self.checkpoint),
            "facts": [fact.as_json() for fact in self.facts],
            **({"original": self.original} if self.original is not None else {}),
        }


def source_statement(checkpoint: Checkpoint) -> dict[str, Any]:
    """Which file a network came from, and which that was made from."""
    source = {"file": printable(checkpoint.path.name), "sha256": checkpoint.sha256}
    return source | ({"made_from": checkpoint.stated["source"]} if "source" in checkpoint.stated else {})


def _is_finite(array: Array) -> bool:
    """Whether all numbers are finite; asked block by block, as the answer for each number is a byte."""
    flat = array.reshape(-1)
    return all(np.isfinite(flat[at : at + BLOCK_BYTES]).all() for at in range(0, max(flat.size, 1), BLOCK_BYTES))


def _numbers(given: Any, argument: str) -> Array:
    try:
        array = np.asarray(given)
    except ValueError:  # nested lists of several lengths
        raise UsageError("lists of several lengths; an array is expected", argument) from None
    if array.dtype.kind not in "fiub":
        raise UsageError(f"values of type {array.dtype}; numbers are expected", argument)
    return array


def _misfit(shape: Shape, expected: Shape, name: str) -> str:
    """What is wrong with the shape of what an input is given, where something is. expected: without the batch."""
    if fits(shape[1:], expected) and shape[0]:
        return ""
    what = "images" if len(expected) == 3 else name
    problem = f"{shape}; {what} (batch, {', '.join(map(str, expected))}) are expected"
    if fits(shape, expected):
        return f"{problem}: give one as images[None]" if len(expected) == 3 else f"{problem}, with the batch in front"
    if len(expected) == 3 and fits(shape[1:], (expected[2], *expected[:2])):
        return f"{problem}, with the channels last: images.transpose(0, 2, 3, 1)"
    return problem


def _canonical_variance(layer: BatchNormalization, stored: Array) -> Array:
    """The variance that gives the same function under today's rule, with epsilon 0 where the rule was another."""
    if layer.divisor == "√(variance + epsilon)":
        return stored
    values = stored.astype(np.float64)
    with np.errstate(invalid="ignore"):  # an admitted negative variance is a NaN to Keras, too
        deviation = values if layer.divisor == "std + epsilon" else np.sqrt(values)
    return np.asarray((deviation + layer.epsilon) ** 2)


def stored_variance(parameter: Parameter, canonical: Arranged) -> Arranged:
    """What the parameter's file has for a canonical one: the inverse of `_canonical_variance`, or the same.

    Raises UnknownNetwork where nothing that is not negative stands for a variance.
    """
    layer = parameter.layer
    if not isinstance(layer, BatchNormalization) or parameter.role != "moving_variance" or layer == layer.canonical:
        return canonical
    deviation = np.sqrt(canonical.array().astype(np.float64)) - layer.epsilon
    if (deviation < -1e-6 * layer.epsilon).any():
        raise UnknownNetwork(f"{parameter.name}: smaller than what Keras up to 1.0.7 divides by at least")
    deviation = np.maximum(deviation, 0)
    return Arranged.of(deviation if layer.divisor == "std + epsilon" else deviation**2)


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
    model: str | None = None,
    lambdas: Mapping[str, str] | None = None,
    graph: Mapping[str, Any] | None = None,
) -> Port:
    """Opens a checkpoint and finds out what it is.

    given, or its fields as keywords: what the user states of the file where it is silent or wrong (`Given`). Where no
    architecture is given for weights that come without, the one file beside them that fits is taken.
    graph: the network as `ror_port.network.as_json` states it, for a file that states none.

    Raises UnreadableFile, UnsafeFile, NotACheckpoint or UnknownNetwork.
    """
    beside = Path(architecture) if architecture is not None else None
    given = given or Given(backend, keras, epsilon, size, sha256, bad_values, beside, ordering, model, lambdas)
    checkpoint = opened(Path(path), given)
    try:
        if graph is not None:
            checkpoint.stated = {**checkpoint.stated, "graph": graph}
        return ported(checkpoint, given)
    except BaseException:
        checkpoint.close()
        raise


def opened(path: Path, given: Given) -> Checkpoint:
    """A checkpoint, with the architecture that is given for it. Errors as of `load`."""
    checkpoint = open_checkpoint(path, given.sha256)
    try:
        if given.architecture is not None:
            attach(checkpoint, given.architecture, "given", "--architecture")
        if given.model is not None:
            from ror_port.source.script.choosing import from_script  # few files need it

            from_script(checkpoint, given, understand)
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint


def ported(checkpoint: Checkpoint, given: Given) -> Port:
    """The port of an opened checkpoint, with the architecture beside it where it has none. Errors as of `load`."""
    try:
        return understand(checkpoint, given)
    except UnknownNetwork as error:
        if not needs_architecture(checkpoint):
            raise
        from ror_port.source.famous.attaching import from_famous  # few files need it

        if famous := from_famous(checkpoint, given, understand):
            port = understand(checkpoint, given)
            prepared = Fact("preprocessing", famous.preprocessing, "inferred", "what keras.applications does to images")
            told = (  # nothing is recorded of it
                fact._replace(basis="inferred") if fact.evidence == checkpoint.config_where else fact
                for fact in port.facts
            )
            return replace(port, famous=famous, facts=(*told, prepared))
        tried = beside(checkpoint, given, understand)
        fitting = [path for path, problem in tried.items() if problem is None]
        if len(fitting) > 1:
            names = ", ".join(quote(path.name) for path in fitting)
            raise NotACheckpoint(
                f"{checkpoint.path}: {names} beside it all fit", "choose one with {architecture}"
            ) from None
        if not fitting:
            refused = next((problem for problem in tried.values() if isinstance(problem, UnknownNetwork)), None)
            raise (
                refused
                or UnknownNetwork(
                    error.message,
                    error.advice
                    or "give it with {architecture}, as JSON or YAML, or with {model}, as the script it came with",
                    passing=any(isinstance(problem, MissingExtra) for problem in tried.values()),
                )
            ) from None
        attach(checkpoint, fitting[0], "inferred", "the one file beside the weights that fits them")
        return understand(checkpoint, given)


def understand(checkpoint: Checkpoint, given: Given) -> Port:
    """Finds out what an opened checkpoint is; the Port closes it. Errors as of `load`.

    A stated architecture is what is ported. A family lends it names and definitions, where it is that family's network
    in every setting and edge. Without one, the network is the family's that the tensors fit.
    """
    if checkpoint.old and "given" in checkpoint.stated:
        where = f"{checkpoint.path}: {checkpoint.stated_where}"
        given = original.completed(given, checkpoint.stated["given"], where)
    carried = checkpoint.stated.get("original") if checkpoint.old else None
    if checkpoint.config is None and isinstance(carried, dict) and isinstance(carried.get("config"), dict):
        checkpoint.config, checkpoint.config_where = carried["config"], checkpoint.stated_where
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
    if checkpoint.writer == KERAS_0:
        if checkpoint.config is None:
            raise UnknownNetwork(f"{checkpoint.path}: weights of Keras 0.x, which have numbers and no names")
        ensure_as_many(checkpoint)
    if origin.software.ordered:
        ensure_unswapped(checkpoint, origin.software)
    backend = provenance.backend(checkpoint, given)
    theano = backend.value == "theano"
    convention = Convention(origin.software, theano)
    stated = _stated(checkpoint, theano, origin.version, given)
    if stated is not None and checkpoint.config_fact is None:
        ensure_listed_alike(checkpoint, stated)
    unstated = _unstated(checkpoint, theano, origin.version, stated, convention, given)
    found, data_format, shapes = best_fit(checkpoint, origin.software, data_formats(stated, origin, theano))
    understood = Paired(None, Graph((), ()), {}, "", (), {})
    if isinstance(found, Recognition):
        understood = as_recognised(checkpoint, origin.software, found, stated, given, data_format)
    elif stated is None:
        raise unknown(str(checkpoint.path), found, shapes)
    if understood.family is None:
        assert stated is not None
        understood = as_stated(checkpoint, stated, convention, understood.difference)
    family = understood.family
    padding = provenance.padding(checkpoint, understood.graph, theano, stated is not None, padded)
    by_name = found.by_name if isinstance(found, Recognition) and origin.software is KERAS_1 else None

    def normed(given: Given) -> Settled:
        return provenance.batch_norm(
            checkpoint,
            padding.graph,
            family,
            origin,
            given,
            stated=stated is not None and not stated.epsilons_open,
            by_name=by_name,
        )

    _ensure_epsilons(checkpoint, understood.graph, stated)
    norm = as_stored = normed(given)
    if given.epsilon is not None:
        as_stored = normed(replace(given, epsilon=None))
    graph = norm.graph
    compare_with_graph(checkpoint, family.name if family else "the network", as_stored.graph)
    states = stated is not None and checkpoint.old
    ordering = provenance.ordering(
        checkpoint, graph, origin, theano, states, stated is not None and stated.format_assumed, given
    )
    if ordering and checkpoint.ordering_inferred and ordering.basis == "recorded":
        ordering = ordering._replace(basis="inferred", evidence="the weights fit in no other")
    facts = (
        Fact("format", checkpoint.format, "recorded", "content of the file"),
        *([origin.fact] if origin.fact else []),
        backend,
        *([ordering] if ordering else []),
        *([unstated] if unstated else []),
        *([provenance.STRIDES] if stated is not None and stated.strides_assumed else []),
        *([checkpoint.config_fact] if checkpoint.config_fact else []),
        *([provenance.states(graph.batch)] if graph.batch else []),
        *(
            provenance.arithmetic(layer, text, given, checkpoint.config_where)
            for layer, text in (stated.arithmetic if stated is not None else {}).items()
        ),
        *understood.facts,
        *padding.facts,
        *norm.facts,
    )
    return Port(checkpoint, graph, convention, understood.stored, facts, understood.layers, family, given)


def _ensure_epsilons(checkpoint: Checkpoint, graph: Graph, stated: Stated | None) -> None:
    """Raises UnknownNetwork where some BatchNormalizations state an epsilon and some leave it to an unknown Keras."""
    norms = {node.owner for node in graph if isinstance(node.layer, BatchNormalization)}
    if stated is not None and 0 < stated.epsilons_open < len(norms):
        raise UnknownNetwork(
            f"{checkpoint.path}: {checkpoint.config_where}: some BatchNormalizations state no epsilon, which differs "
            "between releases of Keras",
            "state the release with {keras}",
        )


def _stated(checkpoint: Checkpoint, theano: bool, version: tuple[int, ...], given: Given) -> Stated | None:
    """The architecture that a file states, in Keras' words or in our own."""
    if checkpoint.config is not None:
        version = stated_version(checkpoint) or version
        return stated_graph(**stated_arguments(checkpoint, theano, version, given))
    if "graph" in checkpoint.stated:
        graph = _stated_graph(checkpoint.stated["graph"], f"{checkpoint.path}: {checkpoint.stated_where}")
        if checkpoint.software is not PYTORCH:
            return Stated(graph, (checkpoint.software or KERAS_2).names(graph))
        names = torch_names(graph)
        if set(checkpoint.stated.get("packed", ())) != Packing.of(graph, names).layers.keys():
            raise NotACheckpoint(f"{checkpoint.path}: its recurrent modules are others than those of its network")
        return Stated(graph, names)
    return None


def _stated_graph(stated: Mapping[str, Any], where: str) -> Graph:
    try:
        return from_json(stated, where)
    except NotACheckpoint:
        if not extensions.load():
            raise
        return from_json(stated, where)  # it may have a layer that another package brings


def stated_version(checkpoint: Checkpoint) -> provenance.Version:
    """The Keras version of a stored architecture; () where it states none, NotACheckpoint where there is none such."""
    assert checkpoint.config is not None
    return provenance.version_of(checkpoint.config, f"{checkpoint.path}: {checkpoint.config_where}")


def stated_arguments(checkpoint: Checkpoint, theano: bool, version: provenance.Version, given: Given) -> dict[str, Any]:
    """Those of `stated_graph`, for the architecture of a checkpoint. theano, version: of the session that wrote it."""
    return {
        "config": checkpoint.config,
        "shapes": {layer.name: [tensor.shape for tensor in layer.tensors] for layer in checkpoint.weighted},
        "theano": theano,
        "version": version,
        "where": f"{checkpoint.path}: {checkpoint.config_where}",
        "data_format": DATA_FORMATS[given.ordering] if given.ordering else None,
        "lambdas": given.lambdas or {},
    }


def _unstated(
    checkpoint: Checkpoint,
    theano: bool,
    version: tuple[int, ...],
    stated: Stated | None,
    convention: Convention,
    given: Given,
) -> Fact | None:
    """The data format of layers that state none, where others do; None where it makes no difference.

    That is found by reading the architecture under the other one.
    """
    if stated is None or stated.format_assumed or given.ordering or checkpoint.config is None or not checkpoint.old:
        return None
    if stated.left_open is None:
        return None
    taken, (other,) = ORDERINGS[stated.left_open], ORDERINGS.keys() - {stated.left_open}
    try:
        otherwise = _stated(checkpoint, theano, version, replace(given, ordering=ORDERINGS[other]))
        assert otherwise is not None
        as_stated(checkpoint, otherwise, convention, "")
    except RorPortError:
        return Fact(provenance.UNSTATED, taken, "inferred", "the shapes fit under no other")
    if otherwise.graph.nodes == stated.graph.nodes:
        return None
    evidence = "that of the first layer that states one"
    return Fact(provenance.UNSTATED, taken, "assumed", evidence, "--source-ordering")
