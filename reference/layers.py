"""Tiny networks, one for every kind of layer of Keras 1 and 2 and every setting that can go wrong.

Layers are named and set as in Keras 2; ``OLD`` says each in Keras 1. Sizes are small and unequal, kernels even and odd,
so that a swapped axis, a flipped kernel or a shifted window shows. Python 2.7 and 3.6; run by record_layers.py.

A case says for which dim orderings of the session it is; nothing is built before it is asked for.
"""
from __future__ import print_function

import fnmatch

import keras
from keras import backend as K
from keras import layers as L
from keras.models import Model, Sequential

KERAS_2 = int(keras.__version__.split('.')[0]) >= 2
BOTH, TH, TF = ('th', 'tf'), ('th',), ('tf',)
FORMATS = {'th': 'channels_first', 'tf': 'channels_last'}

FAMILIES = []  # functions that take add(); the name of one is the name of its file


def family(function):
    FAMILIES.append(function)
    return function


# What genuine Keras refuses: stack, case, reason; patterns of fnmatch. The recorder complains of anything else.
KERAS_1 = 'keras-1.*'
REFUSED = [
    (KERAS_1, 'activation/softmax-image-*', 'softmax takes 2-D and 3-D only'),
    (KERAS_1, 'convolution2d/softmax-*', 'softmax takes 2-D and 3-D only'),
    ('*theano*', 'normalization/small-epsilon-*', 'Theano wants 1e-5, and float32(1e-5) is less'),
    (KERAS_1, 'activation/selu-*', 'from Keras 2.0.6 on'),
    (KERAS_1, 'activation/exponential-*', 'from Keras 2.2.3 on'),
]


def refusal(stack, case):
    for stacks, cases, reason in REFUSED:
        if fnmatch.fnmatch(stack, stacks) and fnmatch.fnmatch(case, cases):
            return reason
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Saying it in both Keras


def ordering():
    """Of the session: th or tf."""
    if KERAS_2:
        return 'th' if K.image_data_format() == 'channels_first' else 'tf'
    return K.image_dim_ordering() if hasattr(K, 'image_dim_ordering') else K._IMAGE_DIM_ORDERING


def other():
    return 'tf' if ordering() == 'th' else 'th'


class Later(object):
    """A setting that is a value only when the layer is made."""

    def __init__(self, function):
        self.function = function

    def __call__(self):
        return self.function()


class Spec(object):
    """A layer yet to be made. `ordering` is th or tf (or `other`) in any Keras."""

    def __init__(self, kind, *args, **settings):
        self.kind, self.settings = kind, dict(zip(POSITIONAL.get(kind, ()), args), **settings)

    def make(self, **more):
        settings = dict((name, value() if value is other or isinstance(value, Later) else value)
                        for name, value in self.settings.items())
        settings.update(more)
        if 'ordering' in settings:
            settings['data_format'] = FORMATS[settings.pop('ordering')]
        inner = settings.pop('inner', None)
        kind = self.kind
        if not KERAS_2:
            kind, settings = old(kind, settings)
        maker = getattr(L, kind)
        return maker(inner.make(), **settings) if inner is not None else maker(**settings)

    def __call__(self, *tensors):
        layer = self.make()
        return layer(list(tensors) if len(tensors) > 1 else tensors[0])


POSITIONAL = {
    'Dense': ('units',), 'Activation': ('activation',), 'Dropout': ('rate',), 'Conv1D': ('filters', 'kernel_size'),
    'Conv2D': ('filters', 'kernel_size'), 'Conv2DTranspose': ('filters', 'kernel_size'),
    'SeparableConv1D': ('filters', 'kernel_size'), 'SeparableConv2D': ('filters', 'kernel_size'),
    'DepthwiseConv2D': ('kernel_size',), 'MaxPooling1D': ('pool_size',), 'AveragePooling1D': ('pool_size',),
    'MaxPooling2D': ('pool_size',), 'AveragePooling2D': ('pool_size',), 'ZeroPadding1D': ('padding',),
    'ZeroPadding2D': ('padding',), 'Cropping1D': ('cropping',), 'Cropping2D': ('cropping',), 'UpSampling1D': ('size',),
    'UpSampling2D': ('size',), 'Reshape': ('target_shape',), 'Permute': ('dims',), 'RepeatVector': ('n',),
    'Concatenate': ('axis',), 'Dot': ('axes',), 'Merge': ('mode',), 'GaussianNoise': ('stddev',),
    'GaussianDropout': ('rate',), 'AlphaDropout': ('rate',), 'SpatialDropout1D': ('rate',),
    'SpatialDropout2D': ('rate',),
}

RENAMED = {'units': 'output_dim', 'filters': 'nb_filter', 'padding': 'border_mode', 'use_bias': 'bias', 'rate': 'p',
           'stddev': 'sigma', 'data_format': 'dim_ordering', 'recurrent_activation': 'inner_activation'}
MERGES = {'Add': 'sum', 'Multiply': 'mul', 'Average': 'ave', 'Maximum': 'max', 'Concatenate': 'concat', 'Dot': 'dot'}


def old(kind, settings):
    """(kind, settings) in Keras 1."""
    settings = dict(settings)
    if kind in MERGES:
        settings['mode'] = MERGES[kind]
        if 'axis' in settings:
            settings['concat_axis'] = settings.pop('axis')
        if 'axes' in settings:
            settings['dot_axes'] = settings.pop('axes')
        return 'Merge', settings
    if 'data_format' in settings:
        settings['data_format'] = 'th' if settings['data_format'] == 'channels_first' else 'tf'
    if kind in ('ZeroPadding1D', 'ZeroPadding2D', 'ZeroPadding3D'):
        padding = settings.pop('padding', (1, 1))
        if isinstance(padding, tuple) and isinstance(padding[0], tuple):
            padding = tuple(side for sides in padding for side in sides)  # top, bottom, left, right
        settings['keep padding'] = padding
    if 'Conv' in kind or 'Locally' in kind:
        dimensions = kind.split('D')[0][-1]
        size, dilation = settings.pop('kernel_size'), settings.pop('dilation_rate', None)
        if dimensions == '1':
            settings['filter_length'] = size
            if 'strides' in settings:
                settings['subsample_length'] = settings.pop('strides')
        else:
            names = ('nb_row', 'nb_col') if dimensions == '2' else ('kernel_dim1', 'kernel_dim2', 'kernel_dim3')
            settings.update(zip(names, spread(size, int(dimensions))))
            if 'strides' in settings:
                settings['subsample'] = spread(settings.pop('strides'), int(dimensions))
        if dilation is not None:
            settings['atrous_rate'] = dilation if dimensions == '1' else spread(dilation, int(dimensions))
        kind = {'Conv1D': 'Convolution1D', 'Conv2D': 'Convolution2D', 'Conv3D': 'Convolution3D',
                'Conv2DTranspose': 'Deconvolution2D', 'SeparableConv2D': 'SeparableConvolution2D'}.get(kind, kind)
        if dilation is not None:
            kind = 'Atrous' + kind
    if kind in ('MaxPooling1D', 'AveragePooling1D'):
        settings['pool_length'] = settings.pop('pool_size')
        if 'strides' in settings:
            settings['stride'] = settings.pop('strides')
    if kind == 'UpSampling1D':
        settings['length'] = settings.pop('size')
    settings = dict((RENAMED.get(name, name), value) for name, value in settings.items())
    if 'keep padding' in settings:
        settings['padding'] = settings.pop('keep padding')
    return kind, settings


def spread(value, count):
    return value if isinstance(value, tuple) else (value,) * count


class Image(object):
    """Shape of an input image, in the session's ordering or in a given one."""

    def __init__(self, rows=7, columns=6, channels=2, given=None):
        self.sizes, self.channels, self.given = (rows, columns), channels, given

    def shape(self):
        of = self.given() if callable(self.given) else self.given or ordering()
        return (self.channels,) + self.sizes if of == 'th' else self.sizes + (self.channels,)


def shape_of(shape):
    return shape.shape() if isinstance(shape, Image) else shape


def channel_axis(given=None):
    return 1 if (given or ordering()) == 'th' else -1


def sequential(shape, *specs):
    model = Sequential()
    for number, spec in enumerate(specs):
        if number == 0:
            model.add(spec.make(input_shape=shape_of(shape)))
        else:
            model.add(spec.make() if isinstance(spec, Spec) else spec)
    return model


def functional(shape, *specs):
    tensor = entry = L.Input(shape_of(shape))
    for spec in specs:
        tensor = spec(tensor)
    return model_of([entry], [tensor])


def model_of(inputs, outputs):
    alone = len(inputs) == 1, len(outputs) == 1
    return Model(inputs[0] if alone[0] else inputs, outputs[0] if alone[1] else outputs)


def joined(shapes, merge):
    """A model of the inputs and what merges them."""
    entries = [L.Input(shape_of(shape)) for shape in shapes]
    return model_of(entries, [merge(*entries)])


def text(value):
    """For names of cases."""
    if isinstance(value, tuple):
        return 'x'.join(text(part) for part in value)
    return str(value).replace('-', 'm')


# ---------------------------------------------------------------------------------------------------------------------
# The cases: add(name, function that returns a model, orderings of the session, ...)


class Cases(object):
    """Collects the cases of a family for this session's ordering, as (name, maker, inputs, whether to keep the file)."""

    def __init__(self):
        self.cases = []

    def add(self, name, maker, orderings=BOTH, inputs='values', keep=False):
        if ordering() in orderings:
            self.cases.append((name + '-' + ordering(), maker, inputs, keep and ordering() == 'th'))

    def line(self, name, shape, *specs, **options):
        """A Sequential, or with functional=True a Model, of layers one after the other."""
        form = functional if options.pop('functional', False) else sequential
        self.add(name, lambda: form(shape, *specs), **options)


def cases(function):
    collected = Cases()
    function(collected)
    return collected.cases


@family
def convolution2d(to):
    for padding in ('valid', 'same'):
        for kernel in (1, 2, 3, (3, 2)):
            to.line('%s-%s' % (padding, text(kernel)), Image(), Spec('Conv2D', 3, kernel, padding=padding))
        for kernel, strides in ((1, 4), (2, 2), (3, 2), ((3, 2), (2, 3)), ((2, 3), (1, 2)), (5, 2)):
            to.line('%s-%s-by-%s' % (padding, text(kernel), text(strides)), Image(8, 7),
                    Spec('Conv2D', 3, kernel, padding=padding, strides=strides),
                    orderings=BOTH if isinstance(kernel, tuple) else TH)
        for kernel, dilation in ((3, 2), (2, 2), ((3, 2), (2, 1)), ((2, 3), (1, 2))):
            if dilation == 2 or KERAS_2 or padding == 'valid':
                to.line('%s-%s-dilation-%s' % (padding, text(kernel), text(dilation)), Image(8, 7),
                        Spec('Conv2D', 2, kernel, padding=padding, dilation_rate=dilation),
                        orderings=BOTH if isinstance(kernel, tuple) else TH)
        to.line(padding + '-no-bias', Image(), Spec('Conv2D', 3, (2, 3), padding=padding, use_bias=False))
        to.line(padding + '-other-ordering', Image(given=other),
                Spec('Conv2D', 3, (3, 2), padding=padding, ordering=other))
    for activation in ('relu', 'tanh', 'hard_sigmoid'):
        to.line(activation, Image(), Spec('Conv2D', 3, 3, activation=activation), orderings=TH)
    to.line('softmax', Image(), Spec('Conv2D', 3, 3, activation='softmax'))
    to.line('functional', Image(), Spec('Conv2D', 3, (2, 3), padding='same', name='a conv (1.5)'),
            Spec('Conv2D', 2, 2, strides=2), functional=True)
    if not KERAS_2:
        to.line('full-3x2', Image(), Spec('Conv2D', 3, (3, 2), padding='full'))
        to.line('full-2-by-2', Image(), Spec('Conv2D', 3, 2, padding='full', strides=2))


@family
def dense(to):
    to.line('plain', (5,), Spec('Dense', 4))
    to.line('no-bias', (5,), Spec('Dense', 4, use_bias=False), orderings=TH)
    to.line('two', (5,), Spec('Dense', 4, activation='tanh'), Spec('Dense', 3, activation='softmax'), orderings=TH)
    to.line('functional', (5,), Spec('Dense', 4, activation='relu', name='first'), Spec('Dense', 2, name='last'),
            functional=True, orderings=TH, keep=True)


ACTIVATIONS = ['linear', 'relu', 'softmax', 'sigmoid', 'tanh', 'hard_sigmoid', 'softplus', 'softsign', 'elu', 'selu',
               'exponential']


@family
def activation(to):
    for name in ACTIVATIONS:
        to.line(name, (7,), Spec('Activation', name), orderings=TH)
        to.line(name + '-image', Image(4, 3), Spec('Activation', name), orderings=BOTH if name == 'softmax' else TH)
    to.line('softmax-sequence', (4, 5), Spec('Activation', 'softmax'))
    to.line('fused', (5,), *[Spec('Dense', 3, activation=name) for name in ACTIVATIONS[:8]], orderings=TH)


@family
def pooling2d(to):
    for kind in ('MaxPooling2D', 'AveragePooling2D'):
        short = kind[:3].lower()
        for padding in ('valid', 'same'):
            for size, strides, shape in (
                    (2, None, Image(7, 6)), ((2, 3), None, Image(7, 8)), (3, 2, Image(7, 6)), (3, 1, Image(5, 6)),
                    (2, 1, Image(5, 6)), ((3, 2), (1, 3), Image(6, 7)), (4, 2, Image(8, 7)), (5, 2, Image(8, 7)),
                    (2, 3, Image(8, 7)), ((1, 3), (2, 1), Image(6, 5))):
                settings = {} if strides is None else {'strides': spread(strides, 2)}
                to.line('%s-%s-%s-by-%s' % (short, padding, text(size), text(strides)), shape,
                        Spec(kind, spread(size, 2), padding=padding, **settings),
                        orderings=BOTH if isinstance(size, tuple) else TH)
        to.line(short + '-other-ordering', Image(given=other), Spec(kind, (3, 2), padding='same', ordering=other))
        to.line(short + '-default', Image(), Spec(kind))


@family
def padding2d(to):
    for padding in ((1, 2), ((1, 2), (0, 3)), ((0, 1), (2, 0)), ((3, 0), (0, 0))):
        to.line(text(padding), Image(4, 5), Spec('ZeroPadding2D', padding))
    to.line('then-conv', Image(4, 5), Spec('ZeroPadding2D', ((1, 2), (0, 3))), Spec('Conv2D', 2, 3, strides=2))
    to.line('default', Image(4, 5), Spec('ZeroPadding2D'), functional=True)
    to.line('other-ordering', Image(4, 5, given=other), Spec('ZeroPadding2D', (1, 2), ordering=other))
    if not KERAS_2:
        sides = {'top_pad': 1, 'bottom_pad': 2, 'left_pad': 0, 'right_pad': 3}
        to.line('names', Image(4, 5), Spec('ZeroPadding2D', sides))
        to.line('some-names', Image(4, 5), Spec('ZeroPadding2D', {'top_pad': 2, 'right_pad': 1}))


@family
def normalization(to):
    for axis in (1, 2, 3, -1, -2):
        to.line('image-axis-%s' % text(axis), Image(5, 4, 3), Spec('BatchNormalization', axis=axis))
    to.line('image-default', Image(5, 4, 3), Spec('BatchNormalization'))
    to.line('vector', (5,), Spec('BatchNormalization'), orderings=TH)
    to.line('vector-axis-1', (5,), Spec('BatchNormalization', axis=1), orderings=TH)
    for axis in (1, 2, -1):
        to.line('sequence-axis-%s' % text(axis), (4, 3), Spec('BatchNormalization', axis=axis), orderings=TH)
    to.line('epsilon', Image(5, 4, 3), Spec('BatchNormalization', axis=1, epsilon=0.1, momentum=0.7), orderings=TH)
    to.line('small-epsilon', Image(5, 4, 3), Spec('BatchNormalization', axis=1, epsilon=1e-5), orderings=TH)
    for number in range(2):
        to.line('conv-%d' % number, Image(), Spec('Conv2D', 3, 3, padding='same'),
                Spec('BatchNormalization', axis=(1, 3)[number]), Spec('Activation', 'relu'), Spec('Conv2D', 2, 2),
                functional=True)
    if KERAS_2:
        to.line('no-scale', Image(5, 4, 3), Spec('BatchNormalization', axis=1, scale=False))
        to.line('no-center', Image(5, 4, 3), Spec('BatchNormalization', axis=1, center=False))
        to.line('neither', Image(5, 4, 3), Spec('BatchNormalization', axis=1, scale=False, center=False))


@family
def flatten(to):
    to.line('image', Image(3, 4), Spec('Flatten'))
    to.line('image-dense', Image(3, 4), Spec('Flatten'), Spec('Dense', 4), keep=True)
    to.line('image-dense-dense', Image(3, 4), Spec('Flatten'), Spec('Dense', 4, activation='tanh'), Spec('Dropout', 0.5),
            Spec('Dense', 3, activation='softmax'))
    to.line('sequence-dense', (4, 3), Spec('Flatten'), Spec('Dense', 2))
    to.line('conv-dense', Image(5, 4), Spec('Conv2D', 3, 2), Spec('MaxPooling2D', (2, 1)), Spec('Activation', 'relu'),
            Spec('Dropout', 0.3), Spec('Flatten'), Spec('BatchNormalization', axis=1), Spec('Dense', 2), functional=True)
    to.line('other-ordering-dense', Image(5, 4, given=other), Spec('Conv2D', 3, 2, ordering=other), Spec('Flatten'),
            Spec('Dense', 3))
    if KERAS_2:
        for each in BOTH:
            to.line('data-format-%s-dense' % each, Image(3, 4), Spec('Flatten', ordering=each), Spec('Dense', 3))
            to.line('data-format-%s-sequence' % each, (4, 3), Spec('Flatten', ordering=each), orderings=TH)


@family
def merge(to):
    kinds = ['Add', 'Multiply', 'Average', 'Maximum']
    for kind in kinds + (['Subtract', 'Minimum'] if KERAS_2 else []):
        to.add(kind.lower() + '-2', lambda kind=kind: joined([Image(3, 4)] * 2, Spec(kind)), orderings=TH)
        if kind != 'Subtract':
            to.add(kind.lower() + '-3', lambda kind=kind: joined([(5,)] * 3, Spec(kind)), orderings=TH)
    for axis in (1, 2, 3, -1):
        to.add('concat-image-axis-%s' % text(axis), lambda axis=axis: joined([Image(3, 4)] * 2, Spec('Concatenate', axis)))
    to.add('concat-unequal', lambda: joined([Image(3, 4, 2), Image(3, 4, 1), Image(3, 4, 3)],
                                            Spec('Concatenate', channel_axis())))
    to.add('concat-rows', lambda: joined([Image(3, 4), Image(2, 4)],
                                         Spec('Concatenate', 2 if ordering() == 'th' else 1)))
    to.add('concat-vectors', lambda: joined([(3,), (4,), (2,)], Spec('Concatenate', 1)), orderings=TH)
    to.add('concat-vectors-default', lambda: joined([(3,), (4,)], Spec('Concatenate')), orderings=TH)
    for axis in (1, 2):
        to.add('concat-sequences-axis-%d' % axis,
               lambda axis=axis: joined([(3, 4), (3, 4)], Spec('Concatenate', axis)), orderings=TH)


@family
def networks(to):
    to.add('residual', residual, keep=True)
    to.add('two-ends', two_ends)
    to.line('sequential', Image(8, 7), Spec('Conv2D', 3, 3, padding='same', activation='relu'),
            Spec('MaxPooling2D', (2, 2)), Spec('Dropout', 0.25), Spec('ZeroPadding2D', (1, 1)), Spec('Conv2D', 2, 2),
            Spec('BatchNormalization', axis=1), Spec('Activation', 'elu'), Spec('Flatten'), Spec('Dense', 4),
            Spec('Activation', 'softmax'))
    to.add('mixed-orderings', mixed)


def residual():
    axis = channel_axis()
    entry = L.Input(shape_of(Image(7, 6)), name='picture')
    stem = Spec('Conv2D', 3, 3, padding='same')(entry)
    way = Spec('BatchNormalization', axis=axis)(stem)
    way = Spec('Activation', 'relu')(way)
    way = Spec('Conv2D', 3, 3, padding='same', strides=2)(way)
    short = Spec('Conv2D', 3, 1, padding='same', strides=2, name='shortcut')(stem)
    total = Spec('Add')(short, way)
    total = Spec('MaxPooling2D', (2, 2))(total)
    return model_of([entry], [Spec('Dense', 3, activation='softmax')(Spec('Flatten')(total))])


def two_ends():
    first, second = L.Input(shape_of(Image(4, 3)), name='b'), L.Input((5,), name='a')
    flat = Spec('Flatten')(Spec('Conv2D', 2, 2)(first))
    side = Spec('Dense', 4, activation='tanh')(second)
    both = Spec('Concatenate', 1)(side, flat)
    return model_of([first, second], [Spec('Dense', 2, name='z')(both), Spec('Dense', 3, name='y')(flat)])


def mixed():
    """A layer of the other ordering between two of the session's."""
    return functional(Image(6, 5, 4), Spec('Conv2D', 4, 2, padding='same'),
                      Spec('MaxPooling2D', (2, 1), ordering=other), Spec('Conv2D', 3, (2, 1)), Spec('Flatten'),
                      Spec('Dense', 2))


@family
def convolution1d(to):
    for padding in ('valid', 'same') + (('causal',) if KERAS_2 else ('full',)):
        for kernel, strides in ((1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (2, 2), (2, 3)):
            settings = {'strides': strides} if strides > 1 else {}
            to.line('%s-%d-by-%d' % (padding, kernel, strides), (8 if kernel == 3 else 7, 2),
                    Spec('Conv1D', 3, kernel, padding=padding, **settings), orderings=TH)
        if padding != 'full':
            for kernel, dilation in ((3, 2), (2, 3), (2, 2)):
                to.line('%s-%d-dilation-%d' % (padding, kernel, dilation), (8, 2),
                        Spec('Conv1D', 3, kernel, padding=padding, dilation_rate=dilation), orderings=TH)
    to.line('no-bias-tanh', (7, 2), Spec('Conv1D', 3, 2, use_bias=False, activation='tanh'), orderings=TH)
    to.line('tf-session', (7, 2), Spec('Conv1D', 3, 2, padding='same'), Spec('Conv1D', 2, 3), orderings=TF)
    to.line('as-many-filters-as-steps', (4, 2), Spec('Conv1D', 4, 3, padding='same'))
    if KERAS_2:
        for padding in ('valid', 'same', 'causal'):
            to.line('channels-first-' + padding, (2, 7), Spec('Conv1D', 3, 2, padding=padding, ordering='th'), orderings=TH)
    to.line('text', (9, 3), Spec('Conv1D', 4, 3, padding='same', activation='relu'), Spec('MaxPooling1D', 2),
            Spec('Dropout', 0.2), Spec('Conv1D', 3, 2), Spec('Flatten'), Spec('Dense', 2), functional=True)


def deconvolution(kernel, strides=1, padding='valid', filters=3, rows=4, columns=3, more=0, given=None, **settings):
    """Keras 1 must be told the shape that comes out; Keras 2 works it out."""
    settings.update(strides=spread(strides, 2), padding=padding)
    if given:
        settings['ordering'] = given
    if not KERAS_2:
        sizes = tuple(n * s if padding == 'same' else (n - 1) * s + k + more
                      for n, s, k in zip((rows, columns), spread(strides, 2), spread(kernel, 2)))

        def output_shape():
            of = given() if given else ordering()
            return (None,) + ((filters,) + sizes if of == 'th' else sizes + (filters,))

        settings['output_shape'] = Later(output_shape)
    return Image(rows, columns, given=given), Spec('Conv2DTranspose', filters, kernel, **settings)


@family
def deconvolution2d(to):
    for padding in ('valid', 'same'):
        for kernel, strides in ((1, 1), (3, 1), (2, 1), ((3, 5), 1), (3, 2), (2, 2), ((3, 2), (2, 3)), ((5, 3), (2, 3)),
                                (1, 2)):
            to.line('%s-%s-by-%s' % (padding, text(kernel), text(strides)), *deconvolution(kernel, strides, padding))
        to.line(padding + '-no-bias', *deconvolution(3, 2, padding, use_bias=False), orderings=TH)
        to.line(padding + '-other-ordering', *deconvolution((3, 2) if padding == 'valid' else 3, 1, padding, given=other))
    to.line('relu', *deconvolution(3, 2, activation='relu'), orderings=TH)
    if KERAS_2:
        for padding in ('valid', 'same'):
            to.line(padding + '-output-padding', *deconvolution(3, 2, padding, output_padding=(1, 0)), orderings=TH)
            to.line(padding + '-dilation', *deconvolution(3, 1, padding, dilation_rate=2), orderings=TH)
    else:
        to.line('one-larger', *deconvolution(3, 2, more=1), orderings=TH)


@family
def separable(to):
    kinds = [('SeparableConv2D', (3,)), ('DepthwiseConv2D', ())] if KERAS_2 else [('SeparableConv2D', (3,))]
    for kind, filters in kinds:
        short = kind[:9].lower()
        for padding in ('valid', 'same'):
            for kernel, strides, multiplier in ((3, 1, 1), ((3, 2), 1, 2), (2, 1, 1), (3, 2, 2), (2, 2, 3), (1, 1, 2)):
                to.line('%s-%s-%s-by-%d-times-%d' % (short, padding, text(kernel), strides, multiplier), Image(6, 5),
                        Spec(kind, *filters + (spread(kernel, 2),), strides=spread(strides, 2), padding=padding,
                             depth_multiplier=multiplier), orderings=BOTH if multiplier == 2 else TH)
        to.line(short + '-no-bias', Image(6, 5), Spec(kind, *filters + ((2, 3),), use_bias=False), orderings=TH)
        to.line(short + '-relu', Image(6, 5), Spec(kind, *filters + ((2, 3),), activation='relu'), orderings=TH)
        to.line(short + '-other-ordering', Image(6, 5, given=other), Spec(kind, *filters + ((2, 3),), ordering=other))
    if KERAS_2:
        to.line('separable-dilation', Image(7, 6), Spec('SeparableConv2D', 3, (3, 2), dilation_rate=2), orderings=TH)
        for padding in ('valid', 'same', 'causal'):
            for kernel, strides, multiplier in ((3, 1, 1), (2, 1, 2), (3, 2, 2), (4, 1, 1)):
                to.line('separable1d-%s-%d-by-%d-times-%d' % (padding, kernel, strides, multiplier), (7, 2),
                        Spec('SeparableConv1D', 3, kernel, strides=strides, padding=padding, depth_multiplier=multiplier),
                        orderings=TH)
        to.line('separable1d-dilation', (7, 2), Spec('SeparableConv1D', 3, 2, dilation_rate=2), orderings=TH)
        to.line('separable1d-no-bias', (7, 2), Spec('SeparableConv1D', 3, 2, use_bias=False, activation='relu'),
                orderings=TH)


@family
def pooling1d(to):
    for kind in ('MaxPooling1D', 'AveragePooling1D'):
        short = kind[:3].lower()
        for padding in ('valid', 'same'):
            for size, strides in ((2, None), (3, None), (3, 2), (2, 1), (4, 2), (5, 3), (2, 3)):
                settings = {} if strides is None else {'strides': strides}
                to.line('%s-%s-%d-by-%s' % (short, padding, size, text(strides)), (8, 2),
                        Spec(kind, size, padding=padding, **settings), orderings=TH)
        if KERAS_2:
            to.line(short + '-channels-first', (2, 7), Spec(kind, 2, ordering='th'), orderings=TH)
    for kind in ('GlobalMaxPooling1D', 'GlobalAveragePooling1D'):
        to.line(kind.lower(), (5, 3), Spec(kind), orderings=TH)
        if KERAS_2:
            to.line(kind.lower() + '-channels-first', (3, 5), Spec(kind, ordering='th'), orderings=TH)


@family
def global_pooling2d(to):
    for kind in ('GlobalMaxPooling2D', 'GlobalAveragePooling2D'):
        to.line(kind.lower(), Image(3, 4), Spec(kind))
        to.line(kind.lower() + '-other-ordering', Image(3, 4, given=other), Spec(kind, ordering=other))
    to.line('head', Image(5, 4), Spec('Conv2D', 3, 2, activation='relu'), Spec('GlobalAveragePooling2D'), Spec('Dense', 2),
            functional=True)


@family
def shapes1d(to):
    for padding in (1, (2, 1), (0, 3)):
        to.line('padding-%s' % text(padding), (4, 2), Spec('ZeroPadding1D', padding), orderings=TH)
    for cropping in ((1, 1), (2, 0), (0, 1)):
        to.line('cropping-%s' % text(cropping), (6, 2), Spec('Cropping1D', cropping), orderings=TH)
    to.line('upsampling-3', (4, 2), Spec('UpSampling1D', 3), orderings=TH)
    to.line('repeat', (4,), Spec('RepeatVector', 3), orderings=TH)
    to.line('all', (6, 2), Spec('ZeroPadding1D', 2), Spec('Conv1D', 3, 2), Spec('Cropping1D', (1, 2)),
            Spec('UpSampling1D', 2), Spec('Conv1D', 2, 2))


@family
def shapes2d(to):
    for cropping in (((1, 2), (0, 1)), ((0, 0), (2, 1)), ((1, 0), (0, 0))):
        to.line('cropping-%s' % text(cropping), Image(6, 5), Spec('Cropping2D', cropping))
    for size in ((2, 3), (1, 2)):
        to.line('upsampling-%s' % text(size), Image(3, 4), Spec('UpSampling2D', size))
    to.line('upsampling-other-ordering', Image(3, 4, given=other), Spec('UpSampling2D', (2, 3), ordering=other))
    to.line('cropping-other-ordering', Image(6, 5, given=other), Spec('Cropping2D', ((1, 2), (0, 1)), ordering=other))
    to.line('decoder', Image(3, 4), Spec('Conv2D', 3, 3, padding='same', activation='relu'), Spec('UpSampling2D', (2, 2)),
            Spec('ZeroPadding2D', ((0, 1), (1, 0))), Spec('Conv2D', 2, 2), Spec('Cropping2D', ((1, 0), (0, 2))),
            functional=True)
    to.line('decoder-other-ordering', Image(3, 4, given=other), Spec('Conv2D', 3, 2, ordering=other),
            Spec('UpSampling2D', (2, 1), ordering=other), Spec('ZeroPadding2D', (1, 0), ordering=other),
            Spec('Cropping2D', ((1, 0), (0, 1)), ordering=other), Spec('MaxPooling2D', (2, 1), ordering=other),
            Spec('Flatten'), Spec('Dense', 2))


@family
def reshaping(to):
    to.line('reshape-vector', (12,), Spec('Reshape', (4, 3)), orderings=TH)
    to.line('reshape-inferred', (12,), Spec('Reshape', (2, -1, 3)), orderings=TH)
    to.line('reshape-image', Image(3, 4), Spec('Reshape', (6, 4)))
    to.line('reshape-image-inferred', Image(3, 4), Spec('Conv2D', 2, 2), Spec('Reshape', (-1, 2)), Spec('Conv1D', 2, 2))
    to.line('reshape-to-image', (12,), Spec('Dense', 12), Spec('Reshape', Later(Image(3, 2, 2).shape)),
            Spec('Conv2D', 2, 2))
    to.line('permute-sequence', (3, 4), Spec('Permute', (2, 1)), Spec('Flatten'), Spec('Dense', 2), orderings=TH)
    for dims in ((3, 1, 2), (2, 3, 1), (1, 3, 2), (3, 2, 1)):
        to.line('permute-%s' % text(dims), Image(3, 4), Spec('Permute', dims))
    to.line('permute-conv', Image(3, 4), Spec('Conv2D', 2, 2), Spec('Permute', (2, 3, 1)), Spec('Flatten'),
            Spec('Dense', 2))
    to.line('repeat-conv', (4,), Spec('RepeatVector', 3), Spec('Permute', (2, 1)), Spec('Conv1D', 2, 2), orderings=TH)
    to.line('permute-to-other', Image(5, 4), Spec('Permute', Later(lambda: (2, 3, 1) if ordering() == 'th' else (3, 1, 2))),
            Spec('Conv2D', 2, 2, ordering=other), Spec('Flatten'), Spec('Dense', 2))
    if KERAS_2:
        to.line('dense-on-sequence', (4, 3), Spec('Dense', 2, activation='relu'))
        to.line('dense-as-many-units-as-steps', (4, 3), Spec('Dense', 4))
        to.line('dense-on-image', Image(3, 4), Spec('Dense', 3), Spec('Conv2D', 2, 2))
        to.line('softmax-on-image', Image(3, 4), Spec('Conv2D', 3, 2, activation='softmax'))


@family
def advanced_activations(to):
    to.line('leaky', (9,), Spec('LeakyReLU'), orderings=TH)
    to.line('leaky-alpha', Image(3, 4), Spec('LeakyReLU', alpha=0.1), orderings=TH)
    to.line('elu', (9,), Spec('ELU'), orderings=TH)
    to.line('elu-alpha', (9,), Spec('ELU', alpha=0.5), orderings=TH)
    to.line('thresholded', (9,), Spec('ThresholdedReLU'), orderings=TH)
    to.line('thresholded-theta', (9,), Spec('ThresholdedReLU', theta=0.5), orderings=TH)
    to.line('prelu', (5,), Spec('PReLU'), orderings=TH)
    to.line('prelu-sequence', (4, 3), Spec('PReLU'), orderings=TH)
    to.line('prelu-image', Image(3, 4), Spec('PReLU'))
    to.line('prelu-conv', Image(4, 5), Spec('Conv2D', 3, 2), Spec('PReLU'), Spec('Flatten'), Spec('Dense', 2),
            functional=True)
    for axes in ([1], [2, 3], [1, 2], [1, 3]):
        to.line('prelu-shared-%s' % text(tuple(axes)), Image(3, 4), Spec('PReLU', shared_axes=axes))
    if KERAS_2:
        to.line('relu', (9,), Spec('ReLU'), orderings=TH)
        to.line('relu-max', (9,), Spec('ReLU', max_value=1.5), orderings=TH)
        to.line('relu-slope', (9,), Spec('ReLU', negative_slope=0.2), orderings=TH)
        to.line('relu-threshold', (9,), Spec('ReLU', threshold=0.75), orderings=TH)
        to.line('relu-all', (20,), Spec('ReLU', max_value=2., negative_slope=0.25, threshold=0.5), orderings=TH)
        for axis in (1, 2, 3, -1):
            to.line('softmax-axis-%s' % text(axis), Image(3, 4), Spec('Softmax', axis=axis))
        to.line('softmax-vector', (5,), Spec('Softmax'), orderings=TH)
    else:
        to.line('srelu', (9,), Spec('SReLU'), orderings=TH)
        to.line('srelu-image', Image(3, 4), Spec('SReLU'))
        to.line('srelu-shared', Image(3, 4), Spec('SReLU', shared_axes=[2, 3]), orderings=TH)
        to.line('softplus', (9,), Spec('ParametricSoftplus'), orderings=TH)
        to.line('softplus-image', Image(3, 4), Spec('ParametricSoftplus'))
        to.line('softplus-shared', Image(3, 4), Spec('ParametricSoftplus', shared_axes=[1]), orderings=TH)


@family
def merge_more(to):
    """Dot products and angles; Keras 1's Merge as the first layer."""
    sequences = [(3, 4), (3, 4)]
    for axes in (1, 2, -1):
        to.add('dot-sequences-%s' % text(axes), lambda axes=axes: joined(sequences, Spec('Dot', axes)), orderings=TH)
    to.add('dot-2x1', lambda: joined([(3, 4), (4, 2)], Spec('Dot', pair(2, 1))), orderings=TH)
    to.add('dot-1x2', lambda: joined([(4, 3), (2, 4)], Spec('Dot', pair(1, 2))), orderings=TH)
    to.add('dot-vectors', lambda: joined([(4,), (4,)], Spec('Dot', 1)), orderings=TH)
    to.add('dot-vector-sequence', lambda: joined([(4,), (3, 4)], Spec('Dot', pair(1, 2))), orderings=TH)
    to.add('sum-conv', lambda: joined([Image(4, 5)] * 2, branches('Add')))
    to.add('concat-conv', lambda: joined([Image(4, 5)] * 2, branches('Concatenate')))
    to.add('concat-flat', lambda: joined([Image(4, 5)] * 2, flat_branches))
    if KERAS_2:
        for axes in (1, 2):
            to.add('dot-normalize-%d' % axes,
                   lambda axes=axes: joined(sequences, Spec('Dot', axes, normalize=True)), orderings=TH)
        to.add('dot-normalize-vectors', lambda: joined([(4,), (4,)], Spec('Dot', 1, normalize=True)), orderings=TH)
        to.add('add-broadcast', lambda: joined([(3, 4), (4,)], Spec('Add')), orderings=TH)
        to.add('multiply-broadcast', lambda: joined([Image(3, 4), (1, 1, 4)], Spec('Multiply')), orderings=TH)
        return
    for axes in (1, 2, -1):
        to.add('cos-sequences-%s' % text(axes), lambda axes=axes: joined(sequences, Spec('Merge', 'cos', dot_axes=axes)),
               orderings=TH)
    to.add('cos-vectors', lambda: joined([(4,), (4,)], Spec('Merge', 'cos', dot_axes=1)), orderings=TH)
    for mode in ('sum', 'concat', 'mul', 'dot'):
        to.add('first-' + mode, lambda mode=mode: merge_first(mode), orderings=TH, keep=mode == 'concat')
    to.add('first-images', lambda: merge_first_images())
    to.add('first-nested', nested_merge_first, orderings=TH)


def pair(first, second):
    return (first, second) if KERAS_2 else [first, second]


def branches(kind):
    def build(first, second):
        first = Spec('Conv2D', 3, (2, 3))(first)
        second = Spec('Conv2D', 3, (2, 3), activation='relu')(second)
        return Spec(kind, **({'axis': channel_axis()} if kind == 'Concatenate' else {}))(first, second)
    return build


def flat_branches(first, second):
    first = Spec('Flatten')(Spec('Conv2D', 3, 2)(first))
    second = Spec('Flatten')(Spec('MaxPooling2D', (2, 2))(second))
    return Spec('Dense', 3)(Spec('Concatenate', 1)(first, second))


def merge_first(mode):
    left = sequential((4,), Spec('Dense', 3, activation='tanh'))
    right = sequential((5,), Spec('Dense', 3), Spec('Activation', 'relu'))
    model = Sequential()
    model.add(L.Merge([left, right], mode=mode, **({'dot_axes': 1} if mode == 'dot' else {})))
    model.add(Spec('Dense', 2).make())
    return model


def merge_first_images():
    axis = channel_axis()
    left = sequential(Image(4, 5), Spec('Conv2D', 3, 2))
    right = sequential(Image(4, 5), Spec('Conv2D', 2, 2), Spec('BatchNormalization', axis=axis))
    model = Sequential()
    model.add(L.Merge([left, right], mode='concat', concat_axis=axis))
    for spec in (Spec('Conv2D', 2, 2), Spec('Flatten'), Spec('Dense', 2)):
        model.add(spec.make())
    return model


def nested_merge_first():
    inner = merge_first('concat')
    side = sequential((3,), Spec('Dense', 2), Spec('Dense', 4))
    model = Sequential()
    model.add(L.Merge([inner, side], mode='concat', concat_axis=1))
    model.add(Spec('Dense', 2).make())
    return model


@family
def normalization_modes(to):
    if KERAS_2:
        return
    to.line('mode-1-vector', (5,), Spec('BatchNormalization', mode=1), orderings=TH)
    to.line('mode-1-sequence', (4, 3), Spec('BatchNormalization', mode=1), orderings=TH)
    to.line('mode-1-image', Image(4, 3), Spec('BatchNormalization', mode=1))
    to.line('mode-1-epsilon', (5,), Spec('BatchNormalization', mode=1, epsilon=0.1), orderings=TH)
    for axis in (1, -1):
        to.line('mode-2-image-axis-%s' % text(axis), Image(4, 3), Spec('BatchNormalization', mode=2, axis=axis))
    to.line('mode-2-vector', (5,), Spec('BatchNormalization', mode=2), Spec('Dense', 2), orderings=TH)


@family
def noise(to):
    """Nothing of it is left in inference."""
    for name, spec in (('gaussian-noise', Spec('GaussianNoise', 0.3)), ('gaussian-dropout', Spec('GaussianDropout', 0.3)),
                       ('spatial-dropout-2d', Spec('SpatialDropout2D', 0.3)),
                       ('regularization', Spec('ActivityRegularization', l1=0.1, l2=0.2)),
                       ('alpha-dropout', Spec('AlphaDropout', 0.3)), ('dropout', Spec('Dropout', 0.5))):
        to.line(name, Image(4, 3), Spec('Conv2D', 2, 2), spec, Spec('Flatten'), Spec('Dense', 2), orderings=TH)
    to.line('spatial-dropout-1d', (4, 3), Spec('Conv1D', 2, 2), Spec('SpatialDropout1D', 0.3), orderings=TH)


@family
def settings(to):
    """What a configuration may hold besides: regularizers, constraints, initialisers, what is not trained."""
    if KERAS_2:
        more = {'kernel_regularizer': Later(lambda: keras.regularizers.l1_l2(0.01, 0.02)), 'activity_regularizer': 'l2',
                'kernel_constraint': Later(lambda: keras.constraints.max_norm(3)), 'bias_constraint': 'non_neg',
                'kernel_initializer': 'he_normal', 'bias_regularizer': 'l1'}
    else:
        more = {'W_regularizer': Later(lambda: keras.regularizers.l1l2(0.01, 0.02)), 'activity_regularizer': 'activity_l2',
                'W_constraint': Later(lambda: keras.constraints.maxnorm(3)), 'b_constraint': 'nonneg', 'init': 'he_normal',
                'b_regularizer': 'l1'}
    to.line('dense', (4,), Spec('Dense', 3, **more), orderings=TH)
    to.line('conv', Image(4, 3), Spec('Conv2D', 2, 2, **more), orderings=TH)
    to.line('conv1d', (4, 3), Spec('Conv1D', 2, 2, **more), orderings=TH)
    to.line('frozen', Image(4, 3), Spec('Conv2D', 2, 2, trainable=False),
            Spec('BatchNormalization', axis=1, trainable=False), Spec('Flatten', trainable=False), Spec('Dense', 2),
            orderings=TH)
    to.add('fixed-batch', fixed_batch, orderings=TH)
    to.add('input-layer', input_layer, orderings=TH)


def fixed_batch():
    model = Sequential()
    model.add(Spec('Dense', 3).make(batch_input_shape=(2, 4)))
    return model


def input_layer():
    model = Sequential()
    model.add(L.InputLayer(input_shape=(4,)))
    model.add(Spec('Dense', 3).make())
    return model


@family
def nested(to):
    to.add('sequential-in-sequential', lambda: sequential_of(Sequential), orderings=TH)
    to.add('sequential-in-model', lambda: model_around(block_sequential()), orderings=BOTH)
    to.add('model-in-model', lambda: model_around(block_model()), orderings=BOTH)
    to.add('model-in-sequential', lambda: sequential_of(Model), orderings=TH)
    to.add('twice-nested', twice_nested, orderings=TH)
    to.add('frozen-in-model', lambda: model_around(block_sequential(frozen=True)), orderings=TH)
    to.add('dense-blocks', dense_blocks, orderings=TH)
    to.add('shared-dense', shared_dense, orderings=TH)
    to.add('shared-conv', shared_conv)
    to.add('shared-model', shared_model, orderings=TH, keep=True)
    to.add('shared-thrice', shared_thrice, orderings=TH)
    to.add('many-ends', many_ends, orderings=TH)
    to.add('input-is-output', input_is_output, orderings=TH)
    to.add('inner-of-two-inputs', inner_of_two_inputs, orderings=TH)


def block_sequential(frozen=False):
    more = {'trainable': False} if frozen else {}
    return sequential(Image(5, 4), Spec('Conv2D', 3, 2, **more), Spec('BatchNormalization', axis=channel_axis()),
                      Spec('Activation', 'relu'), Spec('Conv2D', 2, (1, 2)))


def block_model():
    return functional(Image(5, 4), Spec('Conv2D', 3, 2), Spec('BatchNormalization', axis=channel_axis()),
                      Spec('Activation', 'relu'), Spec('Conv2D', 2, (1, 2)))


def model_around(block):
    entry = L.Input(shape_of(Image(6, 5)))
    return model_of([entry], [Spec('Dense', 2)(Spec('Flatten')(block(Spec('Conv2D', 2, 2)(entry))))])


def sequential_of(kind):
    model = Sequential()
    model.add(block_sequential() if kind is Sequential else block_model())
    for spec in (Spec('Flatten'), Spec('Dense', 2)):
        model.add(spec.make())
    return model


def dense_block(size, units):
    return sequential((size,), Spec('Dense', units, activation='tanh'), Spec('BatchNormalization'))


def dense_blocks():
    model = Sequential()
    for size, units in ((4, 3), (3, 5)):
        model.add(dense_block(size, units))
    model.add(Spec('Dense', 2).make())
    return model


def twice_nested():
    inner = sequential((3,), Spec('Dense', 3), Spec('BatchNormalization'))
    middle = Sequential()
    middle.add(Spec('Dense', 3, activation='relu').make(input_shape=(4,)))
    middle.add(inner)
    middle.add(Spec('Dense', 2).make())
    entry = L.Input((4,))
    return model_of([entry], [Spec('Dense', 2)(middle(entry))])


def shared_dense():
    layer = Spec('Dense', 3, activation='tanh').make()
    first, second = L.Input((4,)), L.Input((4,))
    return model_of([first, second], [Spec('Concatenate', 1)(layer(first), layer(second))])


def shared_conv():
    layer = Spec('Conv2D', 2, 3, padding='same').make()
    entry = L.Input(shape_of(Image(5, 4)))
    once = layer(entry)
    return model_of([entry], [Spec('Add')(once, layer(Spec('Activation', 'relu')(once)))])


def shared_model():
    block = sequential((4,), Spec('Dense', 3, activation='relu'), Spec('Dense', 2))
    first, second = L.Input((4,), name='left'), L.Input((4,), name='right')
    both = Spec('Concatenate', 1)(block(first), block(second))
    return model_of([first, second], [Spec('Dense', 2)(both)])


def shared_thrice():
    layer = Spec('Dense', 4, activation='tanh').make()
    entry = L.Input((4,))
    return model_of([entry], [layer(layer(layer(entry)))])


def many_ends():
    entry = L.Input((4,))
    middle = Spec('Dense', 3)(entry)
    end = Spec('Dense', 2)(middle)
    return model_of([entry], [end, middle, Spec('Activation', 'relu')(middle)])


def input_is_output():
    first, second = L.Input((4,)), L.Input((3,))
    return model_of([second, first], [Spec('Dense', 2)(first), Spec('Dense', 2)(second)])


def inner_of_two_inputs():
    a, b = L.Input((3,)), L.Input((4,))
    inner = model_of([a, b], [Spec('Concatenate', 1)(Spec('Dense', 2)(a), b), Spec('Dense', 3)(b)])
    first, second = L.Input((3,)), L.Input((4,))
    one, two = inner([first, second])
    return model_of([first, second], [Spec('Dense', 2)(one), two])


@family
def old_layers(to):
    """Of Keras 1 only."""
    if KERAS_2:
        return
    to.line('maxout', (5,), Spec('MaxoutDense', output_dim=3), orderings=TH)
    to.line('maxout-2-no-bias', (5,), Spec('MaxoutDense', output_dim=3, nb_feature=2, bias=False), orderings=TH)
    to.line('highway', (5,), Spec('Highway'), orderings=TH)
    to.line('highway-tanh', (5,), Spec('Highway', activation='tanh'), orderings=TH)
    to.line('highway-no-bias', (5,), Spec('Highway', bias=False, activation='relu'), orderings=TH)
    to.line('time-distributed-dense', (4, 3), Spec('TimeDistributedDense', output_dim=2, activation='relu'), orderings=TH)
