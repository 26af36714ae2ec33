# -*- coding: utf-8 -*-
'''Roman numerals into figures, "XIV" into "14 ": one network reads, one writes. Keras 2.'''
from __future__ import print_function
from keras.models import Sequential
from keras import layers
import numpy as np
from six.moves import range, zip


def roman(number):
    parts = ((100, 'C'), (90, 'XC'), (50, 'L'), (40, 'XL'), (10, 'X'), (9, 'IX'), (5, 'V'), (4, 'IV'), (1, 'I'))
    written = ''
    for value, letters in parts:
        written += letters * (number // value)
        number %= value
    return written


class Letters(object):
    """The letters of one side, and texts as arrays of them."""
    def __init__(self, letters, length):
        self.letters, self.length = letters, length
        self.place = dict(zip(letters, range(len(letters))))

    def array(self, texts):
        made = np.zeros((len(texts), self.length, len(self.letters)), dtype=np.bool)
        for row, text in enumerate(texts):
            for column, letter in enumerate(text.ljust(self.length)):
                made[row, column, self.place[letter]] = 1
        return made

    def text(self, places):
        return ''.join(self.letters[place] for place in places)


numbers = np.random.permutation(np.arange(1, 200))
source, target = Letters(' IVXLC', 9), Letters(' 0123456789', 3)
questions, answers = source.array([roman(int(n)) for n in numbers]), target.array([str(n) for n in numbers])
held = len(numbers) // 10

RNN = layers.LSTM
model = Sequential()
model.add(RNN(8, input_shape=(source.length, len(source.letters))))
model.add(layers.RepeatVector(target.length))
for depth in range(2):
    model.add(RNN(8, return_sequences=True))
model.add(layers.TimeDistributed(layers.Dense(len(target.letters))))
model.add(layers.Activation('softmax'))
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
model.summary()

for again in range(2):
    model.fit(questions[held:], answers[held:], batch_size=32, epochs=1,
              validation_data=(questions[:held], answers[:held]))
    written = model.predict_classes(questions[:held], verbose=0)
    for number, places in list(zip(numbers, written))[:4]:
        print(roman(int(number)).rjust(9), '=', target.text(places), '' if str(number) == target.text(places).strip()
              else u'✗')
