"""Comparing what a converted file computes with what Theano would have computed.

The expectation comes from `ror_port.theano.run` on the source's untouched tensors; the artifact is loaded
from disk by its own framework (`ror_port.check.runtimes`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port import tolerances
from ror_port.check.runtimes import Runtime
from ror_port.layout import NHWC_TO_NCHW, Array
from ror_port.network.graph import Shape
from ror_port.source.port import Port
from ror_port.source.provenance import LATEST, OTHER_EPSILON
from ror_port.theano import run as theano_numpy

IMAGES = 8
"""Images a check runs on: enough for the answers to differ, few enough for the reference to take seconds."""


@dataclass(frozen=True)
class Difference:
    """How far `actual` is from `expected`.

    relative_l2: ‖actual − expected‖ / ‖expected‖, which is also the smallest tolerance that would pass.
    worst: index of the largest absolute difference. same_answers, answers: images with equal argmax, and all.
    """

    relative_l2: float
    max_abs: float
    worst: tuple[int, ...]
    same_answers: int
    answers: int

    def within(self, tolerance: float) -> bool:
        return self.relative_l2 <= tolerance and self.same_answers == self.answers

    def __str__(self) -> str:
        return (
            f"relative L2 {self.relative_l2:.2g}, largest difference {self.max_abs:.2g} at {self.worst}, "
            f"same answer for {self.same_answers} of {self.answers}"
        )


def compare(actual: Array, expected: Array) -> Difference:
    """Compares two arrays of one shape, images on the first axis, scores on the last."""
    if actual.shape != expected.shape:
        raise ValueError(f"shapes {actual.shape} and {expected.shape} cannot be compared")
    a, e = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    distance = np.abs(a - e)
    worst = np.unravel_index(int(distance.argmax()), distance.shape)
    norm = float(np.linalg.norm(e))
    error = float(np.linalg.norm(a - e))
    return Difference(
        relative_l2=error / norm if norm else error,
        max_abs=float(distance.max()),
        worst=tuple(int(i) for i in worst),
        same_answers=int((a.argmax(-1) == e.argmax(-1)).sum()),
        answers=int(a.argmax(-1).size),
    )


def images(shape: Shape, count: int = IMAGES, seed: int = 0) -> NDArray[np.float32]:
    """Seeded inputs in [0, 1], (count, height, width, channels): noise over a slope, different in every channel.

    Nothing in them is symmetric, so that a flip, a transposition or a swap of channels shows.
    """
    height, width, channels = shape
    random = np.random.default_rng(seed)
    rows = np.linspace(-0.5, 0.5, height)[:, None, None]
    columns = np.linspace(-0.5, 0.5, width)[None, :, None]
    slopes = random.uniform(-1, 1, (2, count, 1, 1, channels))
    ground, contrast = random.uniform(0, 1, (2, count, 1, 1, channels))
    noise = random.uniform(-0.5, 0.5, (count, height, width, channels))
    pictures = ground + slopes[0] * rows + slopes[1] * columns + contrast * noise
    return np.asarray(np.clip(pictures, 0, 1), np.float32)


def expected(port: Port, pictures: NDArray[Any]) -> NDArray[np.float64]:
    """The logits that Theano would have computed. pictures: (batch, height, width, channels)."""
    logits = port.graph.logits
    tensors = port.reference_tensors()
    return theano_numpy.outputs(port.graph, tensors, port.convention, NHWC_TO_NCHW(pictures), logits)[logits]


@dataclass(frozen=True)
class EpsilonEffect:
    """What it would mean if the file's epsilon were not the one taken. difference: of the logits."""

    epsilon: float
    other: float
    difference: Difference


def epsilon_effect(port: Port, pictures: NDArray[Any], logits: NDArray[np.float64]) -> EpsilonEffect:
    """Runs the reference again under the epsilon of the other Keras eras."""
    taken = port.network.epsilon
    other = OTHER_EPSILON if taken == LATEST.epsilon else LATEST.epsilon
    graph = replace(port.network, epsilon=other).graph()
    return EpsilonEffect(taken, other, compare(expected(replace(port, graph=graph), pictures), logits))


@dataclass(frozen=True)
class Explanation:
    """mistakes: names of those that, made together, explain a difference. before, after: without and with them."""

    mistakes: tuple[str, ...]
    before: Difference
    after: Difference
    tolerance: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Check:
    """An artifact against the reference. runtime: what computed it."""

    runtime: str
    difference: Difference
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.difference.within(self.tolerance)

    def as_json(self) -> dict[str, Any]:
        return {"passed": self.passed, **asdict(self)}


@dataclass(frozen=True)
class Unchecked:
    """Why an artifact was not compared."""

    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"passed": None, "reason": self.reason}


def check(port: Port, artifact: Runtime, pictures: Array, reference: NDArray[np.float64]) -> Check:
    """Compares an artifact of `port` with the reference's logits of the same pictures (`expected`)."""
    scores = artifact.run(pictures)
    wanted = theano_numpy.softmax(reference) if artifact.probabilities else reference
    exact = artifact.exact and not port.rounds
    return Check(artifact.name, compare(scores, wanted), tolerances.FLOAT64 if exact else tolerances.FLOAT32)
