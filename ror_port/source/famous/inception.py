"""InceptionV3. Szegedy et al., arXiv 1512.00567.

Keras 1 normalises what the convolutions have rectified, Keras 2 what they give, without a bias or a scale; the weights
that each published belong to its own.
"""

from __future__ import annotations

from typing import Any

from ror_port.source.famous.parts import Padding, Parts


def inception_v3(p: Parts, x: Any, classes: int | None) -> Any:
    x = _conv(p, x, 32, 3, 2, "valid")
    x = _conv(p, x, 32, 3, 1, "valid")
    x = p.max_pool(_conv(p, x, 64, 3), 3, 2)
    x = _conv(p, x, 80, 1, 1, "valid")
    x = p.max_pool(_conv(p, x, 192, 3, 1, "valid"), 3, 2)
    for number, pooled in enumerate((32, 64, 64) if not p.old else (32, 32, 32)):
        x = _of_35(p, x, pooled, f"mixed{number}")
    x = _to_17(p, x)
    for number, filters in ((4, 128), (5, 160), (6, 160)):
        x = _of_17(p, x, filters, f"mixed{number}")
    x = _last_of_17(p, x)
    x = _to_8(p, x)
    for number in (0, 1):
        x = _of_8(p, x, number)
    if classes is None:
        return x
    if p.old:
        return p.dense(
            p.flatten(p.average_pool(x, 8, 8, name="avg_pool"), "flatten"), classes, "softmax", "predictions"
        )
    return p.dense(p.global_average(x, "avg_pool"), classes, "softmax", "predictions")


def _conv(
    p: Parts, x: Any, filters: int, size: int | tuple[int, int], stride: int = 1, padding: Padding = "same"
) -> Any:
    if p.old:
        return p.norm(p.conv(x, filters, size, stride, padding, activation="relu"))
    return p.relu(p.norm(p.conv(x, filters, size, stride, padding, bias=False), scale=False))


def _pooled(p: Parts, x: Any, filters: int) -> Any:
    return _conv(p, p.average_pool(x, 3, 1, "same"), filters, 1)


def _of_35(p: Parts, x: Any, pooled: int, name: str) -> Any:
    """On 35×35 positions."""
    one = _conv(p, x, 64, 1)
    five = _conv(p, _conv(p, x, 48, 1), 64, 5)
    three = _conv(p, _conv(p, _conv(p, x, 64, 1), 96, 3), 96, 3)
    return p.concat(one, five, three, _pooled(p, x, pooled), name=name)


def _to_17(p: Parts, x: Any) -> Any:
    three = _conv(p, x, 384, 3, 2, "valid")
    twice = _conv(p, _conv(p, _conv(p, x, 64, 1), 96, 3), 96, 3, 2, "valid")
    return p.concat(three, twice, p.max_pool(x, 3, 2), name="mixed3")


def _of_17(p: Parts, x: Any, filters: int, name: str) -> Any:
    """On 17×17 positions, by rows and columns."""
    one = _conv(p, x, 192, 1)
    seven = _conv(p, _conv(p, _conv(p, x, filters, 1), filters, (1, 7)), 192, (7, 1))
    twice = x
    for size in ((1, 1), (7, 1), (1, 7), (7, 1)):
        twice = _conv(p, twice, filters, size)
    twice = _conv(p, twice, 192, (1, 7))
    return p.concat(one, seven, twice, _pooled(p, x, 192), name=name)


def _last_of_17(p: Parts, x: Any) -> Any:
    first = 160 if p.old else 192
    one = _conv(p, x, 192, 1)
    seven = _conv(p, _conv(p, _conv(p, x, 192, 1), 192, (1, 7)), 192, (7, 1))
    twice = _conv(p, x, first, 1)
    for size in ((7, 1), (1, 7), (7, 1), (1, 7)):
        twice = _conv(p, twice, 192, size)
    return p.concat(one, seven, twice, _pooled(p, x, 192), name="mixed7")


def _to_8(p: Parts, x: Any) -> Any:
    three = _conv(p, _conv(p, x, 192, 1), 320, 3, 2, "valid")
    seven = x
    for size in ((1, 1), (1, 7), (7, 1)):
        seven = _conv(p, seven, 192, size)
    seven = _conv(p, seven, 192, 3, 2, "valid")
    pooled = p.average_pool(x, 3, 2) if p.old else p.max_pool(x, 3, 2)
    return p.concat(three, seven, pooled, name="mixed8")


def _of_8(p: Parts, x: Any, number: int) -> Any:
    """On 8×8 positions; some branches part once more."""
    one = _conv(p, x, 320, 1)
    three = _conv(p, x, 384, 1)
    three = p.concat(_conv(p, three, 384, (1, 3)), _conv(p, three, 384, (3, 1)), name=f"mixed9_{number}")
    twice = _conv(p, _conv(p, x, 448, 1), 384, 3)
    twice = p.concat(_conv(p, twice, 384, (1, 3)), _conv(p, twice, 384, (3, 1)))
    return p.concat(one, three, twice, _pooled(p, x, 192), name=f"mixed{9 + number}")
