"""What rounding takes from weights that are multiplied on the way to Keras 3, so that they come back bit for bit.

A product that is rounded does not tell its factor: for a tenth of all weights the quotient is a neighbour. Which one
is carried by the output, about an eighth of a byte a weight.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ror_port.errors import NotACheckpoint
from ror_port.layout import Array
from ror_port.network.graph import Parameter

BITS = {4: np.int32, 8: np.int64}
"""Bytes of a float → the integers that count its neighbours, of one sign."""


def remainders(parameters: Iterable[tuple[Parameter, Array]]) -> dict[str, str]:
    """Name of a parameter → which neighbour of the quotient each element is: −1, 0 or 1, packed and as text."""
    return {parameter.name: _text(array, parameter.layer.factors(parameter.role)) for parameter, array in parameters}


def _text(array: Array, factors: Sequence[float]) -> str:
    quotient = _divided(_multiplied(array, factors), factors)
    kind = BITS[array.dtype.itemsize]
    steps = (np.ascontiguousarray(array).view(kind) - quotient.view(kind)).astype(np.int8)
    return base64.b85encode(zlib.compress(steps.tobytes(), 9)).decode()


def _multiplied(array: Array, factors: Sequence[float]) -> Array:
    return np.asarray((array * np.asarray(factors)).astype(array.dtype))


def _divided(array: Array, factors: Sequence[float]) -> Array:
    return np.ascontiguousarray((array / np.asarray(factors)).astype(array.dtype))


def restored(array: Array, factors: Sequence[float], carried: Any, where: str) -> Array:
    """The weights before they were multiplied. carried: of `remainders`, from a file; None where it has none.

    Weights that were trained since then are divided, and no more. Raises NotACheckpoint where it was altered.
    """
    quotient = _divided(array, factors)
    if carried is None:
        return quotient
    steps = _steps(carried, array, where)
    neighbour = (quotient.view(BITS[array.dtype.itemsize]) + steps).view(array.dtype)
    return np.where(_multiplied(neighbour, factors) == array, neighbour, quotient)


def _steps(carried: Any, array: Array, where: str) -> Array:
    try:
        packed = zlib.decompressobj().decompress(base64.b85decode(carried), array.size + 1)
        steps = np.frombuffer(packed, np.int8).reshape(array.shape)
    except (ValueError, TypeError, zlib.error):
        steps = None
    if steps is None or np.abs(steps).max(initial=0) > 1:
        raise NotACheckpoint(f"{where}: the remainders that it carries are not what ror-port wrote")
    return steps
