"""Measures the errors that docs/accuracy.md shows: genuine records in every runtime that is installed.

Writes benchmarks/parity.json, or the file that is named, and prints each row as it is measured.
"""

# ruff: noqa: T201
from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import genuine
from ror_port.layout import NHWC_TO_NCHW
from ror_port.source.port import load
from runtimes import FLOAT32_ONLY, NEEDS, RUNTIMES, installed

VERSIONS = {
    "Keras": "keras",
    "TensorFlow": "tensorflow",
    "PyTorch": "torch",
    "JAX": "jax",
    "ONNX Runtime": "onnxruntime",
}
LOGITS = "head/dense"


def errors(name: str, runtimes: list[str], folder: Path) -> list[dict[str, Any]]:
    """Relative L2 errors of the logits in each runtime, one row a precision."""
    source = genuine.stored(name, folder)
    rows = []
    for dtype in ("float32", "float64"):
        record = source.record(dtype)
        found: dict[str, float] = {}
        with load(source.weights, epsilon=source.epsilon) as port:
            for runtime in runtimes:
                if dtype == "float64" and runtime in FLOAT32_ONLY:
                    continue
                logits = RUNTIMES[runtime](port, record["images"], dtype, folder)[LOGITS]
                if not (logits.argmax(1) == record["logits"].argmax(1)).all():
                    sys.exit(f"{name}, {dtype}, {runtime}: the top-1 class differs")
                found[runtime] = float(f"{genuine.relative_l2(logits, record['logits']):.1e}")
            label = f"{port.name}, {name.rpartition('_')[2].replace('keras-', 'Keras ')}"
        rows.append({"record": label, "dtype": dtype, "errors": found})
        print(label, dtype, found, flush=True)
    return rows


def digits(runtimes: list[str], folder: Path) -> dict[str, Any]:
    """The network trained on digits: agreement of each runtime with Theano; the accuracy with and without the flip."""
    source = genuine.stored(genuine.DIGITS, folder)
    data, theano = genuine.digits(source), source.record()["logits"].argmax(1)
    images = NHWC_TO_NCHW(data["x_test"] / np.float32(255))

    def classes(runtime: str, **given: str) -> np.ndarray:
        with load(source.weights, **given) as port:
            return RUNTIMES[runtime](port, images, "float32", folder)[LOGITS].argmax(1)

    return {
        "images": len(images),
        "same": {runtime: int((classes(runtime) == theano).sum()) for runtime in runtimes},
        "accuracy": float((classes("numpy") == data["y_test"]).mean()),
        "accuracy_without_flip": float((classes("numpy", backend="tensorflow") == data["y_test"]).mean()),
    }


def main() -> None:
    runtimes = [name for name in RUNTIMES if installed(*NEEDS.get(name, ()))]
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for name in genuine.INFERENCE for row in errors(name, runtimes, Path(folder))]
        agreement = digits(runtimes, Path(folder))
    versions = {name: importlib.metadata.version(of) for name, of in VERSIONS.items() if installed(of)}
    record = {"images": 8, "device": "CPU", "versions": versions, "records": rows, "digits": agreement}
    target = Path(sys.argv[1]) if sys.argv[1:] else genuine.ROOT / "benchmarks" / "parity.json"
    target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
