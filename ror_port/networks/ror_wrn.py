"""RoR-3-WRN and Pre-RoR-3: wide and pre-activation residual networks with three levels of shortcuts.

Zhang et al., "Residual Networks of Residual Networks: Multilevel Residual Networks", arXiv 1608.02908, as
implemented in Keras 1 in 2016, whose weights these are. That code differs from the paper: it downsamples by
max-pooling, and it projects the shortcut in the first block of every stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ror_port.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Graph,
    GraphBuilder,
    Input,
    MaxPool,
    Relu,
    Softmax,
)
from ror_port.networks.signature import LayerShape


@dataclass(frozen=True)
class RoRWRN:
    """Configuration of one network of the family.

    blocks: residual blocks in each of the three stages (N); depth is 6 N + 4.
    width: widening factor (k): stages have 16 k, 32 k and 64 k filters. 1 is Pre-RoR.
    input_shape: (height, width, channels).
    """

    family = "RoR-WRN"

    blocks: int
    width: int
    classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)
    dropout: float = 0.0
    epsilon: float = 1e-3
    momentum: float = 0.99

    @property
    def name(self) -> str:
        depth = 6 * self.blocks + 4
        return f"Pre-RoR-3-{depth}" if self.width == 1 else f"RoR-3-WRN-{depth}-{self.width}"

    @property
    def summary(self) -> str:
        return f"N = {self.blocks} blocks a stage, width k = {self.width}, {self.classes} classes"

    def graph(self) -> Graph:
        g = GraphBuilder()

        def bn_relu(path: str, index: str, x: str) -> str:
            x = g.add(f"{path}/bn{index}", BatchNorm(self.epsilon, self.momentum), x)
            return g.add(f"{path}/relu{index}", Relu(), x)

        def block(path: str, x: str, filters: int, project: bool) -> str:
            shortcut = g.add(f"{path}/shortcut", Conv(filters, 1), x) if project else x
            x = bn_relu(path, "1", x)
            x = g.add(f"{path}/conv1", Conv(filters, 3), x)
            if self.dropout:
                x = g.add(f"{path}/dropout", Dropout(self.dropout), x)
            x = bn_relu(path, "2", x)
            x = g.add(f"{path}/conv2", Conv(filters, 3), x)
            return g.add(f"{path}/add", Add(), shortcut, x)

        def long_shortcut(path: str, x: str, filters: int, stride: int, original_name: str) -> str:
            return g.add(path, Conv(filters, 1, stride, "glorot_uniform"), x, original_name=original_name)

        image = g.add("image", Input(self.input_shape))
        x = g.tap(g.add("stem/conv", Conv(16, 3), image))
        root = long_shortcut("root_shortcut", x, 64 * self.width, 4, "conv0_level1_shortcut")
        for s in (1, 2, 3):
            filters = 16 * self.width * 2 ** (s - 1)
            middle = long_shortcut(f"stage{s}/middle_shortcut", x, filters, 1, f"conv{s}_level2_shortcut")
            for b in range(self.blocks):
                x = block(f"stage{s}/block{b}", x, filters, project=b == 0)
            x = g.add(f"stage{s}/add", Add(), middle, x)
            if s < 3:
                x = g.tap(g.add(f"stage{s}/pool", MaxPool(2), x))
        x = g.tap(g.add("root_add", Add(), root, x))
        x = bn_relu("head", "", x)
        x = g.add("head/pool", AveragePool(8), x)
        x = g.tap(g.add("head/flatten", Flatten(), x))
        x = g.tap(g.add("head/dense", Dense(self.classes), x))
        g.add("head/softmax", Softmax(), x)
        return g.build()

    @classmethod
    def candidates(cls, layers: Sequence[LayerShape]) -> Iterator[RoRWRN]:
        """Configurations that the counts and widths of the layers suggest, likeliest first.

        A network has 6 N + 1 BatchNorms and 6 N + 8 convolutions; its Dense layer has 64 k inputs for each
        of the positions that the last pooling leaves.
        """
        shapes = [layer.shapes for layer in layers]
        norms = sum("gamma" in shape for shape in shapes)
        kernels = [shape["kernel"] for shape in shapes if len(shape.get("kernel", ())) == 4]
        dense = [shape["kernel"] for shape in shapes if len(shape.get("kernel", ())) == 2]
        if not kernels or not dense:
            return
        features, classes = dense[-1]
        widest = max(kernel[3] for kernel in kernels)
        width = max(1, round(widest / 64))
        positions = max(1, features // (64 * width))
        side = 32 * max(1, round(positions**0.5))  # 32×32 leaves one position, 64×64 leaves 2×2
        channels = next((kernel[2] for kernel in kernels if kernel[2] <= 4), 3)
        for blocks in dict.fromkeys((round((norms - 1) / 6), round((len(kernels) - 8) / 6))):
            if blocks > 0:
                yield cls(blocks, width, classes, (side, side, channels))
