"""The order in which Keras 3 lists the layers of a model, by which it finds their weights in a file."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from ror_port import frameworks
from ror_port.errors import UnknownNetwork
from ror_port.formats import keras_config, keras_hdf5
from ror_port.formats.format import Contents
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import LSTM, Add, Concatenate, Dense, Input, Masking

GATES = {"recurrent_activation": "sigmoid"}


def keras_lists(graph: Graph) -> list[str]:
    config = keras_config.keras_3(keras_config.model(graph, "float32"), "model")["config"]
    return [layer.name for layer in frameworks.keras().Model.from_config(config).layers]


def of_random_layers(seed: int) -> Graph | None:
    """Layers that are used several times, several results, masks; None where Keras has no such masks."""
    rng, g = random.Random(seed), GraphBuilder()
    sequences, states = [g.add("in", Input((4, 3)))], list[str]()
    owners: dict[type, list[str]] = {Dense: [], LSTM: []}
    try:
        for number in range(rng.randint(4, 14)):
            kind = rng.choice((Dense, Dense, LSTM, LSTM, Masking, Masking, Add, Concatenate))
            x, name = rng.choice(sequences), f"{kind.__name__.lower()}_{number}"
            owner = rng.choice(owners[kind]) if kind in owners and owners[kind] and rng.random() < 0.4 else None
            if kind is LSTM:
                layer = LSTM(3, return_sequences=True, return_state=True, **GATES)
                given = [x, *(rng.sample(states, 2) if states and rng.random() < 0.4 else [])]
                sequences.append(g.add(name, layer, *given, shares=owner))
                owner = g.nodes[name].owner
                states += [g.add(f"{name}/{s}", replace(layer, gives=s), *given, shares=owner) for s in ("h", "c")]
            elif kind is Dense:
                sequences.append(g.add(name, Dense(3), x, shares=owner))
            elif kind is Masking:
                sequences.append(g.add(name, Masking(), x))
            elif len(sequences) > 1:
                several = rng.sample(sequences, min(len(sequences), rng.randint(2, 3)))
                y = g.add(name, Add() if kind is Add else Concatenate(-1), *several)
                sequences.append(y if kind is Add else g.add(f"{name}/dense", Dense(3), y))
            if kind in owners and not g.nodes[name].shares:
                owners[kind].append(name)
        ends = rng.sample(sequences[1:] + states, rng.randint(1, 3))
        graph = g.finish(*ends).until(*ends)
        keras_config.model(graph.for_keras(), "float32")
    except (UnknownNetwork, ValueError):
        return None
    return graph.for_keras()


def test_layers_are_listed_as_keras_3_lists_them() -> None:
    graphs = [graph for graph in map(of_random_layers, range(130)) if graph is not None]
    assert len(graphs) > 100
    for graph in graphs:
        layers = keras_config.model(graph, "float32").layers
        listed = [layer.name for layer in layers if layer.class_name not in keras_config.OPERATIONS]
        assert listed == keras_lists(graph)


def beside_a_mask() -> Graph:
    """In Keras 2 "second" comes first; in Keras 3 two operators that make the mask have "first" lie deeper."""
    g = GraphBuilder()
    x, y = g.add("x", Input((4, 3))), g.add("y", Input((4, 3)))
    masked = g.add("lstm_1", LSTM(3, **GATES), g.add("masking", Masking(), g.add("first", Dense(3), x)))
    other = g.add("lstm_2", LSTM(3, **GATES), g.add("third", Dense(3), g.add("second", Dense(3), y)))
    g.add("add", Add(), other, masked)
    return g.finish()


def test_layers_that_keras_2_and_3_list_otherwise_are_refused(tmp_path: Path) -> None:
    contents = Contents(beside_a_mask(), (), "float32", {}, None, lambda *_: None)
    with pytest.raises(UnknownNetwork, match="order layers with masks each its own way"):
        keras_hdf5.write_model(tmp_path / "out.h5", contents)
