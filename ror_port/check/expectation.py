"""What an artifact is expected to compute: the reference on a source's untouched tensors, each thing computed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ror_port import tolerances
from ror_port.check.classification import Signature, scores_node
from ror_port.check.compare import Difference, compare
from ror_port.errors import BadValues, quote
from ror_port.layout import NCHW_TO_NHWC, NHWC_TO_NCHW, Array
from ror_port.mapping.convention import Convention
from ror_port.network.graph import BatchNorm, Conv, Dense, Graph
from ror_port.source.port import Port
from ror_port.source.provenance import LATEST, OTHER_EPSILON
from ror_port.theano import run as theano_numpy

Tensors = Mapping[str, Mapping[str, Array]]
"""Node → role → tensor as its file has it."""


def run_reference(
    graph: Graph,
    tensors: Tensors,
    convention: Convention,
    images: Array,
    *,
    dtype: DTypeLike = np.float64,
    training: bool = False,
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yields every node with its output. Images and feature maps are (batch, height, width, channels).

    dtype: what is computed in. training: normalise by the batch, as in training.
    """
    run = theano_numpy.run(graph, tensors, convention, NHWC_TO_NCHW(images), dtype=dtype, training=training)
    for name, output in run:
        yield name, NCHW_TO_NHWC(output) if output.ndim == 4 else output


def depth(graph: Graph) -> int:
    """Convolutions and Dense layers on the longest way from the image to the output."""
    found: dict[str, int] = {}
    for node in graph:
        found[node.name] = max((found[name] for name in node.inputs), default=0)
        found[node.name] += isinstance(node.operation, Conv | Dense)
    return found[scores_node(graph, probabilities=True)]


@dataclass(frozen=True)
class Tolerance:
    """What rounding may cost an artifact.

    noise: relative L2 difference of the scores between float32 and float64; depth: layers that a number passes.
    """

    noise: float
    depth: int
    precision: str

    @property
    def value(self) -> float:
        return tolerances.MARGIN * self.noise

    def as_json(self) -> dict[str, Any]:
        return {"value": self.value, "margin": tolerances.MARGIN, **asdict(self)}


@dataclass(frozen=True)
class EpsilonEffect:
    """What another BatchNorm epsilon would change. difference: of the logits."""

    epsilon: float
    other: float
    difference: Difference

    def as_json(self) -> dict[str, Any]:
        return {
            "epsilon": self.epsilon,
            "other": self.other,
            "logits_relative_l2": self.difference.relative_l2,
            "logits_max_abs": self.difference.max_abs,
            "top1_changed": self.difference.changed_top1,
            "images": self.difference.images,
        }


def common_epsilon(graph: Graph) -> float | None:
    """The epsilon of all BatchNorms; None where they have several, or where there is none."""
    found = {node.operation.epsilon for node in graph if isinstance(node.operation, BatchNorm)}
    return found.pop() if len(found) == 1 else None


def with_epsilon(graph: Graph, epsilon: float) -> Graph:
    """The graph with another epsilon in every BatchNorm."""
    return graph.map(lambda layer: replace(layer, epsilon=epsilon) if isinstance(layer, BatchNorm) else layer)


@dataclass
class Expectation:
    """What Theano would compute of some inputs. Everything is computed when it is first asked for, and kept.

    images: (batch, height, width, channels). per_layer: whether the output of every layer is kept, not the scores
    alone.
    """

    port: Port
    images: Array
    per_layer: bool = False

    @property
    def signature(self) -> Signature:
        return Signature.of(self.port.graph)

    @cached_property
    def tensors(self) -> Tensors:
        """Untouched. Raises BadValues where some are not finite and that was not admitted."""
        return self.port.reference_tensors()

    def ensure_meaningful(self) -> None:
        """Raises BadValues where the tensors hold values with which nothing can be computed, if they are admitted."""
        _ = self.tensors  # reading them tells
        if self.port.admitted:
            name, value = next(iter(self.port.admitted.items()))
            raise BadValues(f"{self.port.checkpoint.path}: predictions mean nothing: {quote(name)} holds {value}")

    @cached_property
    def outputs(self) -> dict[str, NDArray[np.float64]]:
        """Node → output: of every node, or of those that give scores."""
        return self._run(self.port.graph, np.float64, keep_all=self.per_layer)

    @cached_property
    def _rounded(self) -> dict[str, NDArray[np.float64]]:
        """The scores, computed in float32."""
        return self._run(self.port.graph, np.float32)

    def _run(self, graph: Graph, dtype: DTypeLike, keep_all: bool = False) -> dict[str, NDArray[np.float64]]:
        run = run_reference(graph, self.tensors, self.port.convention, self.images, dtype=dtype)
        scores = {scores_node(graph, probabilities) for probabilities in (False, True)}
        return {name: output for name, output in run if keep_all or name in scores}

    @property
    def logits(self) -> NDArray[np.float64]:
        return self.scores(probabilities=False)

    def scores(self, probabilities: bool) -> NDArray[np.float64]:
        """(batch, classes), after the softmax or before it."""
        return self.outputs[scores_node(self.port.graph, probabilities)]

    def noise(self, probabilities: bool = False) -> float:
        """What float32 costs the reference itself, but never less than a rounding error a layer, adding up at random.

        A relative L2 difference of the scores.
        """
        rounded = self._rounded[scores_node(self.port.graph, probabilities)]
        least: float = np.finfo(np.float32).eps / 2 * depth(self.port.graph) ** 0.5
        return max(compare(rounded, self.scores(probabilities)).relative_l2, float(least))

    def tolerance(self, exact: bool, probabilities: bool = False) -> Tolerance:
        """exact: for what computes in float64 with all the bits of the source."""
        noise, layers = self.noise(probabilities), depth(self.port.graph)
        if exact:
            return Tolerance(noise * float(np.finfo(np.float64).eps / np.finfo(np.float32).eps), layers, "float64")
        return Tolerance(noise, layers, "float32")

    @cached_property
    def epsilon_effect(self) -> EpsilonEffect | None:
        """What the epsilon of the other Keras versions would change; None where no one epsilon was taken."""
        graph = self.port.graph
        taken = common_epsilon(graph)
        if taken is None:
            return None
        other = OTHER_EPSILON if taken == LATEST.epsilon else LATEST.epsilon
        logits = self._run(with_epsilon(graph, other), np.float64)[scores_node(graph, probabilities=False)]
        return EpsilonEffect(taken, other, compare(logits, self.logits))
