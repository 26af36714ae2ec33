"""ONNX: names and layouts of the initializers that ror-port writes, which are the canonical names."""

from __future__ import annotations

from functools import partial

from ror_port.mapping.convention import Convention, conv_kernel, dense_kernel
from ror_port.mapping.dialect import Dialect
from ror_port.mapping.engine import Rule, Table

CONVENTION = Convention(flipped=False, kernels="OIHW", rows="CHW")
"""Of the operators Conv, Flatten on (batch, channels, height, width), and Gemm without transposition."""


def onnx(convention: Convention) -> Table:
    return Table(
        "ONNX",
        (
            #     kind          canonical          initializer                  layout
            Rule("conv",       "kernel",          "{layer}/kernel",            conv_kernel(convention)),
            Rule("conv",       "bias",            "{layer}/bias"),
            Rule("batch_norm", "gamma",           "{layer}/gamma"),
            Rule("batch_norm", "beta",            "{layer}/beta"),
            Rule("batch_norm", "moving_mean",     "{layer}/moving_mean"),
            Rule("batch_norm", "moving_variance", "{layer}/moving_variance"),
            Rule("dense",      "kernel",          "{layer}/kernel",            partial(dense_kernel, convention)),
            Rule("dense",      "bias",            "{layer}/bias"),
        ),
    )  # fmt: skip


ONNX = Dialect("ONNX", onnx, str, CONVENTION)
