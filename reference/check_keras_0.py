"""Does genuine Keras 0.3 load what ``ror-port to-theano`` wrote, and compute what was recorded?

Arguments: a folder as ``return_layers.py`` fills it, and the folder of the records. Run by ./genuine. Each network is
built as ``record_keras_0.py`` builds it, since Keras 0.3 cannot build all of them from their JSON.
"""
from __future__ import print_function

import os
import sys

import numpy as np

from arrays import read
from record_keras_0 import FAMILIES, run

TOLERANCE = 1e-6


def main(folder, records):
    passed, failed, largest, exact = 0, 0, 0.0, 0
    for function in FAMILIES:
        cases = []
        function(lambda name, make, *inputs: cases.append((name, make)))
        known = read(os.path.join(records, function.__name__ + '.npz'))
        for name, make in cases:
            path = os.path.join(folder, function.__name__, name + '.h5')
            if not os.path.exists(path):
                continue
            recorded = dict((key, array) for key, array in known.items() if key.startswith(name + '/'))
            try:
                error = check(path, make(), recorded, name)
            except Exception as problem:
                error, reason = np.inf, '%s: %s' % (type(problem).__name__, ' '.join(str(problem).split())[:200])
            else:
                reason = 'relative L2 error %.1e' % error
            if error > TOLERANCE:
                failed += 1
                print('!! %s/%s: %s' % (function.__name__, name, reason))
            else:
                passed, exact, largest = passed + 1, exact + (error == 0), max(largest, error)
            sys.stdout.flush()
    print('%d files load and compute what was recorded (relative L2 error at most %.1e; 0 for %d), %d do not' % (
        passed, largest, exact, failed))
    sys.exit(1 if failed else 0)


def check(path, model, recorded, name):
    model.load_weights(path)
    fed = [recorded[key] for key in sorted(recorded) if key.startswith(name + '/inputs/')]
    errors = []
    for key, output in run(model, fed).items():
        expected = recorded[name + '/' + key]
        if output.shape != expected.shape:
            raise ValueError('output of shape %s, recorded %s' % (output.shape, expected.shape))
        errors.append(np.linalg.norm(np.float64(output) - expected) / (np.linalg.norm(expected) or 1))
    return max(errors)


if __name__ == '__main__':
    main(*sys.argv[1:])
