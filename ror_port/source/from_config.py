"""A stored architecture, the JSON of Keras 1, 2 or 3, as a graph. It is data: nothing in it is ever run.

Every setting that changes the function and every edge is followed, or refused by name.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ror_port.errors import NotACheckpoint, UnknownNetwork, UnsafeFile, quote
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import BY_KERAS_CLASS, Input, Layer
from ror_port.network.layers.layer import DataFormat
from ror_port.network.layers.settings import DATA_FORMATS, Session, Settings
from ror_port.safety import limits

Json = Mapping[str, Any]


class Stated(NamedTuple):
    """A stored architecture. layers: node → name of its layer; a layer with an activation is two nodes."""

    graph: Graph
    layers: Mapping[str, str]


def stated_graph(config: Json, *, theano: bool, version: tuple[int, ...], where: str) -> Stated:
    """The graph of a model's JSON. theano, version: of the Keras session that wrote it. where: how messages call it.

    Raises NotACheckpoint where it is no such JSON, UnknownNetwork where it has what is not supported.
    """
    kind, inner = config.get("class_name"), config.get("config")
    layers = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(layers, list) or not all(_is_layer(layer) for layer in layers):
        raise NotACheckpoint(f"{where}: not the JSON of a Keras model")
    if not layers or len(layers) > limits.MAX_LAYERS:
        raise UnsafeFile(f"{where}: {len(layers)} layers; from 1 to {limits.MAX_LAYERS} are read")
    session = Session(theano, version, _session_format(layers, theano))
    if kind == "Sequential":
        return _sequential(layers, session, where)
    if kind not in ("Model", "Functional"):
        raise UnknownNetwork(f"{where}: a model of class {quote(str(kind))}; Sequential and Model are supported")
    assert isinstance(inner, dict)
    return _functional(inner, layers, session, where)


def _is_layer(layer: Any) -> bool:
    return (
        isinstance(layer, dict) and isinstance(layer.get("class_name"), str) and isinstance(layer.get("config"), dict)
    )


def _session_format(layers: Sequence[Json], theano: bool) -> DataFormat:
    """The data format of layers that state none: that of the first layer which does, else usual for the backend."""
    for layer in layers:
        stated = layer["config"].get("data_format", layer["config"].get("dim_ordering"))
        if isinstance(stated, str) and stated in DATA_FORMATS:
            return DATA_FORMATS[stated]
    return "channels_first" if theano else "channels_last"


def _name(layer: Json, where: str) -> str:
    name = layer.get("name", layer["config"].get("name"))
    if not isinstance(name, str) or not 0 < len(name) <= limits.MAX_NAME:
        raise NotACheckpoint(f"{where}: a {quote(layer['class_name'])} layer without a name")
    return name


def _layers(layer: Json, session: Session, where: str) -> list[Layer]:
    """The layers that one stored layer stands for."""
    kind, name = layer["class_name"], _name(layer, where)
    at = f"{where}: layer {quote(name)}"
    if kind == "Lambda":
        raise UnknownNetwork(f"{at}: a Lambda layer, which is Python code; ror-port runs no code from a file")
    if kind not in BY_KERAS_CLASS:
        raise UnknownNetwork(f"{at}: layers of class {quote(kind)} are not supported")
    settings = Settings(kind, layer["config"], session, at)
    layers = list(BY_KERAS_CLASS[kind].from_keras(settings))
    settings.finish()
    return layers


class _Assembly:
    """A graph under construction from stored layers."""

    def __init__(self, where: str) -> None:
        self.where, self.g = where, GraphBuilder()
        self.layers: dict[str, str] = {}
        self.last: dict[str, str] = {}
        """Name of a stored layer → the node that has its output."""

    def add(self, name: str, layers: Sequence[Layer], inputs: Sequence[str]) -> None:
        sources = [self.last[source] for source in inputs]
        for index, layer in enumerate(layers):
            node = f"{name}/activation" if index else name
            if node in self.g.nodes:
                raise NotACheckpoint(f"{self.where}: two layers are called {quote(name)}")
            if not isinstance(layer, Input) and (len(sources) != 1 if not layer.merges else len(sources) < 2):
                raise NotACheckpoint(f"{self.where}: layer {quote(name)} has {len(sources)} inputs")
            try:
                sources = [self.g.add(node, layer, *sources)]
            except (ValueError, IndexError) as error:
                raise UnknownNetwork(f"{self.where}: layer {quote(name)}: {error}") from None
            self.layers[node] = name
        self.last[name] = sources[0]


def _sequential(layers: Sequence[Json], session: Session, where: str) -> Stated:
    assembly = _Assembly(where)
    first = layers[0]
    before = None
    if first["class_name"] != "InputLayer":
        shape = first["config"].get("batch_input_shape", first["config"].get("batch_shape"))
        image = {
            "class_name": "InputLayer",
            "config": {"name": f"{_name(first, where)}_input", "batch_input_shape": shape},
        }
        before = _name(image, where)
        assembly.add(before, _layers(image, session, where), [])
    for layer in layers:
        name = _name(layer, where)
        assembly.add(name, _layers(layer, session, where), [before] if before else [])
        before = name
    assert before
    return Stated(assembly.g.finish(assembly.last[before]), assembly.layers)


def _functional(inner: Json, layers: Sequence[Json], session: Session, where: str) -> Stated:
    assembly = _Assembly(where)
    edges = {_name(layer, where): _sources(layer, where) for layer in layers}
    if len(edges) < len(layers):
        raise NotACheckpoint(f"{where}: two layers of one name")
    by_name = {_name(layer, where): layer for layer in layers}
    outputs = [_tensor(output, where) for output in _tensors(inner.get("output_layers"))]
    inputs = [_tensor(source, where) for source in _tensors(inner.get("input_layers"))]
    unknown = [name for name in (*inputs, *outputs) if name not in by_name]
    if unknown or not outputs or len(set(inputs)) < len(inputs):
        raise NotACheckpoint(f"{where}: inputs or outputs that are no layers of it, or are listed twice")
    order = [name for name in _in_order(edges, where) if name not in inputs]
    for name in (*inputs, *order):  # inputs first, in the order in which the model takes them
        assembly.add(name, _layers(by_name[name], session, where), edges[name])
    graph = assembly.g.finish(*(assembly.last[name] for name in outputs))
    loose = {node.name for node in graph.inputs} ^ set(inputs)
    if loose:
        raise NotACheckpoint(f"{where}: {quote(min(loose))} is an input, or is called one, and not both")
    used = graph.until(*graph.outputs)
    return Stated(used, {node: layer for node, layer in assembly.layers.items() if node in used})


def _in_order(edges: Mapping[str, Sequence[str]], where: str) -> Iterator[str]:
    """Layers so that each comes behind its inputs, else in the order of the file."""
    names = list(edges)
    missing = next((source for name in names for source in edges[name] if source not in edges), None)
    if missing is not None:
        raise NotACheckpoint(f"{where}: there is no layer {quote(missing)}")
    position = {name: index for index, name in enumerate(names)}
    waiting = {name: len(set(edges[name])) for name in names}
    readers: dict[str, list[str]] = {name: [] for name in names}
    for name in names:
        for source in set(edges[name]):
            readers[source].append(name)
    ready = [position[name] for name, count in waiting.items() if not count]
    done = 0
    while ready:
        name = names[heapq.heappop(ready)]
        done += 1
        yield name
        for reader in readers[name]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, position[reader])
    if done < len(names):
        circle = next(name for name, count in waiting.items() if count)
        raise NotACheckpoint(f"{where}: layer {quote(circle)} depends on itself")


def _sources(layer: Json, where: str) -> list[str]:
    """The layers that a layer reads, in order."""
    name, nodes = _name(layer, where), layer.get("inbound_nodes", [])
    if not isinstance(nodes, list):
        raise NotACheckpoint(f"{where}: layer {quote(name)}: inbound_nodes is no list")
    if len(nodes) > 1:
        raise UnknownNetwork(f"{where}: layer {quote(name)} is used at {len(nodes)} places, which is not supported")
    if not nodes:
        if layer["class_name"] != "InputLayer":
            raise NotACheckpoint(f"{where}: layer {quote(name)} has no inputs")
        return []
    (node,) = nodes
    if isinstance(node, dict):  # Keras 3
        return [_tensor(tensor, where) for tensor in _keras_3_tensors(node, where, name)]
    return [_tensor(tensor, where) for tensor in _tensors(node)]


def _tensors(stated: Any) -> list[Any]:
    """A list of tensors; Keras 3 writes a single one without the list."""
    if isinstance(stated, list) and stated and isinstance(stated[0], str):
        return [stated]
    return stated if isinstance(stated, list) else []


def _keras_3_tensors(node: Json, where: str, name: str) -> list[Any]:
    args, kwargs = node.get("args"), node.get("kwargs")
    idle = isinstance(kwargs, dict) and all(value is None for value in kwargs.values())
    if not isinstance(args, list) or len(args) != 1 or not (idle or kwargs is None):
        raise UnknownNetwork(f"{where}: layer {quote(name)} is called with arguments that are not supported")
    tensors = args[0] if isinstance(args[0], list) else args
    histories = []
    for tensor in tensors:
        config = tensor.get("config") if isinstance(tensor, dict) else None
        histories.append(config.get("keras_history") if isinstance(config, dict) else None)
    return histories


def _tensor(stated: Any, where: str) -> str:
    """The layer whose output a tensor is: [name, node, tensor] and, in Keras 2, arguments of the call."""
    match stated:
        case [str() as name, 0, 0] | [str() as name, 0, 0, {}]:
            return name
        case [str() as name, int(), int(), *_]:
            raise UnknownNetwork(
                f"{where}: {quote(name)} is used at several places, gives several outputs or is called with arguments; "
                "that is not supported"
            )
    raise NotACheckpoint(f"{where}: {quote(str(stated))} where a tensor [layer, node, output] is expected")
