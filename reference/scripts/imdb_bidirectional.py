'''Reviews read from both ends, with a second layer that sums what the two directions say. Keras 2.'''

from __future__ import print_function
import numpy as np

from keras.preprocessing import sequence
from keras.models import Sequential
from keras.layers import Dense, Dropout, Embedding, LSTM, Bidirectional, GRU, SpatialDropout1D
from keras.datasets import imdb

VOCABULARY, LENGTH = 70, 9

halves = []
for texts, moods in imdb.load_data(num_words=VOCABULARY):
    halves.append((sequence.pad_sequences(texts, maxlen=LENGTH, padding='post'), np.array(moods)))
(known, known_moods), (fresh, fresh_moods) = halves
print(known.shape, fresh.shape)

reader = Sequential()
reader.add(Embedding(VOCABULARY, 8, input_length=LENGTH, mask_zero=True))
reader.add(SpatialDropout1D(0.1))
reader.add(Bidirectional(LSTM(5, return_sequences=True, dropout=0.2, recurrent_dropout=0.2)))
reader.add(Bidirectional(GRU(4, recurrent_activation='sigmoid'), merge_mode='sum'))
reader.add(Dropout(0.5))
reader.add(Dense(1, activation='sigmoid'))
reader.compile('adam', 'binary_crossentropy', metrics=['accuracy'])
reader.fit(known, known_moods, batch_size=32, epochs=4, validation_data=[fresh, fresh_moods])
