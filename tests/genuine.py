"""Genuine records for the tests: what Keras 1 on Theano wrote and computed (`reference/`)."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"

PRE_ROR = ("pre-ror-3-16_keras-1.2.2", "pre-ror-3-16_keras-1.1.0")
LARGE = ("ror-3-wrn-40-2_keras-1.2.2", "ror-3-wrn-40-2_keras-1.1.0")
INFERENCE = PRE_ROR + LARGE
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
    """The weights file of a large fixture: ``save_weights``' layout, the recipe's tensors."""
    genuine = Genuine(name, path, FIXTURES / name)
    manifest, kept = genuine.manifest(), genuine.record()
    weight = recipe().weight
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer, _ in manifest["layers"]]
        for layer, tensors in manifest["layers"]:
            group = file.create_group(layer)
            group.attrs["weight_names"] = [tensor.encode() for tensor, _, _ in tensors]
            for tensor, shape, _ in tensors:
                group[tensor] = kept.get(f"weights/{tensor}", weight(tensor, tuple(shape), manifest["seed"]))


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
