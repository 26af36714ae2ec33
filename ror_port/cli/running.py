"""One file after the other, or several at once; the one place where errors become exit codes."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port.cli.options import Reading
from ror_port.cli.streams import show
from ror_port.errors import RorPortError, printable, system_limit

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.cli.text import Account
    from ror_port.source.port import Port


Result = tuple[str, Mapping[str, Any], int]
"""Of what is done with one file: as text and as JSON, and the exit code."""

Run = Callable[[], Result]


def each(files: Sequence[Path], one: Callable[[Path], Result], reading: Reading, jobs: int = 1) -> None:
    """Runs `one` on every file and prints its result; a file that fails does not stop the others."""
    if jobs > 1 and len(files) > 1:
        codes = list(_in_workers(files, jobs, as_json=reading.as_json))
    else:
        codes = [_report(path, partial(one, path), reading) for path in files]
    if len(files) > 1:
        failed = sum(map(bool, codes))
        click.echo(f"{len(files)} files: {len(files) - failed} done, {failed} failed", err=reading.as_json)
    sys.exit(next(filter(None, codes), 0))


def single(path: Path, run: Run, reading: Reading) -> None:
    """Prints the result of the one file of a command, or its failure; ends with its exit code."""
    if code := _report(path, run, reading):
        sys.exit(code)


def with_port(one: Callable[[Port], Account], reading: Reading) -> Callable[[Path], Result]:
    """What `each` runs on a file, for what is done with the port of one."""

    def run(path: Path) -> Result:
        from ror_port.api import load

        with load(path, **vars(reading.given)) as port:
            account = one(port)
            return account.as_text(), account.as_json(), 0

    return run


def _report(path: Path, run: Run, reading: Reading) -> int:
    """Prints the result of a file, as text and as JSON, or its failure in one line; returns the exit code."""
    try:
        text, data, code = run()
    except Exception as error:
        if reading.debug:
            traceback.print_exc()
        if isinstance(error, RorPortError):
            message, code = error.for_command(), error.exit_code
        elif limit := system_limit(error):
            message, code = f"{path}: {limit}", limit.exit_code
        else:
            message, code = f"{path}: defect: {type(error).__name__}: {_line(error)}", 1
        _fail(path, type(error).__name__, message, code, as_json=reading.as_json)
        return code
    if text:
        show(text, err=reading.as_json)
    if reading.as_json:
        click.echo(json.dumps(data))
    return code


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] + "; --debug shows where"


def _fail(path: Path, kind: str, message: str, code: int, *, as_json: bool) -> None:
    show(f"ror-port: {printable(message)}", err=True)
    if as_json:
        click.echo(json.dumps({"file": str(path), "error": kind, "message": message, "exit_code": code}))


def _in_workers(files: Sequence[Path], jobs: int, *, as_json: bool) -> Iterator[int]:
    """Runs the command that is being run once for each file, in other processes, and prints their output."""
    from ror_port.cli.jobs import run

    context = click.get_current_context()
    command = context.command.callback
    assert command is not None
    options = context.params | {"jobs": 1}
    if options.get("out"):
        options["out"] += os.sep  # several files: a folder
    name = {"module": command.__module__, "command": command.__name__}
    outcomes = run(_call, [{**name, **options, "files": (file,)} for file in files], jobs)
    for file, outcome in zip(files, outcomes, strict=True):
        click.echo(outcome.out, nl=False)
        click.echo(outcome.err, nl=False, err=True)
        if outcome.code is None:
            lost = f"{file}: not done, because a worker process was killed (for want of memory, perhaps)"
            _fail(file, "Killed", lost, 1, as_json=as_json)
        yield 1 if outcome.code is None else outcome.code


def _call(module: str, command: str, **options: Any) -> None:
    """Runs a command, named by the module that defines it, with its options."""
    getattr(importlib.import_module(module), command).callback(**options)
