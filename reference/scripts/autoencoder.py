# Squeezes digits of 7 x 7 pixels through eight numbers; then the two halves work alone.
from keras.layers import Input, Dense
from keras.models import Model
from keras.datasets import mnist
from keras import regularizers
import numpy as np
import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt

side, narrow = 7, 8

pixels = Input(shape=(side * side,))
hidden = Dense(16, activation='relu')(pixels)
code = Dense(narrow, activation='relu', activity_regularizer=regularizers.activity_l1(1e-4))(hidden)
hidden = Dense(16, activation='relu')(code)
again = Dense(side * side, activation='sigmoid')(hidden)

whole = Model(input=pixels, output=again)
encoder = Model(input=pixels, output=code)

some_code = Input(shape=(narrow,))
drawn = some_code
for layer in whole.layers[-2:]:
    drawn = layer(drawn)
decoder = Model(input=some_code, output=drawn)

whole.compile(optimizer='adadelta', loss='binary_crossentropy')

(train, _), (test, _) = mnist.load_data()
train = (train[:, ::4, ::4] / 255.).astype('float32').reshape(len(train), -1)
test = (test[:, ::4, ::4] / 255.).astype('float32').reshape(len(test), int(np.prod(test.shape[1:])) // 16)
whole.fit(train, train, nb_epoch=30, batch_size=200, validation_data=(test, test))

codes = encoder.predict(test)
print('codes: %s, on average %.3f' % (codes.shape, codes.mean()))
figure = plt.figure(figsize=(12, 3))
for column, (before, after) in enumerate(zip(test[:8], decoder.predict(codes)[:8])):
    for row, picture in enumerate((before, after)):
        axes = figure.add_subplot(2, 8, 1 + column + 8 * row)
        axes.imshow(picture.reshape(side, side), cmap=plt.cm.gray)
        axes.axis('off')
figure.savefig('digits.png', dpi=150)
