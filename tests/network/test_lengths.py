"""Sizes that vary: what genuine Keras takes at any length stays so in every target, and computes the same at each."""

from __future__ import annotations

import copy
import json
import math
import pickle
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from conformance import THEANO, THOROUGH, computed, error, inputs_of, opened
from genuine_layers import Case, cases, record
from ror_port import save, tolerances, verify
from ror_port.check import classification
from ror_port.check.classification import Signature, seeded_inputs, seeded_of_other_sizes
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import NotACheckpoint, UnknownNetwork, UsageError
from ror_port.formats.format import BY_NAME
from ror_port.layout import VARIES, extent, fits, of_extent, varies
from ror_port.network.as_json import from_json, to_json
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import Add, Concatenate, Conv1D, Cropping1D, Dense, Flatten, Input, MaxPooling1D
from ror_port.network.sizes import fitting, sized
from ror_port.source.port import Port, load

CASES = [case for stack in THEANO for case in cases(f"{stack}/lengths/*")]
TARGETS = ("keras", "h5", "savedmodel", "safetensors", "onnx", "theano")
NOT_IN_KERAS = ("ave-same-2-*", "max-same-5-*", "ave-same-5-*")
"""Pooling 'same' that Theano begins further before the input than TensorFlow."""


def some(step: int) -> list[Case]:
    return CASES[:: 1 if THOROUGH else step]


@pytest.mark.parametrize("operation", [
    lambda n: n + 1, lambda n: 1 + n, lambda n: n - 1, lambda n: 1 - n, lambda n: 2 * n, lambda n: n * 2, lambda n: n // 2,
    lambda n: 7 // n, lambda n: n / 2, lambda n: n % 2, lambda n: -n, lambda n: n < 1, lambda n: 1 <= n, lambda n: min(n, 3),
    lambda n: max(3, n), lambda n: math.prod((3, n)), lambda n: sum((3, n)), lambda n: range(n), lambda n: [1, 2][n],
    int, float, bool, abs, lambda n: np.zeros((2, n)), lambda n: np.zeros((2, 3)).reshape(n, 2),
])  # fmt: skip
def test_nothing_can_be_computed_with_a_size_that_varies(operation) -> None:
    with pytest.raises((ValueError, TypeError), match="sizes that vary"):
        operation(VARIES)
    with pytest.raises(TypeError):
        json.dumps({"size": VARIES})


def test_a_size_that_varies_is_itself_alone() -> None:
    assert VARIES == VARIES and VARIES != 1 and VARIES not in (0, -1, None)
    assert copy.deepcopy((VARIES,))[0] is VARIES and pickle.loads(pickle.dumps(VARIES)) is VARIES
    assert extent((VARIES, 3)) == (None, 3) and of_extent((None, 3)) == (VARIES, 3)
    assert fits((7, 3), (VARIES, 3)) and not fits((7, 4), (VARIES, 3)) and not fits((7,), (VARIES, 3))
    assert not fits((VARIES, 3), (7, 3))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", some(11), ids=str)
def test_every_target_computes_it_at_any_length(case: Case, target: str, tmp_path: Path) -> None:
    """Those of the record, the two that it is compared at once it is written, and two more."""
    found, path = record(case), tmp_path / f"out{BY_NAME[target].suffix}"
    with opened(case, tmp_path) as port:
        assert any(varies(node.shape) for node in port.graph.inputs)
        try:
            verification = save(port, path, format=target).verification
        except UnknownNetwork as refusal:
            assert target in ("keras", "h5", "savedmodel") and any(fnmatch(case.name, name) for name in NOT_IN_KERAS)
            assert "to PyTorch and ONNX" in str(refusal)
            return
        assert verification is not None and verification.passed, str(verification)
        runtime = open_artifact(path, source=port)
        assert runtime.signature == Signature.of(port)
        for inputs in (inputs_of(port, found.inputs), *islice(others(port), 2, 4)):
            scores = runtime.scores([inputs[node.name] for node in port.graph.inputs])
            assert error(list(scores), ends(port, inputs, runtime.softmax)) <= tolerances.FLOAT32


def others(port: Port) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of growing sizes."""
    graph = port.channels_last.graph
    for shapes in fitting(graph):
        random = np.random.default_rng(len(shapes))
        pairs = zip(graph.inputs, shapes, strict=True)
        yield {node.name: random.uniform(-2, 2, (3, *shape)).astype(np.float32) for node, shape in pairs}


def ends(port: Port, inputs: dict[str, np.ndarray], softmax: Sequence[bool]) -> list[np.ndarray]:
    """What the reference gives of it, where a softmax is left out without it."""
    names = classification.ends(port.graph, softmax)
    values = port.outputs(inputs, *names)
    return [values[name] for name in names]
