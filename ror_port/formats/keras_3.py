"""Keras 3's own files: ``.weights.h5``, ``.keras``, a zip of that with the architecture, and the same as a folder.

Tensors lie at ``layers/<class>[_<n>]/vars/<i>``, counted by class in the order of ``model.layers``; the layer's
name is an attribute of ``vars``. Those of a recurrent layer are its cell's, those of a wrapper its layer's.
Source: Keras 3.15, saving/saving_lib.py.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

from h5py import h5g

from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile
from ror_port.formats import keras_config, keras_masks
from ror_port.formats.checkpoint import Checkpoint
from ror_port.formats.format import Contents
from ror_port.formats.hdf5 import reader as hdf5
from ror_port.formats.hdf5 import writer as hdf5_writer
from ror_port.formats.json_text import bounded, json_object
from ror_port.formats.model_card import CARD, model_card
from ror_port.mapping import weights
from ror_port.mapping.convention import Convention
from ror_port.mapping.engine import bind, laid_out
from ror_port.mapping.software import KERAS_2, KERAS_3, snake_case
from ror_port.network.layers import GRU, LSTM, Bidirectional, ConvLSTM2D, Layer, SimpleRNN, TimeDistributed
from ror_port.network.layers.recurrent import Recurrent
from ror_port.safety import limits
from ror_port.safety.archive import open_archive
from ror_port.safety.input_file import readable
from ror_port.safety.parsing import describe_in_child

KERAS_VERSION = "3.15.1"
"""The Keras whose file layout is followed; the suite loads every file that is written with it."""

ROLES = {snake_case(kind.keras[0]): tuple(weights.of_layer(kind)) for kind in weights.KINDS}
ROLES["einsum_dense"] = ("kernel", "bias")  # ours have no bias, those of an extension may
"""Class in a path → roles of its ``vars``, in order; a layer may lack some."""

_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"


def describe(
    root: h5g.GroupID, path: Path, source: Path | BinaryIO | None = None, *, trusted: bool = False
) -> dict[str, Any]:
    """What the library says of a ``.weights.h5`` file, as JSON; `read_weights` makes a checkpoint of it.

    source: the file itself, where `path` is the archive that it came in.
    """
    layers, counted = _described(root, path, source or path, trusted)
    return {
        "layers": layers,
        "counted": counted,
        "omitted": hdf5.omitted(root, "optimizer"),
        "ror_port": hdf5.text(root, "ror_port", path),
    }


def read_weights(file: BinaryIO, described: Mapping[str, Any], path: Path) -> Checkpoint:
    """A checkpoint of an open ``.weights.h5`` file that `describe` described."""
    stated = json_object(described["ror_port"] or "{}", f"{path}: attribute ror_port")
    return Checkpoint(
        path,
        "Keras 3 weights, HDF5",
        hdf5.layers(described["layers"], file, path),
        KERAS_2,
        "Keras 3",
        stated=stated,
        omitted=tuple(described["omitted"]),
        close=file.close,
    )


def read_archive(path: Path, *, trusted: bool = False) -> Checkpoint:
    """Opens a ``.keras`` file. trusted: as of `open_checkpoint`."""
    with ExitStack() as on_error:
        try:
            with open_archive(path) as archive:
                metadata = json_object(
                    _member(archive, _METADATA, path, limits.MAX_CONFIG_BYTES), f"{path}: {_METADATA}"
                )
                config = _member(archive, _CONFIG, path, limits.MAX_CONFIG_BYTES).decode("utf-8", "replace")
                member = _info(archive, _WEIGHTS, path, limits.MAX_ARCHIVE_MEMBER_BYTES)
                weights = on_error.enter_context(_unpacked(archive, member, path, trusted))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise UnreadableFile(f"{path}: a damaged or encrypted zip archive ({error})") from None

        def work() -> dict[str, Any]:
            with hdf5.hdf5(weights, path) as root:
                return describe(root, path, weights, trusted=trusted)

        said = describe_in_child(path, work, trusted=trusted)
        checkpoint = _model(path, "Keras 3 model, .keras", metadata, config, weights, said)
        on_error.pop_all()
    return checkpoint


def _model(
    path: Path, format: str, metadata: Mapping[str, Any], config: str, weights: BinaryIO, said: Mapping[str, Any]
) -> Checkpoint:
    """A checkpoint of a whole model. weights: open; said: what `describe` says of them."""
    version, stated = metadata.get("keras_version"), metadata.get("ror_port", {})
    return Checkpoint(
        path=path,
        format=format,
        layers=hdf5.layers(said["layers"], weights, path),
        counted=tuple(said["counted"]),
        software=KERAS_2,
        writer="Keras 3",
        keras_version=version if isinstance(version, str) else None,
        config=json_object(config, f"{path}: {_CONFIG}"),
        config_where=_CONFIG,
        stated=stated if isinstance(stated, dict) else {},
        omitted=tuple(said["omitted"]),
        close=weights.close,
    )


def read_folder(path: Path, *, trusted: bool = False) -> Checkpoint:
    """Opens the folder that a ``.keras`` file is when it is unpacked. trusted: as of `open_checkpoint`."""
    place = path / _WEIGHTS
    metadata = json_object(bounded(path / _METADATA), str(path / _METADATA))
    config = bounded(path / _CONFIG).decode("utf-8", "replace")
    with ExitStack() as on_error:
        weights = on_error.enter_context(readable(place).open("rb"))

        def work() -> dict[str, Any]:
            with hdf5.hdf5(place, place) as root:
                return describe(root, place, trusted=trusted)

        said = describe_in_child(place, work, trusted=trusted)
        checkpoint = _model(path, "Keras 3 model, folder", metadata, config, weights, said)
        on_error.pop_all()
    return checkpoint


def _info(archive: zipfile.ZipFile, name: str, path: Path, limit: int) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if info.filename == name]
    if len(found) != 1:
        raise NotACheckpoint(f"{path}: a zip archive with {len(found)} members {name}; a .keras file has one")
    (member,) = found
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsafeFile(f"{path}: {name} is compressed by method {member.compress_type}; deflate is read")
    limit = min(limit, limits.MAX_EXPANSION * path.stat().st_size)
    if member.file_size > limit:
        raise UnsafeFile(f"{path}: {name} unpacks to {member.file_size} bytes; the limit is {limit}")
    return member


def _member(archive: zipfile.ZipFile, name: str, path: Path, limit: int) -> bytes:
    return archive.read(_info(archive, name, path, limit))


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, trusted: bool) -> BinaryIO:
    """A member as a file to be read at any place, once its checksum is seen to: where it lies, or inflated beside."""
    weights: BinaryIO
    if member.compress_type == zipfile.ZIP_STORED:
        weights = cast(BinaryIO, _Stored(path, member))
        if not trusted and _checksum(weights) != member.CRC:
            weights.close()
            raise zipfile.BadZipFile(f"bad checksum of {member.filename}")
    else:
        weights = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
        with archive.open(member) as packed:
            shutil.copyfileobj(packed, weights, BLOCK)
    return weights


def _checksum(file: BinaryIO) -> int:
    checksum = 0
    while block := file.read(BLOCK):
        checksum = zlib.crc32(block, checksum)
    return checksum


BLOCK = 1 << 16
"""Bytes that are copied or summed up at once; such a buffer is used again, and one of megabytes is not."""


class _Stored(io.RawIOBase):
    """A member of an archive that is stored as it is, in its place."""

    def __init__(self, path: Path, member: zipfile.ZipInfo) -> None:
        super().__init__()
        self.file = path.open("rb", buffering=0)
        self.file.seek(member.header_offset)
        head = self.file.read(30)
        if len(head) < 30 or not head.startswith(b"PK\3\4") or member.flag_bits & 1:
            self.file.close()
            raise zipfile.BadZipFile(f"{member.filename} is not where the list of members says, or encrypted")
        name, extra = int.from_bytes(head[26:28], "little"), int.from_bytes(head[28:30], "little")
        self.start = member.header_offset + len(head) + name + extra
        self.size, self.at = member.file_size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        return self.at

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.start + self.at)
        count = self.file.readinto(memoryview(buffer)[: max(0, self.size - self.at)])
        self.at += count or 0
        return count or 0

    def close(self) -> None:
        self.file.close()
        super().close()


def _described(
    root: h5g.GroupID, path: Path, source: Path | BinaryIO, trusted: bool
) -> tuple[list[list[Any]], list[str]]:
    """The layers with their tensors; and their names in the order in which Keras counts them."""
    group = hdf5.group(root, "layers", path)
    if group.get_num_objs() > limits.MAX_LAYERS:
        raise UnsafeFile(f"{path}: {group.get_num_objs()} layers; the limit is {limits.MAX_LAYERS}")
    counted: dict[str, str] = {}
    layers, tensors = [], hdf5.Tensors(root, path, source, trusted=trusted)
    for container in [name.decode("utf-8", "replace") for name in group]:
        match = re.fullmatch(r"(.*?)(?:_\d+)?", container)
        kind = match[1] if match else ""
        places = _places(hdf5.group(group, container, path), kind, path)
        if not any(variables.get_num_objs() for variables in places.values()):
            continue
        name = counted[container] = hdf5.text(places[""], "name", path) or container
        layers.append(
            [
                name,
                [
                    tensors.describe(variables, str(index), f"{name}/{inner}{index}")
                    for inner, variables in places.items()
                    for index in range(variables.get_num_objs())
                ],
            ]
        )
    tensors.validate()
    if len({name for name, _ in layers}) < len(layers):
        raise NotACheckpoint(f"{path}: two layers of one name")
    return layers, [counted[container] for container in sorted(counted, key=_counted)]


def _places(container: h5g.GroupID, kind: str, path: Path) -> dict[str, h5g.GroupID]:
    """Where the weights of a layer lie, in their order: the path within, and the group. kind: its class in a path."""
    roles = ROLES.get(kind, ())
    found = {"": hdf5.group(container, "vars", path)}
    limit = len(roles)
    if kind in _RECURRENT or kind in _WRAPPERS:
        found |= _within(container, path)
        limit = limits.MAX_WEIGHTS_PER_LAYER if kind in _WRAPPERS else limit
    count = sum(variables.get_num_objs() for variables in found.values())
    if count > limit:
        where = hdf5.name_of(found[""])
        raise NotACheckpoint(f"{path}: {where}: {count} tensors; expected {', '.join(roles) or 'none'}")
    return found


def _within(container: h5g.GroupID, path: Path, depth: int = 0) -> dict[str, h5g.GroupID]:
    """The same of what a layer holds: its cell, or layers that it wraps, and theirs. Raises UnsafeFile."""
    if depth > limits.MAX_AXES:
        raise UnsafeFile(f"{path}: {hdf5.name_of(container)}: layers within layers more than {limits.MAX_AXES} deep")
    found: dict[str, h5g.GroupID] = {}
    for inner in next((names for names in _INNER if names[0].encode() in container), ()):
        group = hdf5.group(container, inner, path)
        if b"vars" in group:
            found[f"{inner}/"] = hdf5.group(group, "vars", path)
        found |= {f"{inner}/{name}": place for name, place in _within(group, path, depth + 1).items()}
    return found


_INNER = (("cell",), ("forward_layer", "backward_layer"), ("layer",))
"""What a layer may hold."""

_RECURRENT = {snake_case(kind.keras[0]) for kind in (SimpleRNN, GRU, LSTM, ConvLSTM2D)}
_WRAPPERS = {snake_case(kind.keras[0]) for kind in (TimeDistributed, Bidirectional)}
"""Classes in a path."""


def _place(layer: Layer, role: str, index: int) -> str:
    """Where Keras keeps a weight of a layer, within the layer's group. index: of the weight among the layer's."""
    match layer:
        case TimeDistributed():
            return f"layer/{_place(layer.layer, role, index)}"
        case Bidirectional():
            side, _, own = role.partition("_")
            count = 3 if layer.layer.use_bias else 2
            return f"{side}_layer/{_place(layer.layer, own, index % count)}"
        case Recurrent():
            return f"cell/vars/{index}"
    return f"vars/{index}"


def _counted(container: str) -> tuple[str, int]:
    """The class of a container and its number, by which Keras counts them."""
    name, _, number = container.rpartition("_")
    return (name, int(number)) if number.isdecimal() and len(number) < 10 else (container, 0)


def write_weights(path: Path, contents: Contents) -> None:
    """A ``.weights.h5`` file."""
    with path.open("w+b") as disk:
        _write_weights(disk, contents)


def _write_weights(disk: BinaryIO, contents: Contents) -> None:
    """To an open binary file from where it stands; each parameter is written as it comes."""
    graph = contents.graph
    names = KERAS_3.names(graph)
    containers: dict[str, str] = {}
    counts: dict[str, int] = {}
    for node in keras_masks.layer_order(graph):
        if node.shares is None:
            class_name = snake_case(node.layer.to_keras().class_name)
            number = counts.get(class_name, 0)
            if node.parameters:
                containers[node.name] = f"layers/{class_name}_{number}" if number else f"layers/{class_name}"
            counts[class_name] = number + 1
    places = {p.name: _place(p.layer, p.role, index) for node in graph for index, p in enumerate(node.parameters)}
    entries = [
        entry._replace(foreign=f"{containers[entry.parameter.node]}/{places[entry.parameter.name]}")
        for entry in bind(Convention(KERAS_3), graph.parameters, containers.__getitem__)
    ]
    with hdf5_writer.writing(disk) as file:
        file.text("ror_port", json.dumps(contents.stated))
        file.group("vars")
        if not containers:
            file.group("layers")
        for name, container in containers.items():
            file.group(f"{container}/vars").text("name", names[name])
        for tensor in laid_out(entries, contents.parameters, contents.dtype, contents.note):
            file.dataset(tensor.name, tensor)


def write_archive(path: Path, contents: Contents) -> None:
    """A ``.keras`` file that ``keras.models.load_model`` opens without custom objects.

    Equal inputs give equal bytes: the archive carries no date.
    """
    model = keras_config.model(contents.graph, contents.dtype)
    metadata = {"keras_version": KERAS_VERSION, "ror_port": contents.stated}
    with _Disk(path.open("wb", buffering=0)) as disk, zipfile.ZipFile(disk, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_METADATA), json.dumps(metadata))
        archive.writestr(zipfile.ZipInfo(_CONFIG), json.dumps(keras_config.keras_3(model, "model")))
        with archive.open(zipfile.ZipInfo(_WEIGHTS), "w", force_zip64=True) as member, path.open("r+b") as place:
            # HDF5 seeks, a member cannot: it writes to the disk, and the member is given what lies there, to sum it up.
            disk.flush()
            place.seek(disk.tell())
            _write_weights(place, contents)
            place.seek(disk.tell())
            disk.written = True
            shutil.copyfileobj(place, member, BLOCK)
            disk.written = False


def write_folder(folder: Path, contents: Contents) -> None:
    """The same as a folder, with a model card, as the Hugging Face hub keeps a Keras model."""
    model = keras_config.keras_3(keras_config.model(contents.graph, contents.dtype), "model")
    metadata = {"keras_version": KERAS_VERSION, "ror_port": contents.stated}
    folder.mkdir()
    write_weights(folder / _WEIGHTS, contents)
    (folder / _CONFIG).write_text(json.dumps(model), encoding="utf-8")
    (folder / _METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    sizes = ", ".join(map(str, contents.graph.inputs[0].shape))
    usage = """Load this folder, or the repository that it was uploaded to, with Keras 3:

```python
import keras
model = keras.saving.load_model(".")  # or "hf://user/name"
```
"""
    card = model_card(contents, library="keras", tags=("keras",), usage=usage, images=f"(batch, {sizes})")
    (folder / CARD).write_text(card, encoding="utf-8")


class _Disk(io.BufferedWriter):
    """A file of which a part is written by another: while `written`, what is there already is passed over."""

    written = False

    def write(self, content: Any, /) -> int:
        if not self.written:
            return super().write(content)
        self.seek(len(content), os.SEEK_CUR)
        return len(content)
