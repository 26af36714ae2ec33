"""What is known of a file's origin, and how it is known. No fact is guessed silently.

Each fact is *recorded* in the file, *inferred* from it (with the evidence), *given* by the user, or *assumed*
(with the option that changes it). Sources: Keras 1.0.6–2.3.1 (engine/topology.py, layers/normalization.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ror_port.errors import NotACheckpoint, UsageError, quote
from ror_port.formats.checkpoint import KERAS_0, Checkpoint
from ror_port.layout import DataFormat
from ror_port.mapping.software import KERAS_1, KERAS_2, Software
from ror_port.network.families import Family
from ror_port.network.graph import Graph
from ror_port.network.layers import BatchNormalization, Conv2D, Layer, settings
from ror_port.network.layers.normalization import LATEST, NORM_RULES, NormRule, norm_rule
from ror_port.network.layers.spatial import Padding, Spatial
from ror_port.source.arithmetic import parse

Basis = Literal["recorded", "inferred", "given", "assumed"]
Version = tuple[int, ...]

_LAST = {(1, 0): 8, (1, 1): 2, (1, 2): 2, (2, 0): 9, (2, 1): 6, (2, 2): 5, (2, 3): 1}
"""Series of releases of Keras 1 and 2 → the last number in it. Source: the releases of ``keras`` on PyPI.

From 2.4 on they are the Keras within TensorFlow.
"""

RELEASES: tuple[Version, ...] = tuple((*series, n) for series, last in _LAST.items() for n in range(last + 1))
"""The versions of Keras that could run on Theano and are read."""

CHANGES: tuple[Version, ...] = (
    *(rule.since for rule in NORM_RULES),
    (2, 0, 0),
    (2, 0, 4),
    (2, 1, 5),
    (2, 1, 6),
    (2, 2, 0),
)
"""The releases from which on some file means something else than before: BatchNorm, poolings on Theano, Flatten."""


def releases(text: str) -> list[Version]:
    """The versions that a text denotes, "1.0.6" or the beginning of several, "1.2"; none where there was no such."""
    if not re.fullmatch(r"\d{1,2}(\.\d{1,2}){0,2}", text, re.ASCII):
        return []
    parts = tuple(map(int, text.split(".")))
    return [version for version in RELEASES if version[: len(parts)] == parts]


def eras(text: str) -> list[Version]:
    """Of the versions that a text denotes, the last of each group that reads files alike."""
    found = {max(change for change in CHANGES if change <= version): version for version in releases(text)}
    return list(found.values())


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


def norm_choices() -> str:
    """What a BatchNormalization divides by in which releases, in words."""
    choices = []
    for rule, following in zip(NORM_RULES, (*NORM_RULES[1:], None), strict=True):
        within = [v for v in RELEASES if v >= rule.since and (following is None or v < following.since)]
        span = dotted(within[0]) + (f" to {dotted(within[-1])}" if len(within) > 1 else "")
        choices.append(f"{span}: {rule.divisor}, epsilon {rule.epsilon:g} by default")
    return "; ".join(choices)


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
    ordering: str | None = None
    """ "th" or "tf", channels first or last, of layers for which the file states none."""

    model: str | None = None
    """The user's own script that builds the network, ``train.py`` or ``train.py:build_model``, which is run."""

    lambdas: Mapping[str, str] | None = None
    """Lambda layer → what it computes, as arithmetic on x such as "x / 127.5 - 1"."""

    def __post_init__(self) -> None:
        if self.backend not in (None, "theano", "tensorflow"):
            raise UsageError(f"{quote(str(self.backend))} is neither 'theano' nor 'tensorflow'", "backend")
        if self.keras is not None and not releases(self.keras):
            series = ", ".join(f"{dotted((*which, 0))} to {last}" for which, last in _LAST.items())
            raise UsageError(f"{quote(self.keras)} is no version of Keras that is read; these are: {series}", "keras")
        for text in (self.lambdas or {}).values():
            parse(text)
        if self.epsilon is not None and not 0 < self.epsilon <= 1:
            raise UsageError(f"{self.epsilon}; a number above 0 and up to 1 is expected", "epsilon")
        if self.size is not None and not 8 <= self.size <= 4096:
            raise UsageError(f"{self.size}; an image size from 8 to 4096 is expected", "size")
        if self.model is not None and self.architecture is not None:
            raise UsageError("an architecture is given already; one of the two is expected", "model")
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


class Alternative(NamedTuple):
    """What a fact that is assumed could be instead. option: what states so on the command line, if anything does.

    given, padding: what a file is understood under to be read so; the latter where it is another than usual.
    """

    fact: str
    value: str
    option: str | None
    given: Given
    padding: Padding | None = None


RULE, EPSILON, BACKEND, ORDERING = "BatchNorm divisor", "BatchNorm epsilon", "backend", "dim ordering"
PADDING, UNSTATED = "padding", "data format of layers that state none"

STRIDES = Fact("strides of ConvLSTM2D", "1", "assumed", "Keras 1 writes none, and takes 1 when it loads such a file")


def arithmetic(layer: str, text: str, given: Given, where: str) -> Fact:
    """What a Lambda layer computes."""
    by_user = layer in (given.lambdas or {})
    return Fact(f"Lambda {layer}", text, "given" if by_user else "recorded", "--lambda" if by_user else where)


def states(batch: int) -> Fact:
    """Of a network with stateful layers."""
    value = f"kept from one batch of {batch} to the next"
    return Fact("states", value, "recorded", "the architecture has stateful layers; the first batch begins with zeros")


def alternatives(fact: Fact, given: Given) -> Iterator[Alternative]:
    """What a fact could be instead of what is assumed, as far as genuine files are known to differ in it."""
    if fact.basis != "assumed":
        return
    match fact.name:
        case "BatchNorm divisor":
            for rule in NORM_RULES:
                if rule.divisor not in (fact.value, LATEST.divisor):
                    version = last_of(rule)
                    value = f"{rule.divisor} (Keras {'up to ' if version > rule.since else ''}{dotted(version)})"
                    option = f"--source-keras {dotted(version)}"
                    yield Alternative(fact.name, value, option, replace(given, keras=dotted(version)))
        case "BatchNorm epsilon":
            for epsilon in sorted({rule.epsilon for rule in NORM_RULES if rule.divisor == LATEST.divisor}):
                if repr(epsilon) != fact.value:
                    option = f"--bn-epsilon {epsilon:g}"
                    yield Alternative(fact.name, f"{epsilon:g}", option, replace(given, epsilon=epsilon))
        case "backend":
            other = "tensorflow" if fact.value == "theano" else "theano"
            yield Alternative(fact.name, other, f"--source-backend {other}", replace(given, backend=other))
        case "dim ordering" | "data format of layers that state none" if fact.option == "--source-ordering":
            other = "tf" if fact.value == "th" else "th"
            yield Alternative(fact.name, other, f"{fact.option} {other}", replace(given, ordering=other))
        case "dim ordering":
            latest = dotted(RELEASES[-1])
            value = "tf, or th since Keras 2.2.0"
            yield Alternative(fact.name, value, f"--source-keras {latest}", replace(given, keras=latest))
        case "padding":
            other_padding: Padding = "same" if fact.value == PADDED["half"] else "half"
            yield Alternative(fact.name, PADDED[other_padding], None, given, other_padding)


def last_of(rule: NormRule, software: Software = KERAS_1) -> Version:
    """The last release with a rule, of the generation of a software if it had the rule."""
    found = [version for version in RELEASES if norm_rule(version) == rule]
    return [version for version in found if software is not KERAS_1 or version < (2,)][-1]


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
    if checkpoint.writer == KERAS_0:
        numbers = "layers and weights have numbers and no names"
        return Origin(KERAS_1, settings.KERAS_0, Fact("Keras", "0.x", "inferred", numbers))
    software, evidence = _generation(checkpoint)
    version, fact = _version(checkpoint, given)
    if version:
        _ensure_layout_is_of(checkpoint, version, given)
    if version and not given.keras:
        software = KERAS_1 if version < (2,) else KERAS_2
    if fact is None:
        fact = Fact("Keras", software.name.removeprefix("Keras "), "inferred", evidence, "--source-keras")
    return Origin(software, version, fact)


def stated_by_name(name: str) -> str:
    """What the name of a file says of its backend, as those of keras.applications do: "th_kernels", "tf_kernels"."""
    published = re.search(r"_((?:th|tf)_kernels)", name)
    return published[1] if published else ""


def era(checkpoint: Checkpoint, of: Origin, given: Given) -> str:
    """The generation of Keras that wrote a file, or the other software that did."""
    if _WITH_TENSORFLOW.fullmatch(given.keras or checkpoint.keras_version or ""):
        return "tf.keras"
    return checkpoint.writer or of.software.name


def _own_version(checkpoint: Checkpoint, given: Given) -> tuple[Version, Fact | None]:
    version, fact = _version(checkpoint, given)
    if version:
        return version, fact
    if checkpoint.writer == "Keras 3":
        return (3,), Fact("Keras", "3", "inferred", "layout of the file")
    return (3,), None


def _distinctive(checkpoint: Checkpoint) -> dict[Software, list[str]]:
    """Keras 1 and 2 → the names of weights that end as they do in it, and not in the other."""
    names = [tensor.name for tensor in checkpoint.tensors]
    pairs = ((KERAS_1, KERAS_2), (KERAS_2, KERAS_1))
    return {
        software: [name for name in names if software.role_in_name(name) and not other.role_in_name(name)]
        for software, other in pairs
    }


def _generation(checkpoint: Checkpoint) -> tuple[Software, str]:
    """Keras 1 or 2, by what the names of the weights end in; with the evidence."""
    names = _distinctive(checkpoint)
    for software, other in ((KERAS_1, KERAS_2), (KERAS_2, KERAS_1)):
        if len(names[software]) > len(names[other]):
            return software, f"names like {quote(names[software][0])}"
    return KERAS_1, "no version is recorded, as Keras 2 always does"


def _ensure_layout_is_of(checkpoint: Checkpoint, version: Version, given: Given) -> None:
    """Raises NotACheckpoint where a file of Keras 2, by all names of its weights, is taken for one of Keras 1."""
    names = _distinctive(checkpoint)
    if version < (2,) and names[KERAS_2] and not names[KERAS_1]:
        stated = "read" if given.keras else "recorded"
        raise NotACheckpoint(
            f"{checkpoint.path}: {stated} as a file of Keras {dotted(version)}, but its weights have the names of "
            f"Keras 2, like {quote(names[KERAS_2][0])}; the file was altered later",
            "" if given.keras else "state its version with {keras}",
        )


def version_of(config: Mapping[str, Any], where: str) -> Version:
    """The Keras version that an architecture states; () where it does not."""
    text = config.get("keras_version")
    if text is None:
        return ()
    version = _recorded_version(text) if isinstance(text, str) else ()
    if not version:
        raise NotACheckpoint(f"{where}: records the version {quote(str(text))}, which is no version of Keras")
    return version


_WITH_TENSORFLOW = re.compile(r"2\.\d{1,2}\.\d{1,2}-tf|2\.([4-9]|[12][0-9])\.\d{1,2}", re.ASCII)
"""What the Keras within TensorFlow records as its version."""

_LATER = re.compile(r"3\.\d{1,3}\.\d{1,3}(\.?dev\d{1,12}|rc\d)?", re.ASCII)


def _recorded_version(text: str) -> Version:
    """Of a version as software records it; () where there was none such."""
    if text.count(".") == 2 and (found := releases(text)):
        return found[0]
    if _WITH_TENSORFLOW.fullmatch(text) or _LATER.fullmatch(text):
        return tuple(map(int, re.findall(r"\d+", text)[:3]))
    return ()


def _version(checkpoint: Checkpoint, given: Given) -> tuple[Version, Fact | None]:
    option, recorded = "--source-keras", checkpoint.keras_version
    if given.keras:
        evidence = option + (f"; the file records {quote(recorded)}" if recorded else "")
        return releases(given.keras)[-1], Fact("Keras", given.keras, "given", evidence)
    if not recorded:
        return (), None
    version = _recorded_version(recorded)
    if not version:
        raise NotACheckpoint(
            f"{checkpoint.path}: records the version {quote(recorded)}, which is no version of Keras",
            "state which with {keras}",
        )
    evidence = "attribute keras_version" + (", of tf.keras" if _WITH_TENSORFLOW.fullmatch(recorded) else "")
    return version, Fact("Keras", recorded, "recorded", evidence, option)


def backend(checkpoint: Checkpoint, given: Given) -> Fact:
    """What computed the weights; "theano" means kernels of a true convolution."""
    option = "--source-backend"
    names = [tensor.name for tensor in checkpoint.tensors]
    suffixed = sum(name.rpartition(":")[2].isdigit() and ":" in name for name in names)
    if given.backend:
        recorded = f"; the file records {quote(checkpoint.backend)}" if checkpoint.backend else ""
        return Fact(BACKEND, given.backend, "given", option + recorded)
    if checkpoint.backend:
        if checkpoint.backend.casefold() not in BACKENDS:
            raise NotACheckpoint(
                f"{checkpoint.path}: records the backend {quote(checkpoint.backend)}, whose convolution is not known",
                "state which it is like with {backend}",
            )
        return Fact(BACKEND, checkpoint.backend.casefold(), "recorded", "attribute backend", option)
    if published := stated_by_name(checkpoint.path.name):
        value = {"th": "theano", "tf": "tensorflow"}[published[:2]]
        return Fact(BACKEND, value, "inferred", f"the file is called {quote(published)}", option)
    if checkpoint.writer == "Keras 3":
        return Fact(BACKEND, "not Theano", "inferred", "Keras 3 never ran on Theano", option)
    if checkpoint.writer == KERAS_0:
        return Fact(BACKEND, "theano", "assumed", "usual with Keras 0.x; 0.3 ran on TensorFlow, too", option)
    if checkpoint.writer:
        return Fact(BACKEND, checkpoint.writer, "recorded", "content of the file", option)
    if not names:
        return Fact(BACKEND, "theano", "assumed", "no weights whose names could tell", option)
    if suffixed == len(names):
        return Fact(BACKEND, "tensorflow", "inferred", f"all {len(names)} names end in ':0' or the like", option)
    if suffixed:
        raise NotACheckpoint(
            f"{checkpoint.path}: {suffixed} of {len(names)} weight names end in ':0', as TensorFlow's do and Theano's "
            "never",
            "state which it is with {backend}",
        )
    return Fact(BACKEND, "theano", "inferred", f"none of {len(names)} names ends in ':0', as TensorFlow's do", option)


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


def ordering(
    checkpoint: Checkpoint, graph: Graph, of: Origin, theano: bool, stated: bool, assumed: bool, given: Given
) -> Fact | None:
    """The fact behind the data formats, where they matter: each layer has its own."""
    layers = [node.layer for node in graph if isinstance(node.layer, Spatial) and node.layer.rank > 1]
    found = sorted({layer.data_format for layer in layers})
    if not found:
        return None
    data_format = found[0]
    name, value = ORDERING, " and ".join(ORDERINGS[each] for each in found)
    option = "--source-ordering"
    if stated and given.ordering:
        return Fact(name, value, "given", f"{option}, for layers that state none")
    if stated and assumed:
        usual = "Theano" if theano else "TensorFlow"
        return Fact(name, value, "assumed", f"usual with {usual}; no layer states it", option)
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


PADDED: Mapping[Padding, str] = {
    "half": "even on all sides",
    "same": "more at the end",
    "valid": "none",
    "full": "all that windows can reach",
    "causal": "before the beginning alone",
}
"""What surrounds an image, in words."""


def padding(checkpoint: Checkpoint, graph: Graph, theano: bool, stated: bool, assumed: Padding | None) -> Settled:
    """What strided convolutions surround an image with. stated: whether the architecture does."""
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
        kind, basis, evidence = assumed or "half", "assumed", "what ror-port's networks have"
    else:
        kind, basis, evidence = assumed or "same", "assumed", "what 'same' means in TensorFlow"
    if kind == "same":
        graph = graph.map(_padded_as_tensorflow)
    strided = {
        node.layer.padding
        for node in graph
        if isinstance(node.layer, Conv2D) and max(node.layer.strides) > 1 and max(node.layer.kernel_size) > 1
    }
    if not strided:
        return Settled(graph, ())
    value = ", ".join(PADDED[kind] for kind in sorted(strided))
    return Settled(graph, (Fact(PADDING, value, basis, evidence),))  # type: ignore[arg-type]


def _padded_as_tensorflow(layer: Layer) -> Layer:
    return replace(layer, padding="same") if isinstance(layer, Conv2D) and layer.padding == "half" else layer


def batch_norm(
    checkpoint: Checkpoint,
    graph: Graph,
    family: Family | None,
    of: Origin,
    given: Given,
    *,
    stated: bool,
    by_name: bool | None,
) -> Settled:
    """Rule, epsilon and momentum: as recorded, else by the network's definition, else Keras' defaults.

    stated: whether an architecture is. by_name: see `Recognition`; the order of layers changed together with the rule.
    """
    norms = [node.layer for node in graph if isinstance(node.layer, BatchNormalization)]
    if not norms:
        return Settled(graph, ())
    known = bool(of.version) and checkpoint.writer in (None, "Keras 3")
    later = of.software is KERAS_2 and not of.version
    rule = norm_rule(of.version)
    unknown = not (of.version or checkpoint.stated_network or later)
    if unknown and by_name:
        rule = NORM_RULES[0]
    if of.version:
        software = "Keras " + ".".join(map(str, of.version)) if known else str(checkpoint.writer)
        about = Fact(RULE, rule.divisor, "inferred", software)
    elif checkpoint.stated_network:
        about = Fact(RULE, rule.divisor, "recorded", checkpoint.stated_where)
    elif later:
        about = Fact(RULE, rule.divisor, "inferred", "Keras 2")
    elif by_name:
        evidence = "the file lists layers of one depth by name, as up to Keras 1.0.7; another rule in 1.0.7"
        about = Fact(RULE, rule.divisor, "assumed", evidence, "--source-keras 1.0.7")
    elif by_name is False:
        about = Fact(RULE, rule.divisor, "inferred", "the file lists layers as Keras does since 1.0.8")
    else:
        evidence = "since Keras 1.0.8; another rule before"
        about = Fact(RULE, rule.divisor, "assumed", evidence, "--source-keras 1.0.6 or 1.0.7")
    name, option = EPSILON, "--bn-epsilon"
    network = checkpoint.stated_network
    settings: dict[str, Any] = {"divisor": rule.divisor}
    if stated:
        value = ", ".join(map(repr, sorted({norm.epsilon for norm in norms})))
        fact = Fact(name, value, "recorded", checkpoint.config_where, option)
    elif "epsilon" in network:
        where = f"{checkpoint.path}: {checkpoint.stated_where}"
        epsilon = number(network["epsilon"], where)
        momentum = number(network.get("momentum", rule.momentum), where)
        settings |= {"epsilon": epsilon, "momentum": momentum}
        fact = Fact(name, repr(epsilon), "recorded", checkpoint.stated_where, option)
    elif family and family.sets_norm:
        fact = Fact(name, repr(family.epsilon), "inferred", f"the code of {family.family} sets it", option)
    else:
        settings |= {"epsilon": rule.epsilon}
        if checkpoint.config is None:
            settings["momentum"] = rule.momentum
        evidence = f"default since Keras 1.2.0; {OTHER_EPSILON:g} in 1.0.8 to 1.1.2"
        fact = Fact(name, repr(rule.epsilon), "assumed", evidence, option)
        if known or later or (unknown and by_name):
            which = "that Keras" if known else "Keras 2" if later else "Keras up to 1.0.7"
            fact = Fact(name, repr(rule.epsilon), "inferred", f"default of {which}", option)
    if given.epsilon is not None:
        recorded = f"; the file records {fact.value}" if fact.basis == "recorded" else ""
        settings["epsilon"] = given.epsilon
        fact = Fact(name, repr(given.epsilon), "given", option + recorded)
    return Settled(_normalised(graph, **settings), (about, fact))


def _normalised(graph: Graph, **settings: Any) -> Graph:
    """The graph with settings of all its BatchNormalizations changed."""
    return graph.map(lambda layer: replace(layer, **settings) if isinstance(layer, BatchNormalization) else layer)


def number(value: Any, where: str) -> float:
    """A finite number from 0 to 1, as an epsilon, a momentum or a rate is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise NotACheckpoint(f"{where}: {quote(str(value))} where a number from 0 to 1 is expected")
    return float(value)
