"""PyTorch: names and layouts of the state dict of `ror_port.models`' networks."""

from __future__ import annotations

from functools import partial

from ror_port.mapping.convention import Convention, conv_kernel, dense_kernel
from ror_port.mapping.dialect import Dialect
from ror_port.mapping.engine import Rule, Table

CONVENTION = Convention(flipped=False, kernels="OIHW", rows="CHW", dense="OI")


def torch(convention: Convention) -> Table:
    return Table(
        "PyTorch",
        (
            #     kind          canonical          state dict               layout
            Rule("conv",       "kernel",          "{layer}.weight",        conv_kernel(convention)),
            Rule("conv",       "bias",            "{layer}.bias"),
            Rule("batch_norm", "gamma",           "{layer}.weight"),
            Rule("batch_norm", "beta",            "{layer}.bias"),
            Rule("batch_norm", "moving_mean",     "{layer}.running_mean"),
            Rule("batch_norm", "moving_variance", "{layer}.running_var"),
            Rule("dense",      "kernel",          "{layer}.weight",        partial(dense_kernel, convention)),
            Rule("dense",      "bias",            "{layer}.bias"),
        ),
        ignored={"num_batches_tracked": "BatchNorm's step counter; Keras has none"},
    )  # fmt: skip


def module_path(node: str) -> str:
    """The module of a canonical node."""
    return node.replace("/", ".")


TORCH = torch(CONVENTION)
PYTORCH = Dialect("PyTorch", torch, module_path, CONVENTION)
