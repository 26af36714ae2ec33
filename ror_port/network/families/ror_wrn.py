"""RoR-3-WRN and Pre-RoR-3: wide and pre-activation residual networks with three levels of shortcuts.

Zhang et al., "Residual Networks of Residual Networks: Multilevel Residual Networks", arXiv 1608.02908, as
implemented in Keras 1 in 2016, whose weights these are. That code differs from the paper: it downsamples by
max-pooling, and it projects the shortcut in the first block of every stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from ror_port.network.families.family import Counts, Family, Parts
from ror_port.network.families.signature import LayerShape


class RoRWRN(Family):
    """RoR-3-WRN-(6 N + 4)-k: N blocks in each of three stages. Width 1 is Pre-RoR."""

    family = "RoR-WRN"
    class_name, model_type = "RoRWRN", "ror_wrn"
    original = "create_pre_residual_of_residual(input_dim, nb_classes, N, k, dropout)"

    @property
    def name(self) -> str:
        depth = 6 * self.blocks + 4
        return f"Pre-RoR-3-{depth}" if self.width == 1 else f"RoR-3-WRN-{depth}-{self.width}"

    def build(self, g: Parts, image: str) -> str:
        x = g.tap(g.conv("stem/conv", image, 16))
        root = g.root_shortcut(x, 64 * self.width)
        for s in (1, 2, 3):
            filters = 16 * self.width * 2 ** (s - 1)
            middle = g.middle_shortcut(s, x, filters)
            for b in range(self.blocks):
                x = self._block(g, f"stage{s}/block{b}", x, filters, project=b == 0)
            x = g.sum(f"stage{s}/add", middle, x)
            if s < 3:
                x = g.max_pool(f"stage{s}/pool", x)
        x = g.tap(g.sum("root_add", root, x))
        return g.norm_relu("head", "", x)

    @staticmethod
    def _block(g: Parts, path: str, x: str, filters: int, project: bool) -> str:
        shortcut = g.conv(f"{path}/shortcut", x, filters, 1) if project else x
        x = g.conv(f"{path}/conv1", g.norm_relu(path, "1", x), filters)
        x = g.dropout(path, x)
        x = g.conv(f"{path}/conv2", g.norm_relu(path, "2", x), filters)
        return g.sum(f"{path}/add", shortcut, x)

    @classmethod
    def candidates(cls, layers: Sequence[LayerShape]) -> Iterator[Self]:
        """6 N + 1 BatchNorms and 6 N + 7 convolutions."""
        counts = Counts.of(layers)
        if counts:
            for blocks in dict.fromkeys((round((counts.norms - 1) / 6), round((counts.convolutions - 8) / 6))):
                if blocks > 0:
                    yield cls(blocks, counts.width, counts.classes, counts.input_shape)
