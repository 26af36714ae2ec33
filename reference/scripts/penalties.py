"""Penalties, constraints and initialisations, tried one after the other on the same data. Keras 1."""
import numpy as np
from keras import initializations
from keras.constraints import NonNeg, UnitNorm, maxnorm, nonneg, unitnorm
from keras.layers import Dense, Dropout, Convolution1D, GRU, Embedding, Flatten, LSTM, SimpleRNN
from keras.layers.core import ActivityRegularization, Highway
from keras.layers.local import LocallyConnected1D
from keras.layers.normalization import BatchNormalization
from keras.models import Sequential
from keras.regularizers import WeightRegularizer, activity_l1, activity_l1l2, activity_l2, l1, l1l2, l2


def my_init(shape, name=None):
    return initializations.normal(shape, scale=0.01, name=name)


model = Sequential()
model.add(Embedding(30, 6, init='uniform', W_regularizer=l2(1e-6), W_constraint=unitnorm(), input_length=12))
model.add(Convolution1D(5, 3, init='he_normal', W_regularizer=l1(0.01), b_regularizer='l2',
                        W_constraint=maxnorm(3), activation='relu'))
model.add(LocallyConnected1D(4, 2, W_regularizer=l1l2(l1=1e-4, l2=2e-4), b_constraint=nonneg()))
model.add(GRU(4, init=my_init, inner_init='identity', W_regularizer=WeightRegularizer(l1=0., l2=0.1),
              U_regularizer=l2(), return_sequences=True))
model.add(LSTM(5, inner_init='orthogonal', forget_bias_init='zero', b_regularizer=l1(l=.5), dropout_U=.3,
               return_sequences=True))
model.add(SimpleRNN(6, init=lambda shape, name=None: my_init(shape, name=name), U_regularizer='l1l2'))
model.add(BatchNormalization(beta_init='one', gamma_init='normal', gamma_regularizer=l2(0.05)))
model.add(Dense(8, init='lecun_uniform', W_regularizer='l1', activity_regularizer=activity_l2(0.001),
                W_constraint=NonNeg(), b_constraint=maxnorm(m=2, axis=0)))
model.add(Highway(init='glorot_normal', W_constraint=UnitNorm(axis=0)))
model.add(ActivityRegularization(l1=0.02, l2=.03))
model.add(Dropout(.5))
model.add(Dense(4, W_constraint='maxnorm', activity_regularizer=activity_l1l2(0.1, 0.2)))
model.add(Dense(4, W_constraint=maxnorm(1.5), activity_regularizer=activity_l1(0.1), b_regularizer=l2(0.01)))
model.add(Dense(2, init='zero', activation='softmax', bias=True))

model.compile('sgd', 'mse')
X = np.random.randint(30, size=(50, 12))
Y = np.eye(2)[np.random.randint(2, size=50)]
for trial in range(2):
    loss = model.train_on_batch(X, Y)
    print('trial', trial, 'loss', loss)
    weights = model.get_weights()
    model.set_weights([w * 0.9 for w in weights])
for layer in model.layers:
    print(layer.name, getattr(layer, 'W_regularizer', None), layer.trainable)
