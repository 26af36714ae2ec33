"""Commands that tell what a file is, and what is known: inspect, list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ror_port.cli.options import PATH, Files, Reading, file_arguments, reading_options
from ror_port.cli.running import each, errors_reported, single
from ror_port.cli.streams import show
from ror_port.errors import printable

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.cli.running import Result


@click.command()
@file_arguments
@click.option("--force", is_flag=True, help="Replace an existing ledger.")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    metavar="OUT",
    help="Folder for a ledger of all files: report.jsonl and report.html.",
)
@reading_options
@click.option("--layers", is_flag=True, help="List all layers of a long network, and every tensor.")
def inspect(files: Files, out: str | None, force: bool, layers: bool, reading: Reading) -> None:
    """What is this file, and how do we know? What is in it, and can it be converted?

    Files of Keras weights are described whether they can be converted or not: the reasons are a part of the
    description, and the exit code is 0. --json has them as "convertible" and "refusals". To have it as an exit code,
    use a command that converts, with --dry-run. Of folders there is a line a file; with -o a ledger, too.
    """
    if files.archive or out is not None:
        from ror_port.cli.archive import run
        from ror_port.many.account import Work

        with errors_reported(out or "", reading):
            run(files, Work(given=reading.given), out, reading, force=force)
        return

    def one(_: str, path: Path) -> Result:
        from ror_port.cli.text import description_text
        from ror_port.source.description import describe

        found = describe(path, reading.given)
        return description_text(found, tensors=layers), found.as_json(), 0

    each(files.named, one, reading, files.jobs)


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), metavar="JSON", help="Write it there.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@reading_options
def architecture(source: str, out: Path | None, force: bool, reading: Reading) -> None:
    """Write the architecture of SOURCE as JSON of Keras 1 or 2, to be kept beside the weights.

    SOURCE: SCRIPT.py or SCRIPT.py:NAME, your own script, which is run as with --model; or a file that states its
    network, or whose network is recognised. Without -o the JSON is printed.
    """

    def run() -> Result:
        import json

        from ror_port.convert.stage import atomic_output, validate_target
        from ror_port.source.statement import architecture

        found = architecture(source, reading.given)
        text = json.dumps(found.config, indent=1) + "\n"
        account = {"source": source, "from": found.source, "architecture": found.config}
        if out is None:
            click.echo(text, nl=False, err=reading.as_json)
            return "", account, 0
        validate_target(out, Path(source.partition(":")[0]), folder=False, force=force)
        with atomic_output(out) as stage:
            stage.write_text(text, encoding="utf-8")
        lines = [f"wrote {out}: {found.source}"]
        lines += [f"  it states {fact.name} {fact.value}, which is assumed: {fact.evidence}" for fact in found.assumed]
        return "\n".join(lines), account, 0

    single(Path(source), run, reading)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=PATH, metavar="FOLDER...")
@click.option(
    "-o", "--output", "out", type=PATH, required=True, metavar="OUT", help="Folder for report.jsonl and .html."
)
@click.option("--force", is_flag=True, help="Replace an existing ledger.")
def report(folders: tuple[Path, ...], out: Path, force: bool) -> None:
    """Join the ledgers in FOLDERs into one, such as those of the tasks of a cluster."""
    from ror_port.many.ledger import joined

    with errors_reported(str(out)):
        made = joined(folders, out, force=force)
        counts = made.counts
        told = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
        show(f"{counts.total():,} files: {told}\nwrote {printable(made.path)} and {printable(made.page)}")


@click.command("list")
def list_networks() -> None:
    """The networks that ror-port knows, with what was published of them."""
    from ror_port.network.families import published
    from ror_port.source.famous import table

    show(f"{published.table()}\n\n{table.table()}")
