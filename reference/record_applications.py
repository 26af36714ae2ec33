"""Record what genuine Keras computes with its own large networks: keras.applications, with weights from a seed.

Python 3.6; run by ./record_applications. Writes ``fixtures/applications/NETWORK-ORDERING.npz``, whose keys are those of
record_layers.py, but of the tensors their shapes alone are kept, as JSON under ``shapes``: recipe.py makes
them again, and the inputs, of the shape under ``image``. float64 adds its outputs.
"""
from __future__ import print_function

import os
import sys

import importlib

import keras
import numpy as np
import theano
from keras import backend as K

import arrays
import layers
import recipe
import record_layers

KERAS_2 = keras.__version__.startswith('2')
IMAGE = (3, 224, 224)

# Name: module of keras.applications, its function, channels, rows and columns of an image, arguments.
NETWORKS = {
    'vgg16': ('vgg16', 'VGG16', IMAGE, {}),
    'vgg19': ('vgg19', 'VGG19', IMAGE, {}),
    'vgg16_headless': ('vgg16', 'VGG16', (3, 48, 64), {'include_top': False}),
    'resnet50': ('resnet50', 'ResNet50', IMAGE, {}),
    'inception_v3': ('inception_v3', 'InceptionV3', (3, 299, 299), {}),
    'music_tagger_crnn': ('music_tagger_crnn', 'MusicTaggerCRNN', (1, 96, 1366), {}),
} if not KERAS_2 else {
    'inception_v3_of_keras_2': ('inception_v3', 'InceptionV3', (3, 299, 299), {}),
    'xception': ('xception', 'Xception', (3, 299, 299), {}),
    'mobilenet': ('mobilenet', 'MobileNet', IMAGE, {}),
    'mobilenet_half': ('mobilenet', 'MobileNet', (3, 128, 128), {'alpha': 0.5, 'classes': 7}),
}


def main(folder, *names):
    ordering = layers.ordering()
    if KERAS_2:  # the weights come afterwards; those that Theano would draw take minutes
        for kind in ('VarianceScaling', 'Orthogonal'):
            setattr(getattr(keras.initializers, kind), '__call__', lambda self, shape, dtype=None: np.zeros(shape))
    for name in names or sorted(NETWORKS):
        if name not in NETWORKS:
            continue  # of the other Keras
        path = os.path.join(folder, '%s-%s.npz' % (name, ordering))
        module, function, shape, arguments = NETWORKS[name]
        if 'classes' in arguments:
            arguments = dict(arguments, input_shape=shape if ordering == 'th' else shape[1:] + shape[:1])
        build = getattr(importlib.import_module('keras.applications.' + module), function)
        record_layers.start_afresh()
        model = build(weights=None, **arguments)
        variables = model.trainable_weights + model.non_trainable_weights
        shapes = [K.get_value(variable).shape for variable in variables]
        K.batch_set_value([(variable, recipe.application_weight(name, variable.name, shape, ordering))
                           for variable, shape in zip(variables, shapes)])
        if K.floatx() == 'float32':
            found = record_layers.saved(model, None)
            shapes = dict((key[8:], found.pop(key).shape) for key in list(found) if key.startswith('weights/'))
            known = dict(found, shapes=arrays.as_json(shapes), session=arrays.as_json(session()),
                         image=arrays.as_json(shape))
        else:
            known = arrays.read(path)
        known.update(record_layers.run(model, [recipe.application_images(ordering, shape)]))
        outputs = [known[key] for key in known if key.startswith('outputs')]
        print(path, [(array.dtype, array.argmax(axis=1), array.max(axis=1)) for array in outputs])
        arrays.write(path, known)


def session():
    return {'keras': keras.__version__, 'backend': 'theano', 'backend_version': theano.__version__,
            'floatx': K.floatx(), 'image_dim_ordering': layers.ordering()}


if __name__ == '__main__':
    if not os.path.isdir(sys.argv[1]):
        os.makedirs(sys.argv[1])
    main(*sys.argv[1:])
