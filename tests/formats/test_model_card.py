"""Folders for a hub: the Keras folder, the model card's YAML, and `from_pretrained` of a name."""

import importlib.util
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import ror_port
from commands import run
from genuine_layers import Case, record
from ror_port.errors import NotACheckpoint, UnsafeFile, UsageError
from ror_port.formats import kind_of
from ror_port.formats.model_card import with_accuracy
from ror_port.safety import limits


def front(folder) -> dict:
    """The YAML of a model card."""
    _, text, _ = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(text)


@pytest.fixture
def small(tmp_path):
    """A genuine model of three Dense layers, which is of no family."""
    path = tmp_path / "small.h5"
    record(Case("keras-2.2.4-theano-1.0.5", "dense", "two-th")).write(path)
    return path


@pytest.fixture
def keras_folder(pre_ror, tmp_path):
    with ror_port.load(pre_ror.weights) as port:
        ror_port.save(port, tmp_path / "net", format="hf", license="mit", verify=False)
    return tmp_path / "net"


def test_keras_loads_the_folder_and_computes_what_theano_did(pre_ror, tmp_path) -> None:
    import keras

    with ror_port.load(pre_ror.weights) as port:
        written = ror_port.save(port, tmp_path / "net", format="hf")
        ror_port.save(port, tmp_path / "net.keras", verify=False)
    assert written.verification.passed
    assert sorted(os.listdir(tmp_path / "net")) == ["README.md", "config.json", "metadata.json", "model.weights.h5"]
    folder, archive = (keras.saving.load_model(tmp_path / name) for name in ("net", "net.keras"))
    array = np.random.default_rng(0).random((2, *folder.input_shape[1:]))
    np.testing.assert_array_equal(folder.predict(array, verbose=0), archive.predict(array, verbose=0))


def test_the_folder_is_read_as_its_archive_is(pre_ror, keras_folder, tmp_path) -> None:
    assert kind_of(keras_folder) == "hf"
    with ror_port.load(pre_ror.weights) as port:
        ror_port.save(port, tmp_path / "net.keras", verify=False)
    with ror_port.load(keras_folder) as folder, ror_port.load(tmp_path / "net.keras") as archive:
        assert folder.graph == archive.graph
        for (name, one), (same, other) in zip(folder.parameters(), archive.parameters(), strict=True):
            assert name == same
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_a_folder_with_too_large_a_text_is_refused(keras_folder, name) -> None:
    with (keras_folder / name).open("a") as file:
        file.write(" " * (limits.MAX_CONFIG_BYTES + 1))
    with pytest.raises(UnsafeFile, match="the limit"):
        ror_port.load(keras_folder)


def test_what_is_too_large_is_so_in_bytes(keras_folder) -> None:
    """With fewer characters than bytes, and nothing behind the limit that would be missed."""
    config = keras_folder / "config.json"
    model = config.read_text().rstrip().removesuffix("}")
    note = "€" * (limits.MAX_CONFIG_BYTES // 6)
    config.write_text(f'{model}, "note": "{note}"}}' + " " * limits.MAX_CONFIG_BYTES, encoding="utf-8")
    with pytest.raises(UnsafeFile, match="too large; the limit"):
        ror_port.load(keras_folder)


def test_a_damaged_folder_is_refused(keras_folder) -> None:
    (keras_folder / "model.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    done = run("inspect", keras_folder)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_is_replaced_only_where_it_is_one_of_ours(keras_folder, pre_ror) -> None:
    with ror_port.load(pre_ror.weights) as port:
        ror_port.save(port, keras_folder, format="hf", verify=False, force=True)
        (keras_folder / "notes.txt").write_text("mine")
        with pytest.raises(ror_port.RorPortError, match="is not a folder that ror-port wrote"):
            ror_port.save(port, keras_folder, format="hf", verify=False, force=True)


def test_the_card_states_what_is_known_and_nothing_else(keras_folder, small, tmp_path) -> None:
    assert front(keras_folder) == {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["keras", "theano", "ror-port"],
        "license": "mit",
    }
    with ror_port.load(small) as port:
        ror_port.save(port, tmp_path / "torch", format="safetensors", verify=False)
    assert front(tmp_path / "torch") == {"library_name": "pytorch", "tags": ["ror_port", "theano", "ror-port"]}


@pytest.mark.parametrize("name", ["", "no licence", "mit\nx: 1", '"', "a" * 100])
def test_a_licence_is_an_identifier(small, tmp_path, name) -> None:
    with ror_port.load(small) as port, pytest.raises(UsageError, match=r"^license: .*an identifier such as mit"):
        ror_port.save(port, tmp_path / "net", format="hf", license=name)


def test_formats_without_a_card_take_no_licence(small, tmp_path) -> None:
    with ror_port.load(small) as port, pytest.raises(UsageError, match="applies to hf, safetensors, not to keras"):
        ror_port.save(port, tmp_path / "net.keras", license="mit")


def test_the_accuracy_is_in_the_card_once_it_was_measured(keras_folder, tmp_path) -> None:
    data = tmp_path / "data.npz"
    images = np.random.default_rng(0).random((5, 32, 32, 3))
    np.savez(data, x=images, y=np.arange(5))
    before = (keras_folder / "README.md").read_text()
    for _ in range(2):  # the second replaces what the first wrote
        done = run("evaluate", keras_folder, "--data", data, "--card", "--json")
        assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    ((result,),) = [entry["results"] for entry in front(keras_folder)["model-index"]]
    assert result["metrics"][0]["value"] == round(measured["accuracy"], 6)
    assert result["dataset"]["name"] == measured["data"]
    after = (keras_folder / "README.md").read_text()
    assert after.split("---\n", 2)[2] == before.split("---\n", 2)[2]
    with ror_port.load(keras_folder) as port:  # it is read as before
        assert port.family


@pytest.mark.parametrize("card", ["", "# A net\n", "---\nlibrary_name: keras\n---\n# x\n", "---\nmine: 1\n---\n# x\n"])
def test_a_card_that_is_not_ours_is_left_alone(card) -> None:
    with pytest.raises(NotACheckpoint, match="not one that ror-port wrote"):
        with_accuracy(card, dataset="d", accuracy=0.5, images=2, runtime="Keras")


@pytest.mark.parametrize("of_a_family", [True, False])
def test_from_pretrained_takes_a_name_on_the_hub(pre_ror, small, tmp_path, monkeypatch, of_a_family) -> None:
    with ror_port.load(pre_ror.weights if of_a_family else small) as port:
        ror_port.save(port, tmp_path / "net", format="safetensors", verify=False)
        name = port.family.class_name if port.family else "Network"
    specification = importlib.util.spec_from_file_location("modeling_ror", tmp_path / "net" / "modeling_ror.py")
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "modeling_ror", module)
    specification.loader.exec_module(module)
    network = getattr(module, name)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match="huggingface_hub"):
        network.from_pretrained("user/net")
    asked = []
    hub = SimpleNamespace(
        snapshot_download=lambda name, **_: asked.append(name) or str(tmp_path / "net"),
        hf_hub_download=lambda name, file: asked.append(name) or str(tmp_path / "net" / file),
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    there = network.from_pretrained("user/net")
    here = network.from_pretrained(tmp_path / "net")
    assert asked == ["user/net"]
    for one, other in zip(there.state_dict().values(), here.state_dict().values(), strict=True):
        np.testing.assert_array_equal(one, other)
