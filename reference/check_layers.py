"""Does genuine Keras on Theano load the full models that ``ror-port to-theano`` wrote, and compute what was recorded?

Arguments: a folder as ``return_layers.py`` fills it, and the folder of the records, fixtures/layers/STACK. Run by
./genuine. Prints every file that fails and, at the end, how many passed and the largest relative L2 error.
"""
from __future__ import print_function

import os
import sys
import warnings

import h5py
import keras
import numpy as np
from keras import backend as K

from arrays import read

BACKEND = K.backend() if hasattr(K, 'backend') else K._BACKEND  # Keras 1.0 has no function for it
TOLERANCE = 1e-6


def main(folder, records):
    passed, failed, largest, exact = 0, 0, 0.0, 0
    for family in sorted(os.listdir(folder)):
        recorded = read(os.path.join(records, family + '.npz'))
        for name in sorted(os.listdir(os.path.join(folder, family))):
            case = name[:-len('.h5')]
            try:
                error = check(os.path.join(folder, family, name), recorded, case)
            except Exception as problem:
                error, reason = np.inf, '%s: %s' % (type(problem).__name__, ' '.join(str(problem).split())[:300])
            else:
                reason = 'relative L2 error %.1e' % error
            if error > TOLERANCE:
                failed += 1
                print('!! %s/%s: %s' % (family, case, reason))
            else:
                passed, exact, largest = passed + 1, exact + (error == 0), max(largest, error)
        sys.stdout.flush()
    print('Keras %s on %s: %d files load and compute what was recorded (relative L2 error at most %.1e; 0 for %d), '
          '%d do not' % (keras.__version__, BACKEND, passed, largest, exact, failed))
    sys.exit(1 if failed else 0)


def check(path, recorded, case):
    """The largest relative L2 error of an output. In a session of the ordering in which the case was recorded."""
    if hasattr(K, 'set_image_data_format'):
        K.set_image_data_format({'th': 'channels_first', 'tf': 'channels_last'}[case.rsplit('-', 1)[1]])
    else:
        K.set_image_dim_ordering(case.rsplit('-', 1)[1])
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with h5py.File(path, 'r') as file:
            whole = 'model_config' in file.attrs
        if whole:
            model = keras.models.load_model(path)
        else:  # of a Keras without model.save
            model = keras.models.model_from_json(recorded[case + '/config'].item().decode('utf8'))
            model.load_weights(path)
    fed = [recorded['%s/inputs/%d' % (case, number)] for number in range(len(model.inputs))]
    found = K.function(list(model.inputs) + [K.learning_phase()], list(model.outputs))(fed + [0])
    errors = []
    for number, output in enumerate(found):
        expected = recorded['%s/outputs/%d' % (case, number)]
        if output.shape != expected.shape:
            raise ValueError('output of shape %s, recorded %s' % (output.shape, expected.shape))
        difference = np.linalg.norm(np.float64(output) - expected)
        errors.append(difference / (np.linalg.norm(expected) or 1))
    return max(errors)


if __name__ == '__main__':
    main(*sys.argv[1:])
