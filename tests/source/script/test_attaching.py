"""Weights and the script they came with: which model is taken, what is said of it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from genuine import FIXTURES, relative_l2
from genuine_layers import Case, LayerRecord, record
from ror_port.api import load, save
from ror_port.cli import cli
from ror_port.errors import NotACheckpoint, UnknownNetwork, UsageError
from ror_port.source.provenance import Given
from ror_port.source.statement import architecture

SEQUENTIAL = Case("keras-1.2.2-theano-0.9.0", "networks", "sequential-th")
RESIDUAL = Case("keras-1.2.2-theano-0.9.0", "networks", "residual-th")

HEAD = """
from keras.models import Sequential, Model
from keras.layers import *
"""

SCRIPT = """
m = Sequential()
m.add(Convolution2D(3, 3, 3, border_mode='same', activation='relu', input_shape=(2, 8, 7)))
m.add(MaxPooling2D((2, 2)))
m.add(Dropout(0.25))
m.add(ZeroPadding2D((1, 1)))
m.add(Convolution2D(2, 2, 2))
m.add(BatchNormalization(axis=1))
m.add(Activation('elu'))
m.add(Flatten())
m.add(Dense(4))
m.add(Activation('softsign'))
m.load_weights('weights.h5')
"""

RESIDUAL_SCRIPT = """
entry = Input((2, 7, 6), name='picture')
stem = Convolution2D(3, 3, 3, border_mode='same')(entry)
way = BatchNormalization(axis=1)(stem)
way = Activation('relu')(way)
way = Convolution2D(3, 3, 3, border_mode='same', subsample=(2, 2))(way)
short = Convolution2D(3, 1, 1, border_mode='same', subsample=(2, 2), name='shortcut')(stem)
total = merge([short, way], mode='sum')
total = MaxPooling2D((2, 2))(total)
flat = Dense(4, activation='tanh')(Flatten()(total))
net = Model(input=entry, output=Dense(3, activation='softmax')(flat))
"""


@pytest.fixture
def weights(tmp_path) -> tuple[LayerRecord, Path]:
    genuine = record(SEQUENTIAL)
    genuine.write_weights(tmp_path / "weights.h5")
    return genuine, tmp_path / "weights.h5"


def script(folder: Path, text: str, name: str = "train.py") -> str:
    (folder / name).write_text(HEAD + text)
    return str(folder / name)


def outputs(path: Path, genuine: LayerRecord, **given: object) -> np.ndarray:
    with load(path, **given) as port:  # type: ignore[arg-type]
        inputs = {
            node.name: port.channels_last.value(node.name).view(array)
            for node, array in zip(port.graph.inputs, genuine.inputs, strict=True)
        }
        (name,) = port.graph.outputs
        return port.channels_last.value(name).inverse.view(port.outputs(inputs, name)[name])


def renumbered(path: Path, change: dict[str, str]) -> Path:
    """A copy of a weights file whose layers are called otherwise, in the file and in the names of their weights."""
    target = path.with_name("renumbered.h5")
    with h5py.File(path) as old, h5py.File(target, "w") as new:
        names = [name.decode() if isinstance(name, bytes) else name for name in old.attrs["layer_names"]]
        new.attrs["layer_names"] = [change.get(name, name).encode() for name in names]
        for name in names:
            group = new.create_group(change.get(name, name))
            stored = [weight.decode() for weight in old[name].attrs["weight_names"]]
            called = [weight.replace(name, change.get(name, name)) for weight in stored]
            group.attrs["weight_names"] = np.array([weight.encode() for weight in called])
            for weight, other in zip(stored, called, strict=True):
                group[other] = old[name][weight][()]
    return target


def test_the_script_gives_what_genuine_keras_computed(weights, tmp_path) -> None:
    genuine, path = weights
    found = outputs(path, genuine, model=script(tmp_path, SCRIPT), keras="1.2.2")
    assert relative_l2(found, genuine.outputs_float64[0]) <= 1e-12


def test_where_it_comes_from_is_a_fact_and_what_nobody_states_is_assumed(weights, tmp_path) -> None:
    _, path = weights
    with load(path, model=script(tmp_path, SCRIPT)) as port:
        facts = {fact.name: fact for fact in port.facts}
    assert facts["architecture"].basis == "given"
    assert "'m' (train.py:5)" in facts["architecture"].evidence
    assert facts["BatchNorm epsilon"].basis == "assumed"
    assert facts["dim ordering"].basis == "assumed"
    with load(path, model=script(tmp_path, SCRIPT.replace("axis=1", "axis=1, epsilon=0.01"))) as port:
        (fact,) = (fact for fact in port.facts if fact.name == "BatchNorm epsilon")
    assert (fact.basis, fact.value) == ("recorded", "0.01")
    with load(path, model=script(tmp_path, SCRIPT), keras="1.1") as port:
        assert [fact.value for fact in port.facts if fact.name == "BatchNorm epsilon"] == ["1e-05"]


def test_some_epsilons_stated_and_some_not_is_refused_until_the_release_is(tmp_path) -> None:
    genuine = record(Case("keras-1.2.2-theano-0.9.0", "networks", "inception-th"))
    config = json.loads(genuine.config)
    norms = [layer for layer in config["config"]["layers"] if layer["class_name"] == "BatchNormalization"]
    del norms[0]["config"]["epsilon"]
    genuine.write_weights(tmp_path / "weights.h5")
    (tmp_path / "model.json").write_text(json.dumps(config))
    with pytest.raises(UnknownNetwork, match="some BatchNormalizations state no epsilon"):
        load(tmp_path / "weights.h5", architecture=tmp_path / "model.json")


def test_layers_that_the_session_counted_on_are_paired_by_their_numbers(weights, tmp_path) -> None:
    genuine, path = weights
    change = {"convolution2d_1": "convolution2d_57", "convolution2d_2": "convolution2d_112", "dense_1": "dense_9"}
    other = renumbered(path, change)
    found = outputs(other, genuine, model=script(tmp_path, "Dense(3); Dense(4)\n" + SCRIPT), keras="1.2.2")
    assert relative_l2(found, genuine.outputs_float64[0]) <= 1e-12


def test_numbers_that_contradict_the_order_are_refused(weights, tmp_path) -> None:
    _, path = weights
    twins = "a = Input((4,))\nx = Dense(4)(a)\nx = Dense(4)(x)\nnet = Model(a, x)\n"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"input_1", b"dense_2", b"dense_1"]
        for name in ("input_1", "dense_1", "dense_2"):
            group = file.create_group(name)
            own = [f"{name}_W".encode(), f"{name}_b".encode()] if name != "input_1" else []
            group.attrs["weight_names"] = np.array(own, "S9")
            if own:
                group[f"{name}_W"], group[f"{name}_b"] = np.eye(4, dtype="f4"), np.zeros(4, "f4")
    with pytest.raises(NotACheckpoint, match="the script lists layer 'dense_1' where the file has 'dense_2'"):
        load(path, model=script(tmp_path, twins))


def test_of_several_models_the_one_that_fits_is_taken(weights, tmp_path) -> None:
    _, path = weights
    before = "other = Sequential()\nother.add(Dense(3, input_dim=2))\nother.compile('sgd', 'mse')\n"
    with load(path, model=script(tmp_path, before + SCRIPT)) as port:
        assert "'m' (train.py:8)" in next(fact.evidence for fact in port.facts if fact.name == "architecture")


def test_two_models_with_these_weights_that_differ_are_refused_until_one_is_named(weights, tmp_path) -> None:
    genuine, path = weights
    cut = SCRIPT.replace("m.", "n.").replace("m =", "n =").replace("softsign", "tanh")
    both = script(tmp_path, SCRIPT + cut)
    with pytest.raises(NotACheckpoint, match=r"not the same and both have these weights.*train\.py:n"):
        load(path, model=both)
    found = outputs(path, genuine, model=f"{both}:m", keras="1.2.2")
    assert relative_l2(found, genuine.outputs_float64[0]) <= 1e-12
    twice = script(tmp_path, SCRIPT + SCRIPT)
    with load(path, model=twice) as port:  # the same network twice is one
        assert len(port.graph.nodes) > 3


def test_a_script_that_stops_before_its_model_is_whole_is_not_taken(weights, tmp_path) -> None:
    """Without the last activation the weights would fit all the same."""
    _, path = weights
    stops = SCRIPT.replace("m.add(Activation('softsign'))", "open('nowhere.csv')")
    with pytest.raises(NotACheckpoint, match=r"train\.py:15: FileNotFoundError"):
        load(path, model=script(tmp_path, stops))


def test_other_weights_are_refused(weights, tmp_path) -> None:
    _, path = weights
    with pytest.raises(NotACheckpoint, match="has 3 layers with weights, the file has 4"):
        load(path, model=script(tmp_path, SCRIPT.replace("m.add(Dense(4))\n", "")))
    with pytest.raises(NotACheckpoint, match="'convolution2d_1' expects"):
        load(path, model=script(tmp_path, SCRIPT.replace("Convolution2D(3, 3, 3,", "Convolution2D(3, 5, 5,")))


def test_a_file_that_states_its_network_needs_no_script(weights, tmp_path) -> None:
    genuine, path = weights
    genuine.write(path)
    with pytest.raises(NotACheckpoint, match="states its architecture itself"):
        load(path, model=script(tmp_path, SCRIPT))
    with pytest.raises(UsageError, match="one of the two is expected"):
        load(path, model="x.py", architecture="x.json")


def test_the_ordering_that_a_script_asks_for_is_found_by_the_weights(tmp_path) -> None:
    genuine = record(RESIDUAL._replace(name="residual-tf"))
    genuine.write_weights(tmp_path / "weights.h5")
    asks = """
from keras import backend as K
first = K.image_dim_ordering() == 'th'
""" + RESIDUAL_SCRIPT.replace("(2, 7, 6)", "(2, 7, 6) if first else (7, 6, 2)").replace(
        "axis=1", "axis=1 if first else -1"
    )
    found = outputs(tmp_path / "weights.h5", genuine, model=script(tmp_path, asks), keras="1.2.2")
    assert relative_l2(found, genuine.outputs_float64[0]) <= 1e-12


def test_what_is_written_is_verified_and_goes_back(weights, tmp_path) -> None:
    _, path = weights
    with load(path, model=script(tmp_path, SCRIPT), keras="1.2.2") as port:
        written = save(port, tmp_path / "net", format="safetensors")
        assert written.verification is not None
        with pytest.raises(UsageError, match="without running anybody's code"):
            save(port, tmp_path / "certified.keras", certify=True)
    with load(tmp_path / "net") as port:
        save(port, tmp_path / "back.h5", format="theano")
    with h5py.File(path) as old, h5py.File(tmp_path / "back.h5") as new:
        kept = new["model_weights"]  # a whole model, as its architecture is known now
        for layer in old:
            for weight in old[layer]:
                assert np.array_equal(old[layer][weight][()], kept[layer][weight][()])


def test_the_architecture_is_written_beside_and_found_there(weights, tmp_path) -> None:
    genuine, path = weights
    run = CliRunner().invoke
    text = script(tmp_path, SCRIPT)
    result = run(cli, ["architecture", text, "-o", str(tmp_path / "net.json")])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "net.json").read_text())["class_name"] == "Sequential"
    found = outputs(path, genuine, keras="1.2.2")  # the one beside them that fits
    assert relative_l2(found, genuine.outputs_float64[0]) <= 1e-12
    again = run(cli, ["architecture", text, "-o", str(tmp_path / "net.json")])
    assert again.exit_code == 8
    assert "exists already" in again.output
    two = script(tmp_path, SCRIPT + "n = Sequential()\nn.add(Dense(2, input_dim=3))\n", "two.py")
    assert run(cli, ["architecture", two]).exit_code == 4
    printed = run(cli, ["architecture", f"{two}:n"])
    assert json.loads(printed.output)["config"][0]["config"]["output_dim"] == 2


def test_the_architecture_of_a_file_is_what_it_states_or_what_is_recognised(weights, tmp_path) -> None:
    genuine, path = weights
    genuine.write(path)
    assert architecture(str(path), Given()).config["config"] == json.loads(genuine.config)["config"]
    known = FIXTURES / "pre-ror-3-10_keras-2.2.4" / "weights.h5"
    stated = architecture(str(known), Given())
    assert stated.source == "recognised: Pre-RoR-3-10"
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "weights.h5").write_bytes(known.read_bytes())
    (tmp_path / "known" / "net.json").write_text(json.dumps(stated.config))
    with load(known) as port, load(known, architecture=tmp_path / "known" / "net.json") as other:
        images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
        assert relative_l2(other.predict(images), port.predict(images)) <= 1e-12
