"""Masks in Keras 3: the file gives the network that the reference computes, or is refused by name."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recurrent_models
from genuine import relative_l2
from ror_port import frameworks, save, tolerances, verify
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import NotACheckpoint, UnknownNetwork
from ror_port.formats import keras_3, keras_config, keras_masks
from ror_port.formats.format import BY_NAME, Contents
from ror_port.layout import Arranged
from ror_port.network import layers as known
from ror_port.network.as_json import to_json
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.source.port import Port, load

X = np.float32(np.random.default_rng(0).standard_normal((2, 6, 3)))
X[0, 0] = X[0, 3] = X[1, 4:] = 0


def port_of(graph: Graph, folder: Path) -> Port:
    rng = np.random.default_rng(1)
    weights = [(p, Arranged.of(np.float32(rng.uniform(0.1, 1, p.shape)))) for p in graph.parameters]
    path = folder / "net.weights.h5"
    keras_3.write_weights(path, Contents(graph, weights, "float32", {"graph": to_json(graph)}))
    return load(path)


def assert_keras_computes(graph: Graph, folder: Path, given: dict[str, np.ndarray] | None = None) -> None:
    """given: inputs, by default all of them X. What was written is also read again."""
    with port_of(graph, folder) as port:
        write(port, folder / "net.keras", BY_NAME["keras"])
        inputs = given or {node.name: X for node in port.graph.inputs}
        with load(folder / "net.keras") as back:
            assert sorted(node.mask for node in back.graph) == sorted(node.mask for node in graph.for_keras())
        scores = open_artifact(folder / "net.keras", port).scores(list(inputs.values()))
        ends = [port.graph.before_softmax(name) for name in port.graph.outputs]
        expected = port.outputs(inputs, *ends)
        for end, found in zip(ends, scores, strict=True):
            assert relative_l2(found, expected[end]) <= tolerances.FLOAT32


def lstm(units: int = 2, *, sequences: bool = True) -> known.LSTM:
    return known.LSTM(units, return_sequences=sequences, recurrent_activation="sigmoid")


def masked() -> tuple[GraphBuilder, str]:
    g = GraphBuilder()
    return g, g.add("masking", known.Masking(), g.add("in", known.Input((6, 3))))


def test_what_a_mask_is_made_of_lies_deeper(tmp_path: Path) -> None:
    """The mask of the concatenation is made of the first branch, which is as deep as the second for that."""
    g, x = masked()
    first, second = g.add("first", lstm(), x), g.add("second", lstm(), x)
    turned = g.add("turned", known.Reverse(), second)
    both = g.add("both", known.Concatenate(2), first, turned)
    graph = g.finish(g.add("norm", known.BatchNormalization(1e-3, axis=2), both))
    order = [node.name for node in keras_masks.layer_order(graph) if isinstance(node.layer, known.LSTM)]
    assert order == ["first", "second"]
    assert [node.name for node in graph.keras_order if isinstance(node.layer, known.LSTM)] == ["second", "first"]
    assert_keras_computes(graph, tmp_path)


def test_a_softmax_of_steps_is_not_masked(tmp_path: Path) -> None:
    g, x = masked()
    x = g.add("dense", known.Dense(6), g.add("lstm", lstm(), x))  # as many as steps
    graph = g.finish(g.add("again", lstm(), g.add("softmax", known.Softmax(2), x)))
    assert_keras_computes(graph, tmp_path)


def test_a_softmax_along_the_steps_of_a_masked_sequence_is_refused(tmp_path: Path) -> None:
    g, x = masked()
    graph = g.finish(g.add("softmax", known.Softmax(1), x))
    with port_of(graph, tmp_path) as port, pytest.raises(UnknownNetwork, match="softmax of a masked sequence"):
        write(port, tmp_path / "net.keras", BY_NAME["keras"])


@pytest.mark.parametrize("kind", [known.Multiply, known.Maximum, known.Minimum])
def test_a_product_that_shows_masked_steps_is_refused(kind: type[known.Layer], tmp_path: Path) -> None:
    """So is a maximum, in the place of which Keras 3 has the input that is not masked."""
    g, x = masked()
    product = g.add("product", kind(), g.add("first", lstm(), x), g.add("second", lstm(), x))
    with pytest.raises(UnknownNetwork, match="of masked sequences is another in today's Keras"):
        keras_config.model(g.finish(product), "float32")
    assert_keras_computes(g.finish(g.add("last", lstm(sequences=False), product)), tmp_path)


def meeting() -> tuple[GraphBuilder, str]:
    """A sum of two sequences of which other steps count, so that one in both counts."""
    g, x = masked()
    return g, g.add("sum", known.Add(), x, g.add("other", known.Masking(0.5), g.add("in2", known.Input((6, 3)))))


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "bidirectional", "average", "stack", "norm"])
def test_masks_that_meet_are_given_as_an_argument(kind: str, sequences: bool, tmp_path: Path) -> None:
    g, x = meeting()
    if kind == "lstm":
        x = g.add("last", lstm(sequences=sequences), x)
    elif kind == "bidirectional":
        x = g.add("both", known.Bidirectional(lstm(sequences=sequences)), x)
    elif kind == "average":
        x = g.add("average", known.GlobalAveragePooling1D(), x)
    elif kind == "norm":
        x = g.add("last", lstm(sequences=sequences), g.add("norm", known.BatchNormalization(1e-3, axis=2), x))
    else:
        x = g.add("last", lstm(sequences=sequences), g.add("dense", known.Dense(3), g.add("first", lstm(), x)))
    graph = g.finish(x)
    in_keras = graph.for_keras()
    assert keras_masks.given(in_keras)
    half = X.copy()
    half[:, 1] = half[0, 2] = 0.5
    assert_keras_computes(graph, tmp_path, {"in": X, "in2": half})


def test_a_mask_that_is_missing_in_one_is_given_too(tmp_path: Path) -> None:
    g, x = masked()
    total = g.add("sum", known.Add(), x, g.add("in2", known.Input((6, 3))))
    assert_keras_computes(g.finish(g.add("last", lstm(), total)), tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy, about TensorFlow
def test_another_mask_than_the_inputs_is_not_read(tmp_path: Path) -> None:
    """One of Keras 3 alone: its predecessors had no such argument."""
    keras = frameworks.keras()
    x, other = keras.Input((6, 3)), keras.Input((6, 3))
    mask = keras.ops.any(keras.ops.not_equal(other, 0.0), axis=-1)
    keras.Model([x, other], keras.layers.LSTM(2)(x, mask=mask)).save(tmp_path / "net.keras")
    with pytest.raises(UnknownNetwork, match="is given a mask that is not its input's"):
        load(tmp_path / "net.keras")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("first", ["Embedding", "Masking"])
def test_what_keras_3_saves_of_masks_is_read(first: str, tmp_path: Path) -> None:
    """It states the operations that made them."""
    keras = frameworks.keras()
    x = keras.Input((6,) if first == "Embedding" else (6, 3))
    layer = keras.layers.Embedding(5, 3, mask_zero=True) if first == "Embedding" else keras.layers.Masking()
    y = keras.layers.GRU(2)(keras.layers.LSTM(3, return_sequences=True)(layer(x)))
    model = keras.Model(x, y)
    model.save(tmp_path / "net.keras")
    values = np.random.default_rng(2).integers(0, 5, (2, 6)).astype("float32") if first == "Embedding" else X
    with load(tmp_path / "net.keras") as port:
        assert "NotEqual" in json.dumps(port.checkpoint.config)
        assert relative_l2(port.predict(values), model.predict(values, verbose=0)) <= tolerances.FLOAT32


def test_a_masking_sees_what_masked_steps_hold(tmp_path: Path) -> None:
    """Zeros in a Bidirectional of Keras 3, where its predecessors repeat the step before."""
    g, x = masked()
    x = g.add("again", known.Masking(), g.add("both", known.Bidirectional(lstm()), x))
    assert_keras_computes(g.finish(g.add("last", lstm(), x)), tmp_path)


def test_a_bidirectional_that_goes_backwards_first(tmp_path: Path) -> None:
    g = GraphBuilder()
    inner = known.LSTM(2, return_sequences=True, go_backwards=True, recurrent_activation="sigmoid")
    assert_keras_computes(
        g.finish(g.add("both", known.Bidirectional(inner), g.add("in", known.Input((6, 3))))), tmp_path
    )


def saved_by_keras(folder: Path, make: Callable[[Any, Any], Any], shape: tuple[int, ...] = (6, 3)) -> Path:
    """A functional model that Keras 3 saved. make: from keras and its input to its output."""
    keras = frameworks.keras()
    x = keras.Input(shape, name="x")
    keras.Model(*make(keras, x)).save(folder / "saved.keras")
    return folder / "saved.keras"


def meets_none(keras: Any, x: Any) -> Any:
    y = keras.Input((6, 3))
    return [x, y], keras.layers.LSTM(2)(keras.layers.Add()([keras.layers.Masking()(x), y]))


def meets_in_an_average(keras: Any, x: Any) -> Any:
    y = keras.Input((6, 3))
    both = keras.layers.Average()([keras.layers.Masking()(x), y])
    return [x, y], keras.layers.GlobalAveragePooling1D()(both)


def multiplies(keras: Any, x: Any) -> Any:
    m = keras.layers.Masking()(x)
    return x, keras.layers.Multiply()([keras.layers.LSTM(3, return_sequences=True)(m), m])


def takes_the_least(keras: Any, x: Any) -> Any:
    y = keras.Input((6, 3))
    return [x, y], keras.layers.Minimum()([keras.layers.Masking()(x), keras.layers.Masking()(y)])


def an_input_as_the_mask(keras: Any, x: Any) -> Any:
    mask = keras.Input((6,), dtype="bool")
    return [x, mask], keras.layers.GRU(6, reset_after=False)(x, mask=mask)


def a_mask_as_a_state(keras: Any, x: Any) -> Any:
    mask = keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1)
    return x, keras.layers.SimpleRNN(6)(keras.layers.Masking()(x), initial_state=mask)


def a_mask_that_is_added(keras: Any, x: Any) -> Any:
    m = keras.layers.Masking()(x)
    mask = keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1)
    return x, keras.layers.Add()([m, keras.layers.LSTM(6, return_sequences=True)(m), mask])


def a_softmax(keras: Any, x: Any) -> Any:
    return x, keras.layers.Softmax()(keras.layers.LSTM(3, return_sequences=True)(keras.layers.Masking()(x)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (meets_none, (6, 3)),
        (meets_in_an_average, (6, 3)),
        (multiplies, (6, 3)),
        (takes_the_least, (6, 3)),
        (an_input_as_the_mask, (6, 3)),
        (a_mask_as_a_state, (6, 3)),
        (a_mask_that_is_added, (6, 6)),
        (a_softmax, (6, 3)),
    ],
)
def test_what_keras_3_makes_of_masks_otherwise_is_not_read(
    make: Callable[[Any, Any], Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = saved_by_keras(tmp_path, make, shape)
    with pytest.raises((UnknownNetwork, NotACheckpoint)):
        load(path)


def not_equal(constant: Any, **more: Any) -> dict[str, Any]:
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
    return {"args": [tensor, constant], "kwargs": {}, **more}


@pytest.mark.parametrize(
    "node",
    [not_equal(10**400), not_equal(1e300), not_equal("0"), not_equal(True), [[["x", 0, 0, {}]]], {"args": None}, {}],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_operation_that_is_not_understood_is_refused(node: Any, tmp_path: Path) -> None:
    path = saved_by_keras(tmp_path, lambda keras, x: (x, keras.layers.LSTM(2)(keras.layers.Masking()(x))))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    (operation,) = (layer for layer in config["config"]["layers"] if layer["class_name"] == "NotEqual")
    operation["inbound_nodes"] = [node]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, json.dumps(config) if name == "config.json" else content)
    with pytest.raises((UnknownNetwork, NotACheckpoint)):
        load(path)


def test_a_thousand_masks_that_meet() -> None:
    g = GraphBuilder()
    x = g.add("in", known.Input((6, 3)))
    total = g.add("sum", known.Add(), *(g.add(f"masking{n}", known.Masking(float(n)), x) for n in range(1000)))
    model = keras_config.model(g.finish(g.add("last", lstm(), total)), "float32")
    assert sum(layer.class_name == "LogicalAnd" for layer in model.layers) == 999


def test_many_products_of_masked_sequences_take_no_time() -> None:
    g, x = masked()
    for number in range(60):
        both = (g.add(f"{name}{number}", known.Activation(name), x) for name in ("tanh", "relu"))
        x = g.add(f"product{number}", known.Multiply(), *both)
    graph = g.finish(g.add("last", lstm(sequences=False), x))
    assert not any(graph.shows_masked_steps(node.name) for node in graph if node.mask)


def test_a_mask_value_that_float32_has_not(tmp_path: Path) -> None:
    """Theano and Keras 3 compare with 0.1 as float32, as the inputs are."""
    g = GraphBuilder()
    x = g.add("masking", known.Masking(0.1), g.add("in", known.Input((6, 3))))
    tenths = X.copy()
    tenths[:, 2:] = 0.1
    assert_keras_computes(g.finish(g.add("last", lstm(), x)), tmp_path, {"in": tenths})


def test_several_results_of_a_call_with_masks_that_meet_in_onnx(tmp_path: Path) -> None:
    layers = [
        recurrent_models.given("x", 5, 3),
        recurrent_models.layer("Masking", "m", ["x"], mask_value=0.0),
        recurrent_models.layer("Masking", "k", ["x"], mask_value=1.5),
        recurrent_models.layer("Add", "s", ["m", "k"]),
        recurrent_models.recurrent("a", ["s"], return_state=True, return_sequences=True),
    ]
    with recurrent_models.port_of(layers, [["a", 0, 1], ["a", 0, 0]], tmp_path) as port:
        save(port, tmp_path / "net.onnx")


@pytest.mark.parametrize("name", ["keras", "safetensors", "onnx"])
def test_the_check_sees_a_mask_that_is_lost(name: str, tmp_path: Path) -> None:
    """Some steps of the seeded inputs are masked."""
    g, x = masked()
    with_mask = g.finish(g.add("last", lstm(), x))
    g = GraphBuilder()
    without = g.finish(g.add("last", lstm(), g.add("masking", known.Masking(7.0), g.add("in", known.Input((6, 3))))))
    with port_of(with_mask, tmp_path) as port:
        for graph in (with_mask, without):
            target = tmp_path / f"{len(graph.nodes)}{graph is without}{BY_NAME[name].suffix}"
            write(replace(port, graph=graph), target, BY_NAME[name])
            assert verify(port, target).passed is (graph is with_mask)
