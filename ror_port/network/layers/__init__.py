"""The kinds of layers that are known: a file a family, each with its twin of the same name in `ror_port.theano`."""

from __future__ import annotations

from ror_port.network.layers.activation import Activation, Softmax
from ror_port.network.layers.convolution import Conv2D
from ror_port.network.layers.core import Dense, Dropout, Flatten, Input, Permute
from ror_port.network.layers.layer import Layer
from ror_port.network.layers.merge import Add, Concatenate, Merge
from ror_port.network.layers.normalization import BatchNormalization
from ror_port.network.layers.padding import ZeroPadding2D
from ror_port.network.layers.pooling import AveragePooling2D, MaxPooling2D

LAYERS: tuple[type[Layer], ...] = (
    Input, Dense, Activation, Softmax, Flatten, Permute, Dropout,
    Conv2D, ZeroPadding2D, MaxPooling2D, AveragePooling2D, BatchNormalization,
    Add, Concatenate, Merge,
)  # fmt: skip
"""Every kind of layer that a stored architecture may hold."""

BY_KERAS_CLASS = {name: layer for layer in LAYERS for name in layer.keras}
"""Class name in a stored architecture of Keras 1 to 3 → kind of layer."""
