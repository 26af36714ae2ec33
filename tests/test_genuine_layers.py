"""The records of single layers are whole, and the files made of them are those that genuine Keras saved."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import genuine_layers
from genuine import FIXTURES, relative_l2
from genuine_layers import LAYERS, Case, LayerRecord, cases, record
from ror_port import tolerances

KEPT = sorted(LAYERS.glob("*/*.h5"))
"""Files that are kept as Keras wrote them, STACK/FAMILY-CASE.h5: of models, or of weights where it wrote no models."""


def case_of(path: Path) -> Case:
    family, _, name = path.stem.partition("-")
    return Case(path.parent.name, family, name)


def written(of: LayerRecord, folder: Path) -> Path:
    (of.write if of.saves_models else of.write_weights)(folder / "written.h5")
    return folder / "written.h5"


def described(low: h5py.h5a.AttrID | h5py.h5d.DatasetID, content: Any) -> dict[str, Any]:
    """What the HDF5 library knows of an attribute or a dataset, and its content."""
    kind, space = low.get_type(), low.get_space()
    text = isinstance(kind, h5py.h5t.TypeStringID)
    return {
        "type": (kind.get_class(), kind.get_size(), low.dtype),
        "text": (kind.is_variable_str(), kind.get_cset(), kind.get_strpad()) if text else None,
        "shape": (space.get_simple_extent_type(), space.get_simple_extent_dims(True)),
        "storage": low.get_create_plist().get_layout() if isinstance(low, h5py.h5d.DatasetID) else None,
        "content": content if isinstance(content, str) else content.tobytes(),
    }


def assert_same(ours: h5py.Group | h5py.Dataset, genuine: h5py.Group | h5py.Dataset) -> None:
    """Asserts that two parts of files are the same: groups, attributes, datasets; their types, shapes and bytes."""
    assert type(ours) is type(genuine), genuine.name
    assert set(ours.attrs) == set(genuine.attrs), genuine.name
    for name in genuine.attrs:
        mine, other = (described(part.attrs.get_id(name), part.attrs[name]) for part in (ours, genuine))
        assert mine == other, f"{genuine.name} @{name}"
    if isinstance(genuine, h5py.Dataset):
        assert described(ours.id, ours[()]) == described(genuine.id, genuine[()]), genuine.name
    else:
        assert list(ours) == list(genuine), genuine.name
        for name in genuine:
            assert_same(ours[name], genuine[name])


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_written_file_is_the_one_that_keras_saved(path, tmp_path) -> None:
    with h5py.File(written(record(case_of(path)), tmp_path)) as ours, h5py.File(path) as genuine:
        assert_same(ours, genuine)


def test_files_of_both_kinds_of_keras_are_kept() -> None:
    assert {path.parent.name.split(".")[0] for path in KEPT} >= {"keras-1", "keras-2"}


def a_layer(file: h5py.File) -> h5py.Group:
    return next(group for group in file["model_weights"].values() if group.attrs["weight_names"].size)


def a_weight(file: h5py.File) -> tuple[h5py.Group, str]:
    layer = a_layer(file)
    return layer, layer.attrs["weight_names"][0].decode()


def a_text_of_fixed_length(file: h5py.File) -> None:
    file.attrs.create("keras_version", file.attrs["keras_version"].encode(), dtype="S5")


def a_text_in_utf_8(file: h5py.File) -> None:
    file.attrs["keras_version"] = str(file.attrs["keras_version"])


def another_text(file: h5py.File) -> None:
    file.attrs["model_config"] = file.attrs["model_config"].replace(": ", ":").encode()


def longer_names(file: h5py.File) -> None:
    a_layer(file).attrs["weight_names"] = a_layer(file).attrs["weight_names"].astype("S200")


def names_in_another_order(file: h5py.File) -> None:
    a_layer(file).attrs["weight_names"] = a_layer(file).attrs["weight_names"][::-1]


def one_more_attribute(file: h5py.File) -> None:
    a_layer(file).attrs["trainable"] = True


def one_more_group(file: h5py.File) -> None:
    file["model_weights"].create_group("more")


def one_dataset_less(file: h5py.File) -> None:
    layer, name = a_weight(file)
    del layer[name]


def a_dataset_in_double(file: h5py.File) -> None:
    layer, name = a_weight(file)
    array = layer[name][()]
    del layer[name]
    layer[name] = array.astype(np.float64)


def a_dataset_of_another_shape(file: h5py.File) -> None:
    layer, name = a_weight(file)
    array = layer[name][()]
    del layer[name]
    layer[name] = array[None]


def a_dataset_in_chunks(file: h5py.File) -> None:
    layer, name = a_weight(file)
    array = layer[name][()]
    del layer[name]
    layer.create_dataset(name, data=array, chunks=True)


def the_last_bit_of_a_number(file: h5py.File) -> None:
    layer, name = a_weight(file)
    array = layer[name][()]
    array.view(np.uint32).flat[0] ^= 1
    layer[name][()] = array


@pytest.mark.parametrize(
    "change",
    [
        a_text_of_fixed_length,
        a_text_in_utf_8,
        another_text,
        longer_names,
        names_in_another_order,
        one_more_attribute,
        one_more_group,
        one_dataset_less,
        a_dataset_in_double,
        a_dataset_of_another_shape,
        a_dataset_in_chunks,
        the_last_bit_of_a_number,
    ],
)
def test_the_comparison_sees_any_difference(tmp_path, change) -> None:
    path = next(path for path in KEPT if record(case_of(path)).saves_models)
    (tmp_path / "changed.h5").write_bytes(path.read_bytes())
    with h5py.File(tmp_path / "changed.h5", "r+") as changed, h5py.File(path) as genuine:
        assert_same(changed, genuine)
        change(changed)
        with pytest.raises(AssertionError):
            assert_same(changed, genuine)


@pytest.mark.parametrize(
    ("fixture", "pattern"),
    [
        ("pre-ror-3-16_keras-1.2.2", "keras-1.2.2-theano-*/networks/residual-th"),
        ("pre-ror-3-10_keras-2.2.4", "keras-2.2.4-theano-*/networks/residual-th"),
    ],
)
def test_a_file_of_weights_is_as_keras_saved_such_files(fixture, pattern, tmp_path) -> None:
    """Of these networks none is kept; of others of the same Keras one is."""
    (case,) = cases(pattern)
    of = record(case)
    of.write(tmp_path / "model.h5")
    of.write_weights(tmp_path / "weights.h5")
    with (
        h5py.File(tmp_path / "weights.h5") as ours,
        h5py.File(FIXTURES / fixture / "weights.h5") as genuine,
        h5py.File(tmp_path / "model.h5") as model,
    ):
        for name in {*ours.attrs, *genuine.attrs} - {"layer_names"}:
            mine, other = (described(part.attrs.get_id(name), part.attrs[name]) for part in (ours, genuine))
            assert mine == other, name
        for layer in model["model_weights"]:
            assert_same(ours[layer], model["model_weights"][layer])
        assert ours.attrs["layer_names"].tolist() == model["model_weights"].attrs["layer_names"].tolist()


OF_FLOAT32 = {"masking-tenth-th"}
"""What a session of float64 computes otherwise: 0.1 is another number there."""

STACKS = sorted({case.stack for case in cases()})


@pytest.mark.parametrize("stack", STACKS)
def test_every_record_is_whole(stack) -> None:
    for case in cases(f"{stack}/*"):
        of = record(case)
        on_theano = of.session["backend"] == "theano"
        assert stack == "keras-{keras}-{backend}-{backend_version}".format(**of.session), case
        assert of.session["floatx"] == "float32", case
        if stack.startswith("keras-0"):  # whose sessions have no ordering
            assert json.loads(of.config)["name"] in ("Sequential", "Graph"), case
        else:
            assert of.session["image_dim_ordering"] == case.name.rsplit("-", 1)[1], case
            assert {"class_name", "config"} <= set(json.loads(of.config)), case
        assert of.inputs, case
        assert of.outputs, case
        assert len(of.outputs_float64) == (len(of.outputs) if on_theano else 0), case
        assert len(of.outputs_again) in (0, len(of.outputs)), case
        assert len(of.outputs_again_float64) == (len(of.outputs_again) if on_theano else 0), case
        for rounded, exact in (
            *zip(of.outputs, of.outputs_float64, strict=False),
            *zip(of.outputs_again, of.outputs_again_float64, strict=False),
        ):
            assert (rounded.dtype, exact.dtype) == (np.float32, np.float64), case
            assert rounded.shape == exact.shape, case
            assert relative_l2(rounded, exact) <= tolerances.FLOAT32 or case.name in OF_FLOAT32, case
        assert all(array.dtype == np.float32 for layer in of.layers for array in layer.weights.values()), case


def test_the_cases_of_two_stacks_are_many() -> None:
    found = Counter(case.stack for case in cases())
    assert sum(number >= 100 for number in found.values()) >= 2, found
    assert len(cases()) == len(set(cases()))


def test_cases_are_listed_without_reading_an_array(monkeypatch) -> None:
    monkeypatch.setattr(np.lib.format, "read_array", None)
    listed = cases("keras-1.2.2-theano-*/dense/*")
    assert {(case.stack, case.family) for case in listed} == {("keras-1.2.2-theano-0.9.0", "dense")}
    with pytest.raises(TypeError):
        record(listed[0])


def test_a_key_that_nobody_reads_is_refused(monkeypatch) -> None:
    case = cases("*/dense/*")[0]
    path = LAYERS / case.stack / f"{case.family}.npz"
    members = genuine_layers._members(path)
    more = {**members, case.name: [*members[case.name], "gradients/0"]}
    monkeypatch.setattr(genuine_layers, "_members", lambda _: more)
    with pytest.raises(ValueError, match="keys that nobody reads: gradients/0"):
        record(case)
