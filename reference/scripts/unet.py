from __future__ import print_function

import os
import numpy as np
from skimage.io import imread, imsave
from skimage.transform import resize
from keras.models import Model
from keras.layers import Input, merge, Convolution2D, MaxPooling2D, UpSampling2D
from keras.optimizers import Adam
from keras.callbacks import ModelCheckpoint
from keras import backend as K

K.set_image_dim_ordering('th')

# Outlines roofs in aerial photographs, one grey channel in, one mask out.
HEIGHT, WIDTH = 32, 48
TINY = 1.


def overlap(truth, guess):
    truth, guess = K.flatten(truth), K.flatten(guess)
    common = K.sum(truth * guess)
    return (2. * common + TINY) / (K.sum(truth) + K.sum(guess) + TINY)


def overlap_loss(truth, guess):
    return 1. - overlap(truth, guess)


def pair(x, maps):
    x = Convolution2D(maps, 3, 3, activation='relu', border_mode='same')(x)
    return Convolution2D(maps, 3, 3, activation='relu', border_mode='same')(x)


def get_unet(widths=(4, 6, 8)):
    photo = Input((1, HEIGHT, WIDTH))
    kept, x = [], photo
    for maps in widths[:-1]:
        x = pair(x, maps)
        kept.append(x)
        x = MaxPooling2D(pool_size=(2, 2))(x)
    x = pair(x, widths[-1])
    for maps, left in zip(widths[-2::-1], kept[::-1]):
        x = merge([UpSampling2D(size=(2, 2))(x), left], mode='concat', concat_axis=1)
        x = pair(x, maps)
    mask = Convolution2D(1, 1, 1, activation='sigmoid')(x)
    net = Model(input=photo, output=mask)
    net.compile(optimizer=Adam(lr=1e-4), loss=overlap_loss, metrics=[overlap])
    return net


def folder(name):
    files = sorted(os.listdir(name))
    found = np.zeros((len(files), 1, HEIGHT, WIDTH), 'float32')
    for place, file in enumerate(files):
        found[place, 0] = resize(imread(os.path.join(name, file), as_grey=True), (HEIGHT, WIDTH))
    return files, found


def main():
    _, photos = folder('photos')
    _, roofs = folder('roofs')
    photos = (photos - photos.mean()) / photos.std()
    net = get_unet()
    net.fit(photos, roofs, batch_size=16, nb_epoch=40, validation_split=0.1, shuffle=True,
            callbacks=[ModelCheckpoint('roofs.h5', monitor='val_loss', save_best_only=True)])
    net.load_weights('roofs.h5')
    files, fresh = folder('fresh')
    for file, mask in zip(files, net.predict(fresh)):
        imsave('mask_' + file, (255 * mask[0]).astype(np.uint8))


if __name__ == '__main__':
    main()
