"""Answers to questions about pictures: an LSTM for the words, beside the features of the picture."""
from __future__ import print_function

import argparse
from random import shuffle

import numpy as np
from keras.layers.core import Activation, Dense, Dropout, Merge, Reshape
from keras.layers.recurrent import LSTM
from keras.models import Sequential
from keras.utils import generic_utils, np_utils
from sklearn.externals import joblib

options = argparse.ArgumentParser()
options.add_argument('-units', type=int, default=10)
options.add_argument('-layers', type=int, default=2)
options.add_argument('-dropout', type=float, default=0.5)
options.add_argument('-activation', type=str, default='tanh')
options.add_argument('-epochs', type=int, default=2)
given = options.parse_args()

WORD, FEATURES, LENGTH, ANSWERS = 6, 12, 7, 15

picture = Sequential()
picture.add(Reshape((FEATURES,), input_shape=(FEATURES,)))

question = Sequential()
question.add(LSTM(output_dim=9, return_sequences=False, input_shape=(LENGTH, WORD)))

answer = Sequential()
answer.add(Merge([question, picture], mode='concat', concat_axis=1))
for _ in range(given.layers):
    answer.add(Dense(given.units, init='uniform'))
    answer.add(Activation(given.activation))
    answer.add(Dropout(given.dropout))
answer.add(Dense(ANSWERS))
answer.add(Activation('softmax'))
answer.compile(loss='categorical_crossentropy', optimizer='rmsprop')

name = 'answers_%ix%i' % (given.layers, given.units)
with open(name + '.json', 'w') as architecture:
    architecture.write(answer.to_json())

labels = joblib.load('labels.pkl')
rows = 40
questions, features = np.zeros((rows, LENGTH, WORD)), np.zeros((rows, FEATURES))
wanted = np_utils.to_categorical(np.arange(rows) % ANSWERS, ANSWERS)
for epoch in range(given.epochs):
    order = list(range(rows))
    shuffle(order)
    bar = generic_utils.Progbar(rows)
    while order:
        some, order = order[:20], order[20:]
        loss = answer.train_on_batch([questions[some], features[some]], wanted[some])
        bar.add(len(some), values=[("loss", loss)])
    answer.save_weights('{}_{:03d}.h5'.format(name, epoch), overwrite=True)
