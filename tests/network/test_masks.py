"""Which masks a graph takes, and how far they reach."""

from __future__ import annotations

import pytest

from ror_port.network import layers as known
from ror_port.network.graph import GraphBuilder
from ror_port.network.layers import Layer


def masked(*shape: int) -> GraphBuilder:
    g = GraphBuilder()
    g.add("masking", known.Masking(), g.add("in", known.Input(shape)))
    return g


RECURRENT = known.GRU(2)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (known.TimeDistributed(RECURRENT), (4, 5, 3)),
        (known.TimeDistributed(known.Bidirectional(RECURRENT)), (4, 5, 3)),
        (known.TimeDistributed(known.GlobalAveragePooling1D()), (4, 5, 3)),
        (known.TimeDistributed(known.TimeDistributed(known.Flatten())), (4, 5, 3, 2)),
        (known.TimeDistributed(known.Masking()), (4, 5, 3)),
        (known.TimeDistributed(known.Embedding(7, 3, mask_zero=True)), (4, 5)),
        (known.GlobalAveragePooling1D(data_format="channels_first"), (4, 3)),
        (known.Conv1D(2, (2,), (1,), "valid"), (4, 3)),
    ],
    ids=repr,
)
def test_what_a_mask_would_be_lost_on_is_refused(layer: Layer, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"mask|another axis"):
        masked(*shape).add("layer", layer, "masking")


@pytest.mark.parametrize("layer", [known.Masking(), known.Embedding(7, 3, mask_zero=True)], ids=repr)
def test_what_makes_a_mask_is_refused_within_a_time_distributed(layer: Layer) -> None:
    g = GraphBuilder()
    g.add("in", known.Input((4, 5) if isinstance(layer, known.Embedding) else (4, 5, 3)))
    with pytest.raises(ValueError, match="that makes a mask"):
        g.add("layer", known.TimeDistributed(layer), "in")


def test_of_sequences_that_meet_a_step_counts_that_counts_in_all() -> None:
    g = masked(4, 3)
    g.add("other", known.Masking(), g.add("in2", known.Input((4, 3))))
    g.add("unmasked", known.Input((4, 3)))
    g.add("sum", known.Add(), "masking", "other", "unmasked")
    g.add("lstm", known.LSTM(2, return_sequences=True), "sum")
    assert g.nodes["lstm"].mask == ("masking", "other")
    g.add("last", known.LSTM(2), "lstm")
    assert g.nodes["last"].mask == ()
