"""What a command costs: how often it opens its source, reads the source's tensors and runs the reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

COUNT = """
import os, sys
log, source, *arguments = sys.argv[1:]
log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
command = os.getpid()

def note(*words):
    os.write(log, (" ".join(map(str, words)) + "\\n").encode())

def opened(event, args):
    if event == "open" and isinstance(args[0], str) and os.path.realpath(args[0]) == os.path.realpath(source):
        note("open", "command" if os.getpid() == command else "child")

sys.addaudithook(opened)

from ror_port.formats.checkpoint import StoredTensor
from ror_port.theano import run

create, compute = StoredTensor.__new__, run.run

def counted(read, name):
    def reading():
        note("read", name)
        return read()
    return reading

def running(*args, **options):
    note("run")
    yield from compute(*args, **options)

StoredTensor.__new__ = lambda cls, name, shape, dtype, read: create(cls, name, shape, dtype, counted(read, name))
run.run = running
from ror_port.cli import cli
cli(arguments)
"""

COSTS = {
    # command: (opens by the command, reads of each tensor, runs of the reference)
    "inspect SOURCE": (3, 0, 0),
    "to-onnx SOURCE -o OUT/a.onnx --no-verify": (3, 1, 0),
    "to-onnx SOURCE -o OUT/a.onnx": (3, 2, 5),
    "to-onnx SOURCE -o OUT/a.onnx --certify": (3, 2, 5),
    "to-onnx SOURCE -o OUT/a.onnx --bn-epsilon 1e-3 --source-keras 1.2": (3, 2, 2),
    "to-torch SOURCE -o OUT/net --certify": (3, 2, 5),
    "verify SOURCE NET": (3, 1, 5),
    "verify SOURCE NET --per-layer -o OUT/cert.json": (3, 1, 5),
    "verify SOURCE NET NET --per-layer": (3, 1, 5),
}
"""A command opens its source to find out its format, to read it, and for its sha256. It reads tensors to write them and
to compute with them. The reference runs in float64, in float32, and once for each alternative to what is assumed."""


@pytest.fixture(scope="module")
def net(genuine, tmp_path_factory) -> Path:
    import ror_port
    from genuine import DIGITS

    path = tmp_path_factory.mktemp("written") / "net.onnx"
    with ror_port.load(genuine(DIGITS).weights) as port:
        ror_port.save(port, path, verify=False)
    return path


@pytest.mark.parametrize("command", COSTS)
def test_each_thing_is_done_once(genuine, net, tmp_path, command) -> None:
    from genuine import DIGITS

    source = genuine(DIGITS).weights
    words = {"SOURCE": str(source), "NET": str(net)}
    arguments = [words.get(word, word.replace("OUT", str(tmp_path))) for word in command.split()]
    script = [sys.executable, "-c", COUNT, str(tmp_path / "log"), str(source), *arguments]
    done = subprocess.run(script, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    lines = Counter((tmp_path / "log").read_text().splitlines())
    reads = {name: count for name, count in lines.items() if name.startswith("read convolution2d_")}
    expected_opens, expected_reads, expected_runs = COSTS[command]
    assert lines["open command"] == expected_opens
    assert lines["open child"] <= 1
    assert set(reads.values()) == ({expected_reads} if expected_reads else set()), json.dumps(reads)
    assert lines["run"] == expected_runs
