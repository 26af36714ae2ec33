"""What the families share: what a member is built from, and the parts that their graphs are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from ror_port.layout import DataFormat
from ror_port.network.families.signature import LayerShape
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import (
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
    Softmax,
)
from ror_port.network.layers.activation import RELU
from ror_port.network.layers.layer import Layer
from ror_port.network.layers.normalization import LATEST


@dataclass(frozen=True)
class Family(ABC):
    """One member of a family: what its tensors tell of it. Everything else is a setting of a layer in its graph.

    blocks: N, which sets the depth. width: widening factor k; stages have 16 k, 32 k and 64 k filters.
    input_shape: (height, width, channels), whatever the graph's data format.
    """

    family: ClassVar[str]
    original: ClassVar[str]
    """The call by which the original code created it."""

    class_name: ClassVar[str]
    """Of its PyTorch definition in `ror_port.models.networks_torch`."""

    model_type: ClassVar[str]
    """Of its Keras definition in `ror_port.models.networks_keras`, and in a PyTorch folder's config."""

    epsilon: ClassVar[float] = LATEST.epsilon
    momentum: ClassVar[float] = LATEST.momentum
    sets_norm: ClassVar[bool] = False
    """Whether the original code set epsilon and momentum, rather than leave them to its Keras."""

    blocks: int
    width: int = 1
    classes: int = 10
    input_shape: tuple[int, int, int] = (32, 32, 3)

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

    def graph(self, data_format: DataFormat = "channels_last", dropout: float = 0.0) -> Graph:
        """As the original code builds it on Theano. dropout: the rate; 0 leaves the layers out.

        Raises ValueError where an image is too small.
        """
        return self._graph(data_format, dropout)

    @lru_cache(maxsize=64)  # noqa: B019 - a few small values
    def _graph(self, data_format: DataFormat, dropout: float) -> Graph:
        g = Parts(self, data_format, dropout)
        height, width, channels = self.input_shape
        shape = (channels, height, width) if data_format == "channels_first" else self.input_shape
        x = self.build(g, g.add("image", Input(shape)))
        x = g.add("head/pool", AveragePooling2D((8, 8), (8, 8), data_format=data_format), x)
        x = g.tap(g.add("head/flatten", Flatten(), x))
        x = g.tap(g.add("head/dense", Dense(self.classes), x))
        g.add("head/softmax", Softmax(), x)
        return g.finish()

    def settings(self, graph: Graph) -> dict[str, Any]:
        """What a parallel definition is built from: the fields, and the settings that all layers of a graph share.

        Raises ValueError where they do not share them; the definitions have but one of each.
        """
        norms = {(layer.epsilon, layer.momentum) for layer in _layers(graph, BatchNormalization)}
        rates = {layer.rate for layer in _layers(graph, Dropout)}
        if len(norms) > 1 or len(rates) > 1:
            raise ValueError("its layers have different epsilons, momenta or rates")
        ((epsilon, momentum),) = norms
        paddings = {
            conv.padding for conv in _layers(graph, Conv2D) if max(conv.strides) > 1 and conv.padding != "valid"
        }
        return {
            **asdict(self),
            "dropout": next(iter(rates), 0.0),
            "epsilon": epsilon,
            "momentum": momentum,
            "padding": "same" if paddings == {"same"} else "half",
        }

    @classmethod
    @abstractmethod
    def candidates(cls, layers: Sequence[LayerShape]) -> Iterator[Self]:
        """Members that the counts and shapes of a file's layers suggest, likeliest first."""


L = TypeVar("L", bound=Layer)


def _layers(graph: Graph, kind: type[L]) -> Iterator[L]:
    return (node.layer for node in graph if isinstance(node.layer, kind))


class Parts(GraphBuilder):
    """A graph under construction, with the parts that several families are made of."""

    def __init__(self, family: Family, data_format: DataFormat, dropout: float) -> None:
        super().__init__()
        self.family, self.data_format, self.rate = family, data_format, dropout

    def norm(self, name: str, x: str) -> str:
        axis = 1 if self.data_format == "channels_first" else -1
        return self.add(name, BatchNormalization(self.family.epsilon, self.family.momentum, axis), x)

    def relu(self, name: str, x: str) -> str:
        return self.add(name, RELU, x)

    def norm_relu(self, path: str, index: str, x: str) -> str:
        return self.relu(f"{path}/relu{index}", self.norm(f"{path}/bn{index}", x))

    def conv(self, name: str, x: str, filters: int, size: int = 3, stride: int = 1, bias: bool = True) -> str:
        return self.add(name, self._conv(filters, size, stride, use_bias=bias), x)

    def _conv(self, filters: int, size: int, stride: int, use_bias: bool, initializer: str = "he_normal") -> Conv2D:
        return Conv2D(
            filters,
            (size, size),
            (stride, stride),
            use_bias=use_bias,
            initializer=initializer,
            data_format=self.data_format,
        )

    def dropout(self, path: str, x: str) -> str:
        return self.add(f"{path}/dropout", Dropout(self.rate), x) if self.rate else x

    def sum(self, name: str, *tensors: str) -> str:
        return self.add(name, Add(), *tensors)

    def long_shortcut(self, name: str, x: str, filters: int, stride: int, original_name: str) -> str:
        """A level-1 or level-2 shortcut of the RoR networks, named by their authors and initialised apart."""
        conv = self._conv(filters, 1, stride, use_bias=True, initializer="glorot_uniform")
        return self.add(name, conv, x, original_name=original_name)

    def root_shortcut(self, x: str, filters: int) -> str:
        return self.long_shortcut("root_shortcut", x, filters, 4, "conv0_level1_shortcut")

    def middle_shortcut(self, stage: int, x: str, filters: int) -> str:
        return self.long_shortcut(f"stage{stage}/middle_shortcut", x, filters, 1, f"conv{stage}_level2_shortcut")

    def max_pool(self, name: str, x: str) -> str:
        return self.tap(self.add(name, MaxPooling2D((2, 2), (2, 2), data_format=self.data_format), x))


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
        kernels = [layer.shapes["kernel"] for layer in layers if layer.kind is Conv2D]
        dense = [layer.shapes["kernel"] for layer in layers if layer.kind is Dense]
        if not kernels or not dense:
            return None
        return cls(
            norms=sum(layer.kind is BatchNormalization for layer in layers),
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
