'''Which digit is it? Two convolutions and a bit, for Keras 1 on either backend.

Set KERAS_BACKEND to choose; takes a coffee on a CPU.
'''
from __future__ import print_function
import numpy as np
np.random.seed(20160401)

from keras.datasets import mnist
from keras.models import Sequential
from keras.layers import Dense, Dropout, Activation, Flatten
from keras.layers import Convolution2D, MaxPooling2D
from keras.utils import np_utils
from keras import backend as K

SIDE = 28
CLASSES = 10
MAPS = 4
KERNEL = (3, 3)


def prepared(images, labels):
    if K.image_dim_ordering() == 'th':
        shape = (1, SIDE, SIDE)
    else:
        shape = (SIDE, SIDE, 1)
    images = images.reshape((images.shape[0],) + shape).astype('float32')
    images /= 255
    return images, np_utils.to_categorical(labels, CLASSES)


(X_train, y_train), (X_test, y_test) = mnist.load_data()
X_train, Y_train = prepared(X_train, y_train)
X_test, Y_test = prepared(X_test, y_test)
print('train', X_train.shape, 'test', X_test.shape, 'of type', X_train.dtype)

model = Sequential()
model.add(Convolution2D(MAPS, KERNEL[0], KERNEL[1], border_mode='valid', input_shape=X_train.shape[1:]))
model.add(Activation('relu'))
model.add(Convolution2D(MAPS, *KERNEL))
model.add(Activation('relu'))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(12))
model.add(Activation('relu'))
model.add(Dropout(0.5))
model.add(Dense(CLASSES))
model.add(Activation('softmax'))
model.compile(loss='categorical_crossentropy', optimizer='adadelta', metrics=['accuracy'])

model.fit(X_train, Y_train, batch_size=100, nb_epoch=10, verbose=1, validation_data=(X_test, Y_test))
loss, accuracy = model.evaluate(X_test, Y_test, verbose=0)
print('loss %.4f, right %.2f %%' % (loss, 100 * accuracy))
for digit in range(CLASSES):
    own = X_test[y_test == digit]
    print(digit, len(own), 'pictures')
model.save_weights('digits.h5', overwrite=True)
