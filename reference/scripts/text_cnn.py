"""Is a sentence a question? Convolutions over three, four and five words, and the strongest answer of each. Keras 1."""
import re
import itertools
from collections import Counter

import numpy as np
from keras.callbacks import EarlyStopping
from keras.layers import (Activation, Convolution1D, Convolution2D, Dense, Dropout, Embedding, Flatten,
                          GlobalMaxPooling1D, Input, MaxPooling1D, MaxPooling2D, Reshape, merge)
from keras.models import Model
from keras.preprocessing.text import Tokenizer
from keras.preprocessing.sequence import pad_sequences

WORDS, LENGTH, SIZE = 40, 12, 6

with open('letters.txt') as letters:
    sentences = re.findall(r'[^.?]+[.?]', letters.read().replace('\n', ' '))
asked = np.array([int(sentence.endswith('?')) for sentence in sentences])
sentences = [re.sub(r"[^a-z']+", ' ', sentence.lower()).strip() for sentence in sentences]

counted = Counter(itertools.chain.from_iterable(sentence.split() for sentence in sentences))
print(len(sentences), 'sentences,', len(counted), 'words,', counted.most_common(3))
tokenizer = Tokenizer(nb_words=WORDS)
tokenizer.fit_on_texts(sentences)
print('number of "the":', tokenizer.word_index['the'])
numbers = pad_sequences(tokenizer.texts_to_sequences(sentences), maxlen=LENGTH, padding='post')

given = Input(shape=(LENGTH,), dtype='int32')
vectors = Embedding(output_dim=SIZE, input_dim=WORDS, input_length=LENGTH)(given)
strongest = []
for width in 3, 4, 5:
    found = Convolution1D(4, width, activation='relu', border_mode='valid')(vectors)
    found = MaxPooling1D(pool_length=LENGTH - width + 1)(found)
    strongest.append(Flatten()(found))

# the same once more, for comparison, as if the sentence were a picture
picture = Reshape((1, LENGTH, SIZE))(vectors)
for width in 3, 4:
    found = Convolution2D(3, width, SIZE, border_mode='valid', init='normal', activation='relu',
                          dim_ordering='th')(picture)
    found = MaxPooling2D(pool_size=(LENGTH - width + 1, 1), strides=(1, 1), dim_ordering='th')(found)
    strongest.append(Flatten()(found))
strongest.append(GlobalMaxPooling1D()(vectors))

joined = Dropout(0.5)(merge(strongest, mode='concat', concat_axis=1))
question = Model(input=given, output=Dense(output_dim=1, activation='sigmoid')(joined))
question.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy'])
question.fit(numbers, asked, batch_size=4, nb_epoch=60, validation_split=0.2, callbacks=[EarlyStopping(patience=4)])
for sentence, share in zip(sentences, question.predict(numbers)):
    print('%.2f %s' % (share[0], sentence[:40]))
