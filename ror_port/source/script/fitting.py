"""Whether a model that a script builds has the weights of a file: by their names, numbers and order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ror_port.errors import NotACheckpoint, quote
from ror_port.formats.checkpoint import KERAS_0, Checkpoint
from ror_port.network.graph import Graph
from ror_port.source import provenance
from ror_port.source.from_config import listed_layers, stated_graph, stated_name
from ror_port.source.provenance import Given
from ror_port.source.script.names import automatic, differently_listed, paired, renamed

Json = Mapping[str, Any]


def fitted(config: Json, checkpoint: Checkpoint, given: Given, where: str, all_listed: bool = True) -> Json:
    """The JSON with its layers called as those of the file, where both have the names that Keras gives.

    all_listed: whether its layers without weights must be those of the file, too. Raises NotACheckpoint where the file
    has other layers, UnknownNetwork where the architecture is not supported.
    """
    if checkpoint.writer == KERAS_0:
        return config
    origin = provenance.origin(checkpoint, given)
    stated = stated_graph(
        config,
        {},
        theano=provenance.backend(checkpoint, given).value == "theano",
        version=origin.version,
        where=f"{checkpoint.path}: {where}",
    )
    own = [name for name, parameters in stated.parameters_of_layers().items() if parameters]
    stored = [layer.name for layer in checkpoint.weighted]
    names = paired(own, stored)
    if names is None:
        raise NotACheckpoint(f"{checkpoint.path}: {where}: {_difference(own, stored)}")
    if all_listed:
        _ensure_all_listed(config, checkpoint, where)
    return renamed(config, {ours: theirs for ours, theirs in names.items() if ours != theirs})


def _ensure_all_listed(config: Json, checkpoint: Checkpoint, where: str) -> None:
    """Raises NotACheckpoint where the file lists layers without weights that the architecture has not, or not as many.

    Keras lists all layers of a model.
    """
    listed = [layer.name for layer in checkpoint.layers]
    difference = differently_listed(*(_without_inputs(names, config) for names in (_listed(config), listed)))
    if difference:
        raise NotACheckpoint(f"{checkpoint.path}: {where}: {difference}")


def more_listed(config: Json, checkpoint: Checkpoint) -> list[str]:
    """Layers without weights that the file lists and the architecture has not, or not as many of."""
    own = Counter((automatic(name) or (name, 0))[0] for name in _without_inputs(_listed(config), config))
    found = []
    for layer in checkpoint.layers:
        if layer.tensors or not _without_inputs([layer.name], config):
            continue
        key, _ = automatic(layer.name) or (layer.name, 0)
        if not own[key]:
            found.append(layer.name)
        own[key] -= 1
    return found


def _listed(config: Json) -> list[str]:
    """A Sequential within one of Keras 1 states no name; it was called so by its class."""
    return [stated_name(layer) or "sequential_1" for layer in listed_layers(config)]


def _without_inputs(names: list[str], config: Json) -> list[str]:
    """Keras 2 does not list the input of a Sequential."""
    inputs = {stated_name(layer) for layer in listed_layers(config) if layer["class_name"] == "InputLayer"}
    return [name for name in names if name not in inputs and (automatic(name) or ("", 0))[0] != "input"]


def _difference(own: list[str], stored: list[str]) -> str:
    if len(own) != len(stored):
        return f"has {len(own)} layers with weights, the file has {len(stored)}"
    missing = [name for name in stored if name not in own]
    return f"has no layer {quote(missing[0])}, whose weights the file holds" if missing else "has other layers"


def release(checkpoint: Checkpoint, given: Given) -> tuple[int, ...]:
    """Of the Keras that wrote a file; () where nobody states it."""
    return provenance.origin(checkpoint, given).version


def ensure_order(
    checkpoint: Checkpoint, config: Json, graph: Graph, layers: Mapping[str, str], version: tuple[int, ...]
) -> None:
    """Raises NotACheckpoint where the file lists its layers in another order than Keras would those of the script.

    That is the second witness beside their numbers: a script that was changed since builds them in another order.
    layers: node of the graph → layer of the file. version: of the Keras that wrote it, () where nobody states it.
    """
    if checkpoint.writer == KERAS_0:
        return
    named = {stated_name(layer) for layer in listed_layers(config)}
    stored = [layer.name for layer in checkpoint.weighted if layer.name in named]
    listed = [name for layer in listed_layers(config) if (name := stated_name(layer)) in stored]
    if listed == stored:
        return
    depths = {layer: graph.depths[node] for node, layer in reversed(list(layers.items()))}
    by_name = sorted(stored, key=lambda name: (-depths.get(name, 0), name))
    if stored == by_name and (1,) <= version < (1, 0, 8):
        return
    ours, theirs = next((a, b) for a, b in zip(listed, stored, strict=False) if a != b)
    raise NotACheckpoint(
        f"{checkpoint.path}: the script lists layer {quote(ours)} where the file has {quote(theirs)}; it is not the "
        "script that made these weights",
        "if Keras up to 1.0.7 saved them, say so with {keras}" if stored == by_name and not version else "",
    )
