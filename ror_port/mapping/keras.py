"""Keras of every era: what its weights are called in HDF5 and how they lie there.

Sources: Keras 1.0.6–1.2.2 and 2.0–2.3 (keras/layers/*.py, engine/topology.py), Keras 3.15 (saving_lib.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ror_port.mapping.convention import Convention, conv_kernel, dense_kernel
from ror_port.mapping.dialect import Dialect
from ror_port.mapping.engine import Rule, Table
from ror_port.network.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Graph,
    Input,
    Kind,
    MaxPool,
    Operation,
    Relu,
)


def keras_1(convention: Convention) -> Table:
    return Table(
        "Keras 1",
        (
            #     kind          canonical          file                             layout
            Rule("conv",       "kernel",          "{layer}/{layer}_W",             conv_kernel(convention)),
            Rule("conv",       "bias",            "{layer}/{layer}_b"),
            Rule("batch_norm", "gamma",           "{layer}/{layer}_gamma"),
            Rule("batch_norm", "beta",            "{layer}/{layer}_beta"),
            Rule("batch_norm", "moving_mean",     "{layer}/{layer}_running_mean"),
            Rule("batch_norm", "moving_variance", "{layer}/{layer}_running_std"),
            Rule("dense",      "kernel",          "{layer}/{layer}_W",             partial(dense_kernel, convention)),
            Rule("dense",      "bias",            "{layer}/{layer}_b"),
        ),
    )  # fmt: skip


def keras_2(convention: Convention) -> Table:
    return Table(
        "Keras 2",
        (
            #     kind          canonical          file                              layout
            Rule("conv",       "kernel",          "{layer}/{layer}/kernel:0",        conv_kernel(convention)),
            Rule("conv",       "bias",            "{layer}/{layer}/bias:0"),
            Rule("batch_norm", "gamma",           "{layer}/{layer}/gamma:0"),
            Rule("batch_norm", "beta",            "{layer}/{layer}/beta:0"),
            Rule("batch_norm", "moving_mean",     "{layer}/{layer}/moving_mean:0"),
            Rule("batch_norm", "moving_variance", "{layer}/{layer}/moving_variance:0"),
            Rule("dense",      "kernel",          "{layer}/{layer}/kernel:0",        partial(dense_kernel, convention)),
            Rule("dense",      "bias",            "{layer}/{layer}/bias:0"),
        ),
    )  # fmt: skip


KERAS_3 = Table(
    "Keras 3",
    (
        #     kind          canonical          file
        Rule("conv",       "kernel",          "{layer}/vars/0"),
        Rule("conv",       "bias",            "{layer}/vars/1"),
        Rule("batch_norm", "gamma",           "{layer}/vars/0"),
        Rule("batch_norm", "beta",            "{layer}/vars/1"),
        Rule("batch_norm", "moving_mean",     "{layer}/vars/2"),
        Rule("batch_norm", "moving_variance", "{layer}/vars/3"),
        Rule("dense",      "kernel",          "{layer}/vars/0"),
        Rule("dense",      "bias",            "{layer}/vars/1"),
    ),
)  # fmt: skip

KERAS_3_CLASSES: Mapping[Kind, str] = {"conv": "conv2d", "batch_norm": "batch_normalization", "dense": "dense"}
"""Kind → what Keras 3 calls its layers in a path."""


def keras_layer_name(node: str) -> str:
    """The name of a canonical node as a layer of today's Keras, which admits no slash."""
    return node.replace("/", "_")


KERAS_1 = Dialect(
    "Keras 1",
    keras_1,
    keras_layer_name,
    automatic={"convolution2d": "conv", "batchnormalization": "batch_norm", "dense": "dense"},
)
KERAS_2 = Dialect(
    "Keras 2",
    keras_2,
    keras_layer_name,
    automatic={"conv2d": "conv", "batch_normalization": "batch_norm", "dense": "dense"},
)

_KERAS_1_PREFIXES: Mapping[type[Operation], str] = {
    Input: "input",
    Conv: "convolution2d",
    BatchNorm: "batchnormalization",
    Relu: "activation",
    Add: "merge",
    MaxPool: "maxpooling2d",
    AveragePool: "averagepooling2d",
    Flatten: "flatten",
    Dense: "dense",
    Dropout: "dropout",
}
"""What Keras 1 calls the layers that nobody named; its softmax is part of Dense."""


def keras_1_layer_names(graph: Graph) -> dict[str, str]:
    """Node → name of its layer in a fresh session of Keras 1, in the order of its ``model.layers``.

    Automatic names count the layers of a class as the authors' code created them.
    """
    counts = dict.fromkeys(_KERAS_1_PREFIXES.values(), 0)
    names = {}
    for node in graph:
        prefix = _KERAS_1_PREFIXES.get(type(node.operation))
        if prefix and not node.original_name:
            counts[prefix] += 1
        if prefix:
            names[node.name] = node.original_name or f"{prefix}_{counts[prefix]}"
    return {node.name: names[node.name] for node in graph.keras_order if node.name in names}
