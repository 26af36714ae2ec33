"""Record what genuine Keras computes with the tiny networks of layers.py. Python 2.7 and 3.6; run by ./record_layers.

One process for a stack, a floatX and a dim ordering. float32 saves every network, reads the file back, and writes what
stood in it, inputs and outputs to ``fixtures/layers/STACK/FAMILY.npz``; float64 adds its outputs for the same weights
and inputs.
"""
from __future__ import print_function

import argparse
import fnmatch
import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
import traceback

import h5py
import keras
import numpy as np
from keras import backend as K

import layers
from arrays import as_array, as_json, as_text, read, write

BACKEND = K.backend() if hasattr(K, 'backend') else K._BACKEND  # Keras 1.0 has no function for it
if BACKEND == 'theano':
    import theano as engine
else:
    import tensorflow as engine

BATCH, STEPS = 2, 5  # where a shape leaves it open


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('stack')
    parser.add_argument('folder', help='fixtures/layers/STACK')
    parser.add_argument('families', nargs='*', help='these only')
    parser.add_argument('--case', default='*', help='a pattern: try these, write nothing')
    args = parser.parse_args()
    if not os.path.isdir(args.folder):
        os.makedirs(args.folder)
    failures = 0
    for function in layers.FAMILIES:
        if not args.families or function.__name__ in args.families:
            failures += Family(function, args).record()
    sys.exit(1 if failures else 0)


class Family(object):
    def __init__(self, function, args):
        self.name, self.cases = function.__name__, layers.cases(function)
        self.args, self.path = args, os.path.join(args.folder, function.__name__ + '.npz')
        self.refused_path = os.path.join(args.folder, 'refused.json')

    def record(self):
        """Number of cases that failed and were not expected to, or were and did not."""
        start, arrays, refused, tried, failures = time.time(), {}, {}, 0, 0
        first = K.floatx() == 'float32' and layers.ordering() == 'th'
        if os.path.exists(self.path) and not first:
            arrays = read(self.path)
        for name, make, inputs, keep in self.cases:
            full = self.name + '/' + name
            if not fnmatch.fnmatch(name, self.args.case) or not layers.wanted(self.args.stack, full):
                continue
            if K.floatx() == 'float64' and name + '/config' not in arrays:
                continue  # refused in float32
            tried += 1
            expected = layers.refusal(self.args.stack, full)
            try:
                keep = keep and (self.args.stack not in layers.SELECTED or self.name in ('dense', 'nested'))
                arrays.update(record_case(name, make, inputs, arrays, self.kept(name) if keep else None))
                if expected and K.floatx() == 'float32':
                    print('!! %s: was to be refused (%s)' % (full, expected))
                    failures += 1
            except layers.Missing as error:
                refused[full] = ['this Keras has no such layer', str(error)]
            except Exception as error:
                reason = re.sub(r'\s+', ' ', '%s: %s' % (type(error).__name__, error))[:160]
                if expected:
                    refused[full if K.floatx() == 'float32' else full + ' in float64'] = [expected, reason]
                else:
                    print('!! %s: %s' % (full, reason))
                    failures += 1
                    if self.args.case != '*':
                        traceback.print_exc()
        if self.args.case == '*' and arrays:
            write(self.path, arrays)
        elif self.args.case == '*' and os.path.exists(self.path):
            os.remove(self.path)
        if self.args.case == '*':
            note(self.refused_path, self.name, refused, first)
        print('%s %s %s %s: %d cases, %d refused, %d bytes, %.0f s' % (
            self.args.stack, K.floatx(), layers.ordering(), self.name, tried, len(refused),
            os.path.getsize(self.path) if os.path.exists(self.path) else 0, time.time() - start))
        sys.stdout.flush()
        return failures

    def kept(self, case):
        return os.path.join(self.args.folder, '%s-%s.h5' % (self.name, case))


def record_case(name, make, inputs, known, kept):
    start_afresh()
    model = make()
    set_weights(model, name)
    if K.floatx() == 'float64':
        fed = [known['%s/inputs/%d' % (name, number)] for number in range(len(model.inputs))]
        found = run(model, fed)
    else:
        fed = make_inputs(model, name, inputs)
        found = run(model, fed)
        found.update(saved(model, kept))
        found['session'] = as_json({
            'keras': keras.__version__, 'backend': BACKEND, 'backend_version': engine.__version__, 'floatx': K.floatx(),
            'image_dim_ordering': layers.ordering()})
        for number, array in enumerate(fed):
            found['inputs/%d' % number] = array
    return dict((name + '/' + key, value) for key, value in found.items())


def start_afresh():
    """As a new process would: names count from 1."""
    if BACKEND == 'tensorflow':
        K.clear_session()
    for module in [module for name, module in sys.modules.items() if name.startswith('keras.backend')]:
        if hasattr(module, '_UID_PREFIXES'):
            module._UID_PREFIXES.clear()


# ---------------------------------------------------------------------------------------------------------------------
# Weights and inputs


def set_weights(model, name):
    """Nothing symmetric or neutral: gammas of both signs, variances off one, means off zero, biases not zero."""
    variables = model.trainable_weights + model.non_trainable_weights
    K.batch_set_value([(variable, weight(variable.name, K.get_value(variable).shape, '%s/%d' % (name, number)))
                       for number, variable in enumerate(variables)])


def weight(variable, shape, seed):
    if re.search('running_std|moving_variance', variable):
        return layers.uniform(seed, shape, 0.5, 2, 64.0)
    if 'gamma' in variable:
        signs = np.where(layers.uniform(seed + '/sign', shape, 0, 1, 64.0) < 0.4, -1, 1)
        return (signs * layers.uniform(seed, shape, 0.5, 1.5, 64.0)).astype('float32')
    return layers.uniform(seed, shape, -0.8, 0.8, 64.0)


def make_inputs(model, name, maker):
    made, left_open = [], iter(getattr(maker, 'sizes', ()))
    for number, tensor in enumerate(model.inputs):
        sizes = list(K.int_shape(tensor) if hasattr(K, 'int_shape') else tensor._keras_shape)
        shape = [BATCH if sizes[0] is None else sizes[0]]
        shape += [next(left_open, STEPS) if size is None else size for size in sizes[1:]]
        made.append(maker('%s/input/%d' % (name, number), tuple(shape), number))
    return made


def run(model, fed):
    """Outputs by key. A stateful network is run twice, the states of the first time carried over to the second."""
    if getattr(model, 'model', model) is None:  # a Sequential of Keras 1, which knows its updates once it is built
        model.build()
    updates = list(getattr(model, 'state_updates', []))
    function = K.function(list(model.inputs) + [K.learning_phase()], list(model.outputs), updates=updates)
    fed = [array.astype(K.floatx()) if array.dtype.kind == 'f' else array for array in fed]
    suffix, found = '_float64' if K.floatx() == 'float64' else '', {}
    for key in ('outputs', 'outputs_again') if updates else ('outputs',):
        for number, output in enumerate(function(fed + [0])):
            if not np.isfinite(output).all():
                raise Exception('an output is not finite')
            found['%s%s/%d' % (key, suffix, number)] = output
    return found


# ---------------------------------------------------------------------------------------------------------------------
# What stands in a file that Keras saved


def saved(model, kept):
    folder = tempfile.mkdtemp()
    try:
        weights_path, model_path = os.path.join(folder, 'weights.h5'), os.path.join(folder, 'model.h5')
        model.save_weights(weights_path)
        with h5py.File(weights_path, 'r') as file:
            attributes = {'weights': attributes_of(file), 'model': None, 'model_weights': None}
            found = weights_in(file)
        if hasattr(model, 'save'):
            model.save(model_path)
            with h5py.File(model_path, 'r') as file:
                attributes['model'] = attributes_of(file)
                attributes['model_weights'] = attributes_of(file['model_weights'])
                found = weights_in(file['model_weights'])
                found['config'] = as_array(as_text(file.attrs['model_config']))
        else:
            found['config'] = as_array(model.to_json())
        if kept:
            shutil.copyfile(model_path if hasattr(model, 'save') else weights_path, kept)
    finally:
        shutil.rmtree(folder)
    found['attributes'] = as_json(attributes)
    return found


def weights_in(group):
    """layers: [layer, [names of its weights]] in the order of the file; the tensors by layer and place."""
    listed, found = [], {}
    for layer in group.attrs['layer_names']:
        layer = as_text(layer)
        names = [as_text(name) for name in group[layer].attrs['weight_names']]
        listed.append([layer, names])
        for number, name in enumerate(names):
            found['weights/%s/%d' % (layer, number)] = group[layer][name][()]
    found['layers'] = as_json(listed)
    return found


def attributes_of(group):
    return dict((key, as_text(value)) for key, value in group.attrs.items()
                if key not in ('layer_names', 'model_config'))


def note(path, family, refused, first):
    known = {}
    if os.path.exists(path):
        with io.open(path, encoding='utf8') as file:
            known = json.load(file)
    known = dict((key, value) for key, value in known.items() if not (first and key.startswith(family + '/')))
    known.update(refused)
    if known:
        with io.open(path, 'wb') as file:
            file.write(json.dumps(known, indent=1, sort_keys=True, separators=(',', ': ')).encode('ascii') + b'\n')
    elif os.path.exists(path):
        os.remove(path)


if __name__ == '__main__':
    main()
