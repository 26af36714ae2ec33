'''Do they like the film? One LSTM over the words of a review.'''
from __future__ import print_function
import numpy as np
np.random.seed(99)

from keras.preprocessing import sequence
from keras.utils import np_utils
from keras.models import Sequential
from keras.layers import Dense, Dropout, Activation, Embedding
from keras.layers import LSTM, SimpleRNN, GRU
from keras.datasets import imdb

WORDS = 60
LENGTH = 8
cell = LSTM  # GRU trains faster and is a point worse

(train, liked), (test, test_liked) = imdb.load_data(nb_words=WORDS)
for name, part in ('train', train), ('test', test):
    print(name, len(part), 'reviews of', np.mean([len(review) for review in part]), 'words')
train, test = [sequence.pad_sequences(part, maxlen=LENGTH) for part in (train, test)]

net = Sequential()
net.add(Embedding(WORDS, 8, dropout=0.2))
net.add(cell(6, dropout_W=0.2, dropout_U=0.2))
net.add(Dense(1))
net.add(Activation('sigmoid'))
net.compile(loss='binary_crossentropy', optimizer='adam', metrics=['accuracy'])

net.fit(train, liked, batch_size=32, nb_epoch=6, validation_data=(test, test_liked))
loss, accuracy = net.evaluate(test, test_liked, batch_size=32)
print('loss', loss, 'accuracy', accuracy)
