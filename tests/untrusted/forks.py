"""The command once a case, in a process of its own that costs no start: a clean parent forks a child for each.

The parent imports ror-port once and nothing of the tests, so a child's memory is that of the command. Used by the
tests, by scripts/fuzz and by scripts/torture.
"""

# ruff: noqa: T201
from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PRELOADED = (
    "ror_port.cli",
    "ror_port.api",
    "ror_port.convert.choice",
    "ror_port.check.certificate",
    "ror_port.cli.progress",
    "ror_port.cli.text",
    "difflib",
)
"""What the command imports when it is needed; difflib is click's, for a child that may not read its file any more."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended. code: its exit code, or minus the signal that ended it.

    seconds: by the clock; computing: of them, in use of the processor, with its children.
    growth: bytes of memory, at its peak, above those of a child that does nothing.

    hung: whether it was still running at its time limit, and was killed for that.
    """

    code: int
    seconds: float
    computing: float
    growth: int
    stdout: str
    stderr: str
    hung: bool


class Forks:
    """Runs commands; use it as a context manager. imports: what the parent imports besides ror-port."""

    def __init__(self, *imports: str) -> None:
        self.imports = imports

    def __enter__(self) -> Forks:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        command = [sys.executable, str(Path(__file__).resolve()), *self.imports]
        self.parent = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.parent.stdout.readline()  # it is ready
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.parent.stdin.close()
        self.parent.wait()
        self.parent.stdout.close()

    def start(self, *arguments: object, call: str = "command", limit: float = 20, **more: Any) -> None:
        """Begins a run; `result` waits for it. signals: pairs of (seconds, number) to be sent to the child."""
        request = {"arguments": [str(argument) for argument in arguments], "call": call, "limit": limit, **more}
        print(json.dumps(request), file=self.parent.stdin, flush=True)

    def result(self) -> Outcome:
        return Outcome(**json.loads(self.parent.stdout.readline()))

    def run(self, *arguments: object, **more: Any) -> Outcome:
        self.start(*arguments, **more)
        return self.result()


def command(arguments: list[str]) -> None:
    from ror_port.cli import main

    sys.argv = ["ror-port", *arguments]
    main()


def digest(arguments: list[str]) -> None:
    """Prints the sha256 of a file's tensors in canonical form; ends as the command would where they cannot be read."""
    import hashlib

    from ror_port.errors import RorPortError
    from ror_port.source.port import load

    total = hashlib.sha256()
    try:
        with load(arguments[0]) as port:
            for parameter, array in port.parameters():
                total.update(f"{parameter.name} {array.dtype} {array.shape}".encode())
                total.update(array.tobytes())
    except RorPortError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print(total.hexdigest())


def _child(request: dict[str, Any], out: int, err: int) -> None:
    os.dup2(out, 1)
    os.dup2(err, 2)
    for which, value in request.get("rlimits", {}).items():
        resource.setrlimit(getattr(resource, which), (value, value))
    os.environ.update(request.get("environment", {}))
    if "user" in request:
        os.setuid(request["user"])
    code: Any = 0
    try:
        {"command": command, "digest": digest}[request["call"]](request["arguments"])
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1 if code else 0)


def _idle() -> int:
    """Peak memory of a child that does nothing."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.wait4(pid, 0)[2].ru_maxrss


def _wait(pid: int, request: dict[str, Any]) -> tuple[int, resource.struct_rusage, float, bool]:
    """Waits for a child, sends it what was asked for, and ends it at its limit."""
    started = time.monotonic()
    handle = os.pidfd_open(pid)
    pending = sorted(request.get("signals", []))
    hung = False
    while True:
        due = pending[0][0] if pending else request["limit"]
        ready, _, _ = select.select([handle], [], [], max(0.0, due - (time.monotonic() - started)))
        if ready:
            break
        hung = not pending
        os.kill(pid, pending.pop(0)[1] if pending else signal.SIGKILL)
        if hung:
            break
    _, status, usage = os.wait4(pid, 0)
    os.close(handle)
    return os.waitstatus_to_exitcode(status), usage, time.monotonic() - started, hung


def serve() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a child is killed by it until the command sets its own handler
    for name in (*PRELOADED, *sys.argv[1:]):
        importlib.import_module(name)
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    print("ready", file=replies, flush=True)
    for line in requests:
        request = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            idle = _idle()
            pid = os.fork()
            if pid == 0:
                _child(request, out.fileno(), err.fileno())
            code, usage, seconds, hung = _wait(pid, request)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "backslashreplace"))
        growth = (usage.ru_maxrss - idle) * 1024
        computing = usage.ru_utime + usage.ru_stime
        reply = dict(
            code=code, seconds=seconds, computing=computing, growth=growth, stdout=texts[0], stderr=texts[1], hung=hung
        )
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    serve()
