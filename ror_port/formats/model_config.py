"""What a stored architecture states. It is data: parsed with limits, never turned into classes.

Reads the ``model_config`` of Keras 1 (``subsample``, ``dim_ordering``), Keras 2 and 3 (``data_format``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ror_port import limits
from ror_port.checkpoint import Architecture
from ror_port.errors import NotACheckpoint, UnknownNetwork, UnsafeFile
from ror_port.formats.hdf5 import quote

_ORDERINGS = {"th": "th", "tf": "tf", "channels_first": "th", "channels_last": "tf"}


def architecture(text: str, path: Path) -> Architecture:
    """Reads the JSON of a model; raises NotACheckpoint where it is none."""
    where = f"{path}: model_config"
    if len(text) > limits.MAX_CONFIG_BYTES:
        raise UnsafeFile(f"{where}: {len(text)} characters; the limit is {limits.MAX_CONFIG_BYTES}")
    try:
        model = json.loads(text)
        inner = model["config"]
        layers = inner["layers"] if isinstance(inner, dict) else inner
        configs = [(str(layer["class_name"]), _mapping(layer["config"])) for layer in layers]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise NotACheckpoint(f"{where}: not the JSON of a Keras model ({type(error).__name__})") from None
    if any(kind == "Lambda" for kind, _ in configs):
        raise UnknownNetwork(f"{where}: holds a Lambda layer, which is Python code; ror-port runs no code from a file")
    norms = [config for kind, config in configs if kind == "BatchNormalization"]
    orderings = {
        _ORDERINGS[value]
        for _, config in configs
        if (value := config.get("dim_ordering", config.get("data_format"))) in _ORDERINGS
    }
    if len(orderings) > 1:
        raise NotACheckpoint(f"{where}: its layers disagree about channels_first and channels_last")
    modes = {config.get("mode", 0) for config in norms}
    if modes - {0}:
        raise UnknownNetwork(
            f"{where}: a BatchNormalization of mode {quote(str(sorted(map(str, modes))[-1]))}, which normalises by the "
            "batch at hand and keeps no running statistics; its answers depend on the batch and cannot be ported"
        )
    shape = next((s for _, c in configs if (s := c.get("batch_input_shape", c.get("batch_shape")))), None)
    return Architecture(
        epsilons=frozenset(_number(c["epsilon"], where) for c in norms if "epsilon" in c),
        momenta=frozenset(_number(c["momentum"], where) for c in norms if "momentum" in c),
        ordering=next(iter(orderings), None),
        input_shape=_shape(shape, where) if shape else None,
        dropout=max((_number(c.get("p", c.get("rate", 0)), where) for k, c in configs if k == "Dropout"), default=0.0),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("a layer's config")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise NotACheckpoint(f"{where}: {quote(str(value))} where a number from 0 to 1 is expected")
    return float(value)


def _shape(value: Any, where: str) -> tuple[int, ...] | None:
    sizes = value[1:] if isinstance(value, list) else None
    if not sizes or not all(size is None or (isinstance(size, int) and 0 < size < 1 << 16) for size in sizes):
        raise NotACheckpoint(f"{where}: {quote(str(value))} where an input shape is expected")
    return None if None in sizes else tuple(sizes)
