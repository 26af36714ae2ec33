"""ConvLSTM2D with settings that are drawn at random: in every order of axes and in every framework, as the reference
computes it, which `test_conformance` holds to genuine records. And what is refused.

A longer run: ROR_PORT_THOROUGH=1.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from conformance import computed, error
from genuine_layers import SavedLayer, cases, record
from ror_port import tolerances
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import UnknownNetwork
from ror_port.formats.format import BY_NAME
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import ConvLSTM2D, Input
from ror_port.network.relayout import relayout
from ror_port.source.from_config import stated_graph
from ror_port.source.port import Port, load
from ror_port.theano.run import run
from ror_port.theano.twins import Stored

THOROUGH = bool(os.environ.get("ROR_PORT_THOROUGH"))
NETWORKS = range(60 if THOROUGH else 6)
KERAS_2 = {"theano": True, "version": (2, 2, 4), "where": "a test"}
[RECORD] = [record(case) for case in cases("keras-2.2.4-theano-1.0.5/conv_lstm2d/network-th")]
[OF_KERAS_1] = [record(case) for case in cases("keras-1.2.2-theano-0.9.0/conv_lstm2d/network-th")]


def conv_lstm(random: Random, data_format: str, **more: Any) -> dict[str, Any]:
    strides, dilation = random.choice([((1, 1), (1, 1)), ((1, 1), (1, 1)), ((2, 1), (1, 1)), ((1, 1), (1, 2))])
    config = {
        "filters": random.randint(1, 3),
        "kernel_size": [random.choice([1, 2, 3, 3, 4]), random.choice([1, 3, 3])],
        "strides": list(strides),
        "padding": random.choice(["same", "valid"]),
        "data_format": data_format,
        "dilation_rate": list(dilation),
        "activation": random.choice(["tanh", "relu", "softsign", "hard_sigmoid", "linear"]),
        "recurrent_activation": random.choice(["hard_sigmoid", "hard_sigmoid", "sigmoid"]),
        "use_bias": random.random() < 0.8,
        "go_backwards": random.random() < 0.3,
        "return_sequences": random.random() < 0.5,
    }
    return {"class_name": "ConvLSTM2D", "config": {**config, **more}}


def random_config(random: Random) -> dict[str, Any]:
    """A Sequential of Keras 2.2.4: one or two ConvLSTM2D with others between and behind them."""
    data_format = random.choice(["channels_first", "channels_last"])
    image = [3, 9, 8] if data_format == "channels_first" else [9, 8, 3]
    first = {"batch_input_shape": [None, random.randint(1, 4), *image]}
    norm = {"class_name": "BatchNormalization", "config": {"axis": random.choice([-1, 2]), "epsilon": 0.001}}
    layers = [conv_lstm(random, data_format, **first)]
    if layers[0]["config"]["return_sequences"]:
        layers += [norm, conv_lstm(random, data_format)]
    flatten = {"class_name": "Flatten", "config": {"data_format": random.choice(["channels_first", "channels_last"])}}
    layers += random.choice([[], [flatten, {"class_name": "Dense", "config": {"units": 3, "activation": "linear"}}]])
    named = [{**layer, "config": {**layer["config"], "name": f"layer_{i}"}} for i, layer in enumerate(layers)]
    return {"class_name": "Sequential", "config": {"name": "net", "layers": named}}


def opened(config: dict[str, Any], seed: int, folder: Path) -> Port:
    """A port of the file that Keras 2.2.4 on Theano saves of such a model, with weights drawn at random."""
    rng = np.random.default_rng(seed)
    layers: dict[str, dict[str, np.ndarray]] = {}
    for p in stated_graph(config, {}, **KERAS_2).graph.parameters:
        values = rng.standard_normal(p.shape) * 0.5
        values = np.abs(values) + 0.5 if p.role == "moving_variance" else values
        layers.setdefault(p.node, {})[f"{p.node}/{p.role}"] = values.astype("f4")
    names = [layer["config"]["name"] for layer in config["config"]["layers"]]
    saved = tuple(SavedLayer(name, layers.get(name, {})) for name in names)
    replace(RECORD, config=json.dumps(config), layers=saved).write(folder / "net.h5")
    return load(folder / "net.h5")


def inputs_of(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {graph.input.name: rng.standard_normal((2, *graph.input.shape)).astype("f4")}


def keras_has(graph: Graph, name: str) -> bool:
    """Whether today's Keras has all its layers; name: of a format."""
    layers = [node.layer for node in graph if isinstance(node.layer, ConvLSTM2D)]
    odd = all(size % 2 for layer in layers for size in layer.kernel_size)
    steep = any("hard_sigmoid" in (layer.activation, layer.recurrent_activation) for layer in layers)
    alike = any(layer.activation == "hard_sigmoid" for layer in layers)  # of the cell, too, which is no sum
    return odd and not (name == "h5" and steep) and not alike


@pytest.mark.parametrize("seed", NETWORKS)
def test_in_either_order_of_axes_every_node_computes_the_same(seed: int, tmp_path: Path) -> None:
    with opened(random_config(Random(seed)), seed, tmp_path) as port:
        inputs = inputs_of(port.graph, seed)
        expected = dict(run(port.graph, port.tensors(), port.how_stored, inputs))
        for target in ("channels_first", "channels_last"):
            moved = port.relayout(target)
            tensors: dict[str, dict[str, np.ndarray]] = {}
            for parameter, array in port.parameters(moved):
                tensors.setdefault(parameter.node, {})[parameter.role] = array
            given = {name: moved.value(name).view(x) for name, x in inputs.items()}
            found = dict(run(moved.graph, tensors, Stored("keras_2", true_convolution=False), given))
            for name, value in expected.items():
                assert error([found[name]], [moved.value(name).view(value)]) <= tolerances.FLOAT64, (target, name)


@pytest.mark.parametrize("seed", NETWORKS)
@pytest.mark.parametrize("name", ["keras", "h5", "weights", "safetensors", "onnx"])
def test_every_format_and_framework_computes_it(name: str, seed: int, tmp_path: Path) -> None:
    target = tmp_path / f"out{BY_NAME[name].suffix}"
    with opened(random_config(Random(seed)), seed, tmp_path) as port:
        inputs = port.channels_last.value(port.graph.input.name).view(
            inputs_of(port.graph, seed)[port.graph.input.name]
        )
        (expected,) = computed(port, {port.graph.input.name: inputs})
        if name not in ("safetensors", "onnx") and not keras_has(port.graph, name):
            with pytest.raises(UnknownNetwork, match=r"ConvLSTM2D|hard_sigmoid"):
                write(port, target, BY_NAME[name])
            return
        write(port, target, BY_NAME[name])
        (scores,) = open_artifact(target, source=port).scores([inputs])
        assert error([scores], [expected]) <= tolerances.FLOAT32
        with load(target) as back:
            assert error(computed(back, {back.graph.input.name: inputs}), [expected]) <= tolerances.FLOAT32


def refused(**settings: Any) -> pytest.ExceptionInfo[UnknownNetwork]:
    config = random_config(Random(0))
    config["config"]["layers"][0]["config"] |= settings
    with pytest.raises(UnknownNetwork) as refusal:
        stated_graph(config, {}, **KERAS_2)
    return refusal


@pytest.mark.parametrize("setting", ["stateful", "return_state"])
def test_what_no_output_can_hold_is_refused(setting: str) -> None:
    assert f"{setting} is not supported" in str(refused(**{setting: True}).value)


def test_sequences_of_images_of_another_rank_are_refused() -> None:
    assert "is no sequence of images" in str(refused(batch_input_shape=[None, 9, 8, 3]).value)


@pytest.mark.parametrize("image", [[3, None, 8], [3, 9, None]])
def test_images_whose_sizes_vary_are_refused(image: list[int | None]) -> None:
    assert "whose sizes vary" in str(refused(batch_input_shape=[None, 2, *image], data_format="channels_first").value)


@pytest.mark.parametrize("name", ["keras", "weights", "safetensors", "onnx"])
def test_steps_may_vary_but_in_onnx(name: str, tmp_path: Path) -> None:
    config, target = random_config(Random(0)), tmp_path / f"out{BY_NAME[name].suffix}"
    layer = conv_lstm(Random(0), "channels_last", kernel_size=[3, 3], activation="tanh", strides=[2, 2], padding="same")
    layer["config"] |= {"name": "layer", "dilation_rate": [1, 1], "batch_input_shape": [None, None, 8, 7, 3]}
    config["config"]["layers"] = [layer]
    with opened(config, 0, tmp_path) as port:
        if name == "onnx":
            with pytest.raises(UnknownNetwork, match="a number of steps that varies"):
                write(port, target, BY_NAME[name])
            return
        write(port, target, BY_NAME[name])
        runtime = open_artifact(target, source=port)
        for steps in (1, 4):
            x = np.random.default_rng(steps).standard_normal((2, steps, 8, 7, 3)).astype("f4")
            assert error(list(runtime.scores([x])), computed(port, {"layer_input": x})) <= tolerances.FLOAT32


def test_masks_and_a_bidirectional_are_refused() -> None:
    (first, *_) = random_config(Random(0))["config"]["layers"]
    shape = {"batch_input_shape": first["config"].pop("batch_input_shape")}
    masking = {"class_name": "Masking", "config": {"name": "masking", "mask_value": 0.0, **shape}}
    both = {"class_name": "Bidirectional", "config": {"name": "both", "layer": first, "merge_mode": "concat", **shape}}
    apart = {"class_name": "Bidirectional", "config": {**both["config"], "merge_mode": None}}
    bidirectional = "a Bidirectional around a"
    for layers, reason in (
        ([masking, first], "a ConvLSTM2D with a mask"),
        ([both], bidirectional),
        ([apart], bidirectional),
    ):
        with pytest.raises(UnknownNetwork, match=reason):
            stated_graph({"class_name": "Sequential", "config": {"name": "n", "layers": layers}}, {}, **KERAS_2)


def network(layer: ConvLSTM2D, steps: int) -> Graph:
    g = GraphBuilder()
    return g.finish(g.add("layer", layer, g.add("in", Input((steps, 5, 5, 1)))))


def test_keras_takes_no_strides_with_a_dilation_rate() -> None:
    layer = ConvLSTM2D(units=2, kernel_size=(3, 3), strides=(2, 2), dilation_rate=(2, 2))
    with pytest.raises(UnknownNetwork, match="strides and a dilation rate"):
        network(layer, 2).for_keras()["layer"].layer.to_keras()


def test_onnx_has_so_many_steps_and_no_more() -> None:
    graph = relayout(network(ConvLSTM2D(units=2, kernel_size=(3, 3)), 1001), "channels_first").graph
    with pytest.raises(UnknownNetwork, match="1001 steps"):
        graph["layer"].layer.to_onnx(*graph.shapes(graph["layer"]))


def test_that_keras_1_writes_no_strides_is_a_fact(tmp_path: Path) -> None:
    for found, basis in ((OF_KERAS_1, ["assumed"]), (RECORD, [])):
        found.write(tmp_path / "net.h5")
        with load(tmp_path / "net.h5") as port:
            assert [fact.basis for fact in port.facts if fact.name == "strides of ConvLSTM2D"] == basis


def test_each_gate_of_keras_1_has_weights_of_its_own() -> None:
    """Also where no shapes of a file tell, as for layers of nested models."""
    graph = stated_graph(json.loads(OF_KERAS_1.config), {}, **{**KERAS_2, "version": (1, 2, 2)}).graph
    roles = [p.role for p in graph["convlstm2d_1"].parameters]
    assert roles == [f"{role}_{gate}" for gate in "icfo" for role in ("kernel", "recurrent_kernel", "bias")]
