"""Keras of every era: what its weights are called in HDF5 and how they lie there.

Sources: Keras 1.0.6–1.2.2 and 2.0–2.3 (keras/layers/*.py, engine/topology.py), Keras 3.15 (saving_lib.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

from ror_port.graph import Kind, Parameter
from ror_port.layout import FLIP_HW_OF_HWIO, HWIO_TO_OIHW, SAME, Layout, rows_chw_to_hwc
from ror_port.mapping.rule import Rule, Table

Deviation = Literal["√(variance + epsilon)", "√variance + epsilon", "std + epsilon"]
"""What a BatchNorm divides by; the second and third are those of Keras 1.0.7 and of Keras up to 1.0.6."""


@dataclass(frozen=True)
class Convention:
    """How the numbers of a file are to be understood.

    flipped: kernels were trained under Theano's true convolution.
    kernels: axes of a stored convolution kernel, "OIHW" or "HWIO".
    rows: order in which maps were flattened in front of the Dense layer, "CHW" or "HWC".
    deviation: what a BatchNorm divided by, and so what is stored as its running variance.
    """

    flipped: bool
    kernels: str
    rows: str
    deviation: Deviation = "√(variance + epsilon)"


def conv_kernel(convention: Convention) -> Layout:
    """Canonical → file."""
    flip = FLIP_HW_OF_HWIO if convention.flipped else SAME
    return flip | {"OIHW": HWIO_TO_OIHW, "HWIO": SAME}[convention.kernels]


def dense_kernel(convention: Convention, parameter: Parameter) -> Layout:
    """Canonical → file."""
    if convention.rows == "HWC" or parameter.rows is None:
        return SAME
    return rows_chw_to_hwc(*parameter.rows).inverse


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

CANONICAL = Convention(flipped=False, kernels="HWIO", rows="HWC")
"""What Keras on TensorFlow means by its files, which is also our canonical form."""


_VARIABLE_SUFFIX = re.compile(r"(?:_\d+)?:\d+$")
"""TensorFlow ends the name of a variable in ``:0``, or ``_1:0`` for the second of its name."""


@dataclass(frozen=True)
class Era:
    """A generation of Keras' HDF5 files, and the names by which it can be told.

    automatic: prefix of the layer names that Keras made up → kind.
    """

    name: str
    table: Callable[[Convention], Table]
    automatic: Mapping[str, Kind]

    def role(self, layer: str, weight: str) -> str | None:
        """The canonical role of a weight, by the name under which its layer lists it."""
        bare = f"{layer}/{_VARIABLE_SUFFIX.sub('', weight)}"
        return next((role for foreign, role in self._bare_names if bare == foreign.format(layer=layer)), None)

    @cached_property
    def _bare_names(self) -> tuple[tuple[str, str], ...]:
        return tuple((_VARIABLE_SUFFIX.sub("", rule.foreign), rule.role) for rule in self.table(CANONICAL).rules)


KERAS_1 = Era("Keras 1", keras_1, {"convolution2d": "conv", "batchnormalization": "batch_norm", "dense": "dense"})
KERAS_2 = Era("Keras 2", keras_2, {"conv2d": "conv", "batch_normalization": "batch_norm", "dense": "dense"})
ERAS = (KERAS_1, KERAS_2)


def keras_layer_name(node: str) -> str:
    """The name of a canonical node as a layer of today's Keras, which admits no slash."""
    return node.replace("/", "_")
