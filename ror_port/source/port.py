"""The road from a file to a network in canonical form. Every command starts here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ror_port import __version__
from ror_port.errors import BadValues, UnknownNetwork, printable, quote
from ror_port.formats import open_checkpoint
from ror_port.formats.checkpoint import Architecture, Checkpoint, StoredLayer, StoredTensor
from ror_port.formats.model_config import input_shape, number, operations
from ror_port.layout import IO_TO_OI, NHWC_TO_NCHW, SAME, Array
from ror_port.mapping.convention import CANONICAL, Convention, conv_kernel
from ror_port.mapping.dialect import Dialect
from ror_port.mapping.engine import Table
from ror_port.network.families import Network
from ror_port.network.families.signature import LayerShape
from ror_port.network.graph import Graph, Padding, Parameter
from ror_port.source import provenance
from ror_port.source.provenance import Fact, Given, Norm
from ror_port.source.recognise import Misfit, Recognition, recognise, unknown


@dataclass(frozen=True, repr=False)
class Port:
    """A recognised checkpoint: the network it holds, what is known of it, and its parameters.

    Use it as a context manager; tensors are read from the file on demand.
    table: of the format that the file has. stored: canonical parameter name → tensor of the file.
    layers: node with weights → name of its layer in the file.
    """

    checkpoint: Checkpoint
    network: Network
    graph: Graph
    convention: Convention
    table: Table
    stored: dict[str, StoredTensor]
    facts: tuple[Fact, ...]
    layers: Mapping[str, str]
    given: Given = field(default_factory=Given)
    """What the user stated about the file."""
    admitted: dict[str, str] = field(default_factory=dict)
    """Of the tensors read so far, those that hold such values: name → what it holds."""

    def __repr__(self) -> str:
        return f"<Port {printable(self.checkpoint.path)}: {self.network.name}, {self.size:,} parameters, {self.dtype}>"

    def __enter__(self) -> Port:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.checkpoint.close()

    @property
    def dtype(self) -> str:
        """ "float64" where any tensor is, else "float32": no output holds less than its source."""
        return "float64" if any(tensor.dtype.itemsize == 8 for tensor in self.stored.values()) else "float32"

    @property
    def size(self) -> int:
        """Number of parameters, running statistics included."""
        return sum(int(np.prod(parameter.shape)) for parameter in self.graph.parameters)

    def untouched(self, parameter: Parameter) -> Array:
        """A tensor exactly as the file has it, once its values are found to be sound or are admitted."""
        tensor = self.stored[parameter.name]
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

    @property
    def target(self) -> Network:
        """The network that outputs hold: canonical in its BatchNorms too.

        Where the source divides by anything but √(variance + epsilon), its epsilon is folded into the variances:
        the square of what it divides by, and epsilon 0. That is the same function for every stored value.
        """
        return self.network if self.convention.deviation == CANONICAL.deviation else replace(self.network, epsilon=0.0)

    @property
    def rounds(self) -> bool:
        """Whether writing rounds: variances of Keras up to 1.0.7 become others (see `target`), in `dtype`."""
        return self.target is not self.network and self.dtype == "float32"

    def parameters(self) -> Iterator[tuple[Parameter, Array]]:
        """Every parameter in canonical form, read one after the other.

        All are rearranged and nothing else, but for the variances of Keras up to 1.0.7 (see `target`), which come
        as float64. They come as views, for a writer to copy once, by the layout that it needs itself.
        """
        for parameter in self.graph.parameters:
            array = self.table.layout(parameter).inverse.view(self.untouched(parameter))
            if parameter.role == "moving_variance" and self.target is not self.network:
                values = array.astype(np.float64)
                with np.errstate(invalid="ignore"):  # an admitted negative variance is a NaN to Keras, too
                    deviation = values if self.convention.deviation == "std + epsilon" else np.sqrt(values)
                array = (deviation + self.network.epsilon) ** 2
            yield parameter, array

    def reference_tensors(self) -> dict[str, dict[str, Array]]:
        """Node → role → untouched tensor: what `ror_port.theano.run` runs on."""
        return {
            node.name: {parameter.role: self.untouched(parameter) for parameter in node.parameters}
            for node in self.graph
            if node.kind
        }

    def predict(self, images: Array) -> Array:
        """What Theano would have answered: (batch, height, width, channels) → probabilities, (batch, classes).

        images: scaled as in training (the published networks: pixels / 255). Computed in float64 by the reference.
        """
        from ror_port.theano import run as theano_numpy

        tensors, output = self.reference_tensors(), self.graph.output.name
        images = NHWC_TO_NCHW(np.asarray(images))
        return theano_numpy.outputs(self.graph, tensors, self.convention, images, output)[output]

    def statement(self) -> dict[str, Any]:
        """What outputs say of themselves: network, source and facts, as JSON."""
        source = {"file": self.checkpoint.path.name, "sha256": self.checkpoint.sha256}
        if "source" in self.checkpoint.stated:
            source["made_from"] = self.checkpoint.stated["source"]
        return {
            "ror_port": __version__,
            "network": {"family": self.target.family, "name": self.target.name, **asdict(self.target)},
            "source": source,
            "facts": [fact.as_json() for fact in self.facts],
        }


def load(path: Path | str, given: Given | None = None, **says: Any) -> Port:
    """Opens a checkpoint and finds out what it is.

    given, or its fields as keywords: what the user says of the file where it is silent or wrong (`Given`).

    Raises UnreadableFile, UnsafeFile, NotACheckpoint or UnknownNetwork.
    """
    given = given or Given(**says)
    checkpoint = open_checkpoint(Path(path), given.sha256)
    try:
        return understand(checkpoint, given)
    except BaseException:
        checkpoint.close()
        raise


def understand(checkpoint: Checkpoint, given: Given) -> Port:
    """Finds out what an opened checkpoint is; the Port closes it. Errors as of `load`."""
    dialect, version, dialect_fact = provenance.dialect(checkpoint, given)
    backend = provenance.backend(checkpoint, given)
    flipped = backend.value == "theano"
    found, kernels, layers = _recognise(checkpoint, dialect)
    if not isinstance(found, Recognition):
        raise unknown(str(checkpoint.path), found, layers)
    rows, ordering = provenance.ordering(checkpoint, dialect, version, kernels, flipped)
    norm = provenance.batch_norm(checkpoint, found.network, version, given)
    convention = replace(dialect.convention or CANONICAL, flipped=flipped, kernels=kernels, rows=rows)
    convention = replace(convention, deviation=norm.deviation)
    padding, padding_fact = provenance.padding(checkpoint, found.graph, flipped)
    network, graph = _settle(checkpoint, found, norm, given, padding)
    _compare_architecture(checkpoint, network, graph)
    checkpoint.compare(network.name, graph)
    by_role = {layer.name: _by_role(layer, dialect) for layer in checkpoint.weighted}
    stored = {parameter.name: by_role[found.layers[parameter.node]][parameter.role] for parameter in graph.parameters}
    facts = (
        Fact("format", checkpoint.format, "recorded", "content of the file"),
        *([dialect_fact] if dialect_fact else []),
        backend,
        *([ordering] if ordering else []),
        Fact("network", network.name, "inferred", f"shapes of {len(stored)} tensors: {network.summary}"),
        Fact("pairing", f"{len(by_role)} layers", "inferred", found.evidence),
        *([padding_fact] if padding_fact else []),
        *norm.facts,
    )
    return Port(checkpoint, network, graph, convention, dialect.table(convention), stored, facts, found.layers, given)


def _settle(
    checkpoint: Checkpoint, found: Recognition, norm: Norm, given: Given, padding: Padding
) -> tuple[Network, Graph]:
    """The recognised network with everything that its tensors do not tell, and its graph."""
    network = found.network
    stated = checkpoint.stated_network
    architecture = checkpoint.architecture or Architecture()
    where = f"{checkpoint.path}: attribute ror_port"
    stored_shape = architecture.input_shape or input_shape(stated.get("input_shape"), where)
    shape = network.input_shape
    if given.size:
        shape = (given.size, given.size, shape[2])
    elif stored_shape and len(stored_shape) == 3:
        first, second, third = stored_shape
        shape = (second, third, first) if architecture.ordering == "th" else (first, second, third)
    settled = replace(
        network,
        input_shape=shape,
        epsilon=norm.epsilon,
        momentum=norm.momentum,
        dropout=architecture.dropout or number(stated.get("dropout", 0.0), where),
        padding=padding,
    )
    size = "×".join(map(str, shape))
    try:
        graph = settled.graph()
    except ValueError as error:
        raise UnknownNetwork(f"{checkpoint.path}: {network.name} takes no images of {size}: {error}") from None
    if [parameter.shape for parameter in graph.parameters] != [p.shape for p in found.graph.parameters]:
        raise UnknownNetwork(f"{checkpoint.path}: images of {size} do not lead to the Dense layer that the file has")
    return settled, graph


def _compare_architecture(checkpoint: Checkpoint, network: Network, graph: Graph) -> None:
    """Where the file states its architecture, it must be the network's."""
    if checkpoint.architecture is None or checkpoint.architecture.operations is None:
        return
    found, expected = checkpoint.architecture.operations, operations(graph)
    differences = [
        f"{found[name]} × {quote(name)} where it has {expected[name]}"
        for name in sorted(found.keys() | expected.keys())
        if found[name] != expected[name]
    ]
    if differences:
        raise UnknownNetwork(
            f"{checkpoint.path}: its tensors are those of {network.name}, but its {checkpoint.architecture.where} is "
            "another network's: " + "; ".join(differences[:3])
        )


def _recognise(checkpoint: Checkpoint, dialect: Dialect) -> tuple[Recognition | Misfit | None, str, list[LayerShape]]:
    """The first kernel layout under which a network fits; else the one that comes nearest."""
    attempts = []
    for kernels in provenance.orderings(checkpoint, dialect):
        layers = [_shapes(layer, dialect, kernels) for layer in checkpoint.weighted]
        found = recognise(layers, dialect)
        if isinstance(found, Recognition):
            return found, kernels, layers
        attempts.append((found, kernels, layers))
    return min(attempts, key=lambda attempt: len(attempt[0].differences) if attempt[0] else 1 << 30)


def _shapes(layer: StoredLayer, dialect: Dialect, kernels: str) -> LayerShape:
    """A layer's shapes as they would be in canonical form, where its kernels lie as assumed."""
    convention = replace(dialect.convention or CANONICAL, kernels=kernels)
    layouts = {4: conv_kernel(convention), 2: {"IO": SAME, "OI": IO_TO_OI}[convention.dense]}
    return LayerShape(
        layer.name,
        {
            role: layouts.get(len(tensor.shape), SAME).inverse.shape(tensor.shape)
            for role, tensor in _by_role(layer, dialect).items()
        },
    )


def _by_role(layer: StoredLayer, dialect: Dialect) -> dict[str, StoredTensor]:
    return dict(zip(dialect.roles(layer.name, layer.weights) or (), layer.tensors, strict=True))
