"""The one check: an artifact against the reference; how far off, from which layer on, and which layer in isolation.

It is what converting, `ror-port verify`, certificates and `ror_port.verify` go by. Its tolerance is derived from what
rounding costs: the reference runs once in float64 and once in float32 on the same inputs, and their difference is what
this network makes of float32 on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ror_port.check.compare import Difference, furthest, relative_l2
from ror_port.check.diagnose import Explanation, explain
from ror_port.check.expectation import Expectation, Tolerance
from ror_port.check.progress import SILENT, Progress
from ror_port.check.runtimes import Runtime, open_artifact
from ror_port.errors import BadValues, MissingExtra, NotACheckpoint, ParityError, RorPortError, UsageError
from ror_port.formats import kind_of
from ror_port.formats.checkpoint import sha256, size
from ror_port.html import notebook
from ror_port.html.basics import fragment
from ror_port.layout import Array
from ror_port.network.layers import Flatten
from ror_port.source.port import Port


@dataclass(frozen=True)
class LayerErrors:
    """One node of an artifact, relative L2 errors. end_to_end: of what it computes; None where it cannot be observed.

    isolated: of what it makes of the reference's own input; None for nodes without weights, and for those that depend
    on more than one input, on a mask, or on a state that they keep.
    """

    node: str
    end_to_end: float | None
    isolated: float | None = None


@dataclass(frozen=True)
class Verification:
    """The result of comparing one artifact with the reference.

    kind: its format. runtime: the software that ran it. output: the one that difference and tolerance are of, where
    the network has several: that of the largest difference, measured by its tolerance. Where sizes vary, two of each
    are compared, and the larger difference counts. failure: why it was not run, where it was not. layers: where they
    were asked for. explanation: known mistakes that explain a failed comparison, where they were asked for.
    """

    path: Path
    kind: str
    sha256: str
    bytes: int
    runtime: str | None = None
    difference: Difference | None = None
    tolerance: Tolerance | None = None
    output: str | None = None
    layers: tuple[LayerErrors, ...] = ()
    explanation: Explanation | None = None
    failure: RorPortError | None = None

    @property
    def passed(self) -> bool | None:
        """None where it was not run."""
        if self.difference is None or self.tolerance is None:
            return None
        return self.difference.within(self.tolerance.value)

    @property
    def first_difference(self) -> LayerErrors | None:
        """The first layer whose output differs."""
        return next((layer for layer in self.layers if self._exceeds(layer.end_to_end)), None)

    @property
    def faulty_layers(self) -> tuple[LayerErrors, ...]:
        """The layers that differ in isolation: the causes, apart from their consequences."""
        return tuple(layer for layer in self.layers if self._exceeds(layer.isolated))

    def _exceeds(self, error: float | None) -> bool:
        return error is not None and self.tolerance is not None and not error <= self.tolerance.value

    @property
    def exit_code(self) -> int:
        if self.failure is not None:
            return self.failure.exit_code
        return 0 if self.passed else ParityError.exit_code

    def __str__(self) -> str:
        if self.difference is None or self.tolerance is None:
            return f"not run: {self.failure}"
        verdict = "passed" if self.passed else "failed"
        of = f" of {self.output}" if self.output else ""
        return f"{verdict} in {self.runtime}: {self.difference}{of} (tolerance {self.tolerance.value:.1e})"

    def _repr_html_(self) -> str:
        """In a notebook: the verdict and, where layers were compared, their errors."""
        return fragment(*notebook.verification(self.as_json()))

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "sha256": self.sha256,
            "bytes": self.bytes,
            "kind": self.kind,
            "runtime": self.runtime,
            "passed": self.passed,
            "reason": str(self.failure) if self.failure else None,
            "output": self.output,
            "difference": self.difference and asdict(self.difference),
            "tolerance": self.tolerance and self.tolerance.as_json(),
            "layers": [asdict(layer) for layer in self.layers],
            "first_difference": self.first_difference and self.first_difference.node,
            "faulty_layers": [layer.node for layer in self.faulty_layers],
            "explanation": self.explanation and self.explanation.as_json(),
        }


def verify(
    expectation: Expectation,
    path: Path,
    *,
    known: bool = False,
    explained: bool = False,
    progress: Progress = SILENT,
) -> Verification:
    """Loads an artifact from disk in its own framework and compares it with the expectation.

    known: whether it was written a moment ago from the expectation's own port, so that it needs no reading to find
    out what it holds. explained: whether known mistakes are tried on one that fails. Layers are compared where the
    expectation has them. Raises NotACheckpoint where it holds a network with other inputs or outputs.
    """
    port, kind = expectation.port, kind_of(path)  # which raises where there is no artifact at all
    found = Verification(path, kind, sha256(path), size(path))
    _ensure_not_exchanged(port, path, found.sha256)
    try:
        expectation.ensure_meaningful()
    except BadValues as error:
        if not port.given.bad_values:
            raise
        return replace(found, failure=error)
    with progress.busy("comparing with the reference"):
        try:
            taken = port if kind == "pt" or (known and not kind.startswith("hdf5")) else None  # that may be Theano's
            artifact = open_artifact(path, taken, source=port)
        except MissingExtra as error:
            return replace(found, failure=error)
        if artifact.signature != expectation.signature:
            raise NotACheckpoint(f"{path}: {artifact.signature}; the source has {expectation.signature}")
        compared = [_compared(each, artifact, path) for each in (expectation, *expectation.others)]
        layers = tuple(compare_layers(expectation, artifact)) if expectation.per_layer else ()
    ends = [(each, index) for each in compared for index in range(len(each.differences))]
    furthest_end = furthest([c.differences[i] for c, i in ends], [c.limits[i].value for c, i in ends])
    case, worst = ends[furthest_end]
    found = replace(
        found,
        runtime=artifact.name,
        difference=case.differences[worst],
        tolerance=case.limits[worst],
        output=port.graph.outputs[worst] if len(case.limits) > 1 else None,
        layers=layers,
    )
    if found.passed or not explained:
        return found
    values, softmax = [limit.value for limit in case.limits], artifact.softmax
    explanation = explain(case.expectation, case.scores, softmax=softmax, tolerances=values, progress=progress)
    return replace(found, explanation=explanation)


class _Compared(NamedTuple):
    """What an artifact gives for the inputs of an expectation. differences, limits: one an output."""

    expectation: Expectation
    scores: Sequence[Array]
    differences: Sequence[Difference]
    limits: Sequence[Tolerance]


def _compared(expectation: Expectation, artifact: Runtime, path: Path) -> _Compared:
    """Raises NotACheckpoint where outputs are of other sizes than the source's."""
    limits = expectation.tolerances(artifact.exact and not expectation.port.rounds, artifact.softmax)
    scores = artifact.scores(list(expectation.arrays.values()))
    found, expected = ([x.shape for x in outputs] for outputs in (scores, expectation.scores(artifact.softmax)))
    if found != expected:
        given = [array.shape for array in expectation.arrays.values()]
        made, of, wanted = (", ".join(map(str, shapes)) for shapes in (found, given, expected))
        raise NotACheckpoint(f"{path}: gives {made} for inputs {of}; the source gives {wanted}")
    return _Compared(expectation, scores, expectation.compare(scores, artifact.softmax), limits)


def _ensure_not_exchanged(port: Port, path: Path, sha: str) -> None:
    """Raises UsageError where the source states that it was made from the artifact."""
    origin, source = port.checkpoint.stated.get("source"), port.checkpoint.path
    if isinstance(origin, Mapping) and origin.get("sha256") == sha != port.checkpoint.sha256:
        raise UsageError(f"{source} was made from {path}, not the other way round; exchange the two")


def compare_layers(expectation: Expectation, artifact: Runtime) -> list[LayerErrors]:
    """Every tap and every layer with weights, in the order of the graph."""
    graph = expectation.port.graph
    nodes = [node for node in graph if node.parameters or node.name in graph.taps]
    nodes = [graph[node.inputs[0]] if isinstance(node.layer, Flatten) else node for node in nodes]
    observed = artifact.outputs(list(expectation.arrays.values()), [node.name for node in nodes])
    layers = []
    for node in nodes:
        expected = expectation.outputs[node.name]
        alone = node.parameters and len(node.inputs) == 1 and not graph[node.inputs[0]].mask
        alone = alone and node not in graph.stateful
        isolated = artifact.layer(node.name, expectation.outputs[node.inputs[0]]) if alone else None
        layers.append(LayerErrors(node.name, _error(observed.get(node.name), expected), _error(isolated, expected)))
    return layers


def _error(actual: Array | None, expected: Array) -> float | None:
    if actual is None:
        return None
    return relative_l2(actual, expected) if actual.shape == expected.shape else float(np.inf)


def ensure_passed(found: Verification, source: Path, consequence: str) -> None:
    """Raises ParityError where an artifact does not compute what its source does."""
    if found.passed is False:
        assert found.tolerance is not None
        raise ParityError(
            f"{source}: the converted network does not compute what the file does in {found.runtime} "
            f"({found.difference}; tolerance {found.tolerance.value:.1e})",
            consequence,
        )


def passed_all(found: Sequence[Verification]) -> bool | None:
    """Whether all passed; None where none failed but some could not be run."""
    verdicts = [verification.passed for verification in found]
    return False if False in verdicts else None if None in verdicts else True
