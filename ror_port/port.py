"""The road from a file to a network in canonical form. Every command starts here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ror_port import __version__, provenance
from ror_port.checkpoint import Checkpoint, StoredLayer, StoredTensor
from ror_port.errors import BadValues
from ror_port.formats import open_checkpoint
from ror_port.formats.hdf5 import quote
from ror_port.graph import Graph, Parameter
from ror_port.layout import SAME, Array
from ror_port.mapping.keras import MODERN, Convention, Era, conv_kernel
from ror_port.mapping.rule import Table
from ror_port.networks import Network
from ror_port.networks.recognise import Misfit, Recognition, recognise, unknown
from ror_port.networks.signature import LayerShape
from ror_port.provenance import Fact


@dataclass(frozen=True)
class Port:
    """A recognised checkpoint: the network it holds, what is known of it, and its parameters.

    Use it as a context manager; tensors are read from the file on demand.
    table: of the format that the file has. stored: canonical parameter name → tensor of the file.
    """

    checkpoint: Checkpoint
    network: Network
    graph: Graph
    convention: Convention
    table: Table
    stored: dict[str, StoredTensor]
    facts: tuple[Fact, ...]

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
        """A tensor exactly as the file has it, once its values are found to be sound."""
        tensor = self.stored[parameter.name]
        array = tensor.read()
        where = f"{self.checkpoint.path}: {quote(tensor.name)}"
        if not np.isfinite(array).all():
            bad = "NaN" if np.isnan(array).any() else "an infinity"
            raise BadValues(f"{where}: holds {bad}; training had diverged, or the file is damaged")
        if parameter.role == "moving_variance" and (array < 0).any():
            raise BadValues(f"{where}: a negative variance ({array.min():g})")
        return array

    def parameters(self) -> Iterator[tuple[Parameter, Array]]:
        """Every parameter in canonical form, read one after the other."""
        for parameter in self.graph.parameters:
            yield parameter, self.table.layout(parameter).inverse(self.untouched(parameter))

    def reference_tensors(self) -> dict[str, dict[str, Array]]:
        """Node → role → untouched tensor: what `ror_port.theano_numpy` runs on."""
        return {
            node.name: {parameter.role: self.untouched(parameter) for parameter in node.parameters}
            for node in self.graph
            if node.kind
        }

    def statement(self) -> dict[str, Any]:
        """What outputs say of themselves: network, source and facts, as JSON."""
        source = {"file": self.checkpoint.path.name, "sha256": self.checkpoint.sha256}
        if "source" in self.checkpoint.stated:
            source["made_from"] = self.checkpoint.stated["source"]
        return {
            "ror_port": __version__,
            "network": {"family": self.network.family, "name": self.network.name, **asdict(self.network)},
            "source": source,
            "facts": [fact.as_json() for fact in self.facts],
        }


def load(path: Path | str, *, source_backend: str | None = None, bn_epsilon: float | None = None) -> Port:
    """Opens a checkpoint and finds out what it is.

    source_backend: "theano" or "tensorflow", where the file is wrong or silent about it.
    bn_epsilon: epsilon of the BatchNorm layers, where the file does not say.

    Raises UnreadableFile, UnsafeFile, NotACheckpoint or UnknownNetwork.
    """
    checkpoint = open_checkpoint(Path(path))
    try:
        return _understand(checkpoint, source_backend, bn_epsilon)
    except BaseException:
        checkpoint.close()
        raise


def _understand(checkpoint: Checkpoint, source_backend: str | None, bn_epsilon: float | None) -> Port:
    era, era_fact = provenance.era(checkpoint)
    backend = provenance.backend(checkpoint, source_backend)
    found, kernels, layers = _recognise(checkpoint, era)
    if not isinstance(found, Recognition):
        raise unknown(str(checkpoint.path), found, layers)
    convention, ordering = provenance.convention(checkpoint, era, backend, kernels)
    epsilon, momentum, norm_facts = provenance.batch_norm(checkpoint, found.network, bn_epsilon)
    dropout = checkpoint.architecture.dropout if checkpoint.architecture else 0.0
    network = replace(found.network, epsilon=epsilon, momentum=momentum, dropout=dropout)
    graph = network.graph()
    by_name = {layer.name: layer for layer in checkpoint.weighted}
    stored = {
        parameter.name: _tensor(by_name[found.layers[parameter.node]], parameter.role, era)
        for parameter in graph.parameters
    }
    facts = (
        Fact("format", checkpoint.format, "recorded", "content of the file"),
        era_fact,
        backend,
        *([ordering] if ordering else []),
        Fact("network", network.name, "inferred", f"shapes of {len(stored)} tensors: {network.summary}"),
        Fact("pairing", f"{len(by_name)} layers", "inferred", found.evidence),
        *norm_facts,
    )
    return Port(checkpoint, network, graph, convention, era.table(convention), stored, facts)


def _recognise(checkpoint: Checkpoint, era: Era) -> tuple[Recognition | Misfit | None, str, list[LayerShape]]:
    """The first kernel layout under which a network fits; else the one that comes nearest."""
    attempts = []
    for kernels in provenance.orderings(checkpoint, era):
        to_canonical = conv_kernel(replace(MODERN, kernels=kernels)).inverse
        layers = [
            LayerShape(
                layer.name,
                {
                    era.role(layer.name, tensor.name) or "": (to_canonical if len(tensor.shape) == 4 else SAME).shape(
                        tensor.shape
                    )
                    for tensor in layer.tensors
                },
            )
            for layer in checkpoint.weighted
        ]
        found = recognise(layers, era)
        if isinstance(found, Recognition):
            return found, kernels, layers
        attempts.append((found, kernels, layers))
    return min(attempts, key=lambda attempt: len(attempt[0].differences) if attempt[0] else 1 << 30)


def _tensor(layer: StoredLayer, role: str, era: Era) -> StoredTensor:
    return next(tensor for tensor in layer.tensors if era.role(layer.name, tensor.name) == role)
