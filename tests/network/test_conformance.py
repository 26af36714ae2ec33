"""Every kind of layer against genuine Keras: stored architecture → graph → reference, Keras, PyTorch, ONNX → back.

The records are networks of a few layers that genuine Keras saved and ran (`reference/record_layers`). What is not
supported must be refused; nothing may be answered wrongly.
"""

from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from conformance import (
    CASES,
    REFUSED,
    THEANO,
    THOROUGH,
    computed,
    error,
    inputs_of,
    may_refuse,
    opened,
    outputs_of,
    refusal,
    some,
    supported,
)
from genuine_layers import Case, cases, record
from ror_port import save, tolerances, verify
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import RorPortError, UnknownNetwork
from ror_port.formats.format import BY_NAME
from ror_port.network.layers import (
    LAYERS,
    Activation,
    EinsumDense,
    Layer,
    Merge,
    Rescaling,
    Reverse,
    SeparableConv1D,
    SeparableConv2D,
    UnitNormalization,
)
from ror_port.source.from_config import stated_graph
from ror_port.source.port import Port, load
from ror_port.theano.twins import TWINS
from runtimes import beside_the_reference

INEXACT = {
    "masks/leaky*",
    "advanced_activations/leaky*",
    "advanced_activations/thresholded*",
    "advanced_activations/relu*",
    "masks/masking-tenth*",
}
"""Keras 2.2 on Theano keeps these settings as float32: a float64 session has others than the configuration states. A
mask value of 0.1 is another number in a float64 session, which inputs of float32 are not equal to."""

CERTAIN = 19
"""Theano's sigmoid of float64 is 1 beyond this (of float32, beyond 15), which is up to 6e-9 too much; the reference and
today's software do not follow it there."""

PADDED_BY_TENSORFLOW = [
    case
    for case in CASES
    if case.stack == "keras-1.2.2-tensorflow-1.8.0" and "same" in case.name and case.name.endswith("-th")
    if case.family != "separable"  # which Keras 1 has on TensorFlow alone
]
PADDED_ALIKE = {
    "same-th",
    "same-3-by-1-th",
    "same-2-dilation-2-th",
    "same-3-dilation-2-th",
    "same-1-by-1-th",
    "same-1-by-2-th",
}
"""A reach of 1, or an odd one and strides of 1: Theano's 'same' is TensorFlow's there.

Nothing to pad is not enough: Theano's pooling begins before the input where TensorFlow's does not.
"""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_reference_computes_what_genuine_keras_did(case: Case, tmp_path: Path) -> None:
    found = record(case)
    with supported(case, tmp_path) as port:
        inputs = inputs_of(port, found.inputs)
        ours = computed(port, inputs)
        assert error(ours, outputs_of(port, found.outputs)) <= tolerances.FLOAT32
        if found.outputs_float64 and not any(fnmatch(f"{case.family}/{case.name}", pattern) for pattern in INEXACT):
            assert error(as_certain(port, inputs, ours), outputs_of(port, found.outputs_float64)) <= tolerances.FLOAT64


def as_certain(port: Port, inputs: dict[str, np.ndarray], outputs: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs of the reference, with 1 where Theano's sigmoid has it, of those that are a sigmoid."""
    last = [port.graph[name] for name in port.graph.outputs]
    sigmoids = [node for node in last if isinstance(node.layer, Activation) and node.layer.function == "sigmoid"]
    values = port.outputs(inputs, *(node.inputs[0] for node in sigmoids))
    before = {node.name: values[node.inputs[0]] for node in sigmoids}
    return [
        np.where(before[node.name] > CERTAIN, 1, output) if node.name in before else output
        for node, output in zip(last, outputs, strict=True)
    ]


@pytest.mark.parametrize("case", some(20), ids=str)
def test_every_format_brings_the_network_back(case: Case, tmp_path: Path) -> None:
    """Written, read again by ror-port, and computed by the reference from there: the same to rounding of float64.

    Keras is given products of weights, for its other hard_sigmoid, that are rounded as the file's own numbers are; and
    variances that were standard deviations become others in float32.
    """
    found = record(case)
    with supported(case, tmp_path) as port:
        inputs = inputs_of(port, found.inputs)
        expected = computed(port, inputs)
        multiplied = any(p.layer.factors(p.role) for p in port.canonical_graph.parameters)
        for name in ("keras", "h5", "weights", "safetensors", "onnx"):
            target = tmp_path / f"out{BY_NAME[name].suffix}"
            rounded = multiplied and name not in ("onnx", "safetensors")
            if reason := refusal(port, target, name):
                assert may_refuse(name, case, reason)
                continue
            with load(target) as back:
                given = {b.name: inputs[a.name] for a, b in zip(port.graph.inputs, back.graph.inputs, strict=True)}
                limit = tolerances.FLOAT32 if rounded or port.rounds else tolerances.FLOAT64
                assert error(computed(back, given), expected) <= limit, name


@pytest.mark.parametrize("case", PADDED_BY_TENSORFLOW, ids=str)
def test_what_tensorflow_padded_goes_to_theano_only_where_theano_pads_alike(case: Case, tmp_path: Path) -> None:
    """The model that is written gives on Theano what genuine TensorFlow gave."""
    found = record(case)
    back = tmp_path / "back.h5"
    with supported(case, tmp_path) as port:
        inputs = inputs_of(port, found.inputs)
        if case.name not in PADDED_ALIKE:
            with pytest.raises(UnknownNetwork, match="Theano has no mode for"):
                write(port, back, BY_NAME["theano"])
            return
        write(port, back, BY_NAME["theano"])
    with load(back) as port:
        assert port.convention.theano
        given = dict(zip((node.name for node in port.graph.inputs), inputs.values(), strict=True))
        assert error(computed(port, given), outputs_of(port, found.outputs)) <= tolerances.FLOAT32


@pytest.mark.parametrize("case", some(20)[:: 1 if THOROUGH else 2], ids=str)
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
        pairs = beside_the_reference(port, open_artifact(target, source=port), inputs)
        assert error(*zip(*pairs, strict=True)) <= tolerances.FLOAT32


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


def kinds_in(case: Case) -> set[type[Layer]]:
    """As the stored architecture has them, without its file: to open one for each record would take minutes."""
    found = record(case)
    version = tuple(map(int, found.session["keras"].split(".")))
    shapes = {layer.name: [array.shape for array in layer.weights.values()] for layer in found.layers}
    try:
        stated = stated_graph(json.loads(found.config), shapes, theano=True, version=version, where=str(case))
    except RorPortError:
        return set()
    return {type(node.layer) for node in stated.graph}


def test_every_kind_of_layer_has_a_genuine_record_and_a_twin() -> None:
    """Of Keras 1.2.2 or 2.2.4 on Theano. A kind without one is a guess."""
    made_of_others = {Merge, SeparableConv1D, SeparableConv2D}
    others_are_made_of = {EinsumDense, Rescaling, Reverse, UnitNormalization}
    missing = set(LAYERS) - made_of_others - others_are_made_of
    of_theano = [case for case in CASES if case.stack in THEANO]
    position = {case: sum(c[:2] == case[:2] for c in of_theano[:index]) for index, case in enumerate(of_theano)}
    for case in sorted(of_theano, key=lambda case: position[case]):  # the first of every family, then the second
        missing -= kinds_in(case) if missing else set()
    assert not missing
    assert set(LAYERS) - made_of_others == set(TWINS)


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
