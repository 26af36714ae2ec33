"""A stored architecture, the JSON of Keras 1, 2 or 3, as a graph. It is data: nothing in it is ever run.

Every setting that changes the function and every edge is followed, or refused by name. Nested models are taken apart
into the layers they are made of; a layer that is used at several places becomes as many nodes that share its weights.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, cast

from ror_port import extensions
from ror_port.errors import NotACheckpoint, UnknownNetwork, UnsafeFile, UsageError, quote
from ror_port.formats import keras_masks
from ror_port.layout import DataFormat, Shape, extent
from ror_port.mapping.software import snake_case
from ror_port.network.graph import Graph, GraphBuilder, Parameter
from ror_port.network.layers import (
    ALSO_BY_KERAS_CLASS,
    BY_KERAS_CLASS,
    Activation,
    Bidirectional,
    ConvLSTM2D,
    Input,
    Layer,
    Softmax,
)
from ror_port.network.layers.recurrent import Recurrent
from ror_port.network.layers.sequence import Reverse
from ror_port.network.layers.settings import DATA_FORMATS, KERAS_0, Session, Settings
from ror_port.network.layers.wrappers import MERGES, MergeMode, over_time
from ror_port.network.sizes import ensure_batches
from ror_port.safety import limits
from ror_port.source import arithmetic
from ror_port.source.calls import MASK_OPERATIONS, Json, MaskValue, Reads, listed_tensors, mask_of, mask_value, read
from ror_port.source.script.signatures import classes

Shapes = Mapping[str, Sequence[Shape]]
"""Layer of a file → shapes of its weights."""

MODELS = ("Sequential", "Model", "Functional")
STATISTICS = ("moving_mean", "moving_variance")


class Stated(NamedTuple):
    """A stored architecture. layers: node → layer of the file that has its weights; frozen: nodes that are not trained.

    A layer with an activation is two nodes; a nested model, which is one layer of the file, is many. together: whether
    the weights of a nested model lie layer by layer, as in Keras 0.x. format_assumed: whether the data format of some
    layers stands nowhere, and none of their neighbours tells it. strides_assumed: whether the strides of some stand
    nowhere. listed: class → layers, in the order of the architecture. left_open: the data format that layers were given
    which state none; None where all of them do. epsilons_open: how many BatchNormalizations state no epsilon.
    arithmetic: Lambda layer → what it computes.
    """

    graph: Graph
    layers: Mapping[str, str]
    frozen: frozenset[str] = frozenset()
    together: bool = False
    format_assumed: bool = False
    strides_assumed: bool = False
    listed: Mapping[str, Sequence[str]] = {}
    left_open: DataFormat | None = None
    epsilons_open: int = 0
    arithmetic: Mapping[str, str] = {}

    def parameters_of_layers(self) -> dict[str, list[Parameter]]:
        """Layer of the file → parameters in the order in which Keras keeps them: from 1.0 on first those trained."""
        found: dict[str, list[Parameter]] = {}
        for parameter in self.graph.parameters:
            found.setdefault(self.layers[parameter.node], []).append(parameter)
        for parameters in () if self.together else found.values():
            parameters.sort(key=lambda p: p.role in STATISTICS or p.node in self.frozen)
        return found


def stated_graph(
    config: Json,
    shapes: Shapes,
    *,
    theano: bool,
    version: tuple[int, ...],
    where: str,
    data_format: DataFormat | None = None,
    lambdas: Mapping[str, str] = {},
) -> Stated:
    """The graph of a model's JSON. theano, version: of the Keras session that wrote it. where: how messages call it.

    shapes: of the weights in the file, for what a configuration leaves to them. data_format: of layers that state none,
    where it is given. lambdas: Lambda layer → its arithmetic on x, where it is given.

    Raises NotACheckpoint where it is no such JSON, UnknownNetwork where it has what is not supported.
    """
    assembly = Assembly(
        config, shapes, theano=theano, version=version, where=where, data_format=data_format, lambdas=lambdas
    )
    graph = assembly.g.finish(*assembly.assemble())
    if others := lambdas.keys() - assembly.arithmetic.keys():
        raise UsageError(f"{where}: has no Lambda layer {quote(min(others))}", "lambdas")
    used = graph.until(*graph.outputs)
    if len(used.inputs) < len(graph.inputs):
        raise NotACheckpoint(f"{where}: an input that leads to no output")
    if version == KERAS_0:
        for node in graph:
            if node.name not in used and node.parameters:
                raise UnknownNetwork(f"{where}: {quote(node.name)} leads to no output, which is not supported")
    heirs = {node.name: graph[node.name].owner for node in used if node.shares is None}
    used = used.renamed({node.name: heirs.get(node.name, node.name) for node in used})
    used = _with_batches(used, where)
    if version >= (3,):
        keras_masks.ensure_alike(used, {heirs.get(name, name) for name in assembly.given_masks})
    layers = {n: layer for n, layer in assembly.layers.items() if n in used}
    left_open = assembly.session.data_format if assembly.session.left_open else None
    listed: dict[str, list[str]] = {}
    for layer in listed_layers(config):
        listed.setdefault(layer["class_name"], []).append(assembly.name(layer))
    assumed = left_open is not None and assembly.format_unstated
    strides = bool(assembly.session.strides_open)
    epsilons = len(set(assembly.session.epsilons_open))
    together, frozen, computed = version == KERAS_0, frozenset(assembly.frozen), assembly.arithmetic
    return Stated(used, layers, frozen, together, assumed, strides, listed, left_open, epsilons, computed)


def _with_batches(graph: Graph, where: str) -> Graph:
    """The graph with a size of its batches where it is stateful, and without one where not: it changes nothing there.

    Raises UnknownNetwork as of `ensure_batches`.
    """
    if not graph.stateful and graph.batch is not None:
        return graph.map(lambda layer: replace(layer, batch=None) if isinstance(layer, Input) else layer)
    try:
        ensure_batches(graph)
    except ValueError as error:
        raise UnknownNetwork(f"{where}: {error}") from None
    return graph


def stored_layers(config: Json) -> list[Json]:
    """The layers that a model lists, each with class_name and config."""
    inner = config.get("config")
    listed = inner.get("layers") if isinstance(inner, dict) else inner
    return [layer for layer in listed if _is_layer(layer)] if isinstance(listed, list) else []


def listed_layers(model: Json) -> Iterator[Json]:
    """The layers of the file, in the order of the architecture: a Merge in front stands for those of its models."""
    inner = model["config"]
    for layer in inner if isinstance(inner, list) else inner["layers"]:
        if layer["class_name"] == "Merge" and "layers" in layer["config"]:
            for branch in layer["config"]["layers"]:
                yield from listed_layers(branch)
        else:
            yield layer


def _neighbours_format(config: Json) -> DataFormat | None:
    """The data format of the first layer that states one."""
    waiting: deque[Any] = deque([config])
    steps = 0
    while waiting and steps < limits.MAX_LAYERS:
        item = waiting.popleft()
        steps += 1
        inner = item.get("config") if isinstance(item, dict) else None
        if isinstance(inner, dict):
            stated = inner.get("data_format", inner.get("dim_ordering"))
            if isinstance(stated, str) and stated in DATA_FORMATS:
                return DATA_FORMATS[stated]
            inner = inner.get("layers")
        if isinstance(inner, list):
            waiting.extendleft(reversed(inner[: limits.MAX_LAYERS]))
    return None


class _Place(NamedTuple):
    """Where a layer stands. prefix: of node names. owner: the outermost layer, which has the weights in the file.

    frozen: whether it is not trained. depth: of nesting. times: in how many TimeDistributed it stands.
    """

    prefix: str
    owner: str | None
    frozen: bool
    depth: int
    times: int = 0


class _Use(NamedTuple):
    """One use of a layer. number: from 0. shared: as of `Assembly.model`. masked: whether a mask is an argument."""

    name: str
    number: int
    place: _Place
    shared: str | None
    where: str
    masked: bool = False

    def node(self, suffix: str) -> str:
        again = f"@{self.number + 1}" if self.number else ""
        return f"{self.place.prefix}{self.name}{again}{suffix}"

    def owner(self, suffix: str) -> str:
        """The node of the first use, which has the weights."""
        if self.number or self.shared:
            return f"{self.shared or self.place.prefix}{self.name}{suffix}"
        return self.node(suffix)


class Assembly:
    """A graph under construction from the layers of a stored model. Arguments and errors as of `stated_graph`.

    outputs: layer of the model → shape of its first output, of those that were reached.
    """

    def __init__(
        self,
        config: Json,
        shapes: Shapes,
        *,
        theano: bool,
        version: tuple[int, ...],
        where: str,
        data_format: DataFormat | None = None,
        lambdas: Mapping[str, str] = {},
    ) -> None:
        self.lambdas = lambdas
        self.arithmetic: dict[str, str] = {}
        """Lambda layers that were read → their arithmetic."""
        self.config, self.shapes, self.where = config, shapes, where
        neighbours = _neighbours_format(config)
        usual: DataFormat = "channels_first" if theano or version == KERAS_0 else "channels_last"
        self.format_unstated = neighbours is None and data_format is None
        self.session = Session(theano, version, data_format or neighbours or usual, [], [], [])
        self.g = GraphBuilder()
        self.outputs: dict[str, Shape] = {}
        self.layers: dict[str, str] = {}
        self.frozen: set[str] = set()
        self.given_masks: set[str] = set()
        """Nodes that are given their mask as an argument, as Keras 3 has it."""
        self.ends: set[str] = set()
        """Nodes that are outputs of nested models or, in Keras 0.x, of shared layers."""
        self.unnamed: dict[int, str] = {}
        """Identity of a model within a Sequential of Keras 1, which states no name → the layer of the file it is."""

    def assemble(self) -> list[str]:
        """Adds the whole model; returns the nodes of its outputs."""
        kind = self.config.get("class_name")
        if not isinstance(kind, str) or not isinstance(self.config.get("config"), dict | list):
            raise self.broken("not the JSON of a Keras model")
        if kind not in MODELS:
            raise self.refuse(f"a model of class {quote(kind)}; Sequential and Model are supported")
        return self.model(self.config, None, _Place("", None, False, 0), None)

    def refuse(self, problem: str) -> UnknownNetwork:
        return UnknownNetwork(f"{self.where}: {problem}")

    def broken(self, problem: str) -> NotACheckpoint:
        return NotACheckpoint(f"{self.where}: {problem}")

    def name(self, layer: Json) -> str:
        """What a layer is called. A Sequential within one of Keras 1 states no name: it is the next in the file."""
        name = stated_name(layer)
        if name is None and layer["class_name"] in MODELS:
            return self.unnamed.setdefault(id(layer), f"sequential_{len(self.unnamed)}")
        if name is None:
            raise self.broken(f"a {quote(layer['class_name'])} layer without a name")
        return name

    def name_models(self, layers: Sequence[Json]) -> None:
        """Gives models that state no name those layers of the file that no other layer is called, in order."""
        stated = {stated_name(layer) for layer in layers}
        left = [name for name in self.shapes if name not in stated]
        for layer in layers:
            if stated_name(layer) is None and layer["class_name"] in MODELS and left:
                self.unnamed[id(layer)] = left.pop(0)

    def model(self, config: Json, inputs: Sequence[str] | None, place: _Place, shared: str | None) -> list[str]:
        """Adds a model; returns the nodes of its outputs.

        inputs: nodes that it is applied to, or None for the outermost one, which gets inputs of its own.
        shared: prefix of an earlier use whose weights it has.
        """
        if place.depth > limits.MAX_NESTING:
            raise UnsafeFile(f"{self.where}: models nested more than {limits.MAX_NESTING} deep")
        inner = config.get("config")
        layers = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, dict) else None
        if not isinstance(layers, list) or not layers or not all(_is_layer(layer) for layer in layers):
            raise self.broken("not the JSON of a Keras model")
        if len(layers) > limits.MAX_LAYERS:
            raise UnsafeFile(f"{self.where}: {len(layers)} layers; the limit is {limits.MAX_LAYERS}")
        if config["class_name"] == "Sequential":
            return [self._sequential(layers, inputs, place, shared)]
        assert isinstance(inner, dict)
        return self._functional(inner, layers, inputs, place, shared)

    def _sequential(
        self, layers: Sequence[Json], inputs: Sequence[str] | None, place: _Place, shared: str | None
    ) -> str:
        first, rest = layers[0], list(layers)
        if place.owner is None:
            self.name_models(layers)
        if first["class_name"] == "Merge" and "layers" in first["config"]:
            current = [self._branches(rest.pop(0), inputs, place, shared)]
        elif inputs is not None:
            current = list(inputs)
            if first["class_name"] == "InputLayer":
                rest.pop(0)
        elif first["class_name"] == "InputLayer":
            current = self._call(rest.pop(0), 0, [], place, shared)
        else:
            current = [self._input(first, place)]
        for layer in rest:
            current = [self._single(self._call(layer, 0, current, place, shared), layer)]
        return self._single(current, first)

    def _single(self, outputs: Sequence[str], layer: Json) -> str:
        """The only output of a layer or model, in a place where Keras takes no other."""
        if len(outputs) != 1:
            raise self.broken(f"{quote(self.name(layer))} gives {len(outputs)} outputs where one is taken")
        return outputs[0]

    def _branches(self, merge: Json, inputs: Sequence[str] | None, place: _Place, shared: str | None) -> str:
        """Keras 1's Merge in front of a Sequential holds whole models, each with inputs of its own.

        A model that it holds several times is one, whose weights are in the file once.
        """
        branches = merge["config"]["layers"]
        if not isinstance(branches, list) or not all(_is_layer(b) and b["class_name"] in MODELS for b in branches):
            raise self.broken("a Merge whose branches are no models")
        if inputs is not None:
            raise self.refuse("a nested model that begins with a Merge is not supported")
        outputs: list[str] = []
        seen: dict[str, str] = {}
        for branch in branches:
            name = self.name(branch)
            if name in seen:
                outputs.append(seen[name])
                continue
            output = self._single(self.model(branch, None, place._replace(depth=place.depth + 1), shared), branch)
            seen[name] = output
            outputs.append(output)
        plain = {**merge, "config": {k: v for k, v in merge["config"].items() if k != "layers"}}
        (output,) = self._call(plain, 0, outputs, place, shared)
        return output

    def _input(self, first: Json, place: _Place) -> str:
        """The input of a Sequential, whose first layer states its shape; of a nested model its first layer does."""
        inner: Any = first
        while inner["class_name"] in MODELS:
            layers = inner["config"] if isinstance(inner["config"], list) else inner["config"].get("layers")
            if not isinstance(layers, list) or not layers or not _is_layer(layers[0]):
                raise self.broken("not the JSON of a Keras model")
            inner = layers[0]
        shape = inner["config"].get("batch_input_shape", inner["config"].get("batch_shape"))
        if shape is None:
            raise self.refuse(f"layer {quote(self.name(first))}: no input shape is stated")
        name = f"{self.name(first)}_input"
        layer = {"class_name": "InputLayer", "config": {"name": name, "batch_input_shape": shape}}
        (node,) = self._call(layer, 0, [], place, None)
        return node

    def _functional(
        self,
        inner: Json,
        layers: Sequence[Json],
        inputs: Sequence[str] | None,
        place: _Place,
        shared: str | None,
    ) -> list[str]:
        by_name = {self.name(layer): layer for layer in layers}
        if len(by_name) < len(layers):
            raise self.broken("two layers of one name")
        calls = {name: self._calls(layer) for name, layer in by_name.items()}
        ends = [self._tensor(tensor, by_name) for tensor in listed_tensors(inner.get("output_layers"))]
        begins = [self._tensor(tensor, by_name) for tensor in listed_tensors(inner.get("input_layers"))]
        names = [begin.layer for begin in begins]
        if not ends or len(set(names)) < len(names) or any(begin.call or begin.output for begin in begins):
            raise self.broken("no outputs, or inputs that are listed twice, or are no inputs")
        loose = {name for name, layer in by_name.items() if layer["class_name"] == "InputLayer"} ^ set(names)
        if loose:
            raise self.broken(f"{quote(min(loose))} is an input, or is called one, and not both")
        values: dict[tuple[str, int], list[str | MaskValue]] = {}
        if inputs is None:
            values |= {(name, 0): [*self._call(by_name[name], 0, [], place, shared)] for name in names}
        elif len(inputs) != len(names):
            raise self.broken(f"a nested model of {len(names)} inputs is applied to {len(inputs)}")
        else:
            values |= {(name, 0): [node] for name, node in zip(names, inputs, strict=True)}
        sources: dict[tuple[str, int], list[_Tensor]] = {}
        given: dict[tuple[str, int], _Tensor] = {}
        for name, made in calls.items():
            for number, call in enumerate(made):
                sources[name, number] = [self._tensor(tensor, by_name) for tensor in call.tensors]
                if call.mask is not None:
                    given[name, number] = self._tensor(call.mask, by_name)
        needed = {key: [*tensors, *([given[key]] if key in given else [])] for key, tensors in sources.items()}
        for name, number in self._in_order(needed, values):
            taken = [self._value(source, values) for source in sources[name, number]]
            layer, nodes = by_name[name], [value for value in taken if isinstance(value, str)]
            if self._is_mask_operation(layer):
                masks = [value for value in taken if not isinstance(value, str)]
                values[name, number] = [self._mask_value(layer, number, nodes, masks)]
                continue
            if len(nodes) < len(taken):
                raise self.refuse(f"layer {quote(name)} reads a mask as a value, which is not supported")
            masked = (name, number) in given
            if masked and self._value(given[name, number], values) != self._own_mask(nodes):
                raise self.refuse(
                    f"layer {quote(name)} is given a mask that is not its input's, which is not supported"
                )
            values[name, number] = [*self._call(layer, number, nodes, place, shared, masked=masked)]
        found = [self._value(end, values) for end in ends]
        if not all(isinstance(end, str) for end in found):
            raise self.refuse("a mask as an output is not supported")
        return cast(list[str], found)

    def _mask_value(self, layer: Json, number: int, nodes: Sequence[str], masks: Sequence[MaskValue]) -> MaskValue:
        made = mask_value(layer, number, nodes, masks)
        if made is None:
            raise self.refuse(
                f"{quote(self.name(layer))}: a mask that is not made as a layer makes it is not supported"
            )
        return made

    def _own_mask(self, nodes: Sequence[str]) -> MaskValue | None:
        """Of the first of them, as Keras 1 and 2 had it."""
        return mask_of(self.g.nodes[maker] for maker in self.g.nodes[nodes[0]].mask) if nodes else None

    def _is_mask_operation(self, layer: Json) -> bool:
        if layer["class_name"] not in MASK_OPERATIONS or self.session.version < (3,):
            return False
        _ensure_of_keras(layer, f"{self.where}: layer {quote(self.name(layer))}")
        return True

    def _value(self, tensor: _Tensor, values: Mapping[tuple[str, int], list[str | MaskValue]]) -> str | MaskValue:
        outputs = values.get((tensor.layer, tensor.call))
        if outputs is None or tensor.output >= len(outputs):
            raise self.broken(f"there is no output {tensor.output} of call {tensor.call} of {quote(tensor.layer)}")
        return outputs[tensor.output]

    def _in_order(
        self, sources: Mapping[tuple[str, int], Sequence[_Tensor]], given: Mapping[tuple[str, int], Any]
    ) -> Iterator[tuple[str, int]]:
        """Calls so that each comes behind what it reads and behind the layer's call before, else as the file has them.

        The first call of a layer has its weights.
        """
        keys = [key for key in sources if key not in given]
        position = {key: index for index, key in enumerate(keys)}
        waiting: dict[tuple[str, int], int] = {}
        readers: dict[tuple[str, int], list[tuple[str, int]]] = {key: [] for key in keys}
        for key in keys:
            name, number = key
            before = {(name, number - 1)} if number else set()
            needed = ({(tensor.layer, tensor.call) for tensor in sources[key]} | before) - given.keys()
            waiting[key] = len(needed)
            for source in needed:
                if source not in position:
                    raise self.broken(f"there is no call {source[1]} of layer {quote(source[0])}")
                readers[source].append(key)
        ready = [position[key] for key in keys if not waiting[key]]
        done = 0
        while ready:
            key = keys[heapq.heappop(ready)]
            done += 1
            yield key
            for reader in readers[key]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    heapq.heappush(ready, position[reader])
        if done < len(keys):
            name, _ = next(key for key in keys if waiting[key])
            raise self.broken(f"layer {quote(name)} depends on itself")

    def _calls(self, layer: Json) -> list[Reads]:
        """The tensors that each use of a layer reads."""
        name, nodes = self.name(layer), layer.get("inbound_nodes", [])
        if not isinstance(nodes, list) or len(nodes) > limits.MAX_LAYERS:
            raise self.broken(f"layer {quote(name)}: its inbound_nodes are no list, or too many")
        if not nodes and layer["class_name"] != "InputLayer":
            raise self.broken(f"layer {quote(name)} has no inputs")
        kind = layer["class_name"]
        calls = [read(node, kind, f"{self.where}: layer {quote(name)}") for node in nodes]
        if any(len(call.tensors) > limits.MAX_LAYERS for call in calls):
            raise UnsafeFile(f"{self.where}: layer {quote(name)} has more than {limits.MAX_LAYERS} inputs")
        return calls

    def _tensor(self, stated: Any, layers: Mapping[str, Json]) -> _Tensor:
        """A tensor [layer, node, output], in Keras 2 with the arguments of the call as a fourth."""
        match stated:
            case [str() as name, int() as node, int() as output, *rest] if (
                rest in ([], [{}]) and min(node, output) >= 0
            ):
                if name not in layers:
                    raise self.broken(f"there is no layer {quote(name)}")
                nested = layers[name]["class_name"] in MODELS and self.session.version < (3,)
                return _Tensor(name, node - nested, output)  # a model has used up its node 0 on itself
            case [str() as name, int() as node, int() as output, _] if min(node, output) >= 0:
                raise self.refuse(f"a call of {quote(name)} with arguments is not supported")
        raise self.broken(f"{quote(str(stated))} where a tensor [layer, node, output] is expected")

    def _call(
        self,
        layer: Json,
        number: int,
        inputs: Sequence[str],
        place: _Place,
        shared: str | None,
        masked: bool = False,
    ) -> list[str]:
        """Adds one use of a layer or nested model; returns its outputs. number, masked: as of `_Use`."""
        name = self.name(layer)
        frozen = (
            place.frozen or layer["config"].get("trainable", True) is False
            if isinstance(layer["config"], dict)
            else place.frozen
        )
        where = f"{self.where}: layer {quote(name)}"
        use = _Use(name, number, place._replace(frozen=frozen), shared, where, masked)
        if self.session.version == KERAS_0:
            self._ensure_masks_hold(layer, inputs, where)
        if layer["class_name"] == "TimeDistributed":
            return self._over_time(layer, number, inputs, place._replace(frozen=frozen), shared)
        if layer["class_name"] in MODELS:
            inside = _Place(use.node("/"), place.owner or name, frozen, place.depth + 1, place.times)
            ends = self.model(layer, inputs, inside, f"{shared or place.prefix}{name}/" if number or shared else None)
            self.ends.update(ends)
            return self._reached(name, ends, place)
        if (
            layer["class_name"] == "Softmax"
            and self.session.version >= (3,)
            and any(self.g.nodes[n].mask for n in inputs)
        ):
            raise UnknownNetwork(f"{where}: a Softmax of Keras 3, which applies the mask, is not supported")
        if layer["class_name"] == "Lambda" and (text := self.arithmetic_of(layer)) is not None:
            return self._reached(name, [self._computed(use, text, layer["config"], inputs)], place)
        stored = self.shapes.get(name, ()) if not place.owner else ()
        ends = list(inputs)
        for index, part in enumerate(self.parts(layer, where)):
            if isinstance(part, Bidirectional) and part.is_apart:
                ends = self._apart(use, part, ends, stored)
            elif isinstance(part, Recurrent):
                ends = self._results(use, "", part, ends, stored)
            else:
                ends = [self._add(use, f"/{_part(part)}" if index else "", part, ends, stored)]
        if layer.get("shared"):
            self.ends.update(ends)
        return self._reached(name, ends, place)

    def arithmetic_of(self, layer: Json) -> str | None:
        """The arithmetic of a Lambda, as the user states it or the script that built it; None where neither does."""
        config = layer["config"]
        stated = config.get("function") if config.get("function_type") == ARITHMETIC else None
        text = self.lambdas.get(self.name(layer), stated)
        return text if isinstance(text, str) else None

    def _computed(self, use: _Use, text: str, config: Json, inputs: Sequence[str]) -> str:
        """Adds the arithmetic of a Lambda, as layers that Keras has."""
        self.arithmetic[use.name] = text
        expression = arithmetic.parse(text)
        if len(inputs) != 1:
            raise UnknownNetwork(f"{use.where}: a Lambda of {len(inputs)} inputs is not supported")
        node = self.g.nodes[inputs[0]]
        if node.mask:
            raise UnknownNetwork(f"{use.where}: a Lambda of a masked sequence, which loses the mask, is not supported")
        stated = config.get("output_shape")
        if isinstance(stated, list) and tuple(stated) != extent(node.shape):
            raise UnknownNetwork(f"{use.where}: changes the shape to {quote(str(stated))}, which arithmetic does not")
        builder = arithmetic.Builder(inputs[0], lambda suffix, layer, sources: self._add(use, suffix, layer, sources))
        try:
            return builder.build(expression)
        except ValueError as error:
            raise UnknownNetwork(f"{use.where}: {quote(text)}: {error}") from None

    def _ensure_masks_hold(self, layer: Json, inputs: Sequence[str], where: str) -> None:
        """Raises UnknownNetwork where Keras 0.x loses a mask, or takes none, that Keras 1 and later know.

        It loses them in a merge, in a shared layer and at the end of a nested model; on TensorFlow, 0.3.2 did not turn
        them round with the steps.
        """
        masked = [node for node in inputs if self.g.nodes[node].mask]
        turned = not self.session.theano and layer["class_name"] not in MODELS and layer["config"].get("go_backwards")
        if masked and (turned or layer["class_name"] in UNMASKED_IN_KERAS_0):
            raise UnknownNetwork(f"{where}: a {quote(layer['class_name'])} of a masked sequence is not supported")
        if masked and layer.get("shared"):
            raise UnknownNetwork(f"{where}: a shared layer of a masked sequence is not supported")
        if not self.ends.isdisjoint(masked):
            raise UnknownNetwork(f"{where}: a masked sequence from a nested model or shared layer is not supported")

    def _add(
        self,
        use: _Use,
        suffix: str,
        part: Layer,
        sources: Sequence[str],
        stored: Sequence[Shape] = (),
        owner: str | None = None,
    ) -> str:
        """Adds a node of a use of a layer; returns its name. stored: shapes of the layer's weights.

        owner: the suffix of the node that has the weights, where it is another.
        """
        node, name = use.node(suffix), use.place.owner or use.name
        if node in self.g.nodes:
            raise self.broken(f"two layers are called {quote(use.name)}")
        states = len(part.states) if isinstance(part, Recurrent) else 0
        if not isinstance(part, Input) and (
            len(sources) not in (1, 1 + states) if not part.merges else len(sources) < 2
        ):
            raise self.broken(f"layer {quote(use.name)} has {len(sources)} inputs")
        unmasked = states and len(sources) > 1 and self.session.version >= (3,) and not use.masked
        if unmasked and self.g.nodes[sources[0]].mask:
            raise UnknownNetwork(f"{use.where}: Keras 3 applies no mask in a layer that is given its initial state")
        begins = isinstance(part, Recurrent) and (part.stateful or len(sources) > 1)
        if begins and self.g.nodes[sources[0]].mask and not self.session.theano and self.session.version < (3,):
            raise UnknownNetwork(
                f"{use.where}: with a mask, and states that a sequence begins with, Keras gives other outputs on "
                "TensorFlow than on Theano before the first step that counts; not supported"
            )
        first = use.owner(suffix if owner is None else owner)
        try:
            for _ in range(use.place.times):
                part = over_time(part)
            part = part.fitted(stored, *(self.g.nodes[source].shape for source in sources))
            self.g.add(node, part, *sources, shares=first if first != node else None)
        except (ValueError, IndexError, KeyError) as error:
            raise UnknownNetwork(f"{use.where}: {str(error)[:300]}") from None
        self.layers[node] = name
        if use.masked:
            self.given_masks.add(node)
        if use.place.frozen:
            self.frozen.add(node)
        if len(self.g.nodes) > 4 * limits.MAX_LAYERS:
            raise UnsafeFile(f"{self.where}: more than {4 * limits.MAX_LAYERS} uses of layers")
        return node

    def _results(
        self, use: _Use, suffix: str, layer: Recurrent, sources: Sequence[str], stored: Sequence[Shape]
    ) -> list[str]:
        """The output of a recurrent layer and, where it returns them, its states: nodes that share its weights."""
        output = self._add(use, suffix, layer, sources, stored)
        states = [replace(layer, gives=state) for state in layer.states if layer.return_state]
        return [output, *(self._add(use, f"{suffix}/{s.gives}", s, sources, stored, owner=suffix) for s in states)]

    def _apart(self, use: _Use, both: Bidirectional, sources: Sequence[str], stored: Sequence[Shape]) -> list[str]:
        """A Bidirectional of several results as the layers it is made of, forward first."""
        if len(sources) != 1:
            raise self.broken(f"layer {quote(use.name)} has {len(sources)} inputs")
        half = stored[: len(stored) // 2]
        forward = self._results(use, "/forward", both.layer, sources, half)
        backward = self._results(use, "/backward", both.backward, sources, half)
        if both.layer.return_sequences:
            if both.merge_mode is None and self.g.nodes[sources[0]].mask:
                raise UnknownNetwork(f"{use.where}: a Bidirectional of two sequences with a mask is not supported")
            backward[0] = self._add(use, "/reverse", Reverse(), backward[:1])
        outputs = [forward[0], backward[0]]
        if both.merge_mode is not None:
            outputs = [self._add(use, "", both.merge, outputs)]
        return [*outputs, *forward[1:], *backward[1:]]

    def _over_time(
        self, wrapper: Json, number: int, inputs: Sequence[str], place: _Place, shared: str | None
    ) -> list[str]:
        """A layer or a model, applied to each step of a sequence; a layer is called as what is around it."""
        name = self.name(wrapper)
        where = f"{self.where}: layer {quote(name)}"
        if place.times >= limits.MAX_AXES:
            raise UnsafeFile(f"{where}: TimeDistributed more than {limits.MAX_AXES} deep")
        settings = Settings("TimeDistributed", wrapper["config"], self.session, where)
        layer = within(wrapper)
        if layer is None:
            raise self.broken(f"layer {quote(name)}: what it wraps is no layer")
        settings.read.add("layer")
        settings.finish()
        place = place._replace(times=place.times + 1)
        if layer["class_name"] not in MODELS:
            return self._call(layer, number, inputs, place, shared)
        again = f"@{number + 1}" if number else ""
        prefix = f"{place.prefix}{name}{again}/"
        inside = place._replace(prefix=prefix, owner=place.owner or name, depth=place.depth + 1)
        first = f"{shared or place.prefix}{name}/" if number or shared else None
        return self._reached(name, self.model(layer, inputs, inside, first), place)

    def _reached(self, name: str, ends: list[str], place: _Place) -> list[str]:
        """The nodes of a layer's outputs, once the first one's shape is noted."""
        if place.owner is None:
            self.outputs.setdefault(name, self.g.nodes[ends[0]].shape)
        return ends

    def parts(self, layer: Json, where: str) -> list[Layer]:
        """The layers that one stored layer stands for."""
        if layer["class_name"] == "RNN":
            layer = self._of_cell(layer, where)
        kind = layer["class_name"]
        if kind == "Lambda" and self.arithmetic_of(layer) is not None:
            return []
        if kind == "Lambda":
            raise UnknownNetwork(*_of_code(layer, self.name(layer), where))
        if kind not in BY_KERAS_CLASS and (not extensions.load() or kind not in BY_KERAS_CLASS):
            page = (
                "" if kind in classes() else "an installed package can bring a layer of its author's: docs/extending.md"
            )
            raise UnknownNetwork(f"{where}: layers of class {quote(kind)} are not supported", page)
        _ensure_of_keras(layer, where)
        settings = Settings(kind, layer["config"], self.session, where)
        if kind == "Bidirectional":
            parts = self._both_ways(settings)
            settings.finish()
            return parts
        return _read(BY_KERAS_CLASS[kind], settings)

    def _of_cell(self, layer: Json, where: str) -> Json:
        """An RNN around a single cell of Keras, as the layer that it is."""
        config: Json = layer["config"]
        cell: Any = config.get("cell")
        if not _is_layer(cell):
            raise NotACheckpoint(f"{where}: what it repeats is no cell")
        if cell["class_name"] not in CELLS or not isinstance(cell["config"], dict):
            kinds = ", ".join(CELLS)
            raise UnknownNetwork(f"{where}: an RNN of {quote(cell['class_name'])} is not supported ({kinds} are)")
        _ensure_of_keras(cell, where)
        own = {name: value for name, value in config.items() if name != "cell"}
        return {**layer, "class_name": cell["class_name"].removesuffix("Cell"), "config": {**cell["config"], **own}}

    def _both_ways(self, settings: Settings) -> list[Layer]:
        """A Bidirectional, whose inner layer is a recurrent one."""
        layer = settings.get("layer")
        if not _is_layer(layer):
            raise self.broken(f"{settings.where}: what it wraps is no layer")
        if settings.get("backward_layer") is not None:
            other = settings.get("backward_layer")
            turned = dict(other.get("config", {}), name=None) if isinstance(other, dict) else None
            same = dict(layer["config"], name=None, go_backwards=not layer["config"].get("go_backwards"))
            if turned != same:
                raise settings.refuse("a backward layer with settings of its own is not supported")
        (inner, *rest) = self.parts(layer, settings.where)
        if not isinstance(inner, Recurrent) or isinstance(inner, ConvLSTM2D) or rest:
            raise settings.refuse(f"a Bidirectional around a {quote(layer['class_name'])} is not supported")
        if inner.stateful:
            raise settings.refuse("a stateful Bidirectional is not supported")
        mode = settings.get("merge_mode", default="concat")
        if mode is not None:
            mode = settings.choice("merge_mode", choices=tuple(MERGES), default="concat")
        return [Bidirectional(inner, cast(MergeMode | None, mode))]


def _read(kind: type[Layer], settings: Settings) -> list[Layer]:
    """The layers of a configuration, as its kind reads it or, where that refuses, one that another package brings."""
    try:
        parts = list(kind.from_keras(settings))
        settings.finish()
        return parts
    except UnknownNetwork:
        if extensions.load():
            for other in ALSO_BY_KERAS_CLASS.get(settings.class_name, ()):
                with suppress(UnknownNetwork):
                    again = Settings(settings.class_name, settings.config, settings.session, settings.where)
                    parts = list(other.from_keras(again))
                    again.finish()
                    return parts
        raise


ARITHMETIC = "arithmetic"
"""function_type of a Lambda whose function is stated as arithmetic: what a script's Lambda was found to compute."""


def _of_code(layer: Json, name: str, where: str) -> tuple[str, str]:
    """Why a Lambda is refused: what its code says, as far as that is arithmetic; and what to do about it."""
    from ror_port.source import bytecode

    refused = f"{where}: a Lambda layer, which is Python code; ror-port runs no code from a file"
    found = bytecode.read(layer["config"])
    if found is None:
        return refused, f"if it is arithmetic on x, say so with {{lambdas}}, as in {name}='x / 255'"
    if found.text is None:
        uses = f", using {', '.join(map(quote, found.names))}" if found.names else ""
        return f"{refused}; its code does more than arithmetic{uses}", ""
    return (
        f"{refused}; its code reads {quote(found.text)}, Python {found.python}",
        f"if that is so, state it with {{lambdas}}, as in {name}={quote(found.text)}",
    )


UNMASKED_IN_KERAS_0 = ("Merge", "GlobalAveragePooling1D", "TimeDistributed")

CELLS = ("SimpleRNNCell", "GRUCell", "LSTMCell")

KERAS_MODULES = ("keras", "tf_keras", "tensorflow")
"""Packages whose layers Keras 3 calls its own."""


def _ensure_of_keras(layer: Json, where: str) -> None:
    module, registered = layer.get("module"), layer.get("registered_name")
    if (module and str(module).partition(".")[0] not in KERAS_MODULES) or ">" in str(registered):
        whose = quote(str(registered if ">" in str(registered) else module))
        raise UnknownNetwork(f"{where}: a layer of {whose}, which is not Keras' own; its code is not run")


class _Tensor(NamedTuple):
    layer: str
    call: int
    output: int


def _is_layer(layer: Any) -> bool:
    if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
        return False
    config = layer.get("config")
    return isinstance(config, dict) or (isinstance(config, list) and layer["class_name"] in MODELS)


def within(wrapper: Json) -> Json | None:
    """The layer or model in a TimeDistributed; a layer under the name of what is around it, and frozen with it."""
    layer = wrapper["config"].get("layer")
    if not _is_layer(layer) or layer["class_name"] in MODELS:
        return layer if _is_layer(layer) else None
    name = stated_name(wrapper)
    return {**layer, "name": name, "config": {**layer["config"], "name": name}}


def stated_name(layer: Json) -> str | None:
    config = layer["config"]
    name = layer.get("name", config.get("name") if isinstance(config, dict) else None)
    return name if isinstance(name, str) and 0 < len(name) <= limits.MAX_NAME else None


def _part(layer: Layer) -> str:
    """What a further layer is called that one stored layer stands for."""
    return "activation" if isinstance(layer, Activation | Softmax) else snake_case(type(layer).__name__)
