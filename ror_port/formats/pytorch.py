"""What a PyTorch user takes and brings back: a folder in the manner of Hugging Face, or a state dict.

The folder holds ``model.safetensors``, ``config.json``, the definition of the network as one file, and a model
card. Writing and reading it imports no torch, and never runs the definition that lies in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ror_port import limits
from ror_port.checkpoint import Architecture, Checkpoint, StoredLayer, StoredTensor
from ror_port.errors import MissingExtra, NotACheckpoint, UnreadableFile
from ror_port.formats.hdf5 import quote, readable
from ror_port.formats.model_config import input_shape, json_object, number
from ror_port.graph import Graph, Parameter
from ror_port.layout import Array
from ror_port.mapping.torch import PYTORCH, TORCH, module_path

PREPROCESSING = {
    "scale": "pixels / 255",
    "channels": "RGB",
    "layout": "NCHW",
    "basis": "assumed: what the code that trained the published weights did",
}

CLASSES = {
    "RoR-WRN": ("RoRWRN", "ror_wrn"),
    "RoR": ("RoR", "ror"),
    "WRN": ("WRN", "wrn"),
    "WRN 2016": ("WRN2016", "wrn_2016"),
}
"""Family → class and model type in `ror_port.models.networks_torch`."""

WEIGHTS = "model.safetensors"

DEFINITION = "modeling_ror.py"
"""What the definition is called beside the weights."""


WEIGHTS, CONFIG = "model.safetensors", "config.json"


def state(graph: Graph, parameters: Iterable[tuple[Parameter, Array]]) -> Iterator[tuple[str, Array]]:
    """The entries of the state dict, one after the other, for canonical parameters in the order of the graph."""
    entries = {entry.parameter.name: entry for entry in TORCH.bind(graph.parameters, module_path)}
    for parameter, array in parameters:
        entry = entries[parameter.name]
        yield entry.foreign, entry.layout(array)


def write_folder(
    folder: Path, graph: Graph, parameters: Iterable[tuple[Parameter, Array]], *, dtype: str, stated: Mapping[str, Any]
) -> None:
    """Writes the folder, which must not exist."""
    network = stated["network"]
    class_name, model_type = CLASSES[network["family"]]
    settings = {key: value for key, value in network.items() if key not in ("family", "name")}
    config = {
        "model_type": model_type,
        "architectures": [class_name],
        "name": network["name"],
        **settings,
        "dtype": dtype,
        "preprocessing": PREPROCESSING,
        "provenance": {key: stated[key] for key in ("ror_port", "source", "facts")},
    }
    folder.mkdir()
    with (folder / WEIGHTS).open("wb") as file:
        _write_safetensors(file, graph, parameters, dtype)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    definition = resources.files("ror_port.models").joinpath("networks_torch.py").read_text(encoding="utf-8")
    (folder / DEFINITION).write_text(definition, encoding="utf-8")
    (folder / "README.md").write_text(_card(config, graph), encoding="utf-8")


def _write_safetensors(file: BinaryIO, graph: Graph, parameters: Iterable[tuple[Parameter, Array]], dtype: str) -> None:
    """A header that says what lies where, then the tensors, each written as it comes.

    The safetensors package would want all of them at once. The header is JSON behind its length in 8 bytes, padded
    with spaces so that the data begin at a multiple of 8.
    """
    kind = {"float32": "F32", "float64": "F64"}[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for entry in TORCH.bind(graph.parameters, module_path):
        begin, end = end, end + math.prod(entry.foreign_shape) * np.dtype(dtype).itemsize
        header[entry.foreign] = {"dtype": kind, "shape": entry.foreign_shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, array in state(graph, parameters):
        file.write(array.astype(np.dtype(dtype).newbyteorder("<"), copy=False).data)


def write_state_dict(path: Path, graph: Graph, parameters: Iterable[tuple[Parameter, Array]], *, dtype: str) -> None:
    """A state dict that ``torch.load(path, weights_only=True)`` takes; needs torch."""
    torch = _torch("or write safetensors")
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array, dtype)) for name, array in state(graph, parameters)}
    with path.open("wb") as file:
        torch.save(tensors, file)


def _torch(otherwise: str) -> Any:
    try:
        import torch
    except ImportError:
        raise MissingExtra(f"PyTorch is not installed; pip install 'ror-port[torch]', {otherwise}") from None
    return torch


def read_safetensors(path: Path) -> Checkpoint:
    """Opens a folder of ours, or a ``.safetensors`` file; a ``config.json`` beside the weights is believed."""
    from safetensors import SafetensorError, safe_open

    weights, config = (path / WEIGHTS, path / CONFIG) if path.is_dir() else (path, path.with_name(CONFIG))
    try:
        file = safe_open(readable(weights), framework="numpy")
        stored = unwrapped({name: file.get_slice(name) for name in list(file.keys())})  # type: ignore[no-untyped-call]
        tensors = [
            StoredTensor(
                name,
                tuple(view.get_shape()),
                _dtype(view.get_dtype(), f"{weights}: {quote(name)}"),
                partial(_values, view),
            )
            for name, view in stored.items()
        ]
    except SafetensorError as error:
        raise UnreadableFile(f"{weights}: damaged safetensors ({error})") from None
    says = json_object(_bounded(config), str(config)) if config.exists() else {}
    where = str(config)
    provenance = says.get("provenance")
    return Checkpoint(
        path=path,
        format="PyTorch folder, safetensors" if path.is_dir() else "safetensors",
        layers=_layers(tensors),
        dialects=(PYTORCH,),
        writer="PyTorch",
        architecture=Architecture(
            CONFIG,
            epsilons=frozenset([number(says["epsilon"], where)] if "epsilon" in says else ()),
            momenta=frozenset([number(says["momentum"], where)] if "momentum" in says else ()),
            padding="same" if says.get("padding") == "same" else "half",
            input_shape=input_shape(says.get("input_shape"), where),
            dropout=number(says.get("dropout", 0.0), where),
        ),
        stated={"network": says, "source": provenance.get("source", {}) if isinstance(provenance, dict) else {}},
    )


def state_dict(path: Path) -> dict[str, Any]:
    """The tensors that ``torch.save`` wrote, by name; read with ``weights_only=True`` and nothing else. Needs torch."""
    torch = _torch("or bring safetensors")
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except Exception as error:  # of many kinds, all about the file
        reason = " ".join(str(error).split())[:200]
        raise UnreadableFile(f"{path}: not a state dict that can be read safely ({reason})") from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(saved, dict) and isinstance(saved.get(key), dict):
            saved = saved[key]
    if not isinstance(saved, dict) or not all(isinstance(t, torch.Tensor) for t in saved.values()):
        raise NotACheckpoint(f"{path}: holds no state dict (names and tensors)")
    return unwrapped({str(name): tensor for name, tensor in saved.items()})


def unwrapped(tensors: dict[str, Any]) -> dict[str, Any]:
    """Without what our networks do not keep, and without what a wrapper put in front of every name."""
    tensors = {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] not in TORCH.ignored}
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


_WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put in front of every name."""


def read_state_dict(path: Path) -> Checkpoint:
    """Opens a state dict of one of our networks."""
    tensors = [
        StoredTensor(
            name, tuple(t.shape), _dtype(str(t.dtype).removeprefix("torch."), f"{path}: {quote(name)}"), t.numpy
        )
        for name, t in state_dict(path).items()
    ]
    return Checkpoint(
        path,
        "PyTorch state dict",
        _layers(tensors),
        dialects=(PYTORCH,),
        writer="PyTorch",
        architecture=Architecture("PyTorch", padding="half"),
    )


def _bounded(config: Path) -> bytes:
    with readable(config).open("rb") as file:
        return file.read(limits.MAX_CONFIG_BYTES + 1)


def _values(view: Any) -> Array:
    array: Array = view[...] if view.get_shape() else view
    return array


def _dtype(name: str, where: str) -> np.dtype[Any]:
    known = {"F32": "float32", "F64": "float64"}.get(name, name)
    if known not in ("float32", "float64"):
        raise NotACheckpoint(f"{where}: numbers of type {known}; expected float32 or float64")
    return np.dtype(known)


def _layers(tensors: Iterable[StoredTensor]) -> tuple[StoredLayer, ...]:
    """One layer a module."""
    layers: dict[str, list[StoredTensor]] = {}
    for tensor in tensors:
        layers.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
    return tuple(StoredLayer(name, tuple(members)) for name, members in layers.items())


def _card(config: Mapping[str, Any], graph: Graph) -> str:
    height, width, channels = config["input_shape"]
    facts = "\n".join(
        f"| {fact['name']} | {fact['value']} | {fact['basis']} | {fact['evidence']} |"
        for fact in config["provenance"]["facts"]
    )
    count = sum(int(np.prod(parameter.shape)) for parameter in graph.parameters)
    source = config["provenance"]["source"]
    (class_name,) = config["architectures"]
    return f"""---
library_name: pytorch
tags: [image-classification, {config["model_type"]}]
---
# {config["name"]}

{count:,} parameters (running statistics included), {config["classes"]} classes, {config["dtype"]}.
Converted by ror-port {config["provenance"]["ror_port"]} from `{source["file"]}` (sha256 `{source["sha256"]}`).

```python
import torch
from {DEFINITION.removesuffix(".py")} import {class_name}
model = {class_name}.from_pretrained(".")
logits = model(torch.rand(1, {channels}, {height}, {width}))  # (batch, {config["classes"]})
```

Images are (batch, {channels}, {height}, {width}), RGB, pixels / 255. The file does not record this preprocessing; it
is that of the code which trained the published weights.

## Where the numbers come from

| fact | value | basis | evidence |
|---|---|---|---|
{facts}
"""
