"""VGG with 16 layers, cut down for leaves of six kinds of trees. Theano ordering."""
from keras.models import Sequential
from keras.layers.core import Flatten, Dense, Dropout
from keras.layers.convolutional import Convolution2D, MaxPooling2D, ZeroPadding2D
from keras.optimizers import SGD
import cv2, numpy as np
import glob

TREES = ['ash', 'beech', 'birch', 'elm', 'lime', 'oak']
MEAN = [103.9, 116.8, 123.7]


def convolutions(model, count, maps, **first):
    for _ in range(count):
        model.add(ZeroPadding2D((1,1), **first))
        model.add(Convolution2D(maps, 3, 3, activation='relu'))
        first = {}
    model.add(MaxPooling2D((2,2), strides=(2,2)))


def VGG_16(weights_path=None):
    model = Sequential()
    convolutions(model, 2, 4, input_shape=(3,32,32))
    convolutions(model, 2, 6)
    for stage in range(3):
        convolutions(model, 3, 8)
    model.add(Flatten())
    for size in 16, 16:
        model.add(Dense(size, activation='relu'))
        model.add(Dropout(0.5))
    model.add(Dense(len(TREES), activation='softmax'))
    if weights_path:
        model.load_weights(weights_path)
    return model


def leaf(path):
    found = cv2.resize(cv2.imread(path), (32,32)).astype('float32')
    for channel, value in enumerate(MEAN):
        found[:,:,channel] -= value
    return found.transpose((2,0,1))[np.newaxis]


if __name__ == "__main__":
    model = VGG_16('leaves_vgg16.h5')
    model.compile(SGD(lr=1e-3, momentum=0.9), 'categorical_crossentropy')
    for path in sorted(glob.glob('leaves/*.jpg')):
        shares = model.predict(leaf(path))[0]
        print(path, TREES[np.argmax(shares)], max(shares))
