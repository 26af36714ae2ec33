"""Letters from the strokes of a pen. Runs in Python 2 alone, though nothing of its grammar says so."""
from __future__ import print_function
import cPickle
import itertools
import os
import string
import sys

import numpy as np
from keras.callbacks import Callback
from keras.layers.core import Activation, Dense, Dropout, Masking, TimeDistributedDense
from keras.layers.recurrent import GRU, SimpleRNN
from keras.models import Sequential
from keras.optimizers import RMSprop

LETTERS = string.lowercase[:9]
STROKES, DEPTH = 7, 14
UNITS = len(LETTERS) / 2 + 1        # 5
sys.setrecursionlimit(min(sys.maxint, 10000))


class Losses(Callback):
    def on_train_begin(self, logs={}):
        self.losses = []

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get('loss'))


def pens(path, count):
    if os.path.exists(path):
        return cPickle.load(open(path, 'rb'))
    strokes = np.zeros((count, STROKES, 3))
    letters = [LETTERS[i % len(LETTERS)] for i in xrange(count)]
    return strokes, np.array(map(LETTERS.index, letters))


X, y = pens('strokes.pkl', 90)
Y = np.zeros((len(y), len(LETTERS)))
for row, label in itertools.izip(xrange(len(y)), y):
    Y[row, label] = 1
counts = {}
for label in y:
    counts[label] = counts.get(label, 0) + 1
for label, count in counts.iteritems():
    print(LETTERS[label], count, 100 * count / len(y), '%')

model = Sequential()
model.add(Masking(mask_value=0., input_shape=(STROKES, 3)))
for level in range((DEPTH - 4) / 5):
    model.add(GRU(UNITS + level, return_sequences=True, inner_activation='sigmoid'))
    model.add(Dropout(0.2))
model.add(TimeDistributedDense(6, activation='tanh'))
model.add(SimpleRNN(UNITS, activation='relu', go_backwards=True))
model.add(Dense(len(LETTERS)))
model.add(Activation('softmax'))
model.compile(loss='categorical_crossentropy', optimizer=RMSprop(lr=0.002, clipnorm=5))

losses = Losses()
model.fit(X, Y, batch_size=30, nb_epoch=20, validation_split=0.1, callbacks=[losses], verbose=2)
guessed = model.predict_classes(X[:3], verbose=0)
print(''.join(LETTERS[g] for g in guessed), unicode(len(losses.losses)))
