"""Wide residual networks, as their Keras implementation of 2016–2017 has them, in two revisions.

Zagoruyko & Komodakis, "Wide Residual Networks", arXiv 1605.07146.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

from ror_port.network.families.family import Counts, Family, Parts
from ror_port.network.families.signature import LayerShape


class WRN(Family):
    """WRN-(6 N + 4)-k of the article (2017, Keras 2): no biases before a BatchNorm, strided convolutions.

    The repository's later revision trained with an L2 weight decay of 5e-4 on every kernel.
    """

    family = "WRN"
    class_name, model_type = "WRN", "wrn"
    sets_norm = True
    original = "create_wide_residual_network(input_dim, nb_classes, N, k, dropout)"

    epsilon = 1e-5
    momentum = 0.1

    @property
    def name(self) -> str:
        return f"WRN-{6 * self.blocks + 4}-{self.width}"

    def build(self, g: Parts, image: str) -> str:
        x = g.norm_relu("stem", "", g.tap(g.conv("stem/conv", image, 16, bias=False)))
        for s in (1, 2, 3):
            filters = 16 * self.width * 2 ** (s - 1)
            x = self._expand(g, f"stage{s}/block0", x, filters, stride=1 if s == 1 else 2)
            for b in range(1, self.blocks):
                x = self._block(g, f"stage{s}/block{b}", x, filters)
            x = g.tap(g.norm_relu(f"stage{s}", "", x))
        return x

    @staticmethod
    def _expand(g: Parts, path: str, x: str, filters: int, stride: int) -> str:
        y = g.norm_relu(path, "1", g.conv(f"{path}/conv1", x, filters, stride=stride, bias=False))
        y = g.conv(f"{path}/conv2", y, filters, bias=False)
        return g.sum(f"{path}/add", y, g.conv(f"{path}/shortcut", x, filters, 1, stride, bias=False))

    @staticmethod
    def _block(g: Parts, path: str, x: str, filters: int) -> str:
        y = g.conv(f"{path}/conv1", g.norm_relu(path, "1", x), filters, bias=False)
        y = g.dropout(path, y)
        y = g.conv(f"{path}/conv2", g.norm_relu(path, "2", y), filters, bias=False)
        return g.sum(f"{path}/add", x, y)

    @classmethod
    def candidates(cls, layers: Sequence[LayerShape]) -> Iterator[Self]:
        return _candidates(cls, layers)


class WRN2016(Family):
    """WRN-(6 N + 4)-k of 2016 (Keras 1): biases everywhere, max-pooling, no BatchNorm behind the last block."""

    family = "WRN 2016"
    class_name, model_type = "WRN2016", "wrn_2016"
    original = "create_wide_residual_network(input_dim, nb_classes, N, k, dropout)"

    @property
    def name(self) -> str:
        return f"WRN-{6 * self.blocks + 4}-{self.width} (2016 revision)"

    def build(self, g: Parts, image: str) -> str:
        x = g.norm_relu("stem", "", g.tap(g.conv("stem/conv", image, 16)))
        channels = 16
        for s in (1, 2, 3):
            filters = 16 * self.width * 2 ** (s - 1)
            for b in range(self.blocks):
                x = self._block(g, f"stage{s}/block{b}", x, filters, project=channels != filters)
                channels = filters
            x = g.max_pool(f"stage{s}/pool", x) if s < 3 else g.tap(x)
        return x

    @staticmethod
    def _block(g: Parts, path: str, x: str, filters: int, project: bool) -> str:
        shortcut = g.conv(f"{path}/shortcut", x, filters, 1) if project else x
        x = g.norm_relu(path, "1", g.conv(f"{path}/conv1", x, filters))
        x = g.dropout(path, x)
        x = g.norm_relu(path, "2", g.conv(f"{path}/conv2", x, filters))
        return g.sum(f"{path}/add", shortcut, x)

    @classmethod
    def candidates(cls, layers: Sequence[LayerShape]) -> Iterator[Self]:
        return _candidates(cls, layers)


N = TypeVar("N", bound=Family)


def _candidates(family: type[N], layers: Sequence[LayerShape]) -> Iterator[N]:
    """Either revision has 6 N + 1 BatchNorms; they differ in where."""
    counts = Counts.of(layers)
    if counts and (blocks := round((counts.norms - 1) / 6)) > 0:
        yield family(blocks, counts.width, counts.classes, counts.input_shape)
