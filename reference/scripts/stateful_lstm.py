'''The tide an hour from now, by LSTMs that keep what they know from batch to batch.'''
from __future__ import print_function
import numpy as np
import matplotlib.pyplot as plt
from keras.models import Sequential
from keras.layers import Dense, LSTM

stations = 4     # a batch has one row for each
hours = 3        # that are seen at once
rounds = 2


def tide(count, moon=12.42, sun=12.0):
    t = np.arange(count).astype(np.float)
    return np.sin(2 * np.pi * t / moon) + 0.4 * np.sin(2 * np.pi * t / sun)


levels = tide(25 * hours + 1)
now = levels[:-1].reshape(-1, 1, hours, 1).repeat(stations, axis=1)
ahead = levels[hours::hours].reshape(-1, 1, 1).repeat(stations, axis=1)

model = Sequential()
model.add(LSTM(5, batch_input_shape=(stations, hours, 1), return_sequences=True, stateful=True))
model.add(LSTM(5, return_sequences=False, stateful=True))
model.add(Dense(1))
model.compile(loss='mse', optimizer='rmsprop')

for passed in range(rounds):
    for x, y in zip(now, ahead):
        model.fit(x, y, batch_size=stations, nb_epoch=1, shuffle=False, verbose=0)
    model.reset_states()
    print('pass %d of %d' % (passed + 1, rounds))

guessed = np.array([model.predict(x, batch_size=stations)[0, 0] for x in now])
plt.plot(ahead[:, 0, 0], 'b-', guessed, 'r--')
plt.xlabel('hours / %d' % hours)
plt.show()
