"""The networks in the Keras 1 functional API, as their authors' users built them.

Runs on Keras 1.0.6 to 2.3.1 (which still takes the old arguments), Python 2.7 and 3.6, in either dim ordering.
Layers are created in the order of the original code, because Keras numbers automatic names by creation:
``convolution2d_1`` is the stem, ``convolution2d_2`` the projection of the first block. Only the four long
shortcuts of the RoR networks have names of their own.
"""
import keras
from keras import backend as K
from keras.layers import (
    Activation, AveragePooling2D, BatchNormalization, Convolution2D, Dense, Dropout, Flatten, Input,
    MaxPooling2D)
from keras.models import Model

KERAS_2 = keras.__version__.startswith('2.')


def channels_first():
    return (K.image_data_format() == 'channels_first') if KERAS_2 else (K.image_dim_ordering() == 'th')


def _conv(x, filters, size, stride=1, **kwargs):
    return Convolution2D(filters, size, size, subsample=(stride, stride), border_mode='same', **kwargs)(x)


def _bn(x, **kwargs):
    return BatchNormalization(axis=1 if channels_first() else -1, **kwargs)(x)


def _bn_relu(x, **kwargs):
    return Activation('relu')(_bn(x, **kwargs))


def _add(*tensors):
    if KERAS_2:
        return keras.layers.add(list(tensors))
    return keras.layers.merge(list(tensors), mode='sum')


def _image(size):
    return Input(shape=(3, size, size) if channels_first() else (size, size, 3))


def _head(image, x, classes):
    x = AveragePooling2D((8, 8), strides=(8, 8))(x)
    return Model(image, Dense(classes, activation='softmax')(Flatten()(x)))


def ror_wrn(blocks, width, classes=10, dropout=0.0, size=32):
    """RoR-3-WRN-(6*blocks+4)-width; width 1 is Pre-RoR-3. arXiv 1608.02908, arXiv 1605.07146."""
    image = _image(size)
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
            x = _add(shortcut, residual)
        x = _add(middle, x)
        if stage < 3:
            x = MaxPooling2D((2, 2))(x)
    return _head(image, _bn_relu(_add(root, x)), classes)


def ror(blocks, width=1, classes=10, dropout=0.0, size=32):
    """RoR-3-(6*(9*blocks-1)+8): RoR-3-56, -110, -164. In stage 3 the block with index blocks-1 ends without ReLU."""
    image = _image(size)
    x = _bn_relu(_conv(image, 16, 3, init='he_normal'))
    root = _conv(x, 64, 1, stride=4, name='conv0_level1_shortcut')
    for stage in (1, 2, 3):
        filters = 16 * 2 ** (stage - 1)
        middle = _conv(x, filters, 1, name='conv%d_level2_shortcut' % stage)
        for block in range(9 * blocks - 1):
            shortcut = _conv(x, filters, 1, init='he_normal') if block == 0 else x
            residual = _bn_relu(_conv(x, filters, 3, init='he_normal'))
            if dropout:
                residual = Dropout(dropout)(residual)
            residual = _bn(_conv(residual, filters, 3, init='he_normal'))
            x = _add(shortcut, residual)
            if not (stage == 3 and block == blocks - 1):
                x = Activation('relu')(x)
        x = _add(middle, x)
        if stage < 3:
            x = MaxPooling2D((2, 2))(Activation('relu')(x))
    return _head(image, Activation('relu')(_add(root, x)), classes)


def wrn(blocks, width, classes=10, dropout=0.0, size=32):
    """WRN-(6*blocks+4)-width as of 2017: no biases, epsilon 1e-5, momentum 0.1, strided convolutions."""
    # Theano 0.9 and later want an epsilon of at least 1e-5, and float32(1e-5) falls short of it.
    epsilon = 1e-5 if K.floatx() == 'float64' else 1.0000002e-5
    norm = dict(epsilon=epsilon, momentum=0.1)
    plain = dict(init='he_normal', bias=False)
    image = _image(size)
    x = _bn_relu(_conv(image, 16, 3, **plain), **norm)
    for stage in (1, 2, 3):
        filters = 16 * width * 2 ** (stage - 1)
        stride = 1 if stage == 1 else 2
        residual = _bn_relu(_conv(x, filters, 3, stride, **plain), **norm)
        residual = _conv(residual, filters, 3, **plain)
        x = _add(residual, _conv(x, filters, 1, stride, **plain))
        for _ in range(blocks - 1):
            residual = _conv(_bn_relu(x, **norm), filters, 3, **plain)
            if dropout:
                residual = Dropout(dropout)(residual)
            residual = _conv(_bn_relu(residual, **norm), filters, 3, **plain)
            x = _add(x, residual)
        x = _bn_relu(x, **norm)
    return _head(image, x, classes)


def wrn_2016(blocks, width, classes=10, dropout=0.0, size=32):
    """WRN-(6*blocks+4)-width as of 2016: biases, projections where channels differ, max-pooling, no final BN."""
    image = _image(size)
    x = _bn_relu(_conv(image, 16, 3, init='he_normal'))
    channels = 16
    for stage in (1, 2, 3):
        filters = 16 * width * 2 ** (stage - 1)
        for _ in range(blocks):
            shortcut = x if channels == filters else _conv(x, filters, 1, init='he_normal')
            residual = _bn_relu(_conv(x, filters, 3, init='he_normal'))
            if dropout:
                residual = Dropout(dropout)(residual)
            residual = _bn_relu(_conv(residual, filters, 3, init='he_normal'))
            x, channels = _add(shortcut, residual), filters
        if stage < 3:
            x = MaxPooling2D((2, 2))(x)
    return _head(image, x, classes)


FAMILIES = {'ror_wrn': ror_wrn, 'ror': ror, 'wrn': wrn, 'wrn_2016': wrn_2016}
