"""Record what the constructors of genuine Keras take: arguments with their defaults, and what get_config gives of them.

Python 2.7 and 3.6; run by ./record_signatures. Writes one JSON of facts about the interface, which the stand-in for
Keras reads. layers: class -> "arguments", [name, default] or [name] where one must be given; "keywords", those that
only a parent of the class takes; "config", setting -> what it is by default; or "is", the class that it is another name
of. initializers: of Keras 2, the same, and the settings of each by its name.
"""

from __future__ import print_function

import inspect
import json
import sys

import keras

VERSION = tuple(map(int, keras.__version__.split('.')[:2]))

# What a layer must be given to be made at all; the sizes are told apart from defaults by nothing else having them.
GIVEN = {
    'output_dim': 9973,
    'units': 9973,
    'filters': 9973,
    'nb_filter': 9973,
    'n': 9973,
    'nb_row': 9967,
    'nb_col': 9949,
    'filter_length': 9967,
    'kernel_dim1': 9967,
    'kernel_dim2': 9949,
    'kernel_dim3': 9941,
    'kernel_size': 3,
    'input_dim': 9931,
    'dims': (2, 1),
    'target_shape': (2, 3),
    'p': 0.0625,
    'rate': 0.0625,
    'sigma': 0.0625,
    'stddev': 0.0625,
    'activation': 'linear',
    'axes': 1,
    'function': None,
    'layer': None,
    'layers': None,
    'window_size': 3,
    'output_shape': (None, 9, 9, 9),
}
BASE = {
    'Layer',
    'Wrapper',
    'Recurrent',
    'InputLayer',
    'Merge',
    'Lambda',
    'TimeDistributed',
    'Bidirectional',
    'RNN',
    'StackedRNNCells',
    'MaskedLayer',
    'AutoEncoder',
    'Siamese',
    'SiameseHead',
    'LambdaMerge',
    'ConvRNN2D',
    'ConvRecurrent2D',
    'CuDNNGRU',
    'CuDNNLSTM',
}


def classes():
    if VERSION < (1,):
        from keras.layers import (
            advanced_activations,
            convolutional,
            core,
            embeddings,
            noise,
            normalization,
            recurrent,
            wrappers,
        )

        modules = [advanced_activations, convolutional, core, embeddings, noise, normalization, recurrent, wrappers]
    else:
        from keras import layers

        modules = [layers]
    for module in modules:
        for name, value in sorted(vars(module).items()):
            if inspect.isclass(value) and not name.startswith('_') and hasattr(value, 'get_config'):
                yield name, value


def arguments(kind):
    """[[name, default], ...] of a constructor; it passes on what its parents take, by keyword."""
    function = kind.__init__
    function = getattr(function, '_original_function', function)
    spec = (inspect.getfullargspec if hasattr(inspect, 'getfullargspec') else inspect.getargspec)(function)
    defaults = list(spec[3] or ())
    names = spec[0][1:]
    required = len(names) - len(defaults)
    return [
        [name] if number < required else [name, plain(defaults[number - required])] for number, name in enumerate(names)
    ]


def keywords(kind, taken):
    """What parents take that the class does not name itself."""
    named, found = set(entry[0] for entry in taken), []
    for parent in inspect.getmro(kind)[1:]:
        if parent.__name__ in ('object', 'Layer', 'MaskedLayer') or '__init__' not in vars(parent):
            continue
        for entry in arguments(parent):
            if len(entry) == 2 and entry[0] not in named:
                named.add(entry[0])
                found.append(entry)
    return found


def plain(value):
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return {'class_name': type(value).__name__}


def default_settings(kind, taken):
    given = dict((entry[0], GIVEN[entry[0]]) for entry in taken if len(entry) == 1)
    if kind.__name__ == 'SeparableConvolution2D':  # asks for TensorFlow, and does nothing with it
        from keras import backend

        backend._BACKEND = backend.backend = 'tensorflow'
        if hasattr(backend, 'set_image_dim_ordering'):
            backend.backend = lambda: 'tensorflow'
    found = kind(**given).get_config()
    return dict(
        (key, plain(value) if not isinstance(value, dict) else value)
        for key, value in found.items()
        if key not in ('name', 'trainable')
    )


def main(path):
    found = {}
    for name, kind in classes():
        if name != kind.__name__:
            found[name] = {'is': kind.__name__}
            continue
        taken = arguments(kind)
        entry = {'arguments': taken}
        if keywords(kind, taken):
            entry['keywords'] = keywords(kind, taken)
        if kind.__name__ not in BASE:
            try:
                entry['config'] = default_settings(kind, taken)
            except Exception as error:
                print('%s: no settings: %r' % (name, error), file=sys.stderr)
                continue
        found[name] = entry
    with open(path, 'w') as file:  # a line for each class
        groups = [('layers', found)] + ([('initializers', initializers())] if VERSION >= (2,) else [])
        file.write(
            '{'
            + ',\n'.join(
                '"%s": {\n%s\n}'
                % (
                    group,
                    ',\n'.join(
                        '"%s": %s' % (name, json.dumps(members[name], sort_keys=True)) for name in sorted(members)
                    ),
                )
                for group, members in groups
            )
            + '}\n'
        )
    print(keras.__version__, len(found))


def initializers():
    from keras import initializers as known

    found = {}
    for name, value in sorted(vars(known).items()):
        if (
            name.startswith('_')
            or not callable(value)
            or name
            in ('get', 'serialize', 'deserialize', 'Initializer', 'deserialize_keras_object', 'serialize_keras_object')
        ):
            continue
        taken = arguments(value) if inspect.isclass(value) else [[n, None] for n in inspect.getfullargspec(value).args]
        entry = {'arguments': taken}
        try:
            entry['config'] = known.serialize(known.get(name) if not inspect.isclass(value) else value())
        except Exception as error:
            print('%s: no settings: %r' % (name, error), file=sys.stderr)
        found[name] = entry
    return found


if __name__ == '__main__':
    main(sys.argv[1])
