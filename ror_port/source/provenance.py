"""What is known of a file's origin, and how it is known. No fact is guessed silently.

Each fact is *recorded* in the file, *inferred* from it (with the evidence), *given* by the user, or *assumed*
(with the option that changes it). Sources: Keras 1.0.6–2.3.1 (engine/topology.py, layers/normalization.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ror_port.errors import NotACheckpoint, UsageError, quote
from ror_port.formats.checkpoint import Checkpoint
from ror_port.layout import DataFormat
from ror_port.mapping.software import KERAS_1, KERAS_2, Software
from ror_port.network.families import Family
from ror_port.network.graph import Graph
from ror_port.network.layers import BatchNormalization, Conv2D, Layer
from ror_port.network.layers.normalization import NORM_RULES, norm_rule
from ror_port.network.layers.spatial import Spatial

Basis = Literal["recorded", "inferred", "given", "assumed"]
Version = tuple[int, ...]


class Fact(NamedTuple):
    """One thing known about a file. option: the command line's way to say otherwise."""

    name: str
    value: str
    basis: Basis
    evidence: str
    option: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in self._asdict().items() if value is not None}


@dataclass(frozen=True)
class Given:
    """What the user states about a file. backend: "theano" or "tensorflow". keras: a version.

    epsilon: of the BatchNorms, above 0 and up to 1. size: height and width of an image, 8 to 4096. sha256: of the
    file, 64 hexadecimal digits. bad_values: that NaN, infinities and negative variances are meant to be there.
    architecture: a file with the model as JSON or YAML, for weights that come without.
    Raises UsageError where a value cannot be meant.
    """

    backend: str | None = None
    keras: str | None = None
    epsilon: float | None = None
    size: int | None = None
    sha256: str | None = None
    bad_values: bool = False
    architecture: Path | None = None

    def __post_init__(self) -> None:
        if self.backend not in (None, "theano", "tensorflow"):
            raise UsageError(f"{quote(str(self.backend))} is neither 'theano' nor 'tensorflow'", "backend")
        if self.epsilon is not None and not 0 < self.epsilon <= 1:
            raise UsageError(f"{self.epsilon}; a number above 0 and up to 1 is expected", "epsilon")
        if self.size is not None and not 8 <= self.size <= 4096:
            raise UsageError(f"{self.size}; an image size from 8 to 4096 is expected", "size")
        if self.sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", self.sha256):
            raise UsageError(f"{quote(self.sha256)}; 64 hexadecimal digits are expected", "sha256")

    @property
    def reads_otherwise(self) -> bool:
        """Whether a file may be read otherwise than it states itself."""
        return any(value is not None for value in (self.backend, self.keras, self.epsilon, self.size))


OTHER_EPSILON = NORM_RULES[-2].epsilon
"""What an assumed epsilon is compared with, to say how much it matters."""

EPSILONS = (NORM_RULES[-1].epsilon, OTHER_EPSILON)
"""Defaults of the Keras versions whose BatchNormalization divides as today's does."""

BACKENDS = {"theano", "tensorflow", "jax", "torch", "numpy", "openvino", "cntk"}
"""Backends of Keras whose convolution is known: all cross-correlate but Theano."""

ORDERINGS: dict[DataFormat, str] = {"channels_first": "th", "channels_last": "tf"}
"""What Keras 1 called the data formats."""


class Origin(NamedTuple):
    """Which software wrote a file. version: of Keras, () where nobody states it. fact: None where it goes unsaid."""

    software: Software
    version: Version
    fact: Fact | None


def origin(checkpoint: Checkpoint, given: Given) -> Origin:
    """The software and its version: as recorded, else by the names of the weights.

    Raises NotACheckpoint where a file has no weights, or states what is no version of Keras.
    """
    if not checkpoint.weighted and checkpoint.config is None and "graph" not in checkpoint.stated:
        raise NotACheckpoint(f"{checkpoint.path}: no layer holds any weights")
    if checkpoint.software:
        return Origin(checkpoint.software, *_own_version(checkpoint, given))
    software, evidence = _generation(checkpoint)
    version, fact = _version(checkpoint, given)
    if version and not given.keras:
        software = KERAS_1 if version < (2,) else KERAS_2
    if fact is None:
        fact = Fact("Keras", software.name.removeprefix("Keras "), "inferred", evidence, "--source-keras")
    return Origin(software, version, fact)


def _own_version(checkpoint: Checkpoint, given: Given) -> tuple[Version, Fact | None]:
    version, fact = _version(checkpoint, given)
    if version:
        return version, fact
    if checkpoint.writer == "Keras 3":
        return (3,), Fact("Keras", "3", "inferred", "layout of the file")
    return (3,), None


def _generation(checkpoint: Checkpoint) -> tuple[Software, str]:
    """Keras 1 or 2, by what the names of the weights end in; with the evidence."""
    names = [tensor.name for tensor in checkpoint.tensors]
    counts = {software: [n for n in names if software.role_in_name(n)] for software in (KERAS_1, KERAS_2)}
    first, second = len(counts[KERAS_1]), len(counts[KERAS_2])
    if first > second:
        return KERAS_1, f"names like {quote(_telling(counts[KERAS_1], KERAS_2))}"
    if second > first:
        return KERAS_2, f"names like {quote(_telling(counts[KERAS_2], KERAS_1))}"
    return KERAS_1, "no version is recorded, as Keras 2 always does"


def version_of(config: Mapping[str, Any]) -> Version:
    """The Keras version that an architecture states; () where it does not."""
    text = config.get("keras_version")
    match = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", text) if isinstance(text, str) else None
    return tuple(map(int, match.groups())) if match else ()


def _telling(names: list[str], other: Software) -> str:
    """A name that the other software does not give."""
    return next((name for name in names if not other.role_in_name(name)), names[0])


def _version(checkpoint: Checkpoint, given: Given) -> tuple[Version, Fact | None]:
    option, recorded = "--source-keras", checkpoint.keras_version
    text = given.keras or recorded
    if not text:
        return (), None
    match = re.match(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?", text)
    if not match:
        raise NotACheckpoint(f"{checkpoint.path}: {quote(text)} is no version of Keras", "state which with {keras}")
    version = tuple(int(part or 0) for part in match.groups())
    shown = ".".join(map(str, version))
    if given.keras:
        evidence = option + (f"; the file records {quote(recorded)}" if recorded else "")
        return version, Fact("Keras", shown, "given", evidence)
    return version, Fact("Keras", shown, "recorded", "attribute keras_version", option)


def backend(checkpoint: Checkpoint, given: Given) -> Fact:
    """What computed the weights; "theano" means kernels of a true convolution."""
    option = "--source-backend"
    names = [tensor.name for tensor in checkpoint.tensors]
    suffixed = sum(name.rpartition(":")[2].isdigit() and ":" in name for name in names)
    if given.backend:
        recorded = f"; the file records {quote(checkpoint.backend)}" if checkpoint.backend else ""
        return Fact("backend", given.backend, "given", option + recorded)
    if checkpoint.backend:
        if checkpoint.backend.casefold() not in BACKENDS:
            raise NotACheckpoint(
                f"{checkpoint.path}: records the backend {quote(checkpoint.backend)}, whose convolution is not known",
                "state which it is like with {backend}",
            )
        return Fact("backend", checkpoint.backend.casefold(), "recorded", "attribute backend", option)
    if checkpoint.writer == "Keras 3":
        return Fact("backend", "not Theano", "inferred", "Keras 3 never ran on Theano", option)
    if checkpoint.writer:
        return Fact("backend", checkpoint.writer, "recorded", "content of the file", option)
    if not names:
        return Fact("backend", "theano", "assumed", "no weights whose names could tell", option)
    if suffixed == len(names):
        return Fact("backend", "tensorflow", "inferred", f"all {len(names)} names end in ':0' or the like", option)
    if suffixed:
        raise NotACheckpoint(
            f"{checkpoint.path}: {suffixed} of {len(names)} weight names end in ':0', as TensorFlow's do and Theano's "
            "never",
            "state which it is with {backend}",
        )
    return Fact("backend", "theano", "inferred", f"none of {len(names)} names ends in ':0', as TensorFlow's do", option)


def orderings(software: Software, version: Version, theano: bool) -> tuple[DataFormat, ...]:
    """Data formats that a file without architecture may have, likeliest first.

    Keras 1 stored kernels by dim ordering, which their shapes tell. Keras 2 did not; until 2.2.0 the ordering still
    showed in the rows of a Dense kernel, since then Flatten puts channels last, so that nothing is left to decide.
    """
    if software is KERAS_1:
        return "channels_first", "channels_last"
    if software is KERAS_2 and theano and version < (2, 2):
        return ("channels_first",)
    if software.axes:
        return ("channels_first",)
    return ("channels_last",)


def ordering(checkpoint: Checkpoint, graph: Graph, of: Origin, theano: bool, stated: bool) -> Fact | None:
    """The fact behind the data formats, where they matter: each layer has its own."""
    layers = [node.layer for node in graph if isinstance(node.layer, Spatial) and node.layer.rank > 1]
    found = sorted({layer.data_format for layer in layers})
    if not found:
        return None
    data_format = found[0]
    name, value = "dim ordering", " and ".join(ORDERINGS[each] for each in found)
    if stated:
        return Fact(name, value, "recorded", checkpoint.config_where)
    if checkpoint.writer:
        return None
    if of.software is KERAS_1:
        axes = "OIHW" if data_format == "channels_first" else "HWIO"
        return Fact(name, value, "inferred", f"kernel shapes fit as {axes} and not otherwise")
    if of.version >= (2, 2):
        return None
    return Fact(name, value, "assumed", f"usual with {'Theano' if theano else 'TensorFlow'}", "--source-keras")


class Settled(NamedTuple):
    """A graph with everything that tensors do not tell, and the facts behind that."""

    graph: Graph
    facts: tuple[Fact, ...]


def padding(checkpoint: Checkpoint, graph: Graph, theano: bool, stated: bool) -> Settled:
    """What strided convolutions surround an image with. stated: whether the architecture did."""
    if stated:
        kind, basis, evidence = None, "recorded", checkpoint.config_where
    elif theano:
        kind, basis, evidence = "half", "inferred", "what 'same' means in Theano"
    elif "padding" in checkpoint.stated_network:
        kind, basis, evidence = str(checkpoint.stated_network["padding"]), "recorded", checkpoint.stated_where
        if kind not in ("half", "same"):
            where = f"{checkpoint.path}: {checkpoint.stated_where}"
            raise NotACheckpoint(f"{where}: {quote(kind)} where a padding, 'half' or 'same', is expected")
    elif checkpoint.writer:
        kind, basis, evidence = "half", "assumed", "what ror-port's networks have"
    else:
        kind, basis, evidence = "same", "assumed", "what 'same' means in TensorFlow"
    if kind == "same":
        graph = graph.map(_padded_as_tensorflow)
    strided = {
        node.layer.padding
        for node in graph
        if isinstance(node.layer, Conv2D) and max(node.layer.strides) > 1 and max(node.layer.kernel_size) > 1
    }
    if not strided:
        return Settled(graph, ())
    words = {
        "half": "even on all sides",
        "same": "more at the end",
        "valid": "none",
        "full": "all that windows can reach",
        "causal": "before the beginning alone",
    }
    value = ", ".join(words[kind] for kind in sorted(strided))
    return Settled(graph, (Fact("padding", value, basis, evidence),))  # type: ignore[arg-type]


def _padded_as_tensorflow(layer: Layer) -> Layer:
    return replace(layer, padding="same") if isinstance(layer, Conv2D) and layer.padding == "half" else layer


def batch_norm(
    checkpoint: Checkpoint, graph: Graph, family: Family | None, of: Origin, given: Given, stated: bool
) -> Settled:
    """Rule, epsilon and momentum: as recorded, else by the network's definition, else Keras' defaults."""
    norms = [node.layer for node in graph if isinstance(node.layer, BatchNormalization)]
    if not norms:
        return Settled(graph, ())
    known = bool(of.version) and checkpoint.writer in (None, "Keras 3")
    rule = norm_rule(of.version)
    if of.version:
        software = "Keras " + ".".join(map(str, of.version)) if known else str(checkpoint.writer)
        about = Fact("BatchNorm divides by", rule.divisor, "inferred", software)
    elif checkpoint.stated_network:
        about = Fact("BatchNorm divides by", rule.divisor, "recorded", checkpoint.stated_where)
    else:
        evidence = "since Keras 1.0.8; another rule before"
        about = Fact("BatchNorm divides by", rule.divisor, "assumed", evidence, "--source-keras")
    name, option = "BatchNorm epsilon", "--bn-epsilon"
    network = checkpoint.stated_network
    if stated:
        value = ", ".join(map(repr, sorted({norm.epsilon for norm in norms})))
        fact = Fact(name, value, "recorded", checkpoint.config_where, option)
    elif "epsilon" in network:
        where = f"{checkpoint.path}: {checkpoint.stated_where}"
        epsilon = number(network["epsilon"], where)
        momentum = number(network.get("momentum", rule.momentum), where)
        graph = _normalised(graph, epsilon=epsilon, momentum=momentum)
        fact = Fact(name, repr(epsilon), "recorded", checkpoint.stated_where, option)
    elif family and family.sets_norm:
        fact = Fact(name, repr(family.epsilon), "inferred", f"the code of {family.family} sets it", option)
    else:
        graph = _normalised(graph, epsilon=rule.epsilon, momentum=rule.momentum)
        evidence = f"default since Keras 1.2.0; {OTHER_EPSILON:g} in 1.0.8 to 1.1.2"
        fact = Fact(name, repr(rule.epsilon), "assumed", evidence, option)
        if known:
            fact = Fact(name, repr(rule.epsilon), "inferred", "default of that Keras", option)
    if given.epsilon is not None:
        recorded = f"; the file records {fact.value}" if fact.basis == "recorded" else ""
        graph = _normalised(graph, epsilon=given.epsilon)
        fact = Fact(name, repr(given.epsilon), "given", option + recorded)
    return Settled(_normalised(graph, divisor=rule.divisor), (about, fact))


def _normalised(graph: Graph, **settings: Any) -> Graph:
    """The graph with settings of all its BatchNormalizations changed."""
    return graph.map(lambda layer: replace(layer, **settings) if isinstance(layer, BatchNormalization) else layer)


def number(value: Any, where: str) -> float:
    """A finite number from 0 to 1, as an epsilon, a momentum or a rate is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise NotACheckpoint(f"{where}: {quote(str(value))} where a number from 0 to 1 is expected")
    return float(value)
