"""Letters to the editor: is one printed, is it angry, and which words are names? From its words and the weekday."""
from __future__ import print_function

import numpy as np
from keras.engine import Input, Model
from keras.layers import GRU, Dense, Dropout, Embedding, Masking, TimeDistributed, merge
from keras.layers.core import Activation, Flatten, Lambda, RepeatVector
from keras.layers.wrappers import Bidirectional

VOCABULARY, LENGTH, DAYS, KINDS = 40, 6, 7, 5

letter = Input(shape=(LENGTH,), dtype='int32', name='letter')
day = Input(shape=(DAYS,), name='day')

vectors = Embedding(output_dim=8, input_dim=VOCABULARY, input_length=LENGTH)(letter)
steps = GRU(7, return_sequences=True)(vectors)
gist = GRU(6)(steps)
angry = Dense(1, activation='sigmoid', name='angry')(gist)

x = merge([gist, day], mode='concat')
for size in [9, 9]:
    x = Dense(size, activation='relu')(x)
    x = Dropout(0.1)(x)
printed = Dense(1, activation='sigmoid', name='printed')(x)

# for each word, what the letter is about beside it
beside = merge([steps, RepeatVector(LENGTH)(x)], mode='concat', concat_axis=2)
beside = TimeDistributed(Dense(6, activation='tanh'))(beside)
beside = Bidirectional(GRU(3, return_sequences=True), merge_mode='ave')(beside)
kinds = TimeDistributed(Dense(KINDS), name='kind_of_word')(beside)
kinds = Activation('softmax', name='kinds')(kinds)

desk = Model(input=[letter, day], output=[printed, angry, kinds])
desk.compile(optimizer='rmsprop', loss_weights={'printed': 1., 'angry': 0.3, 'kinds': 0.5},
             loss={'printed': 'binary_crossentropy', 'angry': 'mse', 'kinds': 'categorical_crossentropy'})

count = 24
letters = np.random.randint(VOCABULARY, size=(count, LENGTH))
days = np.eye(DAYS)[np.random.randint(DAYS, size=count)]
yes_or_no = np.random.randint(2, size=(count, 1))
desk.fit({'letter': letters, 'day': days},
         {'printed': yes_or_no, 'angry': yes_or_no, 'kinds': np.eye(KINDS)[letters % KINDS]},
         nb_epoch=20, batch_size=8)
print(desk.input_names, desk.output_names)
print([layer.name for layer in desk.layers])
