"""Commands that tell what a file is, and what is known: inspect, list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ror_port.cli.options import FILES, Reading, reading_options
from ror_port.cli.running import each
from ror_port.cli.streams import show

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.cli.running import Result


@click.command()
@FILES
@reading_options
@click.option("--layers", is_flag=True, help="List all layers of a long network, and every tensor.")
def inspect(files: Sequence[Path], layers: bool, reading: Reading) -> None:
    """What is this file, and how do we know? What is in it, and can it be converted?

    Files of Keras weights are described whether they can be converted or not: the reasons are a part of the
    description, and the exit code is 0. --json has them as "convertible" and "refusals". To have it as an exit code,
    use a command that converts, with --dry-run.
    """

    def one(path: Path) -> Result:
        from ror_port.cli.text import description_text
        from ror_port.source.description import describe

        found = describe(path, reading.given)
        return description_text(found, tensors=layers), found.as_json(), 0

    each(files, one, reading)


@click.command("list")
def list_networks() -> None:
    """The networks that ror-port knows, with what was published of them."""
    from ror_port.network.families.published import table

    show(table())
