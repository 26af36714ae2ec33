"""What a stored architecture states. It is data: parsed with limits, never turned into classes.

Reads the ``model_config`` of Keras 1 (``subsample``, ``dim_ordering``), Keras 2 and 3 (``data_format``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ror_port.errors import NotACheckpoint, UnknownNetwork, UnsafeFile, quote
from ror_port.formats.checkpoint import Architecture
from ror_port.network.graph import Add, AveragePool, BatchNorm, Conv, Dense, Flatten, Graph, MaxPool, Padding, Relu
from ror_port.safety import limits

_ORDERINGS = {"th": "th", "tf": "tf", "channels_first": "th", "channels_last": "tf"}


def json_object(text: str | bytes, where: str) -> dict[str, Any]:
    """A JSON object as data; NotACheckpoint where it is none."""
    if len(text) > limits.MAX_CONFIG_BYTES:
        raise UnsafeFile(f"{where}: {len(text)} characters; the limit is {limits.MAX_CONFIG_BYTES}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotACheckpoint(f"{where}: not JSON ({type(error).__name__})") from None
    if not isinstance(value, dict):
        raise NotACheckpoint(f"{where}: expected a JSON object")
    return value


def architecture(text: str, path: Path) -> Architecture:
    """Reads the JSON of a model; raises NotACheckpoint where it is none."""
    where = f"{path}: model_config"
    try:
        inner = json_object(text, where)["config"]
        layers = inner["layers"] if isinstance(inner, dict) else inner
        configs = [(str(layer["class_name"]), _mapping(layer["config"])) for layer in layers]
    except (KeyError, TypeError) as error:
        raise NotACheckpoint(f"{where}: not the JSON of a Keras model ({type(error).__name__})") from None
    if any(kind == "Lambda" for kind, _ in configs):
        raise UnknownNetwork(f"{where}: holds a Lambda layer, which is Python code; ror-port runs no code from a file")
    norms = [config for kind, config in configs if kind == "BatchNormalization"]
    stated_orderings = [config.get("dim_ordering", config.get("data_format")) for _, config in configs]
    orderings = {_ORDERINGS[value] for value in stated_orderings if isinstance(value, str) and value in _ORDERINGS}
    if len(orderings) > 1:
        raise NotACheckpoint(f"{where}: its layers disagree about channels_first and channels_last")
    modes = sorted({str(config.get("mode", 0)) for config in norms} - {"0"})
    if modes:
        raise UnknownNetwork(
            f"{where}: a BatchNormalization of mode {quote(modes[-1])}, which normalises by the batch at hand and "
            "keeps no running statistics; its answers depend on the batch and cannot be ported"
        )
    shape = next((s for _, c in configs if (s := c.get("batch_input_shape", c.get("batch_shape")))), None)
    return Architecture(
        epsilons=frozenset(number(c["epsilon"], where) for c in norms if "epsilon" in c),
        momenta=frozenset(number(c["momentum"], where) for c in norms if "momentum" in c),
        ordering=next(iter(orderings), None),
        padding=_padding(configs),
        input_shape=input_shape(shape[1:] if isinstance(shape, list) else shape, where),
        dropout=max((number(c.get("p", c.get("rate", 0)), where) for k, c in configs if k == "Dropout"), default=0.0),
        operations=Counter(name for kind, config in configs for name in _operations(kind, config)),
    )


def operations(graph: Graph) -> Counter[str]:
    """The operations of a graph, called as `architecture` calls those of a file."""
    names: list[str] = []
    for node in graph:
        match node.operation:
            case Conv(size=size, stride=stride):
                names.append(f"convolution {size}×{size} stride {stride}")
            case MaxPool(size=size):
                names.append(f"max-pooling {size}×{size}")
            case AveragePool(size=size):
                names.append(f"average-pooling {size}×{size}")
            case Relu():
                names.append("activation relu")
            case Add():
                names.append("sum")
            case BatchNorm() | Dense() | Flatten():
                names.append(type(node.operation).__name__)
    return Counter(names)


def _padding(configs: Sequence[tuple[str, Mapping[str, Any]]]) -> Padding | None:
    """ "half" where a layer of zeros stands before every strided convolution."""
    strided = [
        config.get("padding", config.get("border_mode"))
        for kind, config in configs
        if kind in _CONVOLUTIONS and all(size not in (1, [1, 1]) for size in (_size(config), _stride(config)))
    ]
    zeros = sum(kind == "ZeroPadding2D" for kind, _ in configs)
    return "half" if strided and set(strided) == {"valid"} and zeros == len(strided) else None


_CONVOLUTIONS = ("Convolution2D", "Conv2D")


def _size(config: Mapping[str, Any]) -> Any:
    return config.get("kernel_size", [config.get("nb_row"), config.get("nb_col")])


def _stride(config: Mapping[str, Any]) -> Any:
    return config.get("strides", config.get("subsample"))


_SILENT = {"InputLayer", "Dropout", "Softmax", "ZeroPadding2D"}
"""Layers that do not tell networks apart: idle in inference, or implied by the rest."""


def _operations(kind: str, config: Mapping[str, Any]) -> Iterator[str]:
    own = str(config.get("activation", "linear"))
    if kind in _CONVOLUTIONS:
        rows, columns = _pair(_size(config))
        stride, _ = _pair(_stride(config))
        yield f"convolution {rows}×{columns} stride {stride}"
    elif kind in ("MaxPooling2D", "AveragePooling2D"):
        rows, columns = _pair(config.get("pool_size"))
        yield f"{'max' if kind.startswith('Max') else 'average'}-pooling {rows}×{columns}"
    elif kind in ("Merge", "Add"):
        mode = config.get("mode", "sum")
        yield "sum" if mode == "sum" else f"merge {mode}"
    elif kind == "ReLU":
        yield "activation relu"
    elif kind in ("BatchNormalization", "Dense", "Flatten"):
        yield "BatchNorm" if kind == "BatchNormalization" else kind
    elif kind not in _SILENT and kind != "Activation":
        yield kind
    if own not in ("linear", "softmax"):
        yield f"activation {own}"


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else (value, value)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("a layer's config")
    return value


def number(value: Any, where: str) -> float:
    """A finite number from 0 to 1, as an epsilon, a momentum or a rate is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise NotACheckpoint(f"{where}: {quote(str(value))} where a number from 0 to 1 is expected")
    return float(value)


def padding(value: Any, where: str) -> Padding:
    """How strided convolutions pad."""
    if value == "half" or value == "same":
        return value  # type: ignore[no-any-return]
    raise NotACheckpoint(f"{where}: {quote(str(value))} where a padding, 'half' or 'same', is expected")


def input_shape(value: Any, where: str) -> tuple[int, ...] | None:
    """The shape of an image; None where it, or a part of it, is not stated."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(s is None or (type(s) is int and 0 < s < 1 << 16) for s in value):
        raise NotACheckpoint(f"{where}: {quote(str(value))} where an input shape is expected")
    return None if None in value else tuple(value)
