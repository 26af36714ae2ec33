"""What meets whoever comes first: forgotten options, odd names, wrong inputs, and how each output is opened."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ror_port
from commands import run
from genuine import DIGITS
from ror_port.errors import RorPortError, UsageError

FAST = ("--no-verify",)


@pytest.fixture
def weights(genuine, tmp_path) -> Path:
    path = tmp_path / "digits.h5"
    path.write_bytes(genuine(DIGITS).weights.read_bytes())
    return path


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize(
    ("command", "output", "option"),
    [
        ("theano-to-tf", "out.keras", "-o out.keras"),
        ("to-torch", "net", "-o net"),
        ("to-onnx", "net.onnx", "-o net.onnx"),
        ("to-theano", "back.h5", "-o back.h5"),
    ],
)
def test_a_forgotten_o_is_named(weights, command, output, option) -> None:
    """On 7d379ca: the output was "no such file", and the input converted to a name of its own."""
    done = run(command, "digits.h5", output, *FAST, cwd=weights.parent)
    assert done.returncode == UsageError.exit_code
    assert f"ror-port {command} digits.h5 {option}" in done.stderr
    assert names(weights.parent) == ["digits.h5"]


@pytest.mark.parametrize("options", [("-o", "model.safetensors"), ("-o", "net.keras", "--format", "safetensors")])
def test_a_folder_is_not_called_as_a_file(weights, options) -> None:
    """On 7d379ca: a folder of that name."""
    done = run("to-torch", "digits.h5", *options, *FAST, cwd=weights.parent)
    assert done.returncode == UsageError.exit_code
    assert "is called as a file" in done.stderr
    with ror_port.load(weights) as port, pytest.raises(UsageError, match="is called as a file"):
        ror_port.save(port, weights.parent / options[1], format="safetensors")
    assert names(weights.parent) == ["digits.h5"]


def test_a_name_without_an_ending_gets_all_that_there_are(weights) -> None:
    """On 7d379ca: "must end in .keras"."""
    done = run("theano-to-tf", weights, "-o", "nosuffix", cwd=weights.parent)
    assert done.returncode == UsageError.exit_code
    assert "must end in .keras, .weights.h5, .h5 or .hdf5; --format savedmodel writes a folder" in done.stderr


WITHOUT = """
import importlib.util, sys
genuine, missing = importlib.util.find_spec, sys.argv.pop(1)
importlib.util.find_spec = lambda name, *rest: None if name == missing else genuine(name, *rest)
from ror_port.cli import main
main()
"""
"""The command where a package is not installed."""


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("onnx", ("to-onnx",)),
        ("torch", ("to-torch", "--format", "pt")),
        ("tensorflow", ("theano-to-tf", "--format", "savedmodel")),
    ],
)
def test_a_dry_run_fails_where_the_run_would(weights, package, arguments) -> None:
    """On 7d379ca: exit code 0."""
    for option in ("--dry-run", "--no-verify"):
        command = [sys.executable, "-c", WITHOUT, package, *arguments, str(weights), option]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 10, done.stderr
        assert "is not installed; " in done.stderr
    assert names(weights.parent) == ["digits.h5"]


IMAGES = np.random.default_rng(0).random((2, 32, 32, 3))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.transpose(0, 3, 1, 2), r"with the channels last: images\.transpose\(0, 2, 3, 1\)"),
        (IMAGES[0], r"give one as images\[None\]"),
        (IMAGES[:, :16], r"images: \(2, 16, 32, 3\); images \(batch, 32, 32, 3\) are expected"),
        (IMAGES[:0], r"\(batch, 32, 32, 3\) are expected"),
        (IMAGES.tolist()[0][0], r"\(32, 3\); images \(batch, 32, 32, 3\) are expected"),
        ([[1.0], [1.0, 2.0]], "lists of several lengths"),
        (IMAGES.astype(str), "numbers are expected"),
        ({"x": IMAGES}, "arrays for x; expected for image"),
    ],
)
def test_what_predict_does_not_take_is_an_error_that_states_what_it_takes(weights, images, message) -> None:
    """On 7d379ca: a ValueError of NumPy's."""
    with ror_port.load(weights) as port, pytest.raises(UsageError, match=message):
        port.predict(images)
    with ror_port.load(weights) as port, pytest.raises(RorPortError):
        list(port.run(images))


def test_a_closed_port(weights) -> None:
    """On 7d379ca: "seek of closed file"."""
    with ror_port.load(weights) as port:
        pass
    with pytest.raises(RorPortError, match="the port is closed; use it inside its with block"):
        port.predict(IMAGES)
    with pytest.raises(RorPortError, match="the port is closed"):
        ror_port.save(port, weights.parent / "net.keras")
    assert names(weights.parent) == ["digits.h5"]


def test_what_an_interpreter_shows_is_short(weights) -> None:
    """On 7d379ca: 200,000 characters; and ``dir`` lacked ``load``."""
    with ror_port.load(weights) as port:
        shown = [repr(port), repr(port.predict), repr(port.graph.output)]
    assert all(len(text) < 500 and "\n" not in text for text in shown)
    assert {"load", "save", "verify"} <= set(dir(ror_port))


def test_messages_in_python_name_no_options(weights) -> None:
    """On 7d379ca: --force and -o."""
    (weights.parent / "net.keras").write_text("kept")
    with ror_port.load(weights) as port:
        for arguments in ({"path": weights}, {"path": weights.parent / "net.keras"}, {"path": "net"}):
            with pytest.raises(RorPortError) as raised:
                ror_port.save(port, **arguments)
            assert not re.search(r"(^|\s)--?[a-z]", str(raised.value))


def outputs(weights: Path, *arguments: str) -> list[str]:
    done = run(*arguments[:1], weights, *arguments[1:], *FAST, cwd=weights.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


PREPARED = {
    "weights": "from ror_port.models import networks_keras; model = networks_keras.ror_wrn(blocks=1, width=2)",
    "pt": "sys.path.append('folder'); from modeling_ror import RoRWRN; network = RoRWRN.create(1, 2)",
}
"""Format → what its user has before the last lines apply."""


@pytest.mark.parametrize(
    ("format", "modules", "arguments", "shape"),
    [
        ("keras", "keras", ("theano-to-tf",), "32, 32, 3"),
        ("weights", "keras", ("theano-to-tf", "--format", "weights"), "32, 32, 3"),
        ("h5", "keras", ("theano-to-tf", "--format", "h5"), "32, 32, 3"),
        ("savedmodel", "keras", ("theano-to-tf", "--format", "savedmodel"), "32, 32, 3"),
        ("safetensors", "torch", ("to-torch", "-o", "net"), "3, 32, 32"),
        ("pt", "torch", ("to-torch", "--format", "pt"), "3, 32, 32"),
        ("onnx", "onnxruntime", ("to-onnx",), "3, 32, 32"),
    ],
)
def test_the_last_lines_open_the_output(weights, format, modules, arguments, shape) -> None:
    """On 7d379ca: nothing said how."""
    if format == "pt":
        outputs(weights, "to-torch", "-o", "folder")
    opened, inputs = outputs(weights, *arguments)[-2:]
    assert inputs == f"  its inputs: image (batch, {shape})"
    code = re.fullmatch(r"open it with (.*\)), in .*", opened)[1].replace("…", f"np.zeros((2, {shape}), np.float32)")
    script = f"import sys, numpy as np, {modules}\n{PREPARED.get(format, '')}\n{code}\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=weights.parent, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["digits", "generated"])
def test_the_model_card_runs_where_it_says(weights, name) -> None:
    """On 7d379ca: it did not say where one stands."""
    source = weights
    if name == "generated":  # a network of no family
        source = weights.parent / "net.keras"
        script = f"import keras; keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save({str(source)!r})"
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert run("to-torch", source, "-o", "net", *FAST, cwd=weights.parent).returncode == 0
    card = (weights.parent / "net" / "README.md").read_text()
    (snippet,) = re.findall(r"Run in this folder.*:\n\n```python\n(.*?)```", card, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=weights.parent / "net", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
