"""VGG16 and VGG19. Simonyan & Zisserman, arXiv 1409.1556, configurations D and E; names of layers as in Keras."""

from __future__ import annotations

from typing import Any

from ror_port.source.famous.parts import Parts

FILTERS = (64, 128, 256, 512, 512)


def vgg16(p: Parts, x: Any, classes: int | None) -> Any:
    return _vgg(p, x, classes, (2, 2, 3, 3, 3))


def vgg19(p: Parts, x: Any, classes: int | None) -> Any:
    return _vgg(p, x, classes, (2, 2, 4, 4, 4))


def _vgg(p: Parts, x: Any, classes: int | None, depths: tuple[int, ...]) -> Any:
    for block, (filters, depth) in enumerate(zip(FILTERS, depths, strict=True), 1):
        for number in range(1, depth + 1):
            x = p.conv(x, filters, 3, padding="same", activation="relu", name=f"block{block}_conv{number}")
        x = p.max_pool(x, 2, 2, name=f"block{block}_pool")
    if classes is None:
        return x
    x = p.flatten(x, "flatten")
    x = p.dense(x, 4096, "relu", "fc1")
    x = p.dense(x, 4096, "relu", "fc2")
    return p.dense(x, classes, "softmax", "predictions")
