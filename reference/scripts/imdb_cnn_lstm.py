'''Five words at a time by a convolution, and what it finds by an LSTM.'''
from __future__ import print_function

import numpy
from keras.datasets import imdb
from keras.layers.convolutional import Convolution1D, MaxPooling1D
from keras.layers.core import Activation, Dense, Dropout
from keras.layers.embeddings import Embedding
from keras.layers.recurrent import LSTM
from keras.models import Sequential
from keras.preprocessing.sequence import pad_sequences

numpy.random.seed(11)

vocabulary = 50
words_kept = 20
at_a_time = 5

(reviews, moods), (more_reviews, more_moods) = imdb.load_data(nb_words=vocabulary)
reviews = pad_sequences(reviews, maxlen=words_kept)
more_reviews = pad_sequences(more_reviews, maxlen=words_kept)
print("%d words have a number" % len(imdb.get_word_index()))

mood = Sequential()
mood.add(Embedding(vocabulary, 8, input_length=words_kept))
mood.add(Dropout(0.25))
mood.add(Convolution1D(nb_filter=6, filter_length=at_a_time, border_mode='valid', activation='relu',
                       subsample_length=1))
mood.add(MaxPooling1D(pool_length=4))
mood.add(LSTM(output_dim=7, consume_less='gpu'))
mood.add(Dense(1))
mood.add(Activation('sigmoid'))
mood.compile(loss='binary_crossentropy', optimizer='adam', metrics=['accuracy'])
print(mood.summary())

mood.fit(reviews, moods, nb_epoch=2, batch_size=50)
found = mood.evaluate(more_reviews, more_moods, verbose=0)
print("%.1f%% right" % (found[1] * 100))
