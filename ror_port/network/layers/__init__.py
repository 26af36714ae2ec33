"""The kinds of layers that are known: a file a family, each with its twin of the same name in `ror_port.theano`."""

from __future__ import annotations

from ror_port.network.layers.activation import ELU, Activation, ReLU, Rescaling, Softmax
from ror_port.network.layers.conv_recurrent import ConvLSTM2D
from ror_port.network.layers.convolution import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from ror_port.network.layers.core import Dense, Dropout, Flatten, Input, Permute, RepeatVector, Reshape
from ror_port.network.layers.layer import Layer
from ror_port.network.layers.local import EinsumDense, LocallyConnected1D, LocallyConnected2D
from ror_port.network.layers.merge import (
    Add,
    Average,
    Concatenate,
    Cosine,
    Dot,
    Maximum,
    Merge,
    Minimum,
    Multiply,
    Subtract,
)
from ror_port.network.layers.normalization import BatchNormalization, UnitNormalization
from ror_port.network.layers.old_dense import Highway, MaxoutDense
from ror_port.network.layers.padding import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from ror_port.network.layers.parametric import ParametricSoftplus, PReLU, SReLU
from ror_port.network.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from ror_port.network.layers.recurrent import GRU, LSTM, SimpleRNN
from ror_port.network.layers.sequence import Embedding, Masking, Reverse
from ror_port.network.layers.upsampling import UpSampling1D, UpSampling2D, UpSampling3D
from ror_port.network.layers.wrappers import Bidirectional, TimeDistributed

LAYERS: tuple[type[Layer], ...] = (
    Input, Dense, MaxoutDense, Highway, Activation, Softmax, ReLU, ELU, PReLU, ParametricSoftplus, SReLU, Rescaling,
    Flatten, Reshape, Permute, RepeatVector, Dropout,
    Conv1D, Conv2D, Conv3D, DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D,
    Conv2DTranspose, Conv3DTranspose, EinsumDense, LocallyConnected1D, LocallyConnected2D,
    MaxPooling1D, MaxPooling2D, MaxPooling3D, AveragePooling1D, AveragePooling2D, AveragePooling3D,
    GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
    GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
    ZeroPadding1D, ZeroPadding2D, ZeroPadding3D, Cropping1D, Cropping2D, Cropping3D,
    UpSampling1D, UpSampling2D, UpSampling3D,
    BatchNormalization, UnitNormalization,
    Embedding, Masking, SimpleRNN, GRU, LSTM, ConvLSTM2D, Reverse, TimeDistributed, Bidirectional,
    Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot, Cosine, Merge,
)  # fmt: skip
"""Every kind of layer that a stored architecture may hold."""

BY_NAME = {layer.__name__: layer for layer in LAYERS}
"""Name of a kind of layer → the kind; `ror_port.extensions` may add some, here and below."""

BY_KERAS_CLASS = {name: layer for layer in LAYERS for name in layer.keras}
"""Class name in a stored architecture of Keras 1 to 3 → kind of layer."""

ALSO_BY_KERAS_CLASS: dict[str, list[type[Layer]]] = {}
"""The same, for kinds that other packages bring and that are written as a layer which Keras has."""
