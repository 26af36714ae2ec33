"""RoR-3: residual networks of the original kind (post-activation) with three levels of shortcuts.

Zhang et al., arXiv 1608.02908, as implemented in Keras 1 in 2016; see `ror_wrn` for how that differs from the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from ror_port.network.families.family import Counts, Family, Parts
from ror_port.network.families.signature import LayerShape


class RoR(Family):
    """RoR-3-(6 (9 N − 1) + 8): 9 N − 1 blocks in each of three stages; N 1, 2, 3 are RoR-3-56, -110, -164."""

    family = "RoR"
    class_name, model_type = "RoR", "ror"
    original = "create_residual_of_residual(input_dim, nb_classes, N, dropout)"

    @property
    def name(self) -> str:
        return f"RoR-3-{6 * (9 * self.blocks - 1) + 8}"

    def build(self, g: Parts, image: str) -> str:
        x = g.norm_relu("stem", "", g.tap(g.conv("stem/conv", image, 16)))
        root = g.root_shortcut(x, 64)
        for s in (1, 2, 3):
            filters = 16 * 2 ** (s - 1)
            middle = g.middle_shortcut(s, x, filters)
            for b in range(9 * self.blocks - 1):
                # One block of the original code lacks its last ReLU, and the weights were trained with it so.
                x = self._block(g, f"stage{s}/block{b}", x, filters, b == 0, ends=not (s == 3 and b == self.blocks - 1))
            x = g.sum(f"stage{s}/add", middle, x)
            if s < 3:
                x = g.max_pool(f"stage{s}/pool", g.relu(f"stage{s}/relu", x))
        return g.relu("head/relu", g.tap(g.sum("root_add", root, x)))

    @staticmethod
    def _block(g: Parts, path: str, x: str, filters: int, project: bool, ends: bool) -> str:
        shortcut = g.conv(f"{path}/shortcut", x, filters, 1) if project else x
        x = g.norm_relu(path, "1", g.conv(f"{path}/conv1", x, filters))
        x = g.dropout(path, x)
        x = g.norm(f"{path}/bn2", g.conv(f"{path}/conv2", x, filters))
        x = g.sum(f"{path}/add", shortcut, x)
        return g.relu(f"{path}/relu2", x) if ends else x

    @classmethod
    def candidates(cls, layers: Sequence[LayerShape]) -> Iterator[Self]:
        """6 (9 N − 1) + 1 BatchNorms."""
        counts = Counts.of(layers)
        if counts and (blocks := round(((counts.norms - 1) / 6 + 1) / 9)) > 0:
            yield cls(blocks, 1, counts.classes, counts.input_shape)
