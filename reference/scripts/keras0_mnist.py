from __future__ import absolute_import
from __future__ import print_function
import numpy as np
np.random.seed(2015)

from keras.datasets import mnist
from keras.models import Sequential
from keras.layers.core import Dense, Dropout, Activation, Flatten
from keras.layers.convolutional import Convolution2D, MaxPooling2D
from keras.layers.normalization import BatchNormalization
from keras.layers.advanced_activations import LeakyReLU
from keras.regularizers import l2
from keras.constraints import maxnorm
from keras.utils import np_utils

'''
    Digits by a small convnet, with the class mode that compile wanted in those days.
'''

def images(X):
    return X.reshape(X.shape[0], 1, 28, 28).astype("float32") / 255

(X, y), (X_held, y_held) = mnist.load_data()
X, X_held = images(X), images(X_held)
Y, Y_held = [np_utils.to_categorical(labels, 10) for labels in (y, y_held)]
print(X.shape, Y.shape)

net = Sequential()
net.add(Convolution2D(4, 3, 3, border_mode='same', input_shape=(1, 28, 28)))
net.add(Activation('relu'))
net.add(BatchNormalization(axis=1))
net.add(Convolution2D(5, 3, 3, subsample=(2, 2), W_regularizer=l2(.0005)))
net.add(LeakyReLU(0.1))
net.add(MaxPooling2D(pool_size=(2, 2)))
net.add(Dropout(0.25))
net.add(Flatten())
net.add(Dense(12, W_constraint=maxnorm(2)))
net.add(Activation('relu'))
net.add(Dropout(0.5))
net.add(Dense(10, init='zero'))
net.add(Activation('softmax'))
net.compile(loss='categorical_crossentropy', optimizer='adadelta', class_mode='categorical')

net.fit(X, Y, batch_size=100, nb_epoch=8, show_accuracy=True, verbose=1, validation_data=(X_held, Y_held))
found = net.evaluate(X_held, Y_held, show_accuracy=True, verbose=0)
print('loss', found[0], 'right', found[1])
net.save_weights('keras0_mnist.h5', overwrite=True)
