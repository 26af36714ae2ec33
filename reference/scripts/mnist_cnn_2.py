"""Digits with Keras 2, and a sheet of those it gets wrong."""
from __future__ import print_function

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import backend as K
from keras.datasets import mnist
from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential

first = K.image_data_format() == 'channels_first'
shape = (1, 28, 28) if first else (28, 28, 1)

train, test = [(x.reshape((-1,) + shape) / 255., keras.utils.to_categorical(y, 10)) for x, y in mnist.load_data()]

net = Sequential()
net.add(Conv2D(4, kernel_size=(3, 3), activation='relu', input_shape=shape))
net.add(Conv2D(6, (3, 3), strides=1, activation='relu'))
net.add(MaxPooling2D(pool_size=(2, 2)))
net.add(Dropout(0.25))
net.add(Flatten())
net.add(Dense(12, activation='relu'))
net.add(Dropout(0.5))
net.add(Dense(10, activation='softmax'))
net.compile(loss=keras.losses.categorical_crossentropy, optimizer=keras.optimizers.Adadelta(), metrics=['accuracy'])

past = net.fit(train[0], train[1], batch_size=128, epochs=20, validation_data=test,
               callbacks=[keras.callbacks.EarlyStopping(patience=3)])
result = net.evaluate(test[0], test[1], verbose=0)
print('loss: %.4f' % result[0])
print('right: {:.2%}'.format(result[1]))

fig, (upper, lower) = plt.subplots(2, 1, figsize=(6, 8))
for key, axes in (('loss', upper), ('acc', lower)):
    axes.plot(past.history[key], label='train')
    axes.plot(past.history['val_' + key], label='test')
    axes.legend(loc='best')
fig.savefig('curves.png')

guessed = net.predict_classes(test[0])
wrong = np.nonzero(guessed != test[1].argmax(axis=-1))[0]
for place, number in enumerate(wrong[:12], 1):
    plt.subplot(3, 4, place)
    plt.imshow(test[0][number].reshape(28, 28), cmap='gray_r')
    plt.xlabel('{} for {}'.format(guessed[number], test[1][number].argmax()))
plt.tight_layout()
plt.show()
