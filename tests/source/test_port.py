"""From file to canonical: rearranged exactly, and back again."""

import h5py
import numpy as np
import pytest

from genuine import INFERENCE, LARGE, PRE_ROR
from ror_port.errors import BadValues, NotACheckpoint, OutputError
from ror_port.layout import Array
from ror_port.network.layers import Conv2D
from ror_port.source.port import Port, load


def original(port: Port, name: str) -> Array:
    return port.stored[name].read()


@pytest.mark.parametrize("name", INFERENCE)
def test_tensors_are_exact_rearrangements_and_return_byte_for_byte(genuine, name) -> None:
    with load(genuine(name).weights) as port:
        for parameter, canonical in port.parameters():
            stored = original(port, parameter.name)
            expected = stored
            if isinstance(parameter.layer, Conv2D) and parameter.role == "kernel":
                expected = np.transpose(stored[:, :, ::-1, ::-1], (2, 3, 1, 0))
            np.testing.assert_array_equal(canonical, expected)
            assert canonical.dtype == stored.dtype
            assert port.convention.layout(parameter)(canonical).tobytes() == stored.tobytes()


@pytest.mark.parametrize("name", LARGE)
def test_rebuilt_tensors_are_those_that_keras_wrote(genuine, name) -> None:
    """The large weights are not stored: the recorder noted the sha256 of every tensor instead."""
    import hashlib

    source = genuine(name)
    with h5py.File(source.weights) as file:
        for layer, tensors in source.manifest()["layers"]:
            for tensor, _, digest in tensors:
                assert hashlib.sha256(file[layer][tensor][()].tobytes()).hexdigest() == digest, tensor


def test_float64_files_stay_float64(genuine) -> None:
    with load(genuine(PRE_ROR[0]).folder / "weights_float64.h5") as port:
        assert port.dtype == "float64"
        assert {array.dtype for _, array in port.parameters()} == {np.dtype("float64")}


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "NaN"), (np.inf, "an infinity"), (-1.0, "a negative variance")]
)
def test_bad_values_are_named(copy, value, message) -> None:
    path, file = copy
    file["batchnormalization_4/batchnormalization_4_running_std"][3] = value
    file.close()
    with load(path) as port, pytest.raises(BadValues, match=f"batchnormalization_4_running_std.*{message}"):
        list(port.parameters())


def test_weights_of_a_layer_in_another_order_contradict_their_names(copy) -> None:
    """Keras itself goes by the order; a file whose names tell another one was altered, and is not guessed at."""
    path, file = copy
    group = file["batchnormalization_2"]
    group.attrs["weight_names"] = group.attrs["weight_names"][::-1]
    file.close()
    with pytest.raises(
        NotACheckpoint, match=r"'batchnormalization_2': its weights contradict themselves: .*_running_std"
    ):
        load(path)


def test_the_python_interface_reads_as_the_readme_says(genuine, tmp_path) -> None:
    import ror_port

    source = genuine(PRE_ROR[0])
    record = source.record()
    with ror_port.load(source.weights) as port:
        assert isinstance(port, ror_port.Port)
        written = [
            ror_port.save(port, tmp_path / "net.keras"),
            ror_port.save(port, tmp_path / "net", format="safetensors"),
            ror_port.save(port, tmp_path / "net.onnx"),
            ror_port.save(port, tmp_path / "net.h5", format="theano"),
        ]
        probabilities = port.predict(record["images"].transpose(0, 2, 3, 1))
        with pytest.raises(OutputError, match="exists already"):
            ror_port.save(port, tmp_path / "net.keras")
        ror_port.save(port, tmp_path / "net.keras", force=True)
    assert np.abs(probabilities - record["probabilities"]).max() < 1e-6
    assert [item.format for item in written] == ["keras", "safetensors", "onnx", "theano"]
    assert all(item.verification.passed for item in written)
    with pytest.raises(AttributeError):
        _ = ror_port.nothing
