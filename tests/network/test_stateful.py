"""Stateful networks: each batch begins with the states that the one before ended with, as in genuine Keras."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from conformance import THOROUGH, computed, error, inputs_of, opened
from genuine_layers import Case, cases, record
from ror_port import frameworks, save, tolerances, verify
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import NotACheckpoint, UnknownNetwork, UsageError
from ror_port.formats.format import BY_NAME
from ror_port.network.as_json import from_json, to_json
from ror_port.network.layers import Input, Layer
from ror_port.network.layers.recurrent import Recurrent
from ror_port.source.port import Port, load

ALL = [*cases("*/stateful/*"), *cases("*-stateful-*"), *cases("*/forecast-*")]
BOTH_WAYS = [case for case in ALL if case.name.startswith("bidirectional")]
MASKED = [case for case in ALL if "tensorflow" in case.stack and case.name in ("gru-masked-th", "words-th")]
CASES = [case for case in ALL if case not in (*BOTH_WAYS, *MASKED) and record(case).outputs_again]
(ONE,) = cases("keras-2.2.4-theano-1.0.5/stateful/lstm-stack-th")


class Twice(NamedTuple):
    """A recorded batch twice, and what Keras gave for them, in float32 and in a float64 session."""

    x: np.ndarray
    outputs: list[np.ndarray]
    exact: list[np.ndarray]

    @property
    def half(self) -> int:
        return len(self.x) // 2


def twice(case: Case) -> Twice:
    found = record(case)
    (x,) = found.inputs
    pairs = zip(found.outputs, found.outputs_again, strict=True)
    exact = zip(found.outputs_float64, found.outputs_again_float64, strict=True)
    return Twice(np.concatenate([x, x]), *([*map(np.concatenate, each)] for each in (pairs, exact)))


def test_both_generations_are_recorded() -> None:
    kinds = {(case.stack, case.name.partition("-")[0]) for case in CASES}
    stacks = ("keras-1.2.2-theano-0.9.0", "keras-2.2.4-theano-1.0.5")
    assert kinds >= {(stack, kind) for stack in stacks for kind in ("lstm", "gru", "simplernn", "letters", "words")}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_second_batch_begins_where_the_first_ended(case: Case, tmp_path: Path) -> None:
    both = twice(case)
    with opened(case, tmp_path) as port:
        found = computed(port, inputs_of(port, (both.x,)))
        assert error(found, both.outputs) <= tolerances.FLOAT32
        if both.exact:
            assert error(found, both.exact) <= tolerances.FLOAT64
        alone = computed(port, inputs_of(port, (both.x[both.half :],)))
        assert error(alone, [y[both.half :] for y in both.outputs]) > tolerances.FLOAT32


@pytest.mark.parametrize("case", CASES if THOROUGH else [ONE, *CASES[::3]], ids=str)
@pytest.mark.parametrize("name", ["keras", "weights", "safetensors"])
def test_so_does_it_in_every_framework(case: Case, name: str, tmp_path: Path) -> None:
    both = twice(case)
    target = tmp_path / f"out{BY_NAME[name].suffix}"
    with opened(case, tmp_path) as port:
        write(port, target, BY_NAME[name])
        runtime = open_artifact(target, source=port)
        ends = [
            n if flag else port.graph.before_softmax(n)
            for n, flag in zip(port.graph.outputs, runtime.softmax, strict=True)
        ]
        values = port.outputs(inputs_of(port, (both.x,)), *ends)
    for _ in range(2):  # each time from zeros
        assert error(list(runtime.scores([both.x])), [values[end] for end in ends]) <= tolerances.FLOAT32


def test_keras_itself_goes_on_and_begins_anew(tmp_path: Path) -> None:
    both = twice(ONE)
    with opened(ONE, tmp_path) as port:
        save(port, tmp_path / "net.keras")
    model = frameworks.keras().saving.load_model(tmp_path / "net.keras")

    def predict(x: np.ndarray) -> list[np.ndarray]:
        return [model.predict(x, batch_size=both.half, verbose=0)]

    assert error(predict(both.x), both.outputs) <= tolerances.FLOAT32
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()
    assert error(predict(both.x), both.outputs) <= tolerances.FLOAT32


def test_the_generated_definition_goes_on_and_begins_anew(tmp_path: Path) -> None:
    torch = frameworks.torch()
    both = twice(ONE)
    with opened(ONE, tmp_path) as port:
        save(port, tmp_path / "net", format="safetensors")
    spec = importlib.util.spec_from_file_location("stateful_net", tmp_path / "net" / "modeling_ror.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Network.from_pretrained(tmp_path / "net")
    with torch.inference_mode():
        for _ in range(2):
            parts = [network(torch.from_numpy(part)).numpy() for part in np.split(both.x, 2)]
            assert error([np.concatenate(parts)], both.outputs) <= tolerances.FLOAT32
            network.reset_states()
    assert "reset_states" in module.__doc__


def forgetful(layer: Layer) -> Layer:
    if isinstance(layer, Input):
        return replace(layer, batch=None)
    return replace(layer, stateful=False) if isinstance(layer, Recurrent) else layer


@pytest.mark.parametrize("name", ["keras", "safetensors"])
def test_the_check_sees_states_that_are_lost(name: str, tmp_path: Path) -> None:
    """It runs several batches."""
    with opened(ONE, tmp_path) as port:
        graph = port.graph.map(forgetful)
        for index, each in enumerate((port, replace(port, graph=graph))):
            target = tmp_path / f"out{index}{BY_NAME[name].suffix}"
            write(each, target, BY_NAME[name])
            assert verify(port, target).passed is (each is port)


@pytest.mark.parametrize("name", ["onnx", "savedmodel"])
def test_a_format_that_keeps_no_states_refuses(name: str, tmp_path: Path) -> None:
    with opened(ONE, tmp_path) as port, pytest.raises(UnknownNetwork, match="stateful"):
        write(port, tmp_path / f"out{BY_NAME[name].suffix}", BY_NAME[name])


def test_a_batch_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with opened(ONE, tmp_path) as port, pytest.raises(UsageError, match="stateful, with batches of 2"):
        port.predict(twice(ONE).x[:3])


def changed(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> Port:
    """The port of a record whose architecture was changed."""
    found = record(ONE)
    config = json.loads(found.config)
    change(config["config"]["layers"])
    replace(found, config=json.dumps(config)).write(folder / "changed.h5")
    return load(folder / "changed.h5")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (None, "no size of the batches"),
        *((batch, "the input shape .* is not understood") for batch in (0, -1, 1.5, True, "2", 1 << 40)),
    ],
)
def test_a_batch_of_no_size_is_refused(batch: object, message: str, tmp_path: Path) -> None:
    def change(layers: list[dict[str, Any]]) -> None:
        layers[0]["config"]["batch_input_shape"][0] = batch

    with pytest.raises(UnknownNetwork, match=message):
        changed(tmp_path, change)


@pytest.mark.parametrize("batch", [None, 0, -2, 1.5])
def test_a_graph_of_ours_states_its_batches_too(batch: object, tmp_path: Path) -> None:
    with opened(ONE, tmp_path) as port:
        stated = json.loads(json.dumps(to_json(port.graph)))
    assert from_json(stated, "here").batch == 2
    stated["nodes"][0]["settings"]["batch"] = batch
    with pytest.raises(NotACheckpoint, match="here: not a graph"):
        from_json(stated, "here")


def test_the_size_of_a_batch_means_nothing_without_states(tmp_path: Path) -> None:
    def change(layers: list[dict[str, Any]]) -> None:
        for layer in layers:
            layer["config"]["stateful"] = False

    both = twice(ONE)
    with changed(tmp_path, change) as port:
        assert port.graph.batch is None
        first, second = np.split(port.predict(both.x), 2)
        assert error([first, second], [both.outputs[0][: both.half]] * 2) <= tolerances.FLOAT32


@pytest.mark.parametrize("case", MASKED, ids=str)
def test_masks_on_tensorflow_are_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(UnknownNetwork, match="other outputs on TensorFlow"):
        opened(case, tmp_path)


def test_before_the_first_step_that_counts_tensorflow_had_the_states_and_theano_zeros() -> None:
    assert len(MASKED) == 2
    for case in (MASKED[0], *cases("keras-1.2.2-theano-*/stateful/gru-masked-th")):
        found = record(case)
        assert not found.inputs[0][0, 0].any()
        first, last = found.outputs_again[0][0, 0], found.outputs[0][0, -1]
        assert np.array_equal(first, last if case in MASKED else np.zeros_like(last))


def test_so_hdf5_for_keras_2_refuses_them(tmp_path: Path) -> None:
    (case,) = cases("keras-2.2.4-theano-*/stateful/simplernn-masked-th")
    with opened(case, tmp_path) as port, pytest.raises(UnknownNetwork, match="and zeros on Theano"):
        write(port, tmp_path / "out.h5", BY_NAME["h5"])


def test_of_a_bidirectional_keras_2_forgets_what_keras_1_keeps() -> None:
    assert {case.stack.startswith("keras-1"): bool(record(case).outputs_again) for case in BOTH_WAYS} == {
        True: True,
        False: False,
    }


@pytest.mark.parametrize("case", BOTH_WAYS, ids=str)
def test_so_it_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(UnknownNetwork, match="a stateful Bidirectional is not supported"):
        opened(case, tmp_path)
