"""Why an artifact differs: which known mistake explains it. And which convention a file was trained under."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port import tolerances
from ror_port.check.compare import Explanation, compare
from ror_port.check.verify import Expectation
from ror_port.layout import NHWC_TO_NCHW, Array
from ror_port.mapping.convention import Deviation
from ror_port.network.graph import BatchNorm, Conv, Padding
from ror_port.source.port import Port
from ror_port.source.provenance import NORM_RULES
from ror_port.theano import run as theano_numpy


@dataclass(frozen=True)
class Case:
    """What a mistake changes: how the file is read, or what the network is shown."""

    port: Port
    tensors: dict[str, dict[str, Array]]
    pictures: Array

    def scores(self, probabilities: bool) -> NDArray[np.float64]:
        graph = self.port.graph
        name = graph.output.name if probabilities else graph.logits
        return theano_numpy.outputs(graph, self.tensors, self.port.convention, NHWC_TO_NCHW(self.pictures), name)[name]


@dataclass(frozen=True)
class Mistake:
    """Something that goes wrong with such files. Mistakes of one subject exclude each other."""

    subject: str
    name: str
    make: Callable[[Case], Case]


def _convention(**changes: Any) -> Callable[[Case], Case]:
    return lambda case: replace(case, port=replace(case.port, convention=replace(case.port.convention, **changes)))


def _network(**changes: Any) -> Callable[[Case], Case]:
    def make(case: Case) -> Case:
        return replace(case, port=replace(case.port, graph=replace(case.port.network, **changes).graph()))

    return make


def _transposed(case: Case) -> Case:
    rows = {"OIHW": 2, "HWIO": 0}[case.port.convention.kernels]
    tensors = {
        node: {role: a.swapaxes(rows, rows + 1) if role == "kernel" and a.ndim == 4 else a for role, a in roles.items()}
        for node, roles in case.tensors.items()
    }
    return replace(case, tensors=tensors)


def _scaled(factor: float) -> Callable[[Case], Case]:
    return lambda case: replace(case, pictures=case.pictures * factor)


_DEVIATIONS: dict[Deviation, str] = {
    "std + epsilon": "BatchNorm's running variances taken for standard deviations",
    "√variance + epsilon": "epsilon added outside the root of BatchNorm's variance",
    "√(variance + epsilon)": "BatchNorm's running standard deviations taken for variances",
}


def mistakes(port: Port) -> Iterator[Mistake]:
    """The known mistakes that could be made with this file."""
    convention, network = port.convention, port.network
    flipped = "kernels not flipped" if convention.flipped else "kernels flipped that should not be"
    yield Mistake("flip", flipped, _convention(flipped=not convention.flipped))
    yield Mistake("axes", "rows and columns of the kernels exchanged", _transposed)
    for epsilon in sorted({rule.epsilon for rule in NORM_RULES} - {network.epsilon}):
        change = _network(epsilon=epsilon)
        yield Mistake("epsilon", f"BatchNorm epsilon {epsilon:g} instead of {network.epsilon:g}", change)
    for deviation, name in _DEVIATIONS.items():
        if deviation != convention.deviation:
            yield Mistake("deviation", name, _convention(deviation=deviation))
    if any(parameter.rows and np.prod(parameter.rows[:2]) > 1 for parameter in port.graph.parameters):
        other = {"CHW": "HWC", "HWC": "CHW"}[convention.rows]
        yield Mistake("rows", "rows of the Dense kernel not permuted for the order of Flatten", _convention(rows=other))
    padding: Padding = "same" if network.padding == "half" else "half"
    if replace(network, padding=padding).graph() != port.graph and _strided(port):
        name = "strided convolutions padded as in TensorFlow" if padding == "same" else "padded as in Theano"
        yield Mistake("padding", name, _network(padding=padding))
    if network.input_shape[2] == 3:
        yield Mistake("channels", "RGB and BGR exchanged", lambda c: replace(c, pictures=c.pictures[..., ::-1]))
    yield Mistake("scale", "pixels not divided by 255", _scaled(255.0))
    yield Mistake("scale", "pixels divided by 255 twice", _scaled(1 / 255))


def _strided(port: Port) -> bool:
    return any(isinstance(node.operation, Conv) and node.operation.strided for node in port.graph)


Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def explain(
    expectation: Expectation,
    scores: Array,
    *,
    probabilities: bool,
    tolerance: float,
    progress: Progress = lambda items, _: items,
) -> Explanation | None:
    """The mistake, or the pair of them, under which the reference computes what was observed; None where none does.

    scores: what an artifact, or a record, gives for the expectation's pictures. A mistake explains a difference when
    what is left of it lies within the tolerance. Where several do, the one that leaves least.
    """
    case = Case(expectation.port, expectation.tensors, expectation.pictures)
    before = compare(scores, expectation.scores(probabilities))
    known = list(mistakes(expectation.port))
    singles = [(mistake,) for mistake in known]
    pairs = [pair for pair in combinations(known, 2) if pair[0].subject != pair[1].subject]
    for candidates in (singles, pairs):
        found = []
        for made in progress(candidates, len(candidates)):
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

    flipped: bool
    layers: dict[str, NDArray[np.float64]]

    @property
    def channels(self) -> NDArray[np.float64]:
        return np.concatenate(list(self.layers.values()))

    @property
    def mean(self) -> float:
        return float(self.channels.mean())


@dataclass(frozen=True)
class Training:
    """What the running statistics say of the convolution that a network was trained with."""

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
        return "theano" if self.best.flipped else "not theano"

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "channels": len(self.best.channels),
            "votes": self.votes,
            "deviations": self.deviations,
            "hypotheses": [
                {
                    "flipped": misfit.flipped,
                    "taken": misfit is self.as_taken,
                    "divergence": misfit.mean,
                    "layers": {name: float(values.mean()) for name, values in misfit.layers.items()},
                }
                for misfit in (self.as_taken, self.otherwise)
            ],
        }


def training(port: Port, pictures: Array) -> Training:
    """Compares the statistics of unlabelled images under both convolutions with the running ones in the file.

    pictures: (batch, height, width, channels), of the kind the network was trained on and scaled as then. Every
    BatchNorm normalises by its batch, as it did when the running statistics were collected.
    """
    tensors = port.reference_tensors()
    other = replace(port, convention=replace(port.convention, flipped=not port.convention.flipped))
    return Training(_misfit(port, tensors, pictures), _misfit(other, tensors, pictures))


def _misfit(port: Port, tensors: dict[str, dict[str, Array]], pictures: Array) -> Misfit:
    graph, tiny = port.graph, np.finfo(np.float32).tiny
    norms = {node.inputs[0]: node.name for node in graph if isinstance(node.operation, BatchNorm)}
    layers = {}
    for name, output in theano_numpy.run(graph, tensors, port.convention, NHWC_TO_NCHW(pictures), training=True):
        if name in norms:
            stored = {role: np.asarray(tensor, np.float64) for role, tensor in tensors[norms[name]].items()}
            running = stored["moving_variance"] ** (2 if port.convention.deviation == "std + epsilon" else 1) + tiny
            ratio = (output.var((0, 2, 3)) + tiny) / running
            shift = (output.mean((0, 2, 3)) - stored["moving_mean"]) ** 2 / running
            layers[norms[name]] = (ratio + shift - 1 - np.log(ratio)) / 2
    return Misfit(port.convention.flipped, layers)
