"""What a PyTorch user takes and brings back: a folder in the manner of Hugging Face, or a state dict.

The folder holds ``model.safetensors``, ``config.json``, the definition of the network as one file, and a model
card. Writing and reading it imports no torch, and never runs the definition that lies in it.
"""

from __future__ import annotations

import json
import math
import os
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ror_port import frameworks
from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile, printable, quote
from ror_port.formats import safetensors
from ror_port.formats.checkpoint import Checkpoint, StoredLayer, StoredTensor
from ror_port.formats.format import Contents
from ror_port.formats.json_text import bounded, json_object
from ror_port.formats.model_card import CARD, model_card, preprocessing
from ror_port.formats.pytorch_definition import CLASS_NAME, definition
from ror_port.formats.pytorch_recurrent import Packing, packed, unpacked
from ror_port.mapping.convention import PYTORCH_CONVENTION
from ror_port.mapping.engine import Entry, Tensor, bind, laid_out
from ror_port.mapping.software import PYTORCH, TORCH_IGNORED, torch_names
from ror_port.network.sizes import fitting
from ror_port.safety import limits
from ror_port.safety.file_object import non_raising_file
from ror_port.safety.input_file import readable
from ror_port.safety.parsing import dry_run_in_child

DEFINITION = "modeling_ror.py"
"""What the definition is called beside the weights."""


CONFIG = "config.json"


def entries(contents: Contents) -> tuple[Entry, ...]:
    """The entries of the state dict: a family's modules nest as its definition has them, any other's are in a row."""
    graph = contents.graph
    names = None if contents.family else torch_names(graph).__getitem__
    return bind(PYTORCH_CONVENTION, graph.parameters, names)


def _packing(contents: Contents) -> Packing:
    return Packing({}) if contents.family else Packing.of(contents.graph, torch_names(contents.graph))


def state(contents: Contents) -> Iterator[Tensor]:
    """The state dict, one tensor after the other."""
    tensors = laid_out(entries(contents), contents.parameters, contents.dtype, contents.note)
    return _packing(contents).tensors(tensors)


def write_folder(folder: Path, contents: Contents) -> None:
    """Writes the folder, which must not exist."""
    stated, graph, family = contents.stated, contents.graph, contents.family
    network = stated["network"]
    provenance = {key: stated[key] for key in ("ror_port", "source", "facts", "original") if key in stated}
    config: dict[str, Any] = {
        "model_type": family.model_type if family else "ror_port",
        "architectures": [family.class_name if family else CLASS_NAME],
        "name": network["name"],
    }
    if family:
        config |= {key: value for key, value in network.items() if key not in ("family", "name")}
        definition_text = _hand_written()
    else:
        config["graph"] = stated["graph"]
        names = torch_names(graph)
        source = stated["source"]
        origin = f"{printable(source['file'])} (sha256 {source['sha256']})"
        definition_text = definition(graph, names, title=network["name"].capitalize(), origin=origin)
    config |= {"dtype": contents.dtype, **preprocessing(contents), "provenance": provenance}
    folder.mkdir()
    with (folder / safetensors.WEIGHTS).open("wb") as file:
        _write_safetensors(file, contents)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / DEFINITION).write_text(definition_text, encoding="utf-8")
    (folder / CARD).write_text(_card(config, contents), encoding="utf-8")


def _hand_written() -> str:
    """The definitions of the families."""
    from importlib import resources

    return resources.files("ror_port.models").joinpath("networks_torch.py").read_text(encoding="utf-8")


def _write_safetensors(file: BinaryIO, contents: Contents) -> None:
    """A header that tells what lies where, then the tensors, each written as it comes.

    The safetensors package would want all of them at once. The header is JSON behind its length in 8 bytes, padded
    with spaces so that the data begin at a multiple of 8.
    """
    dtype = np.dtype(contents.dtype)
    kind = {"float32": "F32", "float64": "F64"}[contents.dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in _packing(contents).shapes(entries(contents)):
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for tensor in state(contents):
        for _, block in tensor.blocks:
            file.write(block.astype(dtype.newbyteorder("<"), copy=False).data)


def write_state_dict(path: Path, contents: Contents) -> None:
    """A state dict that ``torch.load(path, weights_only=True)`` takes; needs torch."""
    torch = frameworks.torch()
    tensors = {tensor.name: torch.from_numpy(tensor.array()) for tensor in state(contents)}
    with path.open("wb") as file, non_raising_file(file) as out:
        torch.save(tensors, out)


def read_safetensors(path: Path, *, trusted: bool = False) -> Checkpoint:
    """Opens a folder of ours, or a ``.safetensors`` file; a ``config.json`` beside the weights is believed."""
    del trusted  # no library parses it, and its header is validated in full
    weights, config = (path / safetensors.WEIGHTS, path / CONFIG) if path.is_dir() else (path, path.with_name(CONFIG))
    says = json_object(bounded(config), str(config)) if os.path.lexists(config) else {}
    provenance = _mapping(says.get("provenance"))
    original = {"original": provenance["original"]} if "original" in provenance else {}
    network = {"graph": says["graph"]} if "graph" in says else {"network": says}
    with ExitStack() as on_error:
        file = on_error.enter_context(readable(weights).open("rb"))
        stored = unwrapped({tensor.name: tensor for tensor in safetensors.tensors(file, str(weights))})
        named = (tensor._replace(name=name) for name, tensor in stored.items())
        checkpoint = Checkpoint(
            path=path,
            format="PyTorch folder, safetensors" if path.is_dir() else "safetensors",
            layers=layers(unpacked(named, str(weights)), ".", weights),
            software=PYTORCH,
            writer="PyTorch",
            stated_where=CONFIG,
            stated={**network, "source": _mapping(provenance.get("source")), **original, "packed": packed(stored)},
            close=file.close,
        )
        on_error.pop_all()
    return checkpoint


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def state_dict(path: Path, *, trusted: bool = False) -> dict[str, Any]:
    """The tensors that ``torch.save`` wrote, by name; read with ``weights_only=True`` and nothing else. Needs torch.

    They lie in the file until they are used. Whatever lies in memory otherwise than in the file is refused.
    """
    torch = frameworks.torch()

    def load() -> Any:
        sizes = _storages(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of kinds of tensors that are refused anyway
                return sizes, torch.load(path, weights_only=True, map_location="cpu", mmap=True)
        except MemoryError:
            raise
        except Exception as error:  # of many kinds, all about the file
            reason = str(error).rpartition("WeightsUnpickler error: ")[2]  # before it: how to run the code after all
            reason = printable(" ".join(reason.split()) or type(error).__name__)[:200]
            raise UnreadableFile(f"{path}: not a state dict that can be read safely ({reason})") from None

    growth = limits.MAX_GROWTH + readable(path).stat().st_size
    sizes, saved = dry_run_in_child(path, load, "PyTorch", growth, trusted=trusted)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(saved, dict) and isinstance(saved.get(key), dict):
            saved = saved[key]
    if not isinstance(saved, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in saved.items()
    ):
        raise NotACheckpoint(f"{path}: holds no state dict (names and tensors)")
    _check_places(saved, sizes, path)
    return unwrapped(saved)


def _storages(path: Path) -> Counter[int]:
    """How many stored arrays of each size the zip archive has, whose checksums are seen to here.

    PyTorch maps the file into memory, so nothing in it may be compressed: it would take the numbers for what they
    are not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            packed = next((m.filename for m in members if m.compress_type != zipfile.ZIP_STORED), None)
            if packed is not None:
                raise UnsafeFile(f"{path}: {quote(packed)} is compressed, which PyTorch never does")
            pickles = [member for member in members if member.filename.endswith("/data.pkl")]
            if any(member.file_size > limits.MAX_PICKLE_BYTES for member in pickles):
                raise UnsafeFile(f"{path}: data.pkl is larger than {limits.MAX_PICKLE_BYTES} bytes, the limit")
            if damaged := archive.testzip():
                raise UnreadableFile(f"{path}: damaged ({quote(damaged)} does not have the checksum that it states)")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise UnreadableFile(f"{path}: a damaged or encrypted zip archive ({printable(error)})") from None
    return Counter(member.file_size for member in members if "/data/" in member.filename)


def _check_places(tensors: Mapping[str, Any], sizes: Counter[int], path: Path) -> None:
    """Every tensor a plain one, with all its numbers in the file, and none of them another's."""
    spans, storages = [], {}
    for name, tensor in tensors.items():
        where = f"{path}: {quote(name)}"
        if str(tensor.layout) != "torch.strided" or tensor.device.type != "cpu" or tensor.is_quantized:
            raise NotACheckpoint(f"{where}: not a plain tensor (sparse, quantized or without numbers)")
        if not tensor.numel():
            continue
        reach = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
        if reach < tensor.numel():
            raise UnsafeFile(f"{where}: stores fewer numbers than its shape has, and repeats them")
        begin = tensor.data_ptr()
        spans.append((begin, begin + reach * tensor.element_size(), where))
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    for (_, end, _), (begin, _, where) in pairwise(sorted(spans)):
        if begin < end:
            raise UnsafeFile(f"{where}: shares its numbers with another tensor")
    if Counter(storages.values()) - sizes:
        raise UnreadableFile(f"{path}: damaged (declares tensors of other sizes than the archive has)")


def unwrapped(tensors: dict[str, Any]) -> dict[str, Any]:
    """Without what our networks do not keep, and without what a wrapper put in front of every name."""
    tensors = {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] not in TORCH_IGNORED}
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


_WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put in front of every name."""


def read_state_dict(path: Path, *, trusted: bool = False) -> Checkpoint:
    """Opens a state dict of one of our networks. trusted: as of `open_checkpoint`."""
    tensors = []
    for name, tensor in state_dict(path, trusted=trusted).items():
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind not in NUMBERS:
            raise NotACheckpoint(f"{path}: {quote(name)}: numbers of type {kind}; expected float32 or float64")
        tensors.append(StoredTensor(name, tuple(tensor.shape), np.dtype(kind), tensor.detach().numpy))
    return Checkpoint(
        path,
        "PyTorch state dict",
        layers(unpacked(tensors, str(path)), ".", path),
        software=PYTORCH,
        writer="PyTorch",
        stated={"packed": packed(tensor.name for tensor in tensors)},
    )


NUMBERS = ("float32", "float64")


def layers(tensors: Iterable[StoredTensor], separator: str, path: Path) -> tuple[StoredLayer, ...]:
    """One layer a module: tensors by what stands before the last separator of their names."""
    found: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        where = f"{path}: {quote(tensor.name)}"
        if not 0 < len(tensor.name) <= limits.MAX_NAME:
            raise UnsafeFile(f"{where}: a name of {len(tensor.name)} characters; the limit is {limits.MAX_NAME}")
        if tensor.dtype.name not in NUMBERS:
            raise NotACheckpoint(f"{where}: numbers of type {tensor.dtype}; expected float32 or float64")
        declared = math.prod(tensor.shape) * tensor.dtype.itemsize
        if declared > limits.MAX_TENSOR_BYTES:
            raise UnsafeFile(f"{where}: declares {declared} bytes; the limit is {limits.MAX_TENSOR_BYTES}")
        members = found.setdefault(tensor.name.rpartition(separator)[0], {})
        if members.setdefault(tensor.name, tensor) is not tensor:
            raise NotACheckpoint(f"{where}: two tensors of one name")
        if len(members) > limits.MAX_WEIGHTS_PER_LAYER or len(found) > limits.MAX_LAYERS:
            raise UnsafeFile(
                f"{where}: more than {limits.MAX_LAYERS} layers, or {limits.MAX_WEIGHTS_PER_LAYER} tensors in one"
            )
    return tuple(StoredLayer(name, tuple(members.values())) for name, members in found.items())


def _card(config: Mapping[str, Any], contents: Contents) -> str:
    graph = contents.graph
    sizes, results = (", ".join(map(str, node.shape)) for node in (graph.inputs[0], graph[graph.outputs[0]]))
    (class_name,) = config["architectures"]
    shapes = next(fitting(graph), [node.shape for node in graph.inputs])
    inputs = ", ".join(f"torch.rand(1, {', '.join(map(str, shape))})" for shape in shapes)
    usage = f"""Run in this folder, with PyTorch and safetensors installed:

```python
import torch
from {DEFINITION.removesuffix(".py")} import {class_name}
model = {class_name}.from_pretrained(".")
{"logits" if contents.family else "outputs"} = model({inputs})  # (batch, {results})
```
"""
    tags = (config["model_type"],)
    return model_card(contents, library="pytorch", tags=tags, usage=usage, images=f"(batch, {sizes})")
