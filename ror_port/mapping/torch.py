"""PyTorch: names and layouts of the state dict of `ror_port.models`' networks."""

from __future__ import annotations

from ror_port.graph import Parameter
from ror_port.layout import HWIO_TO_OIHW, IO_TO_OI, SAME, Layout, rows_chw_to_hwc
from ror_port.mapping.rule import Rule, Table


def linear_weight(parameter: Parameter) -> Layout:
    """PyTorch flattens (C, H, W), and keeps (out, in)."""
    rows = rows_chw_to_hwc(*parameter.rows).inverse if parameter.rows else SAME
    return rows | IO_TO_OI


TORCH = Table(
    "PyTorch",
    (
        #     kind          canonical          state dict               layout
        Rule("conv",       "kernel",          "{layer}.weight",        HWIO_TO_OIHW),
        Rule("conv",       "bias",            "{layer}.bias"),
        Rule("batch_norm", "gamma",           "{layer}.weight"),
        Rule("batch_norm", "beta",            "{layer}.bias"),
        Rule("batch_norm", "moving_mean",     "{layer}.running_mean"),
        Rule("batch_norm", "moving_variance", "{layer}.running_var"),
        Rule("dense",      "kernel",          "{layer}.weight",        linear_weight),
        Rule("dense",      "bias",            "{layer}.bias"),
    ),
    ignored={"num_batches_tracked": "BatchNorm's step counter; Keras has none"},
)  # fmt: skip


def module_path(node: str) -> str:
    """The module of a canonical node."""
    return node.replace("/", ".")
