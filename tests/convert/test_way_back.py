"""Back to the file that a network came in: architecture, names and tensors as genuine Keras saved them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from commands import run
from conformance import (
    KERAS_0,
    THOROUGH,
    computed,
    error,
    inputs_of,
    may_refuse,
    opened,
    outputs_of,
    refusal,
    some,
    supported,
)
from genuine_layers import Case, cases, record
from ror_port import save, tolerances
from ror_port.convert.write import write
from ror_port.errors import RorPortError, UnknownNetwork
from ror_port.formats.format import BY_NAME
from ror_port.safety import limits
from ror_port.source.port import Port, load
from test_genuine_layers import assert_same

FORMATS = ("keras", "weights", "h5", "safetensors", "onnx")


def case_of(pattern: str) -> Case:
    (case,) = cases(pattern)
    return case


NESTED = case_of("keras-1.2.2-theano-*/nested/shared-model-th")
OTHERS = [
    case_of("keras-1.1.0-theano-*/networks/residual-th"),
    case_of("keras-1.0.6-theano-*/convolution1d/same-2-by-1-th"),
    case_of("keras-2.3.1-theano-*/networks/residual-th"),
    *cases(f"{KERAS_0}/networks/*"),
    case_of(f"{KERAS_0}/graphs/inputs-and-outputs"),
    case_of(f"{KERAS_0}/merge/nested"),
    case_of(f"{KERAS_0}/recurrent/two"),
    case_of(f"{KERAS_0}/recurrent/nested"),
    case_of(f"{KERAS_0}/recurrent/both-ways"),
    case_of(f"{KERAS_0}/recurrent/time-distributed-dense"),
    case_of(f"{KERAS_0}/embedding/dropout-masked"),
    case_of(f"{KERAS_0}/embedding/shared"),
]
DENSE = case_of("keras-2.2.4-theano-*/dense/functional-th")


def there(port: Port, name: str, folder: Path) -> Path:
    path = folder / f"other{BY_NAME[name].suffix}"
    write(port, path, BY_NAME[name])
    return path


def assert_as_it_came(back: Path, genuine: Path) -> None:
    """Everything is the same but for one attribute more, which the root has."""
    with h5py.File(back, "r+") as ours, h5py.File(genuine) as theirs:
        del ours.attrs["ror_port"]
        assert_same(ours, theirs)


@pytest.mark.parametrize("case", [*some(40)[:: 1 if THOROUGH else 2], *OTHERS], ids=str)
def test_a_genuine_file_comes_back_from_every_format(case: Case, tmp_path: Path) -> None:
    with supported(case, tmp_path) as port:
        for name in FORMATS:
            other = tmp_path / f"other{BY_NAME[name].suffix}"
            if reason := refusal(port, other, name):
                assert may_refuse(name, case, reason)
                continue
            with load(other) as converted:
                save(converted, tmp_path / f"{name}.h5", format="theano")  # and the reference computes the same
            assert_as_it_came(tmp_path / f"{name}.h5", tmp_path / "genuine.h5")


def test_it_comes_back_by_several_formats_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "genuine.h5"
    record(NESTED).write(path)
    for name in (*FORMATS, "theano"):
        with load(path) as port:
            path = tmp_path / f"{name}{BY_NAME[name].suffix}"
            write(port, path, BY_NAME[name])
    assert_as_it_came(path, tmp_path / "genuine.h5")


def test_what_was_stated_about_a_file_holds_for_the_one_that_comes_back(tmp_path: Path) -> None:
    """Keras 1 states no ordering for zero padding: without `ordering` these are read otherwise."""
    case = case_of("keras-1.2.2-theano-*/padding2d/1x2x0x3-tf")
    with opened(case, tmp_path) as port, load(there(port, "onnx", tmp_path)) as converted:
        save(converted, tmp_path / "back.h5", format="theano")
        with load(tmp_path / "back.h5") as back:
            assert back.graph == port.graph


FROM_TENSORFLOW = [
    case
    for case in cases("keras-1.2.2-tensorflow-*")
    if case.family in ("networks", "nested", "flatten", "merge") and not case.name.startswith(("mixed", "residual"))
]
"""Without those that pad as Theano cannot."""


@pytest.mark.parametrize("case", FROM_TENSORFLOW, ids=str)
def test_a_model_of_tensorflow_becomes_one_of_theano(case: Case, tmp_path: Path) -> None:
    """Under the same architecture, without ':0', with kernels that give on Theano what genuine TensorFlow gave."""
    found = record(case)
    with supported(case, tmp_path) as port, load(there(port, "keras", tmp_path)) as converted:
        inputs = inputs_of(port, found.inputs)
        save(converted, tmp_path / "back.h5", format="theano")
    with h5py.File(tmp_path / "back.h5") as file:
        assert json.loads(file.attrs["model_config"]) == json.loads(found.config)
    with load(tmp_path / "back.h5") as back:
        assert back.convention.theano
        given = dict(zip((node.name for node in back.graph.inputs), inputs.values(), strict=True))
        assert error(computed(back, given), outputs_of(back, found.outputs)) <= tolerances.FLOAT32


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("separable/separable-relu", "'separableconvolution2d_1': a SeparableConvolution2D, which Keras has on Theano"),
        ("deconvolution2d/same-3-by-2", "deconvolution2d_1 pads as TensorFlow's 'same' does"),
    ],
)
def test_what_keras_did_not_have_on_theano_is_refused_by_name(name: str, message: str, tmp_path: Path) -> None:
    with opened(case_of(f"keras-1.2.2-tensorflow-*/{name}-th"), tmp_path) as port:
        other = there(port, "keras", tmp_path)
    with load(other) as converted, pytest.raises(UnknownNetwork, match=message):
        save(converted, tmp_path / "back.h5", format="theano")
    assert not (tmp_path / "back.h5").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("merge/minimum-2", "Minimum"), ("separable/depthwise-valid-3-by-1-times-1", "DepthwiseConv2D")],
)
def test_without_an_original_a_layer_that_keras_1_lacked_is_refused_by_name(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ORIGINAL_BYTES", 0)
    refused = pytest.raises(UnknownNetwork, match=f"_1: a {kind}, which Keras 1 has not")
    with opened(case_of(f"keras-2.2.4-theano-*/{name}-th"), tmp_path) as port, refused:
        save(port, tmp_path / "back.h5", format="theano")


def test_an_original_that_is_too_long_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights go back alone then, with the names of Keras 1."""
    monkeypatch.setattr(limits, "MAX_ORIGINAL_BYTES", 100)
    with opened(case_of("keras-2.2.4-theano-*/dense/plain-th"), tmp_path) as port:
        other = there(port, "keras", tmp_path)
    with load(other) as converted:
        assert converted.returned is None
        save(converted, tmp_path / "back.h5", format="theano")
    with h5py.File(tmp_path / "back.h5") as file:
        assert "model_config" not in file.attrs
        assert list(file["dense_1"]) == ["dense_1_W", "dense_1_b"]


@pytest.mark.parametrize("name", ["pre-ror-3-10_keras-2.2.4", "ror-3-wrn-16-2-theano-tf_keras-1.2.2"])
def test_weights_alone_come_back_in_their_generation(genuine: Any, name: str, tmp_path: Path) -> None:
    with load(genuine(name).weights) as port, load(there(port, "safetensors", tmp_path)) as converted:
        written = save(converted, tmp_path / "back.h5", format="theano")
    assert f"in Keras {'2.2.4' if '2.2.4' in name else '1'} on Theano" in written.opened
    assert_as_it_came(tmp_path / "back.h5", genuine(name).weights)


@pytest.mark.parametrize("format", ["theano", "keras", "onnx"])
def test_deviations_of_keras_1_0_6_come_back(genuine: Any, format: str, tmp_path: Path) -> None:
    """They were squared on the way there: to the last bit from float64, else but for its rounding."""
    source = genuine("pre-ror-3-10_keras-1.0.6").weights
    with load(source, keras="1.0.6") as port:
        other = there(port, format, tmp_path)
    with load(other) as converted:
        save(converted, tmp_path / "back.h5", format="theano")
    with h5py.File(source) as before, h5py.File(tmp_path / "back.h5") as after:
        for layer in before:
            for weight in before[layer]:
                found, expected = after[layer][weight][()], before[layer][weight][()]
                if format != "theano" and weight.endswith("running_std"):
                    np.testing.assert_array_max_ulp(found, expected, 1)
                else:
                    assert found.tobytes() == expected.tobytes(), weight


def altered(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Weights of Keras 3 with another original in them. change: is given it, and changes it or returns another."""
    with h5py.File(path, "r+") as file:
        stated = json.loads(file.attrs["ror_port"])
        found = change(stated["original"])
        stated["original"] = stated["original"] if found is None else found
        file.attrs["ror_port"] = json.dumps(stated)
    return path


def other_activation(original: dict[str, Any]) -> None:
    next(layer for layer in original["config"]["config"]["layers"] if "activation" in layer["config"])["config"][
        "activation"
    ] = "softsign"


def named(name: str) -> Callable[[dict[str, Any]], None]:
    def change(original: dict[str, Any]) -> None:
        next(tensors for _, tensors in original["layers"] if tensors)[0][0] = name

    return change


def setting(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda original: original.__setitem__(key, value)


ALTERED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another activation": (other_activation, "is not the network of the original that it carries"),
    "a Lambda": (
        lambda original: original["config"]["config"]["layers"][-1].update(class_name="Lambda"),
        "a Lambda layer, which is Python code",
    ),
    "no object": (lambda original: [original], "not what ror-port wrote"),
    "no architecture": (setting("config", "model"), "not what ror-port wrote"),
    "another version": (setting("keras_version", "9.9.9"), "no version of Keras"),
    "no layers": (setting("layers", {}), "layers are no list"),
    "a layer too many": (
        lambda original: original["layers"].append(["more", [["more/kernel", [1, 1]]]]),
        "has no layer 'more'",
    ),
    "two of one name": (lambda original: original["layers"].append(original["layers"][-1]), "of one name"),
    "a tensor in a tensor": (
        lambda original: next(t for _, t in original["layers"] if t).append(["first/kernel/more", [1]]),
        "layers or weights of one name",
    ),
    "a tensor above": (named("../kernel"), "no name for a layer or a weight"),
    "a zero byte": (named("a\0"), "no name for a layer or a weight"),
    "half a character": (named("\ud800"), "no name for a layer or a weight"),
    "another shape": (
        lambda original: next(t for _, t in original["layers"] if t)[0].__setitem__(1, [3, 3]),
        "expects kernel",
    ),
    "an endless shape": (
        lambda original: next(t for _, t in original["layers"] if t)[0].__setitem__(1, [1 << 40]),
        "where a tensor is expected",
    ),
    "given facts": (setting("given", {"ordering": "up"}), "where given facts are expected"),
    "a given number": (setting("given", {"epsilon": 1e9}), "a number above 0"),
    "a given name": (setting("given", {"architecture": "/etc/passwd"}), "where given facts are expected"),
    "a deep architecture": (
        setting("config", json.loads('{"class_name": "Sequential", "config": [' * 60 + "{}" + "]}" * 60)),
        "nested more than|no input shape|not the JSON",
    ),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_original_is_refused(name: str, tmp_path: Path) -> None:
    change, message = ALTERED[name]
    with opened(DENSE, tmp_path) as port:
        other = altered(there(port, "weights", tmp_path), change)
    with load(other) as converted, pytest.raises(RorPortError, match=message) as refusal:
        save(converted, tmp_path / "back.h5", format="theano")
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "back.h5").exists()


def test_an_original_that_is_nested_too_deep_is_left_out(tmp_path: Path) -> None:
    with opened(DENSE, tmp_path) as port:
        other = altered(there(port, "weights", tmp_path), setting("given", json.loads("[" * 900 + "]" * 900)))
    with load(other) as converted:
        assert converted.original is None
        write(converted, tmp_path / "net", BY_NAME["safetensors"])


def test_a_gamma_that_was_trained_beside_the_architecture_is_refused(tmp_path: Path) -> None:
    """PyTorch needs one for every BatchNorm; where it is still 1, the network is the original's."""
    from safetensors.numpy import load_file, save_file

    case = case_of("keras-2.2.4-theano-*/normalization/no-scale-th")
    with opened(case, tmp_path) as port:
        weights = there(port, "safetensors", tmp_path) / "model.safetensors"
    tensors = load_file(weights)
    (gamma,) = (name for name, array in tensors.items() if name.startswith("batch") and (array == 1).all())
    tensors[gamma] = tensors[gamma] * np.float32(1.5)
    save_file(tensors, weights)
    with load(weights.parent) as converted, pytest.raises(UnknownNetwork, match="was trained to have a gamma"):
        save(converted, tmp_path / "back.h5", format="theano")


def test_an_epsilon_that_the_architecture_contradicts_is_refused(tmp_path: Path) -> None:
    record(case_of("keras-2.2.4-theano-*/networks/residual-th")).write(tmp_path / "genuine.h5")
    refused = pytest.raises(UnknownNetwork, match=r"was read otherwise than its architecture states \(epsilon 0.5\)")
    with load(tmp_path / "genuine.h5", epsilon=0.5) as port, refused:
        save(port, tmp_path / "back.h5", format="theano")


def test_weights_with_an_architecture_beside_them_become_a_model(tmp_path: Path) -> None:
    found = record(NESTED)
    found.write_weights(tmp_path / "genuine.h5")
    (tmp_path / "model.json").write_text(json.dumps({**json.loads(found.config), "keras_version": "1.2.2"}))
    with load(tmp_path / "genuine.h5") as port, load(there(port, "keras", tmp_path)) as converted:
        assert "load_model" in save(converted, tmp_path / "back.h5", format="theano").opened
    with load(tmp_path / "back.h5") as back:
        assert back.checkpoint.keras_version == "1.2.2"
        assert (
            error(computed(back, inputs_of(back, found.inputs)), outputs_of(back, found.outputs)) < tolerances.FLOAT32
        )


def test_a_certificate_of_the_way_back_can_be_checked_again(tmp_path: Path) -> None:
    """Nothing is assumed of such a model."""
    with opened(NESTED, tmp_path) as port:
        other = there(port, "onnx", tmp_path)
    assert run("to-theano", other, "-o", tmp_path / "back.h5", "--certify").returncode == 0
    done = run("verify", "--certificate", tmp_path / "back.h5.certificate.json")
    assert done.returncode == 0, done.stderr
    assert "if an assumed fact" not in done.stdout
