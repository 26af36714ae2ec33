"""The records of single layers as ports: which of them are supported, and what the reference makes of them."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from genuine import relative_l2
from genuine_layers import Case, cases, record
from ror_port.convert.write import write
from ror_port.errors import UnknownNetwork
from ror_port.formats.format import BY_NAME
from ror_port.source.port import Port, load

REFUSED = {
    "*/normalization_modes/*": "statistics of the batch at hand",
}
"""Families that are not supported yet, and why."""

CASES = [case for case in cases() if not any(fnmatch(str(case), pattern) for pattern in REFUSED)]
THOROUGH = bool(os.environ.get("ROR_PORT_THOROUGH"))
THEANO = ("keras-1.2.2-theano-0.9.0", "keras-2.2.4-theano-1.0.5")
KERAS_0 = "keras-0.3.3-theano-0.8.2"
UNSTATED = (
    "*keras-1*/padding2d/other-ordering*",
    "*keras-1*/shapes2d/*other-ordering*",
    "*keras-1*/conv_lstm2d/strides*",
)
"""Keras 1 writes no ordering for these layers, and no strides of a ConvLSTM2D. Here it was not the session's, and not
1: no file tells what it was, and what Keras makes of the file is another model."""

CASES = [case for case in CASES if not any(fnmatch(str(case), pattern) for pattern in UNSTATED)]


NETWORKS = ("networks", "nested", "sequences")
"""Families of networks as people wrote them."""


def some(step: int) -> list[Case]:
    """Cases of Keras on Theano: each third of the networks, of the others each so manieth; a long run has them all."""
    of_theano = [case for stacks in (THEANO, (KERAS_0,)) for case in CASES if case.stack in stacks]
    networks = [case for case in of_theano if case.family in NETWORKS]
    others = [case for case in of_theano if case.family not in NETWORKS]
    return of_theano if THOROUGH else [*networks[::3], *others[::step]]


def computed(port: Port, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The reference's outputs, in the order of the model's."""
    values = port.outputs(inputs, *port.graph.outputs)
    return [values[name] for name in port.graph.outputs]


def opened(case: Case, folder: Path) -> Port:
    """The port of a record, from the file that Keras saved; what no file states is given."""
    found = record(case)
    path = folder / "genuine.h5"
    session = found.session
    given = {"backend": session["backend"], "ordering": session["image_dim_ordering"]}
    given["ordering"] = {"channels_first": "th", "channels_last": "tf"}.get(given["ordering"], given["ordering"])
    if session["keras"].startswith("0."):  # whose sessions have no ordering
        del given["ordering"]
    if found.saves_models:
        found.write(path)
        return load(path, **given)
    found.write_weights(path)
    (folder / "model.json").write_text(found.config)
    version = None if session["keras"].startswith("0.") else session["keras"]
    return load(path, keras=version, architecture=str(folder / "model.json"), **given)


def inputs_of(port: Port, arrays: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    """Recorded inputs by the names of their nodes, images channels_last."""
    names = [node.name for node in port.graph.inputs]
    return {n: port.channels_last.value(n).view(array) for n, array in zip(names, arrays, strict=True)}


def outputs_of(port: Port, arrays: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    return [port.channels_last.value(n).view(a) for n, a in zip(port.graph.outputs, arrays, strict=True)]


def error(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    assert [a.shape for a in found] == [a.shape for a in expected]
    return max(relative_l2(a, b) if np.any(b) else float(np.abs(a).max()) for a, b in zip(found, expected, strict=True))


def supported(case: Case, folder: Path) -> Port:
    try:
        return opened(case, folder)
    except UnknownNetwork as refusal:
        pytest.skip(f"refused: {str(refusal).rpartition(': ')[2]}")


TO_THEANO_ALONE = "*/merge_more/cos-sequences-*"
"""What no stock layers compute."""

EVEN_KERNELS = {"activation", "backwards", "dilation", "network", "same-sequences", "valid", "valid-sequences"}
"""Records of ConvLSTM2D with such kernels, for which today's Keras has no padding as Theano's."""


def refusal(port: Port, target: Path, name: str) -> str | None:
    """Why a network cannot be written; None once it is."""
    try:
        write(port, target, BY_NAME[name])
    except UnknownNetwork as error:
        return str(error)
    return None


def may_refuse(name: str, case: Case, reason: str) -> bool:
    """Whether a format may refuse the network of a record, for a reason that it gave."""
    if name in ("onnx", "safetensors") or fnmatch(str(case), TO_THEANO_ALONE):
        return True
    if "even kernel" in reason:
        return case.name.rpartition("-")[0] in EVEN_KERNELS
    keras_2 = (
        "hard_sigmoid is another function in Keras 2",
        "no layer that turns a sequence round",
        "takes its initial state in another form",
        "order layers with masks",
        "and zeros on Theano, as Keras 3 does",
        "would not give it; write .keras",
    )
    if "hard_sigmoid of Keras 1 and 2 in such a place" in reason:  # of the cell, which is no sum
        return case.name == "lstm-hard_sigmoid-sigmoid-th"
    if "for sizes that vary" in reason:
        return case.family == "lengths"
    return name == "h5" and any(words in reason for words in keras_2)
