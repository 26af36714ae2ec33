"""RoR-3-WRN and Pre-RoR-3 in Keras 3, of stock layers only.

Zhang et al., "Residual Networks of Residual Networks: Multilevel Residual Networks", arXiv 1608.02908, as its
Keras 1 implementation of 2016 has it: max-pooling between the stages, a projection in the first block of each.
`ror_wrn_torch` is the same network in PyTorch, to be read side by side. This file needs nothing but Keras.
"""

from __future__ import annotations

from typing import Any

from keras import Input, Model, layers


def ror_wrn(
    blocks: int,
    width: int,
    classes: int = 10,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    dropout: float = 0.0,
    epsilon: float = 1e-3,
    momentum: float = 0.99,
    data_format: str = "channels_last",
    logits: bool = False,
) -> Model:
    """RoR-3-WRN-(6 blocks + 4)-width; width 1 is Pre-RoR-3.

    blocks: residual blocks in each of the three stages. input_shape: (height, width, channels) whatever the
    data format. epsilon, momentum: of every BatchNorm. logits: end before the softmax.

    Takes (batch, height, width, channels), or (batch, channels, height, width) with "channels_first", scaled as
    in training (pixels / 255); returns (batch, classes).
    """
    axis = -1 if data_format == "channels_last" else 1

    def conv(name: str, filters: int, size: int, stride: int = 1, initializer: str = "he_normal") -> layers.Layer:
        return layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding="same",
            data_format=data_format,
            kernel_initializer=initializer,
            name=name,
        )

    def norm_relu(path: str, index: str, x: Any) -> Any:
        x = layers.BatchNormalization(axis=axis, momentum=momentum, epsilon=epsilon, name=f"{path}_bn{index}")(x)
        return layers.Activation("relu", name=f"{path}_relu{index}")(x)

    def block(path: str, x: Any, filters: int, project: bool) -> Any:
        shortcut = conv(f"{path}_shortcut", filters, 1)(x) if project else x
        x = norm_relu(path, "1", x)
        x = conv(f"{path}_conv1", filters, 3)(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"{path}_dropout")(x)
        x = norm_relu(path, "2", x)
        x = conv(f"{path}_conv2", filters, 3)(x)
        return layers.Add(name=f"{path}_add")([shortcut, x])

    height, columns, channels = input_shape
    image = Input(input_shape if axis == -1 else (channels, height, columns), name="image")
    x = conv("stem_conv", 16, 3)(image)  # 32×32×16
    root = conv("root_shortcut", 64 * width, 1, 4, "glorot_uniform")(x)  # level 1: 8×8×64k
    for s in (1, 2, 3):  # 32×32×16k, 16×16×32k, 8×8×64k
        filters = 16 * width * 2 ** (s - 1)
        middle = conv(f"stage{s}_middle_shortcut", filters, 1, 1, "glorot_uniform")(x)  # level 2
        for b in range(blocks):
            x = block(f"stage{s}_block{b}", x, filters, project=b == 0)  # level 3
        x = layers.Add(name=f"stage{s}_add")([middle, x])
        if s < 3:
            x = layers.MaxPooling2D(2, data_format=data_format, name=f"stage{s}_pool")(x)
    x = layers.Add(name="root_add")([root, x])
    x = norm_relu("head", "", x)
    x = layers.AveragePooling2D(8, data_format=data_format, name="head_pool")(x)  # 1×1×64k
    x = layers.Flatten(data_format=data_format, name="head_flatten")(x)
    x = layers.Dense(classes, name="head_dense")(x)
    if not logits:
        x = layers.Softmax(name="head_softmax")(x)
    return Model(image, x, name="model")
