"""Keras 3's own files: ``.weights.h5``, and ``.keras``, a zip of that with the architecture.

Tensors lie at ``layers/<class>[_<n>]/vars/<i>``, counted by class in the order of ``model.layers``; the layer's
name is an attribute of ``vars``. Source: Keras 3.15, saving/saving_lib.py.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from ror_port import limits
from ror_port.checkpoint import Architecture, Checkpoint, StoredLayer
from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile
from ror_port.formats import hdf5, keras_config
from ror_port.formats.model_config import architecture
from ror_port.graph import Graph, Parameter
from ror_port.layout import Array
from ror_port.mapping.keras import KERAS_3, keras_layer_name

KERAS_VERSION = "3.15.1"
"""The Keras whose file layout is followed; the suite loads every file that is written with it."""

ROLES = {
    "conv2d": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
}
"""Class in a path → roles of its ``vars``, in order."""

_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"


def read_weights(path: Path) -> Checkpoint:
    """Opens a ``.weights.h5`` file."""
    stack = ExitStack()
    with ExitStack() as on_error:
        on_error.callback(stack.close)
        file = stack.enter_context(hdf5.hdf5(path, path))
        stated = json.loads(hdf5.text(file, "ror_port", path) or "{}")
        checkpoint = Checkpoint(path, "Keras 3 weights, HDF5", _layers(file, path), stated=stated, close=stack.close)
        on_error.pop_all()
    return checkpoint


def read_archive(path: Path) -> Checkpoint:
    """Opens a ``.keras`` file."""
    stack = ExitStack()
    with ExitStack() as on_error:
        on_error.callback(stack.close)
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
        except (zipfile.BadZipFile, OSError) as error:
            raise UnreadableFile(f"{path}: a damaged zip archive ({error})") from None
        metadata = json.loads(_member(archive, _METADATA, path, limits.MAX_CONFIG_BYTES).read())
        config = _member(archive, _CONFIG, path, limits.MAX_CONFIG_BYTES).read().decode("utf-8", "replace")
        weights = stack.enter_context(tempfile.TemporaryFile())
        shutil.copyfileobj(_member(archive, _WEIGHTS, path, limits.MAX_ARCHIVE_MEMBER_BYTES), weights)
        file = stack.enter_context(hdf5.hdf5(weights, path))
        stated: Architecture = architecture(config, path)
        checkpoint = Checkpoint(
            path=path,
            format="Keras 3 model, .keras",
            layers=_layers(file, path),
            keras_version=metadata.get("keras_version"),
            architecture=stated,
            stated=metadata.get("ror_port", {}),
            omitted=("optimizer state",) if "optimizer" in file else (),
            close=stack.close,
        )
        on_error.pop_all()
    return checkpoint


def _member(archive: zipfile.ZipFile, name: str, path: Path, limit: int) -> BinaryIO:
    found = [info for info in archive.infolist() if info.filename == name]
    if len(found) != 1:
        raise NotACheckpoint(f"{path}: a zip archive with {len(found)} members {name}; a .keras file has one")
    if found[0].file_size > limit:
        raise UnsafeFile(f"{path}: {name} unpacks to {found[0].file_size} bytes; the limit is {limit}")
    return io.BytesIO(archive.read(name)) if limit == limits.MAX_CONFIG_BYTES else archive.open(name)  # type: ignore[return-value]


def _layers(file: h5py.File, path: Path) -> tuple[StoredLayer, ...]:
    group = hdf5.group(file, "layers", path)
    if len(group) > limits.MAX_LAYERS:
        raise UnsafeFile(f"{path}: {len(group)} layers; the limit is {limits.MAX_LAYERS}")
    layers = []
    for container in group:
        match = re.fullmatch(r"(.*?)(?:_\d+)?", container)
        variables = hdf5.group(group, f"{container}/vars", path)
        roles = ROLES.get(match[1], ()) if match else ()
        if len(variables) != len(roles):
            if len(variables) == 0:
                continue  # a layer of a known class without weights, or one that has none
            raise NotACheckpoint(
                f"{path}: {hdf5.quote(variables.name)}: {len(variables)} tensors; expected {', '.join(roles) or 'none'}"
            )
        name = hdf5.text(variables, "name", path) or container
        layers.append(
            StoredLayer(
                name, tuple(hdf5.tensor(variables, str(i), f"{name}/{role}", path) for i, role in enumerate(roles))
            )
        )
    return tuple(layers)


def write_weights(
    disk: BinaryIO,
    graph: Graph,
    parameters: Iterable[tuple[Parameter, Array]],
    *,
    dtype: str,
    stated: Mapping[str, Any],
) -> None:
    """A ``.weights.h5`` file, to an open binary file. Parameters are canonical; each is written as it comes."""
    classes = {"conv": "conv2d", "batch_norm": "batch_normalization", "dense": "dense"}
    containers: dict[str, str] = {}
    counts = dict.fromkeys(classes.values(), 0)
    for node in graph.keras_order:
        if node.kind:
            class_name = classes[node.kind]
            number = counts[class_name]
            containers[node.name] = f"layers/{class_name}_{number}" if number else f"layers/{class_name}"
            counts[class_name] += 1
    entries = {entry.parameter.name: entry for entry in KERAS_3.bind(graph.parameters, containers.__getitem__)}
    with hdf5.writing(disk) as file:
        file.attrs["ror_port"] = json.dumps(stated)
        file.create_group("vars")
        for name, container in containers.items():
            file.create_group(f"{container}/vars").attrs["name"] = keras_layer_name(name)
        for parameter, array in parameters:
            entry = entries[parameter.name]
            file.create_dataset(entry.foreign, data=entry.layout(array), dtype=dtype)


def write_archive(
    path: Path,
    graph: Graph,
    parameters: Iterable[tuple[Parameter, Array]],
    *,
    dtype: str,
    channels_first: bool,
    stated: Mapping[str, Any],
) -> None:
    """A ``.keras`` file that ``keras.models.load_model`` opens without custom objects.

    Equal inputs give equal bytes: the archive carries no date.
    """
    layers = keras_config.layers(graph, dtype=dtype, channels_first=channels_first)
    metadata = {"keras_version": KERAS_VERSION, "ror_port": stated}
    with zipfile.ZipFile(path, "w") as archive, tempfile.TemporaryFile(dir=path.parent) as weights:
        write_weights(weights, graph, parameters, dtype=dtype, stated=stated)
        weights.seek(0)
        archive.writestr(zipfile.ZipInfo(_METADATA), json.dumps(metadata))
        archive.writestr(zipfile.ZipInfo(_CONFIG), json.dumps(keras_config.keras_3(layers, "model")))
        with archive.open(zipfile.ZipInfo(_WEIGHTS), "w", force_zip64=True) as member:
            shutil.copyfileobj(weights, member, 1 << 20)
