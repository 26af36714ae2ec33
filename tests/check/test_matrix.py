"""Everything against genuine Theano: every runtime × fixture × precision × tap."""

import functools

import numpy as np
import pytest

from genuine import DIGITS, INFERENCE, digits, recorded_tap, relative_l2
from ror_port import tolerances
from ror_port.mapping.software import keras_1_layer_names
from ror_port.source.port import load
from runtimes import FLOAT32_ONLY, NEEDS, RUNTIMES, installed


@pytest.fixture(scope="module")
def computed(genuine, tmp_path_factory):
    """(runtime, fixture, dtype) → taps; each is run once."""

    @functools.cache
    def run(runtime: str, name: str, dtype: str):
        source = genuine(name)
        folder = tmp_path_factory.mktemp("matrix")
        with load(source.weights, epsilon=source.epsilon) as port:
            return port.graph, RUNTIMES[runtime](port, source.record(dtype)["images"], dtype, folder)

    return run


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", INFERENCE)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_tap_is_genuine_theanos(computed, genuine, runtime, name, dtype) -> None:
    if not installed(*NEEDS.get(runtime, ())):
        pytest.skip(f"{runtime} is not installed")
    if dtype == "float64" and runtime in FLOAT32_ONLY:
        pytest.skip(f"{runtime} has no float64 convolution")
    record = genuine(name).record(dtype)
    graph, taps = computed(runtime, name, dtype)
    layers = keras_1_layer_names(graph)
    rounds = dtype == "float64" and runtime in ("keras-torch", "keras-jax")
    tolerance = tolerances.KERAS_IN_FLOAT32 if rounds else tolerances.for_dtype(dtype)
    report = []
    assert sorted(taps) == sorted(graph.taps)
    for tap, output in taps.items():
        assert np.isfinite(output).all(), tap
        expected, ours = recorded_tap(record, layers, tap, output)
        error = relative_l2(ours, expected)
        report.append(f"{'ok  ' if error <= tolerance else 'FAIL'} {tap:15} relative L2 error {error:.1e}")
    assert all(line.startswith("ok") for line in report), "\n" + "\n".join(report)
    np.testing.assert_array_equal(taps["head/dense"].argmax(1), record["logits"].argmax(1))


@pytest.mark.parametrize("name", INFERENCE)
def test_keras_and_pytorch_cost_no_more_than_float32_itself(computed, genuine, name) -> None:
    """Three times what float32 costs Theano itself is allowed, to each and between the two."""
    exact = genuine(name).record("float64")["logits"]
    cost = relative_l2(genuine(name).record("float32")["logits"], exact)
    _, keras = computed("keras-tensorflow", name, "float32")
    _, torch = computed("pytorch", name, "float32")
    assert relative_l2(keras["head/dense"], exact) <= 3 * cost
    assert relative_l2(torch["head/dense"], exact) <= 3 * cost
    assert relative_l2(torch["head/dense"], keras["head/dense"]) <= 3 * cost


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("runtime", ["numpy", "keras-tensorflow", "pytorch", "onnxruntime"])
def test_the_trained_network_too(genuine, tmp_path, runtime, dtype) -> None:
    if dtype == "float64" and runtime in FLOAT32_ONLY:
        pytest.skip(f"{runtime} has no float64 convolution")
    source = genuine(DIGITS)
    expected = source.record(dtype)["logits"][:64]
    images = (digits(source)["x_test"][:64] / 255.0).transpose(0, 3, 1, 2).astype(dtype)
    with load(source.weights) as port:
        logits = RUNTIMES[runtime](port, images, dtype, tmp_path)["head/dense"]
    assert relative_l2(logits, expected) <= tolerances.for_dtype(dtype)
    np.testing.assert_array_equal(logits.argmax(1), expected.argmax(1))
