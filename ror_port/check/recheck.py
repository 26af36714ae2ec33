"""Checking a certificate again. It is an untrusted file: what it states is compared with what is computed here.

Its fields are compared with ``certificate.schema.json``; only files in its own folder are opened; everything that it
states about the source, and all that is assumed of it, is reported with its effect; every figure is computed again.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ror_port import tolerances
from ror_port.check.certificate import READABLE, VERSION, Certificate, Inputs, Json, prove
from ror_port.check.compare import Difference
from ror_port.check.expectation import Expectation
from ror_port.check.page import READINGS
from ror_port.check.progress import SILENT, Progress
from ror_port.check.schema import mismatch
from ror_port.errors import ARGUMENTS, NotACheckpoint, ParityError, RorPortError, UnsafeFile, UsageError, quote
from ror_port.formats.checkpoint import sha256, size
from ror_port.formats.json_text import json_object
from ror_port.layout import fits, varies
from ror_port.network.sizes import fitting, sized
from ror_port.safety import limits
from ror_port.safety.input_file import readable
from ror_port.source.port import Port, load
from ror_port.source.provenance import Given


@dataclass(frozen=True)
class Assumption:
    """Something that the certificate states about the source, instead of the file.

    difference: of the outputs without it; decisive: whether it is larger than any artifact may differ, so that one that
    passes under it would fail without. refusal: why the file is not read without it, where it is not.
    """

    option: str
    value: str
    difference: Difference | None = None
    decisive: bool = False
    refusal: str | None = None

    def as_json(self) -> dict[str, Any]:
        difference = self.difference and vars(self.difference)
        return {**vars(self), "difference": difference}


@dataclass(frozen=True)
class Recheck:
    """A certificate checked again. now: today's certificate; None where files are missing or changed.

    faults: such files, and figures that are not what is computed. assumptions: what the certificate adds to the source.
    layers: whether errors by layer were compared, where the certificate has them.
    """

    before: Json
    faults: tuple[str, ...]
    now: Json | None
    exit_code: int
    assumptions: tuple[Assumption, ...] = ()
    layers: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "before": self.before,
            "faults": list(self.faults),
            "assumptions": [assumption.as_json() for assumption in self.assumptions],
            "now": self.now,
        }


def recheck(path: Path, progress: Progress = SILENT) -> Recheck:
    """Compares the files with their hashes and, where all are as they were, verifies again and compares the figures.

    Raises NotACheckpoint for what is no certificate, and UnsafeFile for one that names files outside of its folder or
    more images than are needed.
    """
    before = _read(path)
    inputs, record, source = before["inputs"], before["record"], before["source"]
    architecture = source["architecture"]
    items = [source, *before["artifacts"], *filter(None, (record, architecture))]
    paths = [_within(path, item["file"]) for item in items]
    images = _within(path, inputs["file"]) if inputs["file"] else None
    faults = tuple(fault for item, file in zip(items, paths, strict=True) if (fault := _changed(file, item)))
    if images is not None and not images.exists():
        faults += (f"{quote(inputs['file'])} is missing",)
    if faults:
        return Recheck(before, faults, None, ParityError.exit_code)
    count, *_ = shape = tuple(inputs["shape"])
    beyond = 1 + len(before["artifacts"])  # what follows the source and the artifacts
    asked = Inputs(images, paths[beyond] if record else None, inputs["seed"] or 0, count, shape)
    given = _given(path, source["given"], paths[-1] if architecture else None)
    with load(paths[0], given) as port:
        layers = _ensure_affordable(path, port, before)
        proof = prove(port, paths[1:beyond], asked, per_layer=layers, progress=progress)
        now = proof.as_json(path.parent)
        if any(now["inputs"][key] != inputs[key] for key in ("sha256", "shape")):
            return Recheck(before, ("the images are not those that were certified",), None, ParityError.exit_code)
        assumptions = tuple(_assumptions(proof))
    faults = tuple(_Comparison(proof, layers).faults(before, now))
    code = ParityError.exit_code if faults else proof.exit_code
    return Recheck(before, faults, now, code, assumptions, layers or not _has_layers(before))


@cache
def schema() -> dict[str, Any]:
    """``certificate.schema.json``."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("certificate.schema.json").read_text(encoding="utf-8"))
    return found


def _read(path: Path) -> dict[str, Any]:
    with readable(path).open("rb") as file:
        certificate = json_object(file.read(limits.MAX_CONFIG_BYTES + 1), str(path))
    version = certificate.get("certificate")
    if version not in READABLE or isinstance(version, bool):
        versions = " or ".join(map(str, READABLE))
        raise NotACheckpoint(f"{path}: not a certificate of ror-port, version {versions}")
    if _nested_deeper(certificate, limits.MAX_NESTING):
        raise UnsafeFile(f"{path}: nested deeper than {limits.MAX_NESTING} levels")
    today = certificate if version == VERSION else _upgraded(certificate)
    if wrong := mismatch(today, schema()):
        raise NotACheckpoint(f"{path}: not a valid certificate: {wrong}")
    return {**today, "certificate": version}


def _nested_deeper(value: Any, levels: int) -> bool:
    inner = [value]
    for _ in range(levels):
        inner = [
            item
            for outer in inner
            for item in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]
    return bool(inner)


_RENAMED = {
    "same_answers": "same_top1",
    "answers": "images",
    "answers_changed": "top1_changed",
    "alone": "isolated",
    "differ_alone": "faulty_layers",
}
"""Field of version 1 → its name today."""


def _upgraded(value: Any) -> Any:
    """A certificate of an older version as one of today; what it states of one epsilon is not compared."""
    if isinstance(value, list):
        return [_upgraded(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {_RENAMED.get(key, key): _upgraded(item) for key, item in value.items()}
    if "certificate" in found:
        found["certificate"] = VERSION
    if "runtime" in found:
        found.setdefault("output", None)
    if "given" in found:
        found.setdefault("architecture", None)
    if "sensitivity" in found and not isinstance(found["sensitivity"], list):
        found["sensitivity"] = []
    return found


def _given(path: Path, stated: Json, architecture: Path | None) -> Given:
    try:
        return Given(**stated, architecture=architecture)
    except (TypeError, UsageError) as error:
        raise NotACheckpoint(f"{path}: not a valid certificate: 'source/given': {error}") from None


def _within(certificate: Path, name: str) -> Path:
    """A file that a certificate names, in its own folder; one that is named elsewhere is sought by its last part.

    Raises UnsafeFile where there is none, or where a link leads out of the folder.
    """
    relative, folder = Path(name), certificate.parent
    outside = relative.is_absolute() or ".." in relative.parts
    name_beside = "" if relative.name == ".." else relative.name
    path = folder / (name_beside if outside else relative)
    try:
        root, real = folder.resolve(strict=True), path.resolve()
        missing = not real.exists()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long, a zero in it
        raise UnsafeFile(f"{certificate}: names {quote(name)}, which is no name of a file ({error})") from None
    if outside and (missing or not name_beside):
        raise UnsafeFile(
            f"{certificate}: names {quote(name)}, which is not in the certificate's folder; nothing else is opened",
            "copy the file into that folder, where it is found by its name",
        )
    if root not in real.parents or any(root not in item.parents for item in _contents(certificate, real)):
        raise UnsafeFile(f"{certificate}: names {quote(name)}, which leads out of the certificate's folder")
    return path


def _contents(certificate: Path, folder: Path) -> Iterator[Path]:
    """Where the files of a folder really lie; none of what is no folder."""
    count = 0
    for parent, folders, files in os.walk(folder):
        for item in (Path(parent, name) for name in (*folders, *files)):
            count += 1
            if count > limits.MAX_ARTIFACT_FILES:
                raise UnsafeFile(f"{certificate}: names a folder of more than {limits.MAX_ARTIFACT_FILES} files")
            mode = item.stat().st_mode if item.exists() else 0
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise UnsafeFile(f"{certificate}: names a folder with {quote(item.name)}, which is no regular file")
            yield item.resolve()


def _changed(path: Path, item: Json) -> str | None:
    """What is wrong with a file. Its size is compared before it is read."""
    name = quote(item["file"])
    if not path.exists():
        return f"{name} is missing"
    if not path.is_dir():
        readable(path)
    if "bytes" in item and size(path) != item["bytes"]:
        return f"{name} has changed: it has {size(path)} bytes, not {item['bytes']}"
    return None if sha256(path) == item["sha256"] else f"{name} has changed: its sha256 is not {item['sha256']}"


def _has_layers(certificate: Json) -> bool:
    return any(artifact["layers"] for artifact in certificate["artifacts"])


def _ensure_affordable(path: Path, port: Port, before: Json) -> bool:
    """Raises UnsafeFile where the images of a certificate take more memory than a comparison needs.

    Returns whether the errors by layer, for which the outputs of all layers are kept, can be compared too.
    """
    graph = port.channels_last.graph
    count, stated = before["inputs"]["shape"][0], before["inputs"]["shape"]
    if len(graph.inputs) == 1 and not fits(tuple(stated[1:]), graph.input.shape):
        taken = "×".join(map(str, graph.input.shape))
        raise NotACheckpoint(f"{path}: images of {'×'.join(map(str, stated[1:]))[:100]}; the source takes {taken}")
    if any(varies(node.shape) for node in graph.inputs):
        try:
            graph = sized(graph, [tuple(stated[1:])] if before["inputs"]["file"] else next(fitting(graph)))
        except (ValueError, StopIteration):
            raise NotACheckpoint(f"{path}: inputs of sizes that the source does not take") from None
    outputs = [8 * math.prod(node.shape) for node in graph]
    if count * max(outputs) > limits.MAX_CHECK_BYTES:
        most = limits.MAX_CHECK_BYTES // max(outputs)
        raise UnsafeFile(f"{path}: asks for a comparison on {count} images; the limit for this network is {most}")
    return _has_layers(before) and count * sum(outputs) <= limits.MAX_CHECK_BYTES


def _assumptions(proof: Certificate) -> Iterator[Assumption]:
    """What the certificate states about the source, each with what the outputs would be without it."""
    expectation, given = proof.expectation, proof.expectation.port.given
    for name in READINGS:
        value = getattr(given, name)
        if value is None:
            continue
        assumption = Assumption(ARGUMENTS[name][1], str(value))
        try:
            with load(expectation.port.checkpoint.path, replace(given, **{name: None})) as port:  # type: ignore[arg-type]
                scores = Expectation(port, expectation.arrays).scores()
                (difference, *_) = sorted(
                    expectation.differences(scores, expectation.scores()), key=lambda found: -found.relative_l2
                )
        except RorPortError as error:
            yield replace(assumption, decisive=True, refusal=error.for_command())
        else:
            decisive = not difference.within(tolerances.MARGIN * max(expectation.noise()))
            yield replace(assumption, difference=difference, decisive=decisive)


_ERRORS = {"relative_l2", "end_to_end", "isolated", "logits_relative_l2"}
_TOLERANCES = {"value", "noise", "tolerance", "float32_noise"}
_ABSOLUTE = {"max_abs", "logits_max_abs"}
_UNCOMPARED = {
    *("certificate", "created", "tool"),
    *("logits_sha256", "worst", "output"),  # determined by the last bits
    *("runtime", "reason", "evidence", "option", "margin"),  # of another version
    *("file", "ror_port", "source"),  # compared as what they name
}
"""Fields that may be others where the figures are right."""
_LAYERS = {"layers", "first_difference", "faulty_layers"}


class _Comparison:
    """What a certificate states, with what was computed. Errors may differ by what rounding costs.

    layers: whether errors by layer were computed.
    """

    def __init__(self, proof: Certificate, layers: bool) -> None:
        expectation = proof.expectation
        self.margin = tolerances.MARGIN
        self.noise = self.margin * max(expectation.noise())
        largest = max(float(np.linalg.norm(scores)) for scores in expectation.scores())
        self.absolute = self.noise * max(largest, float(expectation.count) ** 0.5)
        self.uncompared = _UNCOMPARED if layers else _UNCOMPARED | _LAYERS

    def faults(self, before: Json, now: Json) -> Iterator[str]:
        """One for each figure that is not what was computed."""
        if before["certificate"] == VERSION:
            yield from self._differences("source", self._facts(before["source"]), self._facts(now["source"]))
            yield from self._differences("weights", before["weights"], now["weights"])
        for name in ("reference", "record"):
            yield from self._differences(name, before[name], now[name])
        if before["certificate"] == VERSION:
            yield from self._differences("sensitivity", before["sensitivity"], now["sensitivity"])
        for stated, found in zip(before["artifacts"], now["artifacts"], strict=True):
            if stated["passed"] is not None and found["passed"] is not None:
                yield from self._differences(quote(stated["file"]), stated, found)
        if before["passed"] is not None and now["passed"] is not None:
            yield from self._differences("passed", before["passed"], now["passed"])

    def _facts(self, source: Json) -> dict[str, Any]:
        """The source with its facts by their names; its architecture, found or given, is compared as a file."""
        facts = {fact["name"]: f"{fact['value']} ({fact['basis']})" for fact in source["facts"]}
        facts.pop("architecture", None)
        return {**{key: value for key, value in source.items() if key != "source"}, "facts": facts}

    def _differences(self, where: str, stated: Any, found: Any) -> Iterator[str]:
        if isinstance(stated, dict) and isinstance(found, dict):
            for key in dict.fromkeys((*stated, *found)):
                if key not in self.uncompared:
                    yield from self._differences(f"{where} {key}", stated.get(key), found.get(key))
        elif isinstance(stated, list) and isinstance(found, list) and len(stated) == len(found):
            for index, (one, other) in enumerate(zip(stated, found, strict=True)):
                yield from self._differences(f"{where} {index}", one, other)
        elif not self._equal(where.rpartition(" ")[2], stated, found):
            yield f"{where}: stated {_shown(stated)}, computed {_shown(found)}"

    def _equal(self, key: str, stated: Any, found: Any) -> bool:
        try:
            return self._same(key, stated, found)
        except OverflowError:  # a whole number beyond the floats
            return False

    def _same(self, key: str, stated: Any, found: Any) -> bool:
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (stated, found))
        if not numbers:
            return type(stated) is type(found) and bool(stated == found)
        if key in _ERRORS:
            return bool(abs(stated - found) <= self.noise)
        if key in _ABSOLUTE:
            return bool(abs(stated - found) <= self.absolute)
        if key in _TOLERANCES:
            return bool(found <= self.margin * stated and stated <= self.margin * found)
        if isinstance(stated, int) and isinstance(found, int):
            return stated == found
        return math.isclose(stated, found, rel_tol=1e-6, abs_tol=1e-9)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1e}"
    return quote(value) if isinstance(value, str) else quote(json.dumps(value)).strip("'")
