"""The networks that Keras published: their JSON is genuine, their tensors tell them, and what is like them is not.

With ROR_PORT_THOROUGH=1 every one at full size through the reference; else the smaller ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from genuine import relative_l2
from genuine_layers import APPLICATIONS, LayerRecord, application, application_texts
from ror_port import tolerances
from ror_port.api import load, save
from ror_port.errors import NotACheckpoint, RorPortError, UnknownNetwork
from ror_port.source.famous.table import FAMOUS
from ror_port.source.provenance import Given
from ror_port.source.script.stand_in import Keras, Session
from ror_port.source.statement import architecture

NAMES = sorted(path.stem for path in APPLICATIONS.glob("*.npz"))
SMALL = ("mobilenet_half-th", "music_tagger_crnn-tf", "vgg16_headless-th", "vgg16_headless-tf")
RUN = NAMES if os.environ.get("ROR_PORT_THOROUGH") else SMALL
KEYS = {network.name.lower(): network for network in FAMOUS}


def of(name: str) -> tuple[str, dict]:
    """The key of a record's network in the table, and what makes it that one."""
    plain = name.rpartition("-")[0]
    if plain == "vgg16_headless":
        return "vgg16", {"classes": None}
    if plain == "mobilenet_half":
        return "mobilenet", {"classes": 7, "alpha": 0.5, "size": 128}
    return plain.removesuffix("_of_keras_2"), {}


def stated(name: str, record: LayerRecord) -> dict:
    """What the weights do not tell; of networks that average over all positions, also the size of the images."""
    known = {"keras": record.session["keras"], "ordering": record.session["image_dim_ordering"]}
    return known | ({"size": 128} if name.startswith("mobilenet_half") else {})


def weights(record: LayerRecord, folder: Path) -> Path:
    record.write_weights(folder / "weights.h5")
    return folder / "weights.h5"


@pytest.mark.parametrize("name", NAMES)
def test_the_json_is_that_of_genuine_keras(name) -> None:
    session = json.loads(application_texts(name)["session"])
    key, arguments = of(name)
    version = tuple(map(int, session["keras"].split(".")))
    network = KEYS[key.replace("_", "")]
    keras = Keras(Session(version, session["image_dim_ordering"]))
    made = network.model(keras, **{"classes": network.classes, **arguments}).stated()
    genuine = json.loads(application_texts(name)["config"])
    assert made["config"]["layers"] == genuine["config"]["layers"]
    for ends in ("input_layers", "output_layers"):
        assert made["config"][ends] == genuine["config"][ends]


@pytest.mark.parametrize("name", RUN)
def test_the_tensors_tell_it_and_it_computes_what_genuine_keras_did(name, tmp_path) -> None:
    record = application(name)
    given = stated(name, record)
    with load(weights(record, tmp_path), **given) as port:
        assert port.name.lower().replace("_", "") == of(name)[0].replace("_", "")
        (begin,), (end,) = port.graph.inputs, port.graph.outputs
        axes = port.channels_last
        found = port.outputs({begin.name: axes.value(begin.name).view(record.inputs[0])}, end)[end]
        found = axes.value(end).inverse.view(found)
        assert relative_l2(found, record.outputs[0]) <= tolerances.FLOAT32
        assert relative_l2(found, record.outputs_float64[0]) <= tolerances.FLOAT64


@pytest.mark.parametrize("name", ["mobilenet_half-th"] if RUN is SMALL else NAMES)
def test_what_is_written_computes_the_same(name, tmp_path) -> None:
    """`save` runs the framework and compares it with the reference."""
    record = application(name)
    given = stated(name, record)
    with load(weights(record, tmp_path), **given) as port:
        for format, target in (("keras", "net.keras"), ("safetensors", "net"), ("onnx", "net.onnx")):
            assert save(port, tmp_path / target, format=format).verification is not None


def test_nobody_needs_to_say_anything_of_a_file_of_keras_1(tmp_path) -> None:
    with load(weights(application("music_tagger_crnn-tf"), tmp_path)) as port:
        facts = {fact.name: fact for fact in port.facts}
    assert (facts["architecture"].value, facts["architecture"].basis) == ("MusicTaggerCRNN, 50 classes", "inferred")
    assert facts["BatchNorm epsilon"].basis == "assumed"


def test_its_architecture_is_written_as_genuine_keras_did(tmp_path) -> None:
    record = application("music_tagger_crnn-tf")
    found = architecture(str(weights(record, tmp_path)), Given(keras="1.2.2"))
    assert found.source == "recognised: MusicTaggerCRNN, 50 classes, by names and shapes of 12 layers"
    assert found.config["config"]["layers"] == json.loads(record.config)["config"]["layers"]


@pytest.mark.parametrize(("kernels", "backend"), [("th", "theano"), ("tf", "tensorflow")])
def test_the_name_that_it_was_published_under_tells_the_backend(kernels, backend, tmp_path) -> None:
    path = weights(application("music_tagger_crnn-tf"), tmp_path)
    path = path.rename(tmp_path / f"music_tagger_crnn_weights_{kernels}_kernels_tf_dim_ordering.h5")
    with load(path) as port:
        (fact,) = (fact for fact in port.facts if fact.name == "backend")
    assert (fact.value, fact.basis) == (backend, "inferred")
    assert f"{kernels}_kernels" in fact.evidence


def altered(path: Path, change) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_one_that_was_altered_is_not_taken_for_it(tmp_path) -> None:
    """A kernel of another size, two layers swapped: what has the number of its layers and not their shapes or order."""

    def larger(file: h5py.File) -> None:
        del file["conv2/conv2_W"]
        file["conv2/conv2_W"] = np.zeros((5, 5, 64, 128), "f4")

    path = altered(weights(application("music_tagger_crnn-tf"), tmp_path), larger)
    with pytest.raises(UnknownNetwork, match="weights of no known network"):
        load(path)

    def swapped(file: h5py.File) -> None:
        names = list(file.attrs["layer_names"])
        a, b = names.index(b"conv3"), names.index(b"conv4")
        names[a], names[b] = names[b], names[a]
        file.attrs["layer_names"] = names

    path = altered(weights(application("music_tagger_crnn-tf"), tmp_path), swapped)
    with pytest.raises(RorPortError):
        load(path)


def test_layers_behind_it_are_not_left_out(tmp_path) -> None:
    """A head without weights, as `VGG16(include_top=False, pooling='avg')` has one; Keras lists it in the file."""

    def pooled(file: h5py.File) -> None:
        file.attrs["layer_names"] = [*file.attrs["layer_names"], b"globalaveragepooling2d_1"]
        file.create_group("globalaveragepooling2d_1").attrs["weight_names"] = np.zeros(0)

    path = altered(weights(application("vgg16_headless-tf"), tmp_path), pooled)
    with pytest.raises(UnknownNetwork, match="in a network that has other layers: 'globalaveragepooling2d_1'"):
        load(path)


def test_an_architecture_beside_it_that_is_another_one_is_not_passed_over(tmp_path) -> None:
    record = application("music_tagger_crnn-tf")
    path = weights(record, tmp_path)
    (tmp_path / "model.json").write_text(record.config)
    with load(path, keras="1.2.2") as port:  # it is the same
        assert port.name == "MusicTaggerCRNN"
    config = json.loads(record.config)
    config["config"]["layers"][-1]["config"]["activation"] = "softmax"
    (tmp_path / "model.json").write_text(json.dumps(config))
    with pytest.raises(NotACheckpoint, match=r"those of another network in 'model\.json'"):
        load(path, keras="1.2.2")
    with load(path, architecture=tmp_path / "model.json") as port:
        assert port.name == "a network of 23 layers"
