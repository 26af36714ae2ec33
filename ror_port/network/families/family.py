"""What the families share: their configuration, and the parts that their graphs are built of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple, Self

from ror_port.network.families.signature import LayerShape
from ror_port.network.graph import (
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
    Padding,
    Relu,
    Softmax,
)

KERAS_EPSILON, KERAS_MOMENTUM = 1e-3, 0.99
"""Keras' defaults for BatchNorm since 1.2.0 (December 2016)."""


@dataclass(frozen=True)
class Network(ABC):
    """Configuration of one network: enough to build its graph from.

    blocks: N, which sets the depth. width: widening factor k; stages have 16 k, 32 k and 64 k filters.
    input_shape: (height, width, channels). epsilon, momentum: of every BatchNorm, as Keras counts them.
    padding: what 'same' means to a strided convolution: "half" in Theano, "same" in TensorFlow.
    """

    family: ClassVar[str]
    sets_norm: ClassVar[bool] = False
    """Whether the original code set epsilon and momentum, rather than leave them to its Keras."""
    original: ClassVar[str]
    """The call by which the original code created it."""

    blocks: int
    width: int = 1
    classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)
    dropout: float = 0.0
    epsilon: float = KERAS_EPSILON
    momentum: float = KERAS_MOMENTUM
    padding: Padding = "half"

    @property
    @abstractmethod
    def name(self) -> str:
        """As the literature calls it."""

    @property
    def summary(self) -> str:
        size = "×".join(map(str, self.input_shape))
        return f"N = {self.blocks}, width k = {self.width}, {self.classes} classes, {size} images"

    @abstractmethod
    def build(self, g: Parts, image: str) -> str:
        """Adds the nodes from the image to what the head pools; returns the last of them."""

    @lru_cache(maxsize=64)  # noqa: B019 - a few small values
    def graph(self) -> Graph:
        g = Parts(self)
        x = self.build(g, g.add("image", Input(self.input_shape)))
        x = g.add("head/pool", AveragePool(8), x)
        x = g.tap(g.add("head/flatten", Flatten(), x))
        x = g.tap(g.add("head/dense", Dense(self.classes), x))
        g.add("head/softmax", Softmax(), x)
        return g.finish()

    @classmethod
    @abstractmethod
    def candidates(cls, layers: Sequence[LayerShape]) -> Iterator[Self]:
        """Configurations that the counts and shapes of a file's layers suggest, likeliest first."""


class Parts(GraphBuilder):
    """A graph under construction, with the parts that several families are made of."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def norm(self, name: str, x: str) -> str:
        return self.add(name, BatchNorm(self.network.epsilon, self.network.momentum), x)

    def relu(self, name: str, x: str) -> str:
        return self.add(name, Relu(), x)

    def norm_relu(self, path: str, index: str, x: str) -> str:
        return self.relu(f"{path}/relu{index}", self.norm(f"{path}/bn{index}", x))

    def conv(self, name: str, x: str, filters: int, size: int = 3, stride: int = 1, bias: bool = True) -> str:
        return self.add(name, Conv(filters, size, stride, bias=bias, padding=self.network.padding), x)

    def dropout(self, path: str, x: str) -> str:
        rate = self.network.dropout
        return self.add(f"{path}/dropout", Dropout(rate), x) if rate else x

    def sum(self, name: str, *tensors: str) -> str:
        return self.add(name, Add(), *tensors)

    def long_shortcut(self, name: str, x: str, filters: int, stride: int, original_name: str) -> str:
        """A level-1 or level-2 shortcut of the RoR networks, named by their authors and initialised apart."""
        conv = Conv(filters, 1, stride, initializer="glorot_uniform", padding=self.network.padding)
        return self.add(name, conv, x, original_name=original_name)

    def root_shortcut(self, x: str, filters: int) -> str:
        return self.long_shortcut("root_shortcut", x, filters, 4, "conv0_level1_shortcut")

    def middle_shortcut(self, stage: int, x: str, filters: int) -> str:
        return self.long_shortcut(f"stage{stage}/middle_shortcut", x, filters, 1, f"conv{stage}_level2_shortcut")

    def max_pool(self, name: str, x: str) -> str:
        return self.tap(self.add(name, MaxPool(2), x))


class Counts(NamedTuple):
    """What candidates are read off: counts and outer shapes of a file's layers."""

    norms: int
    convolutions: int
    widest: int
    features: int
    classes: int
    channels: int

    @classmethod
    def of(cls, layers: Sequence[LayerShape]) -> Counts | None:
        """None where a file has no convolution or no Dense layer."""
        kernels = [layer.shapes["kernel"] for layer in layers if layer.kind == "conv"]
        dense = [layer.shapes["kernel"] for layer in layers if layer.kind == "dense"]
        if not kernels or not dense:
            return None
        return cls(
            norms=sum(layer.kind == "batch_norm" for layer in layers),
            convolutions=len(kernels),
            widest=max(kernel[3] for kernel in kernels),
            features=dense[-1][0],
            classes=dense[-1][1],
            channels=next((kernel[2] for kernel in kernels if kernel[2] <= 4), 3),
        )

    @property
    def width(self) -> int:
        return max(1, round(self.widest / 64))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The smallest square image that leaves as many positions as the Dense layer has: 32×32 leaves one."""
        side = 32 * max(1, round((self.features / (64 * self.width)) ** 0.5))
        return side, side, self.channels
