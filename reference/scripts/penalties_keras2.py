"""Penalties, constraints and initializers, tried one after the other on the same data. Keras 2."""
import keras
import numpy as np
from keras import activations, constraints, initializers, regularizers
from keras.constraints import MinMaxNorm, NonNeg, max_norm, maxnorm, non_neg, unit_norm
from keras.initializers import (Constant, Identity, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling,
                                glorot_normal, he_uniform)
from keras.layers import (GRU, LSTM, BatchNormalization, Conv1D, Dense, Dropout, Embedding, SeparableConv1D, SimpleRNN)
from keras.layers.advanced_activations import PReLU
from keras.models import Sequential
from keras.regularizers import l1, l1_l2, l2


def small(shape, dtype=None):
    return keras.backend.random_normal(shape, stddev=0.01, dtype=dtype)


model = Sequential()
model.add(Embedding(30, 6, embeddings_initializer=RandomUniform(-0.1, 0.1, seed=3),
                    embeddings_regularizer=l2(1e-6), embeddings_constraint=unit_norm(), input_length=12))
model.add(Conv1D(5, 3, kernel_initializer='he_normal', kernel_regularizer=l1(0.01), bias_regularizer='l2',
                 kernel_constraint=max_norm(3.), activation=activations.relu))
model.add(PReLU(alpha_initializer=Constant(0.25), shared_axes=[1]))
model.add(GRU(4, kernel_initializer=RandomNormal(stddev=0.05), recurrent_initializer=Identity(gain=0.5),
              recurrent_regularizer=regularizers.l1_l2(l1=1e-4, l2=2e-4), return_sequences=True, reset_after=False))
model.add(LSTM(5, recurrent_initializer=initializers.Orthogonal(gain=1.1, seed=1), unit_forget_bias=False,
               bias_initializer='ones', bias_regularizer=l1(.5), return_sequences=True, implementation=2))
model.add(SimpleRNN(6, kernel_initializer=VarianceScaling(scale=2.0, mode='fan_out', distribution='uniform'),
                    recurrent_constraint=MinMaxNorm(min_value=0.1, max_value=2.0, rate=0.5, axis=0)))
model.add(BatchNormalization(beta_initializer='one', gamma_initializer=TruncatedNormal(mean=1.0, stddev=0.02),
                             gamma_regularizer=l2(0.05), beta_constraint=non_neg()))
model.add(Dense(8, kernel_initializer='lecun_uniform', kernel_regularizer='l1', activity_regularizer=l2(0.001),
                kernel_constraint=NonNeg(), bias_constraint=maxnorm(2), activation='selu'))
model.add(Dropout(.5, noise_shape=None, seed=7))
model.add(Dense(4, kernel_constraint='max_norm', kernel_initializer=glorot_normal(seed=5),
                activity_regularizer=l1_l2(0.1, 0.2)))
model.add(Dense(4, kernel_constraint=constraints.MaxNorm(max_value=1.5, axis=[0]), kernel_initializer=he_uniform()))
model.add(Dense(4, kernel_initializer=small, bias_initializer=initializers.Zeros(), activation=keras.activations.tanh))
model.add(Dense(2, kernel_initializer=keras.initializers.get('zeros'), activation='softmax', use_bias=False))

model.compile('sgd', 'mse', metrics=['mae'])
X = np.random.randint(30, size=(50, 12))
Y = np.eye(2)[np.random.randint(2, size=50)]
for trial in range(2):
    loss, error = model.train_on_batch(X, Y)
    print('trial', trial, 'loss', loss, 'mae', error)
