"""What is known of a file's origin, and how it is known. No fact is guessed silently.

Each fact is *recorded* in the file, *inferred* from it (with the evidence), *given* by the user, or *assumed*
(with the option that changes it). Sources: Keras 1.0.6–2.3.1 (engine/topology.py, layers/normalization.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ror_port.checkpoint import Checkpoint
from ror_port.errors import NotACheckpoint
from ror_port.formats.hdf5 import quote
from ror_port.mapping.keras import ERAS, KERAS_1, Convention, Era
from ror_port.networks import Network

Basis = Literal["recorded", "inferred", "given", "assumed"]

DEFAULT_EPSILON = 1e-3
"""Keras' BatchNorm epsilon from 1.2.0 (December 2016) on; 1.0.8–1.1.2 had 1e-5, older ones 1e-6."""

OTHER_EPSILON = 1e-5
"""What an assumed epsilon is compared with, to say how much it matters: Keras 1.0.8–1.1.2."""


@dataclass(frozen=True)
class Fact:
    """One thing known about a file. option: the command line's way to say otherwise."""

    name: str
    value: str
    basis: Basis
    evidence: str
    option: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def era(checkpoint: Checkpoint) -> tuple[Era, Fact]:
    """The generation of Keras, by the names of the weights; raises NotACheckpoint where they fit none."""
    weights = [(layer.name, tensor.name) for layer in checkpoint.layers for tensor in layer.tensors]
    if not weights:
        raise NotACheckpoint(f"{checkpoint.path}: no layer holds any weights")
    strange = {}
    for candidate in ERAS:
        unknown = [name for layer, name in weights if candidate.role(layer, name) is None]
        if not unknown:
            name = weights[0][1]
            if checkpoint.keras_version:
                return candidate, Fact("Keras", checkpoint.keras_version, "recorded", "attribute keras_version")
            if checkpoint.format.startswith("Keras 3"):
                return candidate, Fact("Keras", "3", "inferred", "layout of the file")
            return candidate, Fact(
                "Keras", candidate.name.removeprefix("Keras "), "inferred", f"names like {quote(name)}"
            )
        strange[candidate.name] = unknown
    fewest = min(strange, key=lambda name: len(strange[name]))
    raise NotACheckpoint(
        f"{checkpoint.path}: {len(strange[fewest])} of {len(weights)} weights have names that Keras never gave to a "
        f"convolution, BatchNorm or Dense layer, the first {quote(strange[fewest][0])}"
    )


def backend(checkpoint: Checkpoint, given: str | None) -> Fact:
    """What computed the weights; "theano" means kernels of a true convolution."""
    option = "--source-backend"
    names = [tensor.name for tensor in checkpoint.tensors]
    suffixed = sum(name.rpartition(":")[2].isdigit() and ":" in name for name in names)
    if given:
        recorded = f"; the file records {checkpoint.backend}" if checkpoint.backend else ""
        return Fact("backend", given, "given", option + recorded)
    if checkpoint.backend:
        return Fact("backend", quote(checkpoint.backend).strip("'"), "recorded", "attribute backend", option)
    if checkpoint.format.startswith("Keras 3"):
        return Fact("backend", "not Theano", "inferred", "Keras 3 never ran on Theano", option)
    if suffixed == len(names):
        return Fact("backend", "tensorflow", "inferred", f"all {len(names)} names end in ':0' or the like", option)
    if suffixed:
        raise NotACheckpoint(
            f"{checkpoint.path}: {suffixed} of {len(names)} weight names end in ':0', as TensorFlow's do and Theano's "
            f"never; say which it is with {option}"
        )
    return Fact("backend", "theano", "inferred", f"none of {len(names)} names ends in ':0', as TensorFlow's do", option)


def orderings(checkpoint: Checkpoint, of: Era) -> tuple[str, ...]:
    """Kernel layouts that the file may have: Keras 1 stored kernels by dim ordering, Keras 2 always as HWIO."""
    if of is not KERAS_1:
        return ("HWIO",)
    stated = checkpoint.architecture.ordering if checkpoint.architecture else None
    return {"th": ("OIHW",), "tf": ("HWIO",)}.get(stated or "", ("OIHW", "HWIO"))


def convention(checkpoint: Checkpoint, of: Era, backend: Fact, kernels: str) -> tuple[Convention, Fact | None]:
    """How to read the numbers, and the fact about the dim ordering behind it, where it matters.

    The ordering decides how maps were flattened in front of the Dense layer. Since Keras 2.2.0 Flatten puts
    channels last before it flattens, so that nothing is left to decide.
    """
    stated = checkpoint.architecture.ordering if checkpoint.architecture else None
    flipped = backend.value == "theano"
    if stated:
        ordering = stated
        fact: Fact | None = Fact("dim ordering", stated, "recorded", "model_config")
    elif of is KERAS_1:
        ordering = "th" if kernels == "OIHW" else "tf"
        fact = Fact("dim ordering", ordering, "inferred", f"kernel shapes fit as {kernels} and not otherwise")
    elif _version(checkpoint) >= (2, 2):
        ordering, fact = "tf", None
    else:
        ordering = "th" if flipped else "tf"
        fact = Fact("dim ordering", ordering, "assumed", f"usual with {backend.value}")
    channels_first = ordering == "th" and _version(checkpoint) < (2, 2)
    return Convention(flipped, kernels, "CHW" if channels_first else "HWC"), fact


def batch_norm(checkpoint: Checkpoint, network: Network, given: float | None) -> tuple[float, float, tuple[Fact, ...]]:
    """Epsilon, momentum, and the facts about them and about what the running statistic is."""
    option = "--bn-epsilon"
    stated: Mapping[str, Any] = checkpoint.stated.get("network", {})
    architecture = checkpoint.architecture
    momentum = network.momentum
    version = _version(checkpoint)
    if architecture and architecture.epsilons:
        if len(architecture.epsilons) > 1 or len(architecture.momenta) > 1:
            raise NotACheckpoint(f"{checkpoint.path}: model_config gives its BatchNorms different epsilons or momenta")
        epsilon = Fact("BatchNorm epsilon", f"{min(architecture.epsilons):g}", "recorded", "model_config", option)
        momentum = min(architecture.momenta, default=momentum)
    elif "epsilon" in stated:
        epsilon = Fact("BatchNorm epsilon", f"{stated['epsilon']:g}", "recorded", "attribute ror_port", option)
        momentum = float(stated.get("momentum", momentum))
    else:
        epsilon = Fact(
            "BatchNorm epsilon",
            f"{DEFAULT_EPSILON:g}",
            "assumed",
            "default of Keras 1.2.0 and later; 1e-05 before",
            option,
        )
    if given is not None:
        recorded = f"; the file records {epsilon.value}" if epsilon.basis == "recorded" else ""
        epsilon = Fact("BatchNorm epsilon", f"{given:g}", "given", option + recorded)
    rule = (
        Fact("BatchNorm statistic", "variance", "inferred", "Keras has kept variances since 1.0.7")
        if version >= (1, 0, 7)
        else Fact("BatchNorm statistic", "variance", "assumed", "Keras 1.0.7 and later; standard deviation before")
    )
    return float(epsilon.value), momentum, (rule, epsilon)


def _version(checkpoint: Checkpoint) -> tuple[int, ...]:
    """Of the Keras that wrote the file, as far as the file tells; () where it does not."""
    if checkpoint.keras_version:
        return tuple(int(part) for part in checkpoint.keras_version.split(".") if part.isdigit())
    return (3,) if checkpoint.format.startswith("Keras 3") else ()
