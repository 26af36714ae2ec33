"""Does genuine Keras 1 on Theano load what ``ror-port to-theano`` wrote, and compute with it what was recorded?

Arguments: a file of ours, the folder of the fixture it goes back to, and that network as FAMILY BLOCKS WIDTH. Run by
./genuine. Prints the relative L2 errors of the logits and how many tensors are the recorded ones, byte for byte.
"""
from __future__ import print_function

import hashlib
import json
import sys

import h5py
import keras
import numpy as np

import networks
import record


def main(path, fixture, family, blocks, width):
    with h5py.File(fixture + '/record_float32.h5', 'r') as recorded:
        images, expected = recorded['images'][:], recorded['logits'][:]
        size = images.shape[2]
    with open(fixture + '/manifest_float32.json') as file:
        known = dict((name, digest) for _, tensors in json.load(file)['layers'] for name, _, digest in tensors)
    model = networks.FAMILIES[family](int(blocks), int(width), expected.shape[1], 0.0, size)
    print('Keras', keras.__version__, 'on', keras.backend.backend())
    for by_name in (False, True):
        for layer in model.layers:
            layer.set_weights([np.zeros_like(array) for array in layer.get_weights()])
        model.load_weights(path, by_name=True) if by_name else model.load_weights(path)
        (logits,) = record.run(model, [record.logits(model)], images)
        error = np.linalg.norm(logits - expected) / np.linalg.norm(expected)
        print('by name:' if by_name else 'by order:', 'relative L2 of the logits', error)
    loaded = record.tensors(model)
    same = sum(hashlib.sha256(array.tobytes()).hexdigest() == known[name] for name, array in loaded.items())
    print('tensors as recorded, byte for byte:', same, 'of', len(known))


if __name__ == '__main__':
    main(*sys.argv[1:])
