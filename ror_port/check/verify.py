"""An artifact against the reference: how far off, from which layer on, and which layer by itself.

The tolerance is not a constant here. It is derived from what rounding costs: the reference runs once in float64 and
once in float32 on the same inputs, and their difference, `noise`, is what this network makes of float32 on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port import tolerances
from ror_port.check.compare import Difference, Explanation, compare
from ror_port.check.runtimes import Runtime, open_artifact
from ror_port.errors import MissingExtra, NotACheckpoint
from ror_port.formats import kind_of
from ror_port.formats.checkpoint import sha256, size
from ror_port.layout import NCHW_TO_NHWC, NHWC_TO_NCHW, Array
from ror_port.network.graph import Conv, Dense, Flatten, Graph
from ror_port.source.port import Port
from ror_port.theano import run as theano_numpy


def depth(graph: Graph) -> int:
    """Convolutions and Dense layers on the longest way from the image to the output."""
    found: dict[str, int] = {}
    for node in graph:
        found[node.name] = max((found[name] for name in node.inputs), default=0)
        found[node.name] += isinstance(node.operation, Conv | Dense)
    return found[graph.output.name]


@dataclass(frozen=True)
class Tolerance:
    """noise: relative L2 of the logits between float32 and float64; depth: layers that a number passes."""

    noise: float
    depth: int
    precision: str

    @property
    def value(self) -> float:
        return tolerances.MARGIN * self.noise

    def as_json(self) -> dict[str, Any]:
        return {"value": self.value, "margin": tolerances.MARGIN, **asdict(self)}


@dataclass
class Expectation:
    """What Theano would compute of some inputs: the reference, run on a source's untouched tensors.

    pictures: (batch, height, width, channels).
    """

    port: Port
    pictures: Array

    @cached_property
    def tensors(self) -> dict[str, dict[str, Array]]:
        return self.port.reference_tensors()

    @cached_property
    def outputs(self) -> dict[str, Array]:
        """Of every node, (batch, height, width, channels)."""
        run = theano_numpy.run(self.port.graph, self.tensors, self.port.convention, NHWC_TO_NCHW(self.pictures))
        return {name: NCHW_TO_NHWC(output) if output.ndim == 4 else output for name, output in run}

    @property
    def logits(self) -> NDArray[np.float64]:
        return self.outputs[self.port.graph.logits]

    @cached_property
    def rounded(self) -> NDArray[np.float64]:
        """The logits, computed in float32."""
        graph, images = self.port.graph, NHWC_TO_NCHW(self.pictures)
        run = theano_numpy.run(graph, self.tensors, self.port.convention, images, dtype=np.float32)
        return next(output for name, output in run if name == graph.logits)

    def scores(self, probabilities: bool) -> NDArray[np.float64]:
        return theano_numpy.softmax(self.logits) if probabilities else self.logits

    def noise(self, probabilities: bool = False) -> float:
        """What float32 costs, but never less than a rounding error a layer, adding up at random."""
        rounded = theano_numpy.softmax(self.rounded) if probabilities else self.rounded
        least: float = np.finfo(np.float32).eps / 2 * depth(self.port.graph) ** 0.5
        return max(compare(rounded, self.scores(probabilities)).relative_l2, float(least))

    def tolerance(self, exact: bool, probabilities: bool = False) -> Tolerance:
        """exact: for what computes in float64 with all the bits of the source."""
        noise, layers = self.noise(probabilities), depth(self.port.graph)
        if exact:
            return Tolerance(noise * float(np.finfo(np.float64).eps / np.finfo(np.float32).eps), layers, "float64")
        return Tolerance(noise, layers, "float32")


@dataclass(frozen=True)
class Layer:
    """One node of an artifact, relative L2 errors. end_to_end: of what it computes; None where it cannot be seen.

    alone: of what it makes of the reference's own input; None for nodes without weights.
    """

    node: str
    end_to_end: float | None
    alone: float | None = None


@dataclass(frozen=True)
class Verification:
    """What came of one artifact. reason: why it could not be run, where it could not."""

    path: Path
    sha256: str
    bytes: int
    kind: str
    runtime: str | None = None
    difference: Difference | None = None
    tolerance: Tolerance | None = None
    layers: tuple[Layer, ...] = ()
    reason: str | None = None
    explanation: Explanation | None = None
    scores: Array | None = None
    """What it answered: logits, or probabilities."""
    probabilities: bool = False

    @property
    def passed(self) -> bool | None:
        if self.difference is None or self.tolerance is None:
            return None
        return self.difference.within(self.tolerance.value)

    @property
    def first(self) -> Layer | None:
        """The first layer whose output differs."""
        return next((layer for layer in self.layers if self._off(layer.end_to_end)), None)

    @property
    def culprits(self) -> tuple[Layer, ...]:
        """The layers that differ even when they are fed as the reference's are."""
        return tuple(layer for layer in self.layers if self._off(layer.alone))

    def _off(self, error: float | None) -> bool:
        return error is not None and self.tolerance is not None and not error <= self.tolerance.value

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.path.name,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "kind": self.kind,
            "runtime": self.runtime,
            "passed": self.passed,
            "reason": self.reason,
            "difference": self.difference and asdict(self.difference),
            "tolerance": self.tolerance and self.tolerance.as_json(),
            "layers": [asdict(layer) for layer in self.layers],
            "first_difference": self.first and self.first.node,
            "differ_alone": [layer.node for layer in self.culprits],
            "explanation": self.explanation and self.explanation.as_json(),
        }


def verify(expectation: Expectation, path: Path, *, per_layer: bool = False) -> Verification:
    """Loads an artifact from disk in its own framework and compares it. per_layer: look inside, where that works."""
    kind = kind_of(path)  # which says in one line what is missing or no artifact at all
    found = Verification(path, sha256(path), size(path), kind)
    try:
        artifact = open_artifact(path, expectation.port if found.kind == "pt" else None)
    except MissingExtra as error:
        return replace(found, reason=str(error))
    network = expectation.port.network
    if (artifact.input_shape, artifact.classes) != (network.input_shape, network.classes):
        raise NotACheckpoint(
            f"{path}: takes images of {artifact.input_shape} and knows {artifact.classes} classes; "
            f"the source {network.input_shape} and {network.classes}"
        )
    scores = artifact.run(expectation.pictures)
    return replace(
        found,
        scores=scores,
        probabilities=artifact.probabilities,
        runtime=artifact.name,
        difference=compare(scores, expectation.scores(artifact.probabilities)),
        tolerance=expectation.tolerance(artifact.exact and not expectation.port.rounds, artifact.probabilities),
        layers=tuple(look_inside(expectation, artifact)) if per_layer else (),
    )


def look_inside(expectation: Expectation, artifact: Runtime) -> list[Layer]:
    """Every tap and every layer with weights, in the order of the graph."""
    graph = expectation.port.graph
    nodes = [node for node in graph if node.kind or node.name in graph.taps]
    nodes = [graph[node.inputs[0]] if isinstance(node.operation, Flatten) else node for node in nodes]
    seen = artifact.outputs(expectation.pictures, [node.name for node in nodes])
    layers = []
    for node in nodes:
        expected = expectation.outputs[node.name]
        alone = artifact.layer(node.name, _fed(expectation, artifact, node.name)) if node.kind else None
        layers.append(
            Layer(
                node.name,
                _error(seen.get(node.name), expected),
                _error(alone, expected) if alone is not None else None,
            )
        )
    return layers


def _fed(expectation: Expectation, artifact: Runtime, name: str) -> Array:
    """What the reference feeds a node with; a vector in the order in which the artifact flattens its maps."""
    (source,) = expectation.port.graph[name].inputs
    flatten = expectation.port.graph[source]
    if not isinstance(flatten.operation, Flatten):
        return expectation.outputs[source]
    maps = expectation.outputs[flatten.inputs[0]]
    return (NHWC_TO_NCHW(maps) if artifact.flattens == "CHW" else maps).reshape(len(maps), -1)


def _error(actual: Array | None, expected: Array) -> float | None:
    if actual is None:
        return None
    if actual.shape != expected.shape:
        return float("inf")
    return compare(actual, expected).relative_l2


def worst(found: Sequence[Verification]) -> bool | None:
    """Whether all passed; None where none failed but some could not be run."""
    verdicts = [verification.passed for verification in found]
    return False if False in verdicts else None if None in verdicts else True
