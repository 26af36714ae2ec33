"""Runs the command in a fresh process for each case, without the time that starting one takes.

A server imports ror-port once, and nothing of the tests, and forks a child for each case; so the memory of a child is
that of the command. Used by the tests, by scripts/fuzz and by scripts/torture.

A test that interrupts a child does so at a call that the child makes, never after a time by the clock: see `Calls`.
"""

# ruff: noqa: T201
from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[2]

PRELOADED = (
    "ror_port.cli",
    "ror_port.api",
    "ror_port.convert.write",
    "ror_port.check.certificate",
    "ror_port.cli.progress",
    "ror_port.cli.text",
    "difflib",
)
"""What the command imports when it needs it; difflib is click's, for a child that may not read its file any more."""

PROCESSOR_SECONDS, CLOCK_SECONDS = 20, 600
"""A child is killed after so much processor time. The time by the clock is for one that is blocked; a busy machine
does not reach it."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    code: its exit code, or minus the number of the signal that ended it. hung: whether it was killed for its time.
    seconds: of processor time, with its children. growth: bytes of memory at its peak, above those of a child that
    does nothing. calls: what `Calls` counted: for each line of code, the numbers of its calls; empty where nothing was
    counted, or the child was killed.
    """

    code: int
    seconds: float
    growth: int
    stdout: str
    stderr: str
    hung: bool
    calls: list[list[int]]


class Forks:
    """A server, and the children that it runs. Use it as a context manager. imports: what it imports besides."""

    def __init__(self, *imports: str) -> None:
        self.imports = imports

    def __enter__(self) -> Forks:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        command = [sys.executable, str(Path(__file__).resolve()), *self.imports]
        self.server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.server.stdout.readline()  # it is ready
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()

    def start(
        self,
        *arguments: object,
        call: str = "command",
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
        rlimits: Mapping[str, int] | None = None,
        count: bool = False,
        signals: Mapping[int, int] | None = None,
        pause: int | None = None,
    ) -> None:
        """Starts a child; `result` waits for it.

        call: "command" or "digest". user: the id of the user that the child becomes. rlimits: name of a limit → its
        value. count: whether its calls are counted. signals: number of a call → the signal that the child gets there.
        pause: number of the call where the child waits for `resume`.
        """
        request = {
            "arguments": [str(argument) for argument in arguments],
            "call": call,
            "environment": environment or {},
            "user": user,
            "rlimits": rlimits or {},
            "count": count,
            "signals": signals or {},
            "pause": pause,
        }
        print(json.dumps(request), file=self.server.stdin, flush=True)

    def paused(self) -> bool:
        """Waits until a child that was started with `pause` pauses; False where it ended before."""
        return bool(json.loads(self.server.stdout.readline())["paused"])

    def resume(self) -> None:
        """Lets a paused child go on."""
        print(json.dumps("resume"), file=self.server.stdin, flush=True)

    def result(self) -> Outcome:
        """Waits for the child that was started."""
        return Outcome(**json.loads(self.server.stdout.readline()))

    def run(self, *arguments: object, **options: Any) -> Outcome:
        """Starts a child and waits for it. options: as of `start`, without `pause`."""
        self.start(*arguments, **options)
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


COUNTED = frozenset(
    (
        *(
            "open",
            "read",
            "readinto",
            "seek",
            "lseek",
            "write",
            "writelines",
            "flush",
            "close",
            "truncate",
            "ftruncate",
        ),
        *("fsync", "stat", "scandir", "mkdir", "rmdir", "unlink", "rename", "replace"),
    )
)
"""Functions, written in C, by which a conversion does something to files."""


class Calls:
    """Counts the calls of the functions in COUNTED that this process makes, and interrupts it at some of them.

    A call counts twice: before it, and after it, which is when Python handles a signal that arrived meanwhile.
    A command makes the same calls each time.
    """

    def __init__(self, actions: Mapping[int, Callable[[], None]]) -> None:
        self.actions, self.count, self.process, self.active = actions, 0, os.getpid(), False
        self.numbers: dict[tuple[str, int, str], list[int]] = {}
        sys.addaudithook(self._audit)

    def __enter__(self) -> Calls:
        self.active = True
        sys.setprofile(self._profile)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.active = False
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, function: Any) -> None:
        if (
            event in ("c_call", "c_return")
            and function.__name__ in COUNTED
            and not isinstance(function.__self__, str)  # which can be replaced too
            and os.getpid() == self.process  # and not a child of it
        ):
            number, self.count = self.count, self.count + 1
            self.numbers.setdefault((frame.f_code.co_filename, frame.f_lineno, event), []).append(number)
            if number in self.actions:
                self.actions[number]()

    def _audit(self, event: str, _: object) -> None:
        """Goes on counting after an exception, at which Python removes a profile function."""
        if self.active and event != "sys.setprofile" and sys.getprofile() is None and os.getpid() == self.process:
            sys.setprofile(self._profile)


def _actions(request: dict[str, Any], paused: int, resume: int) -> dict[int, Callable[[], None]]:
    def send(number: int) -> None:
        os.kill(os.getpid(), number) if number == signal.SIGKILL else signal.raise_signal(number)

    def pause() -> None:
        os.write(paused, b".")
        os.read(resume, 1)

    actions: dict[int, Callable[[], None]] = {}
    for call, number in request["signals"].items():
        actions[int(call)] = lambda number=number: send(number)
    if request["pause"] is not None:
        actions[request["pause"]] = pause
    return actions


def _child(request: dict[str, Any], out: int, err: int, counted: int, paused: int, resume: int) -> None:
    os.dup2(out, 1)
    os.dup2(err, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 5))
    for which, value in request["rlimits"].items():
        resource.setrlimit(getattr(resource, which), (value, value))
    os.environ.update(request["environment"])
    if request["user"] is not None:
        os.setuid(request["user"])
    actions = _actions(request, paused, resume)
    calls = Calls(actions) if actions or request["count"] else None
    code: Any = 0
    try:
        with calls or contextlib.nullcontext():
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
        if calls:
            os.write(counted, json.dumps(list(calls.numbers.values())).encode())
    os._exit(code if isinstance(code, int) else 1 if code else 0)


def _idle() -> int:
    """Peak memory of a child that does nothing."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.wait4(pid, 0)[2].ru_maxrss


PR_SET_CHILD_SUBREAPER = 36
"""Of Linux' prctl: the processes that a child leaves behind become children of this one."""


def _wait_for_orphans() -> None:
    """Waits for the processes that a child left behind, such as the one that removes what it was writing."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _run(request: dict[str, Any], requests: TextIO, replies: TextIO) -> dict[str, Any]:
    """Runs a child; its outcome. Where it pauses, replies so, and waits for the request to go on."""
    idle = _idle()
    with contextlib.ExitStack() as stack:
        out, err, counted = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        (paused, pause), (resume, go_on) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(paused)
            os.close(go_on)
            _child(request, out.fileno(), err.fileno(), counted.fileno(), pause, resume)
        os.close(pause)
        os.close(resume)
        if request["pause"] is not None:
            waits = bool(os.read(paused, 1))  # b"" where the child ended, and with it the other end of the pipe
            print(json.dumps({"paused": waits}), file=replies, flush=True)
            if waits:
                requests.readline()
                os.write(go_on, b".")
        os.close(paused)
        os.close(go_on)
        handle = os.pidfd_open(pid)
        hung = not select.select([handle], [], [], CLOCK_SECONDS)[0]
        if hung:
            os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        os.close(handle)
        _wait_for_orphans()
        texts = []
        for file in (out, err, counted):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
    code = os.waitstatus_to_exitcode(status)
    return {
        "code": code,
        "seconds": usage.ru_utime + usage.ru_stime,
        "growth": (usage.ru_maxrss - idle) * 1024,
        "stdout": texts[0],
        "stderr": texts[1],
        "hung": hung or code == -signal.SIGXCPU,
        "calls": json.loads(texts[2] or "[]"),
    }


def serve() -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # it ends a child until the command sets its own handler
    for name in (*PRELOADED, *sys.argv[1:]):
        importlib.import_module(name)
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    print("ready", file=replies, flush=True)
    while line := requests.readline():
        print(json.dumps(_run(json.loads(line), requests, replies)), file=replies, flush=True)


if __name__ == "__main__":
    serve()
