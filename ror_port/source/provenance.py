"""What is known of a file's origin, and how it is known. No fact is guessed silently.

Each fact is *recorded* in the file, *inferred* from it (with the evidence), *given* by the user, or *assumed*
(with the option that changes it). Sources: Keras 1.0.6–2.3.1 (engine/topology.py, layers/normalization.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ror_port.errors import NotACheckpoint, UsageError, quote
from ror_port.formats.checkpoint import Checkpoint
from ror_port.formats.model_config import number
from ror_port.mapping.convention import Deviation
from ror_port.mapping.dialect import Dialect
from ror_port.mapping.keras import KERAS_1
from ror_port.network.families import Network
from ror_port.network.families.family import KERAS_EPSILON, KERAS_MOMENTUM
from ror_port.network.graph import Conv, Graph, Padding

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
    Raises UsageError where a value cannot be meant.
    """

    backend: str | None = None
    keras: str | None = None
    epsilon: float | None = None
    size: int | None = None
    sha256: str | None = None
    bad_values: bool = False

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


class NormRule(NamedTuple):
    """BatchNorm from one version of Keras on: what it divides by, and its defaults."""

    since: Version
    deviation: Deviation
    epsilon: float
    momentum: float


NORM_RULES = (
    NormRule((1, 0, 0), "std + epsilon", 1e-6, 0.9),
    NormRule((1, 0, 7), "√variance + epsilon", 1e-6, 0.99),
    NormRule((1, 0, 8), "√(variance + epsilon)", 1e-5, 0.99),
    NormRule((1, 2, 0), "√(variance + epsilon)", KERAS_EPSILON, KERAS_MOMENTUM),
)
LATEST = NORM_RULES[-1]

OTHER_EPSILON = NORM_RULES[-2].epsilon
"""What an assumed epsilon is compared with, to say how much it matters."""

EPSILONS = (LATEST.epsilon, OTHER_EPSILON)
"""Defaults of the Keras versions whose BatchNorm meant what it means today."""

BACKENDS = {"theano", "tensorflow", "jax", "torch", "numpy", "openvino"}
"""Backends of Keras whose convolution is known: all cross-correlate but Theano."""


def dialect(checkpoint: Checkpoint, given: Given) -> tuple[Dialect, Version, Fact | None]:
    """How the weights are named, which tells the generation of Keras; and its version, () where nobody says.

    Raises NotACheckpoint where the names fit none.
    """
    layers = checkpoint.weighted
    if not layers:
        raise NotACheckpoint(f"{checkpoint.path}: no layer holds any weights")
    strange = {}
    for candidate in checkpoint.dialects:
        unknown = [layer for layer in layers if candidate.roles(layer.name, layer.weights) is None]
        if not unknown:
            return candidate, *_version(checkpoint, candidate, given, layers[0].weights[0])
        strange[candidate.name] = unknown
    software, fewest = min(strange.items(), key=lambda item: len(item[1]))
    raise NotACheckpoint(
        f"{checkpoint.path}: {len(fewest)} of {len(layers)} layers have weights of names that {software} does not give "
        f"to a convolution, BatchNorm or Dense layer, the first {quote(fewest[0].name)}: "
        + ", ".join(map(quote, fewest[0].weights[:4]))
    )


def _version(checkpoint: Checkpoint, of: Dialect, given: Given, example: str) -> tuple[Version, Fact | None]:
    option = "--source-keras"
    recorded = checkpoint.keras_version
    text = given.keras or recorded
    if text:
        match = re.match(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?", text)
        if not match:
            raise NotACheckpoint(f"{checkpoint.path}: {quote(text)} is no version of Keras", "state which with {keras}")
        version = tuple(int(part or 0) for part in match.groups())
        shown = ".".join(map(str, version))
        if given.keras:
            return version, Fact(
                "Keras", shown, "given", option + (f"; the file records {quote(recorded)}" if recorded else "")
            )
        return version, Fact("Keras", shown, "recorded", "attribute keras_version", option)
    if checkpoint.writer == "Keras 3":
        return (3,), Fact("Keras", "3", "inferred", "layout of the file")
    if checkpoint.writer:
        return (3,), None
    return (), Fact("Keras", of.name.removeprefix("Keras "), "inferred", f"names like {quote(example)}", option)


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
    if suffixed == len(names):
        return Fact("backend", "tensorflow", "inferred", f"all {len(names)} names end in ':0' or the like", option)
    if suffixed:
        raise NotACheckpoint(
            f"{checkpoint.path}: {suffixed} of {len(names)} weight names end in ':0', as TensorFlow's do and Theano's "
            "never",
            "state which it is with {backend}",
        )
    return Fact("backend", "theano", "inferred", f"none of {len(names)} names ends in ':0', as TensorFlow's do", option)


def orderings(checkpoint: Checkpoint, of: Dialect) -> tuple[str, ...]:
    """Kernel layouts that the file may have: Keras 1 stored kernels by dim ordering, Keras 2 always as HWIO."""
    if of.convention:
        return (of.convention.kernels,)
    if of is not KERAS_1:
        return ("HWIO",)
    stated = checkpoint.architecture.ordering if checkpoint.architecture else None
    return {"th": ("OIHW",), "tf": ("HWIO",)}.get(stated or "", ("OIHW", "HWIO"))


def ordering(
    checkpoint: Checkpoint, of: Dialect, version: Version, kernels: str, flipped: bool
) -> tuple[str, Fact | None]:
    """The order in which maps were flattened, "CHW" or "HWC", and the fact behind it, where it matters.

    Since Keras 2.2.0 Flatten puts channels last before it flattens, so that nothing is left to decide.
    """
    if of.convention:
        return of.convention.rows, None
    stated = checkpoint.architecture.ordering if checkpoint.architecture else None
    if stated:
        order = stated
        fact: Fact | None = Fact("dim ordering", stated, "recorded", "model_config")
    elif of is KERAS_1:
        order = "th" if kernels == "OIHW" else "tf"
        fact = Fact("dim ordering", order, "inferred", f"kernel shapes fit as {kernels} and not otherwise")
    elif version >= (2, 2):
        order, fact = "tf", None
    else:
        order = "th" if flipped else "tf"
        fact = Fact(
            "dim ordering", order, "assumed", f"usual with {'Theano' if flipped else 'TensorFlow'}", "--source-keras"
        )
    return ("CHW" if order == "th" and version < (2, 2) else "HWC"), fact


def padding(checkpoint: Checkpoint, graph: Graph, flipped: bool) -> tuple[Padding, Fact | None]:
    """What surrounds the images of strided convolutions, and the fact behind it, where the network has any."""
    architecture, stated = checkpoint.architecture, checkpoint.stated_network.get("padding")
    taken: tuple[Padding, Basis, str]
    if flipped:
        taken = "half", "inferred", "what 'same' means in Theano"
    elif architecture and architecture.padding:
        taken = architecture.padding, "recorded", architecture.where
    elif stated in ("half", "same"):
        taken = stated, "recorded", "attribute ror_port"
    elif checkpoint.writer:
        taken = "half", "assumed", "what ror-port's networks have"
    else:
        taken = "same", "assumed", "what 'same' means in TensorFlow"
    if not any(isinstance(op, Conv) and op.strided for op in (node.operation for node in graph)):
        return taken[0], None
    kind, basis, evidence = taken
    words = {"half": "even on all sides", "same": "more at the end", "valid": "none"}
    return kind, Fact("padding", words[kind], basis, evidence)


class Norm(NamedTuple):
    """What is known of a file's BatchNorms."""

    deviation: Deviation
    epsilon: float
    momentum: float
    facts: tuple[Fact, ...]


def batch_norm(checkpoint: Checkpoint, network: Network, version: Version, given: Given) -> Norm:
    """Rule, epsilon and momentum: as recorded, else by the network's definition, else Keras' defaults."""
    known = bool(version) and checkpoint.writer in (None, "Keras 3")
    rule = [rule for rule in NORM_RULES if rule.since <= version][-1] if version >= (1,) else LATEST
    if version:
        software = "Keras " + ".".join(map(str, version)) if known else str(checkpoint.writer)
        about = Fact("BatchNorm divides by", rule.deviation, "inferred", software)
    elif checkpoint.stated_network:
        about = Fact("BatchNorm divides by", rule.deviation, "recorded", "attribute ror_port")
    else:
        evidence = "since Keras 1.0.8; another rule before"
        about = Fact("BatchNorm divides by", rule.deviation, "assumed", evidence, "--source-keras")
    epsilon, momentum, fact = _epsilon(checkpoint, network, rule, known)
    if given.epsilon is not None:
        recorded = f"; the file records {fact.value}" if fact.basis == "recorded" else ""
        epsilon = given.epsilon
        fact = Fact("BatchNorm epsilon", repr(epsilon), "given", "--bn-epsilon" + recorded)
    return Norm(rule.deviation, epsilon, momentum, (about, fact))


def _epsilon(checkpoint: Checkpoint, network: Network, rule: NormRule, known: bool) -> tuple[float, float, Fact]:
    name, option = "BatchNorm epsilon", "--bn-epsilon"
    stated = checkpoint.stated_network
    architecture = checkpoint.architecture
    if architecture and architecture.epsilons:
        if len(architecture.epsilons) > 1 or len(architecture.momenta) > 1:
            raise NotACheckpoint(
                f"{checkpoint.path}: {architecture.where} gives its BatchNorms different epsilons or momenta"
            )
        epsilon = min(architecture.epsilons)
        momentum = min(architecture.momenta, default=rule.momentum)
        return epsilon, momentum, Fact(name, repr(epsilon), "recorded", architecture.where, option)
    if "epsilon" in stated:
        where = f"{checkpoint.path}: attribute ror_port"
        epsilon, momentum = number(stated["epsilon"], where), number(stated.get("momentum", rule.momentum), where)
        return epsilon, momentum, Fact(name, repr(epsilon), "recorded", "attribute ror_port", option)
    if network.sets_norm:
        fact = Fact(name, repr(network.epsilon), "inferred", f"the code of {network.family} sets it", option)
        return network.epsilon, network.momentum, fact
    if known:
        return rule.epsilon, rule.momentum, Fact(name, repr(rule.epsilon), "inferred", "default of that Keras", option)
    evidence = f"default since Keras 1.2.0; {OTHER_EPSILON:g} in 1.0.8 to 1.1.2"
    return rule.epsilon, rule.momentum, Fact(name, repr(rule.epsilon), "assumed", evidence, option)
