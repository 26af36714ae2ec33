"""`ror_port.load`, `ror_port.save`, `ror_port.verify`: they check as the command does, and raise what it exits with."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from pathlib import Path

import h5py
import numpy as np
import pytest

import ror_port
from commands import run
from genuine import DIGITS
from ror_port import frameworks, tolerances
from ror_port.errors import BadValues, MissingExtra, NotACheckpoint, OutputError, ParityError, RorPortError, UsageError
from ror_port.formats.format import FORMATS, chosen
from ror_port.layout import Arranged
from ror_port.source.port import Port


@pytest.fixture
def weights(genuine, tmp_path) -> Path:
    path = tmp_path / "digits.h5"
    path.write_bytes(genuine(DIGITS).weights.read_bytes())
    return path


@pytest.fixture
def port(weights):
    with ror_port.load(weights) as port:
        yield port


def disturb(monkeypatch, scale: float) -> None:
    """Lets writers, and not the reference, have kernels that are off by random factors."""
    genuine_canonical, rng = Port.canonical, np.random.default_rng(0)

    def canonical(self, parameter):
        arranged = genuine_canonical(self, parameter)
        if parameter.role != "kernel":
            return arranged
        array = arranged.array()
        return Arranged.of(array * (1 + scale * rng.standard_normal(array.shape)).astype(array.dtype))

    monkeypatch.setattr(Port, "canonical", canonical)


def test_the_package_lists_its_api() -> None:
    assert dir(ror_port) == sorted(ror_port.__all__)
    assert {"load", "save", "verify", "Port", "Written", "Verification"} <= set(dir(ror_port))
    for name in dir(ror_port):
        assert getattr(ror_port, name) is not None


@pytest.mark.parametrize("name", ["load", "save", "verify"])
def test_every_argument_is_typed_and_described(name) -> None:
    function = getattr(ror_port, name)
    signature = inspect.signature(function)
    assert all(p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in signature.parameters.values())
    assert all(p.annotation is not p.empty for p in signature.parameters.values())
    optional = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert all(f"{argument}:" in function.__doc__ or f"`{argument}`" in function.__doc__ for argument in optional)


def test_arguments_of_load_are_what_can_be_given() -> None:
    from ror_port.source.provenance import Given

    options = [p.name for p in inspect.signature(ror_port.load).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert options == [field.name for field in dataclasses.fields(Given)]


def test_a_port_is_shown_in_one_line(port, weights) -> None:
    assert repr(port) == f"<Port {weights}: RoR-3-WRN-10-2, 318,474 parameters, float32>"


@pytest.mark.parametrize(
    ("given", "python", "command"),
    [
        ({"backend": "Theano"}, "backend: 'Theano' is neither", "--source-backend: 'Theano' is neither"),
        ({"epsilon": 0.0}, "epsilon: 0.0; a number above 0", "--bn-epsilon: 0.0;"),
        ({"epsilon": float("nan")}, "epsilon: nan", "--bn-epsilon: nan"),
        ({"size": 7}, "size: 7; an image size from 8 to 4096", "--input-size: 7"),
        ({"sha256": "abc"}, "sha256: 'abc'; 64 hexadecimal digits", "--expect-sha256: 'abc'"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(weights, given, python, command) -> None:
    with pytest.raises(UsageError) as raised:
        ror_port.load(weights, **given)
    assert str(raised.value).startswith(python)
    assert raised.value.for_command().startswith(command)
    assert isinstance(raised.value, ValueError)


def test_errors_name_arguments_in_python_and_options_in_the_command(weights, port) -> None:
    odd = weights.with_name("odd.h5")
    odd.write_bytes(weights.read_bytes())
    with h5py.File(odd, "r+") as file:
        file.attrs["keras_version"] = "x"
    with pytest.raises(NotACheckpoint, match=r"'x', which is no version of Keras; state which with keras=…"):
        ror_port.load(odd)
    assert "state which with --source-keras" in run("to-theano", odd).stderr
    (weights.parent / "digits.keras").write_text("kept")
    with pytest.raises(OutputError, match="exists already; force=True replaces it, another path writes elsewhere"):
        ror_port.save(port, weights.parent / "digits.keras")
    done = run("theano-to-tf", weights)
    assert "exists already; --force replaces it, another name with -o writes elsewhere" in done.stderr
    assert done.returncode == OutputError.exit_code
    assert (weights.parent / "digits.keras").read_text() == "kept"


NAMES = {
    "net.keras": "keras",
    "net.weights.h5": "weights",
    "net.h5": "h5",
    "net.hdf5": "h5",
    "net.tf.h5": "h5",
    "net.savedmodel": "savedmodel",
    "net-torch": "safetensors",
    "net.pt": "pt",
    "net.onnx": "onnx",
    "net.th.h5": "theano",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_format_follows_from_the_name(port, tmp_path, name) -> None:
    written = ror_port.save(port, tmp_path / name)
    assert written.format == NAMES[name]
    assert written.path == written.verification.path == tmp_path / name
    assert written.sha256 == written.verification.sha256
    assert written.verification.passed, str(written.verification)


def test_every_format_can_be_chosen() -> None:
    assert {chosen(Path("net"), format.name) for format in FORMATS} == set(FORMATS)


def test_a_name_without_a_format_is_not_guessed(port, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"format: .*net ends in none of \.keras, .*; name the format"):
        ror_port.save(port, tmp_path / "net")
    with pytest.raises(UsageError, match="format: 'caffe' is none of keras, weights"):
        ror_port.save(port, tmp_path / "net", format="caffe")
    assert [path.name for path in tmp_path.iterdir()] == ["digits.h5"]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("net.keras", {"fold_bn": True}, "fold_bn: applies to onnx, not to keras"),
        ("net.h5", {"dtype": "float64"}, "dtype: applies to onnx, not to h5"),
        ("net.onnx", {"data_format": "channels_first"}, "data_format: applies to keras, .*, not to onnx"),
        ("net.pt", {"logits": True}, "logits: applies to .*, not to pt"),
        ("net.onnx", {"dtype": "float16"}, "dtype: 'float16' is neither"),
        ("net.keras", {"data_format": "NCHW"}, "data_format: 'NCHW' is no data format"),
        ("net.keras", {"certify": True, "verify": False}, "certify: a certificate needs the verification"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(port, tmp_path, name, settings, message) -> None:
    with pytest.raises(UsageError, match=message):
        ror_port.save(port, tmp_path / name, **settings)
    assert not (tmp_path / name).exists()


def test_settings_reach_the_network(port, tmp_path) -> None:
    import onnx

    ror_port.save(port, tmp_path / "net.onnx", logits=True, fold_bn=True)
    model = onnx.load(tmp_path / "net.onnx")
    assert model.graph.output[0].name == "head/dense"
    assert sum(node.op_type == "BatchNormalization" for node in model.graph.node) < 13
    ror_port.save(port, tmp_path / "double.onnx", dtype="float64", verify=False)
    assert onnx.load(tmp_path / "double.onnx").graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE


def test_verification_can_be_left_out(port, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(frameworks, "onnxruntime", lambda: pytest.fail("was loaded"))
    written = ror_port.save(port, tmp_path / "net.onnx", verify=False)
    assert (written.verification, written.effects, written.certificate) == (None, (), None)


def test_without_the_framework_the_output_is_kept_and_the_reason_stated(port, tmp_path, monkeypatch) -> None:
    def missing() -> None:
        raise MissingExtra("ONNX Runtime is not installed")

    monkeypatch.setattr(frameworks, "onnxruntime", missing)
    written = ror_port.save(port, tmp_path / "net.onnx")
    assert written.path.exists()
    assert written.verification.passed is None
    assert str(written.verification) == "not run: ONNX Runtime is not installed"
    assert written.verification.exit_code == MissingExtra.exit_code
    assert "--bn-epsilon 1e-05" in {effect.option for effect in written.effects}  # needs the reference alone


@pytest.mark.parametrize("name", ["net.keras", "net-torch", "net.onnx", "net.th.h5"])
def test_a_wrong_output_is_not_kept(port, tmp_path, monkeypatch, name) -> None:
    disturb(monkeypatch, 1e-3)
    with pytest.raises(ParityError, match=r"does not compute what the file does .*; nothing was written"):
        ror_port.save(port, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["digits.h5"]


def test_saving_and_verifying_have_one_tolerance(port, tmp_path, monkeypatch) -> None:
    """Errors between what rounding costs and a constant of 1e-5 used to pass the one and fail the other."""
    disturb(monkeypatch, 1e-6)
    ror_port.save(port, tmp_path / "net.onnx", verify=False)
    found = ror_port.verify(port, tmp_path / "net.onnx")
    assert found.tolerance.value < found.difference.relative_l2 < tolerances.FLOAT32
    assert found.passed is False
    assert found.exit_code == ParityError.exit_code
    with pytest.raises(ParityError):
        ror_port.save(port, tmp_path / "again.onnx")
    assert run("verify", port.checkpoint.path, tmp_path / "net.onnx").returncode == ParityError.exit_code


def test_bad_values_are_refused_or_not_verified(weights, tmp_path) -> None:
    import h5py

    with h5py.File(weights, "r+") as file:
        layer = file[file.attrs["layer_names"][1].decode()]
        layer[layer.attrs["weight_names"][0].decode()][...] = np.nan
    with ror_port.load(weights) as port, pytest.raises(BadValues, match="bad_values=True converts it all the same"):
        ror_port.save(port, tmp_path / "net.onnx")
    with ror_port.load(weights, bad_values=True) as port:
        with pytest.raises(BadValues, match=r"predictions mean nothing: .* holds NaN"):
            ror_port.save(port, tmp_path / "net.onnx", certify=True)
        assert not (tmp_path / "net.onnx").exists()
        found = ror_port.save(port, tmp_path / "net.onnx").verification
        assert found.passed is None
        assert isinstance(found.failure, BadValues)
        assert ror_port.verify(port, tmp_path / "net.onnx").exit_code == BadValues.exit_code
    done = run("verify", weights, tmp_path / "net.onnx", "--allow-bad-values")
    assert done.returncode == BadValues.exit_code
    assert "predictions mean nothing" in done.stderr


def test_inputs_are_those_that_are_given(port, tmp_path) -> None:
    ror_port.save(port, tmp_path / "net.onnx", verify=False)
    images = np.random.default_rng(0).random((3, 32, 32, 3))
    found = ror_port.verify(port, tmp_path / "net.onnx", inputs=images, per_layer=True)
    assert found.difference.images == 3
    assert found.layers
    assert not found.faulty_layers
    assert ror_port.verify(port, tmp_path / "net.onnx", count=2, seed=1).difference.images == 2
    with pytest.raises(UsageError, match="count: 0; at least one image"):
        ror_port.verify(port, tmp_path / "net.onnx", count=0)
    for wrong in (images[0], images[:, :16], images[:0], images.transpose(0, 3, 1, 2)):
        with pytest.raises(UsageError, match=r"inputs: .*; images \(batch, 32, 32, 3\) are expected"):
            ror_port.verify(port, tmp_path / "net.onnx", inputs=wrong)


def test_a_certificate_is_of_what_was_written(port, tmp_path) -> None:
    import json

    written = ror_port.save(port, tmp_path / "net.onnx", certify=True)
    assert written.certificate == tmp_path / "net.onnx.certificate.json"
    certificate = json.loads(written.certificate.read_text())
    (artifact,) = certificate["artifacts"]
    assert (artifact["file"], artifact["sha256"]) == ("net.onnx", written.sha256)
    assert certificate["inputs"]["sha256"]
    assert len(artifact["layers"]) > 20
    (tmp_path / "net.onnx").unlink()
    with pytest.raises(OutputError, match=r"net.onnx.certificate.json: exists already"):
        ror_port.save(port, tmp_path / "net.onnx", certify=True)
    assert not (tmp_path / "net.onnx").exists()


def test_every_error_is_of_one_family() -> None:
    errors = [error for error in vars(ror_port.errors).values() if isinstance(error, type)]
    found = [error for error in errors if issubclass(error, RorPortError)]
    assert sorted(error.exit_code for error in found) == list(range(1, 12))
    assert ror_port.RorPortError is RorPortError
    assert typing.get_type_hints(RorPortError.for_command)["return"] is str
