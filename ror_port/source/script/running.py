"""Running the user's own script in a process of its own, which must answer within limits.

It has the rights of its user: the process keeps the program from what a script does by accident, not from malice.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ror_port.errors import NotACheckpoint, UnreadableFile, UsageError, quote
from ror_port.safety import limits

Json = dict[str, Any]


@dataclass(frozen=True)
class Script:
    """A script, and what in it is the model: a variable, or a function without arguments; None for all it builds."""

    path: Path
    name: str | None = None

    @classmethod
    def parse(cls, text: str) -> Script:
        """``train.py`` or ``train.py:build_model``. Raises UsageError where there is no such file."""
        path, colon, name = text.rpartition(":")
        if colon and name.isidentifier() and not os.path.lexists(text[:4096]):
            return cls(_existing(path), name)
        return cls(_existing(text))

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.name else str(self.path)


def _existing(path: str) -> Path:
    try:
        if Path(path).is_file():
            return Path(path)
    except (OSError, ValueError):  # a name too long, or none at all
        pass
    raise UsageError(f"{quote(path[:200])}: there is no such script", "model")


@dataclass(frozen=True)
class BuiltModel:
    """A model that a script built. stated: its JSON; or problem: why there is none.

    variable: what the script calls it, if at top level. finished: whether the script used it after its last layer.
    """

    stated: Json | None
    problem: str
    variable: str | None
    where: str
    finished: bool
    chosen: bool

    @property
    def name(self) -> str:
        return f"{quote(self.variable)} ({self.where})" if self.variable else f"the model of {self.where}"


@dataclass(frozen=True)
class Built:
    """What a run of a script gave. error: what stopped it, with the line. misuse: whether that is what its Keras lacks.

    asked: what the script asked of its session: "ordering", "version".
    timed_out: whether it took too long. missing: packages that it imports and that are not installed.
    """

    models: Sequence[BuiltModel]
    error: str | None
    misuse: bool
    asked: frozenset[str]
    timed_out: bool = False
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Setting:
    """The session of Keras that a script is given. version: its generation alone, (1,), where the release is
    not known.
    """

    version: tuple[int, ...]
    ordering: str = "th"
    ordering_known: bool = False
    backend: str = "theano"

    def of_ordering(self, ordering: str, known: bool) -> Setting:
        return replace(self, ordering=ordering, ordering_known=known)


def run(script: Script, setting: Setting) -> Built:
    """Runs a script. Raises NotACheckpoint where it gives no answer, UnreadableFile where it cannot be run."""
    request = {
        "script": str(script.path.resolve()),
        "name": script.name,
        "version": list(setting.version),
        "ordering": setting.ordering,
        "ordering_known": setting.ordering_known,
        "backend": setting.backend,
        "seconds": limits.MAX_SCRIPT_SECONDS,
    }
    try:
        answer = _answer(request, script)
    except OSError as error:
        raise UnreadableFile(f"{script.path}: cannot be run ({error.strerror})") from None
    try:
        found = json.loads(answer)
        return _built(found, script)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise NotACheckpoint(f"{script.path}: ends its process before it has built anything") from None


def _built(found: Json, script: Script) -> Built:
    models = [
        BuiltModel(
            stated=model.get("stated"),
            problem=str(model.get("error", "")),
            variable=model["variable"],
            where=f"{Path(model['file']).name if model['file'] else script.path.name}:{model['line']}",
            finished=bool(model["finished"]),
            chosen=bool(model["chosen"]),
        )
        for model in found["models"]
    ]
    error = found["error"]
    if error is not None:
        line = f":{found['line']}" if found.get("line") else ""
        error = f"{script.path}{line}: {error}"
    asked, missing = frozenset(map(str, found["asked"])), tuple(map(str, found["missing"]))
    return Built(models, error, bool(found["misuse"]), asked, bool(found["timed_out"]), missing)


def _answer(request: Json, script: Script) -> bytes:
    """What the process writes. Raises NotACheckpoint where that is too much, or takes too long."""
    reader, writer = os.pipe()
    package = str(Path(__file__).parents[3])
    paths = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([package, *([paths] if paths else [])]),
        "MPLBACKEND": "Agg",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-P", "-m", "ror_port.source.script.child", json.dumps(request), str(writer)]
    try:
        process = subprocess.Popen(
            command,
            cwd=script.path.resolve().parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writer,),
            start_new_session=True,
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    try:
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            return _read(pipe, process, script)
    finally:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)  # what the script started ends with it
        process.wait()


def _read(pipe: Any, process: subprocess.Popen[bytes], script: Script) -> bytes:
    os.set_blocking(pipe.fileno(), False)
    content, begun, asked_to_end = b"", time.monotonic(), False
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            if selector.select(0 if ended else 0.05):
                part = pipe.read(1 << 20)
                content += part or b""
                if len(content) > limits.MAX_DESCRIPTION_BYTES:
                    raise NotACheckpoint(
                        f"{script.path}: builds models of more than {limits.MAX_DESCRIPTION_BYTES} bytes"
                    )
                if part == b"":
                    return content
            elif ended:
                return content
            taken = time.monotonic() - begun
            if taken > limits.MAX_SCRIPT_WAIT and not asked_to_end:
                process.terminate()
                asked_to_end = True
            if taken > limits.MAX_SCRIPT_WAIT + limits.MAX_IDLE_SECONDS:
                raise NotACheckpoint(f"{script.path}: takes more than {limits.MAX_SCRIPT_WAIT} s")
