"""Every file of Keras weights is described, whether it can be converted or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import jsonschema
import numpy as np
import pytest

import ror_port
from commands import run
from genuine_layers import Case, LayerRecord, cases, record
from ror_port.check.schema import mismatch
from ror_port.cli.text import MOST_ROWS, description_text
from ror_port.formats import storage
from ror_port.source import description
from ror_port.source.description import Description
from ror_port.source.from_config import stored_layers
from ror_port.source.provenance import Given

SCHEMA = json.loads(Path(description.__file__).with_name("description.schema.json").read_text())
NETWORKS = [case for family in ("networks", "nested", "lambdas") for case in cases(f"*-2.2.4-*/{family}/*")][::4]
REFUSED = [
    case
    for family in ("embedding", "masks", "time_distributed", "old_layers")
    for case in cases(f"*/{family}/*")
    if any(layer.weights for layer in record(case).layers)
]
CASES = [
    *cases("keras-1.2.2-*/merge_more/first-nested-*"),
    *NETWORKS,
    *REFUSED[::5],
    *cases("keras-1.2.2-theano-0.9.0/networks/*")[::3],
]


@pytest.fixture(autouse=True)
def no_values(monkeypatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(storage, "read", read)


def describe(path: Path, given: Given | None = None) -> Description:
    """The description of a file, once both of its forms are found to be what they should."""
    found = description.describe(path, given or Given())
    stated = json.loads(json.dumps(found.as_json()))
    jsonschema.Draft202012Validator(SCHEMA).validate(stated)
    assert mismatch(stated, SCHEMA) is None
    for whole in (False, True):
        text = description_text(found, tensors=whole)
        assert text.replace("\n", "").replace("\x1b[33m", "").replace("\x1b[0m", "").isprintable()
    return found


def facts(found: Description) -> dict[str, str]:
    return {fact.name: f"{fact.basis} {fact.value}" for fact in found.facts}


def written(case: Case, folder: Path, how: str) -> tuple[LayerRecord, Path]:
    found, path = record(case), folder / "genuine.h5"
    if how == "inside":
        found.write(path)
        return found, path
    found.write_weights(path)
    if how == "beside":
        (folder / "architecture.json").write_text(found.config)
    return found, path


@pytest.mark.parametrize("how", ["inside", "beside"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_description_is_what_genuine_keras_had(case, how, tmp_path) -> None:
    """Its layers, their weights, what went in, and, where the network is understood, what came out."""
    genuine, path = written(case, tmp_path, how if record(case).saves_models else "beside")
    found = describe(path)
    stated = stored_layers(json.loads(genuine.config))
    assert {(layer["class_name"], layer["config"]["name"]) for layer in stated if "name" in layer["config"]} <= {
        (layer.class_name, layer.name) for layer in found.layers
    }
    assert {layer.basis for layer in found.layers} == {"recorded"}
    held = {layer.name: [weight.shape for weight in layer.weights] for layer in found.layers}
    for layer in genuine.layers:
        assert held[layer.name] == [array.shape for array in layer.weights.values()]
    assert found.size == sum(array.size for layer in genuine.layers for array in layer.weights.values())
    for value, array in zip(found.inputs, genuine.inputs, strict=True):
        assert len(value.shape) == array.ndim - 1
        assert all(size in (None, actual) for size, actual in zip(value.shape, array.shape[1:], strict=True))
    if found.port:
        assert [value.shape for value in found.outputs] == [array.shape[1:] for array in genuine.outputs]
        assert all(layer.shape for layer in found.layers)
    assert bool(found.refusals) is (found.port is None)
    generation = genuine.session["keras"][0]
    assert found.era == ("Keras 0.x" if generation == "0" else f"Keras {generation}")
    assert found.architecture == ("beside" if (tmp_path / "architecture.json").exists() else "inside")


SEQUENTIAL = Case("keras-1.2.2-theano-0.9.0", "networks", "sequential-th")


def altered(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the layers of a stored Sequential."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]:
            change(layer)
        file.attrs["model_config"] = json.dumps(config).encode()


def test_every_unsupported_layer_is_named_and_shapes_are_known_before_the_first(tmp_path) -> None:
    _, path = written(SEQUENTIAL, tmp_path, "inside")
    before = describe(path).layers

    def foreign(layer: dict[str, Any]) -> None:
        if layer["class_name"] in ("Flatten", "Dense"):
            layer["class_name"] = "Foreign"

    altered(path, foreign)
    found = describe(path)
    refused = [layer.name for layer in before if layer.class_name in ("Flatten", "Dense")]
    assert [refusal.layer for refusal in found.refusals] == refused
    assert {refusal.reason for refusal in found.refusals} == {
        "layers of class 'Foreign' are not supported; an installed package can bring a layer of its author's: "
        "docs/extending.md"
    }
    first = [layer.name for layer in before].index(refused[0])
    assert [layer.shape for layer in found.layers[:first]] == [layer.shape for layer in before[:first]]
    assert {layer.shape for layer in found.layers[first:]} == {None}
    assert [(layer.name, layer.size) for layer in found.layers] == [(layer.name, layer.size) for layer in before]
    assert facts(found) == {
        "format": "recorded Keras full model, HDF5",
        "Keras": "recorded 1.2.2",
        "backend": "inferred theano",
        "dim ordering": "recorded th",
        "network": f"recorded {len(before)} layers",
    }


@pytest.mark.parametrize("ordering", ["th", "tf"])
def test_weights_without_an_architecture(ordering, tmp_path) -> None:
    genuine, path = written(SEQUENTIAL._replace(name=f"residual-{ordering}"), tmp_path, "nowhere")
    found = describe(path)
    assert (found.architecture, found.inputs, found.outputs, found.era) == ("none", (), (), "Keras 1")
    assert [layer.name for layer in found.layers] == [layer.name for layer in genuine.layers]
    assert {(layer.class_name, layer.basis) for layer in found.layers if layer.weights} <= {
        ("Conv2D", "inferred"),
        ("BatchNormalization", "inferred"),
        ("Dense", "inferred"),
    }
    assert facts(found)["Keras"] == "inferred 1"
    assert facts(found)["dim ordering"] == f"inferred {ordering}"
    (refusal,) = found.refusals
    assert refusal.reason.endswith(
        "give it with --architecture, as JSON or YAML, or with --model, as the script it came with"
    )


@pytest.mark.parametrize("changed", ["Dense", "no class"])
def test_an_architecture_beside_that_is_another_one_is_named(changed, tmp_path) -> None:
    """Also where it could not be ported itself."""
    other = record(Case("keras-2.2.4-theano-1.0.5", "networks", "residual-th"))
    _, path = written(SEQUENTIAL, tmp_path, "nowhere")
    (tmp_path / "other.json").write_text(other.config.replace(f'"{changed}"', '"Foreign"'))
    found = describe(path)
    assert found.architecture == "none"
    assert [refusal.reason for refusal in found.refusals if refusal.reason.startswith("other.json: has no layer")]


@pytest.mark.parametrize(
    ("version", "era"),
    [("1.2.2", "Keras 1"), ("2.3.1", "Keras 2"), ("2.2.4-tf", "tf.keras"), ("2.4.0", "tf.keras"), ("x", None)],
)
def test_the_era_follows_from_the_recorded_version(version, era, tmp_path) -> None:
    case = cases("keras-2.2.4-theano-1.0.5/networks/*")[0] if version[0] == "2" else SEQUENTIAL
    _, path = written(case, tmp_path, "inside")
    with h5py.File(path, "r+") as file:
        for owner in (file, file["model_weights"]):
            if "keras_version" in owner.attrs:
                owner.attrs["keras_version"] = version.encode()
    assert describe(path).era == era


KERAS_0 = [
    {"name": "Convolution2D", "dim_ordering": "th", "input_shape": [1, 8, 8], "nb_filter": 2, "nb_row": 3, "nb_col": 3},
    {"name": "Activation", "activation": "relu"},
    {"name": "Flatten"},
    {"name": "Dense", "output_dim": 3},
]
"""Layers as genuine files of 2015 list them, with fewer settings."""


def keras_0(path: Path, **attributes: Any) -> None:
    """Weights as Keras 0.3 saved them: models.py, Sequential.save_weights."""
    weights = [[(2, 1, 3, 3), (2,)], [], [], [(72, 3), (3,)]]
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = len(weights)
        for number, shapes in enumerate(weights):
            group = file.create_group(f"layer_{number}")
            group.attrs["nb_params"] = len(shapes)
            for n, shape in enumerate(shapes):
                group.create_dataset(f"param_{n}", data=np.zeros(shape, "float32"))
        for name, value in attributes.items():
            file.attrs[name] = value


@pytest.mark.parametrize(("listed", "stated"), [(KERAS_0, True), (KERAS_0[:1] + KERAS_0, False)])
def test_keras_0(listed, stated, tmp_path) -> None:
    """Layers are told by their number, so that an architecture must list as many."""
    keras_0(tmp_path / "weights.h5")
    (tmp_path / "net.json").write_text(json.dumps({"name": "Sequential", "layers": listed, "loss": "mse"}))
    found = describe(tmp_path / "weights.h5")
    assert (found.era, found.port is not None, found.size) == ("Keras 0.x", stated, 239)
    assert facts(found)["dim ordering"] == ("recorded th" if stated else "inferred th")
    assert facts(found)["backend"] == "assumed theano"
    assert [layer.size for layer in found.layers] == [20, 0, 0, 219]
    reasons = [refusal.reason.partition(", which")[0] for refusal in found.refusals]
    wrong = "net.json: lists 5 layers, the file has 4"
    assert reasons == ([] if stated else ["weights of Keras 0.x", wrong])
    if stated:
        assert [layer.class_name for layer in found.layers] == [layer["name"] for layer in KERAS_0]
        assert found.inputs[0].shape == (1, 8, 8)
        ror_port.load(tmp_path / "weights.h5").close()
        return
    with pytest.raises(ror_port.errors.UnknownNetwork, match=r"Keras 0\.x"):
        ror_port.load(tmp_path / "weights.h5")


def test_a_graph_of_keras_0(tmp_path) -> None:
    with h5py.File(tmp_path / "graph.h5", "w") as file:
        file.create_group("graph").attrs["nb_params"] = 1
        file["graph/param_0"] = np.zeros((4, 3), "float32")
    found = describe(tmp_path / "graph.h5")
    assert (found.era, found.size, [layer.name for layer in found.layers]) == ("Keras 0.x", 12, ["graph"])


@pytest.mark.parametrize(
    ("count", "code"), [(5, 4), (10**6, 5), (-1, 5), ("4", 4), ([4, 4], 4), (4.0, 4), (np.uint64(2**64 - 1), 5)]
)
def test_wrong_numbers_of_layers_are_refused(count, code, tmp_path) -> None:
    keras_0(tmp_path / "weights.h5", nb_layers=count)
    done = run("inspect", tmp_path / "weights.h5")
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)


def test_names_out_of_files_do_nothing_to_a_terminal(tmp_path) -> None:
    """`describe` finds every text printable."""
    evil = "\x1b[2J\u202e\n"
    genuine, path = written(SEQUENTIAL, tmp_path, "nowhere")
    config = json.loads(genuine.config)
    for layer in config["config"]:
        layer["config"]["name"] += evil
    with h5py.File(path, "r+") as file:
        for name in list(file):
            file.move(name, name + evil)
        file.attrs["layer_names"] = [layer.name.encode() + evil.encode() for layer in genuine.layers]
    assert describe(path).port is None
    beside = tmp_path / f"{evil}.json"
    beside.write_text(json.dumps(config))
    assert describe(path).port
    config["keras_version"] = evil
    for layer in config["config"]:
        layer["class_name"] += evil
    beside.write_text(json.dumps(config))
    found = describe(path, Given(architecture=beside))
    assert found.architecture == "given"
    assert len(found.refusals) > len(found.layers) > 0


def test_a_long_table_is_cut_in_text_alone(tmp_path) -> None:
    layers = [{"name": "Activation", "activation": "relu"}] * 2_000
    path = tmp_path / "weights.h5"
    keras_0(path)
    with h5py.File(path, "r+") as file:
        file.attrs["nb_layers"] = 4 + len(layers)
        for number in range(4, 4 + len(layers)):
            file.create_group(f"layer_{number}").attrs["nb_params"] = 0
    (tmp_path / "net.json").write_text(json.dumps({"name": "Sequential", "layers": KERAS_0 + layers}))
    found = describe(path)
    text = description_text(found, tensors=False)
    assert f"… {2_004 - MOST_ROWS:,} more layers" in text
    assert len(text.splitlines()) < MOST_ROWS + 20
    assert len(found.as_json()["layers"]) == 2_004
    assert len(description_text(found, tensors=True).splitlines()) > 2_004


def test_the_command_describes_what_it_cannot_convert(tmp_path) -> None:
    """In text and as JSON, with exit code 0; a conversion fails, also with --dry-run."""
    keras_0(tmp_path / "weights.h5")
    done = run("inspect", "weights.h5", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\ncannot be converted: weights of Keras 0.x" in done.stdout
    done = run("inspect", "weights.h5", "--json", cwd=tmp_path)
    assert done.returncode == 0
    stated = json.loads(done.stdout)
    assert (stated["convertible"], stated["file"]) == (False, "weights.h5")
    assert run("theano-to-tf", "weights.h5", "--dry-run", cwd=tmp_path).returncode == 7
