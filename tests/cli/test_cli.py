"""The command as its user meets it: in a process of its own, by its exit code and its output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from commands import run
from genuine import PRE_ROR, STEPS

FAST = ("--no-verify",)


@pytest.fixture
def weights(pre_ror, tmp_path) -> Path:
    path = tmp_path / "weights.h5"
    path.write_bytes(pre_ror.weights.read_bytes())
    return path


def test_convert_and_verify(weights) -> None:
    done = run("theano-to-tf", weights)
    assert done.returncode == 0, done.stderr
    assert (weights.parent / "weights.keras").exists()
    assert "Pre-RoR-3-16" in done.stdout
    assert "assumed   BatchNorm epsilon" in done.stdout
    assert "same top-1 class on 8 of 8 images" in done.stdout
    assert done.stderr == ""  # no chatter of TensorFlow's


def test_json_is_one_object_a_line_on_stdout(weights) -> None:
    done = run("theano-to-tf", weights, weights.parent / "none.h5", "-o", weights.parent / "out", "--json", *FAST)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["network"]["name"] == "Pre-RoR-3-16"
    assert Path(first["written"]["path"]) == weights.parent / "out" / "weights.keras"
    assert second["exit_code"] == done.returncode == 3
    assert "Pre-RoR-3-16" in done.stderr


def test_one_bad_file_does_not_stop_the_others(weights, tmp_path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"not HDF5")
    done = run("theano-to-tf", tmp_path / "bad.h5", weights, "-o", tmp_path / "out", *FAST)
    assert done.returncode == 3
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["weights.keras"]


def test_dry_run_writes_nothing(weights) -> None:
    done = run("theano-to-tf", weights, "--dry-run")
    assert done.returncode == 0
    assert "would write" in done.stdout
    assert os.listdir(weights.parent) == ["weights.h5"]


def test_an_existing_output_is_kept_without_force(weights) -> None:
    output = weights.parent / "weights.keras"
    output.write_text("precious")
    done = run("theano-to-tf", weights, *FAST)
    assert done.returncode == 8
    assert "--force" in done.stderr
    assert output.read_text() == "precious"
    assert run("theano-to-tf", weights, "--force", *FAST).returncode == 0
    assert output.read_bytes().startswith(b"PK")


def test_the_input_is_never_the_output(weights) -> None:
    before = weights.read_bytes()
    (weights.parent / "alias.h5").symlink_to(weights)
    for name in ("weights.h5", "alias.h5"):
        done = run("theano-to-tf", weights, "-o", weights.parent / name, "--force", *FAST)
        assert done.returncode == 8
        assert "the input itself" in done.stderr
    assert weights.read_bytes() == before


def test_a_symlink_as_output_stays_one(weights, tmp_path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "net.keras"
    link.symlink_to(tmp_path / "real" / "net.keras")
    assert run("theano-to-tf", weights, "-o", link, *FAST).returncode == 0
    assert link.is_symlink()
    assert (tmp_path / "real" / "net.keras").exists()


def test_format_follows_the_name(weights, tmp_path) -> None:
    for name, member in (("net.weights.h5", "layers"), ("net.h5", "model_weights")):
        assert run("theano-to-tf", weights, "-o", tmp_path / name, *FAST).returncode == 0
        with h5py.File(tmp_path / name) as file:
            assert member in file


def altered(copy, change) -> Path:
    path, file = copy
    change(file)
    file.close()
    return path


def set_nan(file: h5py.File) -> None:
    file["convolution2d_3/convolution2d_3_W"][0, 0, 0, 0] = np.nan


def drop_weight(file: h5py.File) -> None:
    file["dense_1"].attrs["weight_names"] = [b"dense_1_W"]


def add_layer(file: h5py.File) -> None:
    file.attrs["layer_names"] = [*file.attrs["layer_names"], b"dense_2"]
    file["dense_2/dense_2_W"] = np.zeros((10, 2), np.float32)
    file["dense_2/dense_2_b"] = np.zeros(2, np.float32)
    file["dense_2"].attrs["weight_names"] = [b"dense_2_W", b"dense_2_b"]


def wrong_shape(file: h5py.File) -> None:
    del file["convolution2d_3/convolution2d_3_W"]
    file["convolution2d_3/convolution2d_3_W"] = np.zeros((16, 16, 5, 5), np.float32)


def not_keras(file: h5py.File) -> None:
    del file.attrs["layer_names"]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (set_nan, 6, "NaN"),
        (drop_weight, 7, "head/dense expects bias 10, 'dense_1' has none"),
        (add_layer, 7, "dense_2"),
        (wrong_shape, 7, "'convolution2d_3' has 5×5×16×16"),
        (not_keras, 4, "not of Keras weights"),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "theano-to-tf"])
def test_bad_input_gets_one_line_and_leaves_nothing(copy, change, code, message, command) -> None:
    """`inspect` reads no values, and describes what cannot be converted."""
    path = altered(copy, change)
    done = run(command, path)
    if command == "inspect" and change is not not_keras:
        assert done.returncode == 0, done.stderr
        assert ("cannot be converted: the weights" in done.stdout and message in done.stdout) is (code == 7)
        return
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert os.listdir(path.parent) == ["weights.h5"]


def test_no_such_file_and_no_such_option(tmp_path) -> None:
    assert run("inspect", tmp_path / "none.h5").returncode == 3
    assert run("inspect").returncode == 2
    assert run("theano-to-tf", "x.h5", "--format", "caffe").returncode == 2


def test_a_failed_check_is_a_failure(weights) -> None:
    """A converter that forgets the flip must not pass its own check."""
    script = (
        "import ror_port.mapping.convention as convention, ror_port.layout as layout;"
        "convention.flip = lambda axes: layout.SAME;"
        "from ror_port.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "theano-to-tf", str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 9, done.stderr
    assert "does not compute what" in done.stderr
    assert os.listdir(weights.parent) == ["weights.h5"]  # what is wrong never takes its place


def test_a_leftover_keras_json_does_no_harm(weights, tmp_path) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "theano", "image_dim_ordering": "th"}')
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = run(
        "theano-to-tf", weights, env={**environment, "HOME": str(tmp_path), "KERAS_HOME": str(tmp_path / ".keras")}
    )
    assert done.returncode == 0, done.stderr
    assert "on TensorFlow" in done.stdout


def test_full_models_are_read_and_the_optimizer_is_left_out(genuine, tmp_path) -> None:
    model = genuine(STEPS[0]).folder / "model.h5"
    done = run("theano-to-tf", model, "-o", tmp_path / "net.keras")
    assert done.returncode == 0, done.stderr
    assert "left out  optimizer state" in done.stdout
    assert "effect of the assumed epsilon" not in done.stdout  # it is recorded


def test_inspect_lists_tensors(genuine) -> None:
    done = run("inspect", "--layers", genuine(PRE_ROR[0]).weights)
    assert "convolution2d_2_W" in done.stdout
    assert "stage1/block0/shortcut/kernel" in done.stdout


def test_help_teaches_by_example() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "ror-port theano-to-tf weights.h5" in done.stdout
    assert "Exit codes" in done.stdout


def test_to_torch_checks_what_it_wrote(weights, tmp_path) -> None:
    done = run("to-torch", weights, "-o", tmp_path / "net")
    assert done.returncode == 0, done.stderr
    assert "verified in PyTorch" in done.stdout
    script = (
        "import ror_port.mapping.convention as convention, ror_port.layout as layout;"
        "convention.flip = lambda axes: layout.SAME;"
        "from ror_port.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "to-torch", str(weights), "-o", str(tmp_path / "wrong")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 9, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["net", "weights.h5"]


def test_options_reach_the_network(weights, tmp_path) -> None:
    options = ("--logits", "--data-format", "channels_first", "--bn-epsilon", "1.0000002e-5", "--json", *FAST)
    done = run("theano-to-tf", weights, "-o", tmp_path / "net.keras", *options)
    account = json.loads(done.stdout)
    assert account["network"]["epsilon"] == 1.0000002e-5  # every digit of it
    import zipfile

    with zipfile.ZipFile(tmp_path / "net.keras") as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    assert layers[-1]["name"] == "head_dense"
    images = [layer for layer in layers if layer["class_name"] != "Flatten"]  # which takes the axes as they come
    assert {layer["config"].get("data_format") for layer in images} == {"channels_first", None}
    assert {layer["config"].get("epsilon") for layer in layers} == {1.0000002e-5, None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "net"), "must end in .keras"),
        (("-o", "net.keras", "--format", "h5"), "must end in .h5"),
        (("--bn-epsilon", "nan"), "above 0"),
        (("--bn-epsilon", "-1"), "above 0"),
    ],
)
def test_wrong_usage(weights, arguments, message) -> None:
    done = run("theano-to-tf", weights, *arguments, cwd=weights.parent)
    assert done.returncode == 2
    assert message in done.stderr
    assert os.listdir(weights.parent) == ["weights.h5"]


def test_a_failed_conversion_leaves_no_folder(weights, tmp_path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"not HDF5")
    assert run("theano-to-tf", tmp_path / "bad.h5", "-o", f"{tmp_path}/new/", *FAST).returncode == 3
    with h5py.File(weights, "r+") as file:
        set_nan(file)
    assert run("theano-to-tf", weights, "-o", f"{tmp_path}/new/", *FAST).returncode == 6
    assert not (tmp_path / "new").exists()


def test_a_known_hash_is_seen_to_first(weights) -> None:
    import hashlib

    known = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert run("inspect", weights, "--expect-sha256", known.upper()).returncode == 0
    weights.write_bytes(b"no longer HDF5")
    done = run("inspect", weights, "--expect-sha256", known)
    assert done.returncode == 5
    assert hashlib.sha256(b"no longer HDF5").hexdigest() in done.stderr
    assert run("inspect", weights, "--expect-sha256", "abc").returncode == 2


def test_admitted_bad_values_are_told_and_not_checked(weights) -> None:
    with h5py.File(weights, "r+") as file:
        set_nan(file)
    done = run("theano-to-tf", weights, "--allow-bad-values")
    assert done.returncode == 0, done.stderr
    assert "admitted  'convolution2d_3_W' holds NaN" in done.stdout
    assert "predictions mean nothing: 'convolution2d_3_W' holds NaN" in done.stdout
    assert "nan" not in done.stdout


def test_files_are_written_as_the_umask_has_it(weights, tmp_path) -> None:
    kept = os.umask(0o027)
    try:
        assert run("to-torch", weights, "-o", tmp_path / "net", *FAST).returncode == 0
        assert run("to-torch", weights, "-o", tmp_path / "net.pt", *FAST).returncode == 0
        assert run("theano-to-tf", weights, *FAST).returncode == 0
    finally:
        os.umask(kept)
    written = [tmp_path / "net.pt", tmp_path / "weights.keras", *(tmp_path / "net").iterdir()]
    assert {oct(path.stat().st_mode & 0o777) for path in written} == {"0o640"}
    assert oct((tmp_path / "net").stat().st_mode & 0o777) == "0o750"


def test_a_name_that_is_no_text_is_escaped(tmp_path) -> None:
    path = os.fsencode(tmp_path) + b"/\x1b[2J\xff\n.h5"
    Path(os.fsdecode(path)).write_bytes(b"x")
    done = run("inspect", os.fsdecode(path))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert r"\x1b[2J\udcff\n.h5" in done.stderr


def test_two_outputs_of_one_name_are_refused(weights, tmp_path) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "weights.h5"
    other.write_bytes(weights.read_bytes())
    done = run("theano-to-tf", weights, other, "-o", tmp_path / "out", *FAST)
    assert done.returncode == 2
    assert "would both become" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_closing_slash_makes_a_folder(weights, tmp_path) -> None:
    assert run("theano-to-tf", weights, "-o", f"{tmp_path}/new/", *FAST).returncode == 0
    assert os.listdir(tmp_path / "new") == ["weights.keras"]


def test_debug_shows_the_traceback_and_keeps_the_code(tmp_path) -> None:
    done = run("inspect", "--debug", tmp_path / "none.h5")
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_list_shows_the_networks() -> None:
    done = run("list")
    assert ["RoR-3-WRN-40-2", "6", "2", "2,265,034"] in [line.split()[:4] for line in done.stdout.splitlines()]
    assert "94.48 %" in done.stdout


def test_a_plain_locale_is_enough(weights, tmp_path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    assert run("to-torch", weights, "-o", tmp_path / "net", *FAST, env=environment).returncode == 0
