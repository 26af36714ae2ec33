"""What recognition sees of a layer: its name and the canonical shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ror_port.network.graph import Kind, Shape


class LayerShape(NamedTuple):
    """A layer of a file, its shapes read under one assumption about the kernel layout.

    shapes: role → canonical shape, e.g. ``{"kernel": (3, 3, 16, 32), "bias": (32,)}``.
    """

    name: str
    shapes: Mapping[str, Shape]

    @property
    def kind(self) -> Kind | None:
        if "gamma" in self.shapes or "moving_mean" in self.shapes:
            return "batch_norm"
        return {4: "conv", 2: "dense"}.get(len(self.shapes.get("kernel", ())))  # type: ignore[return-value]
