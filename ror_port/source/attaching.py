"""Giving weights without an architecture theirs, from a file or from one beside them.

`ror_port.source.script.choosing` takes it from the script that they came with, `ror_port.source.famous.attaching` from
the networks of keras.applications.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from ror_port.errors import MissingExtra, NotACheckpoint, RorPortError, quote
from ror_port.formats.checkpoint import KERAS_0, Checkpoint
from ror_port.network.graph import Graph
from ror_port.source.architecture import files_beside, read_architecture
from ror_port.source.from_config import stated_name, stored_layers
from ror_port.source.pairing import ensure_as_many
from ror_port.source.provenance import Basis, Fact, Given


class Understood(Protocol):
    """What is known of a checkpoint that is understood: a `ror_port.source.port.Port`."""

    @property
    def graph(self) -> Graph: ...

    @property
    def layers(self) -> Mapping[str, str]: ...


ORDERING_OF = {True: "th", False: "tf"}
"""Whether Keras ran on Theano → the ordering of dimensions that it usually had."""

Understand = Callable[[Checkpoint, Given], Understood]
"""What finds out what an opened checkpoint is: `ror_port.source.port.understand`."""


def needs_architecture(checkpoint: Checkpoint) -> bool:
    """Whether nothing states the network of a file in which Keras keeps no more than weights."""
    return checkpoint.config is None and not checkpoint.software and "graph" not in checkpoint.stated


def attach(checkpoint: Checkpoint, path: Path, basis: Basis, evidence: str) -> None:
    """Gives a checkpoint the architecture of a file. Raises NotACheckpoint where it has one already."""
    ensure_silent(checkpoint, "{architecture}")
    checkpoint.config, checkpoint.config_where = read_architecture(path), path.name
    checkpoint.config_file = path
    version = checkpoint.config.get("keras_version")
    stated = f"; it states Keras {quote(version)}" if isinstance(version, str) else ""
    checkpoint.config_fact = Fact("architecture", path.name, basis, evidence + stated)


def detach(checkpoint: Checkpoint) -> None:
    checkpoint.config = checkpoint.config_file = checkpoint.config_fact = None


def ensure_silent(checkpoint: Checkpoint, option: str) -> None:
    if checkpoint.config is not None:
        raise NotACheckpoint(f"{checkpoint.path}: states its architecture itself", f"leave {option} out")


def beside(checkpoint: Checkpoint, given: Given, understand: Understand) -> dict[Path, RorPortError | None]:
    """The architectures beside weights that come without: each with None where it fits them, else with why not.

    UnknownNetwork is why one has their layers and cannot be ported.
    """
    found: dict[Path, RorPortError | None] = {}
    for path in files_beside(checkpoint.path):
        try:
            attach(checkpoint, path, "inferred", "one of the files beside the weights")
        except MissingExtra as error:
            found[path] = error
            continue
        except RorPortError:  # no architecture
            continue
        try:
            understand(checkpoint, given)
            found[path] = None
        except RorPortError as error:
            found[path] = _stranger(checkpoint) or error
        detach(checkpoint)
    return found


def _stranger(checkpoint: Checkpoint) -> NotACheckpoint | None:
    """Why an architecture is not that of the weights, as far as the names of the layers tell, or how many there are."""
    assert checkpoint.config is not None
    listed = {stated_name(layer) for layer in stored_layers(checkpoint.config)}
    if checkpoint.writer == KERAS_0:
        try:
            ensure_as_many(checkpoint)
        except NotACheckpoint as error:
            return error
    missing = next((layer.name for layer in checkpoint.weighted if layer.name not in listed), None)
    if missing is None or None in listed:  # a model without a name may be any layer
        return None
    where = f"{checkpoint.path}: {checkpoint.config_where}"
    return NotACheckpoint(f"{where}: has no layer {quote(missing)}, whose weights the file holds")
