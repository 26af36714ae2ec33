"""The reference against genuine Theano: the ground on which everything else stands."""

import numpy as np
import pytest

from genuine import DIGITS, INFERENCE, PRE_ROR, digits, recorded_layer, relative_l2
from ror_port import tolerances
from ror_port.mapping.software import keras_1_layer_names
from ror_port.network.layers import Conv2D
from ror_port.source.port import load
from ror_port.theano.convolution import convolution
from ror_port.theano.twins import Call, Stored
from runtimes import numpy_reference

TOLERANCE = {"float64": tolerances.FLOAT64, "float32": tolerances.FLOAT32}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", INFERENCE)
def test_logits_are_genuine_theanos(genuine, name, dtype) -> None:
    source, record = genuine(name), genuine(name).record(dtype)
    with load(source.weights, epsilon=source.epsilon) as port:
        outputs = numpy_reference(port, record["images"], "head/flatten", "head/dense", "head/softmax")
    assert relative_l2(outputs["head/flatten"], record["features"]) <= TOLERANCE[dtype]
    assert relative_l2(outputs["head/dense"], record["logits"]) <= TOLERANCE[dtype]
    assert relative_l2(outputs["head/softmax"], record["probabilities"]) <= TOLERANCE[dtype]
    assert (outputs["head/dense"].argmax(1) == record["logits"].argmax(1)).all()
    assert len(set(record["logits"].argmax(1))) >= 4  # a record of one answer could not show a wrong one


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PRE_ROR)
def test_every_layer_is_genuine_theanos(genuine, name, dtype) -> None:
    source, record = genuine(name), genuine(name).record(dtype)
    with load(source.weights, epsilon=source.epsilon) as port:
        layers = keras_1_layer_names(port.graph)
        del layers["image"], layers["head/dense"]  # the input; and Dense, whose layer ends in the softmax
        errors = {}
        for node, output in numpy_reference(port, record["images"][:1], *layers).items():
            expected, ours = recorded_layer(record, layers[node], output)
            errors[node] = relative_l2(ours, expected)
    assert set(errors) == set(layers)
    assert {node: error for node, error in errors.items() if not error <= TOLERANCE[dtype]} == {}


def test_stages_of_the_large_network_are_genuine_theanos(genuine) -> None:
    source = genuine("ror-3-wrn-40-2_keras-1.2.2")
    record = source.record("float64")
    taps = {
        "stem/conv": "convolution2d_1",
        "stage1/pool": "maxpooling2d_1",
        "stage2/pool": "maxpooling2d_2",
        "root_add": "merge_22",
    }
    with load(source.weights, epsilon=source.epsilon) as port:
        outputs = numpy_reference(port, record["images"][:1], *taps)
    for node, layer in taps.items():
        assert relative_l2(outputs[node], record[f"layers/{layer}"]) <= tolerances.FLOAT64


def test_epsilon_of_the_other_era_shows(genuine) -> None:
    source = genuine(PRE_ROR[1])  # trained under 1e-5
    record = source.record("float64")
    with load(source.weights) as port:  # assumes 1e-3
        logits = numpy_reference(port, record["images"], "head/dense")["head/dense"]
    assert relative_l2(logits, record["logits"]) > 1e-3


def test_without_the_flip_it_is_another_function(genuine) -> None:
    source = genuine(PRE_ROR[0])
    record = source.record("float64")
    with load(source.weights, backend="tensorflow") as port:
        logits = numpy_reference(port, record["images"], "head/dense")["head/dense"]
    assert relative_l2(logits, record["logits"]) > 0.1


def test_digits_are_read_as_theano_read_them(genuine) -> None:
    source = genuine(DIGITS)
    record, data = source.record("float64"), digits(source)
    with load(source.weights) as port:
        logits = port.outputs(data["x_test"][:64] / 255, "head/dense")
    assert relative_l2(logits["head/dense"], record["logits"][:64]) <= tolerances.FLOAT64


def test_convolution_against_its_definition() -> None:
    random = np.random.default_rng(3)
    x, kernel = random.normal(size=(1, 2, 6, 5)), random.normal(size=(3, 2, 3, 3))
    for stride in (1, 2):
        layer = Conv2D(3, (3, 3), (stride, stride), use_bias=False, data_format="channels_first")
        got = convolution(layer, Call((x,), {"kernel": kernel}, Stored("keras_1", true_convolution=True)))
        for o, row, column in np.ndindex(got.shape[1:]):
            total = 0.0
            for c, i, j in np.ndindex(2, 3, 3):
                r, s = row * stride + 1 - i, column * stride + 1 - j
                if 0 <= r < 6 and 0 <= s < 5:
                    total += kernel[o, c, i, j] * x[0, c, r, s]
            assert got[0, o, row, column] == pytest.approx(total, abs=1e-12)
