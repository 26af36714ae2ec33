"""The certificate: what was verified, of which files, with which figures, as JSON that another person can check.

Its fields are described in ``certificate.schema.json``, beside this file. `ror_port.check.page` makes a page of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ror_port import __version__
from ror_port.check.compare import IMAGES, Difference, Explanation, compare, epsilon_effect, images
from ror_port.check.datasets import open_images
from ror_port.check.diagnose import explain
from ror_port.check.page import page
from ror_port.check.verify import Expectation, Verification, verify, worst
from ror_port.cli.progress import track
from ror_port.convert import stage as output
from ror_port.errors import MissingExtra, NotACheckpoint, ParityError, UnreadableFile, quote
from ror_port.formats.checkpoint import sha256, size
from ror_port.formats.model_config import json_object
from ror_port.layout import Array
from ror_port.network.graph import Shape
from ror_port.safety import limits
from ror_port.safety.input_file import readable
from ror_port.source.port import Port, load
from ror_port.source.provenance import Given

Json = Mapping[str, Any]

VERSION = 1
LIBRARIES = ("numpy", "h5py", "keras", "tensorflow", "torch", "onnx", "onnxruntime", "safetensors")
BINS = 24


@dataclass(frozen=True)
class Inputs:
    """What the networks are shown: seeded pictures, or those of a file; and outputs that Theano recorded for those."""

    file: Path | None = None
    expected: Path | None = None
    seed: int = 0
    count: int = IMAGES

    def pictures(self, shape: Shape) -> Array:
        """(count, height, width, channels)"""
        return open_images(self.file, shape, 1.0) if self.file else images(shape, self.count, self.seed)

    def as_json(self, pictures: Array, folder: Path) -> dict[str, Any]:
        return {
            "seed": None if self.file else self.seed,
            "file": os.path.relpath(self.file, folder) if self.file else None,
            "shape": list(pictures.shape),
            "sha256": hashlib.sha256(np.ascontiguousarray(pictures, "<f8").tobytes()).hexdigest(),
        }


@dataclass(frozen=True)
class Record:
    """Outputs that were recorded in Theano, against the reference."""

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


def prove(
    port: Port, given: Given, artifacts: Sequence[Path], inputs: Inputs, *, per_layer: bool = False, folder: Path
) -> dict[str, Any]:
    """Verifies artifacts, and outputs recorded in Theano, against a source, and explains what fails: the certificate.

    given: what the user said of the source. folder: where the certificate will lie; files are named as seen from there.
    """
    expectation = Expectation(port, inputs.pictures(port.network.input_shape))
    record = _record(expectation, inputs.expected) if inputs.expected else None
    found = [_explained(expectation, verify(expectation, path, per_layer=per_layer)) for path in artifacts]
    sensitivity = epsilon_effect(port, expectation.pictures, expectation.logits)
    source = port.checkpoint.path
    certificate: dict[str, Any] = _finite(
        {
            "certificate": VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "passed": False if record and not record.passed else worst(found),
            "tool": {"ror-port": __version__, "python": platform.python_version(), **_versions()},
            "source": {
                **port.statement(),
                "file": os.path.relpath(source, folder),
                "sha256": port.checkpoint.sha256,
                "bytes": size(source),
                "parameters": port.size,
                "dtype": port.dtype,
                "given": asdict(given),
            },
            "inputs": inputs.as_json(expectation.pictures, folder),
            "reference": {
                "arithmetic": "Theano's arithmetic, in NumPy float64, on the source's untouched tensors",
                "logits_sha256": hashlib.sha256(np.ascontiguousarray(expectation.logits, "<f8").tobytes()).hexdigest(),
                "float32_noise": expectation.noise(),
            },
            "record": record and record.as_json(folder),
            "sensitivity": {
                "epsilon": sensitivity.epsilon,
                "other": sensitivity.other,
                "logits_relative_l2": sensitivity.difference.relative_l2,
                "logits_max_abs": sensitivity.difference.max_abs,
                "answers_changed": sensitivity.difference.answers - sensitivity.difference.same_answers,
                "answers": sensitivity.difference.answers,
            },
            "artifacts": [{**v.as_json(), "file": os.path.relpath(v.path, folder)} for v in found],
            "weights": _histograms(port),
        }
    )
    return certificate


def _explained(expectation: Expectation, found: Verification) -> Verification:
    if found.passed is not False or found.scores is None or found.tolerance is None:
        return found
    return replace(
        found,
        explanation=explain(
            expectation,
            found.scores,
            probabilities=found.probabilities,
            tolerance=found.tolerance.value,
            progress=_tracked,
        ),
    )


def _tracked(items: Iterable[Any], count: int) -> Iterable[Any]:
    return track(items, count, "trying known mistakes")


def _record(expectation: Expectation, path: Path) -> Record:
    try:
        scores = np.load(readable(path), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UnreadableFile(f"{path}: not a sound .npy ({' '.join(str(error).split())[:200]})") from None
    if scores.shape != expectation.logits.shape or scores.dtype.kind != "f":
        raise NotACheckpoint(f"{path}: {scores.dtype} {scores.shape}; expected outputs {expectation.logits.shape}")
    probabilities = bool((scores >= 0).all() and np.allclose(scores.sum(1), 1, atol=1e-4))
    tolerance = expectation.tolerance(scores.dtype == np.float64, probabilities).value
    difference = compare(scores, expectation.scores(probabilities))
    explanation = None
    if not difference.within(tolerance):
        explanation = explain(expectation, scores, probabilities=probabilities, tolerance=tolerance, progress=_tracked)
    return Record(path, difference, tolerance, explanation)


def _versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _histograms(port: Port) -> list[dict[str, Any]]:
    """Of kernels by stage, and of everything else by role, in canonical form."""
    groups: dict[str, list[Any]] = {}
    for parameter, array in port.parameters():
        part = parameter.node.partition("/")[0].replace("_", " ")
        groups.setdefault(f"{part}: kernels" if parameter.role == "kernel" else parameter.role, []).append(array)
    found = []
    for name, arrays in groups.items():
        values = np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])
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


def check_outputs(out: Path, sources: Sequence[Path], *, force: bool) -> None:
    """Raises OutputError where the certificate or its page may not be written."""
    for path in (out, out.with_suffix(".html")):
        for source in sources:
            output.validate_target(path, source, folder=False, force=force)


def write(certificate: Json, out: Path) -> None:
    """Writes the certificate, and beside it the same as a page."""
    for path, text in ((out, json.dumps(certificate, indent=1) + "\n"), (out.with_suffix(".html"), page(certificate))):
        with output.atomic_output(path) as stage:
            stage.write_text(text, encoding="utf-8")


def exit_code(certificate: Json) -> int:
    """0 where all passed; that of a failed check, or of a missing framework."""
    return {True: 0, False: ParityError.exit_code, None: MissingExtra.exit_code}[certificate["passed"]]


@dataclass(frozen=True)
class Recheck:
    """A certificate checked again. faults: files that are missing or changed. now: today's figures, where none is."""

    before: Json
    faults: tuple[str, ...]
    now: Json | None

    @property
    def exit_code(self) -> int:
        return ParityError.exit_code if self.now is None else exit_code(self.now)

    def as_json(self) -> dict[str, Any]:
        return {"before": self.before, "faults": list(self.faults), "now": self.now}


def recheck(path: Path) -> Recheck:
    """Compares the files with their hashes and, where all are as they were, verifies again."""
    before, folder = _read(path), path.parent
    inputs, record = before["inputs"], before["record"]
    items = [before["source"], *before["artifacts"], *([record] if record else [])]
    faults = tuple(fault for item in items if (fault := _changed(folder, item)))
    if faults:
        return Recheck(before, faults, None)
    asked = Inputs(
        folder / inputs["file"] if inputs["file"] else None,
        folder / record["file"] if record else None,
        inputs["seed"] or 0,
        inputs["shape"][0],
    )
    given = Given(**before["source"]["given"])
    with load(folder / before["source"]["file"], given) as port:
        artifacts = [folder / artifact["file"] for artifact in before["artifacts"]]
        now = prove(port, given, artifacts, asked, folder=folder)
    if now["inputs"]["sha256"] != inputs["sha256"]:
        return Recheck(before, ("the pictures are not those that were certified",), None)
    return Recheck(before, (), now)


def _changed(folder: Path, item: Json) -> str | None:
    path, name = folder / item["file"], quote(item["file"])
    if not path.exists():
        return f"{name} is missing"
    return None if sha256(path) == item["sha256"] else f"{name} has changed: its sha256 is not {item['sha256']}"


def _read(path: Path) -> dict[str, Any]:
    """A certificate from disk, with the fields that checking it again needs."""
    with readable(path).open("rb") as file:
        certificate = json_object(file.read(limits.MAX_CONFIG_BYTES + 1), str(path))
    if certificate.get("certificate") != VERSION:
        raise NotACheckpoint(f"{path}: no certificate of ror-port, version {VERSION}")
    try:
        Given(**certificate["source"]["given"])
        items = [certificate["source"], *certificate["artifacts"], *filter(None, [certificate["record"]])]
        inputs = certificate["inputs"]
        sound = all(isinstance(item[key], str) for item in items for key in ("file", "sha256"))
        sound = sound and isinstance(inputs["seed"], int | None) and isinstance(inputs["file"], str | None)
        sound = sound and isinstance(inputs["sha256"], str) and 0 < int(inputs["shape"][0]) <= 10_000
    except (KeyError, TypeError, IndexError, ValueError):
        sound = False
    if not sound:
        raise NotACheckpoint(f"{path}: a certificate without what checking it needs")
    return certificate


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is no number becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
