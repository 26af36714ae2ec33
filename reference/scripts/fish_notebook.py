
# coding: utf-8

# # Which fish is on the scale?
# Six kinds, photographed from above. The folders have a subfolder for each kind.

# In[1]:

get_ipython().magic(u'matplotlib inline')
get_ipython().run_line_magic('load_ext', 'autoreload')
import numpy as np
import matplotlib.pyplot as plt
from IPython.display import SVG, display
from keras.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, GlobalMaxPooling2D, MaxPooling2D
from keras.models import Model, Sequential
from keras.preprocessing.image import ImageDataGenerator
from keras.utils.vis_utils import model_to_dot

# In[2]:

KINDS = ['bream', 'carp', 'perch', 'pike', 'roach', 'tench']
size = (24, 32)
stream = ImageDataGenerator(rescale=1. / 255, shear_range=0.1, horizontal_flip=True)
train = stream.flow_from_directory('fish/train', target_size=size, classes=KINDS, batch_size=16)
held = ImageDataGenerator(rescale=1. / 255).flow_from_directory('fish/held', target_size=size, classes=KINDS)
print(train.samples, 'photographs,', held.samples, 'held back')

# In[3]:

photos, kinds = next(train)
fig, axes = plt.subplots(2, 4, figsize=(12, 5))
for place, photo in enumerate(photos[:8]):
    plt.subplot(2, 4, place + 1)
    plt.imshow(photo)

# In[4]:

model = Sequential()
model.add(Conv2D(4, (5, 5), strides=(2, 2), input_shape=size + (3,), activation='relu'))
model.add(BatchNormalization())
model.add(Conv2D(6, (3, 3), padding='same', use_bias=False))
model.add(BatchNormalization(momentum=0.9, scale=False))
model.add(Activation('relu'))
model.add(MaxPooling2D())
model.add(GlobalMaxPooling2D(name='strongest'))
model.add(Dropout(0.3))
model.add(Dense(len(KINDS), activation='softmax', name='kind'))
model.compile('nadam', 'categorical_crossentropy', metrics=['accuracy'])
SVG(model_to_dot(model, show_shapes=True).create(prog='dot', format='svg'))

# In[5]:

past = model.fit_generator(train, steps_per_epoch=train.samples // 16, epochs=25, validation_data=held,
                           validation_steps=max(1, held.samples // 16))
print('best %.3f after epoch %d' % (min(past.history['val_loss']), np.argmin(past.history['val_loss'])))

# In[6]:

kernel, bias = model.layers[0].get_weights()
print(kernel.shape, bias.shape, kernel.std())
plt.imshow(kernel[:, :, 0, 0])

# In[7]:

features = Model(inputs=model.input, outputs=model.get_layer('strongest').output)
display(features.predict(np.zeros((2,) + model.input_shape[1:])).shape)
copied = Sequential.from_config(model.get_config())
copied.set_weights(model.get_weights())
