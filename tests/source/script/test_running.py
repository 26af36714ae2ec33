"""Scripts of any kind end in an answer or in one line: those that people wrote, and those that mean harm."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ror_port.errors import NotACheckpoint, RorPortError, UsageError
from ror_port.safety import limits
from ror_port.source.script.running import Built, Script, Setting, run

MODEL = """
from keras.models import Sequential
from keras.layers import Dense
model = Sequential()
model.add(Dense(4, input_dim=3))
model.compile(loss="mse", optimizer="sgd")
"""


def built(text: str | bytes, folder: Path, *, version: tuple[int, ...] = (1,), name: str | None = None) -> Built:
    path = folder / "script.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return run(Script(path, name), Setting(version))


def test_a_script_and_what_in_it_is_the_model(tmp_path) -> None:
    (tmp_path / "a:b.py").write_text(MODEL)
    (tmp_path / "train.py").write_text(MODEL)
    assert Script.parse(str(tmp_path / "train.py")) == Script(tmp_path / "train.py")
    assert Script.parse(f"{tmp_path}/train.py:build") == Script(tmp_path / "train.py", "build")
    assert Script.parse(str(tmp_path / "a:b.py")) == Script(tmp_path / "a:b.py")
    with pytest.raises(UsageError, match="there is no such script"):
        Script.parse(str(tmp_path / "other.py"))


def test_what_is_built_is_told_with_its_place(tmp_path) -> None:
    found = built(MODEL, tmp_path)
    (model,) = found.models
    assert (found.error, model.variable, model.where, model.finished) == (None, "model", "script.py:4", True)
    assert model.stated is not None
    assert model.stated["config"][0]["config"]["output_dim"] == 4
    assert "keras_version" not in model.stated  # nobody knows it
    (model,) = built(MODEL, tmp_path, version=(1, 1, 0)).models
    assert model.stated is not None
    assert model.stated["keras_version"] == "1.1.0"


def test_a_function_or_a_variable_may_be_the_model(tmp_path) -> None:
    text = MODEL + "def build():\n    other = Sequential()\n    other.add(Dense(7, input_dim=2))\n    return other\n"
    chosen = [model for model in built(text, tmp_path, name="build").models if model.chosen]
    assert [model.stated["config"][0]["config"]["output_dim"] for model in chosen] == [7]
    assert [model.variable for model in built(text, tmp_path, name="model").models if model.chosen] == ["model"]
    assert built(text, tmp_path, name="nothing").error == f"{tmp_path}/script.py: there is no 'nothing' in it"
    assert "needs the argument" in str(built(text, tmp_path, name="Dense").error)
    assert "gives no model" in str(built(text + "def number(): return 3\n", tmp_path, name="number").error)
    assert built("if __name__ == '__main__':\n    raise ValueError\n" + text, tmp_path, name="build").error is None


WRONG = {
    "an unknown argument": ("Dense(4, foo=3)", "takes no argument 'foo'"),
    "a missing argument": ("Dense()", "needs the argument 'output_dim'"),
    "an unknown layer": ("from keras.layers import SpectralNorm", "has no keras.layers.SpectralNorm"),
    "an unknown module": ("import keras.nonsense", "there is no module keras.nonsense"),
    "another package": ("from tensorflow.keras.layers import Dense", "not the Keras of that time"),
    "a layer on nothing": ("Dense(4)(3)", "is called on a int, which no layer gave"),
    "no input shape": ("model = Sequential(); model.add(Dense(3))", "states no input_shape"),
    "a fraction": ("Dense(10 / 4)", "output_dim of Dense of Keras 1 is 2.5; a whole number from 1 is expected"),
    "a model of nothing": ("from keras.models import Model\nModel(input=1, output=2)", "which no layer gave"),
    "a file that states a network": ("from keras.models import load_model\nload_model('x.h5')", "convert that file"),
    "a missing file": ("open('nowhere.csv')", "No such file or directory: 'nowhere.csv'"),
    "no Python": ("def (", "is neither Python 3 nor Python 2"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_has_one_line_with_its_number(what, tmp_path) -> None:
    text, expected = WRONG[what]
    found = built("from keras.models import Sequential\nfrom keras.layers import Dense\n" + text, tmp_path)
    assert found.error is not None
    assert expected in found.error
    assert "\n" not in found.error
    line = 2 + len(text.splitlines())
    assert found.error.startswith(f"{tmp_path}/script.py:{line}: ") or what == "no Python"


PYTHON_2 = b"""# -*- coding: latin-1 -*-
'''Caf\xe9'''
import cPickle as pickle
from keras.models import Sequential
from keras.layers.core import Dense, Dropout
sizes = {'hidden': 7 / 2, 'exact': 7 / 2.}
print "sizes", sizes
if sizes.has_key('hidden'):
    model = Sequential()
    for n in xrange(2):
        model.add(Dense(sizes['hidden'], input_dim=4) if n == 0 else Dense(int(sizes['exact'] * 2)))
try:
    raise ValueError, "x"
except ValueError, e:
    print e
model.compile('sgd', 'mse')
model.fit([], [], nb_epoch=3)
"""


def test_a_script_of_python_2_divides_as_python_2_did(tmp_path) -> None:
    found = built(PYTHON_2, tmp_path)
    assert found.error is None
    (model,) = found.models
    assert [layer["config"]["output_dim"] for layer in model.stated["config"]] == [3, 7]


INERT = """
import numpy as np, matplotlib.pyplot as plt, cv2, not_installed.part as other
import theano, theano.tensor as T, tensorflow as tf
from keras import backend as K
from keras.callbacks import Callback, ModelCheckpoint, EarlyStopping
from keras.optimizers import SGD, Adam
from keras.preprocessing.image import ImageDataGenerator
from keras.preprocessing.sequence import pad_sequences
from keras.utils import np_utils
from keras.utils.visualize_util import plot
from keras.datasets import mnist, cifar10, imdb
from keras.wrappers.scikit_learn import KerasClassifier
from keras.models import Sequential
from keras.layers import Dense

class Losses(Callback):
    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get('loss'))

def loss(y_true, y_pred):
    return K.mean(K.square(y_pred - y_true), axis=-1) + 0.5 * K.sum(y_pred)

(x, y), (x_test, y_test) = mnist.load_data()
assert x.shape == (60000, 28, 28) and y.shape == (60000,)
(a, b), _ = imdb.load_data(nb_words=50)
assert pad_sequences(a, maxlen=9).shape == (25000, 9)
Y = np_utils.to_categorical(y)
assert Y.shape == (60000, 10)
model = Sequential([Dense(Y.shape[1], input_dim=784, activation='softmax')])
model.compile(loss=loss, optimizer=SGD(lr=0.1, nesterov=True), metrics=['accuracy'])
history = model.fit(x, Y, callbacks=[Losses(), ModelCheckpoint('w.h5'), EarlyStopping(patience=3)])
for images, labels in ImageDataGenerator(rotation_range=3).flow(x, y, batch_size=3):
    model.train_on_batch(images, labels)
score = model.evaluate(x_test, y_test, verbose=0)
print('accuracy: %.2f%%' % (100 * score[1]), history.history['acc'][-1])
answers = model.predict(x_test)
assert answers.shape == (10000, 10)
np.random.multinomial(1, answers[0], 1)
plt.plot(history.history['loss']); plt.savefig('x.png')
plot(model, to_file='model.png')
sess = tf.Session(config=tf.ConfigProto(allow_soft_placement=True)); K.set_session(sess)
f = theano.function([T.matrix('x', dtype=theano.config.floatX)], [], allow_input_downcast=True)
if cv2.imread('x.png') is None and other.thing(3) > 2:
    raise SystemExit(3)
model.save_weights('weights.h5', overwrite=True)
"""


def test_what_trains_saves_and_shows_does_nothing(tmp_path) -> None:
    found = built(INERT, tmp_path)
    assert found.error is None
    assert [model.variable for model in found.models] == ["model"]
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def test_a_sequential_that_is_not_done_when_the_script_stops_is_not_taken_for_whole(tmp_path) -> None:
    found = built(MODEL.replace("model.compile", "open('nowhere')\nmodel.compile"), tmp_path)
    assert found.error is not None
    assert [model.finished for model in found.models] == [False]
    assert [model.finished for model in built(MODEL + "open('nowhere')", tmp_path).models] == [True]


HOSTILE = {
    "an endless loop": ("while True:\n    pass", "takes longer than it is given"),
    "an endless loop that catches all": (
        "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass",
        "script.py",  # whether the first signal ends it, or the last, is a matter of where it is
    ),
    "it ends its process": ("import os\nos._exit(0)", "ends its process before it has built anything"),
    "it kills itself": ("import os\nos.kill(os.getpid(), 9)", "ends its process before it has built anything"),
    "an exit code": ("import sys\nsys.exit(3)", "ends with exit code 3"),
    "it answers itself": (
        "import os\nfor n in range(3, 64):\n    try: os.write(n, b'[1]')\n    except OSError: pass",
        "script",
    ),
    "it recurses": ("def f(): f()\nf()", "RecursionError"),
    "its memory": ("x = bytearray(1 << 36)", "MemoryError"),
    "a model in itself": (
        "import json\nfrom keras.models import model_from_json\nx = []\nx.append(x)\nmodel_from_json(x)",
        "of what is no JSON",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_scripts_end_in_one_line(what, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MAX_SCRIPT_SECONDS", 1)
    monkeypatch.setattr(limits, "MAX_IDLE_SECONDS", 1)
    text, expected = HOSTILE[what]
    try:
        message = built(text, tmp_path).error
    except RorPortError as error:
        message = str(error)
    assert message is not None
    assert expected in message
    assert "\n" not in message


def test_a_script_that_waits_is_ended(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MAX_SCRIPT_WAIT", 1)
    monkeypatch.setattr(limits, "MAX_IDLE_SECONDS", 1)
    found = built(MODEL + "import time\ntime.sleep(1000)", tmp_path)
    assert "takes longer than it is given" in str(found.error)
    assert [model.finished for model in found.models] == [True]
    catching = "import time\nwhile True:\n    try:\n        time.sleep(1000)\n    except BaseException:\n        pass"
    with pytest.raises(NotACheckpoint, match="takes more than 1 s"):
        built(catching, tmp_path)


def test_what_a_script_starts_ends_with_it(tmp_path) -> None:
    """And holds nobody up: the parent answers although a child of it still has its end of the pipe."""
    note = f"os.write(os.open({str(tmp_path / 'pid')!r}, os.O_CREAT | os.O_WRONLY), str(os.getpid()).encode())"
    text = f"import os, time\npid = os.fork()\nif pid == 0:\n    {note}\n"
    found = built(text + "    time.sleep(1000)\nelse:\n    time.sleep(0.5)\n" + MODEL.replace("\n", "\n    "), tmp_path)
    assert len(found.models) == 1
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        status = Path(f"/proc/{child}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("the process that the script started is still there")


def test_what_it_prints_costs_no_memory(tmp_path) -> None:
    found = built("import sys\nfor _ in range(1000): sys.stdout.write('x' * 1_000_000)\n" + MODEL, tmp_path)
    assert (found.error, len(found.models)) == (None, 1)


def test_what_it_writes_goes_nowhere_and_what_it_removes_stays(tmp_path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "weights.h5").write_bytes(b"1234")
    text = """
import os, pickle, shutil, numpy as np
open('kept/weights.h5', 'wb').write(b'gone')
open('kept/weights.h5', 'r+').close()
np.save('features.npy', np.zeros(3)); np.savetxt('features.txt', np.zeros(3))
with open('history.pkl', 'wb') as f: pickle.dump({'a': 1}, f)
os.remove('kept/weights.h5'); shutil.rmtree('kept'); os.rename('kept', 'other')
if not os.path.exists('runs'): os.makedirs('runs')
assert open('kept/weights.h5', 'rb').read() == b'1234'
best = min(model_losses) if False else 3
get_ipython().magic('matplotlib inline')
"""
    found = built(text + MODEL, tmp_path)
    assert (found.error, len(found.models)) == (None, 1)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "script.py", "weights.h5"]
    assert (tmp_path / "kept" / "weights.h5").read_bytes() == b"1234"


def test_it_runs_where_it_lies_and_leaves_no_cache(tmp_path) -> None:
    (tmp_path / "layers_of_mine.py").write_text("SIZE = 6\n")
    (tmp_path / "words.txt").write_text("abcab")
    text = "import os\nfrom layers_of_mine import SIZE\nwords = sorted(set(open('words.txt').read()))\n"
    found = built(text + MODEL.replace("Dense(4", "Dense(SIZE * len(words)"), tmp_path)
    assert found.error is None
    assert found.models[0].stated["config"][0]["config"]["output_dim"] == 18
    assert sorted(os.listdir(tmp_path)) == ["layers_of_mine.py", "script.py", "words.txt"]
