"""What a PyTorch user takes: a folder in the manner of Hugging Face, or a state dict.

The folder holds ``model.safetensors``, ``config.json``, the definition of the network as one file, and a model
card. Writing it imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ror_port.errors import MissingExtra
from ror_port.graph import Graph, Parameter
from ror_port.layout import Array
from ror_port.mapping.torch import TORCH, module_path

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
    from safetensors.numpy import save_file

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
    tensors = {name: array.astype(dtype, copy=False) for name, array in state(graph, parameters)}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(folder.stat().st_mode & 0o666)  # as the umask has it; save_file lets its owner alone read
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    definition = resources.files("ror_port.models").joinpath("networks_torch.py").read_text(encoding="utf-8")
    (folder / DEFINITION).write_text(definition, encoding="utf-8")
    (folder / "README.md").write_text(_card(config, graph), encoding="utf-8")


def write_state_dict(path: Path, graph: Graph, parameters: Iterable[tuple[Parameter, Array]], *, dtype: str) -> None:
    """A state dict that ``torch.load(path, weights_only=True)`` takes; needs torch."""
    try:
        import torch
    except ImportError:
        raise MissingExtra("PyTorch is not installed; pip install 'ror-port[torch]', or write safetensors") from None
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array, dtype)) for name, array in state(graph, parameters)}
    with path.open("wb") as file:
        torch.save(tensors, file)


def parameters(path: Path, graph: Graph) -> Iterator[tuple[Parameter, Array]]:
    """The tensors of a folder or a state dict that was written, in canonical form."""
    entries = TORCH.bind(graph.parameters, module_path)
    if path.is_dir():
        from safetensors import safe_open

        with safe_open(path / WEIGHTS, "numpy") as file:
            for entry in entries:
                yield entry.parameter, entry.layout.inverse(file.get_tensor(entry.foreign))
    else:
        import torch

        tensors = torch.load(path, weights_only=True, mmap=True)
        for entry in entries:
            yield entry.parameter, entry.layout.inverse(tensors[entry.foreign].numpy())


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
