"""What the writers write, loaded as a user would: by stock Keras 3 and by Keras 2 (tf-keras), and read back by us."""

import hashlib
import json
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genuine import PRE_ROR, relative_l2
from ror_port import tolerances
from ror_port.convert import write as convert
from ror_port.formats.format import Contents, by_name, of_command
from ror_port.layout import NCHW_TO_NHWC, Arranged
from ror_port.source.port import load

FILES = ("keras", "weights", "h5")

SUFFIXES = {format.name: format.suffix for format in of_command("theano-to-tf")}


@pytest.fixture(scope="module")
def record(genuine):
    return genuine(PRE_ROR[0]).record()


@pytest.fixture(scope="module")
def written(genuine, tmp_path_factory):
    """(format, options) → a converted file of the Pre-RoR fixture."""
    folder = tmp_path_factory.mktemp("written")

    def write(format: str, **options) -> Path:
        target = folder / ("-".join(options) + "net" + SUFFIXES[format])
        if not target.exists():
            with load(genuine(PRE_ROR[0]).weights) as port:
                convert.write(port, target, by_name(format), **options)
        return target

    return write


def predict(model, record) -> np.ndarray:
    return np.asarray(model.predict(NCHW_TO_NHWC(record["images"]), verbose=0))


def test_keras_file_opens_without_custom_objects(written, record) -> None:
    import keras

    model = keras.saving.load_model(written("keras"))
    answers = predict(model, record)
    assert relative_l2(answers, record["probabilities"]) <= tolerances.FLOAT32
    assert (answers.argmax(1) == record["probabilities"].argmax(1)).all()
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}


def test_logits_end_before_the_softmax(written, record) -> None:
    import keras

    answers = predict(keras.saving.load_model(written("keras", logits=True)), record)
    assert relative_l2(answers, record["logits"]) <= tolerances.FLOAT32


def test_weights_file_loads_into_the_parallel_definition(written, record) -> None:
    from ror_port.models.networks_keras import ror_wrn

    model = ror_wrn(2, 1)
    model.load_weights(written("weights"))
    assert relative_l2(predict(model, record), record["probabilities"]) <= tolerances.FLOAT32


@pytest.mark.parametrize("by_name", [False, True])
def test_hdf5_file_loads_in_keras_3(written, record, by_name) -> None:
    import keras

    from ror_port.models.networks_keras import ror_wrn

    whole = keras.saving.load_model(written("h5"), compile=False)
    assert relative_l2(predict(whole, record), record["probabilities"]) <= tolerances.FLOAT32
    model = ror_wrn(2, 1)
    model.load_weights(written("h5"), by_name=by_name)
    assert relative_l2(predict(model, record), record["probabilities"]) <= tolerances.FLOAT32


KERAS_2 = """
import sys, numpy, tf_keras
path, images, out = sys.argv[1:]
whole = tf_keras.models.load_model(path, compile=False)
by_order = tf_keras.models.clone_model(whole)
by_order.load_weights(path)
by_name = tf_keras.models.clone_model(whole)
by_name.load_weights(path, by_name=True)
x = numpy.load(images)
numpy.save(out, [model.predict(x, verbose=0) for model in (whole, by_order, by_name)])
"""


def test_hdf5_file_loads_in_keras_2(written, record, tmp_path) -> None:
    np.save(tmp_path / "images.npy", NCHW_TO_NHWC(record["images"]))
    arguments = [str(written("h5")), str(tmp_path / "images.npy"), str(tmp_path / "out.npy")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", KERAS_2, *arguments], check=True, capture_output=True)
    for answers in np.load(tmp_path / "out.npy"):
        assert relative_l2(answers, record["probabilities"]) <= tolerances.FLOAT32


def test_saved_model(written, record) -> None:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(written("savedmodel")))
    answers = loaded.serve(tf.constant(NCHW_TO_NHWC(record["images"]))).numpy()
    assert relative_l2(answers, record["probabilities"]) <= tolerances.FLOAT32


CHANNELS_FIRST = """
import sys, numpy, keras
model = keras.saving.load_model(sys.argv[1])
numpy.save(sys.argv[3], keras.ops.convert_to_numpy(model(numpy.load(sys.argv[2]))))
"""


def test_channels_first_on_the_torch_backend(written, record, tmp_path, monkeypatch) -> None:
    """TensorFlow has no such convolution on a CPU; PyTorch has no other."""
    np.save(tmp_path / "images.npy", record["images"])
    arguments = [
        str(written("keras", data_format="channels_first")),
        str(tmp_path / "images.npy"),
        str(tmp_path / "out.npy"),
    ]
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    script = "import torch; torch.set_grad_enabled(False)\n" + CHANNELS_FIRST
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, *arguments], check=True, capture_output=True)
    assert relative_l2(np.load(tmp_path / "out.npy"), record["probabilities"]) <= tolerances.FLOAT32


@pytest.mark.parametrize("format", FILES)
def test_our_own_files_are_read_back_byte_for_byte(genuine, written, format) -> None:
    with load(written(format)) as port, load(genuine(PRE_ROR[0]).weights) as source:
        moved = source.relayout("channels_last")
        assert (port.family, port.graph) == (source.family, moved.graph)
        assert not port.convention.theano
        for (_, array), (parameter, expected) in zip(port.parameters(), source.parameters(moved), strict=True):
            assert array.tobytes() == expected.tobytes(), parameter.name


@pytest.mark.parametrize("format", FILES)
def test_an_unusual_epsilon_survives_in_every_format(genuine, tmp_path, format) -> None:
    target = tmp_path / ("net" + SUFFIXES[format])
    with load(genuine(PRE_ROR[0]).weights, epsilon=3e-4) as port:
        convert.write(port, target, by_name(format))
    with load(target) as port:
        assert port.statement()["network"]["epsilon"] == 3e-4


@pytest.mark.parametrize("format", FILES)
def test_equal_inputs_give_equal_bytes(genuine, written, tmp_path, format) -> None:
    again = tmp_path / ("again" + SUFFIXES[format])
    with load(genuine(PRE_ROR[0]).weights) as port:
        convert.write(port, again, by_name(format))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (again, written(format))]
    assert digests[0] == digests[1]


def test_architecture_from_the_graph_is_that_of_the_parallel_definition(written) -> None:
    import keras

    from ror_port.models.networks_keras import ror_wrn

    def layers(model) -> dict:
        config = json.loads(json.dumps(model.get_config()))  # lists and tuples alike
        for layer in config["layers"]:
            settings = layer["config"]
            if settings.get("axis", 0) < 0:  # a file counts axes from the front
                settings["axis"] += model.get_layer(layer["name"]).output.ndim
            if settings.get("kernel_size") == [1, 1] and settings["padding"] == "same":  # without any zeros
                settings["padding"] = "valid"
        return config

    assert layers(keras.saving.load_model(written("keras"))) == layers(ror_wrn(2, 1))


def test_float64_stays_float64(genuine, tmp_path) -> None:
    import keras

    source = genuine(PRE_ROR[0])
    record = source.record("float64")
    for format in ("keras", "h5"):
        target = tmp_path / ("net" + SUFFIXES[format])
        with load(source.folder / "weights_float64.h5") as port:
            convert.write(port, target, by_name(format))
        answers = predict(keras.saving.load_model(target, compile=False), record)
        assert answers.dtype == np.float64
        assert relative_l2(answers, record["probabilities"]) <= tolerances.FLOAT64


def test_texts_that_keras_2_decodes_are_ascii(written) -> None:
    """Its h5py reads ASCII as bytes and UTF-8 as str, and Keras 2 calls decode on what it gets."""
    import h5py

    with h5py.File(written("h5")) as file:
        for owner in (file, file["model_weights"]):
            for attribute in {"keras_version", "backend", "model_config"} & set(owner.attrs):
                kind = h5py.check_string_dtype(owner.attrs.get_id(attribute).dtype)
                assert kind.encoding == "ascii", attribute


def test_files_say_where_they_come_from(genuine, written) -> None:
    with zipfile.ZipFile(written("keras")) as archive:
        metadata = json.loads(archive.read("metadata.json"))
    source = hashlib.sha256(genuine(PRE_ROR[0]).weights.read_bytes()).hexdigest()
    assert metadata["ror_port"]["source"]["sha256"] == source
    assert {fact["name"] for fact in metadata["ror_port"]["facts"]} >= {"backend", "BatchNorm epsilon"}


def test_a_long_list_of_names_is_split_as_keras_splits_it(tmp_path) -> None:
    """The attribute limit of HDF5 is 64 KiB; Keras 2 reads the pieces, and so do we."""
    import h5py

    from ror_port.formats.hdf5 import reader as hdf5
    from ror_port.formats.hdf5 import writer as hdf5_writer

    names = [f"layer with a rather long name, number {index}" for index in range(3000)]
    with warnings.catch_warnings(), h5py.File(tmp_path / "names.h5", "w") as file:
        hdf5_writer.Group(file.id, lambda: None).names("layer_names", names)
        assert "layer_names1" in file.attrs
        assert hdf5.names(file.id, "layer_names", tmp_path, 10_000) == names


def corrupt(source: Path, target: Path, **members: bytes | None) -> None:
    """A copy of a .keras archive with members replaced, or left out where None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            content = members.get(info.filename.partition(".")[0], old.read(info))
            if content is not None:
                new.writestr(info.filename, content)


@pytest.mark.parametrize("content", [None, b"{", b"[]", b"\xff", b"null"])
@pytest.mark.parametrize("member", ["metadata", "config"])
def test_broken_members_of_an_archive(written, tmp_path, member, content) -> None:
    from ror_port.errors import RorPortError

    corrupt(written("keras"), tmp_path / "broken.keras", **{member: content})
    with pytest.raises(RorPortError):
        load(tmp_path / "broken.keras")


def test_a_very_deep_network_has_a_very_long_architecture(tmp_path) -> None:
    """More than an HDF5 attribute of fixed length could hold."""
    import h5py

    from ror_port.formats import keras_hdf5
    from ror_port.network.families import RoRWRN

    graph = RoRWRN(27, 1).graph()
    parameters = ((parameter, Arranged.of(np.zeros(parameter.shape, np.float32))) for parameter in graph.parameters)
    keras_hdf5.write_model(tmp_path / "deep.h5", Contents(graph.for_keras(), parameters, "float32", {}))
    with h5py.File(tmp_path / "deep.h5") as file:
        assert len(file.attrs["model_config"]) > 1 << 16
    with load(tmp_path / "deep.h5") as port:
        assert port.family.blocks == 27
