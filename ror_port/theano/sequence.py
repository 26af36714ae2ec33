"""Embedding, Masking, and sequences turned round."""

from __future__ import annotations

import numpy as np

from ror_port.network.layers import Embedding, Masking, Reverse
from ror_port.theano.twins import Call, Values, mask_of, twin


@twin(Embedding)
def embedding(_: Embedding, call: Call) -> Values:
    return np.asarray(call.weights["embeddings"][call.x.astype(np.int64)])


@mask_of(Embedding)
def is_word(_: Embedding, call: Call) -> Values:
    return np.asarray(call.x != 0)


@twin(Masking)
def masking(layer: Masking, call: Call) -> Values:
    return np.asarray(call.x * is_step(layer, call)[..., np.newaxis])


@mask_of(Masking)
def is_step(layer: Masking, call: Call) -> Values:
    """Theano makes the value a constant of float32, as the inputs are; of 0.1 that is another number."""
    return np.asarray((call.x.astype(np.float32) != np.float32(layer.mask_value)).any(axis=-1))


@twin(Reverse)
def reverse(_: Reverse, call: Call) -> Values:
    return np.asarray(call.x[:, ::-1])
