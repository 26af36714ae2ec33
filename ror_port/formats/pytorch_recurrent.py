"""``nn.RNN``, ``nn.GRU`` and ``nn.LSTM``, where their arithmetic is Keras': which layers these are, and their weights.

PyTorch has the gates along the first axis, those of a GRU in the order r, z, h, and two biases, of which Keras has but
one unless a GRU applies its reset gate behind the product. Nothing is computed: a second bias is zeros, and comes back
added to the first.

Source: PyTorch 2.13, ``torch.nn.RNN``, ``GRU`` and ``LSTM``; what they compute is compared with genuine records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ror_port.errors import NotACheckpoint, quote
from ror_port.formats.checkpoint import StoredTensor
from ror_port.layout import Array, Shape
from ror_port.mapping.engine import Entry, Tensor
from ror_port.network.graph import Graph
from ror_port.network.layers import GRU
from ror_port.network.layers.layer import TorchCode
from ror_port.network.layers.recurrent import Recurrent

NAMES: Mapping[str, Sequence[str]] = {
    "kernel": ("weight_ih_l0",),
    "recurrent_kernel": ("weight_hh_l0",),
    "bias": ("bias_ih_l0", "bias_hh_l0"),
}
"""Role → what PyTorch calls it."""

GRU_GATES = (1, 0, 2)
"""Which gate of Keras stands at each place in PyTorch, and the other way round."""


def codes(graph: Graph) -> dict[str, TorchCode]:
    """Node → PyTorch source text."""
    theirs = _by_modules(graph)
    return {n.name: theirs.get(n.name) or n.layer.to_torch(*graph.shapes(n)) for n in graph if n.inputs}


def _by_modules(graph: Graph) -> dict[str, TorchCode]:
    """The same of recurrent layers of which a module of PyTorch computes every use."""
    found = {
        node.name: node.layer.to_torch_module(*graph.shapes(node))
        for node in graph
        if isinstance(node.layer, Recurrent)
    }
    ours = {graph[name].owner for name, code in found.items() if code is None}
    return {name: code for name, code in found.items() if code and graph[name].owner not in ours}


class Packing(NamedTuple):
    """Of a state dict. layers: module → its layer, of those that are PyTorch's own."""

    layers: Mapping[str, Recurrent]

    @classmethod
    def of(cls, graph: Graph, modules: Mapping[str, str]) -> Packing:
        """modules: node → module."""
        nodes = (graph[name] for name in _by_modules(graph))
        return cls({modules[n.name]: n.layer for n in nodes if isinstance(n.layer, Recurrent) and not n.shares})

    def shapes(self, entries: Iterable[Entry]) -> Iterator[tuple[str, Shape]]:
        """Name → shape, in the order of `tensors`."""
        for entry in entries:
            module, _, role = entry.foreign.rpartition(".")
            if module not in self.layers:
                yield entry.foreign, entry.foreign_shape
                continue
            for name in NAMES[role]:
                yield f"{module}.{name}", entry.foreign_shape[-1:] if role == "bias" else entry.foreign_shape[::-1]

    def tensors(self, tensors: Iterable[Tensor]) -> Iterator[Tensor]:
        """Weights of Keras' layers as PyTorch's modules have them."""
        for tensor in tensors:
            module, _, role = tensor.name.rpartition(".")
            if module not in self.layers:
                yield tensor
                continue
            array = _turned(tensor.array(), isinstance(self.layers[module], GRU))
            parts = [array.T]
            if role == "bias":
                parts = list(array) if array.ndim == 2 else [array, np.zeros_like(array)]
            for name, part in zip(NAMES[role], parts, strict=True):
                block = np.ascontiguousarray(part)
                yield Tensor(f"{module}.{name}", block.shape, tensor.dtype, iter([((0,) * block.ndim, block)]))


def _turned(array: Array, is_gru: bool) -> Array:
    """With the gates along the last axis in the other order."""
    if not is_gru:
        return array
    gates = np.split(array, len(GRU_GATES), -1)
    return np.concatenate([gates[number] for number in GRU_GATES], -1)


def packed(names: Iterable[str]) -> list[str]:
    """The modules of a state dict that are PyTorch's own, by the names of its tensors."""
    parts = (name.rpartition(".") for name in names)
    return [module for module, _, name in parts if (name,) == NAMES["recurrent_kernel"]]


def unpacked(tensors: Iterable[StoredTensor], where: str) -> Iterator[StoredTensor]:
    """Weights of PyTorch's modules as Keras' layers have them; others as they are.

    Raises NotACheckpoint where they do not belong together.
    """
    modules: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        module, _, name = tensor.name.rpartition(".")
        if any(name in names for names in NAMES.values()):
            modules.setdefault(module, {})[name] = tensor
        else:
            yield tensor
    for module, members in modules.items():
        yield from _unpacked(module, members, where)


def _unpacked(module: str, members: Mapping[str, StoredTensor], where: str) -> Iterator[StoredTensor]:
    shapes = {name: tensor.shape for name, tensor in members.items()}
    rows, units = shapes["weight_hh_l0"] if len(shapes.get("weight_hh_l0", ())) == 2 else (0, 0)
    features = shapes.get("weight_ih_l0", ())[1:]
    expected = {"weight_ih_l0": (rows, *features), "weight_hh_l0": (rows, units)}
    if has_bias := any(name in shapes for name in NAMES["bias"]):
        expected |= dict.fromkeys(NAMES["bias"], (rows,))
    if shapes != expected or len(features) != 1 or rows not in (units, 3 * units, 4 * units) or not rows:
        raise NotACheckpoint(f"{where}: {quote(module)}: not the weights of an nn.RNN, nn.GRU or nn.LSTM of one layer")
    is_gru, dtype = rows == len(GRU_GATES) * units, members["weight_ih_l0"].dtype

    def kernel(name: str) -> Array:
        return np.ascontiguousarray(_turned(members[name].read().T, is_gru))

    def bias() -> Array:
        first, second = (_turned(members[name].read(), is_gru) for name in NAMES["bias"])
        if is_gru:
            return np.stack((first, second))
        with np.errstate(over="ignore"):  # an infinity is refused by whoever reads it
            return first + second if second.any() else first  # a sum with 0 would lose the sign of -0

    for role in ("kernel", "recurrent_kernel"):
        (name,) = NAMES[role]
        yield StoredTensor(f"{module}.{role}", shapes[name][::-1], dtype, partial(kernel, name))
    if has_bias:
        yield StoredTensor(f"{module}.bias", (2, rows) if is_gru else (rows,), dtype, bias)
