"""How often a network is right on labelled images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port.check.classification import Signature
from ror_port.check.datasets import Dataset
from ror_port.check.expectation import Expectation, common_epsilon
from ror_port.check.progress import SILENT, Progress
from ror_port.check.runtimes import Reference, Runtime, needs_reference, open_artifact
from ror_port.check.verify import ensure_passed, verify
from ror_port.convert import choice
from ror_port.formats import kind_of
from ror_port.source.port import Port, load
from ror_port.source.provenance import EPSILONS, Given

BATCH = 64

RUNTIMES = ("numpy", "tensorflow", "torch", "onnx")

_OWN = {
    "keras": "tensorflow",
    "weights": "tensorflow",
    "hdf5-model": "tensorflow",
    "hdf5-weights": "tensorflow",
    "savedmodel": "tensorflow",
    "safetensors": "torch",
    "pt": "torch",
    "onnx": "onnx",
}
"""Kind of file → the runtime that is its own framework."""

_FORMATS = {"tensorflow": "keras", "torch": "safetensors", "onnx": "onnx"}
"""Runtime → the format in which networks of others are brought to it."""


@dataclass(frozen=True)
class Evaluation:
    """predictions: the top-1 class of each image, (count,)."""

    runtime: str
    dataset: Dataset
    predictions: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        return float((self.predictions == self.dataset.labels).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts, (true class, predicted class)."""
        classes = len(self.dataset.classes)
        counts = np.zeros((classes, classes), np.int64)
        np.add.at(counts, (self.dataset.labels, self.predictions), 1)
        return counts

    def as_json(self) -> dict[str, Any]:
        confusion = self.confusion
        return {
            "runtime": self.runtime,
            "data": self.dataset.name,
            "preprocessing": self.dataset.preprocessing,
            "images": len(self.predictions),
            "accuracy": self.accuracy,
            "error": 1 - self.accuracy,
            "classes": [
                {"name": name, "images": int(row.sum()), "correct": int(row[index])}
                for index, (name, row) in enumerate(zip(self.dataset.classes, confusion, strict=True))
            ],
            "confusion": confusion.tolist(),
        }


def evaluate(runtime: Runtime, dataset: Dataset, progress: Progress = SILENT) -> Evaluation:
    """Runs every image."""
    count = -(-len(dataset.images) // BATCH)
    batches = progress.track(dataset.batches(BATCH), count, "evaluating")
    return Evaluation(runtime.name, dataset, np.concatenate([runtime.run(batch).argmax(1) for batch in batches]))


def choose(path: Path, runtime: str | None, given: Given) -> Runtime:
    """What runs a file: its own framework, or the one of RUNTIMES that is asked for.

    Raises ParityError where the network had to be converted for it and then fails its verification.
    """
    kind = kind_of(path)
    if kind in ("savedmodel", "onnx") and runtime in (None, _OWN[kind]) and not given.reads_otherwise:
        return open_artifact(path)
    with load(path, given) as port:
        return runtime_of(port, runtime)


def runtime_of(port: Port, runtime: str | None) -> Runtime:
    """As `choose`, of an opened file."""
    path = port.checkpoint.path
    own = "numpy" if needs_reference(port) else _OWN[kind_of(path)]
    runtime = runtime or own
    if runtime == "numpy":
        return Reference(port)
    if runtime == own and not port.given.reads_otherwise:
        return open_artifact(path, port)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "net"
        choice.write(port, target, choice.by_name(_FORMATS[runtime]), choice.Settings())
        expectation = Expectation(port, Signature.of(port.graph).seeded_images())
        ensure_passed(verify(expectation, target, known=True), path, "nothing was evaluated")
        return open_artifact(target, port)


@dataclass(frozen=True)
class Hypothesis:
    """How a file might be meant, and the accuracy if it were. taken: whether ror-port takes it so."""

    backend: str
    epsilon: float
    taken: bool
    accuracy: float


def try_conventions(path: Path, given: Given, dataset: Dataset, runtime: str) -> Iterator[Hypothesis]:
    """The accuracy with the kernels flipped and not, under each epsilon that Keras ever had."""
    with load(path, given) as port:
        flipped, taken = port.convention.flipped, common_epsilon(port.graph)
    epsilons = sorted({*EPSILONS, *([taken] if taken is not None else [])}, reverse=True)
    for backend in ("theano", "tensorflow"):
        for epsilon in epsilons:
            with load(path, replace(given, backend=backend, epsilon=epsilon)) as port:
                accuracy = evaluate(runtime_of(port, runtime), dataset).accuracy
            yield Hypothesis(backend, epsilon, (backend == "theano", epsilon) == (flipped, taken), accuracy)
