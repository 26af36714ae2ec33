from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores; more threads would wait for each other
    threads = str(max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))
    for library in ("OMP_NUM", "OPENBLAS_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP"):
        os.environ.setdefault(f"{library}_THREADS", threads)

import h5py
import pytest
from hypothesis import HealthCheck, settings

from genuine import PRE_ROR, Genuine, stored

# No test depends on how much else the machine does.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("suite"), max_examples=50 * settings.default.max_examples)
settings.load_profile("suite")

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


FIRST = (
    *("tests/network/test_conformance.py::test_the_reference", "tests/network/test_conformance.py::test_every_format"),
    *("tests/network/test_graph.py", "tests/network/test_conformance.py::test_what", "tests/test_genuine_layers.py"),
    *("tests/source/test_description.py", "tests/source/test_keras_0.py", "tests/source/test_recognise.py"),
    *("tests/untrusted/test_corpus.py", "tests/untrusted/test_torture.py", "tests/formats/test_hdf5_reader.py"),
    *("tests/source/script",),
    *("tests/source/test_edits.py::test_theano", "tests/convert/test_way_back.py", "tests/convert/test_stage.py"),
)
"""Tests that make many child processes and need no framework."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A process that has loaded TensorFlow takes seven times as long to make a child."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


@pytest.fixture(scope="session")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Name of a fixture → Genuine."""
    folder = tmp_path_factory.mktemp("rebuilt")
    return lambda name: stored(name, folder)


@pytest.fixture
def pre_ror(genuine: Any) -> Genuine:
    return genuine(PRE_ROR[0])


@pytest.fixture
def copy(pre_ror: Genuine, tmp_path: Path) -> Iterator[tuple[Path, h5py.File]]:
    """A genuine file to be altered: its path, and the file open for writing. Close it before reading."""
    path = tmp_path / "weights.h5"
    path.write_bytes(pre_ror.weights.read_bytes())
    with h5py.File(path, "r+") as file:
        yield path, file
