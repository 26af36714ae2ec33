"""Every kind of layer against genuine Keras: stored architecture → graph → reference, Keras, PyTorch, ONNX → back.

The records are networks of a few layers that genuine Keras saved and ran (`reference/record_layers`). What is not
supported must be refused; nothing may be answered wrongly.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import h5py
import numpy as np
import pytest

from genuine import relative_l2
from genuine_layers import Case, cases, record
from ror_port import save, tolerances, verify
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import RorPortError, UnknownNetwork
from ror_port.formats.format import BY_NAME
from ror_port.network.layers import (
    LAYERS,
    EinsumDense,
    Input,
    Layer,
    Merge,
    Rescaling,
    SeparableConv1D,
    SeparableConv2D,
    UnitNormalization,
)
from ror_port.source.port import Port, load
from ror_port.theano.twins import TWINS

REFUSED = {
    "*/recurrent*/*": "recurrent layers",
    "*/embedding/*": "Embedding",
    "*/masking*/*": "masks",
    "*/wrappers/*": "TimeDistributed and Bidirectional",
    "*/conv_lstm*/*": "ConvLSTM2D",
    "*/normalization_modes/*": "statistics of the batch at hand",
}
"""Families that are not supported yet, and why."""

TO_THEANO_ALONE = "*/merge_more/cos-sequences-*"
"""What no stock layers compute."""

CASES = [case for case in cases() if not any(fnmatch(str(case), pattern) for pattern in REFUSED)]
THOROUGH = bool(os.environ.get("ROR_PORT_THOROUGH"))
THEANO = ("keras-1.2.2-theano-0.9.0", "keras-2.2.4-theano-1.0.5")
INEXACT = {"advanced_activations/leaky*", "advanced_activations/thresholded*", "advanced_activations/relu*"}
"""Keras 2.2 on Theano keeps these settings as float32: a float64 session has others than the configuration states."""

UNSTATED = ("*keras-1*/padding2d/other-ordering*", "*keras-1*/shapes2d/*other-ordering*")
"""Keras 1 writes no ordering for these layers, and here it was not the session's: no file tells what it was."""

CASES = [case for case in CASES if not any(fnmatch(str(case), pattern) for pattern in UNSTATED)]

PADDED_BY_TENSORFLOW = [
    case
    for case in CASES
    if case.stack == "keras-1.2.2-tensorflow-1.8.0" and "same" in case.name and case.name.endswith("-th")
    if case.family != "separable"  # which Keras 1 has on TensorFlow alone
]
PADDED_ALIKE = {"same-3-by-1-th", "same-2-dilation-2-th", "same-3-dilation-2-th", "same-1-by-1-th", "same-1-by-2-th"}
"""A reach of 1, or an odd one and strides of 1: Theano's 'same' is TensorFlow's there.

Nothing to pad is not enough: Theano's pooling begins before the input where TensorFlow's does not.
"""


OF_KERAS_1 = [
    case
    for case in CASES
    if case.stack == "keras-1.2.2-theano-0.9.0" and case.name.endswith("-th")
    if "other" not in case.name and case.family != "nested"  # these come back in ordering "th", and in one model
]


OF_THEANO = [case for case in CASES if case.stack in THEANO]


def some(step: int, of: list[Case] = OF_THEANO) -> list[Case]:
    """All networks, and of every family each so manieth; a long run has them all."""
    networks = [case for case in of if case.family in ("networks", "nested")]
    return [*networks, *[case for case in of if case not in networks][:: 1 if THOROUGH else step]]


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
    if found.saves_models:
        found.write(path)
        return load(path, **given)
    found.write_weights(path)
    (folder / "model.json").write_text(found.config)
    return load(path, keras=session["keras"], architecture=str(folder / "model.json"), **given)


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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_reference_computes_what_genuine_keras_did(case: Case, tmp_path: Path) -> None:
    found = record(case)
    with supported(case, tmp_path) as port:
        ours = computed(port, inputs_of(port, found.inputs))
        assert error(ours, outputs_of(port, found.outputs)) <= tolerances.FLOAT32
        if found.outputs_float64 and not any(fnmatch(f"{case.family}/{case.name}", pattern) for pattern in INEXACT):
            assert error(ours, outputs_of(port, found.outputs_float64)) <= tolerances.FLOAT64


@pytest.mark.parametrize("case", some(5), ids=str)
def test_every_format_brings_the_network_back(case: Case, tmp_path: Path) -> None:
    """Written, read again by ror-port, and computed by the reference from there: the same to rounding of float64."""
    found = record(case)
    with supported(case, tmp_path) as port:
        inputs = inputs_of(port, found.inputs)
        expected = computed(port, inputs)
        for name in ("keras", "h5", "weights", "safetensors", "onnx"):
            target = tmp_path / f"out{BY_NAME[name].suffix}"
            try:
                write(port, target, BY_NAME[name])
            except UnknownNetwork:
                assert name in ("onnx", "safetensors") or fnmatch(str(case), TO_THEANO_ALONE)
                continue
            with load(target) as back:
                given = {b.name: inputs[a.name] for a, b in zip(port.graph.inputs, back.graph.inputs, strict=True)}
                assert error(computed(back, given), expected) <= tolerances.FLOAT64, name


@pytest.mark.parametrize("case", some(5, OF_KERAS_1), ids=str)
def test_keras_1_gets_the_tensors_back_that_it_saved(case: Case, tmp_path: Path) -> None:
    """Under their names, in their order, byte for byte."""
    back = tmp_path / "back.h5"
    with supported(case, tmp_path) as port:
        write(port, back, BY_NAME["theano"])
    with h5py.File(back) as file:
        for layer in record(case).layers:
            if layer.weights:
                assert [name.decode() for name in file[layer.name].attrs["weight_names"]] == list(layer.weights)
            for name, array in layer.weights.items():
                np.testing.assert_array_equal(file[layer.name][name], array)


@pytest.mark.parametrize("case", PADDED_BY_TENSORFLOW, ids=str)
def test_what_tensorflow_padded_goes_to_theano_only_where_theano_pads_alike(case: Case, tmp_path: Path) -> None:
    """The weights that are written, under the same architecture on Theano, give what genuine TensorFlow gave."""
    found = record(case)
    (tmp_path / "model.json").write_text(found.config)
    back = tmp_path / "back.h5"
    with supported(case, tmp_path) as port:
        inputs = inputs_of(port, found.inputs)
        if case.name not in PADDED_ALIKE:
            with pytest.raises(UnknownNetwork, match="Theano has no mode for"):
                write(port, back, BY_NAME["theano"])
            return
        write(port, back, BY_NAME["theano"])
    with load(back, architecture=str(tmp_path / "model.json"), backend="theano", ordering="th", keras="1.2.2") as port:
        given = dict(zip((node.name for node in port.graph.inputs), inputs.values(), strict=True))
        assert error(computed(port, given), outputs_of(port, found.outputs)) <= tolerances.FLOAT32


@pytest.mark.parametrize("case", some(4), ids=str)
@pytest.mark.parametrize("name", ["keras", "safetensors", "onnx"])
def test_every_framework_computes_it(case: Case, name: str, tmp_path: Path) -> None:
    """Loaded from disk by Keras on TensorFlow, PyTorch and ONNX Runtime, fed with the recorded inputs."""
    found = record(case)
    with supported(case, tmp_path) as port:
        target = tmp_path / f"out{BY_NAME[name].suffix}"
        try:
            write(port, target, BY_NAME[name])
        except UnknownNetwork as refusal:
            pytest.skip(f"refused: {str(refusal).rpartition(': ')[2]}")
        inputs = inputs_of(port, found.inputs)
        runtime = open_artifact(target, source=port)
        scores = runtime.scores([inputs[node.name] for node in port.graph.inputs])
        ends = [
            name if softmax else port.graph.before_softmax(name)
            for name, softmax in zip(port.graph.outputs, runtime.softmax, strict=True)
        ]
        values = port.outputs(inputs, *ends)
        assert error(list(scores), [values[name] for name in ends]) <= tolerances.FLOAT32


@pytest.mark.parametrize("name", ["keras", "weights", "safetensors", "pt", "onnx"])
@pytest.mark.parametrize(
    "record_of",
    ["advanced_activations/srelu-image-th", "merge_more/cos-vectors-th", "locally_connected/2d-network-th"],
)
def test_what_is_made_of_other_layers_is_verified_by_the_port_it_came_from(
    record_of: str, name: str, tmp_path: Path
) -> None:
    [case] = cases(f"keras-1.2.2-theano-0.9.0/{record_of}")
    with supported(case, tmp_path) as port:
        target = tmp_path / f"out{BY_NAME[name].suffix}"
        save(port, target, format=name)
        assert verify(port, target).passed


@pytest.mark.parametrize("scale", [0.0, 1e-16, 1e-7, 1e12])
@pytest.mark.parametrize("name", ["keras", "safetensors", "onnx"])
def test_cosines_of_vectors_of_any_length(name: str, scale: float, tmp_path: Path) -> None:
    """Where the product of their lengths is below 1e-7, Keras divides by that; it is 0 where one of them is."""
    [case] = cases("keras-1.2.2-theano-0.9.0/merge_more/cos-vectors-th")
    target = tmp_path / f"out{BY_NAME[name].suffix}"
    with supported(case, tmp_path) as port:
        write(port, target, BY_NAME[name])
        first, second = inputs_of(port, record(case).inputs).values()
        inputs = dict(zip((node.name for node in port.graph.inputs), (first * np.float32(scale), second), strict=True))
        scores = open_artifact(target, source=port).scores(list(inputs.values()))
        assert error(list(scores), computed(port, inputs)) <= tolerances.FLOAT32


def kinds_in(case: Case, folder: Path) -> set[type[Layer]]:
    try:
        with opened(case, folder) as port:
            return {type(node.layer) for node in port.graph}
    except RorPortError:
        return set()


def test_every_kind_of_layer_has_a_genuine_record_and_a_twin(tmp_path: Path) -> None:
    """Of Keras 1.2.2 or 2.2.4 on Theano. A kind without one is a guess."""
    recorded = set().union(*(kinds_in(case, tmp_path) for case in CASES if case.stack in THEANO))
    made_of_others = {Merge, SeparableConv1D, SeparableConv2D}
    others_are_made_of = {EinsumDense, Rescaling, UnitNormalization}
    assert set(LAYERS) - made_of_others - others_are_made_of - recorded == set()
    assert set(LAYERS) - made_of_others == set(TWINS)
    assert Input in recorded


@pytest.mark.parametrize(
    "case", [case for case in cases() if any(fnmatch(str(case), pattern) for pattern in REFUSED)][::7], ids=str
)
def test_what_is_not_supported_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(UnknownNetwork) as refusal:
        opened(case, tmp_path).checkpoint.close()
    assert json.dumps(str(refusal.value)).isascii()


@pytest.mark.parametrize("stated", ["banana", [None, 4, 4], [None, 2, None, 4], [None, 2, True, 4], 7])
def test_an_output_shape_that_is_not_understood_is_refused(stated: object, tmp_path: Path) -> None:
    [case] = [case for case in cases("keras-1.2.2-theano-0.9.0/deconvolution2d/same-3-by-2-th")]
    found = record(case)
    config = json.loads(found.config)
    [layer] = [node for node in config["config"] if node["class_name"] == "Deconvolution2D"]
    layer["config"]["output_shape"] = stated
    path = tmp_path / "genuine.h5"
    replace(found, config=json.dumps(config)).write(path)
    with pytest.raises(UnknownNetwork, match=r"output_shape is .* not understood"):
        load(path, backend="theano", ordering="th")
