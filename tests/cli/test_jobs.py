"""`--jobs`: the same results and the same words as one file after the other."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ror_port.cli.jobs import Outcome
from ror_port.cli.jobs import run as run_jobs
from test_cli import FAST, run


@pytest.fixture
def files(pre_ror, tmp_path) -> list[Path]:
    """Three files to be converted; the second is none."""
    names = [tmp_path / name for name in ("c.h5", "b.h5", "a.h5")]
    for name in names:
        name.write_bytes(pre_ror.weights.read_bytes() if name.stem != "b" else b"not HDF5")
    return names


@pytest.mark.parametrize("command", ["theano-to-tf", "to-torch"])
def test_says_and_writes_what_one_after_the_other_does(command, files, tmp_path) -> None:
    alone = run(command, *files, "-o", "alone", *FAST, cwd=tmp_path)
    together = run(command, *files, "-o", "together", "--jobs", 2, *FAST, cwd=tmp_path)
    assert together.returncode == alone.returncode == 3
    assert together.stdout == alone.stdout.replace("alone/", "together/")
    assert together.stderr == alone.stderr
    assert together.stdout.endswith("\n3 files: 2 done, 1 failed\n")
    assert sorted(os.listdir(tmp_path / "together")) == sorted(os.listdir(tmp_path / "alone"))


def test_json_is_one_object_a_line_in_the_order_of_the_files(files) -> None:
    done = run("theano-to-tf", *files, "--jobs", 3, "--json", *FAST)
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["file"] for item in objects] == list(map(str, files))
    assert objects[1]["exit_code"] == done.returncode == 3


SLOW = """
import time, ror_port.layout as layout
quick, calls = layout.Layout.__call__, []
def slow(self, array):
    calls.append(1)
    time.sleep(0.01 if len(calls) < 50 else 60)  # nothing is whole before it is interrupted
    return quick(self, array)
layout.Layout.__call__ = slow
if __name__ == "__main__":  # workers import this file too
    from ror_port.cli import main
    main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(genuine, tmp_path, number) -> None:
    source = genuine("ror-3-wrn-40-2_keras-1.2.2").weights
    out, slow = tmp_path / "out", tmp_path / "slow.py"
    slow.write_text(SLOW)
    for name in ("a.h5", "b.h5", "c.h5"):
        (tmp_path / name).symlink_to(source)
    command = [sys.executable, slow, "theano-to-tf", *tmp_path.glob("*.h5"), "-o", out, "--jobs", "2", *FAST]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 30
    while not (out.exists() and len(os.listdir(out)) == 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [name[:6] for name in os.listdir(out)] == [".part-"] * 2  # both workers are writing
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)  # a terminal's Ctrl-C
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in said
    assert not out.exists() or os.listdir(out) == []


class Deadly:
    """Ends the process that unpickles it, as the kernel does where memory runs out."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_worker_that_is_killed_is_told() -> None:
    assert list(run_jobs(print, [{"end": Deadly()}], 2)) == [Outcome()]
