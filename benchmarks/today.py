"""What today's Keras 3 and tf-keras make of the files of old Keras, and what ror-port makes of them.

    benchmarks/today [PATTERN] [--only SOFTWARE …] [--json FILE]

Every record of fixtures/layers/ is written as its Keras saved it, loaded, and run on the recorded inputs in the test
phase, twice where the network is stateful. The JSON has an outcome for each record and software:

    1.2e-07             the largest relative L2 error of its outputs, which is right up to `tolerances.FLOAT32`
    null                outputs of another shape, or not finite
    "ValueError: …"     refused: an exception while it was loaded or run, or the end of the process

ror-port is given the file alone, and the version of a Keras that had no ``model.save``; then also the backend and the
dim ordering, which a file of Keras 1 may not state. Keras 3 on TensorFlow loads what it wrote, which it
was told not to verify. PATTERN (of `fnmatch`, for STACK/FAMILY/NAME) and --only measure a part
anew and keep the rest of the file. Each software runs in child processes, where a crash or a hang costs one record.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from genuine import ROOT, relative_l2
from genuine_layers import Case, LayerRecord, cases, record

Arrays = Sequence[np.ndarray]
Run = Callable[[Arrays], Arrays]
"""From recorded inputs to outputs, both with the axes of the record."""
Outcome = float | str | None

BATCH = 400
"""Records a process, so that what a framework keeps of each does not add up."""
SECONDS = 120
"""For one record."""
WIDTH = 100
"""Of a reason, in characters."""
PLACE = re.compile(r"genuine\.h5: (\S+: )?(layer '.*?': )?|\x1b\[\d*m")
"""What a reason is without: where in the file, as ror-port states it, and colours."""


def saved(of: LayerRecord, folder: Path) -> tuple[Path, Path | None]:
    """The file that Keras saved; beside it the architecture as JSON, where that Keras had no ``model.save``."""
    path, architecture = folder / "genuine.h5", folder / "model.json"
    if of.saves_models:
        of.write(path)
        return path, None
    of.write_weights(path)
    architecture.write_text(of.config)
    return path, architecture


def running(model: Any) -> Run:
    def run(inputs: Arrays) -> Arrays:
        found = model.predict_on_batch(list(inputs) if len(inputs) > 1 else inputs[0])
        return list(found) if isinstance(found, list | tuple) else [found]

    return run


def keras_3(of: LayerRecord, folder: Path) -> Run:
    import keras

    return _in_keras(keras.models, of, folder)


def tf_keras(of: LayerRecord, folder: Path) -> Run:
    import tf_keras

    return _in_keras(tf_keras.models, of, folder)


def _in_keras(models: Any, of: LayerRecord, folder: Path) -> Run:
    path, architecture = saved(of, folder)
    if architecture is None:
        return running(models.load_model(path, compile=False))
    model = models.model_from_json(architecture.read_text())
    model.load_weights(path)
    return running(model)


def by_ror_port(of: LayerRecord, folder: Path, **stated: Any) -> Run:
    import keras

    import ror_port

    path, architecture = saved(of, folder)
    if architecture is not None:
        stated["architecture"] = architecture
        if not of.session["keras"].startswith("0."):  # whose files tell it by their form
            stated["keras"] = of.session["keras"]
    with ror_port.load(path, **stated) as port:
        ror_port.save(port, folder / "net.keras", verify=False)
        names, axes = [node.name for node in port.graph.inputs], port.channels_last
    run = running(keras.models.load_model(folder / "net.keras", compile=False))

    def moved(inputs: Arrays) -> Arrays:
        found = run([axes.value(name).view(array) for name, array in zip(names, inputs, strict=True)])
        return [axes.value(name).inverse.view(array) for name, array in zip(port.graph.outputs, found, strict=True)]

    return moved


def by_told_ror_port(of: LayerRecord, folder: Path) -> Run:
    ordering = of.session["image_dim_ordering"]
    if "other-ordering" in of.case.name:  # the layers have another than their session
        ordering = {"th": "tf", "tf": "th"}[ordering]
    return by_ror_port(of, folder, backend=of.session["backend"], ordering=ordering)


SOFTWARE: Mapping[str, tuple[Callable[[LayerRecord, Path], Run], str, tuple[str, ...]]] = {
    "keras-tensorflow": (keras_3, "tensorflow", ("keras", "tensorflow")),
    "keras-torch": (keras_3, "torch", ("keras", "torch")),
    "tf-keras": (tf_keras, "tensorflow", ("tf-keras", "tensorflow")),
    "ror-port": (by_ror_port, "tensorflow", ("ror-port", "keras", "tensorflow")),
    "ror-port-told": (by_told_ror_port, "tensorflow", ("ror-port", "keras", "tensorflow")),
}
"""Name → what loads a record, the backend of Keras, and the packages whose versions count."""


def outcome(load: Callable[[LayerRecord, Path], Run], of: LayerRecord) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = load(of, Path(folder))
            found = [*run(of.inputs), *(run(of.inputs) if of.outputs_again else [])]
        except Exception as refusal:
            reason = PLACE.sub("", str(refusal).replace(f"{folder}/", ""))
            return " ".join([f"{type(refusal).__name__}:", *reason.split()])[:WIDTH]
    return error(found, [*of.outputs, *of.outputs_again])


def error(found: Arrays, expected: Arrays) -> float | None:
    """The largest relative L2 error, absolute where nothing but zeros is expected; None where there is none."""
    if [np.shape(a) for a in found] != [a.shape for a in expected] or not all(np.isfinite(a).all() for a in found):
        return None
    errors = [relative_l2(a, b) if b.any() else float(np.abs(a).max()) for a, b in zip(found, expected, strict=True)]
    return float(f"{max(errors):.1e}")


def child(name: str) -> None:
    """Prints the versions, then an outcome for each case that it reads, as lines of JSON."""
    load, _, packages = SOFTWARE[name]
    with contextlib.redirect_stdout(sys.stderr):
        print(json.dumps({package: version(package) for package in packages}), file=sys.__stdout__, flush=True)
        for line in sys.stdin:
            signal.alarm(SECONDS)  # ends this process
            print(json.dumps(outcome(load, record(Case(*line.strip().split("/"))))), file=sys.__stdout__, flush=True)


def measure(name: str, wanted: Sequence[str]) -> Iterator[tuple[dict[str, str], dict[str, Outcome]]]:
    """The versions of a software and the outcomes of some cases, until all are measured."""
    left = list(wanted)
    with tempfile.TemporaryDirectory() as home:
        own = {"KERAS_BACKEND": SOFTWARE[name][1], "KERAS_HOME": home}
        while left:
            print(f"\r\x1b[K{name}: {len(left)} to do", end="", file=sys.stderr, flush=True)
            process = subprocess.run(
                [sys.executable, __file__, "--child", name],
                input="\n".join(left[:BATCH]),
                env=os.environ | own | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
                capture_output=True,
                text=True,
            )
            versions, *lines = map(json.loads, process.stdout.splitlines() or ["{}"])
            if not versions:
                sys.exit(f"{name} does not start:\n{process.stderr}")
            if len(lines) < len(left[:BATCH]):
                lines.append(f"the process ended with {process.returncode}")
            yield versions, dict(zip(left, lines, strict=False))
            left = left[len(lines) :]
    print("\r\x1b[K", end="", file=sys.stderr)


def text(kept: Mapping[str, Any]) -> str:
    """JSON with a line for each record."""
    rows = [f" {json.dumps(case)}: {json.dumps(found, ensure_ascii=False)}" for case, found in kept["outcomes"].items()]
    head = json.dumps({"versions": kept["versions"]}, indent=1).removesuffix("\n}")
    return head + ',\n "outcomes": {\n' + ",\n".join(rows) + "\n }\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs the files of old Keras in today's software, and by ror-port.")
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--only", nargs="+", choices=SOFTWARE, default=list(SOFTWARE), metavar="SOFTWARE")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "today.json")
    parser.add_argument("--child", choices=SOFTWARE, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child)
    kept = json.loads(arguments.json.read_text()) if arguments.json.exists() else {"versions": {}, "outcomes": {}}
    kept["outcomes"] = {str(case): kept["outcomes"].get(str(case), {}) for case in cases()}
    for name in arguments.only:
        for versions, found in measure(name, [str(case) for case in cases(arguments.pattern)]):
            kept["versions"][name] = versions
            for case in found:
                kept["outcomes"][case][name] = found[case]
            arguments.json.write_text(text(kept))


if __name__ == "__main__":
    main()
