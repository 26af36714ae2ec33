"""Wide ResNet for CIFAR-10, Keras 2."""
from __future__ import absolute_import, division, print_function

import os

import keras
from keras import backend as K
from keras import regularizers
from keras.callbacks import CSVLogger, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau
from keras.datasets import cifar10
from keras.layers import Activation, Add, BatchNormalization, Conv2D, Dense, Dropout, GlobalAveragePooling2D, Input
from keras.models import Model
from keras.preprocessing.image import ImageDataGenerator
from keras.utils import to_categorical

DEPTH = 10
WIDTH = 2
WEIGHT_DECAY = 5e-4
EPOCHS = 200

channel_axis = 1 if K.image_data_format() == "channels_first" else -1


def conv(x, filters, size=3, stride=1):
    return Conv2D(filters, (size, size), strides=(stride, stride), padding="same", use_bias=False,
                  kernel_initializer="he_normal", kernel_regularizer=regularizers.l2(WEIGHT_DECAY))(x)


def preact(x):
    x = BatchNormalization(axis=channel_axis, momentum=0.1, epsilon=1e-4, gamma_initializer="uniform")(x)
    return Activation("relu")(x)


def block(x, filters, stride):
    y = preact(x)
    if K.int_shape(x)[channel_axis] != filters or stride > 1:
        skip = conv(y, filters, 1, stride)
    else:
        skip = x
    y = conv(y, filters, stride=stride)
    y = preact(y)
    y = Dropout(0.3)(y)
    y = conv(y, filters)
    return Add()([y, skip])


def wide_resnet(input_shape, classes, depth=DEPTH, width=WIDTH):
    n = (depth - 4) // 6
    inputs = Input(shape=input_shape)
    x = conv(inputs, 4)
    for stage, filters in enumerate([2 * width, 4 * width, 8 * width]):
        for i in range(n):
            x = block(x, filters, stride=2 if stage > 0 and i == 0 else 1)
    x = preact(x)
    x = GlobalAveragePooling2D()(x)
    outputs = Dense(classes, activation="softmax", name="scores")(x)
    return Model(inputs=inputs, outputs=outputs, name="wrn-%d-%d" % (depth, width))


(x_train, y_train), (x_test, y_test) = cifar10.load_data()
x_train, y_train = x_train[:2000] / 255.0, y_train[:2000]  # all of them on the other machine
x_test, y_test = x_test[:1000] / 255.0, y_test[:1000]
mean = x_train.mean(axis=(0, 1, 2), keepdims=True)
x_train -= mean
x_test -= mean
y_train, y_test = to_categorical(y_train, 10), to_categorical(y_test, 10)

model = wide_resnet(x_train.shape[1:], 10)
model.compile(optimizer=keras.optimizers.SGD(lr=0.1, momentum=0.9, nesterov=True), loss="categorical_crossentropy",
              metrics=["accuracy"])
model.summary()

save_dir = os.path.join(os.getcwd(), "saved_models")
checkpoint = ModelCheckpoint(filepath=os.path.join(save_dir, "wrn.{epoch:03d}.h5"), monitor="val_acc", verbose=1)
reducer = ReduceLROnPlateau(factor=0.2, cooldown=0, patience=5, min_lr=0.5e-6)
scheduler = LearningRateScheduler(lambda epoch: 0.1 if epoch < 60 else 0.02 if epoch < 120 else 0.004)

datagen = ImageDataGenerator(width_shift_range=0.125, height_shift_range=0.125, horizontal_flip=True)
datagen.fit(x_train)
history = model.fit_generator(datagen.flow(x_train, y_train, batch_size=128), steps_per_epoch=len(x_train) // 128,
                              validation_data=(x_test, y_test), epochs=EPOCHS, workers=4,
                              callbacks=[checkpoint, reducer, scheduler, CSVLogger("log.csv")])

scores = model.evaluate(x_test, y_test, verbose=1)
print("Test loss:", scores[0])
print("Test accuracy:", scores[1])
print("best", max(history.history["val_acc"]) if history.history["val_acc"] else None)
