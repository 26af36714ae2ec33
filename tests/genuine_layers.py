"""Genuine records of tiny networks, one for every kind of layer and setting: what Keras saved and computed.

Recorded by `reference/record_layers`; its README has the keys. `application` has Keras' own large networks.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from genuine import FIXTURES, recipe

LAYERS = FIXTURES / "layers"
APPLICATIONS = FIXTURES / "applications"


class Case(NamedTuple):
    """Names a record: fixtures/layers/STACK/FAMILY.npz holds it under NAME."""

    stack: str
    family: str
    name: str

    def __str__(self) -> str:
        return "/".join(self)


class SavedLayer(NamedTuple):
    """A layer as a file of Keras has it. weights: name → array, in the order of the file."""

    name: str
    weights: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """One network of a few layers: the files that Keras saved, and what it computed.

    config: ``model_config`` to the letter. session: versions of Keras and of its backend, floatx, dim ordering.

    attributes: those beside ``layer_names`` and ``model_config`` of the full model's file ("model"), of its weights
    ("model_weights") and of the file of weights alone ("weights"); the first two are None where this Keras had no
    ``model.save``.

    inputs, outputs: in the order of the model's, in the test phase. outputs_float64: of the same weights and inputs in
    a float64 session; empty for TensorFlow. outputs_again: of a second run, which a stateful network begins with the
    states that the first left; empty for others.
    """

    case: Case
    config: str
    attributes: Mapping[str, Mapping[str, str] | None]
    session: Mapping[str, str]
    layers: tuple[SavedLayer, ...]
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    outputs_float64: tuple[np.ndarray, ...] = ()
    outputs_again: tuple[np.ndarray, ...] = ()
    outputs_again_float64: tuple[np.ndarray, ...] = ()

    @property
    def saves_models(self) -> bool:
        """Whether this Keras had ``model.save``; where not, `config` is what ``model.to_json`` gave."""
        return self.attributes["model"] is not None

    def write(self, path: Path) -> None:
        """The file that ``model.save`` wrote: architecture and weights."""
        model, weights = self.attributes["model"], self.attributes["model_weights"]
        if model is None or weights is None:
            raise ValueError(f"{self.case}: Keras {self.session['keras']} had no model.save; write_weights there is")
        with h5py.File(path, "w") as file:
            _set_texts(file, {**model, "model_config": self.config})
            self._save_layers(file.create_group("model_weights"), weights)

    def write_weights(self, path: Path) -> None:
        """The file that ``model.save_weights`` wrote."""
        weights = self.attributes["weights"]
        assert weights is not None
        with h5py.File(path, "w") as file:
            if self.session["keras"].startswith("0."):
                self._save_by_number(file)
            else:
                self._save_layers(file, weights)

    def _save_by_number(self, root: h5py.File) -> None:
        if [layer.name for layer in self.layers] != ["graph"]:
            root.attrs["nb_layers"] = len(self.layers)
        for layer in self.layers:
            group = root.create_group(layer.name)
            group.attrs["nb_params"] = len(layer.weights)
            for name, array in layer.weights.items():
                group.create_dataset(name, data=array)

    def _save_layers(self, root: h5py.Group, attributes: Mapping[str, str]) -> None:
        _set_texts(root, attributes)
        root.attrs["layer_names"] = _names(layer.name for layer in self.layers)
        for layer in self.layers:
            group = root.create_group(layer.name)
            group.attrs["weight_names"] = _names(layer.weights)
            for name, array in layer.weights.items():
                group.create_dataset(name, data=array)


def _names(names: Iterable[str]) -> np.ndarray:
    """As Keras keeps them: of one length; where there are none, an array of no floats."""
    return np.array([name.encode() for name in names])


def _set_texts(group: h5py.Group, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        group.attrs[name] = text.encode()  # bytes become a text of variable length, as in Keras


def cases(pattern: str = "*") -> list[Case]:
    """The cases whose ``STACK/FAMILY/NAME`` fits a pattern of `fnmatch`. Reads texts, and no array of a record."""
    found = [
        Case(path.parent.name, path.stem, name) for path in sorted(LAYERS.glob("*/*.npz")) for name in _members(path)
    ]
    return [case for case in found if fnmatch(str(case), pattern)]


TEXTS = "texts"
"""The array that all texts of a family lie in, as the JSON of a mapping."""

SERIES = ("inputs", "outputs", "outputs_float64", "outputs_again", "outputs_again_float64")


def record(case: Case) -> LayerRecord:
    path = LAYERS / case.stack / f"{case.family}.npz"
    keys = set(_members(path)[case.name])

    def take(key: str) -> np.ndarray:
        keys.remove(key)
        with _archive(path).open(f"{case.name}/{key}.npy") as file:
            return np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)

    def text(key: str) -> str:
        keys.remove(key)
        return _texts(path)[f"{case.name}/{key}"]

    def arrays(key: str) -> tuple[np.ndarray, ...]:
        return tuple(take(f"{key}/{number}") for number in range(sum(name.startswith(f"{key}/") for name in keys)))

    listed: list[tuple[str, list[str]]] = json.loads(text("layers"))
    layers = tuple(
        SavedLayer(layer, {name: take(f"weights/{layer}/{number}") for number, name in enumerate(names)})
        for layer, names in listed
    )
    made = LayerRecord(
        case,
        config=text("config"),
        attributes=json.loads(text("attributes")),
        session=json.loads(text("session")),
        layers=layers,
        **{key: arrays(key) for key in SERIES},
    )
    if keys:
        raise ValueError(f"{case}: a record with keys that nobody reads: {', '.join(keys)}")
    return made


def application_texts(name: str) -> Mapping[str, str]:
    """The texts of one of them: "config", "session" and others."""
    return _texts(APPLICATIONS / f"{name}.npz")


def application(name: str) -> LayerRecord:
    """One of fixtures/applications: "vgg16-th" … "xception-tf", with the weights and inputs that made it."""
    network, ordering = name.split("-")
    path = FIXTURES / "applications" / f"{name}.npz"
    texts = _texts(path)
    with np.load(path) as stored:
        outputs = {key: (stored[f"{key}/0"],) for key in ("outputs", "outputs_float64")}
    shapes, recipes = json.loads(texts["shapes"]), recipe()

    def tensor(layer: str, number: int, name: str) -> np.ndarray:
        array: np.ndarray = recipes.application_weight(network, name, tuple(shapes[f"{layer}/{number}"]), ordering)
        return array

    layers = tuple(
        SavedLayer(layer, {name: tensor(layer, number, name) for number, name in enumerate(names)})
        for layer, names in json.loads(texts["layers"])
    )
    return LayerRecord(
        Case("applications", network, ordering),
        config=texts["config"],
        attributes=json.loads(texts["attributes"]),
        session=json.loads(texts["session"]),
        layers=layers,
        inputs=(recipes.application_images(ordering, tuple(json.loads(texts.get("image", "[3, 224, 224]")))),),
        **outputs,
    )


@cache
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(path.read_bytes()))  # no open file that somebody would have to close


@cache
def _texts(path: Path) -> Mapping[str, str]:
    """Key → text, of all cases."""
    with _archive(path).open(f"{TEXTS}.npy") as file:
        array = np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)
    found: Mapping[str, str] = json.loads(array.item())
    return found


@cache
def _members(path: Path) -> dict[str, list[str]]:
    """Case → keys."""
    found: dict[str, list[str]] = {}
    arrays = (member.removesuffix(".npy") for member in _archive(path).namelist())
    for name in (*_texts(path), *(name for name in arrays if name != TEXTS)):
        case, _, key = name.partition("/")
        found.setdefault(case, []).append(key)
    return found
