"""A forger of digits and a judge, trained in turn. Keras 1."""
from __future__ import print_function
import numpy as np
from PIL import Image
from keras.datasets import mnist
from keras.layers import Dense, Reshape
from keras.layers.convolutional import Convolution2D, MaxPooling2D, UpSampling2D
from keras.layers.core import Activation, Dropout, Flatten
from keras.layers.normalization import BatchNormalization
from keras.models import Sequential
from keras.optimizers import Adam

NOISE, BATCH = 10, 16


def forging():
    net = Sequential()
    net.add(Dense(input_dim=NOISE, output_dim=4*7*7))
    net.add(BatchNormalization())
    net.add(Activation('relu'))
    net.add(Reshape((4, 7, 7), input_shape=(4*7*7,)))
    for maps in 3, 1:
        net.add(UpSampling2D(size=(2, 2)))
        net.add(Convolution2D(maps, 5, 5, border_mode='same'))
        net.add(Activation('tanh'))
    return net


def judging():
    net = Sequential()
    net.add(Convolution2D(4, 5, 5, border_mode='same', input_shape=(1, 28, 28)))
    net.add(Activation('tanh'))
    net.add(MaxPooling2D(pool_size=(2, 2)))
    net.add(Convolution2D(4, 5, 5))
    net.add(MaxPooling2D(pool_size=(2, 2)))
    net.add(Flatten())
    net.add(Dropout(0.3))
    net.add(Dense(1))
    net.add(Activation('sigmoid'))
    return net


def learns(net, flag):
    net.trainable = flag
    for layer in net.layers:
        layer.trainable = flag


def sheet(pictures):
    rows = [np.concatenate(list(row[:, 0]), axis=1) for row in np.split(pictures, 4)]
    return Image.fromarray(np.uint8(127.5 * (np.concatenate(rows) + 1)))


(real, _), _ = mnist.load_data()
real = real[:, np.newaxis].astype(np.float32) / 127.5 - 1

forger, judge = forging(), judging()
judge.compile(loss='binary_crossentropy', optimizer=Adam(lr=2e-4, beta_1=0.5))
learns(judge, False)
chain = Sequential()
chain.add(forger)
chain.add(judge)
chain.compile(loss='binary_crossentropy', optimizer=Adam(lr=2e-4, beta_1=0.5))

for epoch in range(2):
    for start in range(0, min(len(real), 3 * BATCH) - BATCH + 1, BATCH):
        noise = np.random.uniform(-1, 1, (BATCH, NOISE))
        forged = forger.predict(noise)
        learns(judge, True)
        judged = judge.train_on_batch(np.concatenate((real[start:start + BATCH], forged)), [1] * BATCH + [0] * BATCH)
        learns(judge, False)
        fooled = chain.train_on_batch(noise, np.ones(BATCH))
        print('%d %5d judge %.3f forger %.3f' % (epoch, start, judged, fooled))
    sheet(forged).save('forged_%d.png' % epoch)
    forger.save_weights('forger.h5', True)
    judge.save_weights('judge.h5', True)
