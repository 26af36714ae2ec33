#!/usr/bin/env python
# -*- coding: latin-1 -*-
"""Learns which of four stations a train calls at. Python 2."""
import cPickle as pickle
import os, sys
import numpy as np

from keras.models import Sequential
from keras.layers.core import Dense, Dropout, Activation, MaxoutDense
from keras.layers.normalization import BatchNormalization
from keras.layers.advanced_activations import PReLU
from keras.optimizers import Adagrad

settings = {'hidden': 25, 'layers': 3, 'dropout': .3}
if not settings.has_key('classes'):
    settings['classes'] = 4

try:
    with open('stations.pkl', 'rb') as f:
        X, y = pickle.load(f)
except (IOError, ImportError), e:
    print >> sys.stderr, 'no data, making some:', e
    X = np.random.random((64, 10))
    y = np.random.randint(0, settings['classes'], 64)

half = len(X) / 2
X_train, X_valid = X[:half], X[half:]
print 'training on %d of %d' % (half, len(X))

Y = np.zeros((len(y), settings['classes']))
for i in xrange(len(y)):
    Y[i, y[i]] = 1

width = settings['hidden'] / 2      # 12, and not 12.5
model = Sequential()
model.add(Dense(width, input_dim=10, init='glorot_uniform'))
for i in xrange(settings['layers'] - 1):
    model.add(PReLU())
    model.add(BatchNormalization())
    model.add(Dropout(settings['dropout']))
    width /= 2
    print 'layer', i, 'of width', width
    model.add(Dense(width))
model.add(Activation('tanh'))
model.add(MaxoutDense(settings['classes'], nb_feature=3))
model.add(Activation('softmax'))
model.compile(loss='categorical_crossentropy', optimizer=Adagrad(lr=0.005))

best = None
for epoch in xrange(3):
    hist = model.fit(X_train, Y[:half], batch_size=16, nb_epoch=1, verbose=0)
    try:
        loss = hist.history['loss'][0]
    except (KeyError, IndexError), error:
        loss = float('nan')
    if best is None or loss < best:
        best = loss
        model.save_weights('best.h5', overwrite=True)
    print epoch, loss,
print
for name, value in sorted(settings.iteritems()):
    print name.ljust(10), `value`
proba = model.predict(X_valid)
exec 'total = proba.sum()'
if total <> 0:
    print u'Summe über alle:', total
raw = map(lambda (a, b): a * b, zip(xrange(3), xrange(3)))
print raw[0], reduce(lambda a, b: a + b, raw), 0777, 10L
