'''Film reviews from both ends in a Graph, with the length of the text as a second input.'''
from __future__ import print_function
import numpy as np

from keras.preprocessing import sequence
from keras.models import Graph
from keras.layers.core import Dense, Dropout
from keras.layers.embeddings import Embedding
from keras.layers.recurrent import LSTM
from keras.datasets import imdb

words = 50
longest = 10


def prepared(reviews, moods):
    lengths = np.array([[len(review)] for review in reviews])
    return {'review': sequence.pad_sequences(reviews, maxlen=longest), 'length': lengths, 'mood': np.array(moods)}


train, test = [prepared(*part) for part in imdb.load_data(nb_words=words, test_split=0.2)]
print(len(train['review']), 'to train with,', len(test['review']), 'to test with')

graph = Graph()
graph.add_input(name='review', input_shape=(longest,), dtype='int')
graph.add_input(name='length', input_shape=(1,))
graph.add_node(Embedding(words, 6, input_length=longest), name='vectors', input='review')
for direction in 'forward', 'backward':
    graph.add_node(LSTM(5, go_backwards=direction == 'backward'), name=direction, input='vectors')
graph.add_node(Dropout(0.5), name='thinned', inputs=['forward', 'backward'])
graph.add_node(Dense(3, activation='tanh'), name='scaled', input='length')
graph.add_node(Dense(1, activation='sigmoid'), name='judge', inputs=['thinned', 'scaled'], merge_mode='concat')
graph.add_output(name='mood', input='judge')
graph.compile('adam', {'mood': 'binary_crossentropy'})

graph.fit(train, batch_size=32, nb_epoch=4, verbose=1)
guessed = np.round(graph.predict(test, batch_size=32)['mood'])
print('share of good ones', np.mean(guessed))
