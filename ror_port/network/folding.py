"""BatchNorms merged into the convolutions before them: the same function for inference, in fewer operations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ror_port.layout import Arranged
from ror_port.network.graph import Graph, GraphBuilder, Parameter
from ror_port.network.layers import BatchNormalization, Conv2D


def fold(
    graph: Graph, parameters: Iterable[tuple[Parameter, Arranged]]
) -> tuple[Graph, list[tuple[Parameter, Arranged]]]:
    """The graph without the BatchNorms that directly follow a convolution which nothing else reads, and its weights.

    Parameters are canonical; those that change are computed in float64 and come as such. BatchNorms behind a sum or
    a pooling stay, and those along another axis than that of the filters.
    """
    readers = graph.readers
    shared = {name for node in graph if node.shares for name in (node.name, node.shares)}
    norm_of = {
        node.name: followers[0]
        for node in graph
        if isinstance(node.layer, Conv2D)
        and node.name not in graph.outputs
        and len(followers := readers[node.name]) == 1
        and isinstance(scaling := followers[0].layer, BatchNormalization)
        and scaling.axis == (1 if node.layer.data_format == "channels_first" else 3)
        and shared.isdisjoint((node.name, followers[0].name))
    }
    merged = {norm.name: conv for conv, norm in norm_of.items()}
    g = GraphBuilder(taps=[merged.get(tap, tap) for tap in graph.taps])
    for node in graph:
        if node.name in merged:
            continue
        layer = node.layer
        if node.name in norm_of and isinstance(layer, Conv2D):
            layer = replace(layer, use_bias=True)
        g.add_like(node, layer, *(merged.get(name, name) for name in node.inputs))
    folded = g.finish(*(merged.get(name, name) for name in graph.outputs))

    arrays = {parameter.name: arranged.array() for parameter, arranged in parameters}
    for conv, norm in norm_of.items():
        assert isinstance(norm.layer, BatchNormalization)
        gamma, beta, mean, variance = (np.asarray(arrays[p.name], np.float64) for p in norm.parameters)
        scale = gamma / np.sqrt(variance + norm.layer.epsilon)
        arrays[f"{conv}/kernel"] = arrays[f"{conv}/kernel"] * scale  # output channels come last
        arrays[f"{conv}/bias"] = (arrays.get(f"{conv}/bias", 0.0) - mean) * scale + beta
    return folded, [(parameter, Arranged.of(arrays[parameter.name])) for parameter in folded.parameters]
