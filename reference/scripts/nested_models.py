"""Clips of a few frames: a Sequential for the frame, within a functional model for the clip. Keras 2."""
import numpy as np
from keras import layers, models, optimizers
from keras.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input, MaxPooling2D, TimeDistributed
from keras.layers.core import Dropout
from keras.models import Model, Sequential

FRAMES, ROWS, COLS = 3, 16, 12


def frame_model():
    model = Sequential()
    model.add(Conv2D(4, (3, 3), activation='relu', padding='same', input_shape=(ROWS, COLS, 3)))
    model.add(MaxPooling2D())
    model.add(Conv2D(6, (3, 3), activation='relu'))
    model.add(GlobalAveragePooling2D())
    return model


def head(size):
    codes = Input(shape=(size,))
    x = layers.Dense(8, activation='relu')(codes)
    x = layers.Dropout(0.2)(x)
    return models.Model(codes, layers.Dense(5)(x), name='head')


look = frame_model()
look.summary()

clip = Input(shape=(FRAMES, ROWS, COLS, 3), name='clip')
still = Input(shape=(ROWS, COLS, 3), name='still')

encoded = TimeDistributed(look)(clip)
summary = layers.LSTM(6, name='summary')(encoded)
one = look(still)
judge = head(6)
a, b = judge(summary), judge(one)
together = layers.concatenate([layers.subtract([a, b]), layers.multiply([a, b]), a])
output = Dense(1, activation='sigmoid')(together)

model = Model(inputs=[clip, still], outputs=output)
look.trainable = False
model.compile(optimizers.RMSprop(lr=1e-3, clipnorm=1.), 'binary_crossentropy', metrics=['acc'])
model.summary()
model.fit([np.zeros((8, FRAMES, ROWS, COLS, 3)), np.zeros((8, ROWS, COLS, 3))], np.zeros(8), epochs=2)

for layer in model.layers:
    print(layer.name, layer.output_shape)
print(look.layers[0].get_config()['filters'], model.get_layer('summary').units)
