"""The digits network on data sets in every form: Theano's predictions, image by image, on every runtime."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from commands import run
from genuine import DIGITS, FIXTURES, digits, relative_l2
from ror_port import save
from ror_port.check.datasets import open_dataset
from ror_port.check.evaluate import choose, evaluate
from ror_port.errors import NotACheckpoint, ParityError, UnreadableFile, UnsafeFile
from ror_port.formats.format import Runtime
from ror_port.layout import Arranged
from ror_port.source.port import Port, load
from ror_port.source.provenance import Given

SHAPE = (32, 32, 3)

RUNTIMES = get_args(Runtime)


@pytest.fixture(scope="module")
def source(genuine):
    return genuine(DIGITS)


@pytest.fixture(scope="module")
def images(source):
    """x: (image, height, width, channel), uint8; y: labels."""
    data = digits(source)
    return data["x_test"], data["y_test"]


def as_records(x: np.ndarray) -> np.ndarray:
    """(image, 3072): red, green and blue, row by row, as CIFAR-10 has them."""
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def as_binary(folder: Path, x: np.ndarray, y: np.ndarray) -> Path:
    (folder / "test_batch.bin").write_bytes(np.hstack([y[:, None].astype(np.uint8), as_records(x)]).tobytes())
    return folder


def as_pickle(folder: Path, x: np.ndarray, y: np.ndarray) -> Path:
    """As Python 2 wrote it: protocol 2, byte strings as keys."""
    batch = {b"batch_label": b"testing batch 1 of 1", b"labels": y.tolist(), b"data": as_records(x).copy()}
    (folder / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    return folder


def as_npz(folder: Path, x: np.ndarray, y: np.ndarray) -> Path:
    np.savez(folder / "digits.npz", x=x, y=y)
    return folder / "digits.npz"


def as_image_files(folder: Path, x: np.ndarray, y: np.ndarray) -> Path:
    from PIL import Image

    for label in range(10):
        (folder / f"digit {label}").mkdir()
    for index, (image, label) in enumerate(zip(x, y, strict=True)):
        Image.fromarray(image).save(folder / f"digit {label}" / f"{index:04}.png")
    return folder


FORMS = {"binary": as_binary, "Python": as_pickle, "x and y": as_npz, "class folders": as_image_files}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(tmp_path, images, form) -> None:
    x, y = images
    found = open_dataset(FORMS[form](tmp_path, x, y), SHAPE, 10)
    assert form in found.name
    assert found.preprocessing == "pixels / 255"
    order = np.argsort(y, kind="stable") if form == "class folders" else slice(None)
    np.testing.assert_array_equal(found.images, x[order])
    np.testing.assert_array_equal(found.labels, y[order])


@pytest.mark.parametrize("runtime", get_args(Runtime))
def test_every_runtime_predicts_as_theano_did(source, images, tmp_path, runtime) -> None:
    expected = source.record()["probabilities"].argmax(1)
    data = open_dataset(as_npz(tmp_path, *images), SHAPE, 10)
    found = evaluate(choose(source.weights, runtime, Given()), data)
    np.testing.assert_array_equal(found.predictions, expected)
    assert found.confusion.sum() == len(expected)
    assert found.confusion.trace() / len(expected) == found.accuracy == (expected == images[1]).mean()


@pytest.mark.parametrize("name", ["net.keras", "net.weights.h5", "net.h5", "net-saved", "net", "net.pt", "net.onnx"])
def test_every_artifact_predicts_as_theano_did(source, images, tmp_path, name) -> None:
    expected = source.record()["probabilities"].argmax(1)[:64]
    data = open_dataset(as_npz(tmp_path, *images), SHAPE, 10, limit=64)
    with load(source.weights) as port:
        format = {"net": "safetensors", "net-saved": "savedmodel"}.get(name)
        save(port, tmp_path / name, format=format, verify=False)
    found = evaluate(choose(tmp_path / name, None, Given()), data)
    np.testing.assert_array_equal(found.predictions, expected)


def test_folded_onnx_predicts_as_theano_did(source, images, tmp_path) -> None:
    data = open_dataset(as_npz(tmp_path, *images), SHAPE, 10, limit=64)
    with load(source.weights) as port:
        save(port, tmp_path / "net.onnx", fold_bn=True, verify=False)
    found = evaluate(choose(tmp_path / "net.onnx", None, Given()), data)
    np.testing.assert_array_equal(found.predictions, source.record()["probabilities"].argmax(1)[:64])


def test_a_network_that_is_converted_for_a_runtime_is_verified_first(source, monkeypatch) -> None:
    arranged = Port.arranged

    def disturbed(port, moved=None):
        for parameter, array in arranged(port, moved):
            kernel = parameter.role == "kernel"
            yield parameter, Arranged.of(array.array() * np.float32(1.001)) if kernel else array

    monkeypatch.setattr(Port, "arranged", disturbed)
    with pytest.raises(ParityError, match=r"in ONNX Runtime .*; nothing was evaluated"):
        choose(source.weights, "onnx", Given())


@pytest.mark.parametrize("runtime", [None, "onnx"])
def test_what_the_user_states_reaches_a_file_that_states_otherwise(source, images, tmp_path, runtime) -> None:
    """The model in the file has an epsilon of its own, which its framework would go by."""
    data = open_dataset(as_npz(tmp_path, *images), SHAPE, 10, limit=8)
    with load(source.weights) as port:
        save(port, tmp_path / "net.onnx", verify=False)
    batch = next(data.batches(8))
    taken, other = (choose(tmp_path / "net.onnx", runtime, Given(epsilon=e)).run(batch) for e in (None, 1e-1))
    expected = choose(tmp_path / "net.onnx", "numpy", Given(epsilon=1e-1)).run(batch)
    assert relative_l2(taken, expected) > 1e-2
    assert relative_l2(other, expected) < 1e-5


def command(*arguments: object) -> subprocess.CompletedProcess:
    return run("evaluate", *arguments)


def test_the_command_prints_what_the_authors_code_printed(source, images, tmp_path) -> None:
    done = command(source.weights, "--data", as_binary(tmp_path, *images), "--try-conventions", "--json")
    assert done.returncode == 0, done.stderr
    assert "Accuracy : 98.33 %" in done.stderr
    assert "Error : 1.67 %" in done.stderr
    assert "pixels / 255" in done.stderr
    assert "airplane" in done.stderr  # whatever CIFAR-10's first class shows, that is its name
    account = json.loads(done.stdout)
    assert account["images"] == 359
    accuracy = {(h["backend"], h["epsilon"]): h["accuracy"] for h in account["hypotheses"]}
    (taken,) = [h for h in account["hypotheses"] if h["taken"]]
    assert (taken["backend"], taken["epsilon"], taken["accuracy"]) == ("theano", 1e-3, account["accuracy"])
    assert set(accuracy) == {(b, e) for b in ("theano", "tensorflow") for e in (1e-3, 1e-5)}
    assert accuracy["tensorflow", 1e-3] < 0.5 < accuracy["theano", 1e-5]


def test_floating_point_images_are_taken_as_they_are(tmp_path, images) -> None:
    x, y = images[0][:8], images[1][:8]
    np.savez(tmp_path / "scaled.npz", x=(x / 255).transpose(0, 3, 1, 2).astype(np.float32), y=np.eye(10)[y])
    found = open_dataset(tmp_path / "scaled.npz", SHAPE, 10)
    assert found.preprocessing == "pixels as they are stored"
    np.testing.assert_allclose(next(found.batches(8)), x / 255, rtol=1e-6)
    np.testing.assert_array_equal(found.labels, y)
    assert open_dataset(tmp_path / "scaled.npz", SHAPE, 10, scale=2).preprocessing == "pixels / 2"


class Evil:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


def test_a_pickle_runs_nothing(tmp_path) -> None:
    canary = tmp_path / "canary"
    for name, payload in (("direct", Evil(canary)), ("inside", {b"data": np.array([Evil(canary)]), b"labels": [0]})):
        (tmp_path / name).write_bytes(pickle.dumps(payload, protocol=2))
        with pytest.raises(UnsafeFile, match="nothing of it was run"):
            open_dataset(tmp_path / name, SHAPE, 10)
    np.savez(tmp_path / "evil.npz", x=np.array([Evil(canary)]), y=np.zeros(1))
    with pytest.raises(UnreadableFile):
        open_dataset(tmp_path / "evil.npz", SHAPE, 10)
    assert not canary.exists()


def test_a_pickle_of_code_in_permitted_names_runs_nothing(tmp_path) -> None:
    """The decoder that old byte strings need must not be lent to other codecs."""
    for encoding in ("rot13", "zlib", "utf-7"):
        payload = b"c_codecs\nencode\n(V" + b"a" * 10 + b"\nV" + encoding.encode() + b"\ntR."
        (tmp_path / "batch").write_bytes(b"\x80\x02" + payload)
        with pytest.raises((UnsafeFile, UnreadableFile)):
            open_dataset(tmp_path / "batch", SHAPE, 10)


def broken(folder: Path, kind: str) -> Path:
    x, y = np.zeros((4, 32, 32, 3), np.uint8), np.arange(4)
    if kind == "wrong size":
        np.savez(folder / "a.npz", x=x[:, :28, :28], y=y)
    elif kind == "label out of range":
        np.savez(folder / "a.npz", x=x, y=y + 7)
    elif kind == "negative label":
        np.savez(folder / "a.npz", x=x, y=y - 1)
    elif kind == "fewer labels":
        np.savez(folder / "a.npz", x=x, y=y[:3])
    elif kind == "no arrays x and y":
        np.savez(folder / "a.npz", images=x)
    elif kind == "text":
        np.savez(folder / "a.npz", x=np.array(["a"] * 4), y=y)
    elif kind == "NaN":
        np.savez(folder / "a.npz", x=x * np.nan, y=y)
    elif kind == "empty folder":
        (folder / "a.npz").mkdir()
    elif kind == "truncated":
        np.savez(folder / "a.npz", x=x, y=y)
        (folder / "a.npz").write_bytes((folder / "a.npz").read_bytes()[:5000])
    elif kind == "not an image":
        (folder / "a.npz" / "one").mkdir(parents=True)
        (folder / "a.npz" / "one" / "a.png").write_bytes(b"GIF89a")
    elif kind == "missing":
        pass
    elif kind == "half a record":
        (folder / "a.npz").write_bytes(bytes(3000))
    return folder / "a.npz"


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("wrong size", NotACheckpoint, "images of 28×28×3; the network takes 32×32×3"),
        ("label out of range", NotACheckpoint, "labels from 7 to 10; the network has 10 classes"),
        ("negative label", NotACheckpoint, "labels from -1"),
        ("fewer labels", NotACheckpoint, "4 images and labels of shape"),
        ("no arrays x and y", NotACheckpoint, "expected arrays x and y; found 'images'"),
        ("text", NotACheckpoint, "expected numbers"),
        ("NaN", NotACheckpoint, "NaN"),
        ("empty folder", NotACheckpoint, "neither a CIFAR-10 folder"),
        ("truncated", UnreadableFile, "not a valid"),
        ("not an image", UnreadableFile, "not a valid image"),
        ("missing", UnreadableFile, "no such file"),
        ("half a record", UnreadableFile, "neither CIFAR-10"),
    ],
)
def test_data_that_do_not_fit_get_one_line(tmp_path, kind, error, message) -> None:
    with pytest.raises(error, match=message):
        open_dataset(broken(tmp_path, kind), SHAPE, 10)


def test_wrong_input_to_the_command(source, tmp_path) -> None:
    done = command(source.weights, "--data", tmp_path / "none")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    done = command(tmp_path / "none.h5", "--data", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert command(source.weights).returncode == 2


LAYERS = FIXTURES / "layers" / "keras-1.2.2-theano-0.9.0"


def test_a_network_that_gives_no_scores_of_classes_gets_one_line(tmp_path) -> None:
    """On commit 7d379ca such networks were not read at all."""
    for name in ("dense-functional-th", "nested-shared-model-th"):
        done = command(LAYERS / f"{name}.h5", "--data", tmp_path)
        assert done.returncode == 2
        assert "labelled images are for networks of one image and several classes; it has inputs" in done.stderr
        assert done.stderr.count("\n") == 1


def test_that_an_output_without_softmax_is_a_class_is_said(tmp_path) -> None:
    """On commit 7d379ca such networks were not read at all."""
    x, y = np.random.default_rng(0).uniform(0, 1, (4, 2, 3, 4)), np.arange(4)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    done = command(LAYERS / "flatten-image-dense-th.h5", "--data", tmp_path / "a.npz", "--json")
    assert done.returncode == 0, done.stderr
    assert "the network ends without a softmax" in done.stderr
    assert json.loads(done.stdout)["scores_classes"] is False
