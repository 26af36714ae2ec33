"""How the numbers of a file are to be understood, and the layouts that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ror_port.layout import FLIP_HW_OF_HWIO, HWIO_TO_OIHW, IO_TO_OI, SAME, Layout, rows_chw_to_hwc
from ror_port.network.graph import Parameter

Deviation = Literal["√(variance + epsilon)", "√variance + epsilon", "std + epsilon"]
"""What a BatchNorm divides by; the second and third are those of Keras 1.0.7 and of Keras up to 1.0.6."""


@dataclass(frozen=True)
class Convention:
    """The meaning of a file's tensors.

    flipped: kernels were trained under Theano's true convolution.
    kernels: axes of a stored convolution kernel, "OIHW" or "HWIO".
    rows: order in which maps were flattened in front of the Dense layer, "CHW" or "HWC".
    deviation: what a BatchNorm divided by, and so what is stored as its running variance.
    dense: axes of a stored Dense kernel, "IO" or "OI".
    """

    flipped: bool
    kernels: str
    rows: str
    deviation: Deviation = "√(variance + epsilon)"
    dense: str = "IO"


CANONICAL = Convention(flipped=False, kernels="HWIO", rows="HWC")
"""What Keras on TensorFlow means by its files, which is also our canonical form."""

THEANO = Convention(flipped=True, kernels="OIHW", rows="CHW")
"""What Keras 1 on Theano means by its files, with dim ordering "th"."""


def conv_kernel(convention: Convention) -> Layout:
    """Canonical → file."""
    flip = FLIP_HW_OF_HWIO if convention.flipped else SAME
    return flip | {"OIHW": HWIO_TO_OIHW, "HWIO": SAME}[convention.kernels]


def dense_kernel(convention: Convention, parameter: Parameter) -> Layout:
    """Canonical → file."""
    rows = rows_chw_to_hwc(*parameter.rows).inverse if convention.rows == "CHW" and parameter.rows else SAME
    return rows | {"IO": SAME, "OI": IO_TO_OI}[convention.dense]
