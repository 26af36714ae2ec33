"""Whole scripts in the manner of 2015 to 2018: of each, the stand-in builds the networks that genuine Keras built.

They lie in `reference/scripts/`; `reference/record_scripts` ran them in their own Keras, without the training.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest

import genuine_layers
from conformance import computed, error, inputs_of, outputs_of
from genuine import FIXTURES, ROOT, rename_layers
from genuine_layers import LayerRecord
from ror_port import load, save, tolerances
from ror_port.errors import NotACheckpoint
from ror_port.source.port import Port
from ror_port.source.script import running
from ror_port.source.script.names import automatic
from ror_port.source.script.running import Built, BuiltModel, Script, Setting

SCRIPTS = ROOT / "reference" / "scripts"
RECORDS = FIXTURES / "scripts"


class Case(NamedTuple):
    """A model of a script: fixtures/scripts/STACK/SCRIPT.npz holds it under MODEL-ORDERING."""

    stack: str
    script: str
    model: str
    ordering: str

    def __str__(self) -> str:
        return f"{self.stack.partition('-theano')[0]}/{self.script}/{self.model}-{self.ordering}"


def _cases() -> list[Case]:
    found = []
    for path in sorted(RECORDS.glob("*/*.npz")):
        with np.load(path) as file:
            texts = json.loads(file["texts"].item())
        for name in sorted(key.removesuffix("/config") for key in texts if key.endswith("/config")):
            model, _, ordering = name.rpartition("-")
            found.append(Case(path.parent.name, path.stem, model, ordering))
    return found


CASES = _cases()

OTHERWISE = {
    "keras-*": {"Lambda": ("function", "function_type")},
    "keras-1.1*": {"Dense": ("input_dim",), "Merge": ("arguments", "output_mask", "output_mask_type")},
    "keras-0.*": {
        "Sequential": ("optimizer", "loss", "class_mode", "theano_mode", "sample_weight_mode"),
        "Graph": ("optimizer", "loss", "loss_weights", "theano_mode", "sample_weight_modes"),
        **dict.fromkeys(("SimpleRNN", "GRU", "LSTM"), ("input_dim",)),
    },
}
"""Case → class → what the stand-in states otherwise than Keras, or one of them alone. None changes what is computed.

Of a Lambda Keras has the bytecode, the stand-in the arithmetic. What Keras 1 states is that of 1.2: 1.1 did not state
what a Dense was given, nor masks of a Merge. Keras 0.x adds to a model what it was compiled with, and to a recurrent
layer in the midst of one what it was given.
"""


def params(cases: list[Case]) -> list[Any]:
    return [pytest.param(case, id=str(case)) for case in cases]


def record(case: Case) -> LayerRecord:
    name = f"{case.model}-{case.ordering}"
    return genuine_layers.record(genuine_layers.Case(f"../scripts/{case.stack}", case.script, name))


@pytest.fixture(scope="module", autouse=True)
def each_run_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "run", cache(running.run))
        yield


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    """A copy of the scripts, as some of them write files."""
    return Path(shutil.copytree(SCRIPTS, tmp_path_factory.mktemp("scripts") / "scripts"))


def script_of(case: Case, scripts: Path) -> Script:
    """A script, and the function in it that builds the model, where none of its variables is that."""
    return Script(scripts / f"{case.script}.py", case.model if record(case).session["found"] == "call" else None)


def build(case: Case, scripts: Path) -> Built:
    version = tuple(map(int, record(case).session["keras"].split(".")))
    return running.run(script_of(case, scripts), Setting(version, case.ordering, True, "theano"))


def built_model(case: Case, scripts: Path) -> BuiltModel:
    built = build(case, scripts)
    found = [model for model in built.models if model.chosen or (model.variable == case.model)]
    assert found, built.error
    return found[-1]


@pytest.fixture(scope="module")
def port(scripts, tmp_path_factory) -> Iterator[Callable[[Case], Port]]:
    """Weights alone with the script: the file that `save_weights` wrote, in the session that is stated. Each once."""
    folder = tmp_path_factory.mktemp("weights")
    with ExitStack() as ports:

        @cache
        def of(case: Case) -> Port:
            path = folder / f"{str(case).replace('/', '-')}.h5"
            return ports.enter_context(opened(case, scripts, path, keras=True, ordering=True))

        yield of


def opened(case: Case, scripts: Path, path: Path, *, keras: bool, ordering: bool) -> Port:
    found = record(case)
    if not path.exists():
        found.write_weights(path)
    of_keras_0 = found.session["keras"].startswith("0.")
    return load(
        path,
        model=str(script_of(case, scripts)),
        keras=found.session["keras"] if keras and not of_keras_0 else None,
        ordering=case.ordering if ordering and not of_keras_0 else None,
    )


def assert_computes_the_same(port: Port, found: LayerRecord) -> None:
    values = computed(port, inputs_of(port, found.inputs))
    assert error(values, outputs_of(port, found.outputs)) <= tolerances.FLOAT32
    assert error(values, outputs_of(port, found.outputs_float64)) <= tolerances.FLOAT64


def comparable(stated: Any, left_out: dict[str, tuple[str, ...]]) -> Any:
    """JSON without what the stand-in states otherwise."""
    if isinstance(stated, list):
        return [comparable(value, left_out) for value in stated]
    if not isinstance(stated, dict):
        return stated
    kind = stated.get("class_name", stated.get("name"))  # Keras 0.x has the latter in the midst of the settings
    found = {key: comparable(value, left_out) for key, value in stated.items()}
    for key in left_out.get(kind, ()):
        found.pop(key, None)
        if "class_name" in found and isinstance(found["config"], dict):
            found["config"].pop(key, None)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# What is stated


@pytest.mark.parametrize("case", params(CASES))
def test_the_stand_in_states_what_keras_did(case, scripts) -> None:
    model = built_model(case, scripts)
    assert model.stated is not None, model.problem
    left_out: dict[str, tuple[str, ...]] = {}
    for pattern, kinds in OTHERWISE.items():
        left_out |= kinds if fnmatch(str(case), pattern) else {}
    assert comparable(model.stated, left_out) == comparable(json.loads(record(case).config), left_out)


RUNS = list({(case.stack, case.script, case.ordering): case for case in CASES}.values())
"""One case of each script and session."""


@pytest.mark.parametrize("case", params(RUNS))
def test_a_script_runs_to_its_end(case, scripts) -> None:
    assert build(case, scripts).error is None


# ---------------------------------------------------------------------------------------------------------------------
# What is computed


@pytest.mark.parametrize("case", params(CASES))
def test_weights_with_their_script_compute_what_keras_did(case, port) -> None:
    assert_computes_the_same(port(case), record(case))


WITHOUT_RELEASE = [case for case in CASES if "keras-2" in case.stack and case.ordering == "th"] + [
    case for case in CASES if case.script in ("imdb_lstm", "unet", "vqa") and "keras-1" in case.stack
]
"""Files of Keras 2 state its release; of Keras 1 it decides nothing where no BatchNormalization leaves epsilon open."""


@pytest.mark.parametrize("case", params(WITHOUT_RELEASE))
def test_the_release_need_not_be_stated(case, scripts, tmp_path) -> None:
    with opened(case, scripts, tmp_path / "weights.h5", keras=False, ordering=True) as found:
        assert_computes_the_same(found, record(case))


WITHOUT_ORDERING = [
    *(case for case in CASES if case.script in ("mnist_cnn_1", "densenet", "mnist_cnn_2")),
    *(case for case in CASES if case.script in ("custom_parts", "nested_models")),
]
"""Those that ask for it, in either; and those of tf that do not."""


@pytest.mark.parametrize("case", params(WITHOUT_ORDERING))
def test_the_ordering_need_not_be_stated(case, scripts, port, tmp_path) -> None:
    """Shapes tell it, or it changes nothing but the order in which the session was given images."""
    known, found = port(case), record(case)
    with opened(case, scripts, tmp_path / "weights.h5", keras=True, ordering=False) as other:
        values = computed(other, inputs_of(known, found.inputs))
    assert error(values, outputs_of(known, found.outputs_float64)) <= tolerances.FLOAT64


# ---------------------------------------------------------------------------------------------------------------------
# Other files of the same network, and of others


def only(script: str, ordering: str = "th", stack: str = "keras-*") -> Case:
    (found,) = [c for c in CASES if c.script == script and c.ordering == ordering and fnmatch(c.stack, stack)]
    return found


def counted_on(path: Path, first: int) -> None:
    """Renames layers as a session would have that had made others before, more of one kind than of the next."""
    with h5py.File(path, "r+") as file:
        names = [name.decode() for name in file.attrs["layer_names"]]
        kinds = {name: automatic(name) for name in names}
        more = {kind[0]: first + 9 * place for place, kind in enumerate(filter(None, kinds.values()))}
        new = {name: f"{kind[0]}_{kind[1] + more[kind[0]]}" for name, kind in kinds.items() if kind}
        assert len(new) > 3
        rename_layers(file, new)


@pytest.mark.parametrize("first", [8, 56, 995])
@pytest.mark.parametrize(
    "case",
    params([only("mnist_cnn_1"), only("densenet"), only("cifar10_wrn_keras2"), only("siamese")]),
)
def test_a_session_that_had_counted_on_saved_the_same(case, first, scripts, tmp_path) -> None:
    path = tmp_path / "weights.h5"
    record(case).write_weights(path)
    counted_on(path, first)
    with opened(case, scripts, path, keras=True, ordering=True) as found:
        assert_computes_the_same(found, record(case))


@pytest.mark.parametrize(
    ("weights", "script"),
    [
        ("lenet_class", "mnist_cnn_1"),  # as many layers, of the same kinds and names
        ("mnist_cnn_1", "lenet_class"),
        ("cifar10_cnn", "mnist_cnn_1"),  # more layers
        ("imdb_lstm", "char_rnn"),  # other kinds of layers
        ("vqa", "sequential_list"),  # more of one kind, and one of another
    ],
)
def test_weights_of_another_network_are_refused(weights, script, scripts, tmp_path) -> None:
    case, path = only(weights), tmp_path / "weights.h5"
    record(case).write_weights(path)
    with pytest.raises(NotACheckpoint, match="not the weights of"):
        load(path, model=str(scripts / f"{script}.py"), keras=record(case).session["keras"], ordering="th")


# ---------------------------------------------------------------------------------------------------------------------
# What is written


@pytest.mark.parametrize("case", params([only("siamese"), only("vqa"), only("imdb_bidirectional")]))
def test_what_is_written_of_it_passes_its_check(case, port, tmp_path) -> None:
    written = save(port(case), tmp_path / "model.keras")
    assert written.verification is not None
    assert written.verification.passed
