"""Arithmetic on x as text: parsed by our own rules, shown with no more parentheses than it needs, put in as layers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genuine import relative_l2
from genuine_layers import Case, LayerRecord, cases, record
from ror_port import tolerances
from ror_port.api import load, save
from ror_port.errors import UnknownNetwork, UsageError
from ror_port.source import bytecode
from ror_port.source.arithmetic import Expression, parse, text
from ror_port.source.script.stand_in.tracing import arithmetic_of

LAMBDAS = [case for case in cases() if case.family == "lambdas" and not case.name.startswith("merge")]
MEANT = {"scale-th": "x / 127.5 - 1", "double-th": "x * 2.", "shift-th": "(x - 0.5) * 2"}

expressions: st.SearchStrategy[Expression] = st.recursive(
    st.sampled_from(["x", 2.0, 3.5, 0.25, 127.5]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner),
        st.tuples(inner, st.just("**"), st.sampled_from([1.0, 2.0, 3.0])),
        st.tuples(st.just(0.0), st.just("-"), inner),
    ),
    max_leaves=8,
)


def value(expression: Expression, x: float) -> float:
    if isinstance(expression, float):
        return expression
    if isinstance(expression, str):
        return x
    left, right = value(expression[0], x), value(expression[2], x)
    match expression[1]:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
    return left**right


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_what_is_shown_means_the_same_here_and_in_python(expression) -> None:
    if "x" not in repr(expression):
        return
    shown = text(expression)
    try:
        expected = value(expression, 1.75)
    except ArithmeticError:
        return
    assert value(parse(shown), 1.75) == pytest.approx(expected, rel=1e-9)
    assert eval(shown, {"__builtins__": {}}, {"x": 1.75}) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("x / 127.5 - 1", "x / 127.5 - 1.0"),
        ("((x)/(127.5))-1.", "x / 127.5 - 1.0"),
        ("-x**2", "-x ** 2.0"),
        ("(-x)^2", "(-x) ** 2.0"),
        ("2 × x ÷ .5e1", "2.0 * x / 5.0"),
        ("1 - (2 - x)", "1.0 - (2.0 - x)"),
        ("2 ** 3 ** x", "2.0 ** 3.0 ** x"),
    ],
)
def test_an_expression_as_it_is_shown(written, shown) -> None:
    assert text(parse(written)) == shown


@pytest.mark.parametrize(
    "written",
    ["", "5", "x x", "y", "x +", "(x", "x)", "x.real", "abs(x)", "x[0]", "__import__('os')", "x if x else 1", "x // 2",
     "1e999 * x", "x" + "+x" * 1000, "(" * 100 + "x" + ")" * 100, "0x10 * x"],
)  # fmt: skip
def test_anything_else_is_refused(written) -> None:
    with pytest.raises(UsageError):
        parse(written)


def outputs(path: Path, genuine: LayerRecord, lambdas: dict[str, str]) -> np.ndarray:
    with load(path, lambdas=lambdas) as port:
        (begin,), (end,) = port.graph.inputs, port.graph.outputs
        axes = port.channels_last
        inputs = {begin.name: axes.value(begin.name).view(genuine.inputs[0])}
        return axes.value(end).inverse.view(port.outputs(inputs, end)[end])


@pytest.mark.parametrize("case", LAMBDAS, ids=str)
def test_a_lambda_as_it_is_stated_gives_what_genuine_keras_computed(case, tmp_path) -> None:
    genuine = record(case)
    genuine.write(tmp_path / "model.h5")
    found = outputs(tmp_path / "model.h5", genuine, {"lambda_1": MEANT[case.name]})
    assert relative_l2(found, genuine.outputs[0]) <= tolerances.FLOAT32
    assert relative_l2(found, genuine.outputs_float64[0]) <= tolerances.FLOAT64


@pytest.mark.parametrize("format", ["keras", "h5", "safetensors", "onnx", "theano"])
@pytest.mark.parametrize("stated", ["x / 127.5 - 1", "x * x - (x - 0.5) ** 3 / 2"])
def test_it_is_written_as_stock_layers(format, stated, tmp_path) -> None:
    """`save` runs the framework and compares it with the reference."""
    record(LAMBDAS[-1]).write(tmp_path / "model.h5")
    with load(tmp_path / "model.h5", lambdas={"lambda_1": stated}) as port:
        target = tmp_path / {"keras": "a.keras", "h5": "a.h5", "onnx": "a.onnx", "theano": "a.th.h5"}.get(format, "a")
        written = save(port, target, format=format)
        assert written.verification is not None
        assert next(fact.value for fact in port.facts if fact.name == "Lambda lambda_1") == stated
    if format != "h5":
        with load(target, **({"lambdas": {"lambda_1": stated}} if format == "theano" else {})) as again:
            assert len(again.graph.outputs) == 1


def test_double_precision_keeps_the_numbers_that_float32_rounds(tmp_path) -> None:
    genuine = record(Case("keras-1.2.2-theano-0.9.0", "dense", "two-th"))
    config = json.loads(genuine.config)
    begin = {"name": "scale", "batch_input_shape": config["config"][0]["config"]["batch_input_shape"]}
    config["config"].insert(0, {"class_name": "Lambda", "config": begin})
    replace(genuine, config=json.dumps(config)).write(tmp_path / "model.h5")
    with load(tmp_path / "model.h5", lambdas={"scale": "x * 0.1 + 0.3"}) as port:
        save(port, tmp_path / "a.onnx", dtype="float64")
        (end,) = port.graph.outputs
        expected = port.outputs(genuine.inputs[0], end)[end]
    session = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "a.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: genuine.inputs[0].astype(np.float64)})
    assert relative_l2(found, expected) <= 1e-12


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"lambda_1": "1 / x"}, "a division by x or by zero"),
        ({"lambda_1": "x ** 0.5"}, "no whole number from 1 to 16"),
        ({"lambda_1": "2 ** x"}, "no whole number from 1 to 16"),
        ({"lambda_1": "x * 1e300 * 1e300"}, "its numbers are too large"),
        ({"lambda_1": "x", "lambda_2": "x"}, "has no Lambda layer 'lambda_2'"),
        ({}, "a Lambda layer, which is Python code"),
    ],
)
def test_what_no_layer_computes_is_refused_by_name(stated, problem, tmp_path) -> None:
    record(LAMBDAS[-1]).write(tmp_path / "model.h5")
    with pytest.raises((UnknownNetwork, UsageError), match=problem.replace("*", r"\*")):
        load(tmp_path / "model.h5", lambdas=stated)


# ---------------------------------------------------------------------------------------------------------------------
# What stored code says


def configuration(case: Case) -> dict:
    stated = json.loads(record(case).config)["config"]
    layers = stated["layers"] if isinstance(stated, dict) else stated
    return next(layer["config"] for layer in layers if layer["class_name"] == "Lambda")


@pytest.mark.parametrize("case", LAMBDAS, ids=str)
def test_the_bytecode_that_genuine_keras_stored_is_read(case) -> None:
    found = bytecode.read(configuration(case))
    assert found is not None
    assert found.text == text(parse(MEANT[case.name]))
    assert found.python == "3.6"


def test_the_bytecode_of_a_public_network_is_read() -> None:
    """Of Python 3.5, from the configuration of a network that steers a car; its file is not part of the repository."""
    code = (
        "\xe3\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00C\x00\x00\x00s\x0c\x00\x00\x00|\x00\x00d\x01"
        "\x00\x1bd\x02\x00\x18S)\x03\xda\x01 g\x00\x00\x00\x00\x00\xe0_@g\x00\x00\x00\x00\x00\x00\xf0?\xa9\x00)\x01\xda"
        "\x05imager\x02\x00\x00\x00r\x02\x00\x00\x00\xfa\x01f\xda\x01nM\x00\x00\x00s\x02\x00\x00\x00\x00\x05"
    )
    assert bytecode.read({"function": [code, None, None]}) == bytecode.Reading("x / 127.5 - 1.0", "3.5", ())


@pytest.mark.parametrize("function", [None, 3, [], ["x"], "Y29kZQ==", ["\xe3" + "\x00" * 50], ["c" * 100_000], "é€"])
def test_what_is_no_code_is_not_read(function) -> None:
    assert bytecode.read({"function": function}) is None


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x / 127.5 - 1.0, "x / 127.5 - 1.0"),
        (lambda x: (x - np.float32(0.5)) * 2, "(x - 0.5) * 2.0"),
        (lambda x: -x + 1, "-x + 1.0"),
        (lambda x: x if x else 1, None),
        (lambda x: x if x > 1 else 1, None),
        (lambda x: abs(x), None),
        (lambda x: x[:, 0] * 2, None),
        (lambda x: x.shape, None),
        (lambda x: np.sqrt(x), None),
        (lambda x: x // 2, None),
        (lambda x: x % 2, None),
        (lambda x: [x * 2], None),
        (lambda _: 5, None),
        (lambda x: x * 2 if hasattr(x, "shape") else x, None),
        (lambda x: x * 2 if x == 3 else x, None),
        (lambda x: np.mean(x), None),
        (lambda x: np.array(x) * 2, None),
        (lambda x: x - np.array([1.0, 2.0]), None),
        (lambda x: x + random(), None),
        (lambda x: x, "x"),
    ],
)
def test_a_function_of_a_script_is_arithmetic_or_it_is_not(function, expected) -> None:
    assert arithmetic_of(function) == expected
