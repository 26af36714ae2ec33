"""One file after the other, or several at once; the one place where errors become exit codes."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port.cli.options import Reading
from ror_port.cli.streams import show
from ror_port.errors import RorPortError, printable, told

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.cli.text import Account
    from ror_port.many.workers import Lost
    from ror_port.source.port import Port


Result = tuple[str, Mapping[str, Any], int]
"""Of what is done with one file: as text and as JSON, and the exit code."""

Run = Callable[[], Result]


def each(files: Sequence[str], one: Callable[[str, Path], Result], reading: Reading, jobs: int = 1) -> None:
    """Runs `one` on every file and prints its result; a file that fails does not stop the others.

    one: gets what the user named, a path or an address, and the path of the file.
    """
    if jobs > 1 and len(files) > 1:
        codes = list(_in_workers(files, jobs, as_json=reading.as_json))
    else:
        codes = [_report(file, partial(_with_file, file, one), reading) for file in files]
    if len(files) > 1:
        failed = sum(map(bool, codes))
        click.echo(f"{len(files)} files: {len(files) - failed} done, {failed} failed", err=reading.as_json)
    sys.exit(next(filter(None, codes), 0))


def _with_file(file: str, one: Callable[[str, Path], Result]) -> Result:
    from ror_port.many import remote

    if not remote.is_address(file):
        return one(file, Path(file))
    name = remote.shown(file)
    with remote.fetched(file) as path:
        try:
            text, data, code = one(file, path)
        except RorPortError as error:
            error.message = remote.renamed(error.message, str(path), name)
            raise
    return remote.renamed(text, str(path), name), remote.renamed(dict(data), str(path), name), code


def single(path: Path, run: Run, reading: Reading) -> None:
    """Prints the result of the one file of a command, or its failure; ends with its exit code."""
    if code := _report(path, run, reading):
        sys.exit(code)


def with_port(one: Callable[[str, Port], Account], reading: Reading) -> Callable[[str, Path], Result]:
    """What `each` runs on a file, for what is done with the port of one. one: gets what the user named, too."""

    def run(file: str, path: Path) -> Result:
        from ror_port.api import load

        with load(path, **vars(reading.given)) as port:
            account = one(file, port)
            return account.as_text(), account.as_json(), 0

    return run


def _report(path: Path | str, run: Run, reading: Reading) -> int:
    """Prints the result of a file, as text and as JSON, or its failure in one line; returns the exit code."""
    try:
        text, data, code = run()
    except Exception as error:
        return _failed(path, error, reading)
    if text:
        show(text, err=reading.as_json)
    if reading.as_json:
        click.echo(json.dumps(data))
    return code


def _failed(path: Path | str, error: Exception, reading: Reading | None) -> int:
    """Prints an error that ended the work on a file, in one line; returns its exit code."""
    if reading and reading.debug:
        traceback.print_exc()
    message, code = told(error, path)
    _fail(path, type(error).__name__, message, code, as_json=reading is not None and reading.as_json)
    return code


@contextmanager
def errors_reported(path: str, reading: Reading | None = None) -> Iterator[None]:
    """Ends the command with one line, and its exit code, where work on many files cannot begin or go on."""
    try:
        yield
    except RorPortError as error:
        sys.exit(_failed(path, error, reading))


def _fail(path: Path | str, kind: str, message: str, code: int, *, as_json: bool) -> None:
    show(f"ror-port: {printable(message)}", err=True)
    if as_json:
        click.echo(json.dumps({"file": str(path), "error": kind, "message": message, "exit_code": code}))


def _in_workers(files: Sequence[str], jobs: int, *, as_json: bool) -> Iterator[int]:
    """Runs the command that is being run once for each file, in other processes, and prints their output in order."""
    from ror_port.many.workers import Workers

    context = click.get_current_context()
    command = context.command.callback
    assert command is not None
    options = context.params | {"jobs": 1}
    if options.get("out"):
        options["out"] += os.sep  # several files: a folder
    calls = ((command.__module__, command.__name__, options | {"named": (file,)}) for file in files)
    outcomes: dict[str, Outcome | Lost] = {}
    remaining = list(files)
    with Workers(jobs=min(jobs, len(files))) as workers:
        for (_, _, of), outcome in workers.finished(_call, calls):
            outcomes[of["named"][0]] = outcome
            while remaining and remaining[0] in outcomes:
                yield _shown(file := remaining.pop(0), outcomes[file], as_json=as_json)


def _shown(file: str, outcome: Outcome | Lost, *, as_json: bool) -> int:
    """Prints what the command printed for a file; returns its exit code."""
    if isinstance(outcome, Outcome):
        click.echo(outcome.out, nl=False)
        click.echo(outcome.err, nl=False, err=True)
        return outcome.code
    _fail(file, "Killed", f"{file}: {outcome.reason}", 1, as_json=as_json)
    return 1


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int


def _call(module: str, command: str, options: Mapping[str, Any]) -> Outcome:
    """Runs a command, named by the module that defines it, with its options."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            getattr(importlib.import_module(module), command).callback(**options)
    except SystemExit as stop:
        code = int(stop.code or 0)
    return Outcome(out.getvalue(), err.getvalue(), code)
