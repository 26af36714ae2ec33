"""RoR-3 on a wide residual network, for CIFAR-10. A small version that trains on a laptop."""
import numpy as np
from sklearn.metrics import classification_report

import keras.callbacks as callbacks
import keras.utils.np_utils as kutils
from keras import backend as K
from keras.datasets import cifar10
from keras.layers import Activation, BatchNormalization, Convolution2D, Dense, Dropout, Flatten, Input, merge
from keras.layers.convolutional import AveragePooling2D
from keras.models import Model
from keras.optimizers import SGD
from keras.preprocessing.image import ImageDataGenerator

CLASSES = 10
N, WIDTH, BASE, DROP = 2, 1, 4, 0.3

channels_first = K.image_dim_ordering() == "th"
axis = 1 if channels_first else -1
shape = (3, 32, 32) if channels_first else (32, 32, 3)


def norm_relu_conv(x, maps, stride=1, drop=0.0):
    x = Activation('relu')(BatchNormalization(axis=axis)(x))
    if drop:
        x = Dropout(drop)(x)
    return Convolution2D(maps, 3, 3, subsample=(stride, stride), border_mode='same', init='he_normal', bias=False)(x)


def shortcut(x, maps, stride):
    return Convolution2D(maps, 1, 1, subsample=(stride, stride), border_mode='same', bias=False)(x)


def group(x, maps, stride):
    """Blocks of one size, with a shortcut of the middle level around all of them."""
    around = shortcut(x, maps, stride)
    for number in range(N):
        step = stride if number == 0 else 1
        past = shortcut(x, maps, step) if number == 0 else x
        y = norm_relu_conv(x, maps, step)
        y = norm_relu_conv(y, maps, drop=DROP)
        x = merge([y, past], mode='sum')
    return merge([x, around], mode='sum')


def ror_wrn():
    picture = Input(shape=shape)
    x = Convolution2D(BASE, 3, 3, border_mode='same', init='he_normal', bias=False)(picture)
    root = shortcut(x, 4 * BASE * WIDTH, 4)
    for level, stride in enumerate((1, 2, 2)):
        x = group(x, BASE * WIDTH * 2 ** level, stride)
    x = merge([x, root], mode='sum')
    x = Activation('relu')(BatchNormalization(axis=axis)(x))
    x = Flatten()(AveragePooling2D((8, 8))(x))
    return Model(picture, Dense(CLASSES, activation='softmax')(x))


def rate(epoch):
    return 0.1 * 0.2 ** (epoch // 60)


(train, labels), (test, test_labels) = cifar10.load_data()
train, labels, test, test_labels = train[:3000], labels[:3000], test[:500], test_labels[:500]
train, test = train.astype('float32') / 255.0, test.astype('float32') / 255.0
wanted, test_wanted = kutils.to_categorical(labels, CLASSES), kutils.to_categorical(test_labels, CLASSES)

augment = ImageDataGenerator(rotation_range=10, width_shift_range=5. / 32, height_shift_range=5. / 32)
augment.fit(train, seed=0, augment=True)

network = ror_wrn()
network.summary()
network.compile(SGD(lr=0.1, momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=["accuracy"])
network.fit_generator(augment.flow(train, wanted, batch_size=128), samples_per_epoch=len(train), nb_epoch=200,
                      validation_data=(test, test_wanted), nb_val_samples=test.shape[0],
                      callbacks=[callbacks.ModelCheckpoint("ror.h5", monitor="val_acc", save_best_only=True),
                                 callbacks.LearningRateScheduler(rate)])

guessed = np.argmax(network.predict(test, batch_size=100), axis=1)
print(classification_report(test_labels, guessed))
print("error %0.2f %%" % (100 * np.mean(guessed != test_labels.ravel())))
