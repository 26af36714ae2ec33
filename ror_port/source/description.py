"""What is known of a checkpoint as data, whether it can be ported or not: what ``ror-port inspect`` shows.

Its fields as JSON are those of ``description.schema.json``, beside this file. No values of tensors are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ror_port import __version__
from ror_port.errors import NotACheckpoint, RorPortError, UnknownNetwork, UnsafeFile, quote
from ror_port.formats.checkpoint import Checkpoint, StoredLayer, StoredTensor
from ror_port.layout import DataFormat, Extent, Shape, extent
from ror_port.mapping import weights
from ror_port.mapping.software import KERAS_1, by_order
from ror_port.network.layers.settings import DATA_FORMATS, MAX_LENGTH
from ror_port.network.layers.spatial import Spatial
from ror_port.safety import limits
from ror_port.source import provenance
from ror_port.source.attaching import attach, beside, needs_architecture
from ror_port.source.calls import Json, listed_tensors
from ror_port.source.from_config import MODELS, Assembly, stated_name, stored_layers, within
from ror_port.source.port import Port, opened, ported, source_statement, stated_arguments, stated_version, understand
from ror_port.source.provenance import ORDERING, ORDERINGS, Basis, Fact, Given

Where = Literal["inside", "beside", "given", "recognised", "none"]
"""Where an architecture is: in the file, in another one, or told by the tensors alone."""


class Value(NamedTuple):
    """An input or an output of a network: the layer that it is of.

    shape: as far as it is known, without the batch, in the order of axes that the file's own Keras has; None for a size
    that varies.
    """

    layer: str
    shape: Extent | None


class Weight(NamedTuple):
    """A tensor of a layer. name, shape: in the file. canonical: its name where the network can be ported."""

    name: str
    shape: Shape
    canonical: str | None


class Described(NamedTuple):
    """A layer as the architecture lists it; without one, as the network has it that was recognised, or the file.

    class_name: None where nothing tells it; basis: how it is known. shape: of the output, as far as it is known.
    """

    name: str
    class_name: str | None
    basis: Basis | None
    shape: Extent | None
    weights: tuple[Weight, ...]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(math.prod(weight.shape) for weight in self.weights)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "class": self.class_name,
            "basis": self.basis,
            "output": self.shape,
            "parameters": self.size,
            "weights": [weight._asdict() for weight in self.weights],
        }


class Refusal(NamedTuple):
    """Why a network cannot be ported. layer: the one that is not supported, where it is a layer."""

    layer: str | None
    reason: str

    def __str__(self) -> str:
        return f"layer {quote(self.layer)}: {self.reason}" if self.layer else self.reason


@dataclass(frozen=True)
class Description:
    """What is known of a checkpoint.

    port: None where the network cannot be ported; refusals: why not; error: the first reason, as `load` raises it.
    era: the generation of Keras that wrote the file, None where what it states contradicts itself.
    """

    checkpoint: Checkpoint
    port: Port | None
    era: str | None
    facts: tuple[Fact, ...]
    architecture: Where
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    layers: tuple[Described, ...]
    refusals: tuple[Refusal, ...] = ()
    error: RorPortError | None = None

    @property
    def name(self) -> str:
        """Of the network, or what there is of it."""
        if self.port:
            return self.port.name
        kind = "weights" if self.architecture == "none" else "a network"
        return f"{kind} of {_count(self.layers)}"

    @property
    def size(self) -> int:
        """Number of parameters, running statistics included."""
        return sum(math.prod(tensor.shape) for tensor in self.checkpoint.tensors)

    @property
    def dtype(self) -> str:
        """ "float64" where any tensor is, else "float32"."""
        return "float64" if any(tensor.dtype.itemsize == 8 for tensor in self.checkpoint.tensors) else "float32"

    def as_json(self) -> dict[str, Any]:
        file = self.checkpoint.config_file
        return {
            "file": str(self.checkpoint.path),
            "ror_port": __version__,
            "source": source_statement(self.checkpoint),
            "convertible": self.port is not None,
            "refusals": [refusal._asdict() for refusal in self.refusals],
            "era": self.era,
            "facts": [fact.as_json() for fact in self.facts],
            "network": self.port.network_statement() if self.port else None,
            "architecture": {"where": self.architecture, "file": str(file) if file else None},
            "inputs": [value._asdict() for value in self.inputs],
            "outputs": [value._asdict() for value in self.outputs],
            "layers": [layer.as_json() for layer in self.layers],
            "parameters": self.size,
            "dtype": self.dtype,
            "omitted": list(self.checkpoint.omitted),
        }


def describe(path: Path, given: Given) -> Description:
    """Finds out what a checkpoint is.

    Errors as of `ror_port.source.port.load`; but why the network of a file that Keras wrote cannot be ported is a part
    of its description.
    """
    with described(path, given) as found:
        return found


@contextmanager
def described(path: Path, given: Given) -> Iterator[Description]:
    """What `describe` finds out, with the checkpoint still open, so that its port can be saved."""
    with opened(path, given) as checkpoint:
        try:
            found = _of_port(ported(checkpoint, given))
        except (UnknownNetwork, NotACheckpoint) as error:
            if not checkpoint.old:
                raise
            found = _of_refused(checkpoint, given, error)
        yield found


def _of_port(port: Port) -> Description:
    checkpoint, given = port.checkpoint, port.given
    origin = provenance.origin(checkpoint, given)
    about = (checkpoint, port, provenance.era(checkpoint, origin, given), port.facts)
    if checkpoint.config is not None and checkpoint.old:
        canonical = {id(tensor): name for name, tensor in port.stored.items()}
        found = _Architecture(checkpoint, port.convention.theano, origin.version, given, canonical)
        return Description(*about, found.where, found.inputs, found.outputs, found.layers)
    stated = checkpoint.config is not None or "graph" in checkpoint.stated
    return Description(
        *about,
        "inside" if stated else "recognised",
        tuple(Value(node.name, extent(node.shape)) for node in port.graph.inputs),
        tuple(Value(name, extent(port.graph[name].shape)) for name in port.graph.outputs),
        tuple(_of_graph(port)),
    )


def _of_graph(port: Port) -> Iterator[Described]:
    for node in port.graph:
        stored = [(port.stored[parameter.name], parameter.name) for parameter in node.parameters]
        weights = tuple(Weight(tensor.name, tensor.shape, name) for tensor, name in stored)
        name, kind = port.layers.get(node.name, node.name), type(node.layer).__name__
        yield Described(name, kind, "inferred", extent(node.shape), weights)


def _of_refused(checkpoint: Checkpoint, given: Given, error: RorPortError) -> Description:
    """error: why the network cannot be ported."""
    reasons = [_reason(error, checkpoint), *_found_beside(checkpoint, given)]
    facts = [Fact("format", checkpoint.format, "recorded", "content of the file")]
    origin, era, theano = None, None, True
    with suppress(NotACheckpoint):
        origin = provenance.origin(checkpoint, given)
        era = provenance.era(checkpoint, origin, given)
        facts += [origin.fact] if origin.fact else []
    with suppress(NotACheckpoint):
        backend = provenance.backend(checkpoint, given)
        theano = backend.value == "theano"
        facts.append(backend)
    if checkpoint.config is None:
        facts += _ordering_of_kernels(checkpoint) if origin and origin.software is KERAS_1 else []
        layers = tuple(map(_of_file, checkpoint.layers))
        refusals = tuple(Refusal(None, reason) for reason in reasons)
        return Description(checkpoint, None, era, tuple(facts), "none", (), (), layers, refusals, error)
    found = _Architecture(checkpoint, theano, origin.version if origin else (), given)
    facts += found.ordering
    facts += [checkpoint.config_fact] if checkpoint.config_fact else []
    facts.append(Fact("network", _count(found.layers), "recorded", checkpoint.config_where))
    others = [reason for reason in reasons if not any(refusal.reason in reason for refusal in found.refusals)]
    refusals = (*(Refusal(None, reason) for reason in others), *found.refusals)
    ends = found.inputs, found.outputs
    return Description(checkpoint, None, era, tuple(facts), found.where, *ends, found.layers, refusals, error)


def _found_beside(checkpoint: Checkpoint, given: Given) -> list[str]:
    """Gives weights without an architecture the one beside them that lists their layers; else why none beside does."""
    if not needs_architecture(checkpoint):
        return []
    tried = beside(checkpoint, given, understand)
    listing = [file for file, problem in tried.items() if isinstance(problem, UnknownNetwork)]
    if listing:
        attach(checkpoint, listing[0], "inferred", "the file beside the weights that lists their layers")
        return []
    reasons = {file.name: _reason(problem, checkpoint) for file, problem in tried.items() if problem}
    return [reason if reason.startswith(name) else f"{name}: {reason}" for name, reason in reasons.items()]


def _reason(error: RorPortError, checkpoint: Checkpoint) -> str:
    return error.for_command().removeprefix(f"{checkpoint.path}: ")


def _of_file(layer: StoredLayer) -> Described:
    """A layer that no architecture lists; the shapes of its weights tell of which kind it may be."""
    told = by_order([tensor.shape for tensor in layer.tensors])
    kind, basis = (told[0].__name__, "inferred") if told else (None, None)
    return Described(layer.name, kind, basis, None, _weights(layer.tensors))  # type: ignore[arg-type]


def _weights(tensors: Sequence[StoredTensor], canonical: Mapping[int, str] = {}) -> tuple[Weight, ...]:
    """canonical: identity of a tensor → its name."""
    return tuple(Weight(tensor.name, tensor.shape, canonical.get(id(tensor))) for tensor in tensors)


def _ordering_of_kernels(checkpoint: Checkpoint) -> list[Fact]:
    """The dim ordering of a file of Keras 1 where every kernel of a convolution fits its bias in one of them alone."""
    shapes = [[tensor.shape for tensor in layer.tensors] for layer in checkpoint.weighted]
    pairs = [(kernel, bias) for kernel, bias in (pair for pair in shapes if len(pair) == 2) if len(kernel) == 4]
    fitting = [axes for axes, out in (("OIHW", 0), ("HWIO", 3)) if all((k[out],) == bias for k, bias in pairs)]
    if not pairs or len(fitting) != 1:
        return []
    value = "th" if fitting == ["OIHW"] else "tf"
    return [Fact(ORDERING, value, "inferred", f"kernel shapes fit as {fitting[0]} and not otherwise")]


def _count(layers: Sequence[Described]) -> str:
    return f"{len(layers):,} layer{'' if len(layers) == 1 else 's'}"


class _Architecture:
    """A stored architecture, followed as far as it is supported.

    refusals: of all its layers, those within nested models included.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        theano: bool,
        version: provenance.Version,
        given: Given,
        canonical: Mapping[int, str] = {},
    ) -> None:
        assert checkpoint.config is not None
        self.checkpoint, self.config = checkpoint, checkpoint.config
        self.weights = {layer.name: _weights(layer.tensors, canonical) for layer in checkpoint.weighted}
        self.where: Where = "inside"
        if checkpoint.config_file:
            self.where = "given" if given.architecture or given.model else "beside"
        elif checkpoint.config_fact is not None and checkpoint.config_fact.basis == "inferred":
            self.where = "recognised"
        with suppress(NotACheckpoint):
            version = stated_version(checkpoint) or version
        self.assembly = Assembly(**stated_arguments(checkpoint, theano, version, given))
        made: list[str] = []
        with suppress(UnknownNetwork, NotACheckpoint):
            made = self.assembly.assemble()
        listed = {layer.name: layer for layer in self._listed(self.config)}
        self.layers = (*listed.values(), *(_of_file(x) for x in checkpoint.weighted if x.name not in listed))
        self.inputs = tuple(Value(self._name(layer), _input_shape(layer)) for layer in self._begins(self.config))
        last = [self._name(layer) for layer in stored_layers(self.config)[-1:]]
        ends = _ends(self.config, "output_layers") or last
        reached = [extent(self.assembly.g.nodes[node].shape) for node in made] or map(self._output, ends)
        self.outputs = tuple(map(Value, ends, reached))
        self.refusals: list[Refusal] = []
        self.formats: set[DataFormat] = set()
        for path, owner, layer in self._within(self.config):
            self._read(path, owner, layer)

    @property
    def ordering(self) -> list[Fact]:
        """The fact behind the data formats that layers state, if any does."""
        value = " and ".join(ORDERINGS[each] for each in sorted(self.formats))
        return [Fact(ORDERING, value, "recorded", self.checkpoint.config_where)] if value else []

    def _name(self, layer: Json) -> str:
        try:
            return self.assembly.name(layer)
        except NotACheckpoint:  # it has none
            return ""

    def _output(self, name: str) -> Extent | None:
        """The shape of a layer's first output, where it was reached."""
        return extent(self.assembly.outputs[name]) if name in self.assembly.outputs else None

    def _listed(self, config: Json, depth: int = 0) -> Iterator[Described]:
        for layer in stored_layers(config):
            for branch in self._branches(layer, depth):
                yield from self._listed(branch, depth + 1)
            name, kind = self._name(layer), layer["class_name"]
            shape = self._output(name) or (_input_shape(layer) if kind == "InputLayer" else None)
            yield Described(name, kind, "recorded", shape, self.weights.get(name, ()))

    def _branches(self, layer: Json, depth: int) -> list[Json]:
        """The models in a Merge of Keras 1, whose layers the file lists as those of the model that has the Merge."""
        if depth > limits.MAX_NESTING:
            raise UnsafeFile(f"{self.assembly.where}: models nested more than {limits.MAX_NESTING} deep")
        branches = layer["config"].get("layers") if layer["class_name"] == "Merge" else None
        listed = branches if isinstance(branches, list) else []
        return [branch for branch in listed if isinstance(branch, dict) and branch.get("class_name") in MODELS]

    def _begins(self, config: Json, depth: int = 0) -> Iterator[Json]:
        """The layers that take the inputs."""
        layers, names = stored_layers(config), _ends(config, "input_layers")
        if names is not None:
            yield from (layer for layer in layers if stated_name(layer) in names)
        elif layers:
            models = [layers[0]] if layers[0]["class_name"] in MODELS else self._branches(layers[0], depth)
            for model in models:
                yield from self._begins(model, depth + 1)
            yield from () if models else layers[:1]

    def _within(
        self, config: Json, owner: str | None = None, prefix: str = "", depth: int = 0
    ) -> Iterator[tuple[str, str, Json]]:
        """All layers that are no models: with the names of those that they are within, and the layer of the file."""
        for layer in stored_layers(config):
            models, name = self._branches(layer, depth), self._name(layer)
            while layer["class_name"] == "TimeDistributed" and (inner := within(layer)) is not None:
                layer = inner
            if layer["class_name"] in MODELS:
                yield from self._within(layer, owner or name, f"{prefix}{name}/", depth + 1)
                continue
            for model in models:
                yield from self._within(model, owner, prefix, depth + 1)
            settings = {key: value for key, value in layer["config"].items() if not models or key != "layers"}
            yield f"{prefix}{name}", owner or name, {**layer, "config": settings}

    def _read(self, path: str, owner: str, layer: Json) -> None:
        """Notes why a layer is refused, and the data format that it states."""
        stated, matters = layer["config"].get("data_format", layer["config"].get("dim_ordering")), True
        try:
            parts = self.assembly.parts(layer, "")
            matters = any(isinstance(part, Spatial) and part.rank > 1 for part in parts)
            if owner not in self.weights and any(weights.of_layer(type(part)) for part in parts):
                where = self.checkpoint.config_where
                self.refusals.append(Refusal(None, f"{where}: the file has no weights of its layer {quote(owner)}"))
        except UnknownNetwork as error:
            self.refusals.append(Refusal(path, error.for_command().removeprefix(": ")))
        if matters and isinstance(stated, str) and stated in DATA_FORMATS:
            self.formats.add(DATA_FORMATS[stated])


def _ends(config: Json, which: str) -> list[str] | None:
    """The names of the layers that take the inputs of a model, or give its outputs; None for a Sequential."""
    inner = config.get("config")
    if not isinstance(inner, dict) or which not in inner:
        return None
    ends = listed_tensors(inner[which])
    return [end[0] for end in ends if isinstance(end, list) and end and isinstance(end[0], str)]


def _input_shape(layer: Json) -> Extent | None:
    """The shape that a layer states of what it is given."""
    if not isinstance(layer["config"], dict):
        return None
    batched = layer["config"].get("batch_input_shape", layer["config"].get("batch_shape"))
    sizes = batched[1:] if isinstance(batched, list) else layer["config"].get("input_shape")
    if not isinstance(sizes, list) or len(sizes) > limits.MAX_AXES:
        return None
    return tuple(size if type(size) is int and 0 < size < MAX_LENGTH else None for size in sizes)
