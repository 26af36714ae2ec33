"""A residual network all of whose layers have names, so that weights can be taken over by name."""
from keras.layers import merge, Input
from keras.layers import Dense, Activation, Flatten
from keras.layers import Convolution2D, MaxPooling2D, ZeroPadding2D, AveragePooling2D
from keras.layers import BatchNormalization
from keras.models import Model
import keras.backend as K
from keras.preprocessing import image
import numpy as np

KINDS = 12
th = K.image_dim_ordering() == 'th'


def conv_norm(x, maps, size, name, relu=True, **more):
    x = Convolution2D(maps, size, size, name=name + '_conv', **more)(x)
    x = BatchNormalization(axis=1 if th else 3, name=name + '_norm', epsilon=1.1e-5)(x)
    return Activation('relu', name=name + '_relu')(x) if relu else x


def bottleneck(x, maps, name, stride=None):
    """Narrow, and wide again; with a stride, the shortcut gets a convolution."""
    narrow, wide = maps
    step = {'subsample': (stride, stride)} if stride else {}
    y = conv_norm(x, narrow, 1, name + '_a', **step)
    y = conv_norm(y, wide, 3, name + '_b', relu=False, border_mode='same')
    past = conv_norm(x, wide, 1, name + '_past', relu=False, **step) if stride else x
    total = merge([y, past], mode='sum', name=name + '_sum')
    return Activation('relu', name=name + '_out')(total)


def residual():
    photo = Input(shape=(3, 32, 32) if th else (32, 32, 3), name='photo')
    x = ZeroPadding2D((3, 3), name='border')(photo)
    x = conv_norm(x, 4, 7, 'stem', subsample=(2, 2), bias=False)
    x = MaxPooling2D((3, 3), strides=(2, 2), name='stem_pool')(x)
    x = bottleneck(x, (3, 6), 'low_1', stride=1)
    x = bottleneck(x, (3, 6), 'low_2')
    x = bottleneck(x, (3, 6), 'low_3')
    x = bottleneck(x, (4, 8), 'high_1', stride=2)
    x = AveragePooling2D((3, 3), strides=(3, 3), name='mean')(x)
    x = Flatten(name='flat')(x)
    return Model(photo, Dense(KINDS, activation='softmax', name='kinds')(x), name='birds and others')


def pictures(paths):
    loaded = [image.img_to_array(image.load_img(path, target_size=(32, 32))) for path in paths]
    return np.array(loaded) if loaded else np.zeros((2,) + net.input_shape[1:])


net = residual()
net.load_weights('birds.h5', by_name=True)
for layer in net.layers:
    layer.trainable = layer.name.startswith(('high', 'kinds'))
net.compile('sgd', 'categorical_crossentropy')
shares = net.predict(pictures([]))
features = Model(input=net.input, output=net.get_layer('mean').output)
print(features.predict(pictures([])).reshape(2, -1).shape)
print('best:', shares.argmax(axis=-1), 'after', net.get_layer('mean').name)
