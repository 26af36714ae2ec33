'''Small pictures in ten classes; every epoch sees them shifted and mirrored otherwise.

GPU:  THEANO_FLAGS=device=gpu,floatX=float32 python cifar10_cnn.py
'''
from __future__ import print_function
import sys

from keras.datasets import cifar10
from keras.preprocessing.image import ImageDataGenerator
from keras.models import Sequential
from keras.layers.core import Dense, Dropout, Activation, Flatten
from keras.layers.convolutional import Convolution2D, MaxPooling2D
from keras.optimizers import SGD
from keras.utils import np_utils
import keras.backend as K

K.set_image_dim_ordering('th')

batch = 32
rounds = 2
augmented = '--plain' not in sys.argv

(pictures, answers), (others, other_answers) = cifar10.load_data()
pictures = pictures.astype('float32') / 255
others = others.astype('float32') / 255
answers = np_utils.to_categorical(answers, 10)
other_answers = np_utils.to_categorical(other_answers, 10)

model = Sequential()
for stage, maps in enumerate([4, 8]):
    if stage == 0:
        model.add(Convolution2D(maps, 3, 3, border_mode='same', input_shape=pictures.shape[1:]))
    else:
        model.add(Convolution2D(maps, 3, 3, border_mode='same'))
    model.add(Activation('relu'))
    model.add(Convolution2D(maps, 3, 3))
    model.add(Activation('relu'))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(16))
model.add(Activation('relu'))
model.add(Dropout(0.5))
model.add(Dense(10))
model.add(Activation('softmax'))

model.compile(loss='categorical_crossentropy', metrics=['accuracy'],
              optimizer=SGD(lr=0.02, decay=5e-7, momentum=0.9, nesterov=True))

if augmented:
    stream = ImageDataGenerator(featurewise_center=False, samplewise_std_normalization=False, zca_whitening=False,
                                width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True)
    stream.fit(pictures)

    # by hand first, to watch the loss of single batches
    for e in range(rounds):
        seen = 0
        for some, their_answers in stream.flow(pictures, answers, batch_size=batch):
            loss = model.train_on_batch(some, their_answers)
            seen += len(some)
            if seen >= len(pictures):
                break
        print('round', e, 'saw', seen)

    model.fit_generator(stream.flow(pictures, answers, batch_size=batch), samples_per_epoch=pictures.shape[0],
                        nb_epoch=100, validation_data=(others, other_answers))
else:
    model.fit(pictures, answers, batch_size=batch, nb_epoch=100, shuffle=True,
              validation_data=(others, other_answers))

open('cifar10_cnn.json', 'w').write(model.to_json())
model.save_weights('cifar10_cnn.h5')
