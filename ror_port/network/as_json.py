"""A graph as plain JSON and back, exactly: what outputs state of a network that is no family's.

Reading it trusts nothing: only layers that are known, with settings of the right types and of sane size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ror_port.errors import NotACheckpoint, quote
from ror_port.layout import VARIES, extent, of_extent
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import BY_NAME, Input, Layer
from ror_port.network.layers.settings import MAX_LENGTH
from ror_port.network.sizes import ensure_batches


def to_json(graph: Graph) -> dict[str, Any]:
    nodes = [
        {
            "name": node.name,
            **_stated(node.layer),
            "inputs": list(node.inputs),
            "shares": node.shares,
        }
        for node in graph
    ]
    return {"nodes": nodes, "outputs": list(graph.outputs)}


def _stated(layer: Layer) -> dict[str, Any]:
    """A layer, and those within it."""
    settings = {setting.name: getattr(layer, setting.name) for setting in fields(layer)}
    if isinstance(layer, Input):
        settings["shape"] = extent(layer.shape)
    return {
        "layer": type(layer).__name__,
        "settings": {name: _stated(v) if isinstance(v, Layer) else v for name, v in settings.items()},
    }


def from_json(stated: Mapping[str, Any], where: str) -> Graph:
    """Raises NotACheckpoint where it is not what `to_json` gives. where: how messages call it."""
    g = GraphBuilder()
    try:
        for node in stated["nodes"]:
            kind, name = BY_NAME[node["layer"]], node["name"]
            if not isinstance(name, str) or name in g.nodes:
                raise ValueError(f"{quote(str(name))} is no name for a node")
            settings = node["settings"]
            if kind is Input:  # of all settings its shape alone may have sizes that vary
                settings = {**settings, "shape": of_extent(tuple(settings["shape"]))}
            layer = _layer(kind, settings)
            if (len(node["inputs"]) == 0) is not (kind is Input):
                raise ValueError(f"{quote(name)} has {len(node['inputs'])} inputs")
            g.add(name, layer, *node["inputs"], shares=node.get("shares"))
        outputs = stated["outputs"]
        if not outputs or any(name not in g.nodes for name in outputs):
            raise ValueError("its outputs are no nodes of it")
        graph = g.finish(*outputs)
        ensure_batches(graph)
        return graph
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise NotACheckpoint(f"{where}: not a graph that ror-port wrote ({type(error).__name__}: {error})") from None


def _layer(kind: type[Layer], settings: Mapping[str, Any]) -> Layer:
    hints = get_type_hints(kind)
    if set(settings) != {setting.name for setting in fields(kind)}:
        raise ValueError(f"the settings of {kind.__name__} are others")
    return kind(**{name: _value(value, hints[name], f"{kind.__name__}.{name}") for name, value in settings.items()})


def _value(value: Any, hint: Any, where: str) -> Any:
    """A value of the hinted type. Raises ValueError."""
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Layer):
        layer = _layer(BY_NAME[value["layer"]], value["settings"])
        if isinstance(layer, hint):
            return layer
    elif origin is Literal:
        if value in inner and not isinstance(value, bool):
            return value
    elif origin in (Union, UnionType):
        for choice in inner:
            try:
                return _value(value, choice, where)
            except ValueError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        if len(inner) == 2 and inner[1] is Ellipsis and len(value) < MAX_LENGTH:
            return tuple(_value(item, inner[0], where) for item in value)
        if len(inner) == len(value):
            return tuple(_value(item, part, where) for item, part in zip(value, inner, strict=True))
    elif (
        (hint is NoneType and value is None)
        or (hint is bool and isinstance(value, bool))
        or (hint is int and (value is VARIES or (type(value) is int and abs(value) < MAX_LENGTH)))
        or (hint is str and isinstance(value, str))
    ):
        return value
    elif hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    raise ValueError(f"{where} is {quote(str(value))}")
