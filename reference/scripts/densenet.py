"""Densely connected layers on CIFAR-10, in either ordering of the dimensions."""
import time

import numpy as np
from keras import backend as K
from keras.datasets import cifar10
from keras.layers import Dense, Input, merge
from keras.layers.convolutional import Convolution2D
from keras.layers.core import Activation, Dropout
from keras.layers.normalization import BatchNormalization
from keras.layers.pooling import AveragePooling2D, GlobalAveragePooling2D
from keras.models import Model
from keras.optimizers import Adam
from keras.regularizers import l2
from keras.utils import np_utils

classes, depth, blocks, growth, maps, drop, decay = 10, 10, 3, 3, 4, 0.2, 1E-4
channels = 1 if K.image_dim_ordering() == "th" else -1


def conv(x, count, size, **more):
    return Convolution2D(count, size, size, init="he_uniform", border_mode="same", bias=False,
                         W_regularizer=l2(decay), **more)(x)


def composite(x, count, size):
    x = conv(Activation('relu')(x), count, size)
    return Dropout(drop)(x) if drop else x


def grown(x, count, layers):
    """Every layer sees what all before it gave."""
    given = [x]
    for _ in range(layers):
        x = composite(x, growth, 3)
        given.append(x)
        x = merge(given, mode='concat', concat_axis=channels)
        count += growth
    return x, count


def halved(x, count):
    x = AveragePooling2D((2, 2), strides=(2, 2))(composite(x, count, 1))
    return BatchNormalization(mode=0, axis=channels, gamma_regularizer=l2(decay), beta_regularizer=l2(decay))(x)


def dense_net(shape):
    layers = int((depth - 4) / 3)
    assert 3 * layers + 4 == depth
    picture = Input(shape=shape)
    x = conv(picture, maps, 3, name="first")
    x, count = BatchNormalization(mode=0, axis=channels)(x), maps
    for block in range(blocks):
        x, count = grown(x, count, layers)
        if block < blocks - 1:
            x = halved(x, count)
    x = GlobalAveragePooling2D(dim_ordering=K.image_dim_ordering())(Activation('relu')(x))
    x = Dense(classes, activation='softmax', W_regularizer=l2(decay), b_regularizer=l2(decay))(x)
    return Model(input=[picture], output=[x], name="dense net")


(train, labels), (test, test_labels) = cifar10.load_data()
wanted = np_utils.to_categorical(labels, classes)
net = dense_net(train.shape[1:])
net.summary()
net.compile(Adam(lr=1E-3, beta_1=0.9, beta_2=0.999, epsilon=1e-08), 'categorical_crossentropy', metrics=["accuracy"])

curve = []
for epoch in range(3):
    begun, order = time.time(), np.random.permutation(len(train))
    parts = np.array_split(order, max(1, len(order) // 1000))[:4]
    losses = [net.train_on_batch(train[part] / 255., wanted[part])[0] for part in parts]
    curve.append(np.mean(losses))
    print('epoch %s: loss %.3f, %.1f s' % (epoch, curve[-1], time.time() - begun))
print('best %.3f, last %r' % (min(curve), [round(loss, 3) for loss in curve[-2:]]))
