"""A network as data: nodes with canonical names, and the small vocabulary of operations they are made of.

Shapes are channels_last and without the batch: (height, width, channels) for maps, (units,) for vectors.
Parameters are canonical: cross-correlation kernels, (rows, columns, in, out) for convolutions and (in, out)
for Dense. What an operation *means* (Theano's arithmetic, Keras layers, ONNX nodes) is said where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

Shape = tuple[int, ...]
Kind = Literal["conv", "batch_norm", "dense"]


@dataclass(frozen=True)
class Operation:
    """What a node does. Subclasses give the shape of the output and of the parameters."""

    def output(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def parameters(self, shape: Shape) -> Mapping[str, Shape]:
        """Role → shape, in the order in which Keras keeps them, for an input of the given shape."""
        return {}


@dataclass(frozen=True)
class Input(Operation):
    """The image. shape: (height, width, channels)."""

    shape: Shape

    def output(self, *inputs: Shape) -> Shape:
        return self.shape


Padding = Literal["half", "same", "valid"]
"""What surrounds a convolution's input.

half: Theano's 'same', size // 2 zeros on every side whatever the stride. same: TensorFlow's, as many zeros as make
the output ⌈length / stride⌉ long, the odd one at the end. valid: none. The first two differ only where stride > 1.
"""


def padding(kind: Padding, size: int, stride: int, length: int) -> tuple[int, int]:
    """Zeros before and after an axis of the given length, for an odd kernel size."""
    if kind == "valid":
        return 0, 0
    if kind == "half":
        return size // 2, size // 2
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Conv(Operation):
    """Square convolution of odd size."""

    filters: int
    size: int
    stride: int = 1
    initializer: str = "he_normal"
    bias: bool = True
    padding: Padding = "half"

    @property
    def strided(self) -> bool:
        """Whether it makes a difference which padding 'same' stands for."""
        return min(self.size, self.stride) > 1

    def output(self, *inputs: Shape) -> Shape:
        height, width, _ = inputs[0]
        rows, columns = (
            (length + sum(padding(self.padding, self.size, self.stride, length)) - self.size) // self.stride + 1
            for length in (height, width)
        )
        return rows, columns, self.filters

    def parameters(self, shape: Shape) -> Mapping[str, Shape]:
        kernel = {"kernel": (self.size, self.size, shape[-1], self.filters)}
        return {**kernel, "bias": (self.filters,)} if self.bias else kernel


@dataclass(frozen=True)
class Pad(Operation):
    """`size` zeros on all four sides."""

    size: int

    def output(self, *inputs: Shape) -> Shape:
        height, width, channels = inputs[0]
        return height + 2 * self.size, width + 2 * self.size, channels


@dataclass(frozen=True)
class BatchNorm(Operation):
    """gamma · (x − moving_mean) / √(moving_variance + epsilon) + beta over channels.

    momentum is Keras': running ← momentum · running + (1 − momentum) · batch.
    """

    epsilon: float
    momentum: float = 0.99

    def parameters(self, shape: Shape) -> Mapping[str, Shape]:
        return dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (shape[-1],))


class Relu(Operation):
    pass


@dataclass(frozen=True)
class Dropout(Operation):
    rate: float


class Add(Operation):
    def output(self, *inputs: Shape) -> Shape:
        if len(set(inputs)) != 1:
            raise ValueError(f"cannot add maps of shapes {inputs}")
        return inputs[0]


@dataclass(frozen=True)
class Pool(Operation):
    """Maximum or mean over size × size windows, stride size, incomplete windows dropped."""

    size: int

    def output(self, *inputs: Shape) -> Shape:
        height, width, channels = inputs[0]
        return height // self.size, width // self.size, channels


class MaxPool(Pool):
    pass


class AveragePool(Pool):
    pass


class Flatten(Operation):
    """To a vector, in (height, width, channels) order."""

    def output(self, *inputs: Shape) -> Shape:
        height, width, channels = inputs[0]
        return (height * width * channels,)


@dataclass(frozen=True)
class Dense(Operation):
    units: int
    initializer: str = "glorot_uniform"

    def output(self, *inputs: Shape) -> Shape:
        return (self.units,)

    def parameters(self, shape: Shape) -> Mapping[str, Shape]:
        return {"kernel": (shape[0], self.units), "bias": (self.units,)}


class Softmax(Operation):
    pass


KINDS: Mapping[type[Operation], Kind] = {Conv: "conv", BatchNorm: "batch_norm", Dense: "dense"}


class Parameter(NamedTuple):
    """A canonical parameter, e.g. ``stage2/block0/conv1/kernel``."""

    node: str
    kind: Kind
    role: str
    shape: Shape
    rows: Shape | None = None
    """Of a Dense kernel: the (height, width, channels) that were flattened into its rows."""

    @property
    def name(self) -> str:
        return f"{self.node}/{self.role}"


class Node(NamedTuple):
    name: str
    operation: Operation
    inputs: tuple[str, ...]
    shape: Shape
    parameters: tuple[Parameter, ...] = ()
    original_name: str | None = None
    """The layer name that the authors' code gave, where it gave one."""

    @property
    def kind(self) -> Kind | None:
        return KINDS.get(type(self.operation))


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which the authors' code created them; the last one is the output."""

    nodes: tuple[Node, ...]
    taps: tuple[str, ...] = ()
    """Nodes worth comparing: stem, each stage, features, logits."""

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def input(self) -> Node:
        return self.nodes[0]

    @property
    def output(self) -> Node:
        return self.nodes[-1]

    @property
    def logits(self) -> str:
        """The node whose output is the scores before the softmax."""
        return self.output.inputs[0] if isinstance(self.output.operation, Softmax) else self.output.name

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(parameter for node in self.nodes for parameter in node.parameters)

    @cached_property
    def keras_order(self) -> tuple[Node, ...]:
        """Nodes as ``model.layers`` lists them, in Keras 1 to 3 alike.

        Deepest first, where depth is the longest way to the output; among equals, in the order of a
        depth-first walk from the output through each node's inputs.
        """
        depth = {self.output.name: 0}
        for node in reversed(self.nodes):  # creation order is topological
            for source in node.inputs:
                depth[source] = max(depth.get(source, 0), depth[node.name] + 1)
        walk: dict[str, int] = {}
        stack = [self.output.name]
        while stack:
            name = stack.pop()
            if name not in walk:
                walk[name] = len(walk)
                stack.extend(reversed(self[name].inputs))
        return tuple(sorted(self.nodes, key=lambda node: (-depth[node.name], walk[node.name])))

    def with_explicit_padding(self) -> Graph:
        """The same function, with a Pad before every "half"-padded strided convolution: only Theano has that mode."""
        g = GraphBuilder(taps=list(self.taps))
        for node in self.nodes:
            operation, inputs = node.operation, node.inputs
            if isinstance(operation, Conv) and operation.padding == "half" and operation.strided:
                inputs = (g.add(f"{node.name}_pad", Pad(operation.size // 2), *inputs),)
                operation = replace(operation, padding="valid")
            g.add(node.name, operation, *inputs, original_name=node.original_name)
        return g.finish()

    def map(self, change: Callable[[Operation], Operation]) -> Graph:
        """The same graph with every layer changed."""
        g = GraphBuilder(taps=list(self.taps))
        for node in self.nodes:
            g.add(node.name, change(node.operation), *node.inputs, original_name=node.original_name)
        return g.finish()

    def until(self, name: str) -> Graph:
        """The graph that ends in the named node, with what does not lead there left out."""
        needed = {name}
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return Graph(
            tuple(node for node in self.nodes if node.name in needed),
            tuple(tap for tap in self.taps if tap in needed),
        )


@dataclass
class GraphBuilder:
    """Collects nodes; `add` returns the new node's name, to be passed on as an input."""

    nodes: dict[str, Node] = field(default_factory=dict)
    taps: list[str] = field(default_factory=list)

    def add(self, name: str, operation: Operation, *inputs: str, original_name: str | None = None) -> str:
        sources = [self.nodes[source] for source in inputs]
        kind = KINDS.get(type(operation))
        parameters: tuple[Parameter, ...] = ()
        if kind:
            source = sources[0]
            rows = self.nodes[source.inputs[0]].shape if isinstance(source.operation, Flatten) else None
            parameters = tuple(
                Parameter(name, kind, role, shape, rows if role == "kernel" else None)
                for role, shape in operation.parameters(source.shape).items()
            )
        shape = operation.output(*(source.shape for source in sources))
        self.nodes[name] = Node(name, operation, inputs, shape, parameters, original_name)
        return name

    def tap(self, name: str) -> str:
        self.taps.append(name)
        return name

    def finish(self) -> Graph:
        return Graph(tuple(self.nodes.values()), tuple(self.taps))
