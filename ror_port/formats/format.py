"""The formats: one record each, from which everything follows that depends on a format.

Readers, writers, endings, the choices of the command line, what runs a result, and how it is read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from ror_port.errors import UsageError, quote
from ror_port.formats.checkpoint import Checkpoint
from ror_port.layout import Arranged, DataFormat
from ror_port.mapping.engine import Entry, Note, unnoted
from ror_port.network.families import Family
from ror_port.network.graph import Graph, Parameter

Runtime = Literal["numpy", "tensorflow", "torch", "onnx"]
Command = Literal["theano-to-tf", "to-torch", "to-onnx", "to-theano"]
Dtype = Literal["float32", "float64"]


@dataclass(frozen=True)
class Original:
    """A file of old Keras, to be written again with other numbers.

    checkpoint: as Keras on Theano would have saved it, without numbers. full: whether as a full model. entries: where
    each parameter goes.
    """

    checkpoint: Checkpoint
    full: bool
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Contents:
    """What is written to a file. graph: in the format's order of axes, in layers that it has.

    parameters: canonical, in the order of the graph, each written as it comes. stated: what the file states of itself.
    family: of the network, or None. note: is told of each tensor as it is written. folded: whether
    BatchNormalizations were folded away. original: the file that the network goes back to, where one is known.
    license: of the weights, as the user states it for the model card.
    """

    graph: Graph
    parameters: Iterable[tuple[Parameter, Arranged]]
    dtype: str
    stated: Mapping[str, Any]
    family: Family | None = None
    note: Note = unnoted
    folded: bool = False
    original: Original | None = None
    license: str | None = None


@dataclass(frozen=True)
class Format:
    """name: as the command line's --format calls it. kind: what `kind_of` tells by a file's content.

    command: the one that writes it. suffix: of an output that the user gave no name. endings: what a given name may end
    in; a format without endings is a folder. module: under `ror_port.formats`, with `write` and, where it is read,
    `reader`. settings: the fields of `Settings` that it takes. data_format: of its images; None where the user chooses.
    dtype: of its weights, unless the user chooses; None for the source's. stock: whether it is made of Keras layers.
    runtime: what runs it. reread: whether its tensors can be read again once they are written; where they cannot, the
    comparison of what it computes is all there is. needs: the function of `ror_port.frameworks` that writing calls.
    opened: how its user opens one, in Python; opened_where: in what. In both, {path}, {name} and {module} stand for the
    output, its class in PyTorch and the file that defines it, {input} for the name of its input.
    """

    name: str
    kind: str
    command: Command
    suffix: str
    endings: tuple[str, ...]
    module: str
    writer: str
    reader: str | None
    runtime: Runtime
    title: str
    settings: tuple[str, ...] = ()
    data_format: DataFormat | None = None
    dtype: Dtype | None = None
    stock: bool = False
    reread: bool = True
    needs: str = ""
    opened: str = ""
    opened_where: str = ""

    @property
    def keeps_norms(self) -> bool:
        """Whether a BatchNormalization may lack a gamma or a beta: Keras' may."""
        return self.runtime not in ("torch", "onnx")

    @property
    def folder(self) -> bool:
        return not self.endings

    def path_of(self, source: Path, folder: Path | None = None) -> Path:
        """Where an output goes that the user gave no name: beside its source, or in a folder."""
        return (folder or source.parent) / (stem(source) + self.suffix)

    def opening(self, path: str, *, name: str = "…", input: str = "…") -> tuple[str, str]:
        """How its user opens an output, in Python, and in what. path, input: as they stand in the code."""
        words = {"path": path, "name": name, "module": "modeling_ror", "input": input}
        return self.opened.format_map(words), self.opened_where.format_map(words)

    def ensure_names(self, path: Path) -> None:
        """Raises UsageError where an output is called as one of another format, or as a file where it is a folder."""
        other = named(path.name)
        if self.folder and (other or path.name.endswith(".safetensors")) and not path.is_dir():
            raise UsageError(
                f"{path} is called as a file, and {self.name} is a folder: name it without an ending"
                + (f", or name the format {other.name}" if other and other.command == self.command else ""),
            )

    def ensure_writable(self) -> None:
        """Raises MissingExtra where what writes the format is not installed."""
        if self.needs:
            from ror_port import frameworks

            frameworks.ensure(self.needs)

    def write(self, target: Path, contents: Contents) -> None:
        """Writes a file or a folder that does not exist. Raises OSError where the disk fails."""
        write: Callable[[Path, Contents], None] = self._function(self.writer)
        write(target, contents)

    def read(self, path: Path, *, trusted: bool = False) -> Checkpoint:
        """Opens a file of this format that is not HDF5; those are told apart as they are described.

        trusted: as of `ror_port.formats.open_checkpoint`.
        """
        assert self.reader is not None
        read: Callable[..., Checkpoint] = self._function(self.reader)
        return read(path, trusted=trusted)

    def _function(self, name: str) -> Any:
        return getattr(import_module(f"ror_port.formats.{self.module}"), name)  # imported where it is needed


FORMATS = (
    Format(
        "keras", "keras", "theano-to-tf", ".keras", (".keras",), "keras_3", "write_archive", "read_archive",
        "tensorflow", "Keras 3 model (.keras)", ("data_format", "logits"), stock=True,
        opened="keras.models.load_model({path})", opened_where="Keras 3",
    ),
    Format(
        "weights", "weights", "theano-to-tf", ".weights.h5", (".weights.h5",), "keras_3", "write_weights", None,
        "tensorflow", "Keras 3 weights (.weights.h5)", ("data_format", "logits"), data_format="channels_last",
        stock=True,
        opened="model.load_weights({path})", opened_where="Keras 3, once the model is built",
    ),
    Format(
        "h5", "hdf5-model", "theano-to-tf", ".tf.h5", (".h5", ".hdf5"), "keras_hdf5", "write_model", None,
        "tensorflow", "HDF5 for Keras 2 and 3", ("data_format", "logits"), stock=True,
        opened="keras.models.load_model({path}, compile=False)", opened_where="Keras 2 or 3",
    ),
    Format(
        "savedmodel", "savedmodel", "theano-to-tf", ".savedmodel", (), "savedmodel", "write", None,
        "tensorflow", "TensorFlow SavedModel (a folder; needs TensorFlow)", ("data_format", "logits"), stock=True,
        reread=False,
        opened='keras.layers.TFSMLayer({path}, call_endpoint="serve")',
        opened_where="Keras 3; without Keras, tf.saved_model.load(…).serve", needs="keras",
    ),
    Format(
        "hf", "hf", "theano-to-tf", "-hf", (), "keras_3", "write_folder", "read_folder",
        "tensorflow", "Keras folder for the Hugging Face hub", ("data_format", "logits", "license"), stock=True,
        opened="keras.saving.load_model({path})",
        opened_where="Keras 3; uploaded as user/name, keras.saving.load_model('hf://user/name')",
    ),
    Format(
        "safetensors", "safetensors", "to-torch", "-torch", (), "pytorch", "write_folder", "read_safetensors",
        "torch", "PyTorch folder: safetensors, config, definition, model card", ("license",),
        data_format="channels_first",
        opened="sys.path.append({path}); from {module} import {name}; {name}.from_pretrained({path})",
        opened_where="PyTorch",
    ),
    Format(
        "pt", "pt", "to-torch", ".pt", (".pt", ".pth"), "pytorch", "write_state_dict", "read_state_dict",
        "torch", "PyTorch state dict (needs PyTorch)", data_format="channels_first",
        opened="network.load_state_dict(torch.load({path}, weights_only=True))",
        opened_where="PyTorch, for a {name} as --format safetensors defines it", needs="torch",
    ),
    Format(
        "onnx", "onnx", "to-onnx", ".onnx", (".onnx",), "onnx", "write", "read",
        "onnx", "ONNX", ("dtype", "fold_bn", "logits"), data_format="channels_first", dtype="float32",
        opened="onnxruntime.InferenceSession({path}).run(None, {{{input}: …}})", opened_where="ONNX Runtime",
        needs="onnx",
    ),
    Format(
        "theano", "hdf5-weights", "to-theano", ".th.h5", (".h5", ".hdf5"), "keras_hdf5", "write_theano", None,
        "numpy", "HDF5 for Keras on Theano: as it came, else weights", data_format="channels_first",
        opened="model.load_weights({path})", opened_where="Keras 1 on Theano, once the model is built",
    ),
)  # fmt: skip
"""Of each command the default first."""

BY_NAME: Mapping[str, Format] = {format.name: format for format in FORMATS}
BY_KIND: Mapping[str, Format] = {format.kind: format for format in FORMATS}


def of_command(command: Command) -> tuple[Format, ...]:
    return tuple(format for format in FORMATS if format.command == command)


def named(name: str, formats: Sequence[Format] = FORMATS) -> Format | None:
    """The first format that a file's name may stand for, or None."""
    return next((format for format in formats if format.endings and name.endswith(format.endings)), None)


def by_name(name: str) -> Format:
    """Raises UsageError where no format is called so."""
    if name not in BY_NAME:
        raise UsageError(f"{quote(name)} is none of {', '.join(BY_NAME)}", "format")
    return BY_NAME[name]


def chosen(path: Path, name: str | None) -> Format:
    """The format of an output: the one that is asked for by name, else what the path ends in.

    Raises UsageError where neither tells.
    """
    if name is not None:
        return by_name(name)
    by_suffix = next((format for format in FORMATS if path.name.endswith(format.suffix)), None)
    found = by_suffix or named(path.name)
    if found is None:
        endings = dict.fromkeys(ending for format in FORMATS for ending in format.endings)
        raise UsageError(f"{path} ends in none of {', '.join(endings)}; name the format", "format")
    return found


def ensure_license(name: str | None) -> None:
    """Raises UsageError where a hub could not take it for a licence's identifier."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,60}", name):
        raise UsageError(f"{quote(name)}; an identifier such as mit, apache-2.0 or other is expected", "license")


@dataclass(frozen=True)
class Settings:
    """How a network is written; see `ror_port.save`. Raises UsageError where a value is none that there is."""

    data_format: DataFormat = "channels_last"
    logits: bool = False
    dtype: Dtype | None = None
    fold_bn: bool = False
    license: str | None = None

    def __post_init__(self) -> None:
        ensure_license(self.license)
        if self.data_format not in ("channels_last", "channels_first"):
            raise UsageError(f"{quote(str(self.data_format))} is no data format", "data_format")
        if self.dtype not in (None, "float32", "float64"):
            raise UsageError(f"{quote(str(self.dtype))} is neither 'float32' nor 'float64'", "dtype")

    def ensure_taken(self, format: Format) -> None:
        """Raises UsageError where a format does not take a setting that is not the default."""
        for field in fields(self):
            if getattr(self, field.name) != field.default and field.name not in format.settings:
                takers = [other.name for other in FORMATS if field.name in other.settings]
                raise UsageError(f"applies to {', '.join(takers)}, not to {format.name}", field.name)


def stem(source: Path) -> str:
    """The name of a checkpoint without what only states that it is one."""
    name = source.name or source.resolve().name
    suffixes = {".safetensors", *(ending for format in FORMATS for ending in (format.suffix, *format.endings))}
    for suffix in sorted(suffixes, key=len, reverse=True):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name
