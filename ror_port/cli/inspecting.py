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
    from ror_port.cli.text import Account
    from ror_port.source.port import Port


@click.command()
@FILES
@reading_options
@click.option("--layers", is_flag=True, help="List every tensor with its canonical name.")
def inspect(files: Sequence[Path], layers: bool, reading: Reading) -> None:
    """What is this file, and how do we know?"""

    def one(port: Port) -> Account:
        from ror_port.cli.text import Account

        return Account(port, lists_tensors=layers)

    each(files, one, reading)


@click.command("list")
def list_networks() -> None:
    """The networks that ror-port knows, with what was published of them."""
    from ror_port.network.families.published import table

    show(table())
