"""How often a network is right on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port.check.datasets import Dataset
from ror_port.check.runtimes import Runtime, runtime_of
from ror_port.layout import Array
from ror_port.source.port import load
from ror_port.source.provenance import EPSILONS, Given

BATCH = 64


@dataclass(frozen=True)
class Evaluation:
    """answers: the class that the network gave each image, (count,)."""

    runtime: str
    dataset: Dataset
    answers: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        return float((self.answers == self.dataset.labels).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts, (true class, answer)."""
        classes = len(self.dataset.classes)
        counts = np.zeros((classes, classes), np.int64)
        np.add.at(counts, (self.dataset.labels, self.answers), 1)
        return counts

    def as_json(self) -> dict[str, Any]:
        confusion = self.confusion
        return {
            "runtime": self.runtime,
            "data": self.dataset.name,
            "preprocessing": self.dataset.preprocessing,
            "images": len(self.answers),
            "accuracy": self.accuracy,
            "error": 1 - self.accuracy,
            "classes": [
                {"name": name, "images": int(row.sum()), "right": int(row[index])}
                for index, (name, row) in enumerate(zip(self.dataset.classes, confusion, strict=True))
            ],
            "confusion": confusion.tolist(),
        }


Progress = Callable[[Iterable[Array], int], Iterable[Array]]


def evaluate(runtime: Runtime, dataset: Dataset, progress: Progress = lambda batches, _: batches) -> Evaluation:
    """Runs every image. progress: wraps the batches, given their number."""
    count = -(-len(dataset.images) // BATCH)
    answers = [runtime.run(batch).argmax(1) for batch in progress(dataset.batches(BATCH), count)]
    return Evaluation(runtime.name, dataset, np.concatenate(answers))


@dataclass(frozen=True)
class Hypothesis:
    """What a file might mean, and the accuracy if it did. taken: whether ror-port takes it to mean that."""

    backend: str
    epsilon: float
    taken: bool
    accuracy: float


def try_conventions(path: Path, given: Given, dataset: Dataset, runtime: str) -> Iterator[Hypothesis]:
    """The accuracy with the kernels flipped and not, under each epsilon that Keras ever had."""
    with load(path, given) as port:
        flipped, epsilon = port.convention.flipped, port.network.epsilon
    for backend in ("theano", "tensorflow"):
        for other in sorted({*EPSILONS, epsilon}, reverse=True):
            with load(path, replace(given, backend=backend, epsilon=other)) as port:
                accuracy = evaluate(runtime_of(port, runtime), dataset).accuracy
            yield Hypothesis(backend, other, (backend == "theano", other) == (flipped, epsilon), accuracy)
