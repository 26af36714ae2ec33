"""A network as data: nodes, each a layer with its inputs. The one form that every source and every target goes through.

Shapes are without the batch, in the order of axes of the graph itself, which is that of its source; sizes of inputs,
and what follows from them, may vary. Parameters are
canonical whatever that order: kernels of a cross-correlation, axes (height, width, in, out) for a convolution and
(in, out) for Dense, whose rows follow the graph's own order of flattening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ror_port.errors import UnknownNetwork
from ror_port.layout import Shape, varies
from ror_port.network.layers import Dense, Input, Layer, Softmax
from ror_port.network.layers.layer import Mask


class Parameter(NamedTuple):
    """A weight of a node. Its name is canonical, e.g. ``stage2/block0/conv1/kernel``."""

    node: str
    layer: Layer
    role: str
    shape: Shape

    @property
    def name(self) -> str:
        return f"{self.node}/{self.role}"


class Node(NamedTuple):
    """A layer at its place. shape: of its output. original_name: the layer name that the authors' code gave, if any.

    shares: the node whose weights it uses, where a layer is used at several places; such a node has no parameters.
    mask: of its output, where that is a sequence of which not every step counts.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    shape: Shape
    parameters: tuple[Parameter, ...] = ()
    original_name: str | None = None
    shares: str | None = None
    mask: Mask = ()

    @property
    def owner(self) -> str:
        """The node that has its weights."""
        return self.shares or self.name


@dataclass(frozen=True)
class Graph:
    """nodes: in the order of creation, in which inputs come before what reads them. outputs: names of nodes.

    taps: nodes worth comparing, such as stem, stages, features and logits.

    A stateful network keeps the states that a batch ends with and begins the next one with them. Its batches are all of
    one size, which its inputs state; those of any other network are of any size, and its inputs state none.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    taps: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def inputs(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if isinstance(node.layer, Input))

    @property
    def input(self) -> Node:
        """The only input."""
        (node,) = self.inputs
        return node

    @property
    def batch(self) -> int | None:
        """The size of the batches of a stateful network."""
        sizes = (node.layer.batch for node in self.nodes if isinstance(node.layer, Input))
        return next((size for size in sizes if size is not None), None)

    def batches(self, count: int) -> list[slice]:
        """Which of so many values the network is given at once: all of them, or of a stateful one a batch each time."""
        size = self.batch or count
        return [slice(at, at + size) for at in range(0, count, size)]

    @property
    def stateful(self) -> tuple[Node, ...]:
        """The nodes that keep states."""
        return tuple(node for node in self.nodes if getattr(node.layer, "stateful", False))

    @property
    def output(self) -> Node:
        """The only output."""
        (name,) = self.outputs
        return self[name]

    def shapes(self, node: Node) -> tuple[Shape, ...]:
        """The shapes of a node's inputs."""
        return tuple(self[name].shape for name in node.inputs)

    @property
    def logits(self) -> str:
        """The node whose output is the scores before a last softmax."""
        return self.before_softmax(self.output.name)

    def before_softmax(self, name: str) -> str:
        """The node itself or, of a softmax, the one that it reads."""
        return self[name].inputs[0] if isinstance(self[name].layer, Softmax) else name

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(parameter for node in self.nodes for parameter in node.parameters)

    @cached_property
    def readers(self) -> dict[str, tuple[Node, ...]]:
        """Name → the nodes that have it as an input."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def calls(self) -> dict[str, str]:
        """Node → the first node that is a result of the same call of a layer, see `Layer.result`."""
        found: dict[str, str] = {}
        first: dict[tuple[str, tuple[str, ...]], str] = {}
        for node in self.nodes:
            call = (node.owner, node.inputs)
            found[node.name] = first.setdefault(call, node.name) if node.layer.result else node.name
        return found

    @cached_property
    def _walk(self) -> tuple[dict[str, int], list[Node]]:
        """Of a depth-first walk from the outputs through each node's inputs: layers as it reaches them, by the nodes
        that have their weights, and nodes as it leaves them."""
        reached: dict[str, int] = {}
        left: dict[str, Node] = {}
        stack = [(name, False) for name in reversed(self.outputs)]
        while stack:
            name, done = stack.pop()
            node = self[name]
            if done:
                left[name] = node
            elif name not in left:
                reached.setdefault(node.owner, len(reached))
                stack.append((name, True))
                stack.extend((source, False) for source in reversed(node.inputs))
        return reached, list(left.values())

    @cached_property
    def depths(self) -> dict[str, int]:
        """Node → how deep Keras has its layer: the length of the longest way to an output.

        A use of a layer counts as deep as the uses of it that were met before, from the outputs on.
        """
        return self._depths({})

    def _depths(self, more: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
        depth: dict[str, int] = {}
        of_layer: dict[str, int] = {}
        for node in reversed(self._walk[1]):
            own = of_layer[node.owner] = max(depth.get(node.name, 0), of_layer.get(node.owner, 0))
            for source, between in (*((source, 0) for source in node.inputs), *more.get(node.name, {}).items()):
                depth[source] = max(depth.get(source, 0), own + between + 1)
        return {node.name: of_layer[node.owner] for node in self.nodes if node.owner in of_layer}

    @cached_property
    def keras_order(self) -> tuple[Node, ...]:
        """Nodes as ``model.layers`` lists them, since Keras 1.0.8; all uses of a layer together.

        Deepest first; among equals, in the order of a depth-first walk from the outputs through each node's inputs.
        Keras up to 1.0.7 sorted equals by name instead.
        """
        return self.ordered({})

    def ordered(self, more: Mapping[str, Mapping[str, int]]) -> tuple[Node, ...]:
        """The same where a node reads others by way of operations that are no nodes: reader → source → their number."""
        depth, (reached, _) = self._depths(more), self._walk
        return tuple(sorted(self.nodes, key=lambda node: (-depth[node.name], reached[node.owner])))

    def map(self, change: Callable[[Layer], Layer]) -> Graph:
        """The same nodes with other layers: `change` is given each and returns the one that takes its place."""
        layers = [change(node.layer) for node in self.nodes]
        if all(layer == node.layer for layer, node in zip(layers, self.nodes, strict=True)):
            return self
        g = GraphBuilder(list(self.taps))
        for node, layer in zip(self.nodes, layers, strict=True):
            g.add_like(node, layer, *node.inputs)
        return g.finish(*self.outputs)

    def renamed(self, names: Mapping[str, str]) -> Graph:
        """The same nodes under other names. names: of all of them."""
        nodes = [
            node._replace(
                name=names[node.name],
                inputs=tuple(names[source] for source in node.inputs),
                parameters=tuple(p._replace(node=names[p.node]) for p in node.parameters),
                shares=names[node.shares] if node.shares else None,
                mask=tuple(sorted(names[source] for source in node.mask)),
            )
            for node in self.nodes
        ]
        ends = (tuple(names[name] for name in ends) for ends in (self.outputs, self.taps))
        return Graph(tuple(nodes), *ends)

    def for_keras(self) -> Graph:
        """The same function in layers that Keras 3 has; parameters keep their order."""
        g = GraphBuilder(list(self.taps))
        for node in self._of_today(keras=True):
            node.layer.for_keras(_Replacement(g, node), *node.inputs)
        for node in g.nodes.values():
            if node.layer.called != g.nodes[node.owner].layer.called:
                raise _needs_several_layers(node.owner)
        return g.finish(*self.outputs)

    def of_today(self) -> Graph:
        """The same function without layers that no software of today has; parameters keep their order."""
        return self._of_today(keras=False)

    def shows_masked_steps(self, name: str) -> bool:
        """Whether what a node gives where a step does not count reaches an output, or a layer that takes no mask."""
        return name in self._showing

    @cached_property
    def _showing(self) -> set[str]:
        found = set(self.outputs)
        for node in reversed(self.nodes):
            readers = [reader for reader in self.readers[node.name] if not getattr(reader.layer, "has_mask", False)]
            if any(reader.name in found or not set(node.mask) <= set(reader.mask) for reader in readers):
                found.add(node.name)
        return found

    def _of_today(self, keras: bool) -> Graph:
        composed = {
            node.name
            for node in self.nodes
            if node.layer.is_composed(keras, bool(node.mask) and self.shows_masked_steps(node.name))
        }
        if not composed:
            return self
        g = GraphBuilder(list(self.taps))
        for node in self.nodes:
            if node.name in composed:
                node.layer.in_parts(_Replacement(g, node), *node.inputs)
            else:
                g.add_like(node, node.layer, *node.inputs)
        return g.finish(*self.outputs)

    def until(self, *names: str) -> Graph:
        """The graph that ends in the named nodes, without what does not lead there.

        Of a layer that is used at several places, the first that is left has the weights.
        """
        needed = set(names)
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        nodes: list[Node] = []
        heirs: dict[str, str] = {}
        for node in (node for node in self.nodes if node.name in needed):
            if node.shares and node.shares not in needed:
                heir = heirs.setdefault(node.shares, node.name)
                first = heir == node.name
                parameters = tuple(p._replace(node=heir) for p in self[node.shares].parameters if first)
                node = node._replace(shares=None if first else heir, parameters=parameters)
            nodes.append(node)
        return Graph(tuple(nodes), names, tuple(tap for tap in self.taps if tap in needed))


def _needs_several_layers(owner: str) -> UnknownNetwork:
    return UnknownNetwork(f"{owner} is used at several places, of shapes that take one layer each in today's Keras")


class _Replacement(NamedTuple):
    """The place of one node in a graph under construction; see `ror_port.network.layers.layer.Assembly`."""

    g: GraphBuilder
    node: Node

    def add(self, suffix: str, layer: Layer, *inputs: str) -> str:
        name = f"{self.node.name}_{suffix}" if suffix else self.node.name
        while name in self.g.nodes:
            name += "_"
        shares = self.node.shares
        if shares and suffix:
            shares = f"{shares}_{suffix}"
            if shares not in self.g.nodes:
                raise _needs_several_layers(self.node.owner)
        original_name = None if suffix else self.node.original_name
        return self.g.add(name, layer, *inputs, original_name=original_name, shares=shares)

    def shape(self, name: str) -> Shape:
        return self.g.nodes[name].shape


@dataclass
class GraphBuilder:
    """Collects nodes; `add` returns the new node's name, to be passed on as an input."""

    taps: list[str] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)

    def add(
        self, name: str, layer: Layer, *inputs: str, original_name: str | None = None, shares: str | None = None
    ) -> str:
        """Raises ValueError where the layer does not take such inputs, or not the weights of the node it shares."""
        shapes = tuple(self.nodes[source].shape for source in inputs)
        shape = layer.output_shape(*shapes)
        layer, mask = layer.bound(*shapes).masked(name, *(self.nodes[source].mask for source in inputs))
        parameters = tuple(Parameter(name, layer, role, size) for role, size in layer.weights(*shapes).items())
        if unknown := next((p.role for p in parameters if varies(p.shape)), None):
            raise ValueError(f"the {unknown} of inputs of shape {shapes[0]} has sizes that vary")
        if shares is not None and parameters:
            owned = self.nodes[shares].parameters
            if [(p.role, p.shape) for p in owned] != [(p.role, p.shape) for p in parameters]:
                raise ValueError(f"{name} cannot use the weights of {shares}, which are of other shapes")
            axes = {len(self.nodes[source].shape) for source in (inputs[0], self.nodes[shares].inputs[0])}
            if len(axes) > 1 and not isinstance(layer, Dense):
                raise ValueError(f"{name} cannot use the weights of {shares}, whose input has another number of axes")
            parameters = ()
        else:
            shares = None
        self.nodes[name] = Node(name, layer, inputs, shape, parameters, original_name, shares, mask)
        return name

    def add_like(self, node: Node, layer: Layer, *inputs: str) -> str:
        """Another layer in the place of a node, under its name."""
        return self.add(node.name, layer, *inputs, original_name=node.original_name, shares=node.shares)

    def tap(self, name: str) -> str:
        self.taps.append(name)
        return name

    def finish(self, *outputs: str) -> Graph:
        """outputs: names of nodes; the last node, where none is named."""
        names = outputs or (list(self.nodes)[-1],)
        return Graph(tuple(self.nodes.values()), names, tuple(self.taps))
