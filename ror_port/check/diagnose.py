"""Why an artifact differs: which known mistake explains it. And which convolution a file was trained with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ror_port import tolerances as limits
from ror_port.check.classification import ends
from ror_port.check.compare import Difference, furthest
from ror_port.check.expectation import Expectation, Outputs, Tensors, common_epsilon, with_epsilon
from ror_port.check.progress import SILENT, Progress
from ror_port.layout import Array, PermuteFlattened
from ror_port.mapping import weights
from ror_port.network.graph import Graph, Parameter
from ror_port.network.layers import BatchNormalization, Conv2D, Dense, Flatten, Layer
from ror_port.network.layers.normalization import NORM_RULES, Divisor
from ror_port.network.layers.spatial import Padding, Spatial
from ror_port.source.port import Port
from ror_port.source.provenance import dotted, last_of


@dataclass(frozen=True)
class Case:
    """What a mistake changes: how the file is read, or what the network is given."""

    port: Port
    tensors: Tensors
    inputs: Mapping[str, Array]

    def scores(self, softmax: Sequence[bool]) -> Outputs:
        names = ends(self.port.graph, softmax)
        found = self.port.outputs(self.inputs, *names, tensors=self.tensors)
        return tuple(found[name] for name in names)


@dataclass(frozen=True)
class Mistake:
    """Something that goes wrong with such files. Mistakes that share a subject exclude each other.

    option: what reads the file so, on the command line; None for what is no matter of reading it.
    """

    subjects: frozenset[str]
    name: str
    make: Callable[[Case], Case]
    option: str | None = None


@dataclass(frozen=True)
class Explanation:
    """mistakes: names of those that, made together, explain a difference. before, after: without and with them.

    options: those of the command line under which the file is read so, where all of them are matters of reading it.
    Of several outputs before, after and tolerance are those of the one that is furthest from what is expected.
    """

    mistakes: tuple[str, ...]
    options: tuple[str, ...]
    before: Difference
    after: Difference
    tolerance: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _graph(change: Callable[[Graph], Graph]) -> Callable[[Case], Case]:
    return lambda case: replace(case, port=replace(case.port, graph=change(case.port.graph)))


def _flipped(case: Case) -> Case:
    convention = case.port.convention
    return replace(case, port=replace(case.port, convention=replace(convention, theano=not convention.theano)))


def _weights(change: Callable[[Graph, Parameter, Array], Array]) -> Callable[[Case], Case]:
    """Changes the tensors of the file, each given in canonical form with its parameter."""

    def make(case: Case) -> Case:
        changed: dict[str, dict[str, Array]] = {}
        for parameter in case.port.graph.parameters:
            tensor = case.tensors[parameter.node][parameter.role]
            layout = case.port.convention.layout(parameter, tensor.shape)
            canonical = change(case.port.graph, parameter, layout.inverse.view(tensor))
            changed.setdefault(parameter.node, {})[parameter.role] = layout.view(canonical)
        return replace(case, tensors=changed)

    return make


def _transposed(_: Graph, parameter: Parameter, kernel: Array) -> Array:
    axes = weights.row(parameter.layer, parameter.role).axes
    if not {"H", "W"} <= set(axes):
        return kernel
    height, width = axes.index("H"), axes.index("W")
    return kernel.swapaxes(height, width) if kernel.shape[height] == kernel.shape[width] else kernel


def _reordered(graph: Graph, parameter: Parameter, kernel: Array) -> Array:
    """The rows of a Dense kernel as if they belonged to a vector that was flattened with the channels elsewhere."""
    order = _other_order(graph, parameter)
    return order.view(kernel) if order else kernel


def _other_order(graph: Graph, parameter: Parameter) -> PermuteFlattened | None:
    """From the other order of flattening to the graph's own, where a Dense kernel reads a flattened image."""
    if not isinstance(parameter.layer, Dense) or parameter.role != "kernel":
        return None
    source = graph[graph[parameter.node].inputs[0]]
    while source.layer.elementwise and len(source.inputs) == 1:
        source = graph[source.inputs[0]]
    images = [node.layer for node in graph if isinstance(node.layer, Spatial) and node.layer.rank == 2]
    if not isinstance(source.layer, Flatten) or not images:
        return None
    (shape,) = graph.shapes(source)
    if len(shape) != 3:
        return None
    (height, width), channels = images[0].lengths(shape), images[0].channels(shape)
    if channels == 1 or height * width == 1:
        return None
    if images[0].data_format == "channels_first" and source.layer.data_format == "channels_last":
        return PermuteFlattened((height, width, channels), (2, 0, 1))
    return PermuteFlattened((channels, height, width), (1, 2, 0))


def _images(change: Callable[[Array], Array]) -> Callable[[Case], Case]:
    """Changes the inputs that are images."""

    def make(case: Case) -> Case:
        return replace(case, inputs={name: change(x) if x.ndim == 4 else x for name, x in case.inputs.items()})

    return make


def _padded(graph: Graph, padding: Padding) -> Graph:
    """The graph with another padding of its strided convolutions, where they are not padded by nothing."""

    def change(layer: Layer) -> Layer:
        if isinstance(layer, Conv2D) and max(layer.strides) > 1 and layer.padding in _PADDINGS:
            return replace(layer, padding=padding)
        return layer

    return graph.map(change)


def _normalised(graph: Graph, **settings: Any) -> Graph:
    """The graph with settings of all its BatchNorms changed."""
    return graph.map(lambda layer: replace(layer, **settings) if isinstance(layer, BatchNormalization) else layer)


_DIVISORS: dict[Divisor, str] = {
    "std + epsilon": "BatchNorm's running variances taken for standard deviations",
    "√variance + epsilon": "epsilon added outside the root of BatchNorm's variance",
    "√(variance + epsilon)": "BatchNorm's running standard deviations taken for variances",
}


def mistakes(port: Port) -> Iterator[Mistake]:
    """The known mistakes that could be made with this file."""
    graph, layers = port.graph, [node.layer for node in port.graph]
    rows = [weights.row(parameter.layer, parameter.role) for parameter in graph.parameters]
    if any(row.flips for row in rows):
        flipped = "kernels not flipped" if port.convention.theano else "kernels flipped that should not be"
        other = "tensorflow" if port.convention.theano else "theano"
        yield Mistake(frozenset({"flip"}), flipped, _flipped, f"--source-backend {other}")
    if any({"H", "W"} <= set(row.axes) for row in rows):
        yield Mistake(frozenset({"axes"}), "height and width of the kernels exchanged", _weights(_transposed))
    taken = common_epsilon(graph)
    if taken is not None:
        for epsilon in sorted({rule.epsilon for rule in NORM_RULES} - {taken}):
            name = f"BatchNorm epsilon {epsilon:g} instead of {taken:g}"
            make = _graph(partial(with_epsilon, epsilon=epsilon))
            yield Mistake(frozenset({"epsilon"}), name, make, f"--bn-epsilon {epsilon:g}")
    divisors = {layer.divisor for layer in layers if isinstance(layer, BatchNormalization)}
    seen: set[Divisor] = set()
    for rule in NORM_RULES if divisors else ():
        if divisors == {rule.divisor}:
            continue
        name, version = _DIVISORS[rule.divisor], dotted(last_of(rule, port.convention.software))
        if taken is None or taken != rule.epsilon:  # what a version divides by, and its epsilon, are one mistake
            whole = f"BatchNorm of Keras {version} ({rule.divisor}, epsilon {rule.epsilon:g})"
            subjects = frozenset({"divisor", "epsilon"})
            make = _graph(partial(_normalised, divisor=rule.divisor, epsilon=rule.epsilon))
            yield Mistake(subjects, whole, make, f"--source-keras {version}")
        if rule.divisor not in seen:
            seen.add(rule.divisor)
            option = f"--source-keras {version}" + (f" --bn-epsilon {taken:g}" if taken is not None else "")
            yield Mistake(frozenset({"divisor"}), name, _graph(partial(_normalised, divisor=rule.divisor)), option)
    if any(_other_order(graph, parameter) for parameter in graph.parameters):
        name = "rows of the Dense kernel not permuted for the order of Flatten"
        yield Mistake(frozenset({"rows"}), name, _weights(_reordered))
    for padding, name in _PADDINGS.items():
        if _padded(graph, padding) != graph:
            yield Mistake(frozenset({"padding"}), name, _graph(partial(_padded, padding=padding)))
    images = [node.shape for node in port.channels_last.graph.inputs if len(node.shape) == 3]
    if any(channels == 3 for *_, channels in images):
        yield Mistake(
            frozenset({"channels"}), "RGB and BGR exchanged", _images(lambda x: x[..., ::-1] if x.shape[-1] == 3 else x)
        )
    if images:
        yield Mistake(frozenset({"scale"}), "pixels not divided by 255", _images(lambda x: x * 255.0))
        yield Mistake(frozenset({"scale"}), "pixels divided by 255 twice", _images(lambda x: x / 255.0))


_PADDINGS: dict[Padding, str] = {
    "same": "strided convolutions padded as in TensorFlow",
    "half": "strided convolutions padded as in Theano",
}


def explain(
    expectation: Expectation,
    scores: Sequence[Array],
    *,
    softmax: Sequence[bool],
    tolerances: Sequence[float],
    progress: Progress = SILENT,
) -> Explanation | None:
    """The mistake, or the pair of them, under which the reference computes what was observed; None where none does.

    scores: what an artifact, or a record, gives for the expectation's inputs, one array an output; softmax: of each,
    whether behind a softmax; tolerances: of each. A mistake explains a difference when what is left of it lies within
    the tolerances. Where several do, the one that leaves least.
    """
    port = expectation.port.sized(expectation.arrays)  # how much a mistake pads with depends on the sizes
    case = Case(port, expectation.tensors, expectation.arrays)
    before = expectation.compare(scores, softmax)
    if all(difference.relative_l2 <= limit for difference, limit in zip(before, tolerances, strict=True)):
        return None
    worst = furthest(before, tolerances)
    known = list(mistakes(port))
    singles = [(mistake,) for mistake in known]
    pairs = [pair for pair in combinations(known, 2) if not pair[0].subjects & pair[1].subjects]
    for candidates in (singles, pairs):
        found = []
        for made in progress.track(candidates, len(candidates), "trying known mistakes"):
            wrong = case
            for mistake in made:
                wrong = mistake.make(wrong)
            after = expectation.differences(scores, wrong.scores(softmax))
            if all(difference.relative_l2 <= limit for difference, limit in zip(after, tolerances, strict=True)):
                names = tuple(mistake.name for mistake in made)
                options = tuple(mistake.option for mistake in made if mistake.option is not None)
                options = options if len(options) == len(made) else ()
                found.append(Explanation(names, options, before[worst], after[worst], tolerances[worst]))
        if found:
            return min(found, key=lambda explanation: explanation.after.relative_l2)
    return None


Statistic = Literal["variances", "standard deviations"]
"""What Keras kept as the running variance; standard deviations up to 1.0.6."""


@dataclass(frozen=True)
class Misfit:
    """How far the statistics that a hypothesis produces lie from the running ones in the file.

    statistic: what the latter are taken for. layers: BatchNorm → divergence of each channel, that of Kullback and
    Leibler between two normal distributions with the mean and the variance of the batch, and with the running ones; 0
    where they agree.
    """

    true_convolution: bool
    statistic: Statistic
    layers: dict[str, NDArray[np.float64]]

    @property
    def channels(self) -> NDArray[np.float64]:
        return np.concatenate(list(self.layers.values()))

    @property
    def mean(self) -> float:
        return float(self.channels.mean())


@dataclass(frozen=True)
class Training:
    """What the running statistics tell of the Keras that a network was trained in.

    hypotheses: each convolution with each kind of statistic; the first is how the file is read.
    """

    hypotheses: tuple[Misfit, ...]

    @property
    def as_taken(self) -> Misfit:
        return self.hypotheses[0]

    @property
    def best(self) -> Misfit:
        return min(self.hypotheses, key=lambda misfit: misfit.mean)

    @property
    def other(self) -> Misfit:
        """The best one, but with the other convolution."""
        best = self.best
        return next(m for m in self.hypotheses if m.statistic == best.statistic and m is not best)

    @property
    def other_statistic(self) -> Misfit:
        """The best one, but with the other kind of statistic."""
        best = self.best
        return next(m for m in self.hypotheses if m.true_convolution == best.true_convolution and m is not best)

    def votes_against(self, other: Misfit) -> int:
        """Channels that fit better under the best hypothesis than under another."""
        return int((self.best.channels < other.channels).sum())

    def deviations_from(self, other: Misfit) -> float:
        """How many standard deviations of a fair coin the votes lie above one half."""
        n = len(self.best.channels)
        return float((self.votes_against(other) - n / 2) / (n / 4) ** 0.5)

    @property
    def votes(self) -> int:
        return self.votes_against(self.other)

    @property
    def deviations(self) -> float:
        return self.deviations_from(self.other)

    @property
    def verdict(self) -> str:
        """On the convolution: "theano", "not theano", or "inconclusive"."""
        if self.best.mean > limits.STATISTICS_FIT or self.deviations < limits.STATISTICS_VOTES:
            return "inconclusive"
        return "theano" if self.best.true_convolution else "not theano"

    @property
    def statistic(self) -> str:
        """What the running statistics are: "variances", "standard deviations", or "inconclusive"."""
        against = self.deviations_from(self.other_statistic)
        if self.best.mean > limits.STATISTICS_FIT or against < limits.STATISTICS_VOTES:
            return "inconclusive"
        return self.best.statistic

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "statistic": self.statistic,
            "channels": len(self.best.channels),
            "votes": self.votes,
            "deviations": self.deviations,
            "hypotheses": [
                {
                    "true_convolution": misfit.true_convolution,
                    "statistic": misfit.statistic,
                    "taken": misfit is self.as_taken,
                    "divergence": misfit.mean,
                    "layers": {name: float(values.mean()) for name, values in misfit.layers.items()},
                }
                for misfit in self.hypotheses
            ],
        }


def training(port: Port, images: Array) -> Training:
    """Compares the statistics of unlabelled images under both convolutions with the running ones in the file, and
    takes these for variances and for standard deviations.

    images: (batch, height, width, channels), of the kind the network was trained on and scaled as then. Every
    BatchNorm normalises by its batch, as it did when the running statistics were collected.
    """
    tensors, convention = port.tensors(), port.convention
    other = replace(port, convention=replace(convention, theano=not convention.theano))
    return Training((*_misfits(port, tensors, images), *_misfits(other, tensors, images)))


def _misfits(port: Port, tensors: Tensors, images: Array) -> tuple[Misfit, Misfit]:
    """Of one convolution, with what the running statistics are taken for by the port first."""
    tiny = np.finfo(np.float32).tiny
    graph = port.channels_last.graph  # whose axes the outputs have
    norms: dict[str, list[tuple[str, BatchNormalization]]] = {}
    for node in port.graph:
        if isinstance(node.layer, BatchNormalization):
            norms.setdefault(node.inputs[0], []).append((node.name, node.layer))
    taken: tuple[Statistic, Statistic] = ("variances", "standard deviations")
    if any(layer.divisor == "std + epsilon" for found in norms.values() for _, layer in found):
        taken = taken[1], taken[0]
    layers: dict[Statistic, dict[str, NDArray[np.float64]]] = {statistic: {} for statistic in taken}
    for source, output in port.run(images, tensors=tensors, training=True):
        for name, _ in norms.get(source, ()):
            moved = graph[name].layer
            assert isinstance(moved, BatchNormalization)
            others = tuple(axis for axis in range(output.ndim) if axis != moved.axis % output.ndim)
            mean, variance = output.mean(axis=others), output.var(axis=others)
            stored = {role: np.asarray(tensor, np.float64) for role, tensor in tensors[port.graph[name].owner].items()}
            for statistic in taken:
                running = stored["moving_variance"] ** (2 if statistic == "standard deviations" else 1) + tiny
                ratio = (variance + tiny) / running
                shift = (mean - stored["moving_mean"]) ** 2 / running
                layers[statistic][name] = (ratio + shift - 1 - np.log(ratio)) / 2
    first, second = (Misfit(port.convention.theano, statistic, layers[statistic]) for statistic in taken)
    return first, second
