"""The file of old Keras that a network came in, without its numbers: what it states, its layers, names and shapes.

Outputs carry it in what they state of themselves, so that the network can go back in the same form. On the way back it
is untrusted data: within the limits of any file, and understood by the same road.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ror_port.errors import NotACheckpoint, UsageError, quote
from ror_port.formats.checkpoint import KERAS_0, Checkpoint, StoredLayer, StoredTensor
from ror_port.formats.json_text import indented_length
from ror_port.layout import Array
from ror_port.mapping.software import KERAS_1, Software
from ror_port.safety import limits
from ror_port.source.provenance import ORDERINGS, Given, releases, version_of

Json = Mapping[str, Any]

GIVEN = ("backend", "keras", "epsilon", "size", "ordering", "lambdas")
"""What the user stated where the file is silent, and what has to be stated again to read it alike."""


def original(checkpoint: Checkpoint, given: Given) -> Json | None:
    """What outputs carry of an opened checkpoint: of a file of old Keras itself, of any other what it carries.

    None where there is nothing, where it is of a Keras that never ran on Theano, or where it is too long to be carried.
    """
    if "original" in checkpoint.stated:
        found: Any = checkpoint.stated["original"]
    elif not checkpoint.old or not releases(checkpoint.keras_version or "1"):
        return None
    else:
        found = {
            "keras_version": checkpoint.keras_version,
            "backend": checkpoint.backend,
            **({"writer": checkpoint.writer} if checkpoint.writer else {}),
            "config": checkpoint.config,
            "layers": [[layer.name, [[t.name, list(t.shape)] for t in layer.tensors]] for layer in checkpoint.layers],
            "stated": {key: checkpoint.stated[key] for key in ("network", "graph") if key in checkpoint.stated},
            "given": stated(given),
        }
    if _is_deep(found) or indented_length(found) > limits.MAX_ORIGINAL_BYTES:
        return None
    return found  # type: ignore[no-any-return]  # on the way back it is validated


def _is_deep(value: Any) -> bool:
    """Whether JSON is nested deeper than models within models lead to; writing it recurses."""
    level = [value]
    for _ in range(5 * limits.MAX_NESTING):
        level = [
            inner for v in level for inner in (v.values() if isinstance(v, dict) else v if isinstance(v, list) else ())
        ]
        if not level:
            return False
    return True


def stated(given: Given) -> Json:
    return {name: value for name, value in asdict(given).items() if name in GIVEN and value is not None}


def words(given: Given) -> str:
    return ", ".join(f"{name} {value}" for name, value in stated(given).items())


def completed(given: Given, said: Any, where: str) -> Given:
    """What the user states, completed by what was given when a file was converted. Raises NotACheckpoint."""
    if not isinstance(said, dict) or not said.keys() <= set(GIVEN):
        raise NotACheckpoint(f"{where}: {quote(str(said))} where given facts are expected")
    kinds = {"epsilon": float, "size": int, "lambdas": dict}
    wrong = [name for name, value in said.items() if type(value) is not kinds.get(name, str)]
    texts = said.get("lambdas", {}) if not wrong else {}
    if not all(isinstance(text, str) for text in texts.values()):
        wrong = ["lambdas"]
    if wrong or said.get("ordering", "th") not in ORDERINGS.values():
        raise NotACheckpoint(f"{where}: {quote(str(said))} where given facts are expected")
    try:
        return replace(given, **{name: value for name, value in said.items() if getattr(given, name) is None})
    except UsageError as error:
        raise NotACheckpoint(f"{where}: {error}") from None


def as_saved(carried: Any, path: Path, backend: str) -> tuple[Checkpoint, Given]:
    """The file as its Keras would have saved it on a backend, its tensors unreadable; and what was given about it.

    Raises NotACheckpoint or UnsafeFile.
    """
    where = f"{path}: the original that it carries"
    if not isinstance(carried, dict):
        raise NotACheckpoint(f"{where}: not what ror-port wrote")
    version, recorded, config = (carried.get(key) for key in ("keras_version", "backend", "config"))
    writer = carried.get("writer")
    own = carried.get("stated", {})
    if not isinstance(version, str | None) or not isinstance(config, dict | None) or not isinstance(own, dict):
        raise NotACheckpoint(f"{where}: not what ror-port wrote")
    if writer not in (None, KERAS_0):
        raise NotACheckpoint(f"{where}: not what ror-port wrote")
    given = completed(Given(), carried.get("given", {}), where)
    checkpoint = Checkpoint(
        path,
        "the original",
        _layers(carried.get("layers"), where),
        writer=writer,
        keras_version=version,
        backend=None if recorded is None else backend,
        config=config,
        config_where="the architecture that it carries",
        stated=own,
        stated_where="the original that it carries",
    )
    return checkpoint, replace(given, backend=None if checkpoint.backend else backend)


def is_model(checkpoint: Checkpoint, software: Software) -> bool:
    """Whether its Keras has the model whole in one file: from 1.0.7 on, architecture and weights of one generation."""
    if checkpoint.config is None or checkpoint.writer == KERAS_0:
        return False
    version = version_of(checkpoint.config, str(checkpoint.path)) or (
        tuple(map(int, checkpoint.keras_version.split("."))) if checkpoint.keras_version else ()
    )
    return not version or ((1, 0, 7) <= version < (2, 4) and (version < (2,)) == (software is KERAS_1))


def _layers(found: Any, where: str) -> tuple[StoredLayer, ...]:
    if not isinstance(found, list) or len(found) > limits.MAX_LAYERS:
        raise NotACheckpoint(f"{where}: layers are no list, or too many")
    layers = []
    for item in found:
        match item:
            case [str() as name, list() as tensors] if len(tensors) <= limits.MAX_LAYERS:
                layers.append(StoredLayer(name, tuple(_tensor(tensor, where) for tensor in tensors)))
            case _:
                raise NotACheckpoint(f"{where}: {quote(str(item))} where a layer is expected")
    _ensure_places(layers, where)
    return tuple(layers)


def _tensor(found: Any, where: str) -> StoredTensor:
    """TensorFlow ends the name of a variable in ``:0``, Theano never."""
    match found:
        case [str() as name, list() as shape] if _is_shape(shape):
            return StoredTensor(re.sub(r":\d+$", "", name), tuple(shape), np.dtype(np.float32), _unread)
    raise NotACheckpoint(f"{where}: {quote(str(found))} where a tensor is expected")


def _is_shape(shape: Sequence[Any]) -> bool:
    return len(shape) <= limits.MAX_AXES and all(type(size) is int and 0 < size < 1 << 31 for size in shape)


def _unread() -> Array:
    raise AssertionError("an original has no numbers")


def _ensure_places(layers: Iterable[StoredLayer], where: str) -> None:
    """Raises NotACheckpoint where names cannot be those of groups and datasets of an HDF5 file, each at its place."""
    groups = [layer.name for layer in layers]
    tensors = [f"{layer.name}/{tensor.name}" for layer in layers for tensor in layer.tensors]
    for name in (*groups, *tensors):
        parts = name.split("/")
        if len(name) > 2 * limits.MAX_NAME or "\0" in name or {"", ".", ".."} & set(parts) or not _encodes(name):
            raise NotACheckpoint(f"{where}: {quote(name)} is no name for a layer or a weight")
    above = {"/".join(name.split("/")[:end]) for name in tensors for end in range(1, name.count("/") + 1)}
    if len(set(groups)) < len(groups) or len(set(tensors)) < len(tensors) or set(tensors) & {*groups, *above}:
        raise NotACheckpoint(f"{where}: layers or weights of one name")


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
