"""Why an artifact differs: which known mistake explains it. And which convolution a file was trained with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port import tolerances
from ror_port.check.classification import Signature, scores_node
from ror_port.check.compare import Difference, compare
from ror_port.check.expectation import Expectation, Tensors, common_epsilon, run_reference, with_epsilon
from ror_port.check.progress import SILENT, Progress
from ror_port.layout import Array
from ror_port.mapping.convention import Convention, Deviation
from ror_port.network.graph import BatchNorm, Conv, Graph, Operation, Padding
from ror_port.source.port import Port
from ror_port.source.provenance import NORM_RULES


@dataclass(frozen=True)
class Case:
    """What a mistake changes: how the file is read, or what the network is given."""

    graph: Graph
    tensors: Tensors
    convention: Convention
    images: Array

    def scores(self, probabilities: bool) -> NDArray[np.float64]:
        name = scores_node(self.graph, probabilities)
        run = run_reference(self.graph, self.tensors, self.convention, self.images)
        return next(output for node, output in run if node == name)


@dataclass(frozen=True)
class Mistake:
    """Something that goes wrong with such files. Mistakes of one subject exclude each other."""

    subject: str
    name: str
    make: Callable[[Case], Case]


@dataclass(frozen=True)
class Explanation:
    """mistakes: names of those that, made together, explain a difference. before, after: without and with them."""

    mistakes: tuple[str, ...]
    before: Difference
    after: Difference
    tolerance: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _convention(**changes: Any) -> Callable[[Case], Case]:
    return lambda case: replace(case, convention=replace(case.convention, **changes))


def _graph(change: Callable[[Graph], Graph]) -> Callable[[Case], Case]:
    return lambda case: replace(case, graph=change(case.graph))


def _transposed(case: Case) -> Case:
    height = {"OIHW": 2, "HWIO": 0}[case.convention.kernels]
    tensors = {
        node: {
            role: a.swapaxes(height, height + 1) if role == "kernel" and a.ndim == 4 else a for role, a in roles.items()
        }
        for node, roles in case.tensors.items()
    }
    return replace(case, tensors=tensors)


def _images(change: Callable[[Array], Array]) -> Callable[[Case], Case]:
    return lambda case: replace(case, images=change(case.images))


def _padded(graph: Graph, padding: Padding) -> Graph:
    """The graph with another padding of its strided convolutions, where they are not padded by nothing."""

    def change(layer: Operation) -> Operation:
        if isinstance(layer, Conv) and layer.strided and layer.padding != "valid":
            return replace(layer, padding=padding)
        return layer

    return graph.map(change)


_DEVIATIONS: dict[Deviation, str] = {
    "std + epsilon": "BatchNorm's running variances taken for standard deviations",
    "√variance + epsilon": "epsilon added outside the root of BatchNorm's variance",
    "√(variance + epsilon)": "BatchNorm's running standard deviations taken for variances",
}


def mistakes(port: Port) -> Iterator[Mistake]:
    """The known mistakes that could be made with this file."""
    convention, graph = port.convention, port.graph
    flipped = "kernels not flipped" if convention.flipped else "kernels flipped that should not be"
    yield Mistake("flip", flipped, _convention(flipped=not convention.flipped))
    yield Mistake("axes", "height and width of the kernels exchanged", _transposed)
    taken = common_epsilon(graph)
    if taken is not None:
        for epsilon in sorted({rule.epsilon for rule in NORM_RULES} - {taken}):
            name = f"BatchNorm epsilon {epsilon:g} instead of {taken:g}"
            yield Mistake("epsilon", name, _graph(partial(with_epsilon, epsilon=epsilon)))
    for deviation, name in _DEVIATIONS.items():
        if deviation != convention.deviation:
            yield Mistake("deviation", name, _convention(deviation=deviation))
    if any(parameter.rows and np.prod(parameter.rows[:2]) > 1 for parameter in graph.parameters):
        other = {"CHW": "HWC", "HWC": "CHW"}[convention.rows]
        yield Mistake("rows", "rows of the Dense kernel not permuted for the order of Flatten", _convention(rows=other))
    for padding, name in _PADDINGS.items():
        if _padded(graph, padding) != graph:
            yield Mistake("padding", name, _graph(partial(_padded, padding=padding)))
    if Signature.of(graph).image[2] == 3:
        yield Mistake("channels", "RGB and BGR exchanged", _images(lambda x: x[..., ::-1]))
    yield Mistake("scale", "pixels not divided by 255", _images(lambda x: x * 255.0))
    yield Mistake("scale", "pixels divided by 255 twice", _images(lambda x: x / 255.0))


_PADDINGS: dict[Padding, str] = {
    "same": "strided convolutions padded as in TensorFlow",
    "half": "strided convolutions padded as in Theano",
}


def explain(
    expectation: Expectation,
    scores: Array,
    *,
    probabilities: bool,
    tolerance: float,
    progress: Progress = SILENT,
) -> Explanation | None:
    """The mistake, or the pair of them, under which the reference computes what was observed; None where none does.

    scores: what an artifact, or a record, gives for the expectation's images. A mistake explains a difference when
    what is left of it lies within the tolerance. Where several do, the one that leaves least.
    """
    port = expectation.port
    case = Case(port.graph, expectation.tensors, port.convention, expectation.images)
    before = compare(scores, expectation.scores(probabilities))
    known = list(mistakes(port))
    singles = [(mistake,) for mistake in known]
    pairs = [pair for pair in combinations(known, 2) if pair[0].subject != pair[1].subject]
    for candidates in (singles, pairs):
        found = []
        for made in progress.track(candidates, len(candidates), "trying known mistakes"):
            wrong = case
            for mistake in made:
                wrong = mistake.make(wrong)
            after = compare(scores, wrong.scores(probabilities))
            if after.relative_l2 <= tolerance < before.relative_l2:
                found.append(Explanation(tuple(mistake.name for mistake in made), before, after, tolerance))
        if found:
            return min(found, key=lambda explanation: explanation.after.relative_l2)
    return None


@dataclass(frozen=True)
class Misfit:
    """How far the statistics that a hypothesis produces lie from the running ones in the file.

    layers: BatchNorm → divergence of each channel, that of Kullback and Leibler between two normal distributions with
    the mean and the variance of the batch, and with the running ones; 0 where they agree.
    """

    true_convolution: bool
    layers: dict[str, NDArray[np.float64]]

    @property
    def channels(self) -> NDArray[np.float64]:
        return np.concatenate(list(self.layers.values()))

    @property
    def mean(self) -> float:
        return float(self.channels.mean())


@dataclass(frozen=True)
class Training:
    """What the running statistics tell of the convolution that a network was trained with."""

    as_taken: Misfit
    otherwise: Misfit

    @property
    def best(self) -> Misfit:
        return min(self.as_taken, self.otherwise, key=lambda misfit: misfit.mean)

    @property
    def other(self) -> Misfit:
        return self.otherwise if self.best is self.as_taken else self.as_taken

    @property
    def votes(self) -> int:
        """Channels that fit better under the best hypothesis than under the other."""
        return int((self.best.channels < self.other.channels).sum())

    @property
    def deviations(self) -> float:
        """How many standard deviations of a fair coin the votes lie above one half."""
        n = len(self.best.channels)
        return float((self.votes - n / 2) / (n / 4) ** 0.5)

    @property
    def verdict(self) -> str:
        """ "theano", "not theano", or "inconclusive"."""
        if self.best.mean > tolerances.STATISTICS_FIT or self.deviations < tolerances.STATISTICS_VOTES:
            return "inconclusive"
        return "theano" if self.best.true_convolution else "not theano"

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "channels": len(self.best.channels),
            "votes": self.votes,
            "deviations": self.deviations,
            "hypotheses": [
                {
                    "true_convolution": misfit.true_convolution,
                    "taken": misfit is self.as_taken,
                    "divergence": misfit.mean,
                    "layers": {name: float(values.mean()) for name, values in misfit.layers.items()},
                }
                for misfit in (self.as_taken, self.otherwise)
            ],
        }


def training(port: Port, images: Array) -> Training:
    """Compares the statistics of unlabelled images under both convolutions with the running ones in the file.

    images: (batch, height, width, channels), of the kind the network was trained on and scaled as then. Every
    BatchNorm normalises by its batch, as it did when the running statistics were collected.
    """
    tensors = port.reference_tensors()
    other = replace(port.convention, flipped=not port.convention.flipped)
    return Training(_misfit(port.graph, tensors, port.convention, images), _misfit(port.graph, tensors, other, images))


def _misfit(graph: Graph, tensors: Tensors, convention: Convention, images: Array) -> Misfit:
    tiny = np.finfo(np.float32).tiny
    norms = {node.inputs[0]: node.name for node in graph if isinstance(node.operation, BatchNorm)}
    layers = {}
    for name, output in run_reference(graph, tensors, convention, images, training=True):
        if name in norms:
            mean, variance = (of(axis=tuple(range(output.ndim - 1))) for of in (output.mean, output.var))
            stored = {role: np.asarray(tensor, np.float64) for role, tensor in tensors[norms[name]].items()}
            running = stored["moving_variance"] ** (2 if convention.deviation == "std + epsilon" else 1) + tiny
            ratio = (variance + tiny) / running
            shift = (mean - stored["moving_mean"]) ** 2 / running
            layers[norms[name]] = (ratio + shift - 1 - np.log(ratio)) / 2
    return Misfit(convention.flipped, layers)
