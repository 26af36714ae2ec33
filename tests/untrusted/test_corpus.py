"""Any file is converted exactly or refused with one line, within limits of time and memory.

The command is run on every case of the corpus. See `corpus` for the cases themselves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from corpus import CASES, Bench, Case
from forks import Forks
from genuine import FIXTURES
from ror_port.convert.write import write
from ror_port.formats.format import by_name
from ror_port.source.port import load

GENUINE = FIXTURES / "pre-ror-3-10_keras-1.0.6" / "weights.h5"
MODEL = FIXTURES / "pre-ror-3-10_keras-2.3.1" / "model.h5"

MEMORY = 256 << 20
"""Bytes that a case may take, above those of a command that does nothing."""


@pytest.fixture(scope="module")
def forks() -> Iterator[Callable[[tuple[str, ...]], Forks]]:
    """A server for each set of libraries that it imports before."""
    with ExitStack() as stack:
        yield cache(lambda preloaded: stack.enter_context(Forks(*preloaded)))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Callable[[str, Path], None]:
    """Writes what ror-port converts the genuine file to."""

    @cache
    def original(format: str) -> Path:
        path = tmp_path_factory.mktemp(format) / "net"
        with load(GENUINE) as port:
            write(port, path, by_name(format))
        return path

    def put(format: str, path: Path) -> None:
        (shutil.copytree if original(format).is_dir() else shutil.copyfile)(original(format), path)

    return put


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> bytes:
    """The genuine file as ``.keras``."""
    path = tmp_path_factory.mktemp("archive") / "net.keras"
    with load(GENUINE) as port:
        write(port, path, by_name("keras"))
    return path.read_bytes()


@pytest.fixture
def bench(tmp_path, archive, made) -> Iterator[Bench]:
    folder = tmp_path / "in"
    folder.mkdir()
    made = Bench(folder, GENUINE.read_bytes(), MODEL.read_bytes(), archive, made)
    with made.stack:
        yield made


def tensors(path: Path) -> dict[str, np.ndarray]:
    with load(path) as port:
        return {parameter.name: array for parameter, array in port.parameters()}


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    return tensors(GENUINE)


def test_the_corpus_is_as_large_as_documented() -> None:
    assert len(CASES) >= 800
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case, bench, forks, tmp_path, expected) -> None:
    case.build(bench)
    out = tmp_path / "out"
    out.mkdir()
    before = sorted(os.listdir(bench.folder))
    server = forks(case.preloaded)
    options = [option.replace("FOLDER", str(bench.folder)) for option in case.options]
    arguments = ["theano-to-tf", bench.path, "-o", out / "net.keras", "--no-verify", *options]
    done = server.run(*arguments, **case.child)
    if done.seconds > case.seconds:  # processor time too varies with what else the machine does
        (out / "net.keras").unlink(missing_ok=True)
        done = server.run(*arguments, **case.child)
    assert not done.hung, "did not end"
    assert done.code == case.code, done.stderr
    assert done.seconds <= case.seconds
    assert done.growth <= MEMORY
    assert sorted(os.listdir(bench.folder)) == before
    if case.code:
        assert done.stderr.endswith("\n")
        assert done.stderr[:-1].isprintable(), "one line, and escaped"
        assert done.stderr.startswith("ror-port: ")
        assert len(done.stderr) < 1_000
        assert case.message in done.stderr
        assert os.listdir(out) == []
        return
    assert done.stderr == ""
    assert os.listdir(out) == ["net.keras"]
    if case.values:
        written = tensors(out / "net.keras")
        assert written.keys() == expected.keys()
        dtype = "float64" if case.double else "float32"
        for name, array in expected.items():
            assert written[name].dtype == dtype
            stored = array.astype("float32") if case.rounded else array
            assert written[name].tobytes() == stored.astype(dtype).tobytes(), name
