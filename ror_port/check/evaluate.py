"""How often a network is right on labelled images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port.check.classification import Signature, gives_classes, seeded_inputs
from ror_port.check.datasets import Dataset
from ror_port.check.expectation import Expectation, common_epsilon
from ror_port.check.progress import SILENT, Progress
from ror_port.check.runtimes import Reference, Runtime, needs_reference, open_artifact
from ror_port.check.verify import ensure_passed, verify
from ror_port.convert.stage import atomic_output
from ror_port.convert.write import write
from ror_port.errors import NotACheckpoint, RorPortError, UsageError, printable
from ror_port.formats import kind_of
from ror_port.formats.format import BY_KIND, by_name
from ror_port.formats.format import Runtime as Software
from ror_port.formats.model_card import CARD, with_accuracy
from ror_port.layout import Array, varies
from ror_port.safety import limits
from ror_port.safety.input_file import readable
from ror_port.source.port import Port, load
from ror_port.source.provenance import EPSILONS, Given

BATCH = 64

_FORMATS: Mapping[Software, str] = {"tensorflow": "keras", "torch": "safetensors", "onnx": "onnx"}
"""Runtime → the format in which networks of others are brought to it."""


@dataclass(frozen=True)
class Evaluation:
    """predictions: the top-1 class of each image, (count,).

    scores_classes: whether the outputs are known to be scores of classes; else the largest is taken as the prediction.
    """

    runtime: str
    dataset: Dataset
    predictions: NDArray[np.int64]
    scores_classes: bool = True

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
            "scores_classes": self.scores_classes,
            "images": len(self.predictions),
            "accuracy": self.accuracy,
            "error": 1 - self.accuracy,
            "classes": [
                {"name": name, "images": int(row.sum()), "correct": int(row[index])}
                for index, (name, row) in enumerate(zip(self.dataset.classes, confusion, strict=True))
            ],
            "confusion": confusion.tolist(),
        }


def add_to_card(folder: Path, found: Evaluation) -> Path:
    """Writes the accuracy into the model card of a folder. Raises UnreadableFile or NotACheckpoint."""
    card = folder / CARD
    with readable(card).open(encoding="utf-8", errors="replace") as file:
        text = file.read(limits.MAX_CONFIG_BYTES)
    try:
        new = with_accuracy(
            text,
            dataset=found.dataset.name,
            accuracy=found.accuracy,
            images=len(found.predictions),
            runtime=found.runtime,
        )
    except NotACheckpoint as error:
        raise NotACheckpoint(f"{card}: {error.message}") from None
    with atomic_output(card) as stage:
        stage.write_text(new, encoding="utf-8")
    return card


def evaluate(runtime: Runtime, dataset: Dataset, progress: Progress = SILENT) -> Evaluation:
    """Runs every image."""
    count = -(-len(dataset.images) // BATCH)
    batches = progress.track(dataset.batches(BATCH), count, "evaluating")
    predictions = np.concatenate([_scores(runtime, batch).argmax(1) for batch in batches])
    return Evaluation(runtime.name, dataset, predictions, runtime.scores_classes)


def _scores(runtime: Runtime, images: Array) -> Array:
    """Raises UsageError where the sizes of images vary and the network takes none of theirs."""
    try:
        return runtime.run(images)
    except RorPortError:
        raise
    except Exception as error:  # of many kinds
        if not varies(runtime.signature.inputs[0]):
            raise
        size, reason = "×".join(map(str, images.shape[1:])), printable(" ".join(str(error).split()))[:200]
        raise UsageError(f"images of {size}: the network does not run on them in {runtime.name} ({reason})") from None


def choose(path: Path, runtime: Software | None, given: Given) -> Runtime:
    """What runs a file: its own framework, or the one that is asked for.

    Raises UsageError where it is no network that classifies images, and ParityError where it had to be converted for
    the framework and then fails its verification.
    """
    kind = kind_of(path)
    if kind in ("savedmodel", "onnx") and runtime in (None, BY_KIND[kind].runtime) and not given.reads_otherwise:
        found = open_artifact(path)
    else:
        with load(path, given) as port:
            _ensure_classifies(path, Signature.of(port))
            found = runtime_of(port, runtime)
            found.scores_classes = gives_classes(port, port.graph.outputs[0])
    _ensure_classifies(path, found.signature)
    return found


def _ensure_classifies(path: Path, signature: Signature) -> None:
    if not signature.classifies:
        raise UsageError(
            f"{path}: labelled images are for networks of one image and several classes; it has {signature}"
        )


def runtime_of(port: Port, runtime: Software | None) -> Runtime:
    """As `choose`, of an opened file."""
    path = port.checkpoint.path
    own = own_runtime(port)
    runtime = runtime or own
    if runtime == "numpy":
        return Reference(port)
    if runtime == own and not port.given.reads_otherwise:
        return open_artifact(path, port)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "net"
        write(port, target, by_name(_FORMATS[runtime]))
        expectation = Expectation(port, seeded_inputs(port))
        ensure_passed(verify(expectation, target, known=True), path, "nothing was evaluated")
        return open_artifact(target, port)


def own_runtime(port: Port) -> Software:
    """The framework of a file; for weights alone of Keras 2 on TensorFlow that of a whole model."""
    if needs_reference(port):
        return "numpy"
    kind = kind_of(port.checkpoint.path)
    return BY_KIND["hdf5-model" if kind == "hdf5-weights" else kind].runtime


@dataclass(frozen=True)
class Hypothesis:
    """How a file might be meant, and the accuracy if it were. taken: whether ror-port takes it so."""

    backend: str
    epsilon: float
    taken: bool
    accuracy: float


def try_conventions(path: Path, given: Given, dataset: Dataset, runtime: Software) -> Iterator[Hypothesis]:
    """The accuracy with the kernels flipped and not, under each epsilon that Keras ever had."""
    with load(path, given) as port:
        theano, taken = port.convention.theano, common_epsilon(port.graph)
    epsilons = sorted({*EPSILONS, *([taken] if taken is not None else [])}, reverse=True)
    for backend in ("theano", "tensorflow"):
        for epsilon in epsilons:
            with load(path, replace(given, backend=backend, epsilon=epsilon)) as port:
                accuracy = evaluate(runtime_of(port, runtime), dataset).accuracy
            yield Hypothesis(backend, epsilon, (backend == "theano", epsilon) == (theano, taken), accuracy)
