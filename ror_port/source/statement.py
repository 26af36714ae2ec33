"""The architecture of a network as JSON of Keras 1 or 2, to be kept beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ror_port.formats import keras_config
from ror_port.formats.checkpoint import Checkpoint
from ror_port.mapping.software import KERAS_1
from ror_port.network.layers import Conv2D, Layer
from ror_port.source.port import Port, load
from ror_port.source.provenance import Fact, Given, dotted
from ror_port.source.script.choosing import built_architecture


class Statement(NamedTuple):
    """config: what `keras.models.model_from_json` reads. source: where it comes from, in words.

    assumed: facts that the JSON states although they are assumed.
    """

    config: Mapping[str, Any]
    source: str
    assumed: tuple[Fact, ...] = ()


def architecture(source: str, given: Given) -> Statement:
    """Of a script (``train.py`` or ``train.py:build_model``), which is run; of a file that states it, or of weights.

    Raises what `load` does, and NotACheckpoint where a script builds no model, or several.
    """
    if is_script(source):
        config, found = built_architecture(replace(given, model=source))
        return Statement(config, found)
    with load(Path(source), given) as port:
        return _of_port(port)


def is_script(source: str) -> bool:
    name, colon, variable = source.rpartition(":")
    return source.endswith(".py") or (bool(colon) and name.endswith(".py") and variable.isidentifier())


def _of_port(port: Port) -> Statement:
    checkpoint = port.checkpoint
    if checkpoint.config is not None:
        recorded = {"keras_version": checkpoint.keras_version, "backend": checkpoint.backend}
        stated = {key: value for key, value in recorded.items() if value is not None}
        kept = {key: value for key, value in checkpoint.config.items() if key in ("class_name", "config", *recorded)}
        return Statement({**stated, **(kept or checkpoint.config)}, _origin(checkpoint))
    names = {node.name: port.layers.get(node.name, node.name) for node in port.graph}
    graph = port.graph.map(_as_on_theano).renamed(names)
    config = keras_config.keras_2(keras_config.model(graph, port.dtype), "model")
    backend = "theano" if port.convention.theano else "tensorflow"
    version = checkpoint.keras_version if port.convention.software is not KERAS_1 else None
    stated = {"keras_version": version or dotted((2, 2, 4)), "backend": backend}
    return Statement({**config, **stated}, f"recognised: {port.name}", tuple(port.assumptions))


def _origin(checkpoint: Checkpoint) -> str:
    fact = checkpoint.config_fact
    if fact is None:
        return f"the file's {checkpoint.config_where}"
    recognised = fact.basis == "inferred" and checkpoint.config_file is None
    return f"recognised: {fact.value}, by {fact.evidence}" if recognised else fact.evidence


def _as_on_theano(layer: Layer) -> Layer:
    """What Theano pads by half of a kernel is called "same" in Keras."""
    return replace(layer, padding="same") if isinstance(layer, Conv2D) and layer.padding == "half" else layer
