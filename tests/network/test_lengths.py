"""Sizes that vary: what genuine Keras takes at any length stays so in every target, and computes the same at each."""

from __future__ import annotations

import copy
import importlib.util
import json
import math
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conformance
from commands import run
from conformance import THEANO, THOROUGH, error, inputs_of, opened
from genuine_layers import Case, cases, record
from ror_port import save, tolerances
from ror_port.check import classification
from ror_port.check.classification import Signature, seeded_inputs, seeded_of_other_sizes
from ror_port.check.expectation import Expectation
from ror_port.check.runtimes import open_artifact
from ror_port.convert.write import write
from ror_port.errors import NotACheckpoint, RorPortError, UnknownNetwork, UsageError
from ror_port.formats.format import BY_NAME
from ror_port.layout import VARIES, Shape, extent, fits, of_extent, varies
from ror_port.network import layers as L
from ror_port.network.as_json import from_json, to_json
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import Layer, padding
from ror_port.network.sizes import fitting, sized
from ror_port.source.port import Port, load

CASES = [case for case in conformance.CASES if case.stack in THEANO and case.family == "lengths"]
TARGETS = ("keras", "h5", "savedmodel", "safetensors", "onnx", "theano")
NOT_IN_KERAS = ("ave-same-2-*", "max-same-5-*", "ave-same-5-*")
"""Pooling 'same' that Theano begins further before the input than TensorFlow."""


def some(step: int) -> list[Case]:
    return CASES[:: 1 if THOROUGH else step]


def case_of(name: str) -> Case:
    [case] = cases(f"keras-2.2.4-theano-1.0.5/lengths/{name}")
    return case


# The size itself


COMPUTED = [
    lambda n: n + 1, lambda n: 1 + n, lambda n: n - 1, lambda n: 1 - n, lambda n: n * 2, lambda n: 2 * n,
    lambda n: n // 2, lambda n: 7 // n, lambda n: n / 2, lambda n: n % 2, lambda n: -n, lambda n: n < 1,
    lambda n: n >= 1, lambda n: min(n, 3), lambda n: max(3, n), lambda n: math.prod((3, n)), lambda n: sum((3, n)),
    range, int, float, bool, abs, lambda n: [1, 2][n], lambda n: np.zeros((2, n)), lambda n: np.zeros(6).reshape(n, 2),
]  # fmt: skip


@pytest.mark.parametrize("computed", COMPUTED)
def test_nothing_can_be_computed_with_a_size_that_varies(computed: Any) -> None:
    with pytest.raises(ValueError, match="sizes that vary"):
        computed(VARIES)


def test_a_size_that_varies_is_itself_alone() -> None:
    assert VARIES not in (0, 1, -1, None)
    assert copy.deepcopy((VARIES,))[0] is VARIES
    assert pickle.loads(pickle.dumps(VARIES)) is VARIES
    with pytest.raises(TypeError):
        json.dumps(VARIES)
    assert extent((VARIES, 3)) == (None, 3)
    assert of_extent((None, 3)) == (VARIES, 3)
    assert fits((7, 3), (VARIES, 3))
    assert not any(fits(shape, (VARIES, 3)) for shape in ((7, 4), (7,), (7, 3, 3)))
    assert not fits((VARIES, 3), (7, 3))


# Layers


def network(shape: Shape, *layers: Layer) -> Graph:
    g = GraphBuilder()
    name = g.add("input", L.Input(shape))
    for number, layer in enumerate(layers):
        name = g.add(f"layer{number}", layer, name)
    return g.finish()


STEPS, IMAGE = (VARIES, 3), (VARIES, VARIES, 3)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        (STEPS, L.Flatten()),
        (STEPS, L.PReLU()),
        (STEPS, L.LocallyConnected1D(4, (2,), (1,))),
        (IMAGE, L.LocallyConnected2D(4, (2, 2), (1, 1))),
        (STEPS, L.EinsumDense(5, 2)),
        (STEPS, L.BatchNormalization(1e-3, axis=1)),
        (STEPS, L.Reshape((3, 5))),
        (STEPS, L.Reshape((-1, 2))),
        (STEPS, L.Reshape((-1,))),
        ((3, VARIES), L.Dense(2)),
        ((3, VARIES), L.Conv1D(2, (2,), (1,))),
        (STEPS, L.Conv1D(2, (3,), (2,), "same")),
        (IMAGE, L.DepthwiseConv2D(1, (2, 2), (2, 2), "same")),
        (STEPS, L.MaxPooling1D((3,), (2,), "same")),
        (IMAGE, L.Conv2DTranspose(2, (3, 3), (2, 2), output=(8, 8))),
    ],
    ids=str,
)
def test_what_depends_on_a_size_that_varies_is_refused(shape: Shape, layer: Layer) -> None:
    if layer == L.Reshape((-1,)):  # a vector that varies is one all the same; what has weights for it is refused
        network(shape, layer)
        layer = L.Dense(2)
        shape = (VARIES,)
    with pytest.raises(ValueError, match=r"vary|varies|cannot be reshaped|no sequence"):
        network(shape, layer)


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        (STEPS, L.Conv1D(4, (3,), (2,)), (VARIES, 4)),
        (STEPS, L.Conv1D(4, (1,), (2,), "same"), (VARIES, 4)),
        (STEPS, L.Conv1D(4, (4,), (1,), "same"), (VARIES, 4)),
        (STEPS, L.Conv1D(4, (3,), (2,), "full"), (VARIES, 4)),
        (STEPS, L.Conv1D(4, (3,), (1,), "causal", (2,)), (VARIES, 4)),
        ((VARIES, 8, 3), L.Conv2D(4, (3, 3), (2, 2)), (VARIES, 4, 4)),
        ((3, VARIES, 8), L.ZeroPadding2D(((1, 2), (1, 1)), data_format="channels_first"), (3, VARIES, 10)),
        ((8, VARIES, 3), L.Cropping2D(((1, 2), (1, 1))), (5, VARIES, 3)),
        ((VARIES, 8, 3), L.UpSampling2D((2, 3)), (VARIES, 24, 3)),
        ((VARIES, 8, 3), L.Conv2DTranspose(4, (3, 3), (2, 2)), (VARIES, 17, 4)),
        (IMAGE, L.GlobalMaxPooling2D(), (3,)),
        (IMAGE, L.Permute((2, 0, 1)), (3, VARIES, VARIES)),
        ((VARIES, VARIES, 4), L.Reshape((-1, 2)), (VARIES, 2)),
        ((4, VARIES), L.Reshape((2, -1, 2)), (2, VARIES, 2)),
        ((VARIES,), L.RepeatVector(3), (3, VARIES)),
        (STEPS, L.Softmax(1), STEPS),
        (STEPS, L.PReLU((1,)), STEPS),
    ],
    ids=str,
)
def test_a_size_goes_on_varying(shape: Shape, layer: Layer, expected: Shape) -> None:
    graph = network(shape, layer)
    assert graph.output.shape == expected
    for shapes in islice(fitting(graph), 4):
        assert fits(sized(graph, shapes).output.shape, expected)
    assert from_json(json.loads(json.dumps(to_json(graph))), "here").nodes == graph.nodes


def test_steps_of_several_sequences() -> None:
    g = GraphBuilder()
    one, two = g.add("one", L.Input(STEPS)), g.add("two", L.Input(STEPS))
    known = g.add("known", L.Input((5, 3)))
    assert g.nodes[g.add("steps", L.Concatenate(1), one, two)].shape == STEPS
    assert g.nodes[g.add("more", L.Concatenate(1), one, known)].shape == STEPS
    assert g.nodes[g.add("features", L.Concatenate(2), one, two)].shape == (VARIES, 6)
    assert g.nodes[g.add("pairs", L.Dot((2, 2)), one, known)].shape == (VARIES, 5)
    for layer in (L.Add(), L.Concatenate(2), L.Dot((1, 1))):
        with pytest.raises(ValueError, match="shapes"):
            g.add("other", layer, one, known)


# Numbers for them


def test_sizes_differ_where_the_network_lets_them() -> None:
    first, second = islice(fitting(network(IMAGE, L.Conv2D(2, (3, 3), (1, 1)))), 2)
    assert len({*first[0][:2], *second[0][:2]}) > 2
    assert first[0][0] != first[0][1]


def two_inputs(*layers: Layer) -> Graph:
    """Their sum, behind a layer each."""
    g = GraphBuilder()
    ends = [g.add(f"end{n}", layer, g.add(f"input{n}", L.Input(STEPS))) for n, layer in enumerate(layers)]
    g.add("sum", L.Add(), *ends)
    return g.finish()


def test_sizes_are_those_that_the_network_takes_together() -> None:
    alike = two_inputs(L.Activation("tanh"), L.Activation("relu"))
    for (one, _), (two, _) in fitting(alike):
        assert one == two
    shorter = two_inputs(L.Conv1D(3, (2,), (1,), "valid"), L.MaxPooling1D((2,), (2,)))
    assert next(fitting(shorter), None) is None
    deep = network(IMAGE, *[L.MaxPooling2D((2, 2), (2, 2))] * 5)
    assert min(next(fitting(deep))[0][:2]) >= 32


def test_a_network_that_takes_none_of_the_sizes_is_refused_where_it_would_be_compared(tmp_path: Path) -> None:
    with opened(case_of("add-th"), tmp_path) as port:
        graph = two_inputs(L.Conv1D(3, (2,), (1,), "valid"), L.MaxPooling1D((2,), (2,)))
        with pytest.raises(UnknownNetwork, match="take none together"):
            seeded_inputs(replace(port, graph=graph))


def test_other_sizes_than_those_at_hand(tmp_path: Path) -> None:
    with opened(case_of("u-net-of-8x12-th"), tmp_path) as port:
        first = seeded_inputs(port)
        second = seeded_of_other_sizes(port, list(first.values()))
        (one, *_), (two, *_) = (inputs[port.graph.input.name].shape[1:] for inputs in (first, second))
        assert one != two
        (other,) = Expectation(port, first).others
        assert other.arrays.keys() == first.keys()


def test_inputs_that_do_not_fit(tmp_path: Path) -> None:
    with opened(case_of("classifier-of-7x8-th"), tmp_path) as port:
        assert port.predict(np.ones((1, 20, 11, 2))).shape == (1, 3)
        for shape in ((1, 2, 20, 11), (20, 11, 2), (1, 20, 11, 3), (0, 20, 11, 2)):
            with pytest.raises(UsageError, match=r"\(batch, \?, \?, 2\) are expected"):
                port.predict(np.ones(shape))
        with pytest.raises(UsageError, match=r"takes no inputs of these sizes .*leaves nothing"):
            port.predict(np.ones((1, 4, 4, 2)))


# Targets


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", some(20), ids=str)
def test_every_target_computes_it_at_any_length(case: Case, target: str, tmp_path: Path) -> None:
    """Those of the record, the two that it is compared at once it is written, and two more."""
    found, path = record(case), tmp_path / f"out{BY_NAME[target].suffix}"
    with opened(case, tmp_path) as port:
        assert any(varies(node.shape) for node in port.graph.inputs)
        if target in ("keras", "h5", "savedmodel") and any(fnmatch(case.name, name) for name in NOT_IN_KERAS):
            with pytest.raises(UnknownNetwork, match="to PyTorch and ONNX"):
                save(port, path, format=target)
            return
        verification = save(port, path, format=target).verification
        assert verification is not None
        assert verification.passed, str(verification)
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
    """What the reference gives, without a last softmax where the target is cut before it."""
    names = classification.ends(port.graph, softmax)
    values = port.outputs(inputs, *names)
    return [values[name] for name in names]


@pytest.mark.parametrize("size", [2, 3])
def test_maxima_of_images_that_theano_begins_before_them(size: int, tmp_path: Path) -> None:
    """In Keras, along both axes, one of which may be known."""
    with opened(case_of("one-side-th"), tmp_path) as port:
        pool = L.MaxPooling2D((size, size), (2, 3), "theano", data_format="channels_first")
        port = replace(port, graph=network((2, VARIES, 5), pool), stored={})
        write(port, tmp_path / "out.keras", BY_NAME["keras"])
        runtime = open_artifact(tmp_path / "out.keras", port)
        for inputs in islice(others(port), 4):
            assert error(list(runtime.scores(list(inputs.values()))), ends(port, inputs, (False,))) == 0


def test_each_target_states_that_the_sizes_vary(tmp_path: Path) -> None:
    with opened(case_of("u-net-of-8x12-th"), tmp_path) as port:
        for name in ("keras", "h5", "onnx", "safetensors", "savedmodel"):
            written = save(port, tmp_path / f"out{BY_NAME[name].suffix}", format=name, verify=False)
            assert sorted(map(str, written.inputs["input_1"])) == ["2", "None", "None"]
    import keras
    import onnx
    import tensorflow as tf
    import torch

    for name in ("out.keras", "out.tf.h5"):
        model = keras.saving.load_model(tmp_path / name, compile=False)
        assert model.input_shape == (None, None, None, 2)
        assert model.output_shape == (None, None, None, 2)
    model = onnx.load(tmp_path / "out.onnx")
    sizes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input]
    assert sizes == [["batch", 2, "input_1/size2", "input_1/size3"]]
    served = tf.saved_model.load(str(tmp_path / "out.savedmodel")).serve.concrete_functions[0]
    assert served.structured_input_signature[0][0].shape.as_list() == [None, None, None, 2]
    text = (tmp_path / "out-torch" / "README.md").read_text()
    code = text.partition("```python")[2].partition("```")[0]
    spec = importlib.util.spec_from_file_location("modeling_ror", tmp_path / "out-torch" / "modeling_ror.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.Network.from_pretrained(tmp_path / "out-torch")
    example = code.partition("model(")[2].partition(")  #")[0]
    for x in (eval(example, {"torch": torch}), torch.rand(2, 2, 8, 20), torch.rand(1, 2, 44, 4)):
        assert model(x).shape == (len(x), 2, *x.shape[2:])


def test_what_holds_for_one_size_alone_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A target that cuts as if all sequences were as long as the first one that it is compared on."""
    with opened(case_of("cropping-1x2-th"), tmp_path) as port:
        length = seeded_inputs(port)[port.graph.input.name].shape[1]
        monkeypatch.setattr(padding.Cropping, "_slices", lambda *_: [(1, length - 2)])
        with pytest.raises(NotACheckpoint, match=r"gives \(2, 6, 3\) for inputs \(2, 10, 3\)"):
            save(port, tmp_path / "out.onnx")
        assert not (tmp_path / "out.onnx").exists()
        monkeypatch.setattr(Expectation, "others", ())
        save(port, tmp_path / "out.onnx")


# Commands


def test_inspect_shows_what_varies(tmp_path: Path) -> None:
    record(case_of("attention-th")).write(tmp_path / "net.h5")
    assert "input ?×3, ?×3, output ?×3;" in run("inspect", tmp_path / "net.h5").stdout
    found = json.loads(run("inspect", "--json", tmp_path / "net.h5").stdout)
    assert [value["shape"] for value in found["inputs"]] == [[None, 3], [None, 3]]
    assert [layer["output"] for layer in found["layers"]][2] == [None, None]


def test_a_certificate_of_sizes_that_vary_is_checked_again(tmp_path: Path) -> None:
    record(case_of("classifier-of-7x8-th")).write(tmp_path / "net.h5")
    made = run("theano-to-tf", tmp_path / "net.h5", "--certify")
    assert made.returncode == 0, made.stderr
    assert "input_1 (batch, ?, ?, 2)" in made.stdout
    certificate = tmp_path / "net.keras.certificate.json"
    assert run("verify", "--certificate", certificate).returncode == 0
    stated = json.loads(certificate.read_text())
    stated["inputs"]["shape"][1] += 1
    certificate.write_text(json.dumps(stated))
    assert run("verify", "--certificate", certificate).returncode != 0


def test_images_of_their_own_size_are_evaluated(tmp_path: Path) -> None:
    record(case_of("classifier-of-7x8-th")).write(tmp_path / "net.h5")
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 6)
    for name, shape in (("last", (12, 10, 2)), ("first", (2, 12, 10)), ("tiny", (3, 3, 2))):
        np.savez(tmp_path / f"{name}.npz", x=random.random((6, *shape)), y=labels)
    for target in ("to-onnx", "to-torch"):
        assert run(target, tmp_path / "net.h5").returncode == 0
    for net in ("net.h5", "net.onnx", "net-torch"):
        for data, code in (("last", 0), ("first", 0), ("tiny", UsageError.exit_code)):
            found = run("evaluate", tmp_path / net, "--data", tmp_path / f"{data}.npz", "--scale", "1")
            assert found.returncode == code, found.stderr


def test_an_altered_size_is_no_graph(tmp_path: Path) -> None:
    with opened(case_of("cropping-1x2-th"), tmp_path) as port:
        save(port, tmp_path / "out", format="safetensors", verify=False)
    config = tmp_path / "out" / "config.json"
    whole = json.loads(config.read_text())
    for size in (-1, 0, "?", True, [None]):
        whole["graph"]["nodes"][0]["settings"]["shape"] = [size, 3]
        config.write_text(json.dumps(whole))
        with pytest.raises(RorPortError):
            load(tmp_path / "out").close()
