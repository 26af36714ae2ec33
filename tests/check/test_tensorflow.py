"""The main promise: a genuine Theano checkpoint, converted, computes in TensorFlow what it computed in Theano."""

import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

from genuine import DIGITS, INFERENCE, relative_l2
from ror_port import tolerances
from ror_port.check.runtimes import keras_model
from ror_port.convert.write import write
from ror_port.formats.format import by_name
from ror_port.layout import NCHW_TO_NHWC
from ror_port.source.port import load


def logits(model, images: np.ndarray) -> np.ndarray:
    import keras

    return keras.Model(model.inputs[0], model.get_layer("head_dense").output).predict(images, verbose=0)


@pytest.mark.parametrize("name", INFERENCE)
def test_float32_logits_are_genuine_theanos(genuine, name, tmp_path) -> None:
    import keras

    source = genuine(name)
    record = source.record("float32")
    with load(source.weights, epsilon=source.epsilon) as port:
        write(port, tmp_path / "net.keras", by_name("keras"))
    scores = logits(keras.saving.load_model(tmp_path / "net.keras"), NCHW_TO_NHWC(record["images"]))
    assert relative_l2(scores, record["logits"]) <= tolerances.FLOAT32
    assert (scores.argmax(1) == record["logits"].argmax(1)).all()


FLOAT64 = """
import sys, numpy, keras
keras.config.set_floatx("float64")
from ror_port.models.networks_keras import ror_wrn
weights, images, out, blocks, width, epsilon = sys.argv[1:]
model = ror_wrn(int(blocks), int(width), epsilon=float(epsilon), logits=True)
model.load_weights(weights)
numpy.save(out, model.predict(numpy.load(images), verbose=0))
"""


@pytest.mark.parametrize("name", INFERENCE)
def test_float64_logits_are_genuine_theanos(genuine, name, tmp_path) -> None:
    source = genuine(name)
    record = source.record("float64")
    np.save(tmp_path / "images.npy", NCHW_TO_NHWC(record["images"]).astype(np.float64))
    with load(source.weights, epsilon=source.epsilon) as port:
        write(port, tmp_path / "net.weights.h5", by_name("weights"))
        network = port.statement()["network"]
    files = [str(tmp_path / name) for name in ("net.weights.h5", "images.npy", "out.npy")]
    settings = [str(network[name]) for name in ("blocks", "width", "epsilon")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", FLOAT64, *files, *settings], check=True, capture_output=True)
    scores = np.load(tmp_path / "out.npy")
    assert scores.dtype == np.float64
    assert relative_l2(scores, record["logits"]) <= tolerances.FLOAT64


@pytest.fixture(scope="module")
def digits(genuine):
    source = genuine(DIGITS)
    with h5py.File(source.folder / "digits.h5") as file:
        return source, (file["x_test"][()] / 255).astype(np.float32), file["y_test"][()], source.record()


def test_theano_learned_the_digits(digits) -> None:
    _, _, labels, record = digits
    assert (record["probabilities"].argmax(1) == labels).mean() >= 0.97


def test_every_digit_is_classified_as_theano_classified_it(digits, tmp_path) -> None:
    import keras

    source, images, _, record = digits
    with load(source.weights) as port:
        write(port, tmp_path / "net.keras", by_name("keras"))
    model = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(model.predict(images, verbose=0).argmax(1), record["probabilities"].argmax(1))
    assert relative_l2(logits(model, images), record["logits"]) <= tolerances.FLOAT32


def test_without_the_flip_the_digits_are_lost(digits, tmp_path) -> None:
    """The counter-example: the same tensors, transposed but not flipped, as Keras 3 itself would load them."""
    import keras

    source, images, labels, _ = digits
    with load(source.weights, backend="tensorflow") as port:
        write(port, tmp_path / "net.keras", by_name("keras"))
    unflipped = keras.saving.load_model(tmp_path / "net.keras").predict(images, verbose=0).argmax(1)
    assert (unflipped == labels).mean() < 0.8


def test_dropout_is_an_option_of_the_definition_and_idle_in_inference(genuine, tmp_path) -> None:
    source = genuine(INFERENCE[0])
    with load(source.weights) as port:
        write(port, tmp_path / "net.weights.h5", by_name("weights"))
        model = keras_model(replace(port, graph=port.family.graph(dropout=0.3)))
    assert sum(type(layer).__name__ == "Dropout" for layer in model.layers) == 6
    model.load_weights(tmp_path / "net.weights.h5")
    record = source.record()
    assert relative_l2(logits(model, NCHW_TO_NHWC(record["images"])), record["logits"]) <= tolerances.FLOAT32
