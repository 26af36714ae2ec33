"""Record what genuine Keras computes with its own large networks: keras.applications, with weights from a seed.

Python 3.6; run by ./record_applications. Writes ``fixtures/applications/NETWORK-ORDERING.npz``, whose keys are those of
record_layers.py, but of the tensors their shapes alone are kept, as JSON under ``shapes``: recipe.py makes
them again, and the inputs. float64 adds its outputs.
"""
from __future__ import print_function

import os
import sys

import keras
import theano
from keras import backend as K
from keras.applications import resnet50, vgg16

import arrays
import layers
import recipe
import record_layers

NETWORKS = {'vgg16': vgg16.VGG16, 'resnet50': resnet50.ResNet50}


def main(folder, *names):
    ordering = layers.ordering()
    for name in names or sorted(NETWORKS):
        path = os.path.join(folder, '%s-%s.npz' % (name, ordering))
        model = NETWORKS[name](weights=None)
        variables = model.trainable_weights + model.non_trainable_weights
        shapes = [K.get_value(variable).shape for variable in variables]
        K.batch_set_value([(variable, recipe.application_weight(name, variable.name, shape, ordering))
                           for variable, shape in zip(variables, shapes)])
        if K.floatx() == 'float32':
            found = record_layers.saved(model, None)
            shapes = dict((key[8:], found.pop(key).shape) for key in list(found) if key.startswith('weights/'))
            known = dict(found, shapes=arrays.as_json(shapes), session=arrays.as_json(session()))
        else:
            known = arrays.read(path)
        known.update(record_layers.run(model, [recipe.application_images(ordering)]))
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
