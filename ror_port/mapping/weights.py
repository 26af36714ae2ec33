"""The weights of every kind of layer: what each software calls them, and how it orders their axes. One row a weight.

Axis letters are those of `ror_port.layout`. A weight's axes in another software follow from these by the letters, see
`ror_port.mapping.software`; so do the axes that Theano's kernels are flipped along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ror_port.network.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    ConvLSTM2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    EinsumDense,
    Embedding,
    Highway,
    Layer,
    LocallyConnected1D,
    LocallyConnected2D,
    MaxoutDense,
    ParametricSoftplus,
    PReLU,
    SimpleRNN,
    SReLU,
    TimeDistributed,
)
from ror_port.network.layers.recurrent import Recurrent


class Weight(NamedTuple):
    """axes: canonical, as Keras 2 has them; empty where a layer's input decides how many there are. flips: whether Theano, which convolves, has the kernel rotated by 180°.

    keras_1 … onnx: its name in each software, behind the name of its layer; in Keras 3 its number; None where it is given
    other layers in place of this one.
    """

    layer: type[Layer]
    role: str
    axes: str
    flips: bool
    keras_1: str
    keras_2: str | None
    keras_3: str | None
    torch: str | None
    onnx: str | None


WEIGHTS = tuple(
    Weight(*row)
    for row in (
        # layer              role                axes     flips  Keras 1             Keras 2             3    PyTorch         ONNX
        (Conv1D,             "kernel",           "KIO",   True,  "W",                "kernel",           "0", "weight",       "kernel"),
        (Conv1D,             "bias",             "O",     False, "b",                "bias",             "1", "bias",         "bias"),
        (Conv2D,             "kernel",           "HWIO",  True,  "W",                "kernel",           "0", "weight",       "kernel"),
        (Conv2D,             "bias",             "O",     False, "b",                "bias",             "1", "bias",         "bias"),
        (Conv3D,             "kernel",           "DHWIO", True,  "W",                "kernel",           "0", "weight",       "kernel"),
        (Conv3D,             "bias",             "O",     False, "b",                "bias",             "1", "bias",         "bias"),
        (Conv2DTranspose,    "kernel",           "HWOI",  True,  "W",                "kernel",           "0", "weight",       "kernel"),
        (Conv2DTranspose,    "bias",             "O",     False, "b",                "bias",             "1", "bias",         "bias"),
        (Conv3DTranspose,    "kernel",           "DHWOI", True,  "W",                "kernel",           "0", "weight",       "kernel"),
        (Conv3DTranspose,    "bias",             "O",     False, "b",                "bias",             "1", "bias",         "bias"),
        (DepthwiseConv1D,    "depthwise_kernel", "KIM",   False, "depthwise_kernel", "depthwise_kernel", "0", "weight",       "kernel"),
        (DepthwiseConv1D,    "bias",             "O",     False, "b",                "bias",             "1", "bias",         "bias"),
        (DepthwiseConv2D,    "depthwise_kernel", "HWIM",  False, "depthwise_kernel", "depthwise_kernel", "0", "weight",       "kernel"),
        (DepthwiseConv2D,    "bias",             "O",     False, "b",                "bias",             "1", "bias",         "bias"),
        (Dense,              "kernel",           "IO",    False, "W",                "kernel",           "0", "weight",       "kernel"),
        (Dense,              "bias",             "O",     False, "b",                "bias",             "1", "bias",         "bias"),
        (BatchNormalization, "gamma",            "C",     False, "gamma",            "gamma",            "0", "weight",       "gamma"),
        (BatchNormalization, "beta",             "C",     False, "beta",             "beta",             "1", "bias",         "beta"),
        (BatchNormalization, "moving_mean",      "C",     False, "running_mean",     "moving_mean",      "2", "running_mean", "moving_mean"),
        (BatchNormalization, "moving_variance",  "C",     False, "running_std",      "moving_variance",  "3", "running_var",  "moving_variance"),
        (PReLU,              "alpha",            "",      False, "alphas",           "alpha",            "0", "alpha",        "alpha"),
        (ParametricSoftplus, "alpha",            "",      False, "alphas",           None,               None, None,          None),
        (ParametricSoftplus, "beta",             "",      False, "betas",            None,               None, None,          None),
        (SReLU,              "t_left",           "",      False, "t_left",           None,               None, None,          None),
        (SReLU,              "a_left",           "",      False, "a_left",           None,               None, None,          None),
        (SReLU,              "t_right",          "",      False, "t_right",          None,               None, None,          None),
        (SReLU,              "a_right",          "",      False, "a_right",          None,               None, None,          None),
        (EinsumDense,        "kernel",           "PIO",   False, "W",                "kernel",           "0", "kernel",       "kernel"),
        (LocallyConnected1D, "kernel",           "PIO",   False, "W",                "kernel",           None, None,          None),
        (LocallyConnected1D, "bias",             "PO",    False, "b",                "bias",             None, None,          None),
        (LocallyConnected2D, "kernel",           "PIO",   False, "W",                "kernel",           None, None,          None),
        (LocallyConnected2D, "bias",             "HWO",   False, "b",                "bias",             None, None,          None),
        (MaxoutDense,        "kernel",           "PIO",   False, "W",                None,               None, None,          None),
        (MaxoutDense,        "bias",             "PO",    False, "b",                None,               None, None,          None),
        (Highway,            "kernel",           "IO",    False, "W",                None,               None, None,          None),
        (Highway,            "kernel_carry",     "IO",    False, "W_carry",          None,               None, None,          None),
        (Highway,            "bias",             "O",     False, "b",                None,               None, None,          None),
        (Highway,            "bias_carry",       "O",     False, "b_carry",          None,               None, None,          None),
        (Embedding,          "embeddings",       "",      False, "W",                "embeddings",       "0", "weight",       "embeddings"),
        *((kind, *row) for kind in (SimpleRNN, GRU, LSTM) for row in (
            ("kernel",           "", False, "W", "kernel",           "0", "kernel",           "kernel"),
            ("recurrent_kernel", "", False, "U", "recurrent_kernel", "1", "recurrent_kernel", "recurrent_kernel"),
            ("bias",             "", False, "b", "bias",             "2", "bias",             "bias"),
        )),
        (ConvLSTM2D,         "kernel",           "HWIO",  True,  "W",                "kernel",           "0", "kernel",       "kernel"),
        (ConvLSTM2D,         "recurrent_kernel", "HWIO",  True,  "U",                "recurrent_kernel", "1", "recurrent_kernel", "recurrent_kernel"),
        (ConvLSTM2D,         "bias",             "O",     False, "b",                "bias",             "2", "bias",         "bias"),
    )
)  # fmt: skip

OPTIONAL = {"bias", "bias_carry"}
"""Roles that a layer may lack."""


def of_layer(layer: type[Layer]) -> Mapping[str, Weight]:
    """Role → row, in the order in which Keras keeps the weights of a layer."""
    return _BY_LAYER.get(layer, {})


def row(layer: Layer, role: str) -> Weight:
    """The row of a weight of a layer. Raises KeyError where there is none.

    The weights of a layer within another are its own, and those of a single gate are called after it.
    """
    match layer:
        case TimeDistributed():
            return row(layer.layer, role)
        case Bidirectional():
            side, _, own = role.partition("_")
            return _called(row(layer.layer, own), f"{side}_{{}}", role)
        case Recurrent() if layer.separate:
            whole, _, gate = role.rpartition("_")
            return _called(row(layer.canonical, whole), f"{{}}_{gate}", role)
    return of_layer(type(layer))[role]


def _called(own: Weight, form: str, role: str) -> Weight:
    keras_1, keras_2, keras_3 = (form.format(name) for name in (own.keras_1, own.keras_2, own.keras_3))
    return own._replace(role=role, keras_1=keras_1, keras_2=keras_2, keras_3=keras_3)


_BY_LAYER: dict[type[Layer], dict[str, Weight]] = {}
for _row in WEIGHTS:
    _BY_LAYER.setdefault(_row.layer, {})[_row.role] = _row

KINDS: tuple[type[Layer], ...] = tuple(_BY_LAYER)
"""The kinds of layers that have weights."""


def add(kind: type[Layer], rows: Iterable[Weight]) -> None:
    """The weights of a kind of layer that another package brings; see `ror_port.extensions`."""
    _BY_LAYER[kind] = {weight.role: weight for weight in rows}
