"""A script counts its layers from 1; the session that saved the weights may have counted on. Bringing them together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ror_port.errors import quote
from ror_port.source.from_config import MODELS
from ror_port.source.script.signatures import classes, in_snake_case

Json = Mapping[str, Any]


def automatic(name: str) -> tuple[str, int] | None:
    """What Keras called a layer, and its number; None for a name that somebody gave."""
    found = re.fullmatch(r"(.+?)_(\d{1,9})", name)
    return (found[1], int(found[2])) if found and found[1] in _prefixes() else None


@cache
def _prefixes() -> frozenset[str]:
    """What Keras calls the layers of its classes, in every generation."""
    names = {*classes(), "Sequential", "Model", "Graph", "Input", "Functional"}
    return frozenset({name.lower() for name in names} | {in_snake_case(name) for name in names})


def differently_listed(own: Sequence[str], stored: Sequence[str]) -> str | None:
    """A layer that one side lists and the other does not, of each automatic name as many; None where there is none."""
    counts = Counter(map(_key, own)), Counter(map(_key, stored))
    if more := next(iter(counts[1] - counts[0]), None):
        return f"the file lists {_of(more, counts[1])}, the script builds {_of(more, counts[0])}"
    if more := next(iter(counts[0] - counts[1]), None):
        return f"the script builds {_of(more, counts[0])}, the file lists {_of(more, counts[1])}"
    return None


def _key(name: str) -> str:
    found = automatic(name)
    return f"{found[0]}_…" if found else name


def _of(key: str, counts: Mapping[str, int]) -> str:
    return f"{counts[key]} layer{'' if counts[key] == 1 else 's'} {quote(key)}" if key in counts else "none"


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
