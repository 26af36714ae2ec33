'''Goes on writing in the manner of letters.txt, one character after the other. A toy: the text is far too short.'''
from __future__ import print_function
from keras.models import Sequential
from keras.layers import Dense, Activation, Dropout
from keras.layers import LSTM
from keras.optimizers import RMSprop
from keras.utils.data_utils import get_file
import numpy as np
import random
import sys

WINDOW, HOP = 12, 3

path = get_file('letters.txt', origin="https://files.example.org/letters.txt")
text = open(path).read().lower()
alphabet = sorted(set(text))
number_of = {c: n for n, c in enumerate(alphabet)}
print(len(text), 'characters,', len(alphabet), 'different ones')

starts = range(0, len(text) - WINDOW, HOP)
X = np.zeros((len(starts), WINDOW, len(alphabet)), dtype=np.bool)
Y = np.zeros((len(starts), len(alphabet)), dtype=np.bool)
for row, start in enumerate(starts):
    for column in range(WINDOW):
        X[row, column, number_of[text[start + column]]] = True
    Y[row, number_of[text[start + WINDOW]]] = True

net = Sequential()
net.add(LSTM(8, return_sequences=True, input_shape=(WINDOW, len(alphabet))))
net.add(Dropout(0.2))
net.add(LSTM(8))
net.add(Dense(len(alphabet)))
net.add(Activation('softmax'))
net.compile(loss='categorical_crossentropy', optimizer=RMSprop(lr=0.01))


def drawn(shares, heat):
    """A character by its share; the hotter, the more even they are."""
    logs = np.log(np.array(shares, dtype='float64')) / heat
    weights = np.exp(logs - logs.max())
    return alphabet[np.random.multinomial(1, weights / weights.sum()).argmax()]


for passed in range(3):
    print('\n=== after pass', passed)
    net.fit(X, Y, batch_size=128, nb_epoch=1)
    begin = random.randint(0, len(text) - WINDOW - 1)
    for heat in 0.4, 0.9:
        window = text[begin:begin + WINDOW]
        sys.stdout.write('[%s]' % window)
        for _ in range(20):
            one_hot = np.zeros((1, WINDOW, len(alphabet)))
            one_hot[0, np.arange(WINDOW), [number_of[c] for c in window]] = 1
            window = window[1:] + drawn(net.predict(one_hot, verbose=0)[0], heat)
            sys.stdout.write(window[-1])
            sys.stdout.flush()
