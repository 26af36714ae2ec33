'''Short words into another language by letters: a model to train, and two of the same layers to use it. Keras 2.'''
from __future__ import print_function

import numpy as np
from keras.layers import Dense, Input, LSTM
from keras.models import Model

UNITS = 6
START, STOP = '<', '>'
WORDS = {'go': 'geh', 'run': 'lauf', 'help': 'hilf', 'stop': 'halt', 'wait': 'warte'}
sources, targets = sorted(WORDS), [START + WORDS[word] + STOP for word in sorted(WORDS)]
letters_in, letters_out = sorted(set(''.join(sources))), sorted(set(''.join(targets)))


def one_hot(texts, letters):
    made = np.zeros((len(texts), max(len(text) for text in texts), len(letters)), dtype='float32')
    for row, text in enumerate(texts):
        made[row, range(len(text)), [letters.index(letter) for letter in text]] = 1
    return made


given, told = one_hot(sources, letters_in), one_hot(targets, letters_out)
wanted = np.roll(told, -1, axis=1)

# reading: all that is kept are the two states
read = Input(shape=(None, len(letters_in)))
_, hidden, cell = LSTM(UNITS, return_state=True)(read)

# writing begins with them
so_far = Input(shape=(None, len(letters_out)))
writer = LSTM(UNITS, return_sequences=True, return_state=True)
scores = Dense(len(letters_out), activation='softmax')
written, _, _ = writer(so_far, initial_state=[hidden, cell])

model = Model([read, so_far], scores(written))
model.compile(optimizer='rmsprop', loss='categorical_crossentropy')
model.fit([given, told], wanted, batch_size=5, epochs=50)
model.save('words.h5')

reader = Model(read, [hidden, cell])
before = [Input(shape=(UNITS,)), Input(shape=(UNITS,))]
written, hidden_after, cell_after = writer(so_far, initial_state=before)
step = Model([so_far] + before, [scores(written), hidden_after, cell_after])


def translated(word, longest=8):
    states, text = reader.predict(one_hot([word], letters_in)), START
    while text[-1] != STOP and len(text) < longest:
        shares, h, c = step.predict([one_hot([text[-1]], letters_out)] + states)
        states = [h, c]
        text += letters_out[int(np.argmax(shares[0, -1]))]
    return text


for word in sources[:3]:
    print(word, translated(word))
