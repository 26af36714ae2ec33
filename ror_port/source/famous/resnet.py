"""ResNet50. He et al., arXiv 1512.03385; as Keras has it: the first of a stage's convolutions of 1×1 is strided."""

from __future__ import annotations

from typing import Any

from ror_port.source.famous.parts import Padding, Parts

STAGES = ((2, 64, "abc"), (3, 128, "abcd"), (4, 256, "abcdef"), (5, 512, "abc"))


def resnet50(p: Parts, x: Any, classes: int | None) -> Any:
    x = p.pad(x, (3, 3), None if p.old else "conv1_pad")
    x = p.relu(p.norm(_conv(p, x, 64, 7, 2, name="conv1"), "bn_conv1"))
    if not p.old:  # since Keras 2.2
        x = p.pad(x, (1, 1), "pool1_pad")
    x = p.max_pool(x, 3, 2)
    for stage, filters, blocks in STAGES:
        for block in blocks:
            stride = 2 if stage > 2 and block == "a" else 1
            x = _block(p, x, filters, f"{stage}{block}_branch", stride, projects=block == "a")
    if p.old:
        x = p.average_pool(x, 7, 7, name="avg_pool")
        return x if classes is None else p.dense(p.flatten(x), classes, "softmax", "fc1000")
    return x if classes is None else p.dense(p.global_average(x, "avg_pool"), classes, "softmax", "fc1000")


def _conv(p: Parts, x: Any, filters: int, size: int, stride: int = 1, padding: Padding = "valid", *, name: str) -> Any:
    return p.conv(x, filters, size, stride, padding, initializer="he_normal", name=name)


def _block(p: Parts, x: Any, filters: int, name: str, stride: int, projects: bool) -> Any:
    y = p.relu(p.norm(_conv(p, x, filters, 1, stride, name=f"res{name}2a"), f"bn{name}2a"))
    y = p.relu(p.norm(_conv(p, y, filters, 3, padding="same", name=f"res{name}2b"), f"bn{name}2b"))
    y = p.norm(_conv(p, y, 4 * filters, 1, name=f"res{name}2c"), f"bn{name}2c")
    if projects:
        x = p.norm(_conv(p, x, 4 * filters, 1, stride, name=f"res{name}1"), f"bn{name}1")
    return p.relu(p.sum(y, x))
