"""Calls of Keras 1 in Keras 2, which took most of them and translated. Source: Keras 2.2.4, legacy/interfaces.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RENAMED = {
    "output_dim": "units", "nb_filter": "filters", "init": "kernel_initializer", "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation", "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer", "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint",
    "U_constraint": "recurrent_constraint", "b_constraint": "bias_constraint", "bias": "use_bias",
    "border_mode": "padding", "subsample": "strides", "subsample_length": "strides", "dim_ordering": "data_format",
    "p": "rate", "sigma": "stddev", "pool_length": "pool_size", "stride": "strides", "atrous_rate": "dilation_rate",
    "filter_length": "kernel_size", "dropout_W": "dropout", "dropout_U": "recurrent_dropout", "length": "size",
    "beta_init": "beta_initializer", "gamma_init": "gamma_initializer",
}  # fmt: skip

OF_EMBEDDING = {"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
                "W_constraint": "embeddings_constraint"}  # fmt: skip
KERNELS = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))
CONSUMES = {"cpu": 0, "mem": 1, "gpu": 2}
ORDERINGS = {"th": "channels_first", "tf": "channels_last", "default": None}


def _is_batched(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 4


def in_keras_2(
    kind: str, signature: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """A call with the arguments of Keras 1 in those of Keras 2; what is of Keras 2 stays."""
    known = {argument[0] for argument in (*signature["arguments"], *signature.get("keywords", []))}
    found, given = dict(kwargs), list(args)
    rank = {"Conv2D": 2, "Conv3D": 3, "SeparableConv2D": 2, "Conv2DTranspose": 2, "LocallyConnected2D": 2}.get(kind, 0)
    if rank and len(given) > rank and all(isinstance(size, int) for size in given[: rank + 1]):
        given = [given[0], tuple(given[1 : rank + 1]), *given[rank + 1 :]]
    if kind == "Conv2DTranspose":  # what Keras 1 took as the shape of its output, Keras 2 finds out
        given = [size for number, size in enumerate(given) if number < 2 or not _is_batched(size)]
        found.pop("output_shape", None)
    for names in KERNELS:
        if set(names) <= found.keys():
            found["kernel_size"] = tuple(found.pop(name) for name in names)
    renamed = RENAMED | (OF_EMBEDDING if kind == "Embedding" else {})
    for name in list(found):
        if name not in known and renamed.get(name) in known:
            found[renamed[name]] = found.pop(name)
    if found.get("data_format") in ORDERINGS:
        found["data_format"] = ORDERINGS[found["data_format"]]
    if "consume_less" in found and "implementation" in known:
        found["implementation"] = CONSUMES.get(found.pop("consume_less"), 0)
    if "forget_bias_init" in found and "unit_forget_bias" in known:
        found["unit_forget_bias"] = found.pop("forget_bias_init") in ("one", "ones")
    if kind == "SimpleRNN":
        found.pop("implementation", None)
    if kind == "BatchNormalization" and found.get("mode") == 0:
        found.pop("mode")
    if kind == "Embedding":
        found.pop("dropout", None)
    return given, found
