"""What scripts do that could be taken for something else without a word: each is followed, or refused by name.

What is expected was found with genuine Keras 1.2.2 and 2.2.4, which built these networks, saved and ran them.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from ror_port.api import load
from ror_port.errors import RorPortError
from ror_port.source import bytecode
from ror_port.source.script.running import Built, Script, Setting, run

HEAD = """
from keras.models import Sequential, Model, model_from_json
from keras.layers import Input, Dense, Activation, Lambda, LSTM, Dropout, Flatten
from keras import activations, backend as K
"""

BASE = """
model = Sequential()
model.add(Dense(6, input_dim=5, activation='tanh'))
model.add(Dense(6))
model.add(Activation('softmax'))
"""


def built(text: str, folder: Path, version: tuple[int, ...] = (2, 2, 4)) -> Built:
    (folder / "script.py").write_text(HEAD + text)
    return run(Script(folder / "script.py"), Setting(version))


def listed(text: str, folder: Path, version: tuple[int, ...] = (2, 2, 4)) -> list[tuple[str, dict]]:
    """Class and settings of each layer of the last model."""
    found = built(text, folder, version)
    assert found.error is None
    assert found.models[-1].stated is not None, found.models[-1].problem
    stated = found.models[-1].stated["config"]
    return [
        (layer["class_name"], layer["config"]) for layer in (stated["layers"] if isinstance(stated, dict) else stated)
    ]


def test_a_lambda_is_what_it_was_when_it_was_called(tmp_path) -> None:
    text = "x = a = Input((5,))\nfor s in (0.5, 7.0): x = Lambda(lambda v: v * s)(x)\ns = 100.0\nmodel = Model(a, x)\n"
    found = listed(text, tmp_path)
    assert [config["function"] for kind, config in found if kind == "Lambda"] == ["x * 0.5", "x * 7.0"]
    twice = "a = Input((5,))\ns = 2.0\nf = Lambda(lambda v: v * s)\nx = f(a)\ns = 3.0\nmodel = Model(a, f(x))\n"
    assert [config["function_type"] for kind, config in listed(twice, tmp_path) if kind == "Lambda"] == ["lambda"]


def test_a_function_of_the_script_is_not_the_one_of_keras_that_is_called_so(tmp_path) -> None:
    text = "def relu(x): return K.relu(x, alpha=0.3)\nmodel = Sequential([Dense(4, input_dim=5, activation=relu)])\n"
    ((_, config),) = listed(text, tmp_path)
    assert config["activation"] == "relu (of the script)"
    for own in ("activations.relu", "K.relu", "'relu'"):
        ((_, config),) = listed(f"model = Sequential([Dense(4, input_dim=5, activation={own})])\n", tmp_path)
        assert config["activation"] == "relu"


@pytest.mark.parametrize("version", [(1, 2, 2), (2, 2, 4)])
def test_a_class_derived_from_one_of_keras_is_another_class(version, tmp_path) -> None:
    text = "class Doubled(Dense):\n    def call(self, x, mask=None): return 2 * x\n"
    ((kind, config),) = listed(text + "model = Sequential([Doubled(4, input_dim=5)])\n", tmp_path, version)
    assert (kind, config["name"]) == ("Doubled", "doubled_1")


def test_a_setting_that_is_changed_before_the_call_counts_and_after_it_is_refused(tmp_path) -> None:
    text = "d = Dense(4, input_dim=5, activation='softmax')\nd.activation = activations.tanh\nmodel = Sequential([d])\n"
    ((_, config),) = listed(text, tmp_path)
    assert config["activation"] == "tanh"
    found = built(BASE + "model.layers[0].activation = activations.relu\n", tmp_path)
    assert "activation of dense_1 is changed after it was called" in str(found.error)


def test_states_may_be_given_by_their_place(tmp_path) -> None:
    text = "a, h, c = Input((5, 3)), Input((6,)), Input((6,))\nmodel = Model([a, h, c], LSTM(6)(a, [h, c]))\n"
    model = built(text, tmp_path).models[-1]
    assert model.stated is not None
    (lstm,) = (layer for layer in model.stated["config"]["layers"] if layer["class_name"] == "LSTM")
    assert [source[0] for source in lstm["inbound_nodes"][0]] == ["input_1", "input_2", "input_3"]


CHANGED_BY_HAND = {
    "popped": "model.layers.pop()\nmodel.add(Dense(4))\n",
    "cut": "model.layers = model.layers[:-1]\nmodel.add(Dense(4))\n",
    "inserted": "model.layers.insert(1, Activation('tanh'))\nmodel.add(Dense(4))\n",
    "replaced": "model.layers[-1] = Activation('tanh')\n",
}


@pytest.mark.parametrize("how", CHANGED_BY_HAND)
def test_layers_that_are_changed_by_hand_are_refused(how, tmp_path) -> None:
    model = built(BASE + CHANGED_BY_HAND[how], tmp_path, (1, 2, 2)).models[-1]
    assert model.stated is None
    assert "were changed by hand" in model.problem


def test_the_usual_way_to_take_a_layer_off_is_followed(tmp_path) -> None:
    kinds = ["Dense", "Dense", "Dense"]
    off = "model.layers.pop()\nmodel.outputs = [model.layers[-1].output]\nmodel.layers[-1].outbound_nodes = []\n"
    for text in ("model.pop()\n", off):
        assert [kind for kind, _ in listed(BASE + text + "model.add(Dense(4))\n", tmp_path, (1, 2, 2))] == kinds


def test_a_model_made_of_json_is_what_it_is(tmp_path) -> None:
    text = BASE + "other = model_from_json(model.to_json())\n"
    stated = [model.stated for model in built(text, tmp_path).models]
    assert json.dumps(stated[0]["config"]) == json.dumps(stated[1]["config"])
    found = built(text + "other.add(Activation('softmax'))\n", tmp_path)
    assert "was made of JSON, and is changed" in str(found.error)


def test_what_a_model_was_when_it_was_saved_is_among_what_it_may_be(tmp_path) -> None:
    found = built(BASE + "model.save_weights('w.h5')\nmodel.pop()\nmodel.predict([[1] * 5])\n", tmp_path)
    assert [len(model.stated["config"]["layers"]) for model in found.models] == [3, 2]


def test_what_nobody_knows_is_no_setting(tmp_path) -> None:
    text = (
        "import not_installed\nmodel = Sequential([LSTM(3, input_shape=(4, 2), return_sequences=not_installed.flag)])\n"
    )
    found = built(text, tmp_path)
    assert found.models[0].stated is None
    assert "something that nobody knows" in found.models[0].problem
    assert found.missing == ("not_installed",)


def test_the_version_that_a_script_asks_for_is_noted(tmp_path) -> None:
    found = built("import keras\nif keras.__version__ >= '1.2':\n" + BASE.replace("\n", "\n    "), tmp_path, (1,))
    assert len(found.models) == 1
    assert "version" in found.asked


def test_quotients_of_python_2(tmp_path) -> None:
    text = "print 'x'\nd = {'k': 7}\nd['k'] /= 2\nn = [9.0, 9]\nn[0] /= 2; n[1] /= 2\nimport numpy as np\n"
    text += "model = Sequential([Dense(d['k'] + n[1] + np.array([7])[0] / 2, input_dim=5)])\n"
    ((_, config),) = listed(text, tmp_path, (1, 2, 2))
    assert config["output_dim"] == 3 + 4 + 3


def test_bytecode_of_python_2_divides_as_python_2_did() -> None:
    """Of ``lambda x: x * (7 / 2) - 1 / 2.0``, which Python 2.7 does not fold; marshalled by hand after its format."""

    def number(value: int) -> bytes:
        return b"i" + value.to_bytes(4, "little")

    loads = b"|\x00\x00d\x00\x00d\x01\x00\x15\x14d\x02\x00d\x03\x00\x15\x18S"
    constants = b"(\x04\x00\x00\x00" + number(7) + number(2) + number(1) + b"g" + np.float64(2).tobytes()
    head = b"c" + b"".join(n.to_bytes(4, "little") for n in (1, 1, 3, 67))
    names = b"(\x00\x00\x00\x00" + b"(\x01\x00\x00\x00t\x01\x00\x00\x00x" + 2 * b"(\x00\x00\x00\x00"
    tail = b"t\x01\x00\x00\x00f" + b"t\x08\x00\x00\x00<lambda>" + (1).to_bytes(4, "little") + b"s\x00\x00\x00\x00"
    code = head + b"s" + len(loads).to_bytes(4, "little") + loads + constants + names + tail
    found = bytecode.read({"function": [code.decode("raw_unicode_escape"), None, None]})
    assert found == bytecode.Reading("x * 3.0 - 1.0 / 2.0", "2.7", ())


# ---------------------------------------------------------------------------------------------------------------------
# With weights


def weights(path: Path, names: dict[str, tuple[int, int] | None]) -> Path:
    """As Keras 1 saves them: layer → shape of a Dense kernel, or None for a layer without weights."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in names]
        for seed, (name, shape) in enumerate(names.items()):
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([f"{name}_{role}".encode() for role in "Wb"] if shape else [], "S40")
            if shape:
                group[f"{name}_W"] = np.random.default_rng(seed).normal(0, 0.5, shape).astype("f4")
                group[f"{name}_b"] = np.zeros(shape[1], "f4")
    return path


PLAIN = {"dense_1": (5, 6), "dense_2": (6, 6), "activation_1": None}


def refused(names: dict[str, tuple[int, int] | None], text: str, folder: Path, **given: str) -> str:
    (folder / "script.py").write_text(HEAD + text)
    with pytest.raises(RorPortError) as error:
        load(weights(folder / "weights.h5", names), model=str(folder / "script.py"), **given)  # type: ignore[arg-type]
    return str(error.value)


def test_every_layer_that_the_file_lists_counts(tmp_path) -> None:
    (tmp_path / "script.py").write_text(HEAD + BASE)
    with load(weights(tmp_path / "weights.h5", PLAIN), model=str(tmp_path / "script.py")) as port:
        assert len(port.graph.outputs) == 1
    more = "the file lists 2 layers 'activation_…', the script builds 1 layer 'activation_…'"
    assert more in refused(PLAIN | {"activation_2": None}, BASE, tmp_path)
    fewer = {name: shape for name, shape in PLAIN.items() if shape}
    assert "the script builds 1 layer 'activation_…', the file lists none" in refused(fewer, BASE, tmp_path)


def test_names_that_somebody_gave_are_not_counted_on(tmp_path) -> None:
    text = (
        "model = Sequential([Dense(6, input_dim=5, name='branch_2'), Dense(6, name='branch_3'), Activation('tanh')])\n"
    )
    given = {"branch_1": (5, 6), "branch_2": (6, 6), "activation_1": None}
    assert "has no layer 'branch_1'" in refused(given, text, tmp_path)


def test_two_branches_that_were_built_in_the_other_order_since_are_refused(tmp_path) -> None:
    text = "a, b = Input((5,)), Input((5,))\ny = Dense(6, activation='tanh')(b)\nx = Dense(6)(a)\n"
    text += "from keras.layers import merge\nmodel = Model([a, b], merge([x, y], mode='sum'))\n"
    names = {"input_1": None, "input_2": None, "dense_1": (5, 6), "dense_2": (5, 6), "merge_1": None}
    message = refused(names, text, tmp_path)
    assert "the script lists layer 'dense_2' where the file has 'dense_1'" in message
    assert "if Keras up to 1.0.7 saved them" in message
    with load(tmp_path / "weights.h5", model=str(tmp_path / "script.py"), keras="1.0.6") as port:
        assert len(port.layers) == 2


def test_a_script_that_gives_one_network_for_each_ordering_needs_it_stated(tmp_path) -> None:
    text = "first = K.image_dim_ordering() == 'th'\n"
    text += "model = Sequential([Dense(6, input_dim=5), Dense(6), Activation('tanh' if first else 'relu')])\n"
    assert "another where it is set to tf, and both have these weights" in refused(PLAIN, text, tmp_path)
    for ordering, function in (("th", "tanh"), ("tf", "relu")):
        with load(tmp_path / "weights.h5", model=str(tmp_path / "script.py"), ordering=ordering) as port:
            assert port.graph[port.graph.output.name].layer.function == function  # type: ignore[attr-defined]
