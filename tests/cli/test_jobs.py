"""`--jobs`: the same results and the same output as one file after the other."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_cli import FAST, run


@pytest.fixture
def files(pre_ror, tmp_path) -> list[Path]:
    """Three files to be converted; the second is not HDF5."""
    names = [tmp_path / name for name in ("c.h5", "b.h5", "a.h5")]
    for name in names:
        name.write_bytes(pre_ror.weights.read_bytes() if name.stem != "b" else b"not HDF5")
    return names


@pytest.mark.parametrize("command", ["theano-to-tf", "to-torch"])
def test_prints_and_writes_what_one_after_the_other_does(command, files, tmp_path) -> None:
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


HALTED = """
import os, signal
call, number, calls, say = os.environ["HALTED_CALL"], int(os.environ["HALTED_NUMBER"]), [], os.write
function = getattr(os, call)
def halting(handle, *content):
    calls.append("/.part-" in os.readlink(f"/proc/self/fd/{handle}"))
    if calls[-1] and sum(calls) == number:
        came, comes = os.pipe()
        os.set_blocking(comes, False)
        signal.set_wakeup_fd(comes)
        say(1, b"halted\\n")
        os.read(came, 1)  # until a signal comes, whose handler then runs
    return function(handle, *content)
setattr(os, call, halting)
"""
"""Has workers halt at their nth call of a function of `os` on an output that is not in place yet."""

HANGS = 300
"""Seconds after which a process is taken to hang; it ends long before, also on a machine with much else to do."""


@contextmanager
def started(*command: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that leads a group of its own; however the test ends, nothing of the group is left."""
    with subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:

        def kill() -> None:
            if process.returncode is None:  # until then its number is nobody else's
                os.killpg(process.pid, signal.SIGKILL)

        watch = threading.Timer(HANGS, kill)
        watch.start()
        try:
            yield process
        finally:
            kill()
            watch.cancel()
            watch.join()


@pytest.mark.parametrize(("call", "nth"), [("write", 50), ("fsync", 1)])  # amid its tensors; whole, not in its place
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(pre_ror, tmp_path, number, call, nth) -> None:
    out = tmp_path / "out"
    (tmp_path / "sitecustomize.py").write_text(HALTED)  # which every process imports at its start
    for name in ("a.h5", "b.h5", "c.h5"):
        (tmp_path / name).symlink_to(pre_ror.weights)
    command = ["ror_port", "theano-to-tf", *tmp_path.glob("*.h5"), "-o", out, "--jobs", 2, *FAST]
    halted = {"PYTHONPATH": str(tmp_path), "HALTED_CALL": call, "HALTED_NUMBER": str(nth)}
    with started(sys.executable, "-m", *command, **halted) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["halted\n"] * 2, process.stderr.read()
        assert [name[:6] for name in os.listdir(out)] == [".part-"] * 2
        if number == signal.SIGINT:  # a terminal's Ctrl-C
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        output = process.communicate()  # until every process has closed its end
    assert (process.returncode, *output) == (128 + number, "", "")
    assert not out.exists() or os.listdir(out) == []
