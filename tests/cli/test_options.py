"""What the commands take, against the tables that it follows from."""

import dataclasses
from typing import get_args

import click
import pytest

from ror_port.cli import cli
from ror_port.cli.options import FORMATS
from ror_port.errors import ARGUMENTS
from ror_port.formats.format import Command, of_command
from ror_port.source.provenance import Given

OPTIONS = {
    option for command in cli.commands.values() for p in command.params for option in (*p.opts, *p.secondary_opts)
}


def test_the_formats_of_each_command_are_those_that_are_written() -> None:
    assert {command for command in get_args(Command)} == set(FORMATS)
    for command, names in FORMATS.items():
        assert [format.name for format in of_command(command)] == list(names)
        (choices,) = [p.type for p in cli.commands[command].params if p.name == "format"] or [click.Choice(names)]
        assert list(choices.choices) == list(names)


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_every_argument_that_an_error_names_has_its_option(argument) -> None:
    _, option = ARGUMENTS[argument]
    assert option.rpartition(" ")[2] in OPTIONS


@pytest.mark.parametrize("command", [name for name in cli.commands if name not in ("list", "report", "doctor")])
def test_every_command_that_reads_takes_all_that_can_be_given(command) -> None:
    names = {parameter.name for parameter in cli.commands[command].params}
    assert {field.name for field in dataclasses.fields(Given)} <= names
