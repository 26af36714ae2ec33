"""Runs in processes of their own that wait, at a file, until a test lets them go on: it kills them amid their work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genuine import ROOT
from ror_port.many import ledger
from ror_port.many.ledger import Report

HANGS = 300
"""Seconds after which something is taken to hang; it ends long before, also on a machine with much else to do."""

HOOK = """
import functools, os, sys, time
from pathlib import Path
if "GATE" in os.environ and "spawn" in " ".join(sys.orig_argv) + " ".join(sys.argv):
    from ror_port.many import account as module
    genuine = module.account
    @functools.wraps(genuine)
    def account(work, location, target, out):
        while location > Path(os.environ["GATE"]).read_text():
            time.sleep(0.01)
        return genuine(work, location, target, out)
    module.account = account
"""
"""What Python imports when it starts; in a worker it has `account` wait."""


class Gate:
    """Lets workers do the files up to one, in the order of their names."""

    def __init__(self, folder: Path, zoo: Path) -> None:
        self.zoo, self._mark, self._hooks = zoo, folder / "gate", folder / "hooks"
        self._hooks.mkdir()
        (self._hooks / "sitecustomize.py").write_text(HOOK)

    def open(self, part: float) -> str:
        """Lets them do a part of the files; returns the last one."""
        last = sorted(map(str, filter(Path.is_file, self.zoo.rglob("*.h5"))))
        name = last[int(part * (len(last) - 1))]
        self._mark.with_suffix(".new").write_text(name)
        self._mark.with_suffix(".new").replace(self._mark)
        return name

    def remove(self) -> None:
        self._mark.write_text("\U0010ffff")

    @contextmanager
    def started(self, *arguments: object, **streams: int) -> Iterator[subprocess.Popen[bytes]]:
        """Python, with arguments, in a session of its own, of which nothing is left at the end."""
        path = os.pathsep.join(map(str, (self._hooks, ROOT)))
        surroundings = os.environ | {"PYTHONPATH": path, "GATE": str(self._mark)}
        command, folder = [sys.executable, *map(str, arguments)], self._hooks.parent
        with subprocess.Popen(command, env=surroundings, start_new_session=True, cwd=folder, **streams) as process:
            try:
                yield process
            finally:
                kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and all that it began."""
    if process.returncode is None:  # until then its number is nobody else's
        os.killpg(process.pid, signal.SIGKILL)


def wait_until_done(out: Path, undisturbed: Path, last: str, process: subprocess.Popen[bytes], *, but: int = 0) -> None:
    """Waits until the rows of all files up to one are there, but for what is the same as another: that comes last.

    but: how many may be missing, where an executor has another order.
    """
    first = {row["sha256"] or row["file"]: row["file"] for row in reversed(list(Report(undisturbed)))}
    expected = {file for file in first.values() if file <= last}
    end, journal = time.monotonic() + HANGS, out / ledger.JOURNAL
    while not journal.exists() or len(expected - rows_of(journal)) > but:
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < end
        time.sleep(0.01)


def rows_of(journal: Path) -> set[str]:
    """The files that have a row in a journal."""
    lines = [line for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return {row["file"] for row in map(json.loads, lines) if "file" in row}


def workers(process: subprocess.Popen[bytes]) -> Sequence[int]:
    """The processes that a process began to work for it."""
    children = " ".join(task.read_text() for task in Path(f"/proc/{process.pid}/task").glob("*/children")).split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
