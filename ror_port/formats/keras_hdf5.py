"""Keras' HDF5 files up to Keras 2 (``save_weights`` and ``save``), which Keras 3 still calls legacy ``.h5``.

Weights-only files list their layers in the root attribute ``layer_names``; full models keep the same under the
group ``model_weights``, with the architecture as JSON in the root attribute ``model_config``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ror_port import limits
from ror_port.checkpoint import Checkpoint, StoredLayer
from ror_port.errors import NotACheckpoint
from ror_port.formats import hdf5, keras_config
from ror_port.formats.model_config import architecture, json_object
from ror_port.graph import Graph, Parameter
from ror_port.layout import Array
from ror_port.mapping.convention import CANONICAL, THEANO
from ror_port.mapping.keras import KERAS_1, KERAS_2, keras_1, keras_1_layer_names, keras_2, keras_layer_name

ATTRIBUTE_BYTES = 60_000
"""HDF5 keeps an attribute within 64 KiB; longer lists of names are split, as Keras splits them."""


def read(path: Path) -> Checkpoint:
    """Opens a weights-only file or a full model. Tensors are read on demand."""
    stack = ExitStack()
    with ExitStack() as on_error:
        file = stack.enter_context(hdf5.hdf5(path, path))
        on_error.callback(stack.close)
        full = "model_weights" in file
        root = hdf5.group(file, "model_weights", path) if full else file
        if "layer_names" not in root.attrs and "layer_names0" not in root.attrs:
            raise NotACheckpoint(
                f"{path}: an HDF5 file, but not of Keras weights: no attribute 'layer_names'; "
                f"it holds {hdf5.content(file)}"
            )
        names = hdf5.names(root, "layer_names", path, limits.MAX_LAYERS)
        tensors = hdf5.Tensors(path)
        layers = tuple(_layer(root, name, tensors) for name in names)
        tensors.check()
        config = hdf5.text(file, "model_config", path)
        version = hdf5.text(root, "keras_version", path) or hdf5.text(file, "keras_version", path)
        backend = hdf5.text(root, "backend", path) or hdf5.text(file, "backend", path)
        checkpoint = Checkpoint(
            path=path,
            format="Keras full model, HDF5" if full else "Keras weights, HDF5",
            layers=layers,
            dialects=(KERAS_1, KERAS_2),
            keras_version=version,
            backend=backend,
            architecture=architecture(config, path) if config else None,
            stated=json_object(hdf5.text(file, "ror_port", path) or "{}", f"{path}: attribute ror_port"),
            omitted=("optimizer state",) if "optimizer_weights" in file else (),
            close=stack.close,
        )
        on_error.pop_all()
    return checkpoint


def _layer(root: h5py.Group, name: str, tensors: hdf5.Tensors) -> StoredLayer:
    group = hdf5.group(root, name, tensors.path)
    weights = hdf5.names(group, "weight_names", tensors.path, limits.MAX_WEIGHTS_PER_LAYER)
    return StoredLayer(name, tuple(tensors.fetch(group, weight, weight) for weight in weights))


def write(
    path: Path,
    graph: Graph,
    parameters: Iterable[tuple[Parameter, Array]],
    *,
    dtype: str,
    channels_first: bool,
    stated: Mapping[str, Any],
) -> None:
    """A full model as Keras 2 on TensorFlow saves it: opens in Keras 2 and 3, whole or weights alone, by order or name.

    Parameters are canonical and come in the order of the graph; each is written as it comes.
    """
    layers = keras_config.layers(graph, dtype=dtype, channels_first=channels_first)
    entries = {entry.parameter.name: entry for entry in keras_2(CANONICAL).bind(graph.parameters, keras_layer_name)}
    with path.open("w+b") as disk, hdf5.writing(disk) as file:
        root = file.create_group("model_weights")
        for owner in (file, root):
            _write_text(owner, "keras_version", "2.3.1")
            _write_text(owner, "backend", "tensorflow")
        _write_text(file, "model_config", json.dumps(keras_config.keras_2(layers, "model")))
        file.attrs["ror_port"] = json.dumps(stated)
        _write_names(root, "layer_names", [layer.name for layer in layers])
        weights = {keras_layer_name(node.name): node.parameters for node in graph}
        for layer in layers:
            group = root.create_group(layer.name)
            foreign = [entries[parameter.name].foreign for parameter in weights[layer.name]]
            _write_names(group, "weight_names", [name.removeprefix(f"{layer.name}/") for name in foreign])
        for parameter, array in parameters:
            entry = entries[parameter.name]
            hdf5.store(root, entry.foreign, entry.layout(array).astype(dtype, copy=False))


def write_keras_1(
    path: Path, graph: Graph, parameters: Iterable[tuple[Parameter, Array]], *, dtype: str, stated: Mapping[str, Any]
) -> None:
    """Weights as Keras 1 on Theano saves them in a fresh session: its names and layouts, dim ordering "th".

    They load into a network made by the authors' code, by order or by name. Parameters are canonical.
    """
    names = keras_1_layer_names(graph)
    entries = {entry.parameter.name: entry for entry in keras_1(THEANO).bind(graph.parameters, names.__getitem__)}
    with path.open("w+b") as disk, hdf5.writing(disk) as file:
        file.attrs["ror_port"] = json.dumps(stated)
        _write_names(file, "layer_names", list(names.values()))
        for node, layer in names.items():
            foreign = [entries[parameter.name].foreign for parameter in graph[node].parameters]
            _write_names(file.create_group(layer), "weight_names", [name.removeprefix(f"{layer}/") for name in foreign])
        for parameter, array in parameters:
            entry = entries[parameter.name]
            hdf5.store(file, entry.foreign, entry.layout(array).astype(dtype, copy=False))


def _write_text(owner: h5py.Group, attribute: str, text: str) -> None:
    """As Keras 2 expects it: ASCII, which its h5py reads as bytes; of variable length, which has no limit."""
    owner.attrs.create(attribute, text, dtype=h5py.string_dtype("ascii"))


def _write_names(group: h5py.Group, attribute: str, names: list[str]) -> None:
    encoded = np.array([name.encode() for name in names])
    pieces = np.array_split(encoded, -(-encoded.nbytes // ATTRIBUTE_BYTES)) if len(names) else [np.zeros(0)]
    for index, piece in enumerate(pieces):
        group.attrs[attribute if len(pieces) == 1 else f"{attribute}{index}"] = piece
