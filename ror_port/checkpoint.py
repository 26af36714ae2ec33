"""A checkpoint as its file holds it: ordered layers, tensors that are read on demand, and what the file says of itself.

Nothing here is interpreted: tensors lie as they were stored, and what a file does not state is None.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ror_port.errors import UnreadableFile
from ror_port.layout import Array, Shape


def sha256(path: Path) -> str:
    """Of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Stamp:
    """What tells, without reading it again, that a file is still the same."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        status = path.stat()
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of the file, unread. name: as its layer lists it."""

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    read: Callable[[], Array] = field(repr=False, compare=False)


@dataclass(frozen=True)
class StoredLayer:
    name: str
    tensors: tuple[StoredTensor, ...]


@dataclass(frozen=True)
class Architecture:
    """What a stored architecture (``model_config``) states; None or empty where it does not.

    epsilons, momenta: of the BatchNorm layers. ordering: "th"/"tf" (channels first/last).
    input_shape: as stored, without the batch.
    """

    epsilons: frozenset[float] = frozenset()
    momenta: frozenset[float] = frozenset()
    ordering: str | None = None
    input_shape: tuple[int, ...] | None = None
    dropout: float = 0.0
    operations: Counter[str] = field(default_factory=Counter)
    """What its layers do, counted: "convolution 3×3 stride 1", "activation relu" …"""


@dataclass
class Checkpoint:
    """An opened checkpoint. Use it as a context manager: tensors can be read until it is closed.

    format: human name of the container. modern: whether it is Keras 3's own. keras_version, backend: as recorded.
    omitted: what the file holds besides weights and was left out, in words.
    """

    path: Path
    format: str
    layers: tuple[StoredLayer, ...]
    keras_version: str | None = None
    backend: str | None = None
    architecture: Architecture | None = None
    stated: Mapping[str, Any] = field(default_factory=dict)
    """What ror-port itself wrote into a file that it made."""
    omitted: tuple[str, ...] = ()
    modern: bool = False
    stamp: Stamp | None = None
    """Of the file as it was before anything in it was read."""
    close: Callable[[], None] = field(default=lambda: None, repr=False)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def weighted(self) -> tuple[StoredLayer, ...]:
        """The layers that hold tensors, in the order of the file."""
        return tuple(layer for layer in self.layers if layer.tensors)

    @property
    def tensors(self) -> Iterator[StoredTensor]:
        return (tensor for layer in self.layers for tensor in layer.tensors)

    @cached_property
    def sha256(self) -> str:
        """Of the whole file."""
        digest = sha256(self.path)
        self.check_unchanged()
        return digest

    def check_unchanged(self) -> None:
        """Raises UnreadableFile where the file is no longer what it was when it was opened."""
        if self.stamp is not None and Stamp.of(self.path) != self.stamp:
            raise UnreadableFile(f"{self.path}: was changed while it was read; try again when that is done")
