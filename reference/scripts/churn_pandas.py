# Who leaves the library at the end of the year? A table of its readers, pandas, scikit-learn, and a small network.
import os
os.environ['KERAS_BACKEND'] = 'theano'

import numpy as np
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

readers = pd.read_csv('readers.csv', index_col='number', parse_dates=['since'])
print(readers.describe())
readers['years'] = (pd.Timestamp('2017-12-31') - readers['since']).dt.days / 365.25
readers = pd.get_dummies(readers, columns=['branch'], drop_first=True)
readers = readers[readers.years > 0].fillna(0)
y = readers.pop('left').values
X = readers.drop(['since', 'name'], axis=1).values.astype('float32')

from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
X_fit, X_held, y_fit, y_held = train_test_split(X, y, test_size=0.3, stratify=y)

import keras
from keras.models import Sequential
from keras.layers import Dense
from keras.layers import Dropout
from keras.wrappers.scikit_learn import KerasClassifier


def leaving(optimizer='adam', hidden=6):
    net = Sequential()
    net.add(Dense(units=hidden, kernel_initializer='uniform', activation='relu', input_dim=11))
    net.add(Dropout(rate=0.1))
    net.add(Dense(units=hidden, kernel_initializer='uniform', activation='relu'))
    net.add(Dropout(rate=0.1))
    net.add(Dense(units=1, kernel_initializer='uniform', activation='sigmoid'))
    net.compile(optimizer=optimizer, loss='binary_crossentropy', metrics=['accuracy'])
    return net


steps = [('scale', StandardScaler()), ('net', KerasClassifier(build_fn=leaving, epochs=50, batch_size=8, verbose=0))]
scores = cross_val_score(Pipeline(steps), X_fit, y_fit, cv=KFold(n_splits=5, shuffle=True))
print('%.3f +- %.3f' % (scores.mean(), scores.std()))

search = GridSearchCV(KerasClassifier(build_fn=leaving), {'optimizer': ['adam', 'rmsprop'], 'epochs': [20, 100]}, cv=3)
print(search.fit(X_fit, y_fit).best_params_)

kept = leaving('rmsprop')
past = kept.fit(X_fit, y_fit, epochs=100, batch_size=8, validation_split=0.1, class_weight={0: 1., 1: 4.})
pd.DataFrame(past.history).plot(figsize=(8, 5))
plt.savefig('churn.png')
shares = kept.predict(np.zeros((5, 11))).ravel()
table = pd.crosstab(y_held, shares > 0.5)
sns.heatmap(table, annot=True, fmt='d')
print(table)
