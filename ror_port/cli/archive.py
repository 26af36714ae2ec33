"""Archives: what is found in folders or listed, a line a file, and the ledger of all."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ror_port.cli.options import Files, Reading
from ror_port.cli.streams import show
from ror_port.errors import printable

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.many.account import Row, Work


def run(files: Files, work: Work, out: str | None, reading: Reading, *, force: bool) -> None:
    """Does the work on all files, prints a line for each, and ends with the exit code of the first that failed.

    out: the folder of the ledger; None for none. Raises RorPortError where the work cannot begin or go on.
    """
    from ror_port.formats.format import by_name
    from ror_port.many import ledger
    from ror_port.many.workers import Workers

    if out is None and files.skip_done:
        raise click.UsageError("--skip-done goes on with a ledger, which lies in a folder: -o OUT")
    if work.format is not None and not work.planned:
        by_name(work.format).ensure_writable()
    counts: Counter[str] = Counter()
    with (
        _folder(out) as folder,
        ledger.opened(folder, force=force, go_on=files.skip_done) as book,
        Workers(jobs=files.jobs) as workers,
    ):
        workers.prepare("ror_port.many.account")
        from ror_port.cli.progress import Terminal  # while they start
        from ror_port.many.run import Run
        from ror_port.many.sources import found

        with _lines(files.listed) as listed:
            sources, others = found(files.named, listed, Path(out) if out else None)
        todo = Run(sources, work, book, workers, force)
        try:
            for number, row in enumerate(Terminal().track(todo.rows(), len(sources), "files")):
                counts[row["status"]] += 1
                if number >= todo.kept:  # those come first, and were shown when they were done
                    show(_line(row), err=reading.as_json)
                if reading.as_json:
                    click.echo(json.dumps(row))
        except (SystemExit, KeyboardInterrupt):
            if out is not None:
                show("ror-port: interrupted; --skip-done goes on with what is left", err=True)
            raise
        codes = [account["exit_code"] for source in sources if (account := book.get(source.name))]
        show("\n".join(_summary(counts, todo.kept, others)), err=reading.as_json)
        if out is not None:
            report = book.finish()
            show(f"wrote {printable(report.path)} and {printable(report.page)}", err=reading.as_json)
    if code := next(filter(None, codes), 0):
        sys.exit(code)


@contextmanager
def _folder(out: str | None) -> Iterator[Path]:
    """The folder of the ledger; where none is wanted, one that is thrown away."""
    if out is not None:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="ror-port-") as folder:
        yield Path(folder) / "ledger"


@contextmanager
def _lines(listed: str | None) -> Iterator[Iterator[str]]:
    """The paths and addresses of a list, one a line."""
    if listed is None:
        yield iter(())
        return
    try:
        with click.open_file(listed, encoding="utf-8-sig", errors="surrogateescape") as file:
            yield (name for line in file if (name := line.rstrip("\r\n")))
    except OSError as error:
        raise click.BadParameter(f"{printable(listed)}: {error.strerror or error}", param_hint="--files-from") from None


WORDS = {
    "converted": ("green", "converted"),
    "convertible": ("green", "convertible"),
    "duplicate": ("", "the same as another"),
    "refused": ("yellow", "refused"),
    "failed": ("red", "failed"),
}
"""Status of a row → its colour, and what files that have it are called."""


def _line(row: Row) -> str:
    """What became of a file, and what it is or why not."""
    colour, _ = WORDS[row["status"]]
    status = click.style(f"{row['status']:11}", fg=colour or None)
    return f"{status}  {printable(row['file'])}: {'; '.join(_outcome(row))}"


def _outcome(row: Row) -> Iterator[str]:
    if row["duplicate_of"]:
        yield f"the same file as {printable(row['duplicate_of'])}"
        return
    if row["reason"]:
        yield printable(row["reason"])
        return
    backend = next((fact["value"] for fact in row["facts"] if fact["name"] == "backend"), None)
    yield f"{printable(row['network'])}, {printable(row['era'])}{f' on {printable(backend)}' if backend else ''}"
    if found := row["verification"]:
        if found["relative_l2"] is not None:
            yield f"relative L2 error {found['relative_l2']:.1e} in {found['runtime']}"
        elif found["reason"]:
            yield "not verified"
    if row["warnings"]:
        yield f"predictions depend on an assumption: {printable(row['warnings'][0])}"


def _summary(counts: Counter[str], kept: int, others: int) -> Iterator[str]:
    parts = [f"{counts[status]:,} {words}" for status, (_, words) in WORDS.items() if counts[status]]
    total = sum(counts.values())
    yield f"{total:,} file{'' if total == 1 else 's'}: {', '.join(parts) or 'none'}"
    if kept:
        yield f"  {kept:,} done before, and left untouched"
    if others:
        yield f"  {others:,} other " + (
            "file, no network by its content" if others == 1 else "files, no networks by content"
        )
