"""What an artifact is expected to compute: the reference on a source's untouched tensors, each thing computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ror_port import tolerances
from ror_port.check.classification import Signature, ends, gives_classes, seeded_of_other_sizes
from ror_port.check.compare import Difference, compare
from ror_port.errors import BadValues, quote
from ror_port.layout import Array, varies
from ror_port.network.graph import Graph
from ror_port.network.layers import BatchNormalization, Bidirectional
from ror_port.network.layers.recurrent import Recurrent
from ror_port.source.port import Inputs, Port

Tensors = Mapping[str, Mapping[str, Array]]
"""Node → role → tensor as its file has it."""

Outputs = tuple[NDArray[np.float64], ...]
"""What a network gives, one array (batch, …) an output, in their order, images channels_last."""


def depth(graph: Graph, output: str) -> int:
    """Layers with kernels on the longest way to an output; a recurrent one counts once a step. No size may vary."""
    found: dict[str, int] = {}
    for node in graph:
        passed = int(any("kernel" in parameter.role for parameter in graph[node.owner].parameters))
        if isinstance(node.layer, Recurrent | Bidirectional):
            passed = graph[node.inputs[0]].shape[0]
        found[node.name] = passed + max((found[name] for name in node.inputs), default=0)
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
class Effect:
    """What an assumed fact would change if it were otherwise.

    option: what states so on the command line, None where nothing does. difference: of the logits; of several outputs,
    the largest.
    """

    fact: str
    alternative: str
    option: str | None
    difference: Difference

    @property
    def matters(self) -> bool:
        """Whether predictions change; of outputs that are no scores of classes, whether they change noticeably."""
        if self.difference.same_top1 is not None:
            return self.difference.changed_top1 > 0
        return not self.difference.relative_l2 < tolerances.NOTICEABLE

    def as_json(self) -> dict[str, Any]:
        difference = self.difference
        classes = difference.same_top1 is not None
        figures = {"relative_l2": difference.relative_l2, "max_abs": difference.max_abs}
        return {
            "fact": self.fact,
            "alternative": self.alternative,
            "option": self.option,
            **{name: value if np.isfinite(value) else None for name, value in figures.items()},
            "top1_changed": difference.changed_top1 if classes else None,
            "images": difference.images,
            "warning": self.matters,
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

    @cached_property
    def others(self) -> tuple[Expectation, ...]:
        """Of seeded inputs of other sizes, where sizes vary: what holds for one size need not hold for another."""
        inputs = seeded_of_other_sizes(self.port, list(self.arrays.values()))
        if inputs is None:
            return ()
        other = Expectation(self.port, inputs)
        other.tensors = self.tensors
        return (other,)

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
        graph = self.port.graph
        if any(varies(node.shape) for node in graph.inputs):
            graph = self.port.sized(self.arrays).graph
        return tuple(max(1, depth(graph, name)) for name in graph.outputs)

    def tolerances(self, exact: bool, softmax: Sequence[bool] | None = None) -> tuple[Tolerance, ...]:
        """One an output. exact: for what computes in float64 with all the bits of the source."""
        share = float(np.finfo(np.float64).eps / np.finfo(np.float32).eps) if exact else 1.0
        precision = "float64" if exact else "float32"
        pairs = zip(self.noise(softmax), self._depths, strict=True)
        return tuple(Tolerance(noise * share, layers, precision) for noise, layers in pairs)

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """What would change if the assumed facts were otherwise, one by one, the largest first."""
        found = []
        for alternative, port in self.port.alternatives():
            outputs = self._run(port, np.float64)
            nodes = [port.graph.before_softmax(name) for name in port.graph.outputs]
            differences = self.differences([outputs[name] for name in nodes], self.scores())
            worst = max(differences, key=_size)
            found.append(Effect(alternative.fact, alternative.value, alternative.option, worst))
        return tuple(sorted(found, key=lambda effect: _size(effect.difference), reverse=True))


def _size(difference: Difference) -> float:
    """Of a difference, for comparisons: what is no number is larger than all."""
    return difference.relative_l2 if np.isfinite(difference.relative_l2) else float("inf")
