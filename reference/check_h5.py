"""Does genuine Keras 2 load what ``ror-port theano-to-tf … --format h5`` wrote? Run by ./genuine.

Loads the model whole, its weights by order and by name, and compares with the record of the source's fixture.
"""
from __future__ import print_function

import sys

import h5py
import keras
import numpy as np


def main(path, fixture):
    with h5py.File(fixture + '/record_float32.h5', 'r') as record:
        images, expected = record['images'][:].transpose(0, 2, 3, 1), record['probabilities'][:]

    def error(model):
        return np.linalg.norm(model.predict(images) - expected) / np.linalg.norm(expected)

    model = keras.models.load_model(path, compile=False)
    print('Keras', keras.__version__, 'on', keras.backend.backend())
    print('whole: relative L2', error(model))
    for by_name in (False, True):
        model.set_weights([np.zeros_like(array) for array in model.get_weights()])
        model.load_weights(path, by_name=by_name)
        print('by name:' if by_name else 'by order:', 'relative L2', error(model))


if __name__ == '__main__':
    main(*sys.argv[1:])
