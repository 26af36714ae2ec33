"""Runs a graph on the tensors of a file exactly as they lie in it: what Keras on Theano computed, in NumPy float64.

Shares no layout, no table of weights and no layer code with the conversion: a mistake there cannot hide in here. Held
to outputs that genuine Keras on Theano computed (``fixtures/``). Values are in the graph's order of axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ror_port.network.graph import Graph, Node
from ror_port.network.layers import Input
from ror_port.network.layers.layer import Mask
from ror_port.theano import (  # noqa: F401  (they are the twins)
    activation,
    conv_recurrent,
    convolution,
    core,
    local,
    merge,
    normalization,
    old_dense,
    padding,
    parametric,
    pooling,
    recurrent,
    sequence,
    upsampling,
    wrappers,
)
from ror_port.theano.twins import MASKS, TWINS, Call, Stored, Values

Tensors = Mapping[str, Mapping[str, NDArray[Any]]]
"""Node → role → tensor as the file has it."""


def run(
    graph: Graph,
    tensors: Tensors,
    stored: Stored,
    inputs: Mapping[str, NDArray[Any]],
    *,
    dtype: DTypeLike = np.float64,
    training: bool = False,
) -> Iterator[tuple[str, Values]]:
    """Yields (node, output) in the order of the graph.

    inputs: input node → (batch, …) in the graph's order of axes; of a stateful network one batch after the other, the
    first of which begins with states of zeros. stored: how the tensors lie. dtype: what is computed in; float32 shows
    what that precision costs. training: normalise by the mean and the variance of the batch.
    """
    memory: dict[str, list[Values]] = {node.name: [] for node in graph}

    def of(batch: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, Values]]:
        return _run(graph, tensors, stored, batch, dtype, training, memory)

    if graph.batch is None:
        yield from of(inputs)
        return
    parts = graph.batches(len(next(iter(inputs.values()))))
    runs = [of({name: array[part] for name, array in inputs.items()}) for part in parts]
    for results in zip(*runs, strict=True):  # node by node, each in all of them
        yield results[0][0], np.concatenate([values for _, values in results])


def _run(
    graph: Graph,
    tensors: Tensors,
    stored: Stored,
    inputs: Mapping[str, NDArray[Any]],
    dtype: DTypeLike,
    training: bool,
    memory: Mapping[str, list[Values]],
) -> Iterator[tuple[str, Values]]:
    pending = {name: len(readers) for name, readers in graph.readers.items()}
    values: dict[str, Values] = {}
    masks: dict[str, Values] = {}
    for node in graph:
        given = (np.asarray(inputs[node.name], dtype),) if isinstance(node.layer, Input) else ()
        arguments = given or tuple(values[name] for name in node.inputs)
        mask = _joint(masks, graph[node.inputs[0]].mask) if node.inputs else None
        call = _call(arguments, tensors.get(node.owner, {}), stored, training, mask, memory[node.name])
        values[node.name] = TWINS[type(node.layer)](node.layer, call)
        if node.mask == (node.name,):
            masks[node.name] = MASKS[type(node.layer)](node.layer, call)
        yield node.name, values[node.name]
        for name in dict.fromkeys(node.inputs):  # a value is let go once its last reader is done
            pending[name] -= 1
            if not pending[name]:
                del values[name]


def outputs(
    graph: Graph, tensors: Tensors, stored: Stored, inputs: Mapping[str, NDArray[Any]], *names: str
) -> dict[str, Values]:
    """The outputs of the named nodes."""
    return {name: output for name, output in run(graph, tensors, stored, inputs) if name in names}


def compute(
    node: Node,
    inputs: tuple[Values, ...],
    tensors: Mapping[str, NDArray[Any]],
    stored: Stored,
    *,
    training: bool = False,
) -> Values:
    """The output of one node for its inputs; tensors: role → tensor as the file has it."""
    return TWINS[type(node.layer)](node.layer, _call(inputs, tensors, stored, training, None))


def _call(
    inputs: tuple[Values, ...],
    tensors: Mapping[str, NDArray[Any]],
    stored: Stored,
    training: bool,
    mask: Values | None,
    memory: list[Values] | None = None,
) -> Call:
    weights = {role: np.asarray(tensor, inputs[0].dtype) for role, tensor in tensors.items()}
    return Call(inputs, weights, stored, training, mask, memory)


def _joint(masks: Mapping[str, Values], names: Mask) -> Values | None:
    """Where several nodes say which steps count, all of them must agree."""
    return np.logical_and.reduce([masks[name] for name in names]) if names else None
