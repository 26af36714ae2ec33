"""What recognition sees of a layer: its name, its kind and the canonical shapes of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ror_port.layout import Shape
from ror_port.network.layers import Layer


class LayerShape(NamedTuple):
    """A layer of a file, its shapes read under one assumption about the order of its kernels' axes.

    kind: None where no kind of layer that is known has such weights.
    shapes: role → canonical shape, e.g. ``{"kernel": (3, 3, 16, 32), "bias": (32,)}``.
    """

    name: str
    kind: type[Layer] | None
    shapes: Mapping[str, Shape]
