"""Xception. Chollet, arXiv 1610.02357."""

from __future__ import annotations

from typing import Any

from ror_port.source.famous.parts import Parts


def xception(p: Parts, x: Any, classes: int | None) -> Any:
    x = _norm(p, p.conv(x, 32, 3, 2, bias=False, name="block1_conv1"), "block1_conv1_bn")
    x = p.relu(x, "block1_conv1_act")
    x = _norm(p, p.conv(x, 64, 3, bias=False, name="block1_conv2"), "block1_conv2_bn")
    x = p.relu(x, "block1_conv2_act")
    for block, filters in ((2, 128), (3, 256), (4, 728)):
        x = _reducing(p, x, block, (filters, filters), begins=block > 2)
    for block in range(5, 13):
        y = x
        for number in (1, 2, 3):
            y = _separable(p, p.relu(y, f"block{block}_sepconv{number}_act"), 728, f"block{block}_sepconv{number}")
        x = p.sum(y, x)
    x = _reducing(p, x, 13, (728, 1024), begins=True)
    for number, filters in ((1, 1536), (2, 2048)):
        name = f"block14_sepconv{number}"
        x = p.relu(_separable(p, x, filters, name), f"{name}_act")
    if classes is None:
        return x
    return p.dense(p.global_average(x, "avg_pool"), classes, "softmax", "predictions")


def _norm(p: Parts, x: Any, name: str | None = None) -> Any:
    """Keras 1 has it on TensorFlow alone, with the channels last."""
    return p.norm(x, name, axis=1 if p.first else -1)


def _separable(p: Parts, x: Any, filters: int, name: str) -> Any:
    return _norm(p, p.conv(x, filters, 3, padding="same", separable=True, bias=False, name=name), f"{name}_bn")


def _reducing(p: Parts, x: Any, block: int, filters: tuple[int, int], begins: bool) -> Any:
    """Two separable convolutions and a pooling, beside a strided convolution. begins: with a rectifier."""
    residual = _norm(p, p.conv(x, filters[1], 1, 2, "same", bias=False))
    first, second = (f"block{block}_sepconv{number}" for number in (1, 2))
    x = _separable(p, p.relu(x, f"{first}_act") if begins else x, filters[0], first)
    x = _separable(p, p.relu(x, f"{second}_act"), filters[1], second)
    return p.sum(p.max_pool(x, 3, 2, "same", name=f"block{block}_pool"), residual)
