"""ONNX files: sound by the checker, what they say of themselves, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest

from genuine import DIGITS, KINDS, PRE_ROR, relative_l2
from genuine_layers import Case, record
from ror_port import save, tolerances
from ror_port.check.runtimes import open_artifact
from ror_port.errors import NotACheckpoint, UnknownNetwork, UnreadableFile, UnsafeFile
from ror_port.network.layers import Activation, BatchNormalization
from ror_port.network.layers.layer import OnnxOperator
from ror_port.source.port import load


@pytest.fixture(scope="module")
def model(genuine, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    with load(genuine(PRE_ROR[0]).weights) as port:
        save(port, path, verify=False)
    return path


def test_the_checker_and_shape_inference_agree_with_our_graph(genuine, model) -> None:
    loaded = onnx.load(model)
    onnx.checker.check_model(loaded, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(loaded, check_type=True, strict_mode=True, data_prop=True)
    shapes = {
        value.name: tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    }
    with load(genuine(PRE_ROR[0]).weights) as port:
        for node in list(port.relayout("channels_first").graph)[1:]:
            assert shapes[node.name] == ("batch", *node.shape)
        assert {t.name for t in loaded.graph.initializer} == {p.name for p in port.graph.parameters}
    assert [(o.domain, o.version) for o in loaded.opset_import] == [("", 20)]


def test_it_says_where_it_comes_from(genuine, model) -> None:
    properties = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    with load(genuine(PRE_ROR[0]).weights) as port:
        assert properties["source_sha256"] == port.checkpoint.sha256
    assert json.loads(properties["preprocessing"])["scale"] == "pixels / 255"
    facts = {fact["name"] for fact in json.loads(properties["ror_port"])["facts"]}
    assert {"backend", "BatchNorm epsilon"} <= facts


def test_equal_inputs_give_equal_bytes(genuine, model, tmp_path) -> None:
    with load(genuine(PRE_ROR[0]).weights) as port:
        save(port, tmp_path / "again.onnx", verify=False)
    assert (tmp_path / "again.onnx").read_bytes() == model.read_bytes()


def test_any_batch_and_logits(genuine, tmp_path) -> None:
    import onnxruntime

    record = genuine(PRE_ROR[0]).record()
    with load(genuine(PRE_ROR[0]).weights) as port:
        save(port, tmp_path / "whole.onnx", verify=False)
        save(port, tmp_path / "logits.onnx", verify=False, logits=True)
    for name, expected in (("whole", record["probabilities"]), ("logits", record["logits"])):
        session = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx")
        for batch in (1, 3, 8):
            (scores,) = session.run(None, {"image": record["images"][:batch]})
            assert relative_l2(scores, expected[:batch]) <= tolerances.FLOAT32


@pytest.mark.parametrize("name", [PRE_ROR[0], DIGITS, "ror-3-56_keras-1.2.2", "wrn-16-2_keras-2.2.4", KINDS[0]])
def test_folded_it_computes_the_same_in_fewer_operations(genuine, tmp_path, name) -> None:
    source = genuine(name)
    record = source.record()
    images = record.get("images")
    options = {"keras": "1.0.6"} if "1.0.6" in name else {}
    with load(source.weights, **options) as port:
        save(port, tmp_path / "net.onnx", verify=False, fold_bn=True)
        norms = sum(isinstance(node.layer, BatchNormalization) for node in port.graph)
    left = sum(node.op_type == "BatchNormalization" for node in onnx.load(tmp_path / "net.onnx").graph.node)
    assert left < norms
    if images is not None:
        logits = open_artifact(tmp_path / "net.onnx").run(images.transpose(0, 2, 3, 1))
        assert relative_l2(logits, record["logits"]) <= tolerances.FLOAT32
    with pytest.raises(NotACheckpoint, match="cannot be taken out again"):
        load(tmp_path / "net.onnx")


def test_float64_weights_are_kept_or_rounded_as_asked(genuine, tmp_path) -> None:
    source = genuine(PRE_ROR[0])
    with load(source.folder / "weights_float64.h5") as port:
        save(port, tmp_path / "rounded.onnx", verify=False)
        save(port, tmp_path / "whole.onnx", verify=False, dtype="float64")
    record = source.record("float64")
    logits = open_artifact(tmp_path / "rounded.onnx").run(record["images"].transpose(0, 2, 3, 1))
    assert relative_l2(logits, record["logits"]) <= tolerances.FLOAT32
    with load(tmp_path / "whole.onnx") as port:
        assert port.dtype == "float64"
        assert relative_l2(port.predict(record["images"].transpose(0, 2, 3, 1)), record["probabilities"]) <= 1e-12


def changed(model, tmp_path, change) -> object:
    loaded = onnx.load(model)
    change(loaded)
    path = tmp_path / "changed.onnx"
    path.write_bytes(loaded.SerializeToString())
    return path


def external(loaded) -> None:
    tensor = loaded.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")


def crossed(loaded) -> None:
    convolutions = [n for n in loaded.graph.node if n.op_type == "Conv" and n.name.endswith("conv2")][:2]
    first, second = convolutions
    first.input[1], second.input[1] = second.input[1], first.input[1]


def skipped_relu(loaded) -> None:
    relu = next(node for node in loaded.graph.node if node.op_type == "Relu")
    user = next(node for node in loaded.graph.node if relu.output[0] in node.input)
    user.input[0] = relu.input[0]


def lopsided(loaded) -> None:
    convolution = next(n for n in loaded.graph.node if n.op_type == "Conv" and list(n.attribute[0].ints) == [3, 3])
    next(a for a in convolution.attribute if a.name == "pads").ints[:] = [0, 0, 2, 2]


def dilated(loaded) -> None:
    convolution = next(n for n in loaded.graph.node if n.op_type == "Conv" and list(n.attribute[0].ints) == [3, 3])
    convolution.attribute.append(onnx.helper.make_attribute("dilations", [2, 2]))
    next(a for a in convolution.attribute if a.name == "pads").ints[:] = [2, 2, 2, 2]


def ends_early(loaded) -> None:
    pooled = onnx.helper.make_tensor_value_info("head/pool", onnx.TensorProto.FLOAT, ["batch", 64, 1, 1])
    loaded.graph.output[0].CopyFrom(pooled)


def another_pooling(loaded) -> None:
    next(node for node in loaded.graph.node if node.op_type == "AveragePool").op_type = "MaxPool"


def no_operator(loaded) -> None:
    loaded.graph.node[3].op_type = "Reluu"


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (external, UnsafeFile, "another file, which is not opened"),
        (crossed, UnknownNetwork, "its graph is another network's: 'stage1/block0/conv2' differs"),
        (skipped_relu, UnknownNetwork, "its graph is another network's"),
        (lopsided, UnknownNetwork, "its graph is another network's"),
        (dilated, UnknownNetwork, "its graph is another network's"),
        (ends_early, UnknownNetwork, "its graph is another network's: 'head/pool' differs"),
        (another_pooling, UnknownNetwork, "its graph is another network's: 'head/pool' differs"),
        (no_operator, NotACheckpoint, "not valid ONNX"),
    ],
)
def test_what_is_not_ours_any_more_is_refused(model, tmp_path, change, error, says) -> None:
    path = changed(model, tmp_path, change)
    with pytest.raises(error, match=says):
        load(path)


def test_a_truncated_file_is_refused(model, tmp_path) -> None:
    for length in (9, 100, 5000):
        (tmp_path / "short.onnx").write_bytes(model.read_bytes()[:-length])
        with pytest.raises((UnreadableFile, NotACheckpoint, UnknownNetwork)):
            load(tmp_path / "short.onnx")


def test_new_weights_in_the_same_graph_are_read(model, tmp_path) -> None:
    def shift(loaded) -> None:
        tensor = next(t for t in loaded.graph.initializer if t.name == "head/dense/bias")
        tensor.raw_data = (np.frombuffer(tensor.raw_data, np.float32) + 1).astype(np.float32).tobytes()

    with load(changed(model, tmp_path, shift)) as port, load(model) as before:
        assert (port.family, port.graph) == (before.family, before.graph)
        arrays = {parameter.name: array for parameter, array in port.parameters()}
        old = {parameter.name: array for parameter, array in before.parameters()}
        np.testing.assert_array_equal(arrays["head/dense/bias"], old["head/dense/bias"] + np.float32(1))


def test_a_graph_that_the_checker_refuses_is_not_written(genuine, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Activation, "to_onnx", lambda *_: [OnnxOperator("Relu", {"axis": 3})])
    with load(genuine(PRE_ROR[0]).weights) as port, pytest.raises(onnx.checker.ValidationError):
        save(port, tmp_path / "net.onnx", verify=False)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_one_line_says_what_is_missing(genuine, tmp_path) -> None:
    script = "import sys; sys.modules['onnx'] = None; from ror_port.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        script,
        "to-onnx",
        str(genuine(PRE_ROR[0]).weights),
        "-o",
        str(tmp_path / "n.onnx"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 10
    assert "pip install 'onnx>=" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_preprocessing_is_stated_where_it_is_known(tmp_path) -> None:
    """Of a network of no family nothing is known."""
    record(Case("keras-2.2.4-theano-1.0.5", "dense", "two-th")).write(tmp_path / "w.h5")
    with load(tmp_path / "w.h5") as port:
        save(port, tmp_path / "net.onnx", verify=False)
    assert "preprocessing" not in {each.key for each in onnx.load(tmp_path / "net.onnx").metadata_props}
