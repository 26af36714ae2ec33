"""verify, diagnose and the certificate: what is right passes, each known mistake is planted and named."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import ror_port
from commands import run
from genuine import DIGITS, LARGE, PRE_ROR, ROOT, digits
from ror_port import save
from ror_port.check import certificate, diagnose
from ror_port.check.certificate import Inputs
from ror_port.check.classification import seeded_images
from ror_port.check.expectation import Expectation
from ror_port.check.verify import verify
from ror_port.layout import PermuteFlattened
from ror_port.network.layers import BatchNormalization, Conv2D
from ror_port.source.port import Port, load

ENDINGS = (".keras", "-torch", ".onnx")


def expectation(port: Port, count: int = 2, per_layer: bool = False) -> Expectation:
    return Expectation(port, seeded_images(port.family.input_shape, count), per_layer)


@pytest.mark.parametrize("kind", ENDINGS)
@pytest.mark.parametrize(
    "name", [PRE_ROR[1], LARGE[0], "ror-3-56_keras-1.2.2", "wrn-16-2_keras-2.2.4", "pre-ror-3-10-64x64_keras-1.2.2"]
)
def test_what_is_right_passes_layer_by_layer(genuine, tmp_path, name, kind) -> None:
    source = genuine(name)
    given = {"epsilon": source.epsilon} if "1.1.0" in name else {"size": 64} if "64x64" in name else {}
    with load(source.weights, **given) as port:
        save(port, tmp_path / f"net{kind}", verify=False)
        found = verify(expectation(port, per_layer=True), tmp_path / f"net{kind}")
        weighted = {node.name for node in port.graph if node.parameters}
    assert found.passed, str(found.difference)
    assert found.first_difference is None
    assert found.faulty_layers == ()
    assert {layer.node for layer in found.layers if layer.isolated is not None} == weighted
    assert {layer.node for layer in found.layers if layer.end_to_end is not None} >= weighted
    assert found.difference.relative_l2 <= 1.4 * found.tolerance.noise  # as the docstring of tolerances.MARGIN states


def unflipped(port: Port) -> Port:
    """Reads the file as what it is not, so that the artifact holds the mistake and the source does not."""
    return replace(port, convention=replace(port.convention, theano=False))


def wrong_layers(port: Port, kind: type, **changes) -> Port:
    return replace(port, graph=port.graph.map(lambda x: replace(x, **changes) if isinstance(x, kind) else x))


def wrong_tensors(port: Port, change, *names: str) -> Port:
    """The named tensors changed as they are read."""

    def changed(tensor):
        return tensor._replace(read=lambda: change(tensor.read()))

    return replace(port, stored={n: changed(t) if n in names else t for n, t in port.stored.items()})


def epsilon(port: Port) -> Port:
    return wrong_layers(port, BatchNormalization, epsilon=1e-5)


def transposed(port: Port) -> Port:
    """Height and width of the file's kernels exchanged, as a wrong transposition leaves them."""

    kernels = [name for name, tensor in port.stored.items() if len(tensor.shape) == 4]
    return wrong_tensors(port, lambda kernel: kernel.swapaxes(2, 3), *kernels)


def std_for_variance(port: Port) -> Port:
    return wrong_layers(port, BatchNormalization, divisor="√(variance + epsilon)")


def rows_as_they_are(port: Port) -> Port:
    """The rows of the Dense kernel, which are in (C, H, W) order, taken as if they were in (H, W, C) order."""
    return wrong_tensors(port, PermuteFlattened((2, 2, 64), (2, 0, 1)).view, "head/dense/kernel")


def padded(port: Port) -> Port:
    return wrong_layers(port, Conv2D, padding="same")


PLANTED = {
    "kernels not flipped": (PRE_ROR[0], {}, unflipped),
    "height and width of the kernels exchanged": (PRE_ROR[0], {}, transposed),
    "BatchNorm epsilon 1e-05 instead of 0.001": (PRE_ROR[0], {}, epsilon),
    "BatchNorm's running standard deviations taken for variances": (
        "pre-ror-3-10_keras-1.0.6",
        {"keras": "1.0.6"},
        std_for_variance,
    ),
    "rows of the Dense kernel not permuted for the order of Flatten": (
        "pre-ror-3-10-64x64_keras-1.2.2",
        {"size": 64},
        rows_as_they_are,
    ),
    "strided convolutions padded as in TensorFlow": ("wrn-16-2_keras-2.2.4", {}, padded),
}
"""Mistake → the fixture it can be made with, what is stated about it, and a port that makes it."""


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [("kernels not flipped", kind) for kind in ENDINGS] + [(mistake, ".onnx") for mistake in list(PLANTED)[1:]],
)
def test_a_planted_mistake_is_named(genuine, tmp_path, mistake, kind) -> None:
    name, given, plant = PLANTED[mistake]
    with load(genuine(name).weights, **given) as port:
        save(plant(port), tmp_path / f"net{kind}", verify=False)
        proof = certificate.prove(port, [tmp_path / f"net{kind}"], Inputs(count=2), per_layer=True)
        made = proof.as_json(tmp_path)
    (artifact,) = made["artifacts"]
    assert artifact["passed"] is made["passed"] is False
    assert artifact["explanation"]["mistakes"] == [mistake]
    assert artifact["explanation"]["before"]["relative_l2"] > 1e-4
    assert artifact["explanation"]["after"]["relative_l2"] <= artifact["tolerance"]["value"]
    assert artifact["first_difference"]
    assert artifact["faulty_layers"]


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (lambda x: x[..., ::-1], "RGB and BGR exchanged"),
        (lambda x: x * 255, "pixels not divided by 255"),
        (lambda x: x / 255, "pixels divided by 255 twice"),
    ],
)
def test_what_was_done_to_the_images_is_named(genuine, change, mistake) -> None:
    """As a record of outputs whose images were not those that are given with it."""
    with load(genuine(DIGITS).weights) as port:
        of = expectation(port)
        scores = Expectation(port, change(of.inputs)).logits
        found = explain(of, scores)
    assert found.mistakes == (mistake,)


def test_two_mistakes_together_are_named(genuine) -> None:
    with load(genuine(PRE_ROR[0]).weights) as port:
        of = expectation(port, 2)
        scores = expectation(epsilon(unflipped(port)), 2).logits
        found = explain(of, scores)
    assert set(found.mistakes) == {"kernels not flipped", "BatchNorm epsilon 1e-05 instead of 0.001"}


def explain(of: Expectation, logits: np.ndarray, tolerance: float | None = None) -> diagnose.Explanation | None:
    limit = of.tolerances(False)[0].value if tolerance is None else tolerance
    return diagnose.explain(of, [logits], softmax=[False], tolerances=[limit])


def test_what_no_known_mistake_explains_is_not_explained(genuine) -> None:
    with load(genuine(PRE_ROR[0]).weights) as port:
        of = expectation(port, 2)
        noise = np.random.default_rng(0).normal(size=of.logits.shape)
        assert explain(of, of.logits + noise, 1e-5) is None


def test_one_wrong_layer_is_found_among_all(genuine, tmp_path) -> None:
    """A cause is distinguished from its consequences: everything behind it differs, but only it in isolation."""
    with load(genuine(PRE_ROR[0]).weights) as port:
        wrong = wrong_tensors(port, lambda kernel: kernel * np.float32(1.01), "stage2/block1/conv2/kernel")
        for kind in ENDINGS:
            save(wrong, tmp_path / f"net{kind}", verify=False)
            found = verify(expectation(port, per_layer=True), tmp_path / f"net{kind}")
            assert found.first_difference.node == "stage2/block1/conv2", kind
            assert [layer.node for layer in found.faulty_layers] == ["stage2/block1/conv2"], kind
            assert sum(layer.end_to_end is not None and layer.end_to_end > 1e-5 for layer in found.layers) > 5


def test_recorded_outputs_tell_the_epsilon(genuine, tmp_path) -> None:
    """The file of Keras 1.1.0 does not record that its epsilon is 1e-5; what it computed then determines it."""
    source = genuine(PRE_ROR[1])
    record = source.record()
    np.save(tmp_path / "x.npy", record["images"])
    for name in ("logits", "probabilities"):
        np.save(tmp_path / "y.npy", record[name])
        options = ("--inputs", tmp_path / "x.npy", "--expected", tmp_path / "y.npy")
        done = run("diagnose", source.weights, *options)
        assert done.returncode == 9, done.stderr
        assert "BatchNorm epsilon 1e-05 instead of 0.001" in done.stdout
        assert run("diagnose", source.weights, *options, "--bn-epsilon", "1e-5").returncode == 0


@pytest.fixture(scope="module")
def converted(genuine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("certified")
    shutil.copy(genuine(DIGITS).weights, folder / "digits.h5")
    done = run("theano-to-tf", "digits.h5", "--certify", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_certify_writes_certificate_and_page_beside_the_output(converted) -> None:
    made = json.loads((converted / "digits.keras.certificate.json").read_text())
    schema = json.loads((Path(ror_port.__file__).parent / "check" / "certificate.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(made, schema)
    assert made["passed"] is True
    assert (made["source"]["file"], made["artifacts"][0]["file"]) == ("digits.h5", "digits.keras")
    assert sum(group["count"] for group in made["weights"]) == made["source"]["parameters"]
    assert (converted / "digits.keras.certificate.html").exists()


class Reader(HTMLParser):
    """Checks that tags close, and gathers what a page would load."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open, self.loads, self.drawings = [], [], []

    def handle_starttag(self, tag, attributes) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        self.drawings += [value for name, value in attributes if name == "aria-label"]

    def handle_startendtag(self, tag, attributes) -> None:
        pass

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(converted) -> None:
    text = (converted / "digits.keras.certificate.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert reader.loads == []
    assert not re.search(r"<script|@import|url\(", text)
    assert text.index("verified") < text.index("<table")
    assert any("with its shortcuts" in label for label in reader.drawings)
    assert any("error of every layer" in label for label in reader.drawings)
    assert sum("Histogram" in label for label in reader.drawings) >= 8


def test_names_from_files_cannot_break_the_page(genuine, tmp_path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>.h5"
    shutil.copy(genuine(DIGITS).weights, path)
    with load(path) as port:
        save(port, tmp_path / "net.onnx", verify=False)
        proof = certificate.prove(port, [tmp_path / "net.onnx"], Inputs(count=2))
        certificate.write(proof.as_json(tmp_path), tmp_path / "cert.json")
    assert "<img" not in (tmp_path / "cert.html").read_text()


def test_a_certificate_can_be_checked_again_elsewhere(converted, tmp_path) -> None:
    for item in converted.iterdir():
        shutil.copy(item, tmp_path)
    cert = tmp_path / "digits.keras.certificate.json"
    done = run("verify", "--certificate", cert)
    assert done.returncode == 0, done.stderr
    assert "every file is the one that was certified" in done.stdout
    with (tmp_path / "digits.keras").open("r+b") as file:
        file.seek(5000)
        file.write(b"\0\1\2\3")
    done = run("verify", "--certificate", cert)
    assert done.returncode == 9
    assert "'digits.keras' has changed" in done.stdout
    (tmp_path / "digits.keras").unlink()
    done = run("verify", "--certificate", cert, "--json")
    assert json.loads(done.stdout)["faults"] == ["'digits.keras' is missing"]


def test_a_certificate_of_version_1_can_be_checked_again(converted) -> None:
    """Its fields had other names, but for those that are needed."""
    names = {"same_top1": "same_answers", "images": "answers", "isolated": "alone", "faulty_layers": "differ_alone"}
    text = (converted / "digits.keras.certificate.json").read_text()
    for new, old in names.items():
        text = text.replace(f'"{new}"', f'"{old}"')
    (converted / "old.json").write_text(text.replace(f'"certificate": {certificate.VERSION}', '"certificate": 1'))
    done = run("verify", "--certificate", converted / "old.json", "--json")
    assert done.returncode == 0, done.stderr
    assert "every file is the one that was certified" in done.stderr
    assert json.loads(done.stdout)["now"]["certificate"] == certificate.VERSION


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"certificate": 1}', '{"certificate": 2}', '{"certificate": 3}', '{"certificate": 4}', "\0"],
)
def test_what_is_no_certificate_gets_one_line(tmp_path, text) -> None:
    (tmp_path / "cert.json").write_text(text)
    done = run("verify", "--certificate", tmp_path / "cert.json")
    assert done.returncode in (3, 4)
    assert done.stderr.count("\n") == 1


def test_verify_says_what_differs_where_and_why(converted, tmp_path) -> None:
    source = converted / "digits.h5"
    options = ("--source-backend", "tensorflow", "--no-verify", "-o", tmp_path / "bad")
    assert run("to-torch", source, *options).returncode == 0
    done = run("verify", source, converted / "digits.keras", tmp_path / "bad", "--per-layer", "-o", tmp_path / "c.json")
    assert done.returncode == 9
    assert re.search(r"passed  .*digits.keras, in Keras", done.stdout)
    assert re.search(r"FAILED  .*bad, in PyTorch", done.stdout)
    assert "explained by: kernels not flipped" in done.stdout
    assert "first difference: stem/conv" in done.stdout
    assert "FAILED" in (tmp_path / "c.html").read_text()
    again = run("verify", source, converted / "digits.keras", "-o", tmp_path / "c.json")
    assert (again.returncode, "exists already" in again.stderr) == (8, True)


def test_every_kind_of_artifact_is_verified(genuine, tmp_path) -> None:
    names = ["a.keras", "a.weights.h5", "a.h5", "saved", "torch", "a.pt", "a.onnx", "back.h5"]
    with load(genuine(DIGITS).weights) as port:
        of = expectation(port, 2, per_layer=True)
        for name in names:
            format = {"saved": "savedmodel", "torch": "safetensors", "back.h5": "theano"}.get(name)
            save(port, tmp_path / name, format=format, verify=False)
            found = verify(of, tmp_path / name)
            assert found.passed, (name, str(found))
            assert bool(found.layers) == (name != "saved") or all(layer.isolated is None for layer in found.layers)


def test_what_cannot_be_run_is_no_failure_and_no_success(genuine, converted, tmp_path, monkeypatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('built for another system')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', ROOT)}")
    with load(genuine(DIGITS).weights) as port:
        save(port, tmp_path / "net.onnx", verify=False)
    done = run("verify", genuine(DIGITS).weights, tmp_path / "net.onnx", converted / "digits.keras")
    assert done.returncode == 10
    assert re.search(r"not run  .*net.onnx\n  ONNX Runtime is installed but cannot", done.stdout)
    assert re.search(r"passed  .*digits.keras, in Keras", done.stdout)


@pytest.mark.parametrize("name", ["missing.keras", "page.html"])
def test_a_missing_or_wrong_artifact_gets_one_line(genuine, tmp_path, name) -> None:
    (tmp_path / "page.html").write_text("<html>")
    done = run("verify", genuine(DIGITS).weights, tmp_path / name)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


def test_another_networks_artifact_is_refused(genuine, tmp_path) -> None:
    with load(genuine("pre-ror-3-10-100-classes_keras-1.2.2").weights) as other:
        save(other, tmp_path / "other.onnx", verify=False)
    done = run("verify", genuine(PRE_ROR[0]).weights, tmp_path / "other.onnx")
    assert done.returncode == 4
    assert "32×32×3 images, 100 classes; the source has 32×32×3 images, 10 classes" in done.stderr


def test_the_statistics_tell_how_a_file_was_trained(genuine, tmp_path) -> None:
    """Whatever the file is taken for, and also where its kernels are no longer Theano's."""
    source = genuine(DIGITS)
    images = digits(source)["x_train"][:320]
    np.save(tmp_path / "x.npy", images)
    done = run("diagnose", source.weights, "--images", tmp_path / "x.npy", "--source-backend", "tensorflow")
    assert done.returncode == 0, done.stderr
    assert "by its running statistics trained by Theano" in done.stdout
    assert "the file is read here under the other one" in done.stdout
    with load(source.weights) as port:
        save(port, tmp_path / "net.keras", verify=False)
    with load(tmp_path / "net.keras") as port:
        found = diagnose.training(port, images / 255)
    assert found.verdict == "not theano"
    assert found.deviations > 6
    assert found.best.mean < 0.002


def test_untrained_weights_are_inconclusive(genuine, tmp_path) -> None:
    from ror_port.models import networks_torch

    images = digits(genuine(DIGITS))["x_train"][:64] / 255
    networks_torch.RoRWRN.create(blocks=1, width=2).save_pretrained(tmp_path / "fresh")
    for path in (genuine(PRE_ROR[0]).weights, tmp_path / "fresh"):
        with load(path) as port:
            assert diagnose.training(port, images).verdict == "inconclusive"


def test_few_images_are_inconclusive(genuine) -> None:
    source = genuine(DIGITS)
    with load(source.weights) as port:
        assert diagnose.training(port, digits(source)["x_train"][:32] / 255).verdict == "inconclusive"


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify",),
        ("verify", "a.h5"),
        ("verify", "a.h5", "--certificate", "c.json"),
        ("verify", "a.h5", "b", "--expected", "y"),
    ],
)
def test_wrong_usage(arguments) -> None:
    assert run(*arguments).returncode == 2
