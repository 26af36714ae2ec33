"""Do two drawings show the same figure? One network looks at each, another compares what it saw."""
from __future__ import absolute_import
from __future__ import print_function

import random

import numpy as np
from keras import backend as K
from keras.datasets import mnist
from keras.layers import Convolution2D, Dense, Dropout, Flatten, Input, MaxPooling2D, merge
from keras.models import Model, Sequential
from keras.optimizers import RMSprop

random.seed(1)
K.set_image_dim_ordering('th')
SHAPE = (1, 14, 14)


def couples(pictures, figures, count):
    """As many couples of the same figure as of two different ones."""
    by_figure = dict((figure, np.flatnonzero(figures == figure)) for figure in set(figures.tolist()))
    left, right, same = [], [], []
    while len(same) < count:
        one, other = random.sample(sorted(by_figure), 2)
        if len(same) % 2:
            other = one
        left.append(pictures[random.choice(by_figure[one])])
        right.append(pictures[random.choice(by_figure[other])])
        same.append(one == other)
    return [np.array(left), np.array(right)], np.array(same, dtype='int8')


def looking():
    net = Sequential()
    net.add(Convolution2D(4, 3, 3, activation='relu', input_shape=SHAPE))
    net.add(MaxPooling2D())
    net.add(Flatten())
    net.add(Dropout(0.1))
    net.add(Dense(8, activation='tanh'))
    return net


(train, train_figures), (test, test_figures) = mnist.load_data()
train, test = [part[:1000, None, ::2, ::2].astype('float32') / 255 for part in (train, test)]
train_couples, train_same = couples(train, train_figures[:1000], 200)
test_couples, test_same = couples(test, test_figures[:1000], 50)

look = looking()
first, second = Input(shape=SHAPE), Input(shape=SHAPE)
seen = [look(first), look(second)]
product = merge(seen, mode='mul')
joined = merge(seen + [product], mode='concat', concat_axis=-1)
answer = Dense(1, activation='sigmoid')(Dense(6, activation='relu')(joined))

twins = Model(input=[first, second], output=answer)
twins.compile(loss='binary_crossentropy', optimizer=RMSprop())
twins.fit(train_couples, train_same, batch_size=64, nb_epoch=10, validation_data=(test_couples, test_same))

guessed = twins.predict(test_couples).ravel() > 0.5
print('%0.1f of 100 couples' % (100 * np.mean(guessed == test_same)))
