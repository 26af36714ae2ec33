"""The pages that people read, README and docs/: what they show is run, what they tabulate is generated.

    python docs/pages.py --update [PAGE ...]    writes what the program prints today, and today's tables, into the pages

A ``console`` block is a session: bash runs each line that begins with "$ ", and prints what stands below it.
A ``python`` block is run; an ``output`` block behind it is what it prints. All Python of a page runs in one process.
A ``sh`` block is for the reader alone, and may hold nothing but what NOT_RUN lists.
A page runs in an empty folder, which stands for a fresh clone: it has `fixtures/` and nothing else.

What lies between ``<!-- table: NAME -->`` and ``<!-- end of table -->`` comes from `tables.TABLES`.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import tables

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(str(path.relative_to(ROOT)) for path in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))))

RUN = ("console", "python")
SHOWN = ("output", "text")
NOT_RUN = ("hf ", "./scripts/", "./benchmarks/", "reference/", "git clone ", "pip install ", "uvx ")
"""What a ``sh`` block may begin its lines with: it installs, takes minutes, or needs another machine."""


class Mask(NamedTuple):
    """Figures that may differ from machine to machine, and why."""

    pattern: str
    replacement: str
    reason: str


MASKS = (
    Mask(r"\b[0-9a-f]{64}\b", "SHA256", "an output states which version of which software wrote it"),
    Mask(r"\b\d[\d,]* bytes", "SIZE bytes", "as above"),
    Mask(r"\b\d\.\d+e-\d\d\b", "ERROR", "rounding errors depend on the processor and on how a library sums"),
    Mask(r"\b(Keras|TensorFlow|PyTorch|ONNX Runtime|NumPy) \d+(\.\d+)+(\+\w+)?", r"\1 VERSION", "what is installed"),
    Mask(r"\b20\d\d-\d\d-\d\d(T[\d:.]+\S*)?", "DATE", "the day on which it runs"),
)


def masked(line: str) -> str:
    for mask in MASKS:
        line = re.sub(mask.pattern, mask.replacement, line)
    return line.rstrip()


@dataclass(frozen=True)
class Step:
    """A command or a snippet of a page. lines[start:end] of the page is what it is shown to print.

    fenced: whether these lines lie in a block already; if not, one is made for them.
    """

    language: str
    source: str
    line: int
    start: int
    end: int
    fenced: bool = True


class Block(NamedTuple):
    """A fenced block: its language, and the lines between its fences as lines[start:end] of the page."""

    language: str
    start: int
    end: int


def blocks(lines: Sequence[str]) -> Iterator[Block]:
    opened: Block | None = None
    for number, line in enumerate(lines):
        if opened is None and (fence := re.fullmatch(r"```(\S*)( .*)?", line)):
            opened = Block(fence[1], number + 1, number + 1)
        elif opened is not None and line == "```":
            yield opened._replace(end=number)
            opened = None
    if opened is not None:
        raise ValueError(f"line {opened.start}: a block without an end")


def steps(lines: Sequence[str]) -> Iterator[Step]:
    found = list(blocks(lines))
    for index, block in enumerate(found):
        if block.language == "console":
            yield from _commands(lines, block)
        elif block.language == "python":
            after = found[index + 1] if index + 1 < len(found) else None
            printed = (
                after is not None and after.language == "output" and not any(lines[block.end + 1 : after.start - 1])
            )
            start, end = (after.start, after.end) if after and printed else (block.end + 1, block.end + 1)
            yield Step("python", "\n".join(lines[block.start : block.end]), block.start, start, end, printed)


def _commands(lines: Sequence[str], block: Block) -> Iterator[Step]:
    starts = [number for number in range(block.start, block.end) if lines[number].startswith("$ ")]
    if starts[:1] != [block.start]:
        raise ValueError(f"line {block.start}: a console block begins with '$ '")
    for number, following in zip(starts, [*starts[1:], block.end], strict=True):
        last = number
        while lines[last].endswith("\\"):
            last += 1
        source = "\n".join([lines[number].removeprefix("$ "), *lines[number + 1 : last + 1]])
        yield Step("console", source, number + 1, last + 1, following)


COMMANDS = {
    "ror-port": """-c 'import sys; sys.argv[0] = "ror-port"; from ror_port.cli import main; main()' """,
    "python": "",
}
"""What a page can call, whether or not it is installed: name → arguments of Python."""

INTERPRETER = """
import contextlib, io, json, os, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print past Python goes where nobody reads it
names = {"__name__": "__main__"}
for request in sys.stdin:
    error = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            exec(compile(json.loads(request), "the page", "exec"), names)
        except BaseException:
            error = traceback.format_exc()
    print(json.dumps([printed.getvalue(), error]), file=answers, flush=True)
"""


@dataclass
class Session:
    """Where one page runs. folder: empty but for `fixtures`."""

    folder: Path
    _python: subprocess.Popen[str] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.home.mkdir()
        (self.folder / "clone").mkdir()
        (self.folder / "clone" / "fixtures").symlink_to(ROOT / "fixtures")
        for name, arguments in COMMANDS.items():
            command = self.home / name
            command.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments}"$@"\n')
            command.chmod(0o755)

    @property
    def home(self) -> Path:
        """The home directory of what runs, with nobody's settings in it; also the commands `ror-port` and `python`."""
        return self.folder / "home"

    @property
    def surroundings(self) -> dict[str, str]:
        search = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        own = {"HOME": str(self.home), "PATH": f"{self.home}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": search}
        return os.environ | own | {"COLUMNS": "110", "LC_ALL": "C.UTF-8", "TF_CPP_MIN_LOG_LEVEL": "3"}

    def run(self, step: Step) -> list[str]:
        """What a step prints: of a command both streams, of a snippet stdout. Raises ValueError where it fails."""
        printed = self._bash(step.source) if step.language == "console" else self._snippet(step)
        return [line.rstrip() for line in printed.rstrip("\n").split("\n")] if printed.strip() else []

    def _bash(self, source: str) -> str:
        command = ["bash", "-c", source]
        where = self.folder / "clone"
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, cwd=where, env=self.surroundings, text=True, timeout=300, **streams).stdout

    def _snippet(self, step: Step) -> str:
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-c", INTERPRETER],
                cwd=self.folder / "clone",
                env=self.surroundings,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        print(json.dumps(step.source), file=self._python.stdin, flush=True)
        printed, error = json.loads(self._python.stdout.readline())
        if error:
            raise ValueError(f"line {step.line}: the snippet fails\n{error}")
        return str(printed)

    def close(self) -> None:
        if self._python is not None and self._python.stdin and self._python.stdout:
            self._python.stdin.close()
            self._python.stdout.close()
            self._python.wait(timeout=60)


def run(lines: Sequence[str]) -> list[tuple[Step, list[str]]]:
    """Every step of a page, with what it prints today."""
    found = list(steps(lines))
    if not found:
        return []
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder))
        try:
            return [(step, session.run(step)) for step in found]
        finally:
            session.close()


def differences(page: str) -> str:
    """What a page shows and what it prints today, where the two differ; "" where they do not."""
    lines = (ROOT / page).read_text().splitlines()
    found: list[str] = []
    for step, printed in run(lines):
        shown, actual = (list(map(masked, text)) for text in (lines[step.start : step.end], printed))
        if shown != actual:
            found += difflib.unified_diff(shown, actual, f"{page}:{step.line}", step.source, lineterm="")
    return "\n".join(found)


def updated(lines: Sequence[str]) -> list[str]:
    """A page with what its steps print today. A line that differs in masked figures alone stays as it is."""
    page = list(lines)
    for step, printed in reversed(run(lines)):
        shown = lines[step.start : step.end]
        new = _merged(shown, printed)
        if new and not step.fenced:
            new = ["", "```output", *new, "```"]
        page[step.start : step.end] = new
    return page


def _merged(shown: Sequence[str], printed: Sequence[str]) -> list[str]:
    merged: list[str] = []
    matcher = difflib.SequenceMatcher(None, list(map(masked, shown)), list(map(masked, printed)), autojunk=False)
    for kind, start, end, from_, to in matcher.get_opcodes():
        merged += shown[start:end] if kind == "equal" else printed[from_:to]
    return merged


TABLE = re.compile(r"(<!-- table: ([\w-]+) -->\n\n).*?(\n<!-- end of table -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """A page with today's tables."""
    return TABLE.sub(lambda found: f"{found[1]}{tables.TABLES[found[2]]()}\n{found[3]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes what the program prints, and tables, into README and docs/.")
    parser.add_argument("--update", action="store_true", required=True)
    parser.add_argument("pages", nargs="*", default=PAGES, metavar="PAGE")
    for page in parser.parse_args().pages:
        path = ROOT / page
        text = path.read_text()
        new = with_tables("\n".join(updated(text.splitlines())) + "\n")
        print(f"{page}: {'written' if new != text else 'as it was'}", flush=True)
        path.write_text(new)


if __name__ == "__main__":
    main()
