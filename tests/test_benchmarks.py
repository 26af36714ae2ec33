"""The scripts that ror-port is measured beside do the same work: their numbers are ours. No time is asserted."""

import subprocess
import sys

import h5py
import numpy as np

from genuine import ROOT
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
