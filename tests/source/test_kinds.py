"""Every family, and every kind of file they came in, against the software that wrote it."""

import hashlib
from dataclasses import replace

import h5py
import numpy as np
import pytest

from genuine import KINDS, layer_names, recorded_layer, relative_l2
from ror_port import tolerances
from ror_port.convert.write import write
from ror_port.formats.format import by_name
from ror_port.network.layers import BatchNormalization, Conv2D
from ror_port.source.port import load
from runtimes import FLOAT32_ONLY, RUNTIMES, numpy_reference

GIVEN = {
    "pre-ror-3-10_keras-1.0.6": {"keras": "1.0.6"},
    # Theano wants 1e-5 at least, and float32(1e-5) is less: the float32 session took the next number up.
    ("wrn-16-2_keras-2.2.4", "float32"): {"epsilon": 1.0000002e-5},
}
"""What the files cannot say."""

EXPECTED = {
    "pre-ror-3-10_keras-1.0.6": ("Pre-RoR-3-10", "theano", "std + epsilon"),
    "pre-ror-3-10_keras-2.3.1": ("Pre-RoR-3-10", "theano", "√(variance + epsilon)"),
    "wrn-16-2_keras-2.2.4": ("WRN-16-2", "theano", "√(variance + epsilon)"),
    "wrn-2016-16-2_keras-1.2.2": ("WRN-16-2 (2016 revision)", "theano", "√(variance + epsilon)"),
    "ror-3-56_keras-1.2.2": ("RoR-3-56", "theano", "√(variance + epsilon)"),
    "ror-3-110_keras-1.2.2": ("RoR-3-110", "theano", "√(variance + epsilon)"),
    "ror-3-wrn-16-2-theano-tf_keras-1.2.2": ("RoR-3-WRN-16-2", "theano", "√(variance + epsilon)"),
    "ror-3-wrn-16-2-tensorflow-th_keras-1.2.2": ("RoR-3-WRN-16-2", "tensorflow", "√(variance + epsilon)"),
    "ror-3-wrn-16-2-tensorflow-tf_keras-1.2.2": ("RoR-3-WRN-16-2", "tensorflow", "√(variance + epsilon)"),
}


def given(name: str, dtype: str = "float64") -> dict:
    return GIVEN.get(name) or GIVEN.get((name, dtype)) or {}


def recorded_in(genuine, name: str, dtype: str):
    source = genuine(name)
    if not (source.folder / f"record_{dtype}.h5").exists():
        pytest.skip("recorded in float32 alone")
    return source, source.record(dtype)


@pytest.mark.parametrize("name", EXPECTED)
def test_recognised(genuine, name) -> None:
    with load(genuine(name).weights, **given(name)) as port:
        backend = next(fact.value for fact in port.facts if fact.name == "backend")
        (divisor,) = {node.layer.divisor for node in port.graph if isinstance(node.layer, BatchNormalization)}
        assert (port.name, backend, divisor) == EXPECTED[name]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("runtime", ["numpy", "keras-tensorflow", "pytorch", "onnxruntime"])
@pytest.mark.parametrize("name", KINDS)
def test_every_tap_is_genuine(genuine, tmp_path, name, runtime, dtype) -> None:
    if dtype == "float64" and runtime in FLOAT32_ONLY:
        pytest.skip(f"{runtime} has no float64 convolution")
    source, record = recorded_in(genuine, name, dtype)
    with load(source.weights, **given(name, dtype)) as port:
        taps = RUNTIMES[runtime](port, record["images"], dtype, tmp_path)
        layers = layer_names(source, port.graph)
    errors = {"head/dense": relative_l2(taps["head/dense"], record["logits"])}
    if runtime == "numpy" or port.family.input_shape == (32, 32, 3):  # else others flatten in their own order
        errors["head/flatten"] = relative_l2(taps["head/flatten"], record["features"])
    for tap, layer in layers.items():
        if tap in taps and f"layers/{layer}" in record:
            expected, ours = recorded_layer(record, layer, taps[tap])
            errors[tap] = relative_l2(ours, expected)
    assert {tap: error for tap, error in errors.items() if not error <= tolerances.for_dtype(dtype)} == {}
    assert "stem/conv" in errors
    np.testing.assert_array_equal(taps["head/dense"].argmax(1), record["logits"].argmax(1))


@pytest.mark.parametrize("name", KINDS)
def test_rebuilt_or_kept_the_tensors_are_those_that_keras_wrote(genuine, name) -> None:
    source = genuine(name)
    with h5py.File(source.weights) as file:
        root = file.get("model_weights", file)
        for layer, tensors in source.manifest()["layers"]:
            for tensor, _, digest in tensors:
                assert hashlib.sha256(root[layer][tensor][()].tobytes()).hexdigest() == digest, tensor


@pytest.mark.parametrize("name", ["wrn-16-2_keras-2.2.4", "pre-ror-3-10-64x64_keras-2.2.4", "pre-ror-3-10_keras-1.0.6"])
@pytest.mark.parametrize("format", ["keras", "weights", "h5"])
def test_what_we_wrote_is_read_as_the_same_network(genuine, tmp_path, name, format) -> None:
    with load(genuine(name).weights, **given(name)) as port:
        write(port, tmp_path / "net", by_name(format))
        moved = port.relayout("channels_last")
        expected = {p.name: array.astype(port.dtype).tobytes() for p, array in port.parameters(moved)}
        network = port.statement()["network"]
    with load(tmp_path / "net") as again:
        assert again.statement()["network"] == network
        assert again.graph == moved.graph
        assert {p.name: array.tobytes() for p, array in again.parameters()} == expected
        write(again, tmp_path / "torch", by_name("safetensors"))


def test_dropout_and_input_size_are_read_from_the_architecture(genuine) -> None:
    with load(genuine("pre-ror-3-10-dropout_keras-1.2.2").weights) as port:
        assert port.statement()["network"]["dropout"] == 0.3
    with load(genuine("pre-ror-3-10-64x64_keras-2.2.4").weights) as port:
        assert port.family.input_shape == (64, 64, 3)


def test_the_optimizer_of_a_checkpoint_is_left_out_and_that_is_said(genuine) -> None:
    with load(genuine("pre-ror-3-10-checkpoint_keras-1.2.2").weights) as port:
        assert port.checkpoint.omitted == ("optimizer state",)


def test_taking_a_standard_deviation_for_a_variance_shows(genuine) -> None:
    source, record = recorded_in(genuine, "pre-ror-3-10_keras-1.0.6", "float64")
    with load(source.weights, keras="1.2", epsilon=1e-6) as port:
        logits = numpy_reference(port, record["images"], "head/dense")["head/dense"]
    assert relative_l2(logits, record["logits"]) > 0.1


def test_tensorflows_padding_in_a_wrn_of_theanos_shows(genuine) -> None:
    source, record = recorded_in(genuine, "wrn-16-2_keras-2.2.4", "float64")
    with load(source.weights) as port:
        graph = port.graph.map(lambda layer: replace(layer, padding="same") if isinstance(layer, Conv2D) else layer)
        wrong = replace(port, graph=graph)
        logits = numpy_reference(wrong, record["images"], "head/dense")["head/dense"]
    assert relative_l2(logits, record["logits"]) > 0.1


def test_another_revision_of_wrn_is_named_with_its_differences(genuine, tmp_path) -> None:
    """For some weeks of 2017 WRN had biases in its expanding blocks; such a file is near, and is not guessed at."""
    from ror_port.errors import UnknownNetwork

    path = tmp_path / "weights.h5"
    path.write_bytes(genuine("wrn-16-2_keras-2.2.4").weights.read_bytes())
    with h5py.File(path, "r+") as file:
        group = file["conv2d_2"]
        group["conv2d_2/bias"] = np.zeros(32, np.float32)
        group.attrs["weight_names"] = [b"conv2d_2/kernel", b"conv2d_2/bias"]
    with pytest.raises(UnknownNetwork, match=r"nearest is WRN-16-2 .*expects bias none, 'conv2d_2' has 32"):
        load(path)


def test_input_size_is_an_option_where_the_file_cannot_tell(genuine) -> None:
    from ror_port.errors import UnknownNetwork

    weights = genuine("pre-ror-3-10_keras-1.0.6").weights
    with load(weights, keras="1.0.6", size=48) as port:  # leaves one position, as 32 does
        assert port.family.input_shape == (48, 48, 3)
    with pytest.raises(UnknownNetwork, match="do not lead to the Dense layer"):
        load(weights, keras="1.0.6", size=64)
    with pytest.raises(UnknownNetwork, match="takes no images of"):
        load(weights, keras="1.0.6", size=34)
