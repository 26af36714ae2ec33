# Traffic signs by a net in the manner of LeNet, which lives in a class.
# python lenet_class.py
from keras.models import Sequential
from keras.layers.convolutional import Convolution2D
from keras.layers.convolutional import MaxPooling2D
from keras.layers.core import Activation
from keras.layers.core import Flatten
from keras.layers.core import Dense
from keras.optimizers import SGD
from keras.utils import np_utils
from sklearn.cross_validation import train_test_split
from sklearn import datasets
import numpy as np


class Net(object):
    """Settings, and the network that follows from them."""

    maps = 4, 6
    size = 5

    def __init__(self, height, width, signs):
        self.shape, self.signs = (1, height, width), signs
        self.model = None

    def build(self, weights=None):
        self.model = Sequential()
        given = {'input_shape': self.shape}
        for count in self.maps:
            self.model.add(Convolution2D(count, self.size, self.size, border_mode="same", dim_ordering="th", **given))
            self.model.add(Activation("relu"))
            self.model.add(MaxPooling2D(pool_size=(2, 2), strides=(2, 2), dim_ordering="th"))
            given = {}
        self.model.add(Flatten())
        self.model.add(Dense(10))
        self.model.add(Activation("relu"))
        self.model.add(Dense(self.signs))
        self.model.add(Activation("softmax"))
        if weights is not None:
            self.model.load_weights(weights)
        return self.model

    def train(self, pictures, signs, **settings):
        self.model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.01), metrics=["accuracy"])
        return self.model.fit(pictures, signs, **settings)

    def score(self, pictures, signs):
        loss, accuracy = self.model.evaluate(pictures, signs, batch_size=100, verbose=0)
        return {'loss': loss, 'accuracy': accuracy}


class Signs(Net):
    def sure(self, pictures):
        return [name for name, share in zip(self.model.predict_classes(pictures), self.model.predict_proba(pictures))
                if share.max() > 0.9]


faces = datasets.fetch_olivetti_faces()
print("warming up on %s faces" % len(faces.target))
split = train_test_split(faces.data, faces.target, test_size=0.25)

pictures = np.zeros((30, 20, 16))[:, np.newaxis]
kinds = np_utils.to_categorical(np.arange(30) % 7, 7)

net = Signs(20, 16, signs=7)
model = net.build()
net.train(pictures, kinds, batch_size=10, nb_epoch=15, verbose=1)
print("right: {accuracy:.2f}, loss: {loss:.3f}".format(**net.score(pictures, kinds)))
print(net.sure(pictures[:5]))
