"""Record what genuine Keras 0.3 computes with tiny networks, one for every kind of layer. Python 2.7; run by
./record_layers.

Keras 0.3 has an API of its own (Sequential.add, Graph.add_node), so that its cases stand here and not in layers.py. One
process for a floatX: float32 saves every network, reads the file back, and writes what stood in it, inputs and outputs
to ``fixtures/layers/STACK/FAMILY.npz``, with the keys that record_layers.py has; float64 adds its outputs for the same
weights and inputs.
"""
from __future__ import print_function

import argparse
import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
import zlib

import h5py
import numpy as np
import pkg_resources
import theano
from keras import backend as K
from keras.layers import containers
from keras.layers.advanced_activations import (
    ELU, LeakyReLU, ParametricSoftplus, PReLU, SReLU, ThresholdedLinear, ThresholdedReLU)
from keras.layers.convolutional import (
    AveragePooling1D, AveragePooling2D, AveragePooling3D, Convolution1D, Convolution2D, Convolution3D, MaxPooling1D,
    MaxPooling2D, MaxPooling3D, UpSampling1D, UpSampling2D, UpSampling3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D)
from keras.layers.core import (
    Activation, ActivityRegularization, AutoEncoder, Dense, Dropout, Flatten, Highway, Masking, MaxoutDense, Merge,
    Permute, RepeatVector, Reshape, TimeDistributedDense, TimeDistributedMerge)
from keras.layers.embeddings import Embedding
from keras.layers.noise import GaussianDropout, GaussianNoise
from keras.layers.normalization import BatchNormalization
from keras.layers.recurrent import GRU, LSTM, SimpleRNN
from keras.layers.wrappers import TimeDistributed
from keras.models import Graph, Sequential

from arrays import as_array, as_json, read, write

BATCH = 2
ACTIVATIONS = ('linear', 'relu', 'tanh', 'sigmoid', 'hard_sigmoid', 'softplus', 'softmax')

FAMILIES = []  # functions that take add(); the name of one is the name of its file


def family(function):
    FAMILIES.append(function)
    return function


# What genuine Keras refuses: family/case: reason. The recorder complains of anything else.
REFUSED = {
    'pooling1d/max-same-3-by-2': 'pads the axis that it adds, of size 1, by -1',
    'pooling1d/ave-same-3-by-2': 'pads the axis that it adds, of size 1, by -1',
}

KEPT = ('normalization/vector', 'graphs/line')  # of which the files stay as Keras wrote them


# ---------------------------------------------------------------------------------------------------------------------
# Cases: add(name, function that returns a model, *shapes of its inputs)


def line(*layers):
    model = Sequential()
    for layer in layers:
        model.add(layer)
    return model


def part(*layers):
    return containers.Sequential(layers)


@family
def dense(add):
    add('plain', lambda: line(Dense(3, input_dim=4)), (4,))
    add('shape', lambda: line(Dense(3, input_shape=(4,), activation='tanh'), Dense(2)), (4,))
    add('batch', lambda: line(Dense(3, batch_input_shape=(2, 4))), (4,))
    for name in ACTIVATIONS:
        add(name, lambda name=name: line(Dense(3, input_dim=4, activation=name)), (4,))
    add('settings', lambda: line(
        Dense(3, input_dim=4, init='he_normal', W_regularizer='l2', b_regularizer='l1', activity_regularizer='l2',
              W_constraint='maxnorm', b_constraint='nonneg', name='custom', trainable=False), Dense(2)), (4,))
    add('time-distributed', lambda: line(TimeDistributedDense(3, input_shape=(5, 4), activation='tanh')), (5, 4))
    add('time-distributed-softmax', lambda: line(
        TimeDistributedDense(3, input_dim=4, input_length=5, activation='softmax')), (5, 4))
    add('maxout', lambda: line(MaxoutDense(3, nb_feature=2, input_dim=4), MaxoutDense(2)), (4,))
    add('highway', lambda: line(Highway(input_dim=4), Highway(activation='relu'), Dense(2)), (4,))
    add('highway-sigmoid', lambda: line(Highway(input_dim=3, activation='sigmoid', transform_bias=-1)), (3,))


@family
def activation(add):
    for name in ACTIVATIONS:
        add(name, lambda name=name: line(Activation(name, input_shape=(4,))), (4,))
        add(name + '-sequence', lambda name=name: line(Activation(name, input_shape=(5, 3))), (5, 3))
        if name != 'softmax':
            add(name + '-image', lambda name=name: line(Activation(name, input_shape=(2, 4, 3))), (2, 4, 3))
    add('only-training', lambda: line(
        Dropout(0.5, input_shape=(4,)), GaussianNoise(0.3), GaussianDropout(0.4), ActivityRegularization(l1=0.1),
        Dense(3), Dropout(0.25)), (4,))


@family
def advanced_activations(add):
    for shape, suffix in (((4,), ''), ((5, 3), '-sequence'), ((2, 4, 3), '-image')):
        def one(name, maker):
            add(name + suffix, lambda shape=shape: line(maker(input_shape=shape)), shape)
        one('leaky', lambda **more: LeakyReLU(alpha=0.2, **more))
        one('prelu', lambda **more: PReLU(**more))
        one('elu', lambda **more: ELU(alpha=0.7, **more))
        one('softplus', lambda **more: ParametricSoftplus(**more))
        one('thresholded', lambda **more: ThresholdedReLU(theta=0.75, **more))
        one('thresholded-linear', lambda **more: ThresholdedLinear(theta=0.75, **more))
        # SReLU saves no input_shape
        add('srelu' + suffix, lambda shape=shape: line(Activation('linear', input_shape=shape), SReLU()), shape)
    add('prelu-conv', lambda: line(Convolution2D(2, 2, 3, input_shape=(3, 5, 6)), PReLU(), Flatten(), Dense(2)),
        (3, 5, 6))


@family
def reshaping(add):
    add('flatten', lambda: line(Flatten(input_shape=(2, 4, 3))), (2, 4, 3))
    add('flatten-dense', lambda: line(Flatten(input_shape=(2, 4, 3)), Dense(3)), (2, 4, 3))
    add('flatten-sequence', lambda: line(Flatten(input_shape=(5, 3)), Dense(2)), (5, 3))
    add('reshape', lambda: line(Reshape((3, 8), input_shape=(2, 4, 3))), (2, 4, 3))
    add('reshape-inferred', lambda: line(Dense(12, input_dim=5), Reshape((2, -1, 3)), Convolution2D(2, 2, 2)), (5,))
    add('permute', lambda: line(Permute((2, 1), input_shape=(5, 3))), (5, 3))
    add('permute-image', lambda: line(Permute((3, 1, 2), input_shape=(2, 4, 3)), Convolution2D(2, 2, 2)), (2, 4, 3))
    add('repeat', lambda: line(RepeatVector(3, input_shape=(4,)), TimeDistributedDense(2)), (4,))
    for mode in ('sum', 'ave', 'mul'):
        add('time-' + mode, lambda mode=mode: line(TimeDistributedMerge(mode, input_shape=(5, 3))), (5, 3))


@family
def convolution1d(add):
    for mode in ('valid', 'same'):
        for length in (1, 2, 3, 4):
            for stride in (1, 2):
                if length >= stride or mode == 'valid':
                    add('%s-%d-by-%d' % (mode, length, stride),
                        lambda mode=mode, length=length, stride=stride: line(Convolution1D(
                            3, length, border_mode=mode, subsample_length=stride, input_shape=(7, 2))), (7, 2))
    add('text', lambda: line(
        Convolution1D(4, 3, activation='relu', input_dim=3, input_length=8), MaxPooling1D(2), Flatten(), Dense(2)),
        (8, 3))
    add('as-many', lambda: line(Convolution1D(2, 2, input_shape=(5, 2))), (5, 2))


@family
def convolution2d(add):
    for mode in ('valid', 'same'):
        for rows, cols in ((1, 1), (2, 2), (3, 3), (3, 2), (4, 5)):
            for strides in ((1, 1), (2, 2), (2, 1)):
                if strides == (2, 1) and (rows, cols) != (3, 2) or min(rows, cols) < max(strides):
                    continue
                add('%s-%dx%d-by-%dx%d' % ((mode, rows, cols) + strides),
                    lambda mode=mode, rows=rows, cols=cols, strides=strides: line(Convolution2D(
                        2, rows, cols, border_mode=mode, subsample=strides, input_shape=(3, 6, 5))), (3, 6, 5))
        add(mode + '-3x2-tf', lambda mode=mode: line(Convolution2D(
            2, 3, 2, border_mode=mode, dim_ordering='tf', input_shape=(6, 5, 3), activation='tanh')), (6, 5, 3))
    add('square', lambda: line(Convolution2D(3, 3, 3, input_shape=(3, 3, 3))), (3, 3, 3))
    add('pooled-tf', lambda: line(
        Convolution2D(4, 2, 3, dim_ordering='tf', input_shape=(6, 7, 2), activation='relu'),
        MaxPooling2D((2, 2), dim_ordering='tf'), Flatten(), Dense(3)), (6, 7, 2))


@family
def volumes(add):
    for mode in ('valid', 'same'):
        add('conv-' + mode, lambda mode=mode: line(Convolution3D(
            2, 3, 2, 1, border_mode=mode, input_shape=(2, 5, 4, 3))), (2, 5, 4, 3))
    add('conv-by-2x1x2', lambda: line(Convolution3D(2, 2, 2, 2, subsample=(2, 1, 2), input_shape=(2, 5, 4, 4))),
        (2, 5, 4, 4))
    add('conv-tf', lambda: line(Convolution3D(2, 3, 2, 1, dim_ordering='tf', input_shape=(5, 4, 3, 2))), (5, 4, 3, 2))
    for kind in (MaxPooling3D, AveragePooling3D):
        add(kind.__name__[:3].lower(), lambda kind=kind: line(kind((2, 1, 3), input_shape=(2, 5, 4, 7))), (2, 5, 4, 7))
    add('padding', lambda: line(ZeroPadding3D((1, 0, 2), input_shape=(2, 3, 2, 2)), Convolution3D(2, 2, 2, 2)),
        (2, 3, 2, 2))
    add('upsampling', lambda: line(UpSampling3D((2, 1, 3), input_shape=(2, 3, 2, 2)), Convolution3D(2, 2, 2, 2)),
        (2, 3, 2, 2))


@family
def pooling1d(add):
    for kind in (MaxPooling1D, AveragePooling1D):
        for mode, length, stride in (('valid', 2, None), ('valid', 3, 2), ('valid', 2, 3), ('same', 3, 2)):
            name = '%s-%s-%d-by-%s' % (kind.__name__[:3].lower(), mode, length, stride)
            add(name, lambda kind=kind, mode=mode, length=length, stride=stride: line(kind(
                length, stride=stride, border_mode=mode, input_shape=(7, 3))), (7, 3))


@family
def pooling2d(add):
    for kind in (MaxPooling2D, AveragePooling2D):
        short = kind.__name__[:3].lower()
        for mode, size, strides in (
                ('valid', (2, 2), None), ('valid', (3, 2), (2, 1)), ('valid', (2, 3), (3, 3)), ('same', (2, 2), None),
                ('same', (3, 3), (2, 2)), ('same', (3, 3), (1, 1)), ('same', (4, 5), (2, 1)), ('same', (5, 2), (1, 1))):
            name = '%s-%s-%dx%d-by-%s' % ((short, mode) + size + ('x'.join(map(str, strides or ())) or 'None',))
            add(name, lambda kind=kind, mode=mode, size=size, strides=strides: line(kind(
                size, strides=strides, border_mode=mode, input_shape=(2, 6, 7))), (2, 6, 7))
        add(short + '-valid-2x3-tf', lambda kind=kind: line(kind(
            (2, 3), dim_ordering='tf', input_shape=(6, 7, 2))), (6, 7, 2))
        add(short + '-same-3x2-tf', lambda kind=kind: line(kind(
            (3, 2), border_mode='same', dim_ordering='tf', input_shape=(6, 7, 2))), (6, 7, 2))
    add('max-same-1x3', lambda: line(MaxPooling2D((1, 3), border_mode='same', input_shape=(2, 6, 7))), (2, 6, 7))


@family
def shapes(add):
    add('padding1d', lambda: line(ZeroPadding1D(2, input_shape=(4, 3)), Convolution1D(2, 3)), (4, 3))
    add('padding2d', lambda: line(ZeroPadding2D((1, 2), input_shape=(3, 4, 2)), Convolution2D(2, 3, 2)), (3, 4, 2))
    add('padding2d-alone', lambda: line(ZeroPadding2D((2, 0), input_shape=(3, 4, 2))), (3, 4, 2))
    add('padding2d-tf', lambda: line(
        ZeroPadding2D((1, 2), dim_ordering='tf', input_shape=(4, 3, 2)), Convolution2D(2, 3, 2, dim_ordering='tf')),
        (4, 3, 2))
    add('upsampling1d', lambda: line(UpSampling1D(3, input_shape=(4, 2)), Convolution1D(2, 2)), (4, 2))
    add('upsampling2d', lambda: line(UpSampling2D((3, 2), input_shape=(2, 3, 4)), Convolution2D(3, 2, 3)), (2, 3, 4))
    add('upsampling2d-alone', lambda: line(UpSampling2D((1, 2), input_shape=(2, 3, 4))), (2, 3, 4))


@family
def normalization(add):
    add('vector', lambda: line(BatchNormalization(input_shape=(4,)), Dense(2)), (4,))
    for axis in (1, 2, 3, -1):
        add('image-axis-%d' % axis, lambda axis=axis: line(BatchNormalization(
            axis=axis, epsilon=0.1, input_shape=(3, 4, 5))), (3, 4, 5))
    add('epsilon', lambda: line(BatchNormalization(epsilon=0.1, input_shape=(4,))), (4,))
    add('sequence', lambda: line(BatchNormalization(epsilon=0.05, momentum=0.8, input_shape=(5, 3))), (5, 3))
    add('sequence-axis-1', lambda: line(BatchNormalization(axis=1, epsilon=0.05, input_shape=(5, 3))), (5, 3))
    add('mode-1', lambda: line(BatchNormalization(mode=1, epsilon=0.1, input_shape=(4,))), (4,))
    add('conv', lambda: line(
        Convolution2D(3, 2, 3, input_shape=(2, 5, 6)), BatchNormalization(axis=1, epsilon=0.01), Activation('relu'),
        MaxPooling2D((2, 2)), Flatten(), BatchNormalization(), Dense(2)), (2, 5, 6))


def tower(*layers):
    return line(*layers)


@family
def merge(add):
    for mode in ('sum', 'mul', 'ave', 'concat'):
        add(mode, lambda mode=mode: line(Merge(
            [tower(Dense(3, input_dim=4)), tower(Dense(3, input_dim=2, activation='tanh'))], mode=mode), Dense(2)),
            (4,), (2,))
    add('three', lambda: line(Merge(
        [tower(Dense(3, input_dim=n)) for n in (4, 2, 5)], mode='ave'), Dense(2)), (4,), (2,), (5,))
    add('of-layers', lambda: line(Merge([Dense(3, input_dim=4), Dense(2, input_dim=5)], mode='concat'), Dense(2)),
        (4,), (5,))
    add('images', lambda: line(Merge(
        [tower(Convolution2D(2, 2, 3, input_shape=(3, 5, 6))), tower(Convolution2D(3, 2, 3, input_shape=(2, 5, 6)))],
        mode='concat', concat_axis=1), Flatten(), Dense(2)), (3, 5, 6), (2, 5, 6))
    add('norms', lambda: line(Merge(
        [tower(Dense(3, input_dim=4), BatchNormalization(epsilon=0.1), Activation('relu')),
         tower(BatchNormalization(epsilon=0.2, input_shape=(3,)))], mode='sum'), BatchNormalization(), Dense(2)),
        (4,), (3,))
    add('nested', lambda: line(Merge(
        [line(Merge([tower(Dense(3, input_dim=4)), tower(Dense(3, input_dim=2))], mode='mul'), Dense(2)),
         tower(Dense(2, input_dim=3), Dropout(0.5))], mode='concat'), Dense(2)), (4,), (2,), (3,))
    add('dot', lambda: line(Merge(
        [tower(Dense(3, input_dim=4)), tower(Dense(3, input_dim=2))], mode='dot'), Dense(2)), (4,), (2,))
    add('dot-sequences', lambda: line(Merge(
        [tower(TimeDistributedDense(3, input_shape=(5, 4))), tower(TimeDistributedDense(3, input_shape=(4, 2)))],
        mode='dot', dot_axes=([2], [2]))), (5, 4), (4, 2))
    add('cos', lambda: line(Merge(
        [tower(Dense(3, input_dim=4)), tower(Dense(3, input_dim=2))], mode='cos', dot_axes=1), Dense(2)), (4,), (2,))


@family
def nested(add):
    add('sequential', lambda: line(
        part(Dense(4, input_dim=3), BatchNormalization(epsilon=0.1), Activation('relu')),
        part(Dense(3, input_dim=4), Dense(2, activation='tanh')), Dense(2)), (3,))
    add('autoencoder', lambda: line(AutoEncoder(
        encoder=part(Dense(4, input_dim=6), Dense(3, activation='tanh')),
        decoder=part(Dense(4, input_dim=3), BatchNormalization(epsilon=0.1), Dense(6)),
        output_reconstruction=True)), (6,))
    add('autoencoder-hidden', lambda: line(AutoEncoder(
        encoder=part(Dense(4, input_dim=6), Dense(3, activation='tanh')),
        decoder=part(Dense(4, input_dim=3), Dense(6)), output_reconstruction=False)), (6,))
    add('graph-in-sequential', lambda: line(Dense(4, input_dim=3), inner_graph(), Dense(2)), (3,))


def inner_graph():
    graph = containers.Graph()
    graph.add_input('in', (4,))
    graph.add_node(Dense(3, activation='relu'), 'a', input='in')
    graph.add_node(Dense(3, activation='tanh'), 'b', input='in')
    graph.add_node(BatchNormalization(epsilon=0.1), 'c', inputs=['b', 'a'], merge_mode='concat')
    graph.add_output('out', input='c')
    return graph


def graph(inputs, *steps):
    """inputs: (name, shape); steps: functions of the graph."""
    made = Graph()
    for name, shape in inputs:
        made.add_input(name, shape)
    for step in steps:
        step(made)
    return made


def node(layer, name, *sources, **more):
    if len(sources) == 1:
        return lambda g: g.add_node(layer, name=name, input=sources[0], **more)
    return lambda g: g.add_node(layer, name=name, inputs=list(sources), **more)


def output(name, *sources, **more):
    if len(sources) == 1:
        return lambda g: g.add_output(name=name, input=sources[0], **more)
    return lambda g: g.add_output(name=name, inputs=list(sources), **more)


@family
def graphs(add):
    add('line', lambda: graph(
        [('x', (4,))], node(Dense(3, activation='relu'), 'hidden', 'x'), node(Dense(2), 'last', 'hidden'),
        output('y', 'last')), (4,))
    for mode in ('sum', 'mul', 'ave', 'concat'):
        add('merged-' + mode, lambda mode=mode: graph(
            [('x', (4,))], node(Dense(3), 'a', 'x'), node(Dense(3, activation='tanh'), 'b', 'x'),
            node(Dense(2), 'c', 'a', 'b', merge_mode=mode), output('y', 'c')), (4,))
        add('output-' + mode, lambda mode=mode: graph(
            [('x', (4,)), ('z', (2,))], node(Dense(3), 'a', 'x'), node(Dense(3, activation='tanh'), 'b', 'z'),
            output('y', 'b', 'a', merge_mode=mode)), (4,), (2,))
    add('inputs-and-outputs', lambda: graph(
        [('second', (2,)), ('first', (4,))], node(Dense(3), 'z', 'first'), node(Dense(5), 'a', 'second'),
        node(BatchNormalization(epsilon=0.1), 'm', 'z', 'a', merge_mode='concat'),
        node(Dense(2, activation='softmax'), 'b', 'm', create_output=True), output('raw', 'm'),
        node(Dense(1, activation='sigmoid'), 'q', 'a', 'm', 'z', merge_mode='concat'), output('p', 'q')), (2,), (4,))
    add('dot', lambda: graph(
        [('x', (4,)), ('z', (2,))], node(Dense(3), 'a', 'x'), node(Dense(3), 'b', 'z'),
        node(Dense(2), 'c', 'a', 'b', merge_mode='dot', dot_axes=-1), output('y', 'c')), (4,), (2,))
    add('inception', lambda: graph(
        [('image', (2, 6, 5))],
        node(Convolution2D(3, 1, 1, activation='relu'), 'one', 'image'),
        node(Convolution2D(2, 3, 3, border_mode='same', activation='relu'), 'three', 'image'),
        node(MaxPooling2D((3, 3), strides=(1, 1), border_mode='same'), 'pool', 'image'),
        node(BatchNormalization(axis=1, epsilon=0.01), 'norm', 'one', 'three', 'pool', concat_axis=1),
        node(Flatten(), 'flat', 'norm'), node(Dense(3, activation='softmax'), 'dense', 'flat'),
        output('class', 'dense')), (2, 6, 5))
    add('sequential-as-node', lambda: graph(
        [('x', (4,))], node(Dense(3), 'zero', 'x'),
        node(part(Dense(3, input_dim=3), BatchNormalization(epsilon=0.1), Dense(2)), 'seq', 'zero'),
        node(Dense(2), 'after', 'x'), output('y', 'seq', 'after', merge_mode='sum')), (4,))
    add('unused-node', lambda: graph(
        [('x', (4,))], node(Dense(3), 'a', 'x'), node(Dense(5), 'unused', 'a'), node(Dense(2), 'b', 'a'),
        output('y', 'b')), (4,))
    add('two-outputs-of-one', lambda: graph(
        [('x', (4,))], node(Dense(3), 'a', 'x'), output('y', 'a'), output('z', 'a')), (4,))
    for mode in ('sum', 'mul', 'ave', 'concat'):
        add('shared-' + mode, lambda mode=mode: graph(
            [('x', (4,)), ('z', (4,))],
            lambda g: g.add_shared_node(Dense(3, activation='tanh'), name='shared', inputs=['x', 'z'], merge_mode=mode),
            node(Dense(2), 'last', 'shared'), output('y', 'last')), (4,), (4,))
    add('shared-outputs', lambda: graph(
        [('x', (4,)), ('z', (4,))], node(Dense(3), 'first', 'x'), node(Dense(3), 'second', 'z'),
        lambda g: g.add_shared_node(Dense(2, activation='tanh'), name='shared', inputs=['second', 'first'],
                                    outputs=['left', 'right']),
        node(Dense(2), 'l', 'left'), node(Dense(3), 'r', 'right'), output('y', 'l'), output('w', 'r')), (4,), (4,))
    add('shared-norm', lambda: graph(
        [('x', (4,)), ('z', (4,))],
        lambda g: g.add_shared_node(part(Dense(3, input_dim=4), BatchNormalization(epsilon=0.1)), name='shared',
                                    inputs=['x', 'z'], merge_mode='concat'),
        node(Dense(2), 'last', 'shared'), output('y', 'last')), (4,), (4,))


@family
def networks(add):
    """As people wrote them: mnist_cnn, cifar10_cnn and mnist_mlp of the examples of Keras 0.3, made small."""
    add('mnist-cnn', lambda: line(
        Convolution2D(4, 3, 3, border_mode='valid', input_shape=(1, 12, 12)), Activation('relu'),
        Convolution2D(4, 3, 3), Activation('relu'), MaxPooling2D(pool_size=(2, 2)), Dropout(0.25),
        Flatten(), Dense(8), Activation('relu'), Dropout(0.5), Dense(5), Activation('softmax')), (1, 12, 12))
    add('cifar10-cnn', lambda: line(
        Convolution2D(4, 3, 3, border_mode='same', input_shape=(3, 12, 12)), Activation('relu'),
        Convolution2D(4, 3, 3), Activation('relu'), MaxPooling2D(pool_size=(2, 2)), Dropout(0.25),
        Convolution2D(6, 3, 3, border_mode='same'), Activation('relu'), Convolution2D(6, 3, 3), Activation('relu'),
        MaxPooling2D(pool_size=(2, 2)), Dropout(0.25),
        Flatten(), Dense(8), Activation('relu'), Dropout(0.5), Dense(5), Activation('softmax')), (3, 12, 12))
    add('compiled', lambda: compiled(line(
        Dense(6, input_shape=(8,)), Activation('relu'), Dropout(0.2), Dense(6), Activation('relu'), Dropout(0.2),
        Dense(4), Activation('softmax'))), (8,))
    add('vgg', lambda: line(
        ZeroPadding2D((1, 1), input_shape=(3, 8, 8)), Convolution2D(4, 3, 3, activation='relu'),
        ZeroPadding2D((1, 1)), Convolution2D(4, 3, 3, activation='relu'), MaxPooling2D((2, 2), strides=(2, 2)),
        ZeroPadding2D((1, 1)), Convolution2D(6, 3, 3, activation='relu'), MaxPooling2D((2, 2), strides=(2, 2)),
        Flatten(), Dense(7, activation='relu'), Dropout(0.5), Dense(5, activation='softmax')), (3, 8, 8))


def compiled(model):
    model.compile(loss='categorical_crossentropy', optimizer='rmsprop')
    return model


@family
def recurrent(add):
    for kind in (SimpleRNN, GRU, LSTM):
        name = kind.__name__.lower()
        add(name + '-last', lambda kind=kind: line(kind(3, input_shape=(5, 2))), (5, 2))
        add(name + '-sequences', lambda kind=kind: line(kind(3, input_dim=2, input_length=5, return_sequences=True)),
            (5, 2))
        add(name + '-backwards', lambda kind=kind: line(
            kind(3, input_shape=(5, 2), return_sequences=True, go_backwards=True)), (5, 2))
        add(name + '-masked-backwards', lambda kind=kind: line(
            Masking(0., input_shape=(5, 2)), kind(3, return_sequences=True, go_backwards=True)), masked((5, 2)))
        add(name + '-of-one', lambda kind=kind: line(kind(1, input_shape=(1, 1), return_sequences=True)), (1, 1))
        for sequences in (False, True):
            add(name + '-masked' + '-sequences' * sequences, lambda kind=kind, sequences=sequences: line(
                Masking(0., input_shape=(5, 2)), kind(3, return_sequences=sequences)), masked((5, 2)))
    add('lstm-relu-sigmoid', lambda: line(LSTM(3, activation='relu', inner_activation='sigmoid', input_shape=(5, 2))),
        (5, 2))
    add('lstm-dropout', lambda: line(LSTM(3, dropout_W=0.3, dropout_U=0.2, input_shape=(5, 2)), Dense(2)), (5, 2))
    add('two', lambda: line(
        LSTM(3, return_sequences=True, input_shape=(5, 2)), Dropout(0.2), GRU(4), Dense(2)), (5, 2))
    add('any-length', lambda: line(GRU(3, input_dim=2, return_sequences=True), LSTM(2)), (5, 2))
    add('nested', lambda: line(
        part(LSTM(3, return_sequences=True, input_shape=(5, 2)), GRU(4)), Dense(2)), (5, 2))
    add('merged', lambda: line(Merge(
        [tower(Masking(0., input_shape=(5, 2)), LSTM(3)), tower(GRU(2, input_shape=(4, 3)))], mode='concat'),
        Dense(2)), masked((5, 2)), (4, 3))
    add('both-ways', lambda: graph(
        [('x', (5, 2))], node(LSTM(3), 'forward', 'x'), node(LSTM(3, go_backwards=True), 'backward', 'x'),
        node(Dense(2), 'last', 'forward', 'backward'), output('y', 'last')), (5, 2))
    add('time-distributed-conv', lambda: line(TimeDistributed(
        Convolution2D(2, 2, 3), input_shape=(3, 2, 4, 5))), (3, 2, 4, 5))
    add('time-distributed-dense', lambda: line(TimeDistributed(
        Dense(3, activation='tanh'), input_shape=(5, 2)), TimeDistributed(BatchNormalization(epsilon=0.1))), (5, 2))
    add('time-distributed-lstm', lambda: line(TimeDistributed(LSTM(3), input_shape=(3, 5, 2)), GRU(2)), (3, 5, 2))
    add('time-distributed-batch', lambda: line(TimeDistributed(
        Convolution1D(2, 2), batch_input_shape=(2, 3, 5, 2))), (3, 5, 2))


@family
def embedding(add):
    add('plain', lambda: line(Embedding(7, 3, input_length=4)), words(4, 7))
    add('flatten', lambda: line(Embedding(7, 3, input_length=4), Flatten(), Dense(2)), words(4, 7))
    add('dropout', lambda: line(Embedding(7, 3, input_length=4, dropout=0.25), Flatten(), Dense(2)), words(4, 7))
    for kind in (SimpleRNN, GRU, LSTM):
        add('masked-' + kind.__name__.lower(), lambda kind=kind: line(
            Embedding(7, 3, input_length=4, mask_zero=True), kind(3), Dense(2)), words(4, 7))
    add('any-length', lambda: line(Embedding(7, 3, mask_zero=True), LSTM(3), Dense(2)), words(4, 7))
    add('dropout-masked', lambda: line(
        Embedding(7, 3, input_length=4, mask_zero=True, dropout=0.5), Dropout(0.2), LSTM(3), Dense(2)), words(4, 7))
    add('merged', lambda: line(Merge(
        [tower(Embedding(7, 3, input_length=4, mask_zero=True), LSTM(3)),
         tower(Embedding(5, 2, input_length=3), GRU(3))], mode='sum'), Dense(2)), words(4, 7), words(3, 5))
    add('shared', lambda: graph_of_words(
        node(Embedding(7, 3, input_length=4), 'a', 'x'), node(Embedding(7, 3, input_length=4), 'b', 'z'),
        lambda g: g.add_shared_node(LSTM(3), name='shared', inputs=['a', 'b'], merge_mode='concat'),
        node(Dense(2), 'last', 'shared'), output('y', 'last')), words(4, 7), words(4, 7))


def graph_of_words(*steps):
    made = Graph()
    for name in ('x', 'z'):
        made.add_input(name, (4,), dtype='int')
    for step in steps:
        step(made)
    return made


@family
def masking(add):
    add('plain', lambda: line(Masking(0., input_shape=(5, 2))), masked((5, 2)))
    add('other-value', lambda: line(Masking(-1., input_shape=(5, 2)), GRU(3)), masked((5, 2), -1))
    add('activations', lambda: line(
        Masking(0., input_shape=(5, 2)), PReLU(), LeakyReLU(0.2), GRU(2, return_sequences=True), Activation('relu'),
        SimpleRNN(3)), masked((5, 2)))
    add('nested', lambda: line(
        Masking(0., input_shape=(5, 2)), part(GRU(3, return_sequences=True, input_shape=(5, 2)), LSTM(3)), Dense(2)),
        masked((5, 2)))
    add('dense', lambda: line(
        Masking(0., input_shape=(5, 2)), TimeDistributedDense(3), Activation('tanh'), Dropout(0.2),
        LSTM(2, return_sequences=True), TimeDistributedDense(2)), masked((5, 2)))


class words(object):
    """Numbers of words, 0 among them."""

    def __init__(self, length, count):
        self.shape, self.count = (length,), count

    def __call__(self, seed):
        found = (uniform(seed, (BATCH,) + self.shape, 0, self.count - 1, 1.0)).astype('int32')
        found[0, -1] = found[1, 0] = found[1, 1] = 0
        return found


class masked(object):
    """A sequence with steps that are a value, also the first."""

    def __init__(self, shape, value=0):
        self.shape, self.value = shape, value

    def __call__(self, seed):
        found = values(seed, (BATCH,) + self.shape)
        found[0, 1] = found[0, -1] = found[1, 0] = self.value
        return found


# ---------------------------------------------------------------------------------------------------------------------
# Numbers from a seed, as layers.py has them


def uniform(seed, shape, low, high, step):
    state = np.random.RandomState(zlib.crc32(seed.encode('ascii')) & 0xFFFFFFFF)
    return (np.rint((low + (high - low) * state.random_sample(shape)) * step) / step).astype('float32')


def values(seed, shape):
    """From -5 to 5, most of them small: beyond where activations saturate, and within."""
    drawn = uniform(seed, shape, -1, 1, 4096.0)
    return (np.rint(5 * drawn * np.abs(drawn) * 16) / 16).astype('float32')


def weight(variable, shape, seed):
    """Nothing symmetric or neutral: gammas of both signs, deviations off one, means off zero, biases not zero."""
    if 'running_std' in variable:
        return uniform(seed, shape, 0.25, 2, 64.0)
    if 'gamma' in variable:
        signs = np.where(uniform(seed + '/sign', shape, 0, 1, 64.0) < 0.4, -1, 1)
        return (signs * uniform(seed, shape, 0.5, 1.5, 64.0)).astype('float32')
    return uniform(seed, shape, -0.8, 0.8, 64.0)


def variables(layer):
    """Those of a layer in the order of its get_weights."""
    if hasattr(layer, 'nodes'):
        return [v for inner in layer.nodes.values() for v in variables(inner)]
    if hasattr(layer, 'encoder'):
        return variables(layer.encoder) + variables(layer.decoder)
    if hasattr(layer, 'layers'):
        return [v for inner in layer.layers for v in variables(inner)]
    if hasattr(layer, 'layer') and layer.__class__.__name__ in ('Siamese', 'TimeDistributed'):
        return variables(layer.layer)
    return layer.trainable_weights + layer.non_trainable_weights


def record_case(name, make, inputs, known, kept):
    model = make()
    found_variables = variables(model)
    for number, variable in enumerate(found_variables):
        shape = K.get_value(variable).shape
        K.set_value(variable, weight(variable.name or '', shape, '%s/%d' % (name, number)))
    saved_in_order = model.get_weights()
    assert all((a == K.get_value(v)).all() for a, v in zip(saved_in_order, found_variables))
    assert len(saved_in_order) == len(found_variables)
    if K.floatx() == 'float64':
        fed = [known['%s/inputs/%d' % (name, number)] for number in range(len(inputs))]
        found = run(model, fed)
    else:
        seeds = ['%s/input/%d' % (name, number) for number in range(len(inputs))]
        fed = [shape(seed) if callable(shape) else values(seed, (BATCH,) + shape)
               for shape, seed in zip(inputs, seeds)]
        found = run(model, fed)
        found.update(saved(model, kept))
        found['session'] = as_json({
            'keras': pkg_resources.get_distribution('Keras').version, 'backend': 'theano',
            'backend_version': theano.__version__, 'floatx': K.floatx(), 'image_dim_ordering': 'th'})
        for number, array in enumerate(fed):
            found['inputs/%d' % number] = array
    return dict((name + '/' + key, value) for key, value in found.items())


def run(model, fed):
    given, ends = model.get_input(train=False), model.get_output(train=False)
    if isinstance(given, dict):
        given = [given[name] for name in model.input_order]
    if isinstance(ends, dict):
        ends = [ends[name] for name in model.output_order]
    given = given if isinstance(given, list) else [given]
    ends = ends if isinstance(ends, list) else [ends]
    function = K.function(given, ends)
    fed = [array.astype(K.floatx()) if array.dtype.kind == 'f' else array for array in fed]
    suffix, found = '_float64' if K.floatx() == 'float64' else '', {}
    for number, result in enumerate(function(fed)):
        if not np.isfinite(result).all():
            raise Exception('an output is not finite')
        found['outputs%s/%d' % (suffix, number)] = result
    return found


def saved(model, kept):
    folder = tempfile.mkdtemp()
    try:
        path = os.path.join(folder, 'weights.h5')
        model.save_weights(path)
        with h5py.File(path, 'r') as file:
            found = weights_in(file)
            attributes = {'weights': {}, 'model': None, 'model_weights': None}
            assert set(file.attrs) <= {'nb_layers'}
        if kept:
            shutil.copyfile(path, kept)
    finally:
        shutil.rmtree(folder)
    found['attributes'] = as_json(attributes)
    found['config'] = as_array(model.to_json(sort_keys=True))
    return found


def weights_in(file):
    """layers: [layer_N, [param_N, ...]], or the one group of a Graph."""
    groups = ['layer_%d' % number for number in range(file.attrs['nb_layers'])] if 'nb_layers' in file.attrs \
        else ['graph']
    listed, found = [], {}
    for group in groups:
        names = ['param_%d' % number for number in range(file[group].attrs['nb_params'])]
        listed.append([group, names])
        for number, name in enumerate(names):
            found['weights/%s/%d' % (group, number)] = file[group][name][()]
    assert sorted(file) == sorted(groups)
    found['layers'] = as_json(listed)
    return found


def record_family(function, folder):
    """Number of cases that failed and were not expected to, or the other way round."""
    start, path, failures, refused, cases = time.time(), os.path.join(folder, function.__name__ + '.npz'), 0, {}, []
    function(lambda name, make, *inputs: cases.append((name, make, inputs)))
    arrays = read(path) if K.floatx() == 'float64' else {}
    for name, make, inputs in cases:
        full = function.__name__ + '/' + name
        if K.floatx() == 'float64' and name + '/config' not in arrays:
            continue
        try:
            kept = os.path.join(folder, full.replace('/', '-') + '.h5') if full in KEPT else None
            arrays.update(record_case(name, make, inputs, arrays, kept))
            if full in REFUSED:
                print('!! %s: was to be refused' % full)
                failures += 1
        except Exception as error:
            reason = re.sub(r'\s+', ' ', '%s: %s' % (type(error).__name__, error))[:160]
            if full in REFUSED:
                refused[full] = [REFUSED[full], reason]
            else:
                print('!! %s: %s' % (full, reason))
                failures += 1
    write(path, arrays)
    if K.floatx() == 'float32':
        note(os.path.join(folder, 'refused.json'), function.__name__, refused)
    print('%s %s: %d cases, %d refused, %d bytes, %.0f s' % (
        K.floatx(), function.__name__, len(cases), len(refused), os.path.getsize(path), time.time() - start))
    sys.stdout.flush()
    return failures


def note(path, name, refused):
    known = {}
    if os.path.exists(path):
        with io.open(path, encoding='utf8') as file:
            known = json.load(file)
    known = dict((key, value) for key, value in known.items() if not key.startswith(name + '/'))
    known.update(refused)
    with io.open(path, 'wb') as file:
        file.write(json.dumps(known, indent=1, sort_keys=True, separators=(',', ': ')).encode('ascii') + b'\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('stack')
    parser.add_argument('folder', help='fixtures/layers/STACK')
    parser.add_argument('families', nargs='*', help='these only')
    args = parser.parse_args()
    if not os.path.isdir(args.folder):
        os.makedirs(args.folder)
    failures = 0
    for function in FAMILIES:
        if not args.families or function.__name__ in args.families:
            failures += record_family(function, args.folder)
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
