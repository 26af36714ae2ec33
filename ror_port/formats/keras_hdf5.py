"""Keras' HDF5 files up to Keras 2 (``save_weights`` and ``save``), which Keras 3 still calls legacy ``.h5``.

Weights-only files list their layers in the root attribute ``layer_names``; full models keep the same under the
group ``model_weights``, with the architecture as JSON in the root attribute ``model_config``. Keras 0.x kept no names:
``layer_0/param_0``, and all weights of its Graph as ``graph/param_0``. Source: Keras 1.2.2, which still reads the
former (engine/topology.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from h5py import h5g

from ror_port.errors import NotACheckpoint, UnknownNetwork, quote
from ror_port.formats import keras_config, keras_masks
from ror_port.formats.checkpoint import KERAS_0, Checkpoint
from ror_port.formats.format import Contents
from ror_port.formats.hdf5 import reader as hdf5
from ror_port.formats.hdf5 import writer as hdf5_writer
from ror_port.formats.json_text import json_object
from ror_port.mapping.convention import TENSORFLOW, THEANO
from ror_port.mapping.engine import bind, laid_out
from ror_port.mapping.software import KERAS_1, KERAS_2, keras_1_layer_names
from ror_port.network.graph import Graph
from ror_port.network.layers import Activation, Softmax
from ror_port.safety import limits


def describe(root: h5g.GroupID, path: Path, *, trusted: bool = False) -> dict[str, Any]:
    """What the library says of a weights-only file or a full model, as JSON; `read` makes a checkpoint of it."""
    full = hdf5.has_member(root, "model_weights")
    owner = hdf5.group(root, "model_weights", path) if full else root
    if not is_list(owner) and (numbered := _numbered(root, path)):
        return _described_by_number(numbered, root, path, trusted)
    if not is_list(owner):
        raise NotACheckpoint(
            f"{path}: an HDF5 file, but not of Keras weights: no attribute 'layer_names'; it holds {hdf5.content(root)}"
        )
    tensors = hdf5.Tensors(root, path, path, trusted=trusted)
    layers = [
        [name, _described(hdf5.group(owner, name, path), tensors)]
        for name in hdf5.names(owner, "layer_names", path, limits.MAX_LAYERS)
    ]
    tensors.validate()
    return {
        "format": "Keras full model, HDF5" if full else "Keras weights, HDF5",
        "layers": layers,
        "omitted": hdf5.omitted(root, "optimizer_weights"),
        **{name: hdf5.text(root, name, path) for name in ("model_config", "ror_port")},
        "keras_version": _agreed(path, (owner, "keras_version"), (root, "keras_version")),
        "backend": _agreed(path, (owner, "backend"), (root, "backend"), (root, "keras_backend")),
    }


def _numbered(root: h5g.GroupID, path: Path) -> list[str]:
    """The groups of a file of Keras 0.x; none where it is not one."""
    if hdf5.has_attribute(root, "nb_layers"):
        return [f"layer_{number}" for number in range(hdf5.count(root, "nb_layers", path, limits.MAX_LAYERS))]
    if hdf5.has_member(root, "graph") and hdf5.has_attribute(hdf5.group(root, "graph", path), "nb_params"):
        return ["graph"]
    return []


def _described_by_number(groups: Sequence[str], root: h5g.GroupID, path: Path, trusted: bool) -> dict[str, Any]:
    tensors = hdf5.Tensors(root, path, path, trusted=trusted)
    layers = []
    for name in groups:
        group = hdf5.group(root, name, path)
        params = range(hdf5.count(group, "nb_params", path, limits.MAX_LAYERS))
        layers.append([name, [tensors.describe(group, f"param_{n}", f"{name}/param_{n}") for n in params]])
    tensors.validate()
    stated = {"ror_port": hdf5.text(root, "ror_port", path)}
    return {"format": f"{KERAS_0} weights, HDF5", "writer": KERAS_0, "layers": layers, **stated}


def _agreed(path: Path, *places: tuple[h5g.GroupID, str]) -> str | None:
    """What attributes state that stand for one thing, or None. Raises NotACheckpoint where they disagree."""
    stated = [(owner, name, text) for owner, name in places if (text := hdf5.text(owner, name, path))]
    for (first, one, text), (second, other, found) in pairwise(stated):
        if text.casefold() != found.casefold():
            raise NotACheckpoint(
                f"{path}: contradicts itself: attribute {one} of {hdf5.name_of(first)} is {quote(text)}, {other} of "
                f"{hdf5.name_of(second)} is {quote(found)}; the file was altered later"
            )
    return stated[0][2] if stated else None


def is_list(owner: h5g.GroupID) -> bool:
    """Whether a group says which layers it has, in one attribute or in several."""
    return hdf5.has_attribute(owner, "layer_names") or hdf5.has_attribute(owner, "layer_names0")


def _described(group: h5g.GroupID, tensors: hdf5.Tensors) -> list[list[Any]]:
    weights = hdf5.names(group, "weight_names", tensors.path, limits.MAX_WEIGHTS_PER_LAYER)
    return [tensors.describe(group, weight, weight) for weight in weights]


def read(file: BinaryIO, described: Mapping[str, Any], path: Path) -> Checkpoint:
    """A checkpoint of an open file that `describe` described. Tensors are read on demand."""
    config = described.get("model_config")
    return Checkpoint(
        path=path,
        format=described["format"],
        layers=hdf5.layers(described["layers"], file, path),
        writer=described.get("writer"),
        keras_version=described.get("keras_version"),
        backend=described.get("backend"),
        config=json_object(config, f"{path}: model_config") if config is not None else None,
        stated=json_object(described.get("ror_port") or "{}", f"{path}: attribute ror_port"),
        omitted=tuple(described.get("omitted", ())),
        close=file.close,
    )


ASCII = "ascii"
"""What texts are in for Keras 2, whose h5py then reads them as bytes, which it expects."""


def write_model(path: Path, contents: Contents) -> None:
    """A full model as Keras 2 on TensorFlow saves it.

    It opens in Keras 2 and 3, whole or weights alone, by order or by name.
    """
    graph = contents.graph
    names = KERAS_2.names(graph)
    model = keras_config.model(graph, contents.dtype)
    _ensure_keras_2_can(model, graph)
    orders = keras_masks.layer_order(graph), graph.keras_order
    if len({tuple(node.name for node in order if node.parameters) for order in orders}) > 1:
        raise UnknownNetwork("Keras 2 and 3, which both read this format, order layers with masks each its own way")
    entries = {entry.parameter.name: entry for entry in bind(TENSORFLOW, graph.parameters, names.__getitem__)}
    with path.open("w+b") as disk, hdf5_writer.writing(disk) as file:
        root = file.group("model_weights")
        for owner in (file, root):
            owner.text("keras_version", "2.3.1", ASCII)
            owner.text("backend", "tensorflow", ASCII)
        file.text("model_config", json.dumps(keras_config.keras_2(model, "model")), ASCII)
        file.text("ror_port", json.dumps(contents.stated))
        root.names("layer_names", [layer.name for layer in model.layers])
        weights = {names[node.name]: node.parameters for node in graph}
        for layer in model.layers:
            group = root.group(layer.name)
            foreign = [entries[parameter.name].foreign for parameter in weights[layer.name]]
            group.names("weight_names", [name.removeprefix(f"{layer.name}/") for name in foreign])
        for tensor in laid_out(entries.values(), contents.parameters, contents.dtype, contents.note):
            root.dataset(tensor.name, tensor)


def _ensure_keras_2_can(model: keras_config.Model, graph: Graph) -> None:
    """Raises UnknownNetwork where a layer is none of Keras 2, or is another function there than in Keras 3."""
    for layer in model.layers:
        config = layer.config.get("layer", layer)
        config = config["config"] if isinstance(config, dict) else layer.config
        if not layer.merges and any(len(call) > 1 for call in layer.calls):
            raise UnknownNetwork(
                f"{layer.name}: Keras 3, which reads this format too, takes its initial state in another form than "
                "Keras 2; write .keras"
            )
        if any(layer.masks):
            raise UnknownNetwork(
                f"{layer.name}: needs a mask that Keras 3, which reads this format too, would not give it; write .keras"
            )
        if layer.class_name == "Flip":
            raise UnknownNetwork(f"{layer.name}: Keras 2 has no layer that turns a sequence round; write .keras")
        if "hard_sigmoid" in (config.get("activation"), config.get("recurrent_activation")):
            raise UnknownNetwork(
                f"{layer.name}: its hard_sigmoid is another function in Keras 2 than in Keras 3, which both read this "
                "format; write .keras"
            )
    for node in graph.stateful:
        if getattr(node.layer, "has_mask", False):
            raise UnknownNetwork(
                f"{node.name}: before the first step that counts, Keras 2 gives the states that a batch begins with on "
                "TensorFlow, and zeros on Theano, as Keras 3 does; write .keras"
            )


def write_theano(path: Path, contents: Contents) -> None:
    """The file that the network came in, as Keras on Theano saves it; where none is known, weights for Keras 1."""
    if contents.original is None:
        _write_keras_1(path, contents)
        return
    original, checkpoint = contents.original, contents.original.checkpoint
    if checkpoint.writer == KERAS_0:
        _write_keras_0(path, contents, checkpoint)
        return
    config = checkpoint.config if original.full and checkpoint.config is not None else {}
    with path.open("w+b") as disk, hdf5_writer.writing(disk) as file:
        root = file.group("model_weights") if original.full else file
        version = checkpoint.keras_version or config.get("keras_version")
        keras_2 = str(version).startswith("2")
        for owner in (file, root) if original.full and keras_2 else (file,):
            if version is not None:
                owner.text("keras_version", version, ASCII)
            if keras_2:
                owner.text("backend", "theano", ASCII)
        if original.full:
            file.text("model_config", json.dumps(config), ASCII)
        file.text("ror_port", json.dumps(contents.stated))
        root.names("layer_names", [layer.name for layer in checkpoint.layers])
        for layer in sorted(checkpoint.layers):  # a group before those that lie in it
            root.group(layer.name).names("weight_names", layer.weights)
        for tensor in laid_out(original.entries, contents.parameters, contents.dtype, contents.note):
            root.dataset(tensor.name, tensor)


def _write_keras_0(path: Path, contents: Contents, checkpoint: Checkpoint) -> None:
    """Weights as Keras 0.x saves them, by number."""
    assert contents.original is not None
    with path.open("w+b") as disk, hdf5_writer.writing(disk) as file:
        file.text("ror_port", json.dumps(contents.stated))
        if [layer.name for layer in checkpoint.layers] != ["graph"]:
            file.count("nb_layers", len(checkpoint.layers))
        for layer in checkpoint.layers:
            file.group(layer.name).count("nb_params", len(layer.tensors))
        for tensor in laid_out(contents.original.entries, contents.parameters, contents.dtype, contents.note):
            file.dataset(tensor.name, tensor)


def _write_keras_1(path: Path, contents: Contents) -> None:
    """Weights as Keras 1 on Theano saves them: its names and layouts, dim ordering "th".

    They load into a network made by the authors' code, by order or by name. Layers of a family are called as in a fresh
    session, those of any other network as in its stored architecture.
    """
    graph = contents.graph
    names = keras_1_layer_names(graph) if contents.family else _stated_layer_names(graph)
    entries = {entry.parameter.name: entry for entry in bind(THEANO, graph.parameters, names.__getitem__)}
    with path.open("w+b") as disk, hdf5_writer.writing(disk) as file:
        file.text("ror_port", json.dumps(contents.stated))
        file.names("layer_names", list(names.values()))
        for node, layer in names.items():
            foreign = [entries[parameter.name].foreign for parameter in graph[node].parameters]
            file.group(layer).names("weight_names", [name.removeprefix(f"{layer}/") for name in foreign])
        for tensor in laid_out(entries.values(), contents.parameters, contents.dtype, contents.note):
            file.dataset(tensor.name, tensor)


def _stated_layer_names(graph: Graph) -> dict[str, str]:
    """Node → name of its layer, without what is a part or a further use of another layer."""
    names = KERAS_1.names(graph)
    return {
        node.name: names[node.name]
        for node in graph.keras_order
        if node.owner == node.name
        and (node.parameters or not isinstance(node.layer, Activation | Softmax) or "/" not in node.name)
    }
