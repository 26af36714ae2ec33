"""Tiny networks, one for every kind of layer of Keras 1 and 2 and every setting that can go wrong.

Layers are named and set as in Keras 2; ``OLD`` says each in Keras 1. Sizes are small and unequal, kernels even and odd,
so that a swapped axis, a flipped kernel or a shifted window shows. Python 2.7 and 3.6; run by record_layers.py.

A case says for which dim orderings of the session it is; nothing is built before it is asked for.
"""
from __future__ import print_function

import fnmatch
import zlib

import keras
import numpy as np
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


# What genuine Keras refuses: stack, case, reason; patterns of fnmatch. The recorder complains of anything else, but for
# layers that a Keras does not have.
KERAS_1 = 'keras-1.*'
REFUSED = [
    (KERAS_1, 'activation/softmax-image-*', 'softmax takes 2-D and 3-D only'),
    (KERAS_1, 'convolution2d/softmax-*', 'softmax takes 2-D and 3-D only'),
    ('keras-1*theano*', 'separable/*', 'on TensorFlow only'),
    ('*theano*', 'deconvolution2d/same-2-*', 'even kernel'),
    ('*theano*', 'deconvolution2d/same-3x2-*', 'even kernel'),
    ('*', 'convolution1d/channels-first-causal-*', 'causal is for channels_last'),
    ('*', 'masks/permute-*', 'takes no mask'),
    ('*', 'masks/conv-*', 'takes no mask'),
    (KERAS_1, 'masks/average-*', 'takes no mask'),
    (KERAS_1, 'embedding/length-of-input-th', 'without input_length a Sequential knows no length'),
    ('*', 'masks/max-*', 'takes no mask'),
    (KERAS_1, 'masks/apart-maximum-*', 'takes no masks'),
    ('*', 'masks/apart-concatenate-steps-first-*', 'joins a mask to a value of other axes'),
    ('*', 'masks/flatten-*', 'takes no mask'),
    ('keras-1.[01].*', 'pooling1d/???-same-*', 'pads the axis that it adds, of size 1, by -1'),
    ('keras-1.[01].*', 'nested/model-in-*', 'a BatchNormalization of mode 0 cannot be shared'),
    ('keras-1.[01].*', 'nested/sequential-in-*', 'a BatchNormalization of mode 0 cannot be shared'),
    ('keras-1.[01].*', 'nested/dense-blocks-*', 'a BatchNormalization of mode 0 cannot be shared'),
    ('keras-1.0.*', 'convolution1d/full-*', 'not yet'),
    ('keras-1.0.*', 'reshaping/reshape-image-inferred-*', '-1 in front of a Convolution1D'),
    ('keras-1.[01].*', 'networks/sequential-*', 'elu as an activation: from Keras 1.2 on'),
    ('*tensorflow*', 'convolution2d/*-3x2-dilation-*', 'two different rates'),
    ('*tensorflow*', 'convolution2d/full-*', 'on Theano only'),
    ('*tensorflow*', 'flatten/conv-dense-*', 'BatchNormalization after Flatten: TensorFlow 1.8 is too new for it'),
    ('*tensorflow*', 'advanced_activations/srelu*', 'clips by tensors, which TensorFlow 1.8 refuses'),
    ('*tensorflow*', 'merge_more/dot-vector-sequence-*', 'ranks differ'),
    ('*theano*', 'merge_more/multiply-broadcast-*', 'no axis is repeated that Theano does not know to be 1'),
    ('*', 'separable/separable1d-causal-*', 'Conv1D only'),
    ('*theano*', 'normalization/small-epsilon-*', 'Theano wants 1e-5, and float32(1e-5) is less'),
    ('*', 'lengths/flatten-*', 'needs every size'),
    ('*', 'lengths/prelu-th', 'needs every size'),
    (KERAS_1, 'lengths/reshape-*', 'adds to a size that is None'),
    (KERAS_1, 'lengths/pixels-*', 'adds to a size that is None'),
    (KERAS_1, 'lengths/cropping2d-*', 'subtracts from a size that is None'),
    ('keras-2*theano*', 'lengths/conv-causal-*', 'adds to a size that is None'),
    ('keras-2*theano*', 'lengths/padding-*', 'adds to a size that is None'),
    (KERAS_1, 'activation/selu-*', 'from Keras 2.0.6 on'),
    (KERAS_1, 'activation/exponential-*', 'from Keras 2.2.3 on'),
]


# Two stacks record every case; the others these. In Keras 1.0 and 1.1 the layers take their ordering from the session
# when they are defined.
SELECTED = {
    'keras-1.0.6-theano-0.8.2': [
        'convolution2d/same-3x2-th', 'convolution2d/same-3-by-2-th', 'convolution2d/valid-3-dilation-2-th',
        'dense/functional-th', 'pooling2d/???-same-5*-th', 'pooling2d/???-same-1x3*-th', 'padding2d/then-conv-th',
        'normalization/image-axis-[13]-th', 'normalization/epsilon-th', 'normalization/vector-th',
        'normalization_modes/mode-1-epsilon-th', 'normalization_modes/mode-2-image-axis-1-th',
        'flatten/image-dense-th', 'flatten/conv-dense-th', 'merge/concat-image-axis-1-th', 'networks/residual-th',
        'networks/sequential-th', 'convolution1d/*-2-by-1-th', 'convolution1d/text-th', 'pooling1d/*-2-by-None-th',
        'shapes1d/all-th', 'shapes1d/upsampling-3-th', 'reshaping/reshape-image-inferred-th',
        'reshaping/permute-conv-th', 'advanced_activations/prelu-conv-th', 'advanced_activations/srelu-th',
        'advanced_activations/softplus-th', 'merge_more/dot-sequences-1-th', 'merge_more/cos-vectors-th',
        'merge_more/first-concat-th', 'merge_more/first-nested-th', 'settings/dense-th',
        'nested/sequential-in-model-th', 'nested/dense-blocks-th', 'nested/shared-dense-th', 'nested/shared-model-th',
        'old_layers/*', 'embedding/flatten-th', 'embedding/masked-th', 'recurrent/*-last-th',
        'recurrent/*-masked-sequences-th', 'recurrent/gru-gpu-th', 'recurrent/lstm-gpu-th',
        'time_distributed/dense-th', 'masks/masking-th', 'masks/dropout-th', 'locally_connected/*-plain-th',
        'volumes/conv-valid-2-by-1-th'],
    'keras-1.1.0-theano-0.8.2': [
        'convolution2d/same-3x2-th', 'convolution2d/valid-3-dilation-2-th', 'convolution2d/same-3-dilation-2-th',
        'dense/functional-th', 'pooling2d/???-same-5*-th', 'pooling2d/???-same-1x3*-th', 'normalization/epsilon-th',
        'normalization_modes/mode-1-epsilon-th', 'flatten/conv-dense-th', 'networks/residual-th',
        'networks/sequential-th', 'convolution1d/same-2-*-th', 'convolution1d/text-th', 'deconvolution2d/*-3-by-?-th',
        'deconvolution2d/one-*-th', 'deconvolution2d/valid-3x2-by-2x3-th', 'pooling1d/ave-same-[23]*-th',
        'pooling1d/global*-th', 'shapes1d/all-th', 'shapes2d/decoder*-th', 'advanced_activations/prelu-image-th',
        'merge_more/cos-vectors-th', 'merge_more/dot-2x1-th', 'merge_more/first-images-th',
        'merge_more/first-nested-th', 'nested/dense-blocks-th', 'nested/model-in-model-th', 'nested/shared-model-th',
        'nested/many-ends-th', 'old_layers/highway-tanh-th', 'embedding/masked-th', 'recurrent/lstm-last-th',
        'recurrent/lstm-masked-backwards-sequences-th', 'recurrent/lstm-stateful-th', 'recurrent/gru-gpu-th',
        'stateful/lstm-*-th',
        'bidirectional/lstm-concat*', 'bidirectional/masked-*', 'bidirectional/tagger-th', 'time_distributed/dense-th',
        'time_distributed/conv-th', 'locally_connected/*-plain-th', 'volumes/network-th'],
    'keras-1.2.2-tensorflow-1.8.0': [
        'convolution2d/same-2-*', 'convolution2d/*-3x2-*', 'convolution2d/*-other-*', 'convolution2d/same-3-by-2-th',
        'dense/functional-th', 'activation/hard_sigmoid-th', 'activation/softmax-*', 'activation/elu-th',
        'pooling2d/*-same-3-by-2-*', 'pooling2d/*-same-*-by-2-th', 'pooling2d/*-other-*', 'padding2d/1x2x0x3-*',
        'normalization/image-axis-[13]-*', 'normalization_modes/*-th', 'flatten/*dense-*',
        'merge/concat-image-axis-1-*', 'networks/*', 'convolution1d/same-*', 'deconvolution2d/*-by-2*-th',
        'deconvolution2d/*5x3*', 'separable/*', 'pooling1d/*-same-[23]*', 'shapes2d/decoder*',
        'reshaping/permute-conv*', 'advanced_activations/srelu*', 'advanced_activations/prelu-shared*-tf',
        'advanced_activations/softplus-th', 'merge_more/cos*', 'merge_more/dot*', 'merge_more/first-concat-*',
        'nested/sequential-in-model-*', 'nested/shared-*-th', 'embedding/*', 'recurrent/lstm-last-th',
        'recurrent/lstm-masked-*sequences-th', 'recurrent/lstm-gpu*', 'recurrent/lstm-stateful-*',
        'stateful/gru-*-th', 'stateful/words-th', 'recurrent/gru-last-*', 'recurrent/gru-masked-sequences-*',
        'bidirectional/lstm-concat-sequences-*',
        'bidirectional/masked*', 'time_distributed/dense-th', 'time_distributed/model-th', 'conv_lstm2d/same-*',
        'conv_lstm2d/other-*', 'volumes/conv-same-*', 'volumes/???-same-2-*', 'volumes/network-*',
        'locally_connected/*-plain-*'],
    'keras-2.3.1-theano-1.0.5': [
        'convolution2d/same-3x2-*', 'dense/functional-th', 'activation/softmax-image-th', 'pooling2d/???-same-5-*',
        'normalization/image-axis-1-th', 'normalization/no-scale-th', 'flatten/image-dense-*',
        'flatten/sequence-dense-*', 'merge/concat-image-axis-1-th', 'networks/*-th', 'convolution1d/causal-2-by-1-th',
        'convolution1d/*as-many*-th', 'deconvolution2d/same-3-by-2-th', 'deconvolution2d/valid-output-padding-th',
        'separable/*-same-3x2-*-th', 'separable/separable1d-same-2-*-th', 'shapes2d/decoder-th',
        'reshaping/dense-on-image-*', 'advanced_activations/relu-all-th', 'advanced_activations/softmax-axis-1-th',
        'advanced_activations/prelu-shared-1x2-th', 'merge_more/dot-normalize-1-th', 'settings/*',
        'nested/sequential-in-*-th', 'nested/shared-model-th', 'nested/inner-of-two-inputs-th', 'embedding/masked-th',
        'recurrent/*-implementation-2-th', 'recurrent/gru-reset-after-last-th', 'recurrent/lstm-initial-state-th',
        'recurrent/lstm-masked-sequences-th', 'bidirectional/lstm-concat-sequences-th', 'bidirectional/tagger-th',
        'stateful/lstm-stack-th', 'stateful/gru-reset-after-th',
        'time_distributed/model-th', 'masks/average-th', 'conv_lstm2d/network-th', 'volumes/network-th',
        'locally_connected/2d-plain-th', 'locally_connected/1d-as-many*-th'],
}


def wanted(stack, case):
    return any(fnmatch.fnmatch(case, pattern) for pattern in SELECTED.get(stack, '*'))


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


class Missing(Exception):
    """This Keras has no such layer."""


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
        if not hasattr(L, kind):
            raise Missing(kind)
        maker = getattr(L, kind)
        if inner is None:
            return maker(**settings)
        return maker(inner.make() if isinstance(inner, Spec) else inner(), **settings)

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
    'SpatialDropout2D': ('rate',), 'SpatialDropout3D': ('rate',), 'Embedding': ('input_dim', 'output_dim'),
    'SimpleRNN': ('units',), 'GRU': ('units',), 'LSTM': ('units',), 'ConvLSTM2D': ('filters', 'kernel_size'),
    'Conv3D': ('filters', 'kernel_size'), 'Conv3DTranspose': ('filters', 'kernel_size'), 'MaxPooling3D': ('pool_size',),
    'AveragePooling3D': ('pool_size',), 'ZeroPadding3D': ('padding',), 'Cropping3D': ('cropping',),
    'UpSampling3D': ('size',), 'LocallyConnected1D': ('filters', 'kernel_size'),
    'LocallyConnected2D': ('filters', 'kernel_size'), 'Lambda': ('function',),
}

RENAMED = {'units': 'output_dim', 'filters': 'nb_filter', 'padding': 'border_mode', 'use_bias': 'bias', 'rate': 'p',
           'stddev': 'sigma', 'data_format': 'dim_ordering', 'recurrent_activation': 'inner_activation'}
RECURRENT = ('SimpleRNN', 'GRU', 'LSTM', 'ConvLSTM2D')
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
    if kind in RECURRENT:
        settings = dict(({'dropout': 'dropout_W', 'recurrent_dropout': 'dropout_U'}.get(name, name), value)
                        for name, value in settings.items())
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


class Volume(Image):
    def __init__(self, depth, rows, columns, channels=2, given=None):
        Image.__init__(self, rows, columns, channels, given)
        self.sizes = (depth, rows, columns)


class Frames(object):
    """So many images one after the other."""

    def __init__(self, count, image):
        self.count, self.image = count, image

    def shape(self):
        return (self.count,) + self.image.shape()


def shape_of(shape):
    return shape.shape() if hasattr(shape, 'shape') else shape


def channel_axis(given=None):
    return 1 if (given or ordering()) == 'th' else -1


def sequential(shape, *specs):
    model = Sequential()
    for number, spec in enumerate(specs):
        if number == 0:
            model.add(spec.make() if shape is None else spec.make(input_shape=shape_of(shape)))
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
# Numbers from a seed, for weights and inputs. Multiples of 1/64 and 1/16: exact in any float, and they pack well.


def uniform(seed, shape, low, high, step):
    state = np.random.RandomState(zlib.crc32(seed.encode('ascii')) & 0xFFFFFFFF)
    return (np.rint((low + (high - low) * state.random_sample(shape)) * step) / step).astype('float32')


def values(seed, shape, number=0):
    """From -5 to 5, most of them small: beyond where activations saturate, and within."""
    drawn = uniform(seed, shape, -1, 1, 4096.0)
    return (np.rint(5 * drawn * np.abs(drawn) * 16) / 16).astype('float32')


# ---------------------------------------------------------------------------------------------------------------------
# The cases: add(name, function that returns a model, orderings of the session, ...)


class Cases(object):
    """Collects the cases of a family for this session: (name, maker, inputs, whether to keep the file)."""

    def __init__(self):
        self.cases = []

    def add(self, name, maker, orderings=BOTH, inputs=values, keep=False):
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
            to.line('%s-%s' % (padding, text(kernel)), Image(), Spec('Conv2D', 3, kernel, padding=padding),
                    orderings=BOTH if kernel in (2, (3, 2)) else TH)
        for kernel, strides in ((1, 4), (2, 2), (3, 2), ((3, 2), (2, 3)), ((2, 3), (1, 2)), (5, 2)):
            to.line('%s-%s-by-%s' % (padding, text(kernel), text(strides)), Image(8, 7),
                    Spec('Conv2D', 3, kernel, padding=padding, strides=strides),
                    orderings=BOTH if kernel == (3, 2) else TH)
        for kernel, dilation in ((3, 2), (2, 2), ((3, 2), (2, 1)), ((2, 3), (1, 2))):
            if dilation == 2 or KERAS_2 or padding == 'valid':
                to.line('%s-%s-dilation-%s' % (padding, text(kernel), text(dilation)), Image(8, 7),
                        Spec('Conv2D', 2, kernel, padding=padding, dilation_rate=dilation),
                        orderings=BOTH if kernel == (3, 2) else TH)
        to.line(padding + '-no-bias', Image(), Spec('Conv2D', 3, (2, 3), padding=padding, use_bias=False),
                orderings=TH)
        to.line(padding + '-other-ordering', Image(given=other),
                Spec('Conv2D', 3, (3, 2), padding=padding, ordering=other))
    for activation in ('relu', 'tanh', 'hard_sigmoid'):
        to.line(activation, Image(), Spec('Conv2D', 3, 3, activation=activation), orderings=TH)
    to.line('softmax', Image(), Spec('Conv2D', 3, 3, activation='softmax'))
    to.line('functional', Image(), Spec('Conv2D', 3, (2, 3), padding='same', name='a conv (1.5)'),
            Spec('Conv2D', 2, 2, strides=2), functional=True, orderings=TH)
    if not KERAS_2:
        to.line('full-3x2', Image(), Spec('Conv2D', 3, (3, 2), padding='full'))
        to.line('full-2-by-2', Image(), Spec('Conv2D', 3, 2, padding='full', strides=2), orderings=TH)


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
    to.line('fused', (5,), *[Spec('Dense', 3, activation=name) for name in ('softsign', 'softplus', 'tanh', 'linear')],
            orderings=TH)
    to.line('fused-too', (5,), *[Spec('Dense', 4, activation=name)
                                 for name in ('elu', 'hard_sigmoid', 'relu', 'sigmoid')], orderings=TH)


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
                        orderings=BOTH if size == (3, 2) else TH)
        to.line(short + '-other-ordering', Image(given=other), Spec(kind, (3, 2), padding='same', ordering=other))
        to.line(short + '-default', Image(), Spec(kind), orderings=TH)


@family
def padding2d(to):
    for padding in ((1, 2), ((1, 2), (0, 3)), ((0, 1), (2, 0)), ((3, 0), (0, 0))):
        to.line(text(padding), Image(4, 5), Spec('ZeroPadding2D', padding),
                orderings=BOTH if padding == ((1, 2), (0, 3)) else TH)
    to.line('then-conv', Image(4, 5), Spec('ZeroPadding2D', ((1, 2), (0, 3))), Spec('Conv2D', 2, 3, strides=2))
    to.line('default', Image(4, 5), Spec('ZeroPadding2D'), functional=True, orderings=TH)
    to.line('other-ordering', Image(4, 5, given=other), Spec('ZeroPadding2D', (1, 2), ordering=other))
    if not KERAS_2:
        sides = {'top_pad': 1, 'bottom_pad': 2, 'left_pad': 0, 'right_pad': 3}
        to.line('names', Image(4, 5), Spec('ZeroPadding2D', sides), orderings=TH)
        to.line('some-names', Image(4, 5), Spec('ZeroPadding2D', {'top_pad': 2, 'right_pad': 1}),
                orderings=TH)


@family
def normalization(to):
    for axis in (1, 2, 3, -1, -2):
        to.line('image-axis-%s' % text(axis), Image(5, 4, 3), Spec('BatchNormalization', axis=axis),
                orderings=BOTH if axis in (1, 3) else TH)
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
        to.line('no-scale', Image(5, 4, 3), Spec('BatchNormalization', axis=1, scale=False),
                orderings=TH)
        to.line('no-center', Image(5, 4, 3), Spec('BatchNormalization', axis=1, center=False),
                orderings=TH)
        to.line('neither', Image(5, 4, 3), Spec('BatchNormalization', axis=1, scale=False, center=False),
                orderings=TH)


@family
def flatten(to):
    to.line('image', Image(3, 4), Spec('Flatten'))
    to.line('image-dense', Image(3, 4), Spec('Flatten'), Spec('Dense', 4), keep=True)
    to.line('image-dense-dense', Image(3, 4), Spec('Flatten'), Spec('Dense', 4, activation='tanh'),
            Spec('Dropout', 0.5), Spec('Dense', 3, activation='softmax'))
    to.line('sequence-dense', (4, 3), Spec('Flatten'), Spec('Dense', 2))
    to.line('conv-dense', Image(5, 4), Spec('Conv2D', 3, 2), Spec('MaxPooling2D', (2, 1)), Spec('Activation', 'relu'),
            Spec('Dropout', 0.3), Spec('Flatten'), Spec('BatchNormalization', axis=1), Spec('Dense', 2),
            functional=True)
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
        to.add('concat-image-axis-%s' % text(axis),
               lambda axis=axis: joined([Image(3, 4)] * 2, Spec('Concatenate', axis)),
               orderings=BOTH if axis in (1, 3) else TH)
    to.add('concat-unequal', lambda: joined([Image(3, 4, 2), Image(3, 4, 1), Image(3, 4, 3)],
                                            Spec('Concatenate', channel_axis())))
    to.add('concat-rows', lambda: joined([Image(3, 4), Image(2, 4)],
                                         Spec('Concatenate', 2 if ordering() == 'th' else 1)), orderings=TH)
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
            Spec('Activation', 'softsign'))
    to.add('mixed-orderings', mixed)
    to.line('vgg', Image(9, 8), *[Spec('Conv2D', 3, 3, padding='same', activation='relu') for _ in range(2)] +
            [Spec('MaxPooling2D', (2, 2), strides=(2, 2))] +
            [Spec('Conv2D', 4, 3, padding='same', activation='relu') for _ in range(2)] +
            [Spec('MaxPooling2D', (2, 2), strides=(2, 2)), Spec('Flatten'), Spec('Dense', 6, activation='relu'),
             Spec('Dropout', 0.5), Spec('Dense', 3, activation='softmax')])
    to.add('inception', inception)
    to.add('u-net', u_net)
    to.add('siamese', siamese)
    to.add('autoencoder', autoencoder)


def inception():
    """Four branches, as in GoogLeNet, behind a stem, and another block that joins theirs by a sum."""
    axis = channel_axis()

    def conv(x, *settings, **more):
        return Spec('Activation', 'relu')(Spec('BatchNormalization', axis=axis)(
            Spec('Conv2D', *settings, padding='same', **more)(x)))

    entry = L.Input(shape_of(Image(8, 7)))
    stem = conv(entry, 3, 3, strides=2)
    branches = [conv(stem, 2, 1), conv(conv(stem, 2, 1), 3, 3), conv(conv(stem, 2, 1), 2, 5),
                conv(Spec('MaxPooling2D', (3, 3), strides=(1, 1), padding='same')(stem), 2, 1)]
    block = Spec('Concatenate', axis)(*branches)
    block = Spec('Add')(conv(block, 4, (1, 3)), conv(block, 4, (3, 1)))
    top = Spec('GlobalAveragePooling2D')(Spec('AveragePooling2D', (3, 3), strides=(1, 1), padding='same')(block))
    return model_of([entry], [Spec('Dense', 3, activation='softmax')(top)])


def u_net():
    axis = channel_axis()
    entry = L.Input(shape_of(Image(8, 4)))
    one = Spec('Conv2D', 3, 3, padding='same', activation='relu')(entry)
    two = Spec('Conv2D', 4, 3, padding='same', activation='relu')(Spec('MaxPooling2D', (2, 2))(one))
    low = Spec('Conv2D', 5, 3, padding='same', activation='relu')(Spec('MaxPooling2D', (2, 2))(two))
    up = Spec('Concatenate', axis)(Spec('UpSampling2D', (2, 2))(low), two)
    up = Spec('Conv2D', 4, 3, padding='same', activation='relu')(up)
    up = Spec('Concatenate', axis)(Spec('UpSampling2D', (2, 2))(up), one)
    up = Spec('Conv2D', 3, 2, padding='same', activation='relu')(up)
    return model_of([entry], [Spec('Conv2D', 1, 1, activation='sigmoid')(up)])


def siamese():
    """One network looks at both images; how alike they are is told from the product of what it sees."""
    shared = sequential(Image(6, 5), Spec('Conv2D', 3, 3, activation='relu'), Spec('MaxPooling2D', (2, 1)),
                        Spec('Flatten'), Spec('Dense', 4, activation='tanh'))
    left, right = L.Input(shape_of(Image(6, 5)), name='left'), L.Input(shape_of(Image(6, 5)), name='right')
    both = Spec('Multiply')(shared(left), shared(right))
    return model_of([left, right], [Spec('Dense', 1, activation='sigmoid')(both)])


def autoencoder():
    """As in Keras' blog: pooled down, and up again."""
    return functional(Image(8, 4), Spec('Conv2D', 4, 3, padding='same', activation='relu'),
                      Spec('MaxPooling2D', (2, 2), padding='same'),
                      Spec('Conv2D', 2, 3, padding='same', activation='relu'),
                      Spec('MaxPooling2D', (2, 2), padding='same'), Spec('UpSampling2D', (2, 2)),
                      Spec('Conv2D', 3, 3, padding='same', activation='relu'), Spec('UpSampling2D', (2, 2)),
                      Spec('Conv2D', 1, 3, padding='same', activation='sigmoid'))


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
    flat = Spec('Dense', 4, activation='tanh')(Spec('Flatten')(total))  # so that the softmax is not saturated
    return model_of([entry], [Spec('Dense', 3, activation='softmax')(flat)])


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
            to.line('channels-first-' + padding, (2, 7), Spec('Conv1D', 3, 2, padding=padding, ordering='th'),
                    orderings=TH)
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
            to.line('%s-%s-by-%s' % (padding, text(kernel), text(strides)), *deconvolution(kernel, strides, padding),
                    orderings=BOTH if kernel in ((3, 5), (5, 3)) else TH)
        to.line(padding + '-no-bias', *deconvolution(3, 2, padding, use_bias=False), orderings=TH)
        to.line(padding + '-other-ordering',
                *deconvolution((3, 2) if padding == 'valid' else 3, 1, padding, given=other))
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
            for kernel, strides, multiplier in ((3, 1, 1), ((3, 2), 1, 2), (2, 1, 1), (3, 2, 2), (1, 1, 2)):
                to.line('%s-%s-%s-by-%d-times-%d' % (short, padding, text(kernel), strides, multiplier), Image(6, 5),
                        Spec(kind, *filters + (spread(kernel, 2),), strides=spread(strides, 2), padding=padding,
                             depth_multiplier=multiplier), orderings=BOTH if kernel == (3, 2) else TH)
        to.line(short + '-no-bias', Image(6, 5), Spec(kind, *filters + ((2, 3),), use_bias=False), orderings=TH)
        to.line(short + '-relu', Image(6, 5), Spec(kind, *filters + ((2, 3),), activation='relu'), orderings=TH)
        to.line(short + '-other-ordering', Image(6, 5, given=other), Spec(kind, *filters + ((2, 3),), ordering=other))
    if KERAS_2:
        to.line('separable-dilation', Image(7, 6), Spec('SeparableConv2D', 3, (3, 2), dilation_rate=2), orderings=TH)
        for padding in ('valid', 'same', 'causal'):
            for kernel, strides, multiplier in ((3, 1, 1), (2, 1, 2), (3, 2, 2)):
                to.line('separable1d-%s-%d-by-%d-times-%d' % (padding, kernel, strides, multiplier), (7, 2),
                        Spec('SeparableConv1D', 3, kernel, strides=strides, padding=padding,
                             depth_multiplier=multiplier), orderings=TH)
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
    to.line('head', Image(5, 4), Spec('Conv2D', 3, 2, activation='relu'), Spec('GlobalAveragePooling2D'),
            Spec('Dense', 2), functional=True)


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
        to.line('cropping-%s' % text(cropping), Image(6, 5), Spec('Cropping2D', cropping),
                orderings=BOTH if cropping[1] == (0, 1) else TH)
    for size in ((2, 3), (1, 2)):
        to.line('upsampling-%s' % text(size), Image(3, 4), Spec('UpSampling2D', size),
                orderings=BOTH if size == (2, 3) else TH)
    to.line('upsampling-other-ordering', Image(3, 4, given=other), Spec('UpSampling2D', (2, 3), ordering=other))
    to.line('cropping-other-ordering', Image(6, 5, given=other), Spec('Cropping2D', ((1, 2), (0, 1)), ordering=other))
    to.line('decoder', Image(3, 4), Spec('Conv2D', 3, 3, padding='same', activation='relu'),
            Spec('UpSampling2D', (2, 2)), Spec('ZeroPadding2D', ((0, 1), (1, 0))), Spec('Conv2D', 2, 2),
            Spec('Cropping2D', ((1, 0), (0, 2))),
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
        to.line('permute-%s' % text(dims), Image(3, 4), Spec('Permute', dims), orderings=TH)
    to.line('permute-conv', Image(3, 4), Spec('Conv2D', 2, 2), Spec('Permute', (2, 3, 1)), Spec('Flatten'),
            Spec('Dense', 2))
    to.line('repeat-conv', (4,), Spec('RepeatVector', 3), Spec('Permute', (2, 1)), Spec('Conv1D', 2, 2), orderings=TH)
    to.line('permute-to-other', Image(5, 4),
            Spec('Permute', Later(lambda: (2, 3, 1) if ordering() == 'th' else (3, 1, 2))),
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
        to.line('prelu-shared-%s' % text(tuple(axes)), Image(3, 4), Spec('PReLU', shared_axes=axes),
                orderings=BOTH if axes == [1, 2] else TH)
    if KERAS_2:
        to.line('relu', (9,), Spec('ReLU'), orderings=TH)
        to.line('relu-max', (9,), Spec('ReLU', max_value=1.5), orderings=TH)
        to.line('relu-slope', (9,), Spec('ReLU', negative_slope=0.2), orderings=TH)
        to.line('relu-threshold', (9,), Spec('ReLU', threshold=0.75), orderings=TH)
        to.line('relu-all', (20,), Spec('ReLU', max_value=2., negative_slope=0.25, threshold=0.5), orderings=TH)
        for axis in (1, 2, 3, -1):
            to.line('softmax-axis-%s' % text(axis), Image(3, 4), Spec('Softmax', axis=axis),
                    orderings=BOTH if axis == 1 else TH)
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
        to.add('cos-sequences-%s' % text(axes),
               lambda axes=axes: joined(sequences, Spec('Merge', 'cos', dot_axes=axes)), orderings=TH)
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
    for name, spec in (('gaussian-noise', Spec('GaussianNoise', 0.3)),
                       ('gaussian-dropout', Spec('GaussianDropout', 0.3)),
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
        more = {'W_regularizer': Later(lambda: keras.regularizers.l1l2(0.01, 0.02)), 'b_regularizer': 'l1',
                'W_constraint': Later(lambda: keras.constraints.maxnorm(3)), 'b_constraint': 'nonneg',
                'activity_regularizer': 'activity_l2', 'init': 'he_normal'}
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
    to.line('time-distributed-dense', (4, 3), Spec('TimeDistributedDense', output_dim=2, activation='relu'),
            orderings=TH)


# ---------------------------------------------------------------------------------------------------------------------
# Sequences, recurrence, masks


def words(seed, shape, number):
    """Indices below 7; 0 in front, within and at the end."""
    drawn = uniform(seed, shape, 0.6, 6.4, 1.0).astype('int32')
    drawn[0, 0] = drawn[0, min(2, shape[1] - 1)] = drawn[1, -1] = 0
    return drawn


def padded(seed, shape, number):
    """Values, with whole steps of zeros in front, within and at the end, and one step of which a part is zero."""
    drawn = values(seed, shape)
    drawn[0, 0] = drawn[0, 2] = drawn[1, -2:] = 0
    drawn[1, 0, 0] = 0
    return drawn


def tenths(seed, shape, number):
    """Values, with whole steps of 0.1 as float32 has it: as float64 it is another number."""
    drawn = values(seed, shape)
    drawn[0, 3:] = drawn[1, 2] = 0.1
    return drawn


def sentences(seed, shape, number):
    """Words that end with the last step: 0 in front, of each sentence so many."""
    drawn = uniform(seed, shape, 0.6, 6.4, 1.0).astype('int32')
    for row in range(shape[0]):
        drawn[row, ..., :shape[-1] // (row + 2)] = 0
    return drawn


def letters(seed, shape, number):
    """One of so many at each step, as 1 among 0."""
    chosen = np.floor(uniform(seed, shape[:-1], 0, 1, 4096.0) * (shape[-1] - 0.01)).astype(int)
    return np.eye(shape[-1], dtype='float32')[chosen]


def large(seed, shape, number):
    """From -20 to 20: most of them beyond where gates saturate."""
    return 4 * values(seed, shape)


def padded_apart(seed, shape, number):
    """Values with whole steps of zeros, of each input others: in front, at the end, within."""
    drawn = values(seed, shape)
    steps = shape[1]
    for row in range(shape[0]):
        count = steps // (row + 2)
        zeros = (slice(0, count), slice(steps - count, steps), slice(2, 2 + count))[number]
        drawn[row, zeros] = 0
    return drawn


def all_padded(seed, shape, number):
    """As padded, and a sequence of nothing but zeros."""
    drawn = padded(seed, shape, number)
    drawn[1] = 0
    return drawn


@family
def embedding(to):
    to.line('plain', None, Spec('Embedding', 7, 3, input_length=4), orderings=TH, inputs=words)
    to.line('flatten', None, Spec('Embedding', 7, 3, input_length=4), Spec('Flatten'), Spec('Dense', 2), inputs=words)
    to.line('any-length', None, Spec('Embedding', 7, 3), Spec('Conv1D', 2, 2), Spec('GlobalMaxPooling1D'), orderings=TH,
            inputs=words)
    to.line('masked', None, Spec('Embedding', 7, 3, mask_zero=True), Spec('LSTM', 3), orderings=TH, inputs=words)
    to.line('functional', (4,), Spec('Embedding', 7, 3), Spec('GRU', 2), orderings=TH, functional=True, inputs=words)
    for form in (True, False):
        to.line('length-of-input%s' % ('-functional' if form else ''), (4,), Spec('Embedding', 7, 3), Spec('Flatten'),
                Spec('Dense', 2), orderings=TH, functional=form, inputs=words)
    to.line('length-of-input-dense', (4,), Spec('Embedding', 7, 3), Spec('Dense', 4, activation='tanh'),
            Spec('GlobalMaxPooling1D'), orderings=TH, inputs=words)
    if not KERAS_2:
        to.line('dropout', (4,), Spec('Embedding', 7, 3, input_length=4, dropout=0.3), orderings=TH, inputs=words)


@family
def recurrent(to):
    for kind in ('SimpleRNN', 'GRU', 'LSTM'):
        short = kind.lower()

        def add(name, *shape, **options):
            inputs = options.pop('inputs', values)
            after = options.pop('after', [])
            before = options.pop('before', [])
            to.line('%s-%s' % (short, name), shape or (5, 2), *(before + [Spec(kind, 3, **options)] + after),
                    orderings=TH, inputs=inputs, keep=name == 'stack' and kind == 'LSTM')

        add('last')
        add('sequences', return_sequences=True)
        add('backwards', go_backwards=True)
        add('backwards-sequences', go_backwards=True, return_sequences=True)
        add('unroll', unroll=True, return_sequences=True)
        add('activation', activation='softsign', **({} if kind == 'SimpleRNN' else {'recurrent_activation': 'sigmoid'}))
        add('masked', before=[Spec('Masking')], inputs=padded)
        add('masked-sequences', before=[Spec('Masking')], inputs=padded, return_sequences=True)
        add('masked-backwards-sequences', before=[Spec('Masking')], inputs=padded, go_backwards=True,
            return_sequences=True)
        add('masked-unroll', before=[Spec('Masking')], inputs=padded, unroll=True, return_sequences=True)
        if kind == 'LSTM':
            add('nothing-but-mask', before=[Spec('Masking')], inputs=all_padded, return_sequences=True)
        add('stack', return_sequences=True, after=[Spec(kind, 2), Spec('Dense', 2)])
        add('dropout', dropout=0.2, recurrent_dropout=0.3)
        to.add(short + '-stateful', lambda kind=kind: stack_with_states(kind), orderings=TH)
        if KERAS_2:
            add('implementation-2', implementation=2, return_sequences=True)
            if kind != 'SimpleRNN':
                add('implementation-1', implementation=1, return_sequences=True)
            add('no-bias', use_bias=False)
            to.add(short + '-states', lambda kind=kind: states(kind), orderings=TH)
            to.add(short + '-initial-state', lambda kind=kind: initial_state(kind), orderings=TH)
        else:
            for way in ('mem', 'gpu'):
                if kind != 'SimpleRNN' or way == 'mem':
                    add(way, consume_less=way, return_sequences=True)
            if kind == 'LSTM':
                add('gpu-masked', before=[Spec('Masking')], inputs=padded, consume_less='gpu', return_sequences=True)
    if KERAS_2:
        for name, more in (('last', {}), ('masked', {}), ('backwards', {'go_backwards': True}),
                           ('no-bias', {'use_bias': False}), ('implementation-2', {'implementation': 2})):
            masked = name == 'masked'
            to.line('gru-reset-after-' + name, (5, 2), *(([Spec('Masking')] if masked else []) + [
                Spec('GRU', 3, reset_after=True, return_sequences=name != 'last', **more)]), orderings=TH,
                inputs=padded if masked else values)
        to.line('lstm-no-forget-bias', (5, 2), Spec('LSTM', 3, unit_forget_bias=False), orderings=TH)
        to.add('cell', cell, orderings=TH)


@family
def recurrent_more(to):
    """Many steps, and activations of every kind; few steps where gates below 0 would let differences grow."""
    for kind in ('SimpleRNN', 'GRU', 'LSTM'):
        gated = kind != 'SimpleRNN'
        for function, gate in (('relu', 'sigmoid'), ('elu', 'tanh'), ('hard_sigmoid', 'sigmoid'),
                               ('softplus', 'hard_sigmoid')):
            if KERAS_2 or function == 'elu':
                to.line('%s-%s%s' % (kind.lower(), function, '-' + gate if gated else ''),
                        (6 if gate == 'tanh' else 20, 3), Spec(
                            kind, 4, return_sequences=function == 'relu', activation=function,
                            **({'recurrent_activation': gate} if gated else {})), orderings=TH)
        to.line(kind.lower() + '-saturated', (20, 3), Spec(kind, 4, return_sequences=True), orderings=TH, inputs=large)
        if KERAS_2:
            to.line(kind.lower() + '-masked', (20, 3), Spec('Masking'),
                    Spec(kind, 4, return_sequences=True, activation='softsign'), orderings=TH, inputs=padded_apart)
    if KERAS_2:
        for function, gate in (('relu', 'sigmoid'), ('elu', 'tanh'), ('hard_sigmoid', 'hard_sigmoid')):
            to.line('gru-reset-after-%s-%s' % (function, gate), (6 if gate == 'tanh' else 20, 3),
                    Spec('GRU', 4, reset_after=True, activation=function, recurrent_activation=gate), orderings=TH)


def stack_with_states(kind):
    model = Sequential()
    model.add(Spec(kind, 3, stateful=True, return_sequences=True).make(batch_input_shape=(2, 4, 2)))
    model.add(Spec(kind, 2, stateful=True).make())
    return model


@family
def stateful(to):
    """Batches that begin with the states of the one before; every model is run twice."""
    def add(name, shape, *specs, **more):
        to.add(name, lambda: of_batches(shape, *specs), orderings=TH, **more)

    for kind in ('SimpleRNN', 'GRU', 'LSTM'):
        short = kind.lower()
        to.add(short + '-stack', lambda kind=kind: stack_with_states(kind), orderings=TH)
        add(short + '-backwards', (2, 4, 2), Spec(kind, 3, stateful=True, go_backwards=True, return_sequences=True))
        add(short + '-masked', (2, 5, 2), Spec('Masking'), Spec(kind, 3, stateful=True, return_sequences=True),
            inputs=padded)
    add('letters', (1, 1, 7), Spec('LSTM', 5, stateful=True, return_sequences=True), Spec('LSTM', 4, stateful=True),
        Spec('Dense', 7, activation='softmax'), inputs=letters)
    add('words', (2, 4), Spec('Embedding', 7, 3, mask_zero=True), Spec('LSTM', 4, stateful=True), Spec('Dense', 2),
        inputs=words)
    add('mixed', (3, 4, 2), Spec('LSTM', 3, stateful=True, return_sequences=True), Spec('GRU', 2))
    to.add('functional', functional_with_states, orderings=TH)
    for merge in ('concat', 'sum'):
        add('bidirectional-' + merge, (2, 4, 2), Spec('Bidirectional', inner=Spec('LSTM', 3, stateful=True),
                                                      merge_mode=merge))
    if KERAS_2:
        add('gru-reset-after', (2, 4, 2), Spec('GRU', 3, reset_after=True, stateful=True))
        to.add('return-state', lambda: functional_with_states(return_state=True), orderings=TH)


def of_batches(shape, *specs):
    model = Sequential()
    model.add(specs[0].make(batch_input_shape=shape))
    for spec in specs[1:]:
        model.add(spec.make())
    return model


def functional_with_states(**settings):
    entry = L.Input(batch_shape=(2, 4, 2))
    return Model(entry, Spec('GRU', 3, stateful=True, **settings)(entry))


def states(kind):
    entry = L.Input((5, 2))
    return Model(entry, Spec(kind, 3, return_state=True)(entry))


def initial_state(kind):
    entries = [L.Input((5, 2))] + [L.Input((3,)) for _ in range(2 if kind == 'LSTM' else 1)]
    layer = Spec(kind, 3).make()
    return Model(entries, layer(entries[0], initial_state=entries[1:]))


def cell():
    entry = L.Input((5, 2))
    return Model(entry, L.RNN(L.GRUCell(3))(entry))


@family
def bidirectional(to):
    for kind in ('LSTM', 'GRU', 'SimpleRNN'):
        for mode in {'LSTM': ('concat', 'sum', 'mul', 'ave'), 'GRU': ('concat',), 'SimpleRNN': ('sum',)}[kind]:
            for sequences in (False, True):
                if sequences if kind != 'LSTM' or mode in ('mul', 'ave') else True:
                    to.line('%s-%s%s' % (kind.lower(), mode, '-sequences' if sequences else ''), (4, 2),
                            Spec('Bidirectional', inner=Spec(kind, 3, return_sequences=sequences), merge_mode=mode),
                            orderings=TH)
    for sequences in (False, True):
        to.line('masked%s' % ('-sequences' if sequences else ''), (5, 2), Spec('Masking'),
                Spec('Bidirectional', inner=Spec('LSTM', 3, return_sequences=sequences)), orderings=TH, inputs=padded)
    to.line('none', (4, 2), Spec('Bidirectional', inner=Spec('LSTM', 3, return_sequences=True), merge_mode=None),
            orderings=TH, functional=True)
    to.line('tagger', None, Spec('Embedding', 7, 3, mask_zero=True),
            Spec('Bidirectional', inner=Spec('LSTM', 2, return_sequences=True)),
            Spec('TimeDistributed', inner=Spec('Dense', 3, activation='softmax')), orderings=TH, inputs=words,
            keep=True)
    for sequences in (False, True):
        to.line('inner-backwards%s' % ('-sequences' if sequences else ''), (5, 2), Spec('Masking'),
                Spec('Bidirectional', inner=Spec('GRU', 3, go_backwards=True, return_sequences=sequences)),
                orderings=TH, inputs=padded)
    if KERAS_2:
        to.line('activation', (12, 2), Spec('Bidirectional', inner=Spec(
            'LSTM', 4, activation='relu', recurrent_activation='sigmoid', return_sequences=True)), orderings=TH)
        to.line('stack-sum', (12, 2), Spec('Masking'),
                Spec('Bidirectional', inner=Spec('LSTM', 4, return_sequences=True), merge_mode='sum'),
                Spec('Bidirectional', inner=Spec('GRU', 3), merge_mode='sum'), orderings=TH, inputs=padded)
        to.line('gru-reset-after', (12, 2), Spec('Bidirectional', inner=Spec(
            'GRU', 4, reset_after=True, return_sequences=True), merge_mode='ave'), orderings=TH)
    else:
        to.line('gpu', (4, 2), Spec('Bidirectional', inner=Spec('LSTM', 3, consume_less='gpu')), orderings=TH)


@family
def time_distributed(to):
    to.line('dense', (4, 3), Spec('TimeDistributed', inner=Spec('Dense', 2, activation='relu')), orderings=TH)
    to.line('conv', Frames(3, Image(4, 5)), Spec('TimeDistributed', inner=Spec('Conv2D', 2, (2, 3))),
            Spec('TimeDistributed', inner=Spec('MaxPooling2D', (2, 1))), Spec('TimeDistributed', inner=Spec('Flatten')),
            Spec('LSTM', 3))
    to.line('normalization', (4, 3), Spec('TimeDistributed', inner=Spec('BatchNormalization')), orderings=TH)
    to.line('normalization-image', Frames(3, Image(4, 3)),
            Spec('TimeDistributed', inner=Spec('BatchNormalization', axis=1)), orderings=TH)
    to.line('activation', (4, 3), Spec('TimeDistributed', inner=Spec('Activation', 'softmax')), orderings=TH)
    to.line('twice', (2, 4, 3), Spec('TimeDistributed', inner=Spec('TimeDistributed', inner=Spec('Dense', 2))),
            orderings=TH)
    to.line('sequential', Frames(3, Image(4, 5)), Spec('TimeDistributed', inner=frame_network), orderings=TH)
    to.line('model', Frames(3, Image(5, 4)), Spec('TimeDistributed', inner=block_model), orderings=TH)
    to.line('lstm', (3, 4, 2), Spec('TimeDistributed', inner=Spec('LSTM', 3)), orderings=TH)
    to.line('masked', (5, 3), Spec('Masking'), Spec('TimeDistributed', inner=Spec('Dense', 2)), Spec('LSTM', 2),
            orderings=TH, inputs=padded)


def frame_network():
    return sequential(Image(4, 5), Spec('Conv2D', 2, 2), Spec('BatchNormalization', axis=channel_axis()),
                      Spec('Flatten'), Spec('Dense', 2))


@family
def masks(to):
    """How far a mask reaches."""
    to.line('masking', (5, 3), Spec('Masking'), orderings=TH, inputs=padded)
    to.line('masking-value', (5, 3), Spec('Masking', mask_value=0.5), Spec('GRU', 2), orderings=TH)
    to.line('masking-tenth', (5, 3), Spec('Masking', mask_value=0.1), Spec('GRU', 2), orderings=TH, inputs=tenths)
    for name, spec in (('dropout', Spec('Dropout', 0.3)), ('activation', Spec('Activation', 'tanh')),
                       ('permute', Spec('Permute', (2, 1))), ('batch-normalization', Spec('BatchNormalization')),
                       ('conv', Spec('Conv1D', 3, 2)), ('leaky', Spec('LeakyReLU')),
                       ('average', Spec('GlobalAveragePooling1D')), ('max', Spec('GlobalMaxPooling1D')),
                       ('noise', Spec('GaussianNoise', 0.1)), ('flatten', Spec('Flatten'))):
        after = [] if name in ('average', 'max', 'flatten') else [Spec('LSTM', 2)]
        to.line(name, (5, 3), *([Spec('Masking'), spec] + after), orderings=TH, inputs=padded)
    if KERAS_2:
        to.line('dense', (5, 3), Spec('Masking'), Spec('Dense', 2, activation='tanh'), Spec('GRU', 2), orderings=TH,
                inputs=padded)
    for kind in ('Add', 'Concatenate'):
        to.add('merged-' + kind.lower(), lambda kind=kind: merged_masks(kind), orderings=TH, inputs=padded)
    to.add('merged-one-masked', lambda: merged_masks('Add', one=True), orderings=TH, inputs=padded)
    merges = [('add', Spec('Add'), 'yyy'), ('maximum', Spec('Maximum'), 'yy'),
              ('concatenate', Spec('Concatenate'), 'yyy'), ('concatenate-steps', Spec('Concatenate', 1), 'yy'),
              ('add-first', Spec('Add'), 'yn'), ('concatenate-second', Spec('Concatenate'), 'ny'),
              ('concatenate-steps-first', Spec('Concatenate', 1), 'yn')]
    if KERAS_2:
        merges += [('multiply', Spec('Multiply'), 'yy'), ('average', Spec('Average'), 'yy'),
                   ('add-second', Spec('Add'), 'ny'), ('concatenate-first', Spec('Concatenate'), 'yn'),
                   ('dot', Spec('Dot', 2), 'yy')]
    for name, merge, masked in merges:
        to.add('apart-' + name, lambda merge=merge, masked=masked: masks_apart(merge, masked), orderings=TH,
               inputs=padded_apart)
    to.line('again', (8, 3), Spec('Masking'), Spec('GRU', 3, return_sequences=True), Spec('Masking'),
            Spec('LSTM', 2, return_sequences=True), orderings=TH, inputs=padded_apart)
    to.line('stack', (8, 3), Spec('Masking'), Spec('LSTM', 4, return_sequences=True),
            Spec('LSTM', 3, return_sequences=True, go_backwards=True), Spec('LSTM', 2), orderings=TH,
            inputs=padded_apart)
    to.line('stack-bidirectional', (8, 3), Spec('Masking'),
            Spec('Bidirectional', inner=Spec('LSTM', 3, return_sequences=True)),
            Spec('Bidirectional', inner=Spec('LSTM', 2, return_sequences=True), merge_mode='sum'), Spec('LSTM', 2),
            orderings=TH, inputs=padded_apart)
    if KERAS_2:
        to.add('apart-bidirectional', lambda: masks_apart(
            Spec('Add'), 'yy', Spec('Bidirectional', inner=Spec('GRU', 2))), orderings=TH, inputs=padded_apart)
        to.line('again-bidirectional', (8, 3), Spec('Masking'),
                Spec('Bidirectional', inner=Spec('GRU', 2, return_sequences=True)), Spec('Masking'),
                Spec('LSTM', 2, return_sequences=True), orderings=TH, inputs=padded_apart)
        to.line('repeat', (5, 3), Spec('Masking'), Spec('GRU', 3), Spec('RepeatVector', 4),
                Spec('LSTM', 2, return_sequences=True), orderings=TH, inputs=padded)
        to.line('stack-normalized', (8, 3), Spec('Masking'), Spec('LSTM', 4, return_sequences=True),
                Spec('BatchNormalization'), Spec('Activation', 'tanh'), Spec('GRU', 2), orderings=TH,
                inputs=padded_apart)
        to.line('stack-time-distributed', (8, 3), Spec('Masking'), Spec('GRU', 3, return_sequences=True),
                Spec('TimeDistributed', inner=Spec('Dense', 3, activation='relu')), Spec('Dropout', 0.2),
                Spec('GRU', 2, return_sequences=True), orderings=TH, inputs=padded_apart)
        to.line('stack-average', (8, 3), Spec('Masking'), Spec('LSTM', 3, return_sequences=True),
                Spec('Dense', 2, activation='relu'), Spec('GlobalAveragePooling1D'), orderings=TH, inputs=padded_apart)


def merged_masks(kind, one=False):
    first, second = L.Input((5, 3)), L.Input((5, 3))
    left = Spec('Masking')(first)
    return model_of([first, second], [Spec('LSTM', 2)(Spec(kind)(left, second if one else Spec('Masking')(second)))])


def masks_apart(merge, masked, reader=None):
    """masked: of each input y or n."""
    entries = [L.Input((8, 3)) for _ in masked]
    tensors = [Spec('Masking')(entry) if one == 'y' else entry for entry, one in zip(entries, masked)]
    reader = reader or Spec('LSTM', 3, return_sequences=True)
    return model_of(entries, [reader(merge(*tensors))])


@family
def conv_lstm2d(to):
    frames = Frames(3, Image(5, 4))
    for padding in ('valid', 'same'):
        to.line(padding, frames, Spec('ConvLSTM2D', 2, (3, 2) if padding == 'valid' else 3, padding=padding),
                orderings=BOTH if padding == 'same' else TH)
        to.line(padding + '-sequences', frames, Spec('ConvLSTM2D', 2, (2, 3) if padding == 'valid' else (3, 2),
                                                     padding=padding, return_sequences=True), orderings=TH)
    to.line('strides', frames, Spec('ConvLSTM2D', 2, 3, padding='same', strides=2), orderings=TH)
    to.line('backwards', frames, Spec('ConvLSTM2D', 2, 2, padding='same', go_backwards=True, return_sequences=True),
            orderings=TH)
    to.line('activation', frames, Spec('ConvLSTM2D', 2, 2, padding='same', activation='relu',
                                       recurrent_activation='sigmoid'), orderings=TH)
    to.line('other-ordering', Frames(3, Image(5, 4, given=other)),
            Spec('ConvLSTM2D', 2, 3, padding='same', ordering=other))
    to.line('network', frames, Spec('ConvLSTM2D', 2, 3, padding='same', return_sequences=True),
            Spec('BatchNormalization'), Spec('ConvLSTM2D', 2, 2), Spec('Flatten'), Spec('Dense', 2))
    if KERAS_2:
        to.line('no-bias', frames, Spec('ConvLSTM2D', 2, 3, padding='same', use_bias=False), orderings=TH)
        to.line('dilation', frames, Spec('ConvLSTM2D', 2, 2, dilation_rate=2), orderings=TH)


@family
def sequences(to):
    """Networks as people wrote them."""
    to.line('letters', (14, 6), Spec('LSTM', 8, return_sequences=True), Spec('Dropout', 0.2), Spec('LSTM', 7),
            Spec('Dropout', 0.2), Spec('Dense', 6), Spec('Activation', 'softmax'), orderings=TH, inputs=letters)
    to.line('sentiment', None, Spec('Embedding', 7, 5, input_length=15),
            Spec('LSTM', 6, dropout=0.2, recurrent_dropout=0.2), Spec('Dense', 1, activation='sigmoid'), orderings=TH,
            inputs=words)
    to.line('sentiment-masked', None, Spec('Embedding', 7, 5, input_length=15, mask_zero=True), Spec('LSTM', 6),
            Spec('Dense', 1, activation='sigmoid'), orderings=TH, inputs=sentences)
    to.add('sentiment-both-ways', both_ways, orderings=TH, inputs=sentences)
    to.line('tagger', None, Spec('Embedding', 7, 5, input_length=12, mask_zero=True),
            Spec('Bidirectional', inner=Spec('LSTM', 5, return_sequences=True)), Spec('Dropout', 0.5),
            Spec('Bidirectional', inner=Spec('LSTM', 4, return_sequences=True)),
            Spec('TimeDistributed', inner=Spec('Dense', 4, activation='softmax')), orderings=TH, inputs=sentences)
    to.line('tagger-convolution', (16, 4), Spec('Conv1D', 6, 5, padding='same', activation='relu'),
            Spec('MaxPooling1D', 2), Spec('GRU', 5, return_sequences=True),
            Spec('TimeDistributed', inner=Spec('Dense', 3, activation='softmax')), orderings=TH)
    to.line('addition', (7, 6), Spec('LSTM', 8), Spec('RepeatVector', 4), Spec('LSTM', 7, return_sequences=True),
            Spec('TimeDistributed', inner=Spec('Dense', 6)), Spec('Activation', 'softmax'), orderings=TH,
            inputs=letters)
    to.add('questions', questions, orderings=TH, inputs=words)
    frame = Image(7, 6, 1)
    to.line('video', Frames(5, frame), Spec('TimeDistributed', inner=lambda: sequential(
        frame, Spec('Conv2D', 3, 3, activation='relu'), Spec('MaxPooling2D', (2, 2)), Spec('Flatten'),
        Spec('Dense', 5, activation='tanh'))), Spec('LSTM', 6), Spec('Dense', 3, activation='softmax'))
    to.line('music', Image(8, 10, 1), Spec('Conv2D', 4, 3, padding='same'),
            Spec('BatchNormalization', axis=Later(channel_axis)), Spec('ELU'), Spec('MaxPooling2D', (4, 1)),
            Spec('Dropout', 0.1), Spec('Permute', Later(lambda: (3, 1, 2) if ordering() == 'th' else (2, 1, 3))),
            Spec('Reshape', Later(lambda: (10, 8))), Spec('GRU', 6, return_sequences=True), Spec('GRU', 5),
            Spec('Dense', 4, activation='sigmoid'))
    to.line('next-frame', Frames(4, Image(5, 4, 1, given='tf')),
            Spec('ConvLSTM2D', 3, 3, padding='same', return_sequences=True, ordering='tf'), Spec('BatchNormalization'),
            Spec('ConvLSTM2D', 2, 3, padding='same', return_sequences=True, ordering='tf'), Spec('BatchNormalization'),
            Spec('Conv3D', 1, 3, padding='same', activation='sigmoid', ordering='tf'), orderings=TH)
    to.add('u-net-3d', u_net_3d)
    if KERAS_2:
        to.line('sentiment-convolution', None, Spec('Embedding', 7, 5, input_length=16), Spec('Dropout', 0.25),
                Spec('Conv1D', 6, 3, activation='relu'), Spec('MaxPooling1D', 2), Spec('LSTM', 5), Spec('Dense', 1),
                Spec('Activation', 'sigmoid'), orderings=TH, inputs=words)
        to.line('averaged-words', None, Spec('Embedding', 7, 5, input_length=12), Spec('GlobalAveragePooling1D'),
                Spec('Dense', 1, activation='sigmoid'), orderings=TH, inputs=words)
        to.line('documents', (4, 6), Spec('TimeDistributed', inner=sentence_network),
                Spec('Bidirectional', inner=Spec('GRU', 4)), Spec('Dense', 3, activation='softmax'), orderings=TH,
                inputs=sentences)
        to.add('forecast', forecast, orderings=TH)
        to.add('translation', translation, orderings=TH, inputs=letters)


def both_ways():
    """As before there was a Bidirectional."""
    entry = L.Input((15,))
    embedded = Spec('Embedding', 7, 5, mask_zero=True)(entry)
    sides = [Spec('LSTM', 5)(embedded), Spec('LSTM', 5, go_backwards=True)(embedded)]
    both = Spec('Dropout', 0.5)(Spec('Concatenate', 1)(*sides))
    return model_of([entry], [Spec('Dense', 1, activation='sigmoid')(both)])


def questions():
    """A story and a question of it, as in the tasks of bAbI."""
    story, question = L.Input((12,), name='story'), L.Input((4,), name='question')
    told = Spec('Dropout', 0.3)(Spec('Embedding', 7, 5, input_length=12)(story))
    asked = Spec('Dropout', 0.3)(Spec('Embedding', 7, 5, input_length=4)(question))
    asked = Spec('RepeatVector', 12)(Spec('LSTM', 5)(asked))
    both = Spec('LSTM', 6)(Spec('Add')(told, asked))
    return model_of([story, question], [Spec('Dense', 7, activation='softmax')(both)])


def sentence_network():
    return sequential(None, Spec('Embedding', 7, 4, input_length=6, mask_zero=True), Spec('GRU', 5))


def forecast():
    model = Sequential()
    model.add(Spec('LSTM', 6, stateful=True, return_sequences=True).make(batch_input_shape=(2, 12, 2)))
    model.add(Spec('LSTM', 5, stateful=True).make())
    model.add(Spec('Dense', 1).make())
    return model


def u_net_3d():
    axis = channel_axis()
    entry = L.Input(shape_of(Volume(4, 6, 2, 1)))
    one = Spec('Conv3D', 2, 3, padding='same', activation='relu')(entry)
    low = Spec('Conv3D', 3, (3, 2, 1), padding='same', activation='relu')(Spec('MaxPooling3D', (2, 2, 1))(one))
    up = Spec('Concatenate', axis)(Spec('UpSampling3D', (2, 2, 1))(low), one)
    up = Spec('Conv3D', 2, 2, padding='same', activation='relu')(up)
    return model_of([entry], [Spec('Conv3D', 1, 1, activation='sigmoid')(up)])


def translation():
    """One sequence read, another written from the states that this left: as the network is trained."""
    read, written = L.Input((9, 6)), L.Input((7, 5))
    states = Spec('LSTM', 6, return_state=True)(read)[1:]
    decoder = Spec('LSTM', 6, return_sequences=True, return_state=True).make()
    told = decoder(written, initial_state=states)[0]
    return model_of([read, written], [Spec('Dense', 5, activation='softmax')(told)])


@family
def volumes(to):
    """Everything in three dimensions."""
    for padding in ('valid', 'same'):
        for kernel, strides in ((2, 1), ((3, 2, 1), 1), (3, 2), ((1, 2, 3), (2, 1, 2))):
            to.line('conv-%s-%s-by-%s' % (padding, text(kernel), text(strides)), Volume(5, 4, 3),
                    Spec('Conv3D', 2, kernel, padding=padding, strides=strides),
                    orderings=BOTH if kernel == (3, 2, 1) else TH)
        for kind in ('MaxPooling3D', 'AveragePooling3D'):
            # 'same' pads an axis of size 1 by -1 on Theano: what comes out is not a number, or a neighbour
            for size, strides in ((2, 2), ((3, 2, 1) if padding == 'valid' else (3, 4, 2), (1, 2, 1)), (3, 2)):
                to.line('%s-%s-%s-by-%s' % (kind[:3].lower(), padding, text(size), text(strides)), Volume(5, 4, 3),
                        Spec(kind, spread(size, 3), strides=spread(strides, 3), padding=padding),
                        orderings=BOTH if size == (3, 2, 1) else TH)
    to.line('conv-no-bias', Volume(4, 3, 3), Spec('Conv3D', 2, 2, use_bias=False, activation='relu'), orderings=TH)
    to.line('conv-other-ordering', Volume(4, 3, 3, given=other), Spec('Conv3D', 2, (2, 1, 3), ordering=other))
    to.line('padding', Volume(2, 3, 2), Spec('ZeroPadding3D', (1, 0, 2)))
    to.line('cropping', Volume(4, 5, 3), Spec('Cropping3D', ((1, 0), (1, 2), (0, 1))))
    to.line('upsampling', Volume(2, 3, 2), Spec('UpSampling3D', (2, 1, 3)))
    for kind in ('GlobalMaxPooling3D', 'GlobalAveragePooling3D'):
        to.line(kind.lower(), Volume(2, 3, 4), Spec(kind))
    to.line('dropout', Volume(3, 2, 2), Spec('SpatialDropout3D', 0.3), Spec('Flatten'), Spec('Dense', 2))
    to.line('network', Volume(5, 6, 4), Spec('Conv3D', 3, 2, activation='relu'), Spec('MaxPooling3D', (2, 2, 1)),
            Spec('BatchNormalization', axis=1), Spec('ZeroPadding3D', (0, 1, 0)), Spec('Flatten'), Spec('Dense', 2))
    if KERAS_2:
        to.line('conv-dilation', Volume(5, 5, 4), Spec('Conv3D', 2, 2, dilation_rate=2), orderings=TH)
        to.line('padding-uneven', Volume(2, 3, 2), Spec('ZeroPadding3D', ((1, 0), (0, 2), (2, 1))))
        for padding in ('valid', 'same'):
            to.line('transpose-' + padding, Volume(2, 3, 2), Spec('Conv3DTranspose', 2, (3, 1, 3), padding=padding),
                    orderings=BOTH if padding == 'valid' else TH)
            to.line('transpose-%s-strides' % padding, Volume(2, 3, 2),
                    Spec('Conv3DTranspose', 2, 3, padding=padding, strides=(1, 2, 2)), orderings=TH)


def filling(*sizes):
    """Inputs with these sizes, one after the other, where a shape leaves them open."""
    def inputs(seed, shape, number):
        return values(seed, shape)
    inputs.sizes = sizes
    return inputs


@family
def lengths(to):
    """Sizes that vary: sequences of any length, images of any height and width."""
    steps = (None, 3)
    for padding in ('valid', 'same') + (('causal',) if KERAS_2 else ('full',)):
        for kernel, strides in ((2, 1), (3, 1), (2, 2), (3, 2), (4, 2), (4, 3)):
            settings = {'strides': strides} if strides > 1 else {}
            for length in (7, 8) if strides == 2 and padding == 'same' else (7,):
                to.line('conv-%s-%d-by-%d-of-%d' % (padding, kernel, strides, length), steps,
                        Spec('Conv1D', 4, kernel, padding=padding, **settings), orderings=TH, inputs=filling(length))
        if padding != 'full':
            to.line('conv-%s-dilation' % padding, steps, Spec('Conv1D', 4, 2, padding=padding, dilation_rate=3),
                    orderings=TH, inputs=filling(8))
    for kind in ('MaxPooling1D', 'AveragePooling1D'):
        short = kind[:3].lower()
        for padding in ('valid', 'same'):
            for size, strides in ((2, 2), (2, 1), (3, 1), (3, 2), (5, 3)):
                for length in (7, 8) if padding == 'same' and size > 2 else (8,):
                    to.line('%s-%s-%d-by-%d-of-%d' % (short, padding, size, strides, length), steps,
                            Spec(kind, size, padding=padding, strides=strides), orderings=TH, inputs=filling(length))
    for kind in ('GlobalMaxPooling1D', 'GlobalAveragePooling1D'):
        to.line(kind.lower(), steps, Spec('Conv1D', 4, 2), Spec(kind), Spec('Dense', 2), orderings=TH,
                inputs=filling(7))
    to.line('padding', steps, Spec('ZeroPadding1D', 2), orderings=TH, inputs=filling(4))
    to.line('upsampling', steps, Spec('UpSampling1D', 2), orderings=TH, inputs=filling(4))
    for cropping in ((1, 2), (0, 2), (2, 0)):
        to.line('cropping-%s' % text(cropping), steps, Spec('Cropping1D', cropping), orderings=TH, inputs=filling(6))
    to.line('normalization', steps, Spec('BatchNormalization'), Spec('Activation', 'softmax'), orderings=TH,
            inputs=filling(4))
    to.line('prelu-shared', steps, Spec('Conv1D', 4, 2), Spec('PReLU', shared_axes=[1]), orderings=TH,
            inputs=filling(4))
    to.line('permute', steps, Spec('Permute', (2, 1)), orderings=TH, inputs=filling(4))
    to.line('reshape', (None, 6), Spec('Reshape', (-1, 2)), Spec('Conv1D', 4, 2), orderings=TH, inputs=filling(4))
    if KERAS_2:
        to.line('dense', steps, Spec('Dense', 4, activation='tanh'), Spec('Dense', 2), orderings=TH, inputs=filling(4))
        to.line('separable', steps, Spec('SeparableConv1D', 4, 3), orderings=TH, inputs=filling(6))
    for kind in ('Add', 'Maximum'):
        to.add(kind.lower(), lambda kind=kind: joined([steps] * 2, Spec(kind)), orderings=TH, inputs=filling(4, 4))
    to.add('concat-features', lambda: joined([steps, (None, 2)], Spec('Concatenate', 2)), orderings=TH,
           inputs=filling(4, 4))
    to.add('concat-steps', lambda: joined([steps] * 2, Spec('Concatenate', 1)), orderings=TH, inputs=filling(4, 6))
    to.add('attention', attention, orderings=TH, inputs=filling(6, 4))
    for length in (9, 14):
        to.add('text-of-%d' % length, gated_text, orderings=TH, inputs=filling(length))
    image = Image(None, None)
    for rows, columns in ((7, 8), (10, 5)):
        suffix = '-of-%dx%d' % (rows, columns)
        to.line('classifier' + suffix, image, Spec('Conv2D', 3, 3, strides=2, padding='same', activation='relu'),
                Spec('BatchNormalization', axis=1 if ordering() == 'th' else 3),
                Spec('MaxPooling2D', (3, 3), strides=(2, 2), padding='same'), Spec('Conv2D', 4, 2),
                Spec('GlobalAveragePooling2D'), Spec('Dense', 3), functional=True, inputs=filling(rows, columns))
        to.line('pixels' + suffix, image, Spec('Conv2D', 4, (3, 2), padding='same'), Spec('Reshape', (-1, 2)),
                functional=True, inputs=filling(rows, columns))
    for rows, columns in ((8, 12), (12, 4)):
        to.add('u-net-of-%dx%d' % (rows, columns), u_net_of_any_size, inputs=filling(rows, columns))
    to.line('one-side', Image(None, 5), Spec('Conv2D', 3, 2), Spec('AveragePooling2D', (2, 2)), inputs=filling(6))
    to.line('cropping2d', image, Spec('Cropping2D', ((1, 2), (0, 1))), Spec('Conv2D', 3, 2), inputs=filling(6, 4))
    to.line('volume', Volume(None, None, None), Spec('Conv3D', 3, 2), Spec('MaxPooling3D', (1, 2, 2)),
            Spec('GlobalMaxPooling3D'), orderings=TH, inputs=filling(3, 5, 4))
    if KERAS_2:  # the other ordering, which Keras 1 does not write for ZeroPadding2D
        to.line('other-ordering', Image(None, None, given=other),
                Spec('ZeroPadding2D', ((1, 2), (0, 3)), ordering=other), Spec('Conv2D', 3, (2, 3), ordering=other),
                Spec('MaxPooling2D', (2, 1), ordering=other), inputs=filling(5, 4))
        for padding in ('valid', 'same'):
            to.line('deconvolution-' + padding, image, Spec('Conv2DTranspose', 3, (3, 1), strides=2, padding=padding),
                    orderings=TH, inputs=filling(3, 4))
    to.add('shared', two_of_any_length, orderings=TH, inputs=filling(7, 5))
    to.line('flatten', steps, Spec('Flatten'), orderings=TH, inputs=filling(4))
    to.line('prelu', steps, Spec('PReLU'), orderings=TH, inputs=filling(4))


def attention():
    """Every step of one sequence looks at all steps of another."""
    query, keys = L.Input((None, 3)), L.Input((None, 3))
    scores = Spec('Activation', 'softmax')(Spec('Dot', pair(2, 2))(query, keys))
    return model_of([query, keys], [Spec('Dot', pair(2, 1))(scores, keys)])


def gated_text():
    """Convolutions of growing reach, summed, with gates."""
    entry = L.Input((None, 3))
    way = Spec('Conv1D', 4, 1)(entry)
    for rate in (1, 2):
        value = Spec('Conv1D', 4, 3, padding='same', dilation_rate=rate, activation='tanh')(way)
        gate = Spec('Conv1D', 4, 3, padding='same', dilation_rate=rate, activation='sigmoid')(way)
        way = Spec('Add')(way, Spec('Multiply')(value, gate))
    return model_of([entry], [Spec('Conv1D', 2, 1)(Spec('MaxPooling1D', 2)(way))])


def u_net_of_any_size():
    axis = channel_axis()
    entry = L.Input(shape_of(Image(None, None)))
    one = Spec('Conv2D', 3, 3, padding='same', activation='relu')(entry)
    two = Spec('Conv2D', 4, 3, padding='same', activation='relu')(Spec('MaxPooling2D', (2, 2))(one))
    low = Spec('Conv2D', 4, 2, padding='same')(Spec('MaxPooling2D', (2, 2))(two))
    up = Spec('Concatenate', axis)(Spec('UpSampling2D', (2, 2))(low), two)
    up = Spec('Concatenate', axis)(Spec('UpSampling2D', (2, 2))(up), one)
    return model_of([entry], [Spec('Conv2D', 2, 1, activation='sigmoid')(up)])


def two_of_any_length():
    """One network looks at two sequences, each of its own length."""
    shared = sequential((None, 3), Spec('Conv1D', 4, 2, activation='relu'), Spec('GlobalMaxPooling1D'))
    first, second = L.Input((None, 3)), L.Input((None, 3))
    return model_of([first, second], [Spec('Dense', 2)(Spec('Concatenate', 1)(shared(first), shared(second)))])


@family
def locally_connected(to):
    for name, more in (('plain', {}), ('strides', {'strides': 2}), ('no-bias', {'use_bias': False}),
                       ('relu', {'activation': 'relu'})):
        # Keras 2 adds the bias along the wrong axis in a session of th, and mostly fails
        to.line('1d-' + name, (6, 2), Spec('LocallyConnected1D', 3, 2, **more), orderings=TF if KERAS_2 else TH)
        to.line('2d-' + name, Image(5, 4), Spec('LocallyConnected2D', 3, (3, 2), **more),
                orderings=BOTH if name == 'plain' else TH)
    to.line('1d-as-many-filters-as-steps', (4, 2), Spec('LocallyConnected1D', 3, 2))
    to.line('2d-other-ordering', Image(5, 4, given=other), Spec('LocallyConnected2D', 3, (2, 3), ordering=other))
    to.line('2d-network', Image(5, 4), Spec('LocallyConnected2D', 2, 2), Spec('Flatten'), Spec('Dense', 2))


class Scale(L.Layer if hasattr(L, 'Layer') else object):
    """A layer of one's own, as many networks carried one: gamma * x + beta along one axis."""

    def __init__(self, axis=-1, **settings):
        self.axis = axis
        super(Scale, self).__init__(**settings)

    def build(self, input_shape):
        size = (input_shape[self.axis],)
        if KERAS_2:
            self.gamma = self.add_weight(name='gamma', shape=size, initializer='ones')
            self.beta = self.add_weight(name='beta', shape=size, initializer='zeros')
        else:
            self.gamma = self.add_weight(size, 'one', name=self.name + '_gamma')
            self.beta = self.add_weight(size, 'zero', name=self.name + '_beta')
        super(Scale, self).build(input_shape)

    def call(self, x, mask=None):
        shape = [1] * K.ndim(x)
        shape[self.axis] = -1
        return K.reshape(self.gamma, shape) * x + K.reshape(self.beta, shape)

    def get_config(self):
        return dict(super(Scale, self).get_config(), axis=self.axis)


@family
def custom(to):
    """Layers that are none of Keras' own."""
    class Own(Spec):
        def make(self, **more):
            return Scale(**dict(self.settings, **more))

    to.line('scale-image', Image(4, 3), Spec('Conv2D', 3, 2), Own('Scale', axis=channel_axis()), Spec('Flatten'),
            Spec('Dense', 2), orderings=TH)
    to.line('scale-rows', Image(4, 3), Own('Scale', axis=2), Spec('Conv2D', 3, 2), orderings=TH)
    to.line('scale-vector', (5,), Own('Scale'), Spec('Dense', 3, activation='tanh'), Own('Scale', name='last'),
            orderings=TH)


@family
def lambdas(to):
    """Their configuration holds marshalled code of the Python that wrote it."""
    for name, code in (('scale', 'lambda x: x / 127.5 - 1'), ('double', 'lambda x: x * 2.'),
                       ('shift', 'lambda x: (x - 0.5) * 2')):
        to.line(name, Image(3, 4), Spec('Lambda', Later(lambda code=code: compiled(code))), Spec('Conv2D', 2, 2),
                orderings=TH)
    if not KERAS_2:
        to.add('merge', lambda: joined([(3,), (3,)], Spec('Merge', Later(lambda: compiled('lambda x: x[0] - x[1]')),
                                                          output_shape=(3,))), orderings=TH)


def compiled(code):
    return eval(compile(code, 'lambda', 'eval'))  # so that no path of this machine is in it
