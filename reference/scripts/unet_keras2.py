"""U-Net with Keras 2: transposed convolutions on the way up, channels last."""
import numpy as np
from keras import backend as K
from keras import losses
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.layers import (Activation, BatchNormalization, Conv2D, Conv2DTranspose, Dropout, Input, MaxPooling2D,
                          concatenate)
from keras.models import Model
from keras.optimizers import Adam
from keras.utils import plot_model

K.set_image_data_format('channels_last')

SIZE = 16
WIDTHS = [4, 8, 12]


def twice(x, maps):
    for _ in range(2):
        x = Conv2D(maps, (3, 3), kernel_initializer="he_normal", padding="same")(x)
        x = BatchNormalization()(x)
        x = Activation("relu")(x)
    return x


def jaccard(truth, guess, smooth=10.):
    common = K.sum(K.abs(truth * guess), axis=-1)
    total = K.sum(K.abs(truth) + K.abs(guess), axis=-1)
    return (common + smooth) / (total - common + smooth)


def loss(truth, guess):
    return losses.binary_crossentropy(truth, guess) + 1 - jaccard(truth, guess)


def salt_net(drop=0.1):
    seismic = Input((SIZE, SIZE, 3), name='seismic')
    x, kept = seismic, []
    for maps in WIDTHS[:-1]:
        x = twice(x, maps)
        kept.append(x)
        x = Dropout(drop / 2)(MaxPooling2D((2, 2))(x))
    x = twice(x, WIDTHS[-1])
    for maps in reversed(WIDTHS[:-1]):
        x = Conv2DTranspose(maps, (3, 3), strides=(2, 2), padding='same')(x)
        x = concatenate([x, kept.pop()], axis=3)
        x = twice(Dropout(drop)(x), maps)
    salt = Conv2D(1, (1, 1), activation='sigmoid', name='salt')(x)
    return Model(inputs=[seismic], outputs=[salt])


net = salt_net()
net.compile(optimizer=Adam(lr=1e-4), loss=loss, metrics=['accuracy', jaccard])
plot_model(net, to_file='salt.png', show_shapes=True)

X, Y = np.zeros((10, SIZE, SIZE, 3), dtype=np.float32), np.zeros((10, SIZE, SIZE, 1), dtype=bool)
net.fit(X, Y, validation_split=0.1, batch_size=16, epochs=50,
        callbacks=[EarlyStopping(patience=5, verbose=1), ModelCheckpoint('salt.h5', save_best_only=True)])
guessed = net.predict(X[:int(X.shape[0] * 0.9)], verbose=1) > 0.5
print('salt in %.1f %%' % (100 * guessed.astype(np.uint8).mean()))
