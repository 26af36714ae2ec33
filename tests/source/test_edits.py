"""A stored architecture with one setting, edge, name or class edited is refused, or the network follows the edit.

Where today's Keras reads the edited file, the file and what it is converted to must compute the same. Elsewhere the
graph must be another one, or the edit must be one that changes no prediction. A longer run: ROR_PORT_THOROUGH=1.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest

from edits import Edit, edited, layers, name_of
from genuine import FIXTURES, relative_l2, stored
from genuine_layers import Case, LayerRecord, cases, record
from ror_port import tolerances
from ror_port.convert.write import write
from ror_port.errors import RorPortError
from ror_port.formats.format import BY_NAME
from ror_port.network.layers import BatchNormalization
from ror_port.network.sizes import fitting
from ror_port.source.port import Port, load

THOROUGH = bool(os.environ.get("ROR_PORT_THOROUGH"))
EDITS = 20 if THOROUGH else 3
"""Of each network."""


class Subject(NamedTuple):
    """A file with an architecture, and how it is written with another one. options: of `load`."""

    name: str
    config: dict[str, Any]
    write: Callable[[Path, dict[str, Any]], None]
    options: dict[str, Any]


class Read(NamedTuple):
    """What is understood of a file. assumed: facts that it leaves open, which the user is told."""

    network: Any
    assumed: frozenset[tuple[str, str]]


def read(port: Port) -> Read:
    network = port.graph.nodes, port.graph.outputs, {name: tensor.name for name, tensor in port.stored.items()}
    return Read(network, frozenset((fact.name, fact.value) for fact in port.assumptions))


def some(pattern: str, step: int) -> list[Case]:
    """All networks, and of single layers each so manieth."""
    found = [case for case in cases(pattern) if not case.stack.startswith(("keras-0.", "keras-1.0."))]  # save no models
    networks = [case for case in found if case.family in ("networks", "nested")]
    return [*networks, *[case for case in found if case not in networks][:: 1 if THOROUGH else step]]


def of_record(case: Case, backend: str | None = None) -> Subject:
    """backend: what the file records, where another than the genuine one."""
    of = record(case)
    if backend:
        stated = {part: dict(texts, backend=backend) for part, texts in of.attributes.items() if texts}
        of = replace(of, attributes={**of.attributes, **stated})

    def put(path: Path, config: dict[str, Any], of: LayerRecord = of) -> None:
        replace(of, config=json.dumps(config)).write(path)

    session = of.session
    ordering = {"channels_first": "th", "channels_last": "tf"}.get(session["image_dim_ordering"])
    ordering = ordering or session["image_dim_ordering"]
    options = {} if backend else {"backend": session["backend"], "ordering": ordering}
    return Subject(str(case), json.loads(of.config), put, options)


def of_model(path: Path) -> Subject:
    """A genuine full model of a family."""

    def put(to: Path, config: dict[str, Any]) -> None:
        to.write_bytes(path.read_bytes())
        with h5py.File(to, "r+") as file:
            del file.attrs["model_config"]
            file.attrs.create("model_config", json.dumps(config), dtype=h5py.string_dtype())

    with h5py.File(path) as file:
        return Subject(path.parent.name, json.loads(file.attrs["model_config"]), put, {})


def of_keras_3(name: str, source: Path, **options: Any) -> Subject:
    """The ``.keras`` file that ror-port writes of a source."""
    written = source.with_suffix(".keras")
    with load(source, **options) as port:
        write(port, written, BY_NAME["keras"])
    with zipfile.ZipFile(written) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}

    def put(path: Path, config: dict[str, Any]) -> None:
        with zipfile.ZipFile(path, "w") as new:
            for member, content in {**members, "config.json": json.dumps(config).encode()}.items():
                new.writestr(member, content)

    return Subject(name, json.loads(members["config.json"]), put, {})


Keras = Callable[[Path, dict[str, Any], list[np.ndarray]], list[np.ndarray] | None]
"""What today's Keras computes of a file with an architecture; None where it does not read it, or not rightly: it pairs
weights with layers by their order, which another edge can change."""


def keras(package: Any) -> Keras:
    def computed(path: Path, config: dict[str, Any], inputs: list[np.ndarray]) -> list[np.ndarray] | None:
        try:
            model = package.saving.load_model(path, compile=False)
            outputs = model(inputs if len(inputs) > 1 else inputs[0])
        except Exception:  # whatever it raises, it has no answer
            return None
        names = [layer.name for layer in model.layers if layer.weights]
        if config and names != [name for name in map(name_of, layers(config)) if name in names]:
            return None
        return [np.asarray(output) for output in (outputs if isinstance(outputs, list | tuple) else [outputs])]

    return computed


def keras_2() -> Keras:
    tf_keras = pytest.importorskip("tf_keras")
    return keras(tf_keras)


def keras_3() -> Keras:
    import keras as package

    return keras(package)


def outcome(subject: Subject, edit: Edit, genuine: Read, oracle: Keras | None, folder: Path) -> str:
    """How the conversion of an edited file ends, in one word."""
    path, result = folder / f"edited{'.keras' if 'module' in edit.config else '.h5'}", folder / "result.keras"
    subject.write(path, edit.config)
    result.unlink(missing_ok=True)
    try:
        with load(path, **subject.options) as port:
            found = read(port)
            if oracle:
                write(port, result, BY_NAME["keras"])
    except RorPortError:
        return "refused"
    if found.assumed - genuine.assumed:
        return "reported"
    if oracle:
        shapes = next(fitting(port.graph), None)
        if shapes is None:  # as the check after converting finds
            return "refused"
        inputs = [np.random.default_rng(0).standard_normal((2, *shape)).astype("f4") for shape in shapes]
        expected = oracle(path, edit.config, inputs)
        if expected is not None:
            layout = port.channels_last.value
            moved = [layout(n.name).view(x) for n, x in zip(port.graph.inputs, inputs, strict=True)]
            ours = keras_3()(result, {}, moved)
            theirs = [layout(name).view(x) for name, x in zip(port.graph.outputs, expected, strict=True)]
            assert ours is not None
            same = all(
                a.shape == b.shape and (relative_l2(a, b) if b.any() else a.any()) <= tolerances.FLOAT32
                for a, b in zip(ours, theirs, strict=True)
            )
            return "agrees" if same else "wrong"
    if found.network != genuine.network:
        return "followed"
    return "idle" if edit.idle else "ignored"


def assert_never_silently_wrong(subject: Subject, oracle: Keras | None, folder: Path, edits: int = EDITS) -> None:
    subject.write(folder / "genuine", subject.config)
    try:
        with load(folder / "genuine", **subject.options) as port:
            genuine = read(port)
    except RorPortError as refusal:
        pytest.skip(f"refused: {refusal}")
    found: Counter[str] = Counter()
    problems = []
    for number in range(edits):
        edit = edited(subject.config, Random(f"{subject.name} {number}"))
        word = outcome(subject, edit, genuine, oracle, folder)
        found[word] += 1
        if word in ("wrong", "ignored"):
            problems.append(f"{number}: {word}: {edit}")
    print(dict(found))  # noqa: T201  (pytest -rP shows it)
    assert problems == []


@pytest.mark.parametrize("case", some("keras-2*/*/*", 60), ids=str)
def test_keras_2(case: Case, tmp_path: Path) -> None:
    """Marked as trained on TensorFlow, which today's Keras 2 reads."""
    assert_never_silently_wrong(of_record(case, "tensorflow"), keras_2(), tmp_path)


@pytest.mark.parametrize("case", some("*-theano-*/*/*", 30), ids=str)
def test_theano(case: Case, tmp_path: Path) -> None:
    """No software of today reads these: what is edited must be seen in the graph."""
    assert_never_silently_wrong(of_record(case), None, tmp_path)


@pytest.mark.parametrize("case", some("keras-[12].2*-theano-*/*/*", 80)[::2], ids=str)
def test_keras_3(case: Case, tmp_path: Path) -> None:
    subject = of_record(case)
    path = tmp_path / "source.h5"
    subject.write(path, subject.config)
    try:
        moved = of_keras_3(subject.name, path, **subject.options)
    except RorPortError as refusal:
        pytest.skip(f"refused: {refusal}")
    assert_never_silently_wrong(moved, keras_3(), tmp_path)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/model.h5")), ids=lambda path: path.parent.name)
def test_models_of_families(path: Path, tmp_path: Path) -> None:
    assert_never_silently_wrong(of_model(path), None, tmp_path, 5 * EDITS)


@pytest.mark.parametrize(
    "name",
    [
        "pre-ror-3-10_keras-1.0.6",
        "ror-3-wrn-16-2-theano-tf_keras-1.2.2",
        "ror-3-56_keras-1.2.2",
        "wrn-16-2_keras-2.2.4",
        "wrn-2016-16-2_keras-1.2.2",
    ],
)
def test_families_in_keras_3(name: str, tmp_path: Path) -> None:
    path = stored(name, tmp_path).weights
    (tmp_path / "source.h5").write_bytes(path.read_bytes())
    assert_never_silently_wrong(of_keras_3(name, tmp_path / "source.h5"), keras_3(), tmp_path)


@pytest.mark.parametrize(
    ("case", "old", "new", "message"),
    [
        (
            "nested/shared-conv-th",
            '"input_layers": [["input_1", 0, 0]]',
            '"input_layers": [["input_1", 0, 1]]',
            "no input",
        ),
        ("nested/shared-dense-th", '[[["input_1", 0, 0, {}]]', '[[["dense_1", 1, 0, {}]]', "depends on itself"),
        ("merge_more/dot-sequences-1-th", '"axes": 1', '"axes": 0.5', "axes is 0.5"),
        ("merge_more/dot-sequences-1-th", '"axes": 1, ', "", "axes is None"),
        ("pooling2d/max-same-2-by-3-th", '"strides": [3, 3]', '"strides": 0', "strides is '0'"),
        ("convolution2d/valid-3-th", '"padding": "valid"', '"padding": "causal"', "padding is 'causal'"),
        ("flatten/image-dense-th", '"data_format": "channels_first"', '"data_format": ""', "data_format is ''"),
    ],
)
def test_what_was_read_wrongly_once_is_refused(case: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    (found,) = cases(f"keras-2.2.4-theano-*/{case}")
    of = record(found)
    assert old in of.config
    replace(of, config=of.config.replace(old, new)).write(tmp_path / "edited.h5")
    with pytest.raises(RorPortError, match=re.escape(message)):
        load(tmp_path / "edited.h5", backend="theano", ordering="th")


def test_a_familys_network_of_several_epsilons_is_ported_as_it_states_itself(tmp_path: Path) -> None:
    subject = of_model(FIXTURES / "pre-ror-3-10_keras-2.3.1" / "model.h5")
    norm = next(layer for layer in layers(subject.config) if layer["class_name"] == "BatchNormalization")
    norm["config"]["epsilon"] = 0.1
    subject.write(tmp_path / "edited.h5", subject.config)
    with load(tmp_path / "edited.h5") as port:
        assert port.family is None
        assert {node.layer.epsilon for node in port.graph if isinstance(node.layer, BatchNormalization)} == {0.1, 0.001}
        write(port, tmp_path / "net.keras", BY_NAME["keras"])


def test_names_in_another_order_than_the_weights_are_refused(tmp_path: Path) -> None:
    """Today's Keras pairs both by their order: exchanged names, edges included, change nothing there."""
    source = tmp_path / "source.h5"
    source.write_bytes(stored("pre-ror-3-10_keras-1.0.6", tmp_path).weights.read_bytes())
    subject = of_keras_3("", source)
    text = json.dumps(subject.config).replace("block0_conv1", "@").replace("block0_conv2", "block0_conv1")
    subject.write(tmp_path / "edited.keras", json.loads(text.replace("@", "block0_conv2")))
    with pytest.raises(RorPortError, match="lists the Conv2D 'stage1_block0_conv2' where the weights are those of"):
        load(tmp_path / "edited.keras")
