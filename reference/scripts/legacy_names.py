"""Written for Keras 1, still run after the upgrade to Keras 2, with all its warnings."""
import warnings
import numpy as np
from keras.models import Sequential, Model
from keras.layers import (Activation, AveragePooling2D, BatchNormalization, Convolution2D, Deconvolution2D, Dense,
                          Dropout, Flatten, Input, MaxPooling2D, GRU, LSTM, Embedding, Convolution1D, MaxPooling1D,
                          TimeDistributed, UpSampling2D, ZeroPadding2D, SpatialDropout2D, LocallyConnected2D, Lambda)
from keras.layers.noise import GaussianNoise
from keras.regularizers import l2

warnings.filterwarnings('ignore')

pictures = Sequential()
pictures.add(ZeroPadding2D((1, 1), input_shape=(3, 16, 16), dim_ordering='th'))
pictures.add(Convolution2D(8, 3, 3, border_mode='same', init='he_normal', W_regularizer=l2(1e-4), dim_ordering='th'))
pictures.add(BatchNormalization(mode=0, axis=1))
pictures.add(Activation('relu'))
pictures.add(Convolution2D(nb_filter=6, nb_row=3, nb_col=2, subsample=(2, 2), bias=False, dim_ordering='th'))
pictures.add(MaxPooling2D(pool_size=(2, 2), strides=(1, 1), border_mode='same', dim_ordering='th'))
pictures.add(SpatialDropout2D(p=0.3, dim_ordering='th'))
pictures.add(UpSampling2D(size=(2, 2), dim_ordering='th'))
pictures.add(AveragePooling2D((2, 2), dim_ordering='th'))
pictures.add(Flatten())
pictures.add(GaussianNoise(sigma=0.1))
pictures.add(Dropout(p=0.5))
pictures.add(Dense(output_dim=7, init='glorot_normal', activation='softmax', W_constraint=None))
pictures.compile(loss='categorical_crossentropy', optimizer='sgd', metrics=['accuracy'])
pictures.fit(np.zeros((8, 3, 16, 16)), np.eye(7)[np.zeros(8, int)], nb_epoch=3, batch_size=4, verbose=0)

words = Sequential()
words.add(Embedding(30, 6, init='uniform', input_length=10, W_regularizer=l2(0.1)))
words.add(Convolution1D(nb_filter=5, filter_length=3, border_mode='same', subsample_length=1, activation='relu'))
words.add(MaxPooling1D(pool_length=2, stride=2))
words.add(LSTM(output_dim=4, inner_activation='hard_sigmoid', inner_init='orthogonal', forget_bias_init='one',
               dropout_W=0.2, dropout_U=0.2, consume_less='gpu', return_sequences=True))
words.add(GRU(4, init='glorot_uniform', return_sequences=True))
words.add(TimeDistributed(Dense(3, bias=False)))
words.add(Flatten())
words.add(Dense(2, activation='sigmoid', b_regularizer='l2'))
words.compile('adam', 'binary_crossentropy')
words.fit(np.zeros((8, 10), int), np.zeros((8, 2)), nb_epoch=1)

a = Input(shape=(4,))
b = Dense(3, activation='relu')(a)
pair = Model(input=a, output=Dense(1)(b))
pair.compile('sgd', 'mse')
print(pictures.evaluate(np.zeros((8, 3, 16, 16)), np.eye(7)[np.zeros(8, int)]))
