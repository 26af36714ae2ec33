"""One file after the other, or several at once; the one place where errors become exit codes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port.errors import RorPortError

if TYPE_CHECKING:  # imported where it is needed, so that --help starts in a blink
    from ror_port.cli.text import Account
    from ror_port.source.port import Port


Run = Callable[[], tuple[str, Mapping[str, Any], int]]
"""Does what is to be done with one file, and says it as text and as JSON; with the exit code."""


def each(
    files: Sequence[Path], one: Callable[[Port], Account], *, as_json: bool, debug: bool, jobs: int = 1, **says: Any
) -> None:
    """Runs `one` on every file and prints its account; a file that fails does not stop the others."""
    if jobs > 1 and len(files) > 1:
        codes = list(_in_workers(files, jobs, as_json=as_json))
    else:
        codes = [_attempt(path, one, as_json=as_json, debug=debug, **says) for path in files]
    if len(files) > 1:
        failed = sum(map(bool, codes))
        click.echo(f"{len(files)} files: {len(files) - failed} done, {failed} failed", err=as_json)
    sys.exit(next(filter(None, codes), 0))


def alone(path: Path, run: Run, *, as_json: bool, debug: bool) -> None:
    """Prints what `run` says of the one file of a command, as text and as JSON, or its failure; ends with its code."""
    if code := _told(path, run, as_json=as_json, debug=debug):
        sys.exit(code)


def _attempt(path: Path, one: Callable[[Port], Account], *, as_json: bool, debug: bool, **says: Any) -> int:
    """Runs `one` on a file, prints its account or what went wrong, and gives the exit code."""
    from ror_port.source.port import load

    def run() -> tuple[str, Mapping[str, Any], int]:
        with load(path, **says) as port:
            account = one(port)
            return account.as_text(), account.as_json(), 0

    return _told(path, run, as_json=as_json, debug=debug)


def _fail(path: Path, kind: str, message: str, code: int, *, as_json: bool) -> None:
    from ror_port.errors import printable

    click.echo(f"ror-port: {printable(message)}", err=True)
    if as_json:
        click.echo(json.dumps({"file": str(path), "error": kind, "message": message, "exit_code": code}))


def _in_workers(files: Sequence[Path], jobs: int, *, as_json: bool) -> Iterator[int]:
    """Runs the command that is being run once for each file, in other processes; prints what they say."""
    from ror_port.cli.jobs import run

    context = click.get_current_context()
    options = context.params | {"jobs": 1}
    if options.get("out"):
        options["out"] += os.sep  # several files: a folder
    command = str(context.info_name)
    outcomes = run(_call, [{"command": command, **options, "files": (file,)} for file in files], jobs)
    for file, outcome in zip(files, outcomes, strict=True):
        click.echo(outcome.out, nl=False)
        click.echo(outcome.err, nl=False, err=True)
        if outcome.code is None:
            lost = f"{file}: not done, because a worker process was killed (for want of memory, perhaps)"
            _fail(file, "Killed", lost, 1, as_json=as_json)
        yield 1 if outcome.code is None else outcome.code


def _call(command: str, **options: Any) -> None:
    from ror_port.cli import cli

    call = cli.commands[command].callback
    assert call is not None
    call(**options)


def _told(path: Path, run: Run, *, as_json: bool, debug: bool) -> int:
    """Prints what `run` says of a file, as text and as JSON, or its failure in one line; returns the exit code."""
    try:
        text, data, code = run()
    except Exception as error:
        if debug:
            traceback.print_exc()
        known = isinstance(error, RorPortError)
        code = error.exit_code if isinstance(error, RorPortError) else 1
        message = str(error) if known else f"{path}: defect: {type(error).__name__}: {_line(error)}"
        _fail(path, type(error).__name__, message, code, as_json=as_json)
        return code
    click.echo(text, err=as_json)
    if as_json:
        click.echo(json.dumps(data))
    return code


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] + "; --debug shows where"
