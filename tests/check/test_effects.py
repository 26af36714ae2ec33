"""Every assumed fact gets its effect, which is that of the option that it names."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from commands import run
from genuine import DIGITS, LARGE, PRE_ROR, digits, relative_l2
from ror_port import tolerances
from ror_port.check.classification import seeded_inputs
from ror_port.check.expectation import Effect, Expectation
from ror_port.source.port import Port, load

OLDEST = "pre-ror-3-10_keras-1.0.6"


def effects(port: Port, count: int = 8) -> tuple[Effect, ...]:
    return Expectation(port, seeded_inputs(port, count)).effects


def test_every_assumed_fact_of_a_weights_file_is_quantified(pre_ror) -> None:
    """7d379ca gives the epsilon a number, and the rule, which matters a hundred times more, none."""
    with load(pre_ror.weights) as port:
        found = effects(port)
    assert [(effect.fact, effect.option) for effect in found] == [
        ("BatchNorm divisor", "--source-keras 1.0.6"),
        ("BatchNorm divisor", "--source-keras 1.0.7"),
        ("BatchNorm epsilon", "--bn-epsilon 1e-05"),
    ]
    sizes = [effect.difference.relative_l2 for effect in found]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0.5 > 100 * sizes[2] / 2
    assert [effect.matters for effect in found] == [True, False, False]


@pytest.mark.parametrize("name", [OLDEST, PRE_ROR[1], LARGE[0]])
def test_an_effect_is_that_of_its_option(genuine, name) -> None:
    options = {"--source-keras": "keras", "--bn-epsilon": "epsilon", "--source-backend": "backend"}
    with load(genuine(name).weights) as port:
        expectation = Expectation(port, seeded_inputs(port, 2))
        assert expectation.effects
        for effect in expectation.effects:
            option, value = effect.option.split()
            given = {options[option]: float(value) if option == "--bn-epsilon" else value}
            with load(genuine(name).weights, **given) as other:
                scores = Expectation(other, seeded_inputs(other, 2)).scores()
            assert expectation.compare(scores)[0] == effect.difference


def test_what_is_given_has_no_alternative(pre_ror) -> None:
    with load(pre_ror.weights, keras="1.2.2") as port:
        assert effects(port, 1) == ()
    with load(pre_ror.weights, epsilon=1e-5) as port:
        assert {effect.fact for effect in effects(port, 1)} == {"BatchNorm divisor"}


def test_a_genuine_file_of_keras_1_0_6_is_converted_rightly(genuine) -> None:
    """7d379ca converts it with 1 of 8 predictions right, and reassures."""
    source = genuine(OLDEST)
    record = source.record("float64")
    with load(source.weights) as port:
        of = Expectation(port, record["images"].transpose(0, 2, 3, 1))
        assert relative_l2(of.logits, record["logits"]) <= tolerances.FLOAT64
        (effect,) = of.effects
    assert effect.option == "--source-keras 1.0.7"
    assert effect.matters


def test_the_padding_of_a_file_of_tensorflow_is_quantified(genuine) -> None:
    with load(genuine("wrn-16-2_keras-2.2.4").weights, backend="tensorflow") as port:
        (effect,) = [effect for effect in effects(port, 2) if effect.fact == "padding"]
    assert (effect.alternative, effect.option) == ("even on all sides", None)
    assert effect.difference.relative_l2 > 0.01


def weights_only(model: Path, path: Path) -> Path:
    with h5py.File(model) as full, h5py.File(path, "w") as file:
        for name, value in full["model_weights"].attrs.items():
            file.attrs[name] = value
        for name in full["model_weights"]:
            full.copy(f"model_weights/{name}", file)
    return path


def test_the_order_of_dense_rows_is_quantified(genuine, tmp_path) -> None:
    """Up to Keras 2.1 weights alone do not tell in which order an image was flattened."""
    path = weights_only(genuine("pre-ror-3-10-64x64_keras-2.2.4").weights, tmp_path / "weights.h5")
    with load(path, keras="2.1.6", size=64) as port:
        (effect,) = effects(port, 2)
    assert (effect.fact, effect.option) == ("dim ordering", "--source-keras 2.3.1")
    assert effect.difference.relative_l2 > 0.1


def sequential(path: Path, rows: int, *layers: dict) -> Path:
    """A Keras 1 full model: a convolution in "th", further layers, Flatten and Dense with a number of rows."""
    random = np.random.default_rng(0)
    first = {
        "name": "convolution2d_1", "nb_filter": 4, "nb_row": 3, "nb_col": 3, "activation": "relu", "bias": True,
        "border_mode": "valid", "subsample": [1, 1], "dim_ordering": "th", "batch_input_shape": [None, 3, 8, 8],
    }  # fmt: skip
    dense = {"name": "dense_1", "output_dim": 5, "activation": "softmax", "bias": True}
    model = {
        "class_name": "Sequential",
        "config": [
            {"class_name": "Convolution2D", "config": first},
            *layers,
            {"class_name": "Flatten", "config": {"name": "flatten_1"}},
            {"class_name": "Dense", "config": dense},
        ],
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "1.2.2"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"convolution2d_1", b"dense_1"]
        for layer, shapes in (("convolution2d_1", [(4, 3, 3, 3), (4,)]), ("dense_1", [(rows, 5), (5,)])):
            names = [f"{layer}_W", f"{layer}_b"]
            group.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
            for name, shape in zip(names, shapes, strict=True):
                group[layer][name] = random.normal(size=shape).astype("float32")
    return path


UPSAMPLED = {"class_name": "UpSampling2D", "config": {"name": "upsampling2d_1", "size": [2, 2]}}
PADDED = {"class_name": "ZeroPadding2D", "config": {"name": "zeropadding2d_1", "padding": [1, 1]}}


def test_the_data_format_of_layers_that_state_none_is_quantified(tmp_path) -> None:
    """7d379ca does not state that it was assumed."""
    with load(sequential(tmp_path / "a.h5", 576, UPSAMPLED)) as port:
        (fact,) = port.assumptions
        (effect,) = effects(port)
    assert (fact.name, fact.value) == ("data format of layers that state none", "th")
    assert (effect.alternative, effect.option) == ("tf", "--source-ordering tf")
    assert effect.difference.relative_l2 > 0.1


def test_the_data_format_that_alone_fits_is_inferred(tmp_path) -> None:
    with load(sequential(tmp_path / "a.h5", 256, PADDED)) as port:
        fact = next(fact for fact in port.facts if fact.name == "data format of layers that state none")
    assert (fact.value, fact.basis) == ("th", "inferred")


def test_no_fact_where_every_layer_states_its_data_format(tmp_path) -> None:
    stated = {**UPSAMPLED, "config": {**UPSAMPLED["config"], "dim_ordering": "th"}}
    with load(sequential(tmp_path / "a.h5", 576, stated)) as port:
        assert port.assumptions == ()


def test_the_command_lists_effects_warns_and_states_what_success_rests_on(pre_ror, tmp_path) -> None:
    """7d379ca reports success without a condition, and no warning."""
    done = run("to-onnx", pre_ror.weights, "-o", tmp_path / "a.onnx", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert [effect["warning"] for effect in made["effects"]] == [True, False, False]
    (warning,) = made["warnings"]
    assert "convert again with --source-keras 1.0.6" in warning
    assert f"warning: {warning}" in done.stderr
    assert "would compute under the assumptions above" in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.endswith(("1.0.6", "1.0.7", "1e-05"))]
    assert all("%, the top-1 class on " in line for line in lines[-3:])
    settled = run("to-onnx", pre_ror.weights, "-o", tmp_path / "b.onnx", "--source-keras", "1.2").stdout
    assert "would compute\n" in settled
    assert "warning" not in settled


@pytest.mark.parametrize(
    ("name", "options", "answer"),
    [
        (
            PRE_ROR[1],
            (),
            "BatchNorm epsilon 1e-05 instead of 0.001",
        ),
        (OLDEST, ("--source-keras", "1.2"), "BatchNorm of Keras 1.0.6 (std + epsilon, epsilon 1e-06)"),
    ],
)
def test_a_record_that_fits_another_reading_is_the_answer(genuine, tmp_path, name, options, answer) -> None:
    """7d379ca reports a failure, and two mistakes where --source-keras 1.0.6 is one."""
    source = genuine(name)
    record = source.record()
    np.save(tmp_path / "x.npy", record["images"])
    np.save(tmp_path / "y.npy", record["logits"])
    expected = ("--inputs", tmp_path / "x.npy", "--expected", tmp_path / "y.npy")
    done = run("diagnose", source.weights, *expected, *options)
    remedy = "--bn-epsilon 1e-05" if name == PRE_ROR[1] else "--source-keras 1.0.6"
    assert done.returncode == 9
    assert f"recorded outputs fit {answer} " in done.stdout
    assert f"convert again with {remedy}\n" in done.stdout
    assert "FAILED" not in done.stdout
    assert "explained by" not in done.stdout
    again = run("diagnose", source.weights, *expected, *remedy.split())
    assert again.returncode == 0, again.stdout
    explained = json.loads(run("diagnose", source.weights, *expected, *options, "--json").stdout)["record"][
        "explanation"
    ]
    assert explained["options"] == [remedy]


@pytest.mark.parametrize("ending", [".keras", ".onnx", "-torch"])
def test_source_and_artifact_exchanged_are_reported(pre_ror, tmp_path, ending) -> None:
    """7d379ca compares them, and reports success."""
    import ror_port

    with load(pre_ror.weights) as port:
        ror_port.save(port, tmp_path / f"net{ending}", verify=False)
    for command in ("verify", "diagnose"):
        done = run(command, tmp_path / f"net{ending}", pre_ror.weights)
        assert done.returncode == 2
        assert "was made from" in done.stderr
        assert "exchange the two" in done.stderr


@pytest.mark.parametrize("deviations", [False, True])
def test_images_of_the_training_set_tell_variances_from_standard_deviations(genuine, tmp_path, deviations) -> None:
    """7d379ca tells the convolution alone. Keras 1.0.6 would have kept the roots of what Keras 1.2.2 did."""
    source = genuine(DIGITS)
    path = tmp_path / "weights.h5"
    path.write_bytes(source.weights.read_bytes())
    with h5py.File(path, "r+") as file:
        for layer in file.values() if deviations else ():
            for name, stored in layer.items():
                if name.endswith("running_std"):
                    stored[()] = np.sqrt(stored[()])
    np.save(tmp_path / "x.npy", digits(source)["x_train"][:320])
    done = run("diagnose", path, "--images", tmp_path / "x.npy", "--json")
    found = json.loads(done.stdout)["training"]
    assert (found["verdict"], found["statistic"]) == ("theano", "standard deviations" if deviations else "variances")
    assert ("as if they were not; change with --source-keras 1.0.6" in done.stderr) is deviations
    if deviations:
        settled = run("diagnose", path, "--images", tmp_path / "x.npy", "--source-keras", "1.0.6").stdout
        assert "they are standard deviations" in settled
        assert "as if they were not" not in settled


def test_statistics_that_no_image_made_tell_nothing(pre_ror) -> None:
    from ror_port.check.diagnose import training

    with load(pre_ror.weights) as port:
        (images,) = seeded_inputs(port).values()
        assert training(port, images).statistic == "inconclusive"
