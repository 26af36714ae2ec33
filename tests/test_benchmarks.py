"""The scripts that ror-port is measured beside do the same work: their numbers are ours. No time is asserted."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

import pages
import tables
from genuine import ROOT
from genuine_layers import Case, cases, record
from ror_port import tolerances
from ror_port.network.families import RoRWRN
from ror_port.source.port import load
from runtimes import torch_state


def benchmark(script: str, *arguments: object) -> None:
    subprocess.run([sys.executable, ROOT / "benchmarks" / script, *map(str, arguments)], check=True)


def test_floor(pre_ror, tmp_path) -> None:
    benchmark("floor.py", pre_ror.weights, tmp_path / "floor.h5")
    with load(pre_ror.weights) as port, h5py.File(tmp_path / "floor.h5") as file:
        written = {}
        file.visititems(lambda name, item: written.update({name: item} if isinstance(item, h5py.Dataset) else {}))
        stored = {tensor.name: parameter for parameter, tensor in port.stored.items()}
        assert {name.rpartition("/")[2] for name in written} == set(stored)
        canonical = {parameter.name: array for parameter, array in port.parameters()}
        for name, item in written.items():
            np.testing.assert_array_equal(item[()], canonical[stored[name.rpartition("/")[2]]])


def test_by_hand_torch(pre_ror, tmp_path) -> None:
    import torch

    benchmark("by_hand_torch.py", pre_ror.weights, tmp_path / "net.pt")
    found = torch.load(tmp_path / "net.pt", weights_only=True)
    with load(pre_ror.weights) as port:
        ours = torch_state(port)
    assert sorted(t.numpy().tobytes() for t in found.values()) == sorted(a.tobytes() for a in ours.values())


def test_generated_weights_are_read(tmp_path) -> None:
    benchmark("generate.py", 1, 2, tmp_path / "net.h5")
    with load(tmp_path / "net.h5") as port:
        assert port.family == RoRWRN(1, 2)


TODAY = json.loads((ROOT / "benchmarks" / "today.json").read_text())
"""What `benchmarks/today` measured."""


def test_today_has_every_record_in_every_software() -> None:
    """If it has not: ./benchmarks/today."""
    assert set(TODAY["outcomes"]) == set(map(str, cases()))
    assert {tuple(found) for found in TODAY["outcomes"].values()} == {tuple(TODAY["versions"])}


UNSTATED_STRIDES = "keras-1.2.2-theano-0.9.0/conv_lstm2d/strides-th"


def wrong(software: str) -> set[str]:
    found = {case: outcomes[software] for case, outcomes in TODAY["outcomes"].items()}
    errors = {case: outcome for case, outcome in found.items() if not isinstance(outcome, str)}
    return {case for case, error in errors.items() if error is None or error > tolerances.FLOAT32}


def test_ror_port_is_right_or_refuses() -> None:
    """What it is not told it assumes, for networks without weights, and of some wrongly.

    The strides of a ConvLSTM2D of Keras 1 stand in no file, and are an assumed fact for all.
    """
    assert wrong("ror-port-told") == {UNSTATED_STRIDES}
    without = wrong("ror-port") - {UNSTATED_STRIDES}
    assert not any(layer.weights for case in without for layer in record(Case(*case.split("/"))).layers)


@pytest.mark.parametrize("name", ["today", "today-writers", "today-versions", "refused"])
def test_a_page_has_the_table_of_today(name) -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text()
    shown = {table[2]: table[0] for table in pages.TABLE.finditer(page)}
    assert tables.TABLES[name]() in shown[name]


def test_today_measures_one_record(tmp_path) -> None:
    """Theano's kernel, which tf-keras does not flip and ror-port does."""
    case = "keras-2.2.4-theano-1.0.5/convolution2d/valid-3-th"
    benchmark("today.py", case, "--only", "tf-keras", "ror-port", "--json", tmp_path / "today.json")
    found = json.loads((tmp_path / "today.json").read_text())["outcomes"][case]
    assert found["tf-keras"] > 0.1
    assert found["ror-port"] <= tolerances.FLOAT32
