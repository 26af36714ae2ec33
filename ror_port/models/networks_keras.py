"""RoR-3-WRN, Pre-RoR-3, RoR-3 and wide residual networks in Keras 3, of stock layers only.

RoR: Zhang et al., "Residual Networks of Residual Networks: Multilevel Residual Networks", arXiv 1608.02908.
WRN: Zagoruyko & Komodakis, "Wide Residual Networks", arXiv 1605.07146. Both as their Keras 1 implementations of
2016–2017 have them, whose weights these definitions take. `networks_torch` has the same networks in PyTorch, to be
read side by side. This file needs nothing but Keras.

Every function returns a `keras.Model` from (batch, height, width, channels), or (batch, channels, height, width)
with "channels_first", scaled as in training (pixels / 255), to (batch, classes). Common keywords:

    classes, input_shape    (height, width, channels), whatever the data format
    dropout                 rate inside the blocks; none where 0
    epsilon, momentum       of every BatchNorm
    data_format             "channels_last" or "channels_first"
    padding                 of strided 3×3 convolutions: "half" as in Theano, "same" as in TensorFlow
    weight_decay            L2 on every kernel of a convolution or Dense layer
    logits                  end before the softmax

Initialisers are the originals': He normal, and Keras' default (Glorot uniform) for long shortcuts and Dense.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import Input, Model, layers, regularizers


def ror_wrn(blocks: int, width: int, classes: int = 10, **options: Any) -> Model:
    """RoR-3-WRN-(6 blocks + 4)-width; width 1 is Pre-RoR-3.

    Originally ``create_pre_residual_of_residual(input_dim, nb_classes, N, k, dropout)``.
    """

    def block(p: Parts, path: str, x: Any, filters: int, project: bool) -> Any:
        shortcut = p.conv(f"{path}_shortcut", x, filters, 1) if project else x
        x = p.norm_relu(path, "1", x)
        x = p.conv(f"{path}_conv1", x, filters)
        x = p.drop(path, x)
        x = p.norm_relu(path, "2", x)
        x = p.conv(f"{path}_conv2", x, filters)
        return p.add(f"{path}_add", shortcut, x)

    def body(p: Parts, image: Any) -> Any:
        x = p.conv("stem_conv", image, 16)  # 32×32×16
        root = p.long_shortcut("root_shortcut", x, 64 * width, stride=4)  # level 1: 8×8×64k
        for s in (1, 2, 3):  # 32×32×16k, 16×16×32k, 8×8×64k
            filters = 16 * width * 2 ** (s - 1)
            middle = p.long_shortcut(f"stage{s}_middle_shortcut", x, filters)  # level 2
            for b in range(blocks):
                x = block(p, f"stage{s}_block{b}", x, filters, project=b == 0)  # level 3
            x = p.add(f"stage{s}_add", middle, x)
            if s < 3:
                x = p.max_pool(f"stage{s}_pool", x)
        x = p.add("root_add", root, x)
        return p.norm_relu("head", "", x)

    return _model(body, classes, **options)


def ror(blocks: int, classes: int = 10, **options: Any) -> Model:
    """RoR-3-(6 (9 blocks − 1) + 8): 1, 2, 3 make RoR-3-56, -110, -164.

    Originally ``create_residual_of_residual(input_dim, nb_classes, N, dropout)``.
    """

    def block(p: Parts, path: str, x: Any, filters: int, project: bool, ends: bool) -> Any:
        shortcut = p.conv(f"{path}_shortcut", x, filters, 1) if project else x
        x = p.conv(f"{path}_conv1", x, filters)
        x = p.norm_relu(path, "1", x)
        x = p.drop(path, x)
        x = p.conv(f"{path}_conv2", x, filters)
        x = p.norm(f"{path}_bn2", x)
        x = p.add(f"{path}_add", shortcut, x)
        return p.relu(f"{path}_relu2", x) if ends else x

    def body(p: Parts, image: Any) -> Any:
        x = p.conv("stem_conv", image, 16)
        x = p.norm_relu("stem", "", x)
        root = p.long_shortcut("root_shortcut", x, 64, stride=4)
        for s in (1, 2, 3):
            filters = 16 * 2 ** (s - 1)
            middle = p.long_shortcut(f"stage{s}_middle_shortcut", x, filters)
            for b in range(9 * blocks - 1):
                ends = not (s == 3 and b == blocks - 1)  # a quirk of the original, trained with
                x = block(p, f"stage{s}_block{b}", x, filters, b == 0, ends)
            x = p.add(f"stage{s}_add", middle, x)
            if s < 3:
                x = p.relu(f"stage{s}_relu", x)
                x = p.max_pool(f"stage{s}_pool", x)
        x = p.add("root_add", root, x)
        return p.relu("head_relu", x)

    return _model(body, classes, **options)


def wrn(blocks: int, width: int, classes: int = 10, **options: Any) -> Model:
    """WRN-(6 blocks + 4)-width of the article: no biases, strided convolutions. It trained with weight_decay 5e-4.

    Originally ``create_wide_residual_network(input_dim, nb_classes, N, k, dropout)``.
    """

    def expand(p: Parts, path: str, x: Any, filters: int, stride: int) -> Any:
        y = p.conv(f"{path}_conv1", x, filters, stride=stride, bias=False)
        y = p.norm_relu(path, "1", y)
        y = p.conv(f"{path}_conv2", y, filters, bias=False)
        return p.add(f"{path}_add", y, p.conv(f"{path}_shortcut", x, filters, 1, stride, bias=False))

    def block(p: Parts, path: str, x: Any, filters: int) -> Any:
        y = p.norm_relu(path, "1", x)
        y = p.conv(f"{path}_conv1", y, filters, bias=False)
        y = p.drop(path, y)
        y = p.norm_relu(path, "2", y)
        y = p.conv(f"{path}_conv2", y, filters, bias=False)
        return p.add(f"{path}_add", x, y)

    def body(p: Parts, image: Any) -> Any:
        x = p.conv("stem_conv", image, 16, bias=False)
        x = p.norm_relu("stem", "", x)
        for s in (1, 2, 3):
            filters = 16 * width * 2 ** (s - 1)
            x = expand(p, f"stage{s}_block0", x, filters, stride=1 if s == 1 else 2)
            for b in range(1, blocks):
                x = block(p, f"stage{s}_block{b}", x, filters)
            x = p.norm_relu(f"stage{s}", "", x)
        return x

    return _model(body, classes, **{"epsilon": 1e-5, "momentum": 0.1, **options})


def wrn_2016(blocks: int, width: int, classes: int = 10, **options: Any) -> Model:
    """WRN-(6 blocks + 4)-width as of 2016: biases, max-pooling, no BatchNorm behind the last block.

    Originally ``create_wide_residual_network(input_dim, nb_classes, N, k, dropout)``.
    """

    def block(p: Parts, path: str, x: Any, filters: int, project: bool) -> Any:
        shortcut = p.conv(f"{path}_shortcut", x, filters, 1) if project else x
        x = p.conv(f"{path}_conv1", x, filters)
        x = p.norm_relu(path, "1", x)
        x = p.drop(path, x)
        x = p.conv(f"{path}_conv2", x, filters)
        x = p.norm_relu(path, "2", x)
        return p.add(f"{path}_add", shortcut, x)

    def body(p: Parts, image: Any) -> Any:
        x = p.conv("stem_conv", image, 16)
        x = p.norm_relu("stem", "", x)
        channels = 16
        for s in (1, 2, 3):
            filters = 16 * width * 2 ** (s - 1)
            for b in range(blocks):
                x = block(p, f"stage{s}_block{b}", x, filters, project=channels != filters)
                channels = filters
            if s < 3:
                x = p.max_pool(f"stage{s}_pool", x)
        return x

    return _model(body, classes, **options)


@dataclass(frozen=True)
class Parts:
    """The layers that the networks are made of."""

    dropout: float
    epsilon: float
    momentum: float
    data_format: str
    padding: str
    weight_decay: float

    def conv(
        self,
        name: str,
        x: Any,
        filters: int,
        size: int = 3,
        stride: int = 1,
        bias: bool = True,
        initializer: str = "he_normal",
    ) -> Any:
        padding = "same"
        if self.padding == "half" and min(size, stride) > 1:
            padding = "valid"
            x = layers.ZeroPadding2D(size // 2, data_format=self.data_format, name=f"{name}_pad")(x)
        return layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding=padding,
            data_format=self.data_format,
            use_bias=bias,
            kernel_initializer=initializer,
            kernel_regularizer=self.decay(),
            name=name,
        )(x)

    def long_shortcut(self, name: str, x: Any, filters: int, stride: int = 1) -> Any:
        return self.conv(name, x, filters, 1, stride, initializer="glorot_uniform")

    def norm(self, name: str, x: Any) -> Any:
        axis = -1 if self.data_format == "channels_last" else 1
        return layers.BatchNormalization(axis=axis, momentum=self.momentum, epsilon=self.epsilon, name=name)(x)

    def relu(self, name: str, x: Any) -> Any:
        return layers.Activation("relu", name=name)(x)

    def norm_relu(self, path: str, index: str, x: Any) -> Any:
        return self.relu(f"{path}_relu{index}", self.norm(f"{path}_bn{index}", x))

    def drop(self, path: str, x: Any) -> Any:
        return layers.Dropout(self.dropout, name=f"{path}_dropout")(x) if self.dropout else x

    def add(self, name: str, *tensors: Any) -> Any:
        return layers.Add(name=name)(list(tensors))

    def max_pool(self, name: str, x: Any) -> Any:
        return layers.MaxPooling2D(2, data_format=self.data_format, name=name)(x)

    def decay(self) -> Any:
        return regularizers.L2(self.weight_decay) if self.weight_decay else None


def _model(
    body: Callable[[Parts, Any], Any],
    classes: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    dropout: float = 0.0,
    epsilon: float = 1e-3,
    momentum: float = 0.99,
    data_format: str = "channels_last",
    padding: str = "half",
    weight_decay: float = 0.0,
    logits: bool = False,
) -> Model:
    """The body between its input and the common head."""
    p = Parts(dropout, epsilon, momentum, data_format, padding, weight_decay)
    height, columns, channels = input_shape
    image = Input(input_shape if data_format == "channels_last" else (channels, height, columns), name="image")
    x = body(p, image)
    x = layers.AveragePooling2D(8, data_format=data_format, name="head_pool")(x)  # 1×1×64k
    x = layers.Flatten(data_format=data_format, name="head_flatten")(x)
    x = layers.Dense(classes, kernel_regularizer=p.decay(), name="head_dense")(x)
    if not logits:
        x = layers.Softmax(name="head_softmax")(x)
    return Model(image, x, name="model")
