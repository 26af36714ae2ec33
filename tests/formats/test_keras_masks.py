"""Masks in Keras 3: the file gives the network that the reference computes, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genuine import relative_l2
from ror_port import tolerances
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import UnknownNetwork
from ror_port.formats import keras_3, keras_masks
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


def assert_keras_computes(graph: Graph, folder: Path) -> None:
    with port_of(graph, folder) as port:
        write(port, folder / "net.keras", BY_NAME["keras"])
        inputs = {node.name: X for node in port.graph.inputs}
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


def test_a_product_that_shows_masked_steps_is_refused(tmp_path: Path) -> None:
    g, x = masked()
    product = g.add("product", known.Multiply(), g.add("first", lstm(), x), g.add("second", lstm(), x))
    with (
        port_of(g.finish(product), tmp_path) as port,
        pytest.raises(UnknownNetwork, match="multiplies masked sequences otherwise"),
    ):
        write(port, tmp_path / "net.keras", BY_NAME["keras"])
    assert_keras_computes(g.finish(g.add("last", lstm(sequences=False), product)), tmp_path)


def test_masks_that_differ_are_refused_before_a_bidirectional(tmp_path: Path) -> None:
    g, x = masked()
    total = g.add("sum", known.Add(), x, g.add("other", known.Masking(), g.add("in2", known.Input((6, 3)))))
    graph = g.finish(g.add("both", known.Bidirectional(lstm(sequences=False)), total))
    with port_of(graph, tmp_path) as port, pytest.raises(UnknownNetwork, match="another mask where several meet"):
        write(port, tmp_path / "net.keras", BY_NAME["keras"])


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
