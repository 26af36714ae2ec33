"""Removes noise from digits by convolutions; the codes in the middle serve to look for neighbours."""
import numpy as np
from keras.callbacks import ModelCheckpoint
from keras.datasets import mnist
from keras.layers import Activation, Convolution2D, Dense, Flatten, Input, MaxPooling2D, Reshape, UpSampling2D
from keras.models import Model
from sklearn.neighbors import NearestNeighbors


def down(x, maps, **more):
    x = Convolution2D(maps, 3, 3, activation='relu', border_mode='same')(x)
    return MaxPooling2D((2, 2), border_mode='same', **more)(x)


def up(x, maps, mode='same'):
    x = Convolution2D(maps, 3, 3, activation='relu', border_mode=mode)(x)
    return UpSampling2D((2, 2))(x)


picture = Input(shape=(1, 28, 28), name='picture')
code = down(down(down(picture, 4), 3), 2, name='code')          # 2 maps of 4 x 4
x = up(up(up(code, 2), 3), 4, 'valid')                           # 8, 16, 14, 28
clean = Convolution2D(1, 3, 3, activation='sigmoid', border_mode='same')(x)

cleaner = Model(picture, clean)
cleaner.compile(optimizer='adadelta', loss='binary_crossentropy')
encoder = Model(input=picture, output=code)

(digits, labels), (others, _) = mnist.load_data()
digits = np.expand_dims(digits[:1000], 1) / np.float32(255)
others = np.expand_dims(others[:100], 1) / np.float32(255)
noisy = (digits + np.random.normal(scale=.4, size=digits.shape)).clip(0, 1)

cleaner.fit(noisy, digits, nb_epoch=60, batch_size=100, callbacks=[ModelCheckpoint('cleaner-{epoch:02d}.h5')])

codes = encoder.predict(others)
codes = codes.reshape(len(codes), -1)
neighbours = NearestNeighbors(n_neighbors=5).fit(codes)
print(codes.shape, neighbours.kneighbors(codes[:3]))
