"""The certificate: what was verified, of which files, with which figures, as JSON that another person can check.

Its fields are described in ``certificate.schema.json``, beside this file. `ror_port.check.page` makes a page of it,
`ror_port.check.recheck` checks it again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ror_port import __version__
from ror_port.check.arrays import Header, read_npy
from ror_port.check.classification import IMAGES, are_probabilities, image_shape, seeded_inputs
from ror_port.check.compare import Difference
from ror_port.check.datasets import open_images
from ror_port.check.diagnose import Explanation, explain
from ror_port.check.expectation import Expectation
from ror_port.check.page import page
from ror_port.check.progress import SILENT, Progress
from ror_port.check.verify import Verification, passed_all, verify
from ror_port.convert import stage as output
from ror_port.errors import NotACheckpoint, ParityError, UsageError
from ror_port.formats.checkpoint import sha256, size
from ror_port.layout import Array, Shape, fits
from ror_port.source.port import Port

Json = Mapping[str, Any]

VERSION = 3
READABLE = (1, 2, 3)
"""Versions whose files and figures can be checked again."""

LIBRARIES = ("numpy", "h5py", "keras", "tensorflow", "torch", "onnx", "onnxruntime", "safetensors")
BINS = 24


@dataclass(frozen=True)
class Inputs:
    """What the networks are given: seeded images, or those of a file; and outputs that Theano recorded for those.

    count: how many seeded ones. required: the shape of what a file must hold, where that is known.
    """

    file: Path | None = None
    expected: Path | None = None
    seed: int = 0
    count: int = IMAGES
    required: Shape | None = None

    def arrays(self, port: Port) -> Mapping[str, Array]:
        """Input node → values. Raises UsageError for a file where the network does not take one image."""
        if self.file is None:
            return seeded_inputs(port, self.count, self.seed)
        shape, required = image_shape(port), self.required
        if required is None:
            return {port.graph.input.name: open_images(self.file, shape, 1.0)}
        shape = required[1:] if fits(required[1:], shape) else shape
        return {port.graph.input.name: open_images(self.file, shape, 1.0, required[0])}

    def as_json(self, arrays: Mapping[str, Array], folder: Path) -> dict[str, Any]:
        count = len(next(iter(arrays.values())))
        return {
            "seed": None if self.file else self.seed,
            "file": os.path.relpath(self.file, folder) if self.file else None,
            "shape": list(next(iter(arrays.values())).shape) if len(arrays) == 1 else [count],
            "sha256": _digest(arrays.values()),
        }


def _digest(arrays: Iterable[Array]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, "<f8").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Record:
    """Outputs that were recorded in Theano, compared with the reference."""

    file: Path
    difference: Difference
    tolerance: float
    explanation: Explanation | None

    @property
    def passed(self) -> bool:
        return self.difference.within(self.tolerance)

    def as_json(self, folder: Path) -> dict[str, Any]:
        return {
            "file": os.path.relpath(self.file, folder),
            "sha256": sha256(self.file),
            "passed": self.passed,
            "difference": vars(self.difference),
            "tolerance": self.tolerance,
            "explanation": self.explanation and self.explanation.as_json(),
        }


@dataclass(frozen=True)
class Certificate:
    """What was verified. verifications: one an artifact. record: where outputs of Theano were given."""

    expectation: Expectation
    inputs: Inputs
    verifications: tuple[Verification, ...]
    record: Record | None = None

    @property
    def passed(self) -> bool | None:
        """None where nothing failed but some artifacts could not be run."""
        return False if self.record and not self.record.passed else passed_all(self.verifications)

    @property
    def exit_code(self) -> int:
        if self.passed is False:
            return ParityError.exit_code
        return next((found.exit_code for found in self.verifications if found.passed is None), 0)

    def as_json(self, folder: Path) -> dict[str, Any]:
        """folder: where the certificate will lie; files are named relative to it."""
        port, inputs = self.expectation.port, self.inputs.as_json(self.expectation.arrays, folder)
        source = port.checkpoint.path
        certificate: dict[str, Any] = _finite(
            {
                "certificate": VERSION,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "passed": self.passed,
                "tool": {"ror-port": __version__, "python": platform.python_version(), **_versions()},
                "source": {
                    **port.statement(),
                    "file": os.path.relpath(source, folder),
                    "sha256": port.checkpoint.sha256,
                    "bytes": size(source),
                    "parameters": port.size,
                    "dtype": port.dtype,
                    "given": {
                        key: value for key, value in asdict(port.given).items() if key not in ("architecture", "model")
                    },
                    "architecture": _architecture(port, folder),
                },
                "inputs": inputs,
                "reference": {
                    "arithmetic": "Theano's arithmetic, in NumPy float64, on the source's untouched tensors",
                    "logits_sha256": _digest(self.expectation.scores()),
                    "float32_noise": max(self.expectation.noise()),
                },
                "record": self.record and self.record.as_json(folder),
                "sensitivity": [effect.as_json() for effect in self.expectation.effects],
                "artifacts": [
                    {**found.as_json(), "file": os.path.relpath(found.path, folder)} for found in self.verifications
                ],
                "weights": _histograms(self.expectation),
            }
        )
        return certificate


def prove(
    port: Port, artifacts: Sequence[Path], inputs: Inputs, *, per_layer: bool = False, progress: Progress = SILENT
) -> Certificate:
    """Verifies artifacts, and outputs recorded in Theano, against a source, and explains what fails.

    Raises BadValues where the source holds such, be they admitted or not.
    """
    expectation = Expectation(port, inputs.arrays(port), per_layer)
    expectation.ensure_meaningful()
    record = _record(expectation, inputs.expected, progress) if inputs.expected else None
    found = tuple(verify(expectation, path, explained=True, progress=progress) for path in artifacts)
    return Certificate(expectation, inputs, found, record)


def _record(expectation: Expectation, path: Path, progress: Progress) -> Record:
    if len(expectation.port.graph.outputs) != 1:
        raise UsageError(f"{path}: recorded outputs are for networks of one output; it has {expectation.signature}")

    def validate(headers: Mapping[str, Header]) -> None:
        shape, dtype, _ = headers[""]
        if shape != expectation.logits.shape or dtype.kind != "f":
            raise NotACheckpoint(f"{path}: {dtype} {shape}; expected outputs {expectation.logits.shape}")

    scores = read_npy(path, validate)
    softmax = [are_probabilities(scores)]
    tolerance = expectation.tolerances(scores.dtype == np.float64, softmax)[0].value
    (difference,) = expectation.compare([scores], softmax)
    explanation = None
    if not difference.within(tolerance):
        explanation = explain(expectation, [scores], softmax=softmax, tolerances=[tolerance], progress=progress)
    return Record(path, difference, tolerance, explanation)


def _architecture(port: Port, folder: Path) -> dict[str, Any] | None:
    """The file that states the architecture of weights which come without."""
    path = port.checkpoint.config_file
    return {"file": os.path.relpath(path, folder), "sha256": sha256(path)} if path else None


def _versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _histograms(expectation: Expectation) -> list[dict[str, Any]]:
    """Of kernels by stage, and of everything else by role, as the file has them."""
    groups: dict[str, list[Array]] = {}
    for node, tensors in expectation.tensors.items():
        part = node.partition("/")[0].replace("_", " ")
        for role, tensor in tensors.items():
            finite = np.asarray(tensor, np.float64)[np.isfinite(tensor)]
            if finite.size:
                groups.setdefault(f"{part}: kernels" if role == "kernel" else role, []).append(finite)
    found = []
    for name, arrays in groups.items():
        values = np.concatenate(arrays)
        counts, edges = np.histogram(values, BINS)
        found.append(
            {
                "name": name,
                "count": int(values.size),
                "mean": float(values.mean()),
                "deviation": float(values.std()),
                "edges": [float(edges[0]), float(edges[-1])],
                "counts": counts.tolist(),
            }
        )
    return found


def path_beside(artifact: Path) -> Path:
    """Where the certificate of an output goes that was given no name."""
    return artifact.with_name(f"{artifact.name}.certificate.json")


def page_of(path: Path) -> Path:
    """Where the page of a certificate lies."""
    return path.with_suffix(".html")


def ensure_writable(path: Path, sources: Sequence[Path], *, force: bool) -> None:
    """Raises OutputError where the certificate or its page may not be written."""
    for item in (path, page_of(path)):
        for source in sources:
            output.validate_target(item, source, folder=False, force=force)


@contextmanager
def staged(path: Path) -> Iterator[Callable[[Json], None]]:
    """Yields what writes a certificate, and the same as a page, to temporary files.

    Both are put in their places at the end; on an exception neither is.
    """
    with output.atomic_output(path) as stage, output.atomic_output(page_of(path)) as page_stage:

        def write_both(certificate: Json) -> None:
            stage.write_text(json.dumps(certificate, indent=1) + "\n", encoding="utf-8")
            page_stage.write_text(page(certificate), encoding="utf-8", errors="backslashreplace")

        yield write_both


def write(certificate: Json, path: Path) -> None:
    """Writes the certificate, and beside it the same as a page."""
    with staged(path) as write_both:
        write_both(certificate)


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is no number becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
