"""Steering angles from a front camera: own loss, own metric, own callback."""
import csv
import os
import time

import numpy as np
import tensorflow as tf
from keras import backend as K
from keras.callbacks import Callback
from keras.layers import Conv2D, Cropping2D, Dense, Dropout, ELU, Flatten, Lambda
from keras.models import Sequential
from keras.optimizers import Adam

ROWS, COLS = 40, 60


def smooth_l1(y_true, y_pred, delta=0.5):
    difference = K.abs(y_true - y_pred)
    quadratic = 0.5 * K.square(difference) / delta
    return K.mean(K.switch(difference < delta, quadratic, difference - 0.5 * delta), axis=-1)


def within_a_degree(y_true, y_pred):
    return K.mean(K.cast(K.less(K.abs(y_true - y_pred), np.pi / 180), K.floatx()))


class Stopwatch(Callback):
    """How long the epochs take, and how the learning rate falls."""

    def __init__(self, path):
        super(Stopwatch, self).__init__()
        self.path, self.rows = path, []

    def on_train_begin(self, logs=None):
        self.rows = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.time()

    def on_epoch_end(self, epoch, logs=None):
        rate = K.get_value(self.model.optimizer.lr)
        self.rows.append((epoch, time.time() - self.begun, float(rate), (logs or {}).get('val_loss')))
        if epoch % 10 == 9:
            K.set_value(self.model.optimizer.lr, rate * 0.5)

    def on_train_end(self, logs=None):
        with open(self.path, 'w') as f:
            csv.writer(f).writerows(self.rows)


def generator(samples, batch_size=32):
    while True:
        yield np.zeros((batch_size, ROWS, COLS, 3)), np.zeros((batch_size, 1))


model = Sequential()
model.add(Lambda(lambda x: x / 127.5 - 1., input_shape=(ROWS, COLS, 3)))
model.add(Cropping2D(cropping=((12, 4), (0, 0))))
model.add(Conv2D(4, (5, 5), strides=(2, 2), padding='same'))
model.add(ELU())
model.add(Conv2D(6, (5, 5), strides=(2, 2), padding='same', activation='elu'))
model.add(Conv2D(6, 3, activation='elu'))
model.add(Flatten())
model.add(Dropout(.2))
model.add(Dense(8))
model.add(ELU())
model.add(Dense(1))

model.compile(optimizer=Adam(lr=1e-4), loss=smooth_l1, metrics=['mse', within_a_degree])

samples = [row for row in csv.reader(open('driving_log.csv'))] if os.path.exists('driving_log.csv') else []
watch = Stopwatch('epochs.csv')
model.fit_generator(generator(samples), steps_per_epoch=100, epochs=30, callbacks=[watch],
                    validation_data=generator(samples), validation_steps=10)

first = K.function([model.layers[0].input, K.learning_phase()], [model.layers[2].output])
activations = first([np.zeros((1, ROWS, COLS, 3)), 0])[0]
total = np.sum([K.count_params(p) for p in set(model.trainable_weights)])
print('activations', np.shape(activations), 'parameters', int(total))
model.save('steering.h5')
