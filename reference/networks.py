"""The networks in the Keras 1 functional API, as their authors' users built them. Python 2.7 and 3.6.

Layers are created in the order of the original code, because Keras numbers automatic names by
creation: ``convolution2d_1`` is the stem, ``convolution2d_2`` the projection of the first block.
Only the four long shortcuts have names of their own.
"""
from keras.layers import (
    Activation, AveragePooling2D, BatchNormalization, Convolution2D, Dense, Dropout, Flatten, Input,
    MaxPooling2D, merge)
from keras.models import Model


def _conv(x, filters, size, stride=1, **kwargs):
    return Convolution2D(filters, size, size, subsample=(stride, stride), border_mode='same', **kwargs)(x)


def _bn_relu(x):
    axis = 1  # image_dim_ordering "th": (batch, channels, rows, cols)
    return Activation('relu')(BatchNormalization(axis=axis)(x))


def ror_wrn(blocks, width, classes=10, dropout=0.0, input_shape=(3, 32, 32)):
    """RoR-3-WRN-(6*blocks+4)-width; width 1 is Pre-RoR-3. arXiv 1608.02908, arXiv 1605.07146."""
    image = Input(shape=input_shape)
    x = _conv(image, 16, 3, init='he_normal')
    root = _conv(x, 64 * width, 1, stride=4, name='conv0_level1_shortcut')
    for stage in (1, 2, 3):
        filters = 16 * width * 2 ** (stage - 1)
        middle = _conv(x, filters, 1, name='conv%d_level2_shortcut' % stage)
        for block in range(blocks):
            shortcut = _conv(x, filters, 1, init='he_normal') if block == 0 else x
            residual = _conv(_bn_relu(x), filters, 3, init='he_normal')
            if dropout:
                residual = Dropout(dropout)(residual)
            residual = _conv(_bn_relu(residual), filters, 3, init='he_normal')
            x = merge([shortcut, residual], mode='sum')
        x = merge([middle, x], mode='sum')
        if stage < 3:
            x = MaxPooling2D((2, 2))(x)
    x = merge([root, x], mode='sum')
    x = _bn_relu(x)
    x = AveragePooling2D((8, 8), strides=(8, 8))(x)
    x = Flatten()(x)
    return Model(image, Dense(classes, activation='softmax')(x))
