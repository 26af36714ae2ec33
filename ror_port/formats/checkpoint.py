"""A checkpoint as its file holds it: ordered layers, tensors that are read on demand, and what the file says of itself.

Nothing here is interpreted: tensors lie as they were stored, and what a file does not state is None.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from ror_port.errors import UnreadableFile
from ror_port.layout import Array, Shape
from ror_port.mapping.software import Software


def files(path: Path) -> list[Path]:
    """A file, or the files of a folder in the order of their names."""
    return sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in files(path))


def sha256(path: Path) -> str:
    """Of a file; of a folder, of its files' hashes in the order of their names."""
    digests = []
    for item in files(path):
        with item.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("".join(digests).encode()).hexdigest() if path.is_dir() else digests[0]


KERAS_0 = "Keras 0.x"
"""The writer of files whose layers and weights have numbers and no names."""

Stamp = tuple[tuple[int, ...], ...]


def stamp(path: Path) -> Stamp:
    """What tells, without reading it again, that a file, or a folder with what lies in it, is still the same."""
    states = [item.stat() for item in dict.fromkeys((path, *files(path)))]
    return tuple((s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in states)


class StoredTensor(NamedTuple):
    """A tensor of the file, unread. name: as its layer lists it."""

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    read: Callable[[], Array]


class StoredLayer(NamedTuple):
    name: str
    tensors: tuple[StoredTensor, ...]

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of its tensors."""
        return tuple(tensor.name for tensor in self.tensors)


@dataclass
class Checkpoint:
    """An opened checkpoint. Use it as a context manager: tensors can be read until it is closed.

    format: human name of the container. software: whose names and axes its weights have; None where Keras 1 and 2 are
    still to be told apart. writer: the software that its format belongs to, where only one writes it.
    keras_version, backend: as recorded. config: the stored architecture, JSON of a Keras model, in the part of the file
    called config_where. operators: of ONNX, see `ror_port.formats.onnx.compare`.
    omitted: what the file holds besides weights and was left out, in words.
    """

    path: Path
    format: str
    layers: tuple[StoredLayer, ...]
    software: Software | None = None
    writer: str | None = None
    keras_version: str | None = None
    backend: str | None = None
    config: Mapping[str, Any] | None = None
    config_where: str = "model_config"
    config_file: Path | None = None
    """Where the architecture lies, if that is a file of its own."""
    config_fact: Any = None
    """Where the architecture came from, if not from the file: a `ror_port.source.provenance.Fact`."""
    ordering_inferred: bool = False
    """Whether the data format that its layers state is the one that fits, and nobody's statement."""
    operators: Mapping[str, Any] | None = None
    stated: Mapping[str, Any] = field(default_factory=dict)
    """What ror-port itself wrote into a file that it made, in the part of the file called stated_where."""
    stated_where: str = "attribute ror_port"
    omitted: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    """Names of the layers that hold tensors in the order in which Keras pairs them, where that is not the file's."""
    stamp: Stamp | None = None
    """Of the file as it was before anything in it was read."""
    close: Callable[[], None] = field(default=lambda: None, repr=False)
    closed: bool = False

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def old(self) -> bool:
        """Whether Keras up to 2 wrote it."""
        return self.writer in (None, KERAS_0)

    @property
    def stated_network(self) -> Mapping[str, Any]:
        """What ror-port wrote of the network's configuration; empty where it did not."""
        network = self.stated.get("network")
        return network if isinstance(network, dict) else {}

    @property
    def weighted(self) -> tuple[StoredLayer, ...]:
        """The layers that hold tensors, in the order of the file."""
        return tuple(layer for layer in self.layers if layer.tensors)

    @property
    def tensors(self) -> Iterator[StoredTensor]:
        return (tensor for layer in self.layers for tensor in layer.tensors)

    @cached_property
    def sha256(self) -> str:
        digest = sha256(self.path)
        self.check_unchanged()
        return digest

    def check_unchanged(self) -> None:
        """Raises UnreadableFile where the file is no longer what it was when it was opened."""
        try:
            same = self.stamp is None or stamp(self.path) == self.stamp
        except OSError:  # it is gone
            same = False
        if not same:
            raise UnreadableFile(
                f"{self.path}: was changed while it was read; try again when that is done", passing=True
            )
