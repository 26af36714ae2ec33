"""A script counts its layers from 1; the session that saved the weights may have counted on. Bringing them together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ror_port.source.from_config import MODELS

Json = Mapping[str, Any]


def automatic(name: str) -> tuple[str, int] | None:
    """What Keras called a layer, and its number; None for a name that somebody gave."""
    found = re.fullmatch(r"(.+?)_(\d{1,9})", name)
    return (found[1], int(found[2])) if found else None


def paired(own: Sequence[str], stored: Sequence[str]) -> dict[str, str] | None:
    """Layers with weights of an architecture → those of the file, of each automatic name the n-th by number.

    Names that both have as somebody gave them stay. None where they do not go into each other.
    """
    if len(own) != len(stored):
        return None
    if set(own) == set(stored):
        return {name: name for name in own}
    pairs: dict[str, str] = {}
    sides = []
    for names in (own, stored):
        counted: dict[str, list[tuple[int, str]]] = {}
        for name in names:
            prefix, number = automatic(name) or (name, 0)
            counted.setdefault(prefix, []).append((number, name))
        sides.append(counted)
    if sides[0].keys() != sides[1].keys():
        return None
    for prefix, ours in sides[0].items():
        theirs = sides[1][prefix]
        if len(ours) != len(theirs):
            return None
        pairs |= {mine: other for (_, mine), (_, other) in zip(sorted(ours), sorted(theirs), strict=True)}
    return pairs


def renamed(config: Json, names: Mapping[str, str]) -> Json:
    """The JSON of a model with its layers, and those of models that it begins with, under other names."""
    inner = config["config"]
    if isinstance(inner, list):
        return {**config, "config": [_layer(layer, names) for layer in inner]}
    changed = {**inner, "layers": [_layer(layer, names) for layer in inner["layers"]]}
    for ends in ("input_layers", "output_layers"):
        if ends in inner:
            changed[ends] = [_tensor(tensor, names) for tensor in inner[ends]]
    return {**config, "config": changed}


def _layer(layer: Json, names: Mapping[str, str]) -> Json:
    found = dict(layer)
    config = layer["config"]
    if layer["class_name"] == "Merge" and "layers" in config:
        branches = [renamed(b, names) if b["class_name"] in MODELS else _layer(b, names) for b in config["layers"]]
        found["config"] = {**config, "layers": branches}
    elif isinstance(config, dict) and config.get("name") in names:
        found["config"] = {**config, "name": names[config["name"]]}
    if layer.get("name") in names:
        found["name"] = names[layer["name"]]
    if "inbound_nodes" in layer:
        found["inbound_nodes"] = [[_tensor(tensor, names) for tensor in call] for call in layer["inbound_nodes"]]
    return found


def _tensor(tensor: Sequence[Any], names: Mapping[str, str]) -> list[Any]:
    return [names.get(tensor[0], tensor[0]), *tensor[1:]]
