from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genuine import LARGE, PRE_ROR, relative_l2
from ror_port import tolerances
from ror_port.check.classification import seeded_images
from ror_port.check.expectation import Expectation, common_epsilon, depth, with_epsilon
from ror_port.network.layers import BatchNormalization
from ror_port.source.port import load


@pytest.fixture
def port(pre_ror):
    with load(pre_ror.weights) as port:
        yield port


def of(port, count: int = 2, **options) -> Expectation:
    return Expectation(port, seeded_images((32, 32, 3), count), **options)


def test_the_tolerance_comes_from_what_rounding_costs(genuine) -> None:
    with load(genuine(LARGE[0]).weights) as port:
        expectation = of(port)
        assert depth(port.graph, "head/softmax") == 38
        (noise,), (rounded,), (exact,) = (
            expectation.noise(),
            expectation.tolerances(False),
            expectation.tolerances(True),
        )
        assert rounded.value == tolerances.MARGIN * noise
        assert 1e-7 < noise < 5e-6
        assert 1e-16 < exact.value < 1e-13


def test_an_epsilon_is_common_to_all_batch_norms_or_to_none(port) -> None:
    assert common_epsilon(port.graph) == 1e-3
    changed = with_epsilon(port.graph, 1e-5)
    assert common_epsilon(changed) == 1e-5
    assert {node.layer.epsilon for node in changed if isinstance(node.layer, BatchNormalization)} == {1e-5}
    first = next(node.layer for node in port.graph if isinstance(node.layer, BatchNormalization))
    mixed = port.graph.map(lambda layer: replace(layer, epsilon=0.5) if layer is first else layer)
    assert common_epsilon(mixed) is None


def test_each_thing_is_computed_once(port, monkeypatch) -> None:
    runs, reads = [], []
    run, read = type(port).run, type(port).tensors
    monkeypatch.setattr(type(port), "run", lambda *a, **k: runs.append(k["dtype"]) or run(*a, **k))
    monkeypatch.setattr(type(port), "tensors", lambda port: reads.append(port) or read(port))
    expectation = of(port)
    for _ in range(2):
        _ = expectation.logits, expectation.scores([True]), expectation.noise(), expectation.noise([True])
        _ = expectation.tolerances(True), expectation.effects
    assert runs == [np.float64, np.float32, *[np.float64] * len(expectation.effects)]
    assert len(reads) == 1


def test_layers_are_kept_where_they_are_asked_for(port) -> None:
    assert set(of(port).outputs) == {"head/dense", "head/softmax"}
    assert set(of(port, per_layer=True).outputs) == {node.name for node in port.graph}


def test_feature_maps_are_channels_last(port) -> None:
    assert port.graph.input.shape == (3, 32, 32)
    for name, output in of(port, per_layer=True).outputs.items():
        assert output.shape == (2, *port.channels_last.graph[name].shape)


@pytest.mark.parametrize("name", PRE_ROR)
def test_the_expected_scores_are_those_that_theano_recorded(genuine, name) -> None:
    source = genuine(name)
    record = source.record("float64")
    with load(source.weights, epsilon=source.epsilon) as port:
        expectation = Expectation(port, record["images"].transpose(0, 2, 3, 1))
        assert relative_l2(expectation.logits, record["logits"]) <= tolerances.FLOAT64
        assert relative_l2(expectation.scores([True])[0], record["probabilities"]) <= tolerances.FLOAT64
