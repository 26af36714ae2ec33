"""What an artifact is expected to compute: the reference on a source's untouched tensors, each thing computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ror_port import tolerances
from ror_port.check.classification import Signature, ends, gives_classes
from ror_port.check.compare import Difference, compare
from ror_port.errors import BadValues, quote
from ror_port.layout import Array
from ror_port.network.graph import Graph
from ror_port.network.layers import BatchNormalization
from ror_port.network.layers.normalization import LATEST
from ror_port.source.port import Inputs, Port
from ror_port.source.provenance import OTHER_EPSILON

Tensors = Mapping[str, Mapping[str, Array]]
"""Node → role → tensor as its file has it."""

Outputs = tuple[NDArray[np.float64], ...]
"""What a network gives, one array (batch, …) an output, in their order, images channels_last."""


def depth(graph: Graph, output: str) -> int:
    """Layers with kernels on the longest way to an output."""
    found: dict[str, int] = {}
    for node in graph:
        found[node.name] = max((found[name] for name in node.inputs), default=0)
        found[node.name] += any(parameter.role.endswith("kernel") for parameter in node.parameters)
    return found[output]


@dataclass(frozen=True)
class Tolerance:
    """What rounding may cost an artifact.

    noise: relative L2 difference of an output between float32 and float64; depth: layers that a number passes.
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
    """What another BatchNorm epsilon would change. difference: of the logits; of several outputs, the largest."""

    epsilon: float
    other: float
    difference: Difference

    def as_json(self) -> dict[str, Any]:
        classes = self.difference.same_top1 is not None
        return {
            "epsilon": self.epsilon,
            "other": self.other,
            "logits_relative_l2": self.difference.relative_l2,
            "logits_max_abs": self.difference.max_abs,
            "top1_changed": self.difference.changed_top1 if classes else None,
            "images": self.difference.images,
        }


def common_epsilon(graph: Graph) -> float | None:
    """The epsilon of all BatchNorms; None where they have several, or where there is none."""
    found = {node.layer.epsilon for node in graph if isinstance(node.layer, BatchNormalization)}
    return found.pop() if len(found) == 1 else None


def with_epsilon(graph: Graph, epsilon: float) -> Graph:
    """The graph with another epsilon in every BatchNorm."""
    return graph.map(lambda layer: replace(layer, epsilon=epsilon) if isinstance(layer, BatchNormalization) else layer)


@dataclass
class Expectation:
    """What Theano would compute of some inputs. Everything is computed when it is first asked for, and kept.

    inputs: (batch, …), images (batch, height, width, channels); of several inputs a mapping by their nodes. per_layer:
    whether the output of every layer is kept, not the scores alone.
    """

    port: Port
    inputs: Inputs
    per_layer: bool = False

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """The inputs by their nodes, in the order of the graph. Raises UsageError where they do not fit."""
        return self.port.inputs(self.inputs)

    @property
    def count(self) -> int:
        """Length of the batch."""
        return len(next(iter(self.arrays.values())))

    @cached_property
    def signature(self) -> Signature:
        return Signature.of(self.port)

    @cached_property
    def tensors(self) -> Tensors:
        """Untouched. Raises BadValues where some are not finite and that was not admitted."""
        return self.port.tensors()

    def ensure_meaningful(self) -> None:
        """Raises BadValues where the tensors hold values with which nothing can be computed, if they are admitted."""
        _ = self.tensors  # reading them tells
        if self.port.admitted:
            name, value = next(iter(self.port.admitted.items()))
            raise BadValues(f"{self.port.checkpoint.path}: predictions mean nothing: {quote(name)} holds {value}")

    @cached_property
    def outputs(self) -> dict[str, NDArray[np.float64]]:
        """Node → output: of every node, or of those that give scores."""
        return self._run(self.port, np.float64, keep_all=self.per_layer)

    @cached_property
    def _rounded(self) -> dict[str, NDArray[np.float64]]:
        """The scores, computed in float32."""
        return self._run(self.port, np.float32)

    def _run(self, port: Port, dtype: DTypeLike, keep_all: bool = False) -> dict[str, NDArray[np.float64]]:
        graph = port.graph
        wanted = {*graph.outputs, *ends(graph)}
        run = port.run(self.arrays, tensors=self.tensors, dtype=dtype)
        return {name: output for name, output in run if keep_all or name in wanted}

    @property
    def logits(self) -> NDArray[np.float64]:
        """Of the only output."""
        (logits,) = self.scores()
        return logits

    def scores(self, softmax: Sequence[bool] | None = None) -> Outputs:
        """The outputs; softmax as of `ends`."""
        return tuple(self.outputs[name] for name in ends(self.port.graph, softmax))

    def compare(self, actual: Sequence[Array], softmax: Sequence[bool] | None = None) -> tuple[Difference, ...]:
        """Compares what an artifact gives with the expected outputs, one by one; softmax as of `ends`."""
        return self.differences(actual, self.scores(softmax))

    def differences(self, actual: Sequence[Array], expected: Sequence[Array]) -> tuple[Difference, ...]:
        classes = (gives_classes(self.port, name) for name in self.port.graph.outputs)
        return tuple(compare(a, e, classes=c) for a, e, c in zip(actual, expected, classes, strict=True))

    def noise(self, softmax: Sequence[bool] | None = None) -> tuple[float, ...]:
        """What float32 costs the reference itself, but never less than a rounding error a layer, adding up at random.

        Relative L2 differences of the outputs.
        """
        eps = float(np.finfo(np.float32).eps)
        rounded = [self._rounded[name] for name in ends(self.port.graph, softmax)]
        found = self.differences(rounded, self.scores(softmax))
        least = (eps / 2 * layers**0.5 for layers in self._depths)
        return tuple(max(difference.relative_l2, floor) for difference, floor in zip(found, least, strict=True))

    @cached_property
    def _depths(self) -> tuple[int, ...]:
        """Of each output; 1 where no layer on the way has a kernel."""
        return tuple(max(1, depth(self.port.graph, name)) for name in self.port.graph.outputs)

    def tolerances(self, exact: bool, softmax: Sequence[bool] | None = None) -> tuple[Tolerance, ...]:
        """One an output. exact: for what computes in float64 with all the bits of the source."""
        share = float(np.finfo(np.float64).eps / np.finfo(np.float32).eps) if exact else 1.0
        precision = "float64" if exact else "float32"
        pairs = zip(self.noise(softmax), self._depths, strict=True)
        return tuple(Tolerance(noise * share, layers, precision) for noise, layers in pairs)

    @cached_property
    def epsilon_effect(self) -> EpsilonEffect | None:
        """What the epsilon of the other Keras versions would change; None where no one epsilon was taken."""
        taken = common_epsilon(self.port.graph)
        if taken is None:
            return None
        other = OTHER_EPSILON if taken == LATEST.epsilon else LATEST.epsilon
        changed = replace(self.port, graph=with_epsilon(self.port.graph, other))
        outputs = self._run(changed, np.float64)
        differences = self.differences([outputs[name] for name in ends(changed.graph)], self.scores())
        return EpsilonEffect(taken, other, max(differences, key=lambda difference: difference.relative_l2))
