"""The standard streams: set up once, so that no terminal, locale or closed descriptor breaks a command."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import click

HANGING = 4
"""Indentation of a continued line where there is no room below its last column."""

NARROWEST = 24
"""Characters that the last column of a table must have left for it to be continued below itself."""


class _NeverFailing(io.FileIO):
    """stderr: what it cannot take is lost, so that a message cannot change the exit code."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


def prepare() -> None:
    """Makes the streams of this process usable. A closed one becomes the null device.

    Else a file that the program opens would be given its number, and would get what is printed. What an encoding does
    not have is printed as an escape sequence.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest free number
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False, encoding="utf-8")
    encoding = sys.stderr.encoding if sys.stderr is not None else "utf-8"
    raw = io.BufferedWriter(_NeverFailing(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def discard_stdout() -> None:
    """Has what stdout still holds go to the null device, so that the end of the process does not try again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def plain() -> bool:
    """Whether the user or the terminal wants no colours and no moving progress."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def show(text: str, *, err: bool = False) -> None:
    """Prints lines. On a terminal those that are too long are broken between words; elsewhere they stay whole."""
    stream = sys.stderr if err else sys.stdout
    click.echo(fitted(text, shutil.get_terminal_size().columns) if stream.isatty() else text, err=err)


def fitted(text: str, width: int) -> str:
    """A text with no line longer than `width`, but for single words that are."""
    return "\n".join(piece for line in text.split("\n") for piece in _pieces(line, width))


def _pieces(line: str, width: int) -> Iterator[str]:
    """A line in pieces. What follows the first is indented to the last column of a table, if there is room for it."""
    if len(click.unstyle(line)) <= width:
        yield line
        return
    bare = click.unstyle(line)
    start = len(bare) - len(bare.lstrip())
    columns = [match.end() for match in re.finditer(r"(?<=\S)\s{2,}", bare)]
    hanging = columns[-1] if columns and width - columns[-1] >= NARROWEST else min(start + 2, HANGING)
    if columns and hanging != columns[-1]:  # too narrow for columns
        line = re.sub(r"(?<=\S) {3,}", "  ", line)
    piece, length = "", 0
    for space, word in re.findall(r"(\s*)(\S+)", line):
        size = len(click.unstyle(word))
        if length > hanging and length + len(space) + size > width:
            yield piece
            piece, length = " " * hanging + word, hanging + size
        else:
            piece, length = piece + space + word, length + len(space) + size
    yield piece
