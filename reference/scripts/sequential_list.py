from keras.models import Sequential, model_from_json
from keras.layers import Dense, Activation, Dropout, GaussianNoise
from keras.layers.advanced_activations import LeakyReLU, ELU
from keras.utils.visualize_util import plot
import numpy as np

# wine: 13 measurements, 3 growers
names = ['alcohol', 'acid', 'ash', 'alcalinity', 'magnesium', 'phenols', 'flavanoids', 'nonflavanoids',
         'proanthocyanins', 'color', 'hue', 'od280', 'proline']

model = Sequential([
    GaussianNoise(0.05, input_shape=(len(names),)),
    Dense(20),
    LeakyReLU(alpha=.01),
    Dropout(0.2),
    Dense(10, activation='sigmoid'),
    ELU(),
    Dense(3),
    Activation('softmax'),
])
model.compile(optimizer='rmsprop', loss='sparse_categorical_crossentropy', metrics=['accuracy'])
plot(model, to_file='wine.png', show_shapes=True)

data = np.random.normal(size=(178, len(names)))
growers = np.floor(3 * np.random.random((178, 1))).astype(np.int)
model.fit(data, growers, nb_epoch=100, batch_size=16, validation_split=.25, verbose=2)

json_string = model.to_json()
twin = model_from_json(json_string)
twin.set_weights(model.get_weights())
for layer in model.layers:
    print(layer.name, layer.output_shape, [w.shape for w in layer.get_weights()])
print('classes of the first five:', model.predict_classes(data[:5]))
