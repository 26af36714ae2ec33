"""Genuine records for the tests: what Keras 1 on Theano wrote and computed (`reference/`)."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ror_port.network.graph import Graph
from ror_port.network.layers import Softmax

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"

PRE_ROR = ("pre-ror-3-16_keras-1.2.2", "pre-ror-3-16_keras-1.1.0")
LARGE = ("ror-3-wrn-40-2_keras-1.2.2", "ror-3-wrn-40-2_keras-1.1.0")
INFERENCE = PRE_ROR + LARGE
KINDS = (
    "pre-ror-3-10_keras-1.0.6",
    "pre-ror-3-10-100-classes_keras-1.2.2",
    "pre-ror-3-10-64x64_keras-1.2.2",
    "pre-ror-3-10-dropout_keras-1.2.2",
    "pre-ror-3-10-checkpoint_keras-1.2.2",
    "pre-ror-3-10_keras-2.2.4",
    "pre-ror-3-10-64x64_keras-2.2.4",
    "pre-ror-3-10_keras-2.3.1",
    "wrn-16-2_keras-2.2.4",
    "wrn-2016-16-2_keras-1.2.2",
    "ror-3-56_keras-1.2.2",
    "ror-3-110_keras-1.2.2",
    "ror-3-wrn-16-2-theano-th_keras-1.2.2",
    "ror-3-wrn-16-2-theano-tf_keras-1.2.2",
    "ror-3-wrn-16-2-tensorflow-th_keras-1.2.2",
    "ror-3-wrn-16-2-tensorflow-tf_keras-1.2.2",
)
"""Every family, and every kind of file."""
STEPS = ("pre-ror-3-10-step_keras-1.2.2", "pre-ror-3-10-step_keras-1.1.0")
DIGITS = "digits-ror-3-wrn-10-2_keras-1.2.2"
EPSILON = {"1.2.2": 1e-3, "1.1.0": 1e-5}
"""Keras' default when it was recorded; a weights-only file does not say."""


@dataclass(frozen=True)
class Genuine:
    """One folder of fixtures/. weights: the HDF5 file that genuine Keras saved (of a large net, rebuilt)."""

    name: str
    weights: Path
    folder: Path

    @property
    def epsilon(self) -> float:
        return EPSILON[self.name.rsplit("-", 1)[1]]

    def manifest(self, dtype: str = "float32") -> dict[str, Any]:
        return json.loads((self.folder / f"manifest_{dtype}.json").read_text())

    def record(self, dtype: str = "float32") -> dict[str, np.ndarray]:
        """Every recorded array by its path in the file."""
        arrays: dict[str, np.ndarray] = {}
        with h5py.File(self.folder / f"record_{dtype}.h5") as file:
            file.visititems(
                lambda path, item: arrays.update({path: item[()]} if isinstance(item, h5py.Dataset) else {})
            )
        return arrays


def recipe() -> Any:
    """`reference/recipe.py`, which makes weights from seeds."""
    spec = importlib.util.spec_from_file_location("recipe", ROOT / "reference" / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rebuild(name: str, path: Path) -> None:
    """A weights file that is not stored: its layout as Keras' ``save_weights`` has it, the recipe's tensors."""
    genuine = Genuine(name, path, FIXTURES / name)
    manifest, kept = genuine.manifest(), genuine.record()
    weight, kernels = recipe().weight, manifest.get("kernels", "OIHW")
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([layer.encode() for layer, _ in manifest["layers"]])
        for attribute, value in manifest.get("attributes", {}).items():
            file.attrs[attribute] = value.encode()
        for layer, tensors in manifest["layers"]:
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([tensor.encode() for tensor, _, _ in tensors])
            for tensor, shape, _ in tensors:
                centred = kept.get(f"weights/{tensor}")
                group[tensor] = weight(tensor, tuple(shape), manifest["seed"], kernels) if centred is None else centred


def stored(name: str, folder: Path) -> Genuine:
    """A fixture with its weights: the file that Keras saved, where that is kept, else rebuilt in `folder`."""
    for candidate in ("weights.h5", "model.h5"):
        if (FIXTURES / name / candidate).exists():
            return Genuine(name, FIXTURES / name / candidate, FIXTURES / name)
    path = folder / f"{name}.h5"
    if not path.exists():
        rebuild(name, path)
    return Genuine(name, path, FIXTURES / name)


def layer_names(source: Genuine, graph: Graph) -> dict[str, str]:
    """Node → name of its layer in the session that recorded `source`."""
    nodes = [node.name for node in graph.keras_order if not isinstance(node.layer, Softmax)]
    return dict(zip(nodes, (layer for layer, _ in source.manifest()["layers"]), strict=True))


def rename_layers(file: h5py.File, names: dict[str, str]) -> None:
    """Renames layers and their weights in a Keras 1 file, as another session's counters would have named them."""
    order = [name.decode() for name in file.attrs["layer_names"]]
    for old, new in names.items():
        file.move(old, f"renaming {new}")
    for old, new in names.items():
        file.move(f"renaming {new}", new)
        group = file[new]
        weights = [weight.decode() for weight in group.attrs["weight_names"]]
        for weight in weights:
            group.move(weight, new + weight.removeprefix(old))
        if weights:
            group.attrs["weight_names"] = [(new + weight.removeprefix(old)).encode() for weight in weights]
    file.attrs["layer_names"] = [names.get(name, name).encode() for name in order]


def relative_l2(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(np.float64(actual) - expected) / np.linalg.norm(np.float64(expected)))


def on_grid(output: np.ndarray) -> np.ndarray:
    """(batch, channels, rows, columns) → the rows and columns that ``record.py --layers grid`` keeps."""
    size = output.shape[2] if output.ndim == 4 else 0
    if size <= 8:
        return output
    keep = sorted({0, 1, 2, size - 1, size // 2 - 1, size // 2})
    return output[:, :, keep][:, :, :, keep]


def recorded_layer(record: dict[str, np.ndarray], layer: str, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A layer's recorded output, and ours of the same images at the same places."""
    expected = record[f"layers/{layer}"]
    output = output[: len(expected)]
    return expected, output if output.shape == expected.shape else on_grid(output)


def digits(source: Genuine) -> dict[str, np.ndarray]:
    """x_train, x_test: uint8 (image, row, column, channel); y_train, y_test: labels."""
    with h5py.File(source.folder / "digits.h5") as file:
        return {name: file[name][()] for name in file}


def recorded_tap(
    record: dict[str, np.ndarray], layers: dict[str, str], tap: str, output: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What was recorded at a tap, and ours at the same places. layers: node → name of its layer in the record."""
    if tap in ("head/dense", "head/flatten"):
        return record["logits" if tap == "head/dense" else "features"], output
    return recorded_layer(record, layers[tap], output)
