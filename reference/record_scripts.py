"""Record the networks that the period scripts of scripts/ build in genuine Keras. Python 2.7 and 3.6; run by
./record_scripts.

One process for a stack, a floatX and a dim ordering, and below it one for every script, as each counts its layers from
1. The script is run whole; what trains, loads, saves or shows is patched away. float32 gives the model that the script
builds weights, saves them, and writes what stood in that file, the model's JSON, inputs and outputs to
``fixtures/scripts/STACK/SCRIPT.npz``; float64 adds its outputs for the same weights and inputs.
"""
from __future__ import print_function

import argparse
import codecs
import opcode
import os
import shutil
import sys
import tempfile
import time
import traceback
import types

import h5py
import numpy as np
import pkg_resources
import theano
from keras import backend as K

from arrays import as_array, as_json, read, write

KERAS = pkg_resources.get_distribution('Keras').version
GENERATION = int(KERAS.split('.')[0])
if GENERATION:
    import record_layers as recorder
else:
    import record_keras_0 as recorder

import keras.callbacks
import keras.models
import keras.preprocessing.image
import keras.utils.data_utils

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH = 4

K0, K11, K12, K22 = 'keras-0.3.3', 'keras-1.1.0', 'keras-1.2.2', 'keras-2.2.4'

SCRIPTS = (
    # script, {Keras: orderings}, what in it is a model (called, if it ends in parentheses), {input: number of words}
    ('autoencoder', {K12: 'th'}, ('whole', 'encoder', 'decoder'), {}),
    ('char_rnn', {K12: 'th'}, ('net',), {}),
    ('churn_pandas', {K22: 'th'}, ('leaving()', 'kept'), {}),
    ('cifar10_cnn', {K12: 'th'}, ('model',), {}),
    ('cifar10_ror_wrn', {K11: 'th', K12: 'th tf'}, ('network',), {}),
    ('cifar10_wrn_keras2', {K22: 'th tf'}, ('model',), {}),
    ('conv_autoencoder', {K12: 'th'}, ('cleaner', 'encoder'), {}),
    ('custom_parts', {K22: 'tf'}, ('model',), {}),
    ('densenet', {K12: 'th tf'}, ('net',), {}),
    ('fish_notebook', {K22: 'tf'}, ('model', 'features'), {}),
    ('gan', {K12: 'th'}, ('forger', 'judge', 'chain'), {}),
    ('imdb_bidirectional', {K22: 'th'}, ('reader',), {0: 70}),
    ('imdb_cnn_lstm', {K12: 'th'}, ('mood',), {0: 50}),
    ('imdb_lstm', {K12: 'th'}, ('net',), {0: 60}),
    ('keras0_graph', {K0: 'th'}, ('graph',), {0: 50}),
    ('keras0_mnist', {K0: 'th'}, ('net',), {}),
    ('legacy_names', {K22: 'th'}, ('pictures', 'words', 'pair'), {}),
    ('lenet_class', {K12: 'th'}, ('model',), {}),
    ('mlp_python2', {K11: 'th'}, ('model',), {}),
    ('mnist_cnn_1', {K12: 'th tf'}, ('model',), {}),
    ('mnist_cnn_2', {K22: 'th tf'}, ('net',), {}),
    ('multi_io', {K12: 'th'}, ('desk',), {0: 40}),
    ('named_layers', {K12: 'th tf'}, ('net', 'features'), {}),
    ('nested_models', {K22: 'tf'}, ('model', 'look'), {}),
    ('penalties', {K12: 'th'}, ('model',), {0: 30}),
    ('penalties_keras2', {K22: 'th'}, ('model',), {0: 30}),
    ('roman_rnn', {K22: 'th'}, ('model',), {}),
    ('seq2seq', {K22: 'th'}, ('model', 'reader', 'step'), {}),
    ('sequential_list', {K12: 'th'}, ('model',), {}),
    ('siamese', {K12: 'th'}, ('twins',), {}),
    ('stateful_lstm', {K12: 'th'}, ('model',), {}),
    ('strokes_python2', {K11: 'th'}, ('model',), {}),
    ('text_cnn', {K12: 'th'}, ('question',), {0: 40}),
    ('train_args', {K22: 'th'}, ('build_model()',), {}),
    ('unet', {K12: 'th'}, ('get_unet()',), {}),
    ('unet_keras2', {K22: 'tf'}, ('net', 'salt_net()'), {}),
    ('vgg16', {K11: 'th', K12: 'th'}, ('VGG_16()',), {}),
    ('vqa', {K12: 'th'}, ('answer',), {}),
)

WORDS = {('legacy_names', 'words'): {0: 30}}  # where not all models of a script have the same inputs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('stack')
    parser.add_argument('ordering', choices=('th', 'tf'))
    parser.add_argument('folder', help='fixtures/scripts/STACK')
    parser.add_argument('scripts', nargs='*', help='these only')
    args = parser.parse_args()
    folder, failures = os.path.abspath(args.folder), 0
    if not os.path.isdir(folder):
        os.makedirs(folder)
    for script, orderings, models, words in SCRIPTS:
        wanted = orderings.get(args.stack.split('-theano')[0], '').split()
        if args.ordering in wanted and (not args.scripts or script in args.scripts):
            path, begun = os.path.join(folder, script + '.npz'), time.time()
            first = K.floatx() == 'float32' and args.ordering == wanted[0]
            if first and os.path.exists(path):
                os.remove(path)
            done = apart(lambda: record(script, args.ordering, models, words, path))
            failures += not done
            print('%s %s %s: %s, %d bytes, %.1f s' % (
                script, args.ordering, K.floatx(), 'done' if done else '!! FAILED',
                os.path.getsize(path) if os.path.exists(path) else 0, time.time() - begun))
            sys.stdout.flush()
    sys.exit(1 if failures else 0)


def apart(work):
    """Whether it is done without an error, in a process of its own, to which it is as if nothing had been built."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def record(script, ordering, models, words, path):
    arrays = read(path) if os.path.exists(path) else {}
    with Folder():
        for wanted in models:
            if wanted.endswith('()'):  # as if it were imported, apart from what the script does itself
                if not apart(lambda wanted=wanted: record_model(script, ordering, wanted, words, path, arrays)):
                    raise Exception(wanted)
                arrays = read(path)
        variables = [wanted for wanted in models if not wanted.endswith('()')]
        if variables:
            with Patches() as patches:
                namespace = executed(script, '__main__')
            texts = [json_of(namespace[name]) for name in variables]
            patches.restore()
            for name, text in zip(variables, texts):
                arrays.update(recorded(
                    script, name, 'variable', namespace[name], text, ordering, WORDS.get((script, name), words), arrays))
            write(path, arrays)


def record_model(script, ordering, wanted, words, path, arrays):
    name = wanted[:-2]
    with Patches():
        model = executed(script, script)[name]()
    arrays.update(recorded(script, name, 'call', model, json_of(model), ordering, words, arrays))
    write(path, arrays)


def recorded(script, name, how, model, text, ordering, words, known):
    case, found = '%s-%s' % (name, ordering), {}
    seed = '%s/%s/%s' % (script, name, ordering)
    set_weights(model, seed)
    if K.floatx() == 'float64':
        count = len([key for key in known if key.startswith(case + '/inputs/')])
        fed = [known['%s/inputs/%d' % (case, number)] for number in range(count)]
        found = recorder.run(model, fed)
    else:
        fed = make_inputs(model, seed, words)
        found = recorder.run(model, fed)
        ensure_telling(found)
        found.update(saved(model))
        found['config'] = as_array(text)
        found['session'] = as_json({
            'keras': KERAS, 'backend': 'theano', 'backend_version': theano.__version__, 'floatx': K.floatx(),
            'image_dim_ordering': ordering, 'found': how})
        found.update(('inputs/%d' % number, array) for number, array in enumerate(fed))
    return dict((case + '/' + key, value) for key, value in found.items() if not key.startswith('outputs_again'))


# ---------------------------------------------------------------------------------------------------------------------
# Running a script


class Folder(object):
    """A copy of scripts/ to run in, so that nothing that a script writes stays."""

    def __enter__(self):
        self.before, self.path = os.getcwd(), tempfile.mkdtemp()
        shutil.copytree(os.path.join(HERE, 'scripts'), os.path.join(self.path, 'scripts'))
        os.chdir(os.path.join(self.path, 'scripts'))

    def __exit__(self, *exception):
        os.chdir(self.before)
        shutil.rmtree(self.path)


def executed(script, name):
    """The variables of a script, once it has run. Its functions know it by a path without folders."""
    path = script + '.py'
    sys.argv = [path]
    sys.path.insert(0, os.getcwd())
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__, module.get_ipython = path, Anything  # the latter as a notebook has it
    with open(path, 'rb') as file:
        text = file.read()
    log, out = codecs.open('output.txt', 'w', 'utf8'), sys.stdout
    sys.stdout = log
    try:
        exec(compile(text, path, 'exec', 0, 1), module.__dict__)
    finally:
        sys.stdout = out
        log.close()
    return module.__dict__


def json_of(model):
    return model.to_json() if GENERATION else model.to_json(sort_keys=True)


class Patches(object):
    """Keras without training, files and downloads; what is no part of Keras can be imported and does nothing."""

    def __init__(self):
        self.before = []

    def __enter__(self):
        models = [keras.models.Sequential, keras.models.Model] if GENERATION else \
            [keras.models.Sequential, keras.models.Graph]
        for model in models:
            for name, method in METHODS.items():
                self.patch(model, name, method)
        if not GENERATION:
            self.patch(K, 'function', lambda *args, **kwargs: None)  # which compile makes three of
        for name, load in DATA.items():
            try:
                module = __import__('keras.datasets.' + name, fromlist=['load_data'])
            except ImportError:
                continue
            self.patch(module, 'load_data', load)
            if hasattr(module, 'get_word_index'):
                self.patch(module, 'get_word_index', lambda *args, **kwargs: {})
        for module in (keras.utils, keras.utils.data_utils):
            self.patch(module, 'get_file', lambda name, *args, **kwargs: name)
        self.patch(keras.preprocessing.image.ImageDataGenerator, 'flow_from_directory', Pictures)
        for module in (keras.utils, getattr(keras.utils, 'vis_utils', None)):
            for name in ('plot_model', 'model_to_dot'):
                if hasattr(module, name):
                    self.patch(module, name, Anything)
        if GENERATION:
            import keras.wrappers.scikit_learn as wrappers
            self.patch(wrappers.BaseWrapper, 'check_params', lambda *args: None)  # looks at what fit takes
        sys.meta_path.insert(0, Absent())
        return self

    def patch(self, owner, name, value):
        self.before.append((owner, name, vars(owner).get(name, Absent)))
        setattr(owner, name, value)

    def __exit__(self, *exception):
        self.restore()

    def restore(self):
        while self.before:
            owner, name, value = self.before.pop()
            if value is Absent:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


class Anything(object):
    """Takes everything and does nothing; unpacked, it is as many as there are names."""

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return Anything()

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return Anything()

    def __iter__(self):
        frame = sys._getframe(1)
        code = bytearray(frame.f_code.co_code)
        unpacked = opcode.opname[code[frame.f_lasti]] == 'UNPACK_SEQUENCE'
        return iter([Anything() for _ in range(code[frame.f_lasti + 1] if unpacked else 0)])

    def __getitem__(self, key):
        return Anything()

    def __setitem__(self, key, value):
        pass

    def __float__(self):
        return 0.0

    def __int__(self):
        return 0

    def __len__(self):
        return 0

    def __lt__(self, other):
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __format__(self, specification):
        return ''


for _operation in ('add', 'radd', 'sub', 'rsub', 'mul', 'rmul', 'truediv', 'rtruediv', 'div', 'rdiv', 'neg'):
    setattr(Anything, '__%s__' % _operation, Anything.__call__)


class AbsentModule(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return Anything()


class Absent(object):
    """Finds modules that are not of Keras for the script, installed or not, so that records do not depend on it."""

    NAMES = ('IPython', 'PIL', 'cv2', 'matplotlib', 'pandas', 'seaborn', 'skimage', 'sklearn', 'tensorflow')

    def find_module(self, name, path=None):
        frame = sys._getframe(1)
        while 'importlib' in frame.f_code.co_filename:
            frame = frame.f_back
        drawing = name in ('keras.utils.visualize_util', 'keras.utils.vis_utils')
        of_script = not os.path.dirname(frame.f_code.co_filename)
        return self if of_script and (drawing or name.split('.')[0] in self.NAMES) else None

    def load_module(self, name):
        module = sys.modules[name] = AbsentModule(name)
        return module


# ---------------------------------------------------------------------------------------------------------------------
# What stands for training


class Pictures(object):
    """What stands for those in a folder."""

    def __init__(self, *args, **kwargs):
        self.shape, self.samples = kwargs['target_size'] + (3,), 64
        self.class_indices = dict((name, number) for number, name in enumerate(kwargs['classes']))

    def __iter__(self):
        return self

    def __next__(self):
        return np.zeros((16,) + self.shape), np.eye(len(self.class_indices))[np.zeros(16, int)]

    next = __next__


class Past(object):
    """What fit returns."""

    def __init__(self):
        self.epoch, self.history = [0], dict((key, [0.5]) for key in ('loss', 'acc', 'val_loss', 'val_acc'))


def fitted(model, *args, **kwargs):
    for callback in kwargs.get('callbacks', []):
        if not type(callback).__module__.startswith('keras'):
            callback.on_train_begin()
    return Past()


def scores(model, *args, **kwargs):
    names = getattr(model, 'metrics_names', None) or ['loss'] + ['acc'] * bool(kwargs.get('show_accuracy'))
    return [0.5] * len(names) if len(names) > 1 else 0.5


def evenly(shape, count):
    return np.ones([count] + [size or 1 for size in shape[1:]]) / (shape[-1] or 1)


def predicted(model, x, *args, **kwargs):
    if isinstance(x, dict):
        count = len(list(x.values())[0])
        return dict((name, evenly(model.outputs[name].output_shape, count)) for name in model.output_order)
    count = len(x[0] if isinstance(x, list) else x)
    shapes = model.output_shape
    if isinstance(shapes, list):
        return [evenly(shape, count) for shape in shapes]
    return evenly(shapes, count)


METHODS = {
    'fit': fitted,
    'fit_generator': fitted,
    'evaluate': scores,
    'evaluate_generator': scores,
    'train_on_batch': scores,
    'test_on_batch': scores,
    'predict': predicted,
    'predict_proba': predicted,
    'predict_on_batch': predicted,
    'predict_classes': lambda *args, **kwargs: predicted(*args, **kwargs).argmax(-1),
    'load_weights': lambda *args, **kwargs: None,
    'save_weights': lambda *args, **kwargs: None,
    'save': lambda *args, **kwargs: None,
}


def labelled(shape, classes, column=False):
    def load_data(*args, **kwargs):
        labels = np.arange(60) % classes
        images = np.zeros((60,) + (shape() if callable(shape) else shape), 'uint8')
        return ((images, labels.reshape(-1, 1) if column else labels),) * 2

    return load_data


def colours():
    return (32, 32, 3) if GENERATION and recorder.layers.ordering() == 'tf' else (3, 32, 32)


def reviews(*args, **kwargs):
    count = kwargs.get('num_words') or kwargs.get('nb_words')
    texts = np.empty(60, object)
    texts[:] = [[1 + number % (count - 1)] * (1 + number % 7) for number in range(60)]
    return ((texts, np.arange(60) % 2),) * 2


DATA = {
    'mnist': labelled((28, 28), 10),
    'cifar10': labelled(colours, 10, column=True),
    'imdb': reviews,
}


# ---------------------------------------------------------------------------------------------------------------------
# Weights, inputs, files


def set_weights(model, seed):
    variables = model.trainable_weights + model.non_trainable_weights if GENERATION else recorder.variables(model)
    for number, variable in enumerate(variables):
        shape = K.get_value(variable).shape
        K.set_value(variable, weight(variable.name or '', shape, '%s/%d' % (seed, number)))


def weight(variable, shape, seed):
    """As for single layers, but of matrices and kernels the smaller, the more is summed."""
    found = recorder.weight(variable, shape, seed)
    if found.ndim > 1 and 'embedding' not in variable:
        summed = shape[0] if found.ndim == 2 else found.size / max(shape[0], shape[-1])
        found = np.rint(found * min(1, 3 / summed ** 0.5) * 64) / 64
    return found.astype('float32')


def make_inputs(model, seed, words):
    if GENERATION:
        shapes = [K.int_shape(tensor) if hasattr(K, 'int_shape') else tensor._keras_shape for tensor in model.inputs]
    elif hasattr(model, 'input_order'):
        shapes = [model.inputs[name].input_shape for name in model.input_order]
    else:
        shapes = [model.input_shape]
    made = []
    for number, sizes in enumerate(shapes):
        shape = tuple([sizes[0] or BATCH] + [size or 5 for size in sizes[1:]])
        if number in words:
            count = words[number]
            made.append(uniform('%s/input/%d' % (seed, number), shape, 0, count - 1, 1.0).astype('int32'))
        else:
            made.append(values('%s/input/%d' % (seed, number), shape))
    return made


def values(seed, shape):
    """Noise, and offsets of each sample, so that networks that take means do not see all of them alike."""
    found = uniform(seed, shape, -1, 1, 16.0)
    for axis in set([1, len(shape) - 1]):
        sizes = [size if place in (0, axis) else 1 for place, size in enumerate(shape)]
        found = found + uniform('%s/offset/%d' % (seed, axis), tuple(sizes), -1.5, 1.5, 16.0)
    return found


uniform = recorder.layers.uniform if GENERATION else recorder.uniform


def ensure_telling(found):
    """That outputs are neither all alike, nor a softmax or sigmoid that is far in its limits."""
    for key, output in found.items():
        spread = np.abs(output - output.mean(axis=0)).max()
        if not spread > 0.002 * np.abs(output).max():
            raise Exception('%s is much the same for all inputs: %g of %g' % (key, spread, np.abs(output).max()))
        if not np.unique(np.round(output, 5)).size > 3:
            raise Exception('%s has few different values' % key)


def saved(model):
    """What stands in the file of its weights."""
    path = 'weights.h5'
    if os.path.exists(path):
        os.remove(path)
    model.save_weights(path)
    with h5py.File(path, 'r') as file:
        found = recorder.weights_in(file)
        attributes = recorder.attributes_of(file) if GENERATION else {}
    os.remove(path)
    found['attributes'] = as_json({'weights': attributes, 'model': None, 'model_weights': None})
    return found


if __name__ == '__main__':
    main()
