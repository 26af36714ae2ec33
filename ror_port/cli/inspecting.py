"""Commands that tell what a file is, and what is known: inspect, list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port.cli.options import FILES, reading_options
from ror_port.cli.running import each

if TYPE_CHECKING:
    from ror_port.cli.text import Account
    from ror_port.source.port import Port


@click.command()
@FILES
@reading_options
@click.option("--layers", is_flag=True, help="List every tensor with its canonical name.")
def inspect(files: Sequence[Path], layers: bool, **reading: Any) -> None:
    """What is this file, and how do we know?"""

    def one(port: Port) -> Account:
        from ror_port.cli.text import Account
        from ror_port.errors import quote

        account = Account(port)
        if layers:
            account.layers = [
                {"file": quote(port.stored[p.name].name).strip("'"), "name": p.name, "shape": port.stored[p.name].shape}
                for p in port.graph.parameters
            ]
        return account

    each(files, one, **reading)


@click.command("list")
def list_networks() -> None:
    """The networks that ror-port knows, with what was published of them."""
    from ror_port.network.families.published import table

    click.echo(table())
