"""A signal that asks the process to end is obeyed, at whatever moment it arrives."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

from ror_port.formats.hdf5 import writer as hdf5_writer
from ror_port.mapping.engine import Tensor
from ror_port.safety import file_object


class Ended(BaseException):
    pass


def end(*_: object) -> None:
    raise Ended


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_rest_of_a_file_is_not_written(tmp_path, monkeypatch, number) -> None:
    write, written = file_object.os.write, 0

    def interrupted(handle: int, content: bytes) -> int:
        if written == 3:
            signal.raise_signal(number)
        return write(handle, content)

    def convert() -> None:
        nonlocal written
        with (tmp_path / "out.h5").open("w+b") as disk, hdf5_writer.writing(disk) as file:
            for written in range(100):
                ones = np.ones(10_000)
                file.dataset(f"tensor {written}", Tensor("", ones.shape, ones.dtype, iter([((0,), ones)])))

    monkeypatch.setattr(file_object.os, "write", interrupted)
    before = signal.signal(number, end)
    try:
        with pytest.raises(Ended):
            convert()
        assert written == 4
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)


INTERRUPTED = """
import signal, sys
from ror_port.safety.file_object import NonRaisingFile
_, name, call = sys.argv[:3]
del sys.argv[1:3]
method, calls = getattr(NonRaisingFile, name), []
def interrupted(*arguments):
    calls.append(1)
    if len(calls) == int(call):
        signal.raise_signal(signal.SIGTERM)
    return method(*arguments)
setattr(NonRaisingFile, name, interrupted)
from ror_port.cli import main
main()
"""


# HDF5 and PyTorch call these methods. What a signal handler raised within one would be lost, or become another error.
@pytest.mark.parametrize(
    ("method", "call", "command"),
    [
        ("write", 1, "theano-to-tf"),
        ("write", 100, "theano-to-tf"),
        ("seek", 200, "theano-to-tf"),
        ("truncate", 1, "theano-to-tf"),
        ("write", 100, "theano-to-tf --format weights"),
        ("write", 100, "theano-to-tf --format h5"),
        ("write", 100, "to-theano"),
        ("write", 100, "to-torch --format pt"),
    ],
)
def test_no_other_file_is_begun(pre_ror, tmp_path, method, call, command) -> None:
    for name in ("a.h5", "b.h5"):
        (tmp_path / name).write_bytes(pre_ror.weights.read_bytes())
    arguments = [*command.split(), "a.h5", "b.h5", "-o", "out/", "--no-verify"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, method, str(call), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")
    assert not (tmp_path / "out").exists()
