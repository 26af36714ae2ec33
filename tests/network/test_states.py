"""Recurrent layers that return their states or begin with those of others: encoders and decoders, in every format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import computed, error
from genuine_layers import cases, record
from recurrent_models import FEATURES, GATES, UNITS, Layers, given, layer, port_of, recurrent
from ror_port import save, tolerances, verify
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import NotACheckpoint, RorPortError, UnknownNetwork
from ror_port.formats.format import BY_NAME
from ror_port.source.from_config import stated_graph
from ror_port.source.port import Port, load


def encoder_and_decoder(kind: str = "LSTM", **decoder: Any) -> tuple[Layers, list[Any]]:
    """That of Keras' example: of the encoder the states alone are read, of the decoder the sequence."""
    states = [["encoder", 0, number] for number in range(1, 3 if kind == "LSTM" else 2)]
    settings = {"return_sequences": True, "return_state": True, **decoder}
    return [
        given("source", None, FEATURES),
        given("target", None, FEATURES),
        recurrent("encoder", ["source"], kind=kind, return_state=True),
        recurrent("decoder", ["target", *states], kind=kind, **settings),
        layer("Dense", "dense", ["decoder"], units=5, activation="softmax"),
    ], ["dense"]


def with_masks(**settings: Any) -> tuple[Layers, list[Any]]:
    """Of indices, of which 0 does not count. All that the decoder returns is read."""
    return [
        given("source", 5),
        given("target", 6),
        layer("Embedding", "embedding", ["source"], ["target"], input_dim=4, output_dim=FEATURES, mask_zero=True),
        recurrent("encoder", ["embedding"], return_state=True),
        recurrent(
            "decoder",
            [["embedding", 1, 0], ["encoder", 0, 1], ["encoder", 0, 2]],
            return_state=True,
            **settings,
        ),
    ], [["decoder", 0, number] for number in range(3)]


def both_ways(merge_mode: str | None, return_sequences: bool) -> tuple[Layers, list[Any]]:
    inner = recurrent("lstm", return_state=True, return_sequences=return_sequences)
    both = layer(
        "Bidirectional",
        "both",
        ["source"],
        layer={key: inner[key] for key in ("class_name", "config")},
        merge_mode=merge_mode,
    )
    return [given("source", 5, FEATURES), both], [["both", 0, n] for n in range(6 if merge_mode is None else 5)]


def used_twice() -> tuple[Layers, list[Any]]:
    """Once from zeros, once from the states before; the first use lies deeper than any other layer of its kind."""
    return [
        given("source", 5, FEATURES),
        given("target", 5, FEATURES),
        recurrent("other", ["target"], return_state=True),
        recurrent("lstm", ["source"], ["target", ["lstm", 0, 1], ["lstm", 0, 2]], return_state=True),
        layer("Add", "add", [["lstm", 0, 0], ["lstm", 1, 2], ["other", 0, 2]]),
    ], ["add", ["lstm", 1, 1]]


def first_with_a_state() -> tuple[Layers, list[Any]]:
    """In PyTorch the first call has an argument more than the second."""
    return [
        given("source", 5, FEATURES),
        given("state", UNITS),
        recurrent("gru", ["source", "state"], ["source"], kind="GRU"),
        layer("Add", "add", [["gru", 0, 0], ["gru", 1, 0]]),
    ], ["add", ["gru", 1, 0]]


NETWORKS = {
    "encoder and decoder": encoder_and_decoder(),
    "of GRUs": encoder_and_decoder("GRU"),
    "of SimpleRNNs": encoder_and_decoder("SimpleRNN"),
    "backwards": encoder_and_decoder(go_backwards=True),
    "with masks": with_masks(),
    "with masks, a sequence": with_masks(return_sequences=True),
    "with masks, backwards": with_masks(return_sequences=True, go_backwards=True),
    "both ways": both_ways("concat", return_sequences=False),
    "both ways, sequences": both_ways("sum", return_sequences=True),
    "both ways, apart": both_ways(None, return_sequences=False),
    "both ways, sequences apart": both_ways(None, return_sequences=True),
    "used twice": used_twice(),
    "first with a state": first_with_a_state(),
}


def inputs_of(port: Port) -> dict[str, np.ndarray]:
    """With sequences of which nothing counts, and such as begin with what does not."""
    rng = np.random.default_rng(1)
    found = {}
    for number, node in enumerate(port.graph.inputs):
        if node.name == "state":
            found[node.name] = rng.normal(size=(6, UNITS)).astype("float32")
        elif len(node.shape) == 1:
            found[node.name] = rng.integers(0, 4, (6, *node.shape)) * rng.integers(0, 2, (6, *node.shape))
            found[node.name][number] = 0
        else:
            steps = node.shape[0] if isinstance(node.shape[0], int) and node.shape[0] > 0 else 4 + number
            found[node.name] = rng.normal(size=(6, steps, FEATURES)).astype("float32")
    return found


def refused(name: str, format: str) -> str | None:
    """Why a format cannot have one of them."""
    if format == "h5" and not name.startswith("both ways"):
        return "takes its initial state in another form"
    return "no layer that turns a sequence round" if format == "h5" and "sequences" in name else None


@pytest.mark.parametrize("name", NETWORKS)
def test_every_format_brings_it_back_and_every_framework_computes_it(name: str, tmp_path: Path) -> None:
    with port_of(*NETWORKS[name], tmp_path) as port:
        inputs = inputs_of(port)
        expected = computed(port, inputs)
        for format in ("keras", "h5", "weights", "safetensors", "onnx"):
            target = tmp_path / f"out{BY_NAME[format].suffix}"
            if reason := refused(name, format):
                with pytest.raises(UnknownNetwork, match=reason):
                    save(port, target, format=format)
                continue
            save(port, target, format=format)  # and compares
            if format in ("keras", "safetensors", "onnx"):
                verified = verify(port, target, per_layer=True)
                assert verified.passed
                assert verified.first_difference is None
            artifact, values = open_artifact(target, source=port), dict(port.run(inputs))
            scores = artifact.scores(list(inputs.values()))
            ends = [port.graph.before_softmax(end) for end in port.graph.outputs]
            assert error(list(scores), [values[end] for end in ends]) <= tolerances.FLOAT32, format
            for node, found in artifact.outputs(list(inputs.values()), values).items():
                assert error([found], [values[node]]) <= tolerances.FLOAT32, (format, node)
            with load(target) as back:
                given = {b.name: inputs[a.name] for a, b in zip(port.graph.inputs, back.graph.inputs, strict=True)}
                assert error(computed(back, given), expected) <= tolerances.FLOAT64, format
                save(back, tmp_path / f"{format}.h5", format="theano")
            with load(tmp_path / f"{format}.h5") as returned:
                assert returned.graph == port.graph


def test_states_of_which_the_output_is_not_read_are_called_as_their_layer(tmp_path: Path) -> None:
    with port_of(*NETWORKS["encoder and decoder"], tmp_path) as port:
        assert [node.name for node in port.graph if node.name.startswith("encoder")] == ["encoder", "encoder/c"]
        assert port.graph["encoder"].layer.gives == "h"


@pytest.mark.parametrize("form", ["of tf.keras", "of Keras 3"])
def test_an_initial_state_as_an_argument(form: str, tmp_path: Path) -> None:
    layers, outputs = encoder_and_decoder()
    with port_of(layers, outputs, tmp_path) as port:
        expected = port.graph
    [[x, *states]] = layers[3]["inbound_nodes"]
    if form == "of tf.keras":
        layers[3]["inbound_nodes"] = [[[*x[:3], {"initial_state": [state[:3] for state in states]}]]]
    else:
        x, *states = ({"class_name": "__keras_tensor__", "config": {"keras_history": t[:3]}} for t in (x, *states))
        layers[3]["inbound_nodes"] = [{"args": [x], "kwargs": {"initial_state": states, "training": False}}]
    with port_of(layers, outputs, tmp_path) as port:
        assert port.graph == expected


def changed(**settings: Any) -> tuple[Layers, list[Any]]:
    layers, outputs = encoder_and_decoder()
    layers[3]["config"] |= settings
    return layers, outputs


def called(*tensors: Any) -> tuple[Layers, list[Any]]:
    layers, outputs = encoder_and_decoder()
    return [*layers[:3], recurrent("decoder", list(tensors), return_sequences=True), layers[4]], outputs


def of_cells(cell: Any) -> tuple[Layers, list[Any]]:
    return [given("source", 5, FEATURES), layer("RNN", "rnn", ["source"], cell=cell)], ["rnn"]


REFUSED = {
    "one state of two": (called("target", ["encoder", 0, 1]), "layer 'decoder' has 2 inputs"),
    "a sequence as a state": (called("target", "target", "target"), "states of shapes"),
    "constants": (changed(num_constants=1), "'num_constants' = '1', which ror-port does not know"),
    "a state that is not returned": (called("target", ["encoder", 0, 3]), "no output 3 of call 0 of 'encoder'"),
    "stacked cells": (of_cells({"class_name": "StackedRNNCells", "config": {}}), "an RNN of 'StackedRNNCells'"),
    "a foreign cell": (
        of_cells({"class_name": "GRUCell", "module": "mine", "config": {}}),
        "a layer of 'mine', which is not Keras' own",
    ),
    "a layer as a cell": (of_cells({"class_name": "LSTM", "config": {}}), "an RNN of 'LSTM' is not supported"),
    "no cell": (of_cells(None), "what it repeats is no cell"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name: str, tmp_path: Path) -> None:
    (layers, outputs), message = REFUSED[name]
    with pytest.raises(RorPortError, match=message):
        port_of(layers, outputs, tmp_path).close()


def test_states_within_a_bidirectional_or_a_time_distributed_are_refused(tmp_path: Path) -> None:
    layers, _ = both_ways("concat", return_sequences=False)
    layers += [given("state", UNITS)]
    layers[1]["inbound_nodes"][0] += [["state", 0, 0, {}]] * 4
    with pytest.raises(NotACheckpoint, match="'both' has 5 inputs"):
        port_of(layers, ["both"], tmp_path).close()
    inner = recurrent("lstm", return_state=True)
    around = layer("TimeDistributed", "around", ["source"], layer={k: inner[k] for k in ("class_name", "config")})
    with pytest.raises(UnknownNetwork, match="within a TimeDistributed returns its output alone"):
        port_of([given("source", 2, 5, FEATURES), around], ["around"], tmp_path).close()


def test_a_mask_that_keras_3_did_not_apply_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNetwork, match="'decoder': Keras 3 applies no mask in a layer that is given"):
        port_of(*NETWORKS["with masks"], tmp_path, keras="3.5.0").close()
    port_of(*NETWORKS["encoder and decoder"], tmp_path, keras="3.5.0").close()


def test_two_sequences_of_a_bidirectional_with_a_mask_are_refused(tmp_path: Path) -> None:
    layers, outputs = both_ways(None, return_sequences=True)
    layers.insert(1, layer("Masking", "masking", ["source"], mask_value=0.0))
    layers[2]["inbound_nodes"] = [[["masking", 0, 0, {}]]]
    with pytest.raises(UnknownNetwork, match="'both': a Bidirectional of two sequences with a mask is not supported"):
        port_of(layers, outputs, tmp_path).close()


def test_a_model_of_keras_2_with_an_initial_state_is_refused(tmp_path: Path) -> None:
    with (
        port_of(*NETWORKS["encoder and decoder"], tmp_path) as port,
        pytest.raises(UnknownNetwork, match="decoder: Keras 3, which reads this format too, takes its initial state"),
    ):
        write(port, tmp_path / "out.h5", BY_NAME["h5"])


@pytest.mark.parametrize("last", [False, True])
def test_a_layer_of_several_outputs_within_a_sequential_is_refused(last: bool, tmp_path: Path) -> None:
    """Keras takes none there; its states would be read as those that the next layer begins with."""
    (case,) = cases("keras-2.2.4-theano-1.0.5/recurrent/lstm-stack-th")
    found = record(case)
    config = json.loads(found.config)
    layers = config["config"]["layers"]
    recurrent = [layer for layer in layers if layer["class_name"] == "LSTM"]
    recurrent[-1 if last else 0]["config"]["return_state"] = True
    if last:
        del layers[-1]
    replace(found, config=json.dumps(config)).write(tmp_path / "changed.h5")
    with pytest.raises(NotACheckpoint, match="gives 3 outputs where one is taken"):
        load(tmp_path / "changed.h5")


def test_a_time_distributed_within_a_bidirectional_is_refused() -> None:
    inner = {"class_name": "TimeDistributed", "config": {"layer": recurrent("lstm")}}
    layers = [given("x", 5, FEATURES), layer("Bidirectional", "both", ["x"], layer=inner, merge_mode="concat")]
    with pytest.raises(UnknownNetwork, match="a TimeDistributed in such a place"):
        stated_graph(
            {
                "class_name": "Model",
                "config": {
                    "name": "m",
                    "layers": layers,
                    "input_layers": [["x", 0, 0]],
                    "output_layers": [["both", 0, 0]],
                },
            },
            {},
            theano=True,
            version=(2, 2, 4),
            where="here",
        )


@pytest.mark.parametrize("kind", GATES)
def test_a_recurrent_layer_without_an_activation_is_refused(kind: str, tmp_path: Path) -> None:
    """Keras has a default, another one than for other layers; its files state the activation."""
    stated = recurrent("cell", ["x"], kind=kind)
    del stated["config"]["activation"]
    with pytest.raises(UnknownNetwork, match="its activation is not stated"):
        port_of([given("x", 5, FEATURES), stated], ["cell"], tmp_path)
