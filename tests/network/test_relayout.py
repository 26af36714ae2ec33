"""Random networks compute the same whatever the order of axes: in the reference, and in every framework.

A longer run: ROR_PORT_THOROUGH=1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from genuine import relative_l2
from ror_port import tolerances
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import UnknownNetwork
from ror_port.formats import keras_3
from ror_port.formats.format import BY_NAME, Contents
from ror_port.formats.pytorch_definition import definition
from ror_port.layout import SAME, Arranged, DataFormat, Layout, Shape
from ror_port.network import layers as known
from ror_port.network.as_json import to_json
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import Layer
from ror_port.network.layers.activation import HARD_SIGMOID_OF_KERAS_3
from ror_port.network.layers.recurrent import Recurrent
from ror_port.network.relayout import relayout
from ror_port.source.port import load
from ror_port.theano.run import Tensors, run
from ror_port.theano.twins import Stored

THOROUGH = bool(os.environ.get("ROR_PORT_THOROUGH"))
GRAPHS, CONVERTED = (20_000, 400) if THOROUGH else (400, 12)

FOUND = (15, 34, 38, 49, 258)
"""Graphs that went wrong in a framework once."""

EXACT = 1e-12
"""Relative: float64 that is added up in another order."""

FORMATS: tuple[DataFormat, ...] = ("channels_first", "channels_last")
CANONICAL = Stored("keras_2", true_convolution=False)


def of_rank(kind: str, rank: int) -> Any:
    return getattr(known, f"{kind}{rank}D")


def layer(random: Random, shape: Shape) -> Layer:
    """Any layer that may take a value of this shape; it may prove not to fit."""
    axes, rank = len(shape), len(shape) - 1
    axis = random.choice([-1, *range(1, axes + 1)])
    own: dict[str, Any] = {} if rank == 1 else {"data_format": random.choice(FORMATS)}

    def sizes(least: int, most: int) -> tuple[int, ...]:
        return tuple(random.randint(least, most) for _ in range(rank))

    def sides() -> tuple[tuple[int, int], ...]:
        return tuple((random.randint(0, 1), random.randint(0, 2)) for _ in range(rank))

    padding = random.choice(["half", "same", "valid", "full"])
    anywhere: list[Callable[[], Layer]] = [
        lambda: known.Activation(random.choice(["relu", "tanh", "hard_sigmoid", "softsign"])),
        lambda: known.Softmax(axis),
        lambda: known.ReLU(negative_slope=random.choice([0.0, 0.3])),
        lambda: known.ELU(0.5),
        lambda: known.PReLU(tuple(i + 1 for i in range(axes) if random.random() < 0.4)),
        lambda: known.Dropout(0.5),
        lambda: known.BatchNormalization(1e-3, axis=axis, scale=random.random() < 0.8, center=random.random() < 0.8),
        lambda: known.Dense(random.randint(1, 4), use_bias=random.random() < 0.8),
        lambda: known.Flatten(data_format=random.choice(FORMATS)),
        lambda: known.Flatten(),
        lambda: known.Permute(tuple(random.sample(range(axes), axes))),
        lambda: known.Reshape(reshaped(random, shape)),
    ]
    if axes == 1:
        anywhere.append(lambda: known.RepeatVector(random.randint(1, 3)))
    if not 1 < axes < 5:
        return random.choice(anywhere)()
    pools = ("Max", "Average")
    windowed: list[Callable[[], Layer]] = [
        lambda: of_rank("Conv", rank)(
            random.randint(1, 4), sizes(1, 3), sizes(1, 2), padding, use_bias=random.random() < 0.8, **own
        ),
        lambda: of_rank(f"{random.choice(pools)}Pooling", rank)(
            sizes(1, 3), sizes(1, 2), random.choice(["valid", "same", "theano"]), **own
        ),
        lambda: of_rank(f"Global{random.choice(pools)}Pooling", rank)(**own),
        lambda: of_rank("ZeroPadding", rank)(sides(), **own),
        lambda: of_rank("Cropping", rank)(sides(), **own),
        lambda: of_rank("UpSampling", rank)(sizes(1, 2), **own),
    ]
    if rank == 2:
        windowed += [
            lambda: known.DepthwiseConv2D(random.randint(1, 2), sizes(1, 3), sizes(1, 2), "same", **own),
            lambda: known.Conv2DTranspose(random.randint(1, 3), sizes(2, 3), (2, 2), "valid", **own),
            lambda: known.Conv2D(2, sizes(2, 3), (1, 1), "half", sizes(1, 2), **own),
        ]
    return random.choice(random.choice([anywhere, windowed, windowed]))()


def recurrent(random: Random) -> Recurrent:
    """One of any kind, of few units."""
    function = random.choice(["tanh", "relu", "softsign"])
    settings: dict[str, Any] = {
        "use_bias": random.random() < 0.8,
        "return_sequences": random.random() < 0.7,
        "go_backwards": random.random() < 0.3,
    }
    gate = random.choice(["sigmoid", "hard_sigmoid"])
    units = random.randint(1, 3)
    kinds: list[Callable[[], Recurrent]] = [
        lambda: known.SimpleRNN(units, function, **settings),
        lambda: known.LSTM(units, function, recurrent_activation=gate, **settings),
        lambda: known.GRU(units, function, recurrent_activation=gate, reset_after=random.random() < 0.3, **settings),
    ]
    return random.choice(kinds)()


def layer_of_sequences(random: Random, shape: Shape) -> Layer:
    """A layer for steps, of vectors or of images; every third is any layer."""
    if not 2 <= len(shape) <= 4 or random.random() < 0.3:
        return layer(random, shape)
    if len(shape) > 2:
        return known.TimeDistributed(layer_of_sequences(random, shape[1:]))
    kinds: list[Callable[[], Layer]] = [
        lambda: recurrent(random),
        lambda: recurrent(random),
        lambda: known.Bidirectional(recurrent(random), random.choice(["concat", "sum", "mul", "ave"])),
        lambda: known.Masking(),
        known.GlobalAveragePooling1D,
    ]
    return random.choice(kinds)()


def reshaped(random: Random, shape: Shape) -> Shape:
    """Another shape of so many elements."""
    left, sizes = int(np.prod(shape)), []
    for prime in (2, 3, 5, 7):
        while left % prime == 0:
            left //= prime
            sizes.append(prime)
    sizes = [*sizes, left] if left > 1 else sizes
    random.shuffle(sizes)
    axes = random.randint(1, 4)
    target = [1] * axes
    for size in sizes:
        target[random.randrange(axes)] *= size
    return tuple(target)


def merge(random: Random, axes: int) -> Layer:
    axis = random.choice([-1, *range(1, axes + 1)])
    kinds = (known.Add, known.Subtract, known.Multiply, known.Average, known.Maximum, known.Minimum)
    return random.choice(
        [*(kind() for kind in kinds), known.Concatenate(axis), known.Concatenate(axis), known.Dot((axis, axis))]
    )


MAX_ELEMENTS = 3_000
WORDS = 5
SEQUENCES = 1_000_000
"""Seeds from here on give networks of sequences."""


def random_graph(random: Random, sequences: bool = False) -> Graph:
    """A network of some ten layers. Layers with weights are used again here and there.

    sequences: most of it recurrent layers, and others at each step, of sequences with and without masks.
    """
    g = GraphBuilder()
    draw, ranks = (layer_of_sequences, [1, 2, 2, 2, 3, 4]) if sequences else (layer, [1, 2, 3, 3, 3, 3, 4])
    for number in range(random.choice([1, 1, 2])):
        rank = random.choice(ranks)
        g.add(f"in{number}", known.Input(tuple(random.randint(2, 6) for _ in range(rank))))
        if sequences and rank == 1:
            g.add(f"embedding{number}", known.Embedding(WORDS, 3, random.random() < 0.7), f"in{number}")
        elif sequences and rank == 2 and random.random() < 0.7:
            g.add(f"masking{number}", known.Masking(), f"in{number}")
    for number in range(random.randint(3, 14)):
        source = random.choice(list(g.nodes)[-4:])
        shape = g.nodes[source].shape
        partners = [name for name, node in g.nodes.items() if len(node.shape) == len(shape)]
        owners = [node for node in g.nodes.values() if node.parameters and not isinstance(node.layer, known.Embedding)]
        name = f"n{number}"
        try:
            if random.random() < 0.25 and len(partners) > 1:
                g.add(name, merge(random, len(shape)), source, random.choice(partners))
            elif random.random() < 0.2 and owners:
                owner = random.choice(owners)
                g.add(name, owner.layer, source, shares=owner.name)
            else:
                g.add(name, draw(random, shape), source)
        except (ValueError, IndexError):  # it takes no such value
            continue
        if np.prod(g.nodes[name].shape) > MAX_ELEMENTS or min(g.nodes[name].shape) < 1:
            del g.nodes[name]
    read = {source for node in g.nodes.values() for source in node.inputs}
    graph = g.finish()
    outputs = [name for name in g.nodes if name not in read and name in graph and not name.startswith("in")]
    return graph.until(*outputs[-2:]) if outputs else random_graph(random, sequences)


def graph_of(seed: int) -> Graph:
    return random_graph(Random(seed), sequences=seed >= SEQUENCES)


def seeds(count: int) -> list[int]:
    """Of so many networks, and of half as many of sequences."""
    return [*range(count), *range(SEQUENCES, SEQUENCES + count // 2)]


def weights_of(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    """Parameter name → values, float32 numbers in float64."""
    rng = np.random.default_rng(seed)
    return {p.name: np.float64(np.float32(rng.uniform(0.1, 1.0, p.shape))) for p in graph.parameters}


def by_node(graph: Graph, weights: dict[str, np.ndarray]) -> Tensors:
    return {node.name: {p.role: weights[p.name] for p in node.parameters} for node in graph if node.parameters}


def inputs_of(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    """Numbers; words for an Embedding, and for a Masking steps of zeros here and there."""
    rng = np.random.default_rng(seed)
    found = {node.name: np.float64(np.float32(rng.standard_normal((2, *node.shape)))) for node in graph.inputs}
    for name, array in found.items():
        readers = {type(reader.layer) for reader in graph.readers[name]}
        if known.Embedding in readers:
            found[name] = np.float64(rng.integers(0, WORDS, array.shape))
        elif known.Masking in readers:
            array[rng.random(array.shape[:2]) < 0.3] = 0
    return found


def stated(layer: Layer) -> Layer:
    """With the hard_sigmoid of Keras 3, as a file of it has no other."""
    match layer:
        case known.Activation(function="hard_sigmoid"):
            return known.Activation(HARD_SIGMOID_OF_KERAS_3)
        case Recurrent():
            return layer.of_keras_3
        case known.TimeDistributed() | known.Bidirectional():
            return replace(layer, layer=stated(layer.layer))  # type: ignore[arg-type]
    return layer


def scaled(graph: Graph, weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Weights as the layers of today's Keras want them."""
    factors = [p.layer.factors(p.role) or (1.0,) for p in graph.parameters]
    return [weights[p.name] * np.array(by) for p, by in zip(graph.parameters, factors, strict=True)]


def difference(ours: np.ndarray, expected: np.ndarray) -> float:
    assert ours.shape == expected.shape
    return relative_l2(ours, expected) if expected.any() else float(np.abs(ours).max())


def assert_same(graph: Graph, found: dict[str, np.ndarray], changed: Callable[[str], Layout], seed: int) -> None:
    """Compares what the nodes of a graph compute with `found`; changed: how the value of a node lies there."""
    for name, expected in run(graph, by_node(graph, weights_of(graph, seed)), CANONICAL, inputs_of(graph, seed)):
        assert difference(found[name], changed(name).view(expected)) <= EXACT, (seed, name, graph[name].layer)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("target", FORMATS)
def test_in_another_order_of_axes_every_node_computes_the_same(target: DataFormat, part: int) -> None:
    for seed in seeds(GRAPHS)[part::4]:
        graph = graph_of(seed)
        moved = relayout(graph, target)
        weights = {name: moved.weights.get(name, SAME).view(a) for name, a in weights_of(graph, seed).items()}
        assert {p.name: p.shape for p in moved.graph.parameters} == {name: a.shape for name, a in weights.items()}, seed
        given = {name: moved.value(name).view(array) for name, array in inputs_of(graph, seed).items()}
        assert_same(graph, dict(run(moved.graph, by_node(moved.graph, weights), CANONICAL, given)), moved.value, seed)


def test_in_layers_that_keras_has_every_node_computes_the_same() -> None:
    refused = 0
    for seed in seeds(GRAPHS):
        graph = graph_of(seed)
        try:
            stock = graph.for_keras()
        except UnknownNetwork:  # of layers that are used at places of several shapes
            refused += 1
            continue
        weights = zip((p.name for p in stock.parameters), scaled(graph, weights_of(graph, seed)), strict=True)
        found = run(stock, by_node(stock, dict(weights)), CANONICAL, inputs_of(graph, seed))
        assert_same(graph, dict(found), lambda _: SAME, seed)
    assert refused <= GRAPHS / 100


@pytest.mark.filterwarnings("ignore:.*You are using a softmax:UserWarning")  # over an axis of size 1
@pytest.mark.parametrize("name", ["keras", "safetensors", "onnx"])
def test_every_framework_computes_the_same(name: str, tmp_path: Path) -> None:
    """From a file that states the graph, with images in either order or both."""
    refused = 0
    for seed in (*seeds(CONVERTED), *FOUND):
        graph = graph_of(seed).map(stated)
        weights, inputs = weights_of(graph, seed), inputs_of(graph, seed)
        source, target = tmp_path / f"{seed}.weights.h5", tmp_path / f"{seed}{BY_NAME[name].suffix}"
        parameters = [(p, Arranged.of(weights[p.name])) for p in graph.parameters]
        keras_3.write_weights(source, Contents(graph, parameters, "float32", {"graph": to_json(graph)}))
        with load(source) as port:
            try:
                write(port, target, BY_NAME[name])
            except UnknownNetwork:
                refused += 1
                continue
            given = {name: port.channels_last.value(name).view(array) for name, array in inputs.items()}
            runtime = open_artifact(target, port)
            scores = runtime.scores([given[node.name] for node in port.graph.inputs])
            ends = [
                end if softmax else port.graph.before_softmax(end)
                for end, softmax in zip(port.graph.outputs, runtime.softmax, strict=True)
            ]
            values = port.outputs(given, *ends)
        for end, ours in zip(ends, scores, strict=True):
            assert difference(ours, values[end]) <= tolerances.FLOAT32, (seed, end)
    assert refused <= 1 + CONVERTED / 20


def used_twice(layer: Layer, *shapes: Shape) -> Graph:
    """A layer on inputs of two shapes."""
    g = GraphBuilder()
    first = g.add("layer", layer, g.add("one", known.Input(shapes[0])))
    return g.finish(first, g.add("layer@2", layer, g.add("other", known.Input(shapes[1])), shares="layer"))


def test_a_layer_that_pads_one_way_here_and_another_there_is_refused() -> None:
    """In Keras it is one layer, in PyTorch one module, with one padding."""
    sizes = (5, 5, 2), (6, 6, 2)
    with pytest.raises(UnknownNetwork, match=r"layer is used at several places.* in today's Keras"):
        used_twice(known.Conv2D(2, (3, 3), (2, 2), "half"), *sizes).for_keras()
    graph = relayout(used_twice(known.Conv2D(2, (3, 3), (2, 2), "same"), *sizes), "channels_first").graph
    names = {node.name: node.name.replace("@", "_") for node in graph}
    with pytest.raises(UnknownNetwork, match=r"layer is used at several places.* in PyTorch"):
        definition(graph, names, title="", origin="")


def test_of_a_shared_layer_the_first_use_that_is_left_has_the_weights() -> None:
    graph = used_twice(known.Dense(3), (4,), (4,)).until("layer@2")
    assert [p.name for p in graph.parameters] == ["layer@2/kernel", "layer@2/bias"]
    assert graph["layer@2"].shares is None


def test_a_batch_norm_of_vectors_is_not_used_for_sequences() -> None:
    """Keras refuses it; in another order of axes its axis would be another at each place."""
    with pytest.raises(ValueError, match="another number of axes"):
        used_twice(known.BatchNormalization(1e-3, axis=1), (3,), (3, 2))


def test_onnx_runtime_pads_a_max_pooling_with_zeros(tmp_path: Path) -> None:
    """Its optimiser puts a Pad of all axes into the MaxPool behind it, whose border is −∞."""
    g = GraphBuilder()
    x = g.add("dense", known.Dense(1, use_bias=False), g.add("in", known.Input((3, 3, 1))))
    x = g.add("pad", known.ZeroPadding2D(((1, 1), (1, 1))), x)
    graph = g.finish(g.add("pool", known.MaxPooling2D((2, 2), (1, 1)), x))
    keras_3.write_weights(
        tmp_path / "net.weights.h5",
        Contents(
            graph, [(p, Arranged.of(np.ones(p.shape))) for p in graph.parameters], "float32", {"graph": to_json(graph)}
        ),
    )
    with load(tmp_path / "net.weights.h5") as port:
        write(port, tmp_path / "net.onnx", BY_NAME["onnx"])
        (scores,) = open_artifact(tmp_path / "net.onnx", port).scores([np.full((1, 3, 3, 1), -1, "f4")])
    assert scores.max() == 0.0
