"""The ledger: the account of many files, a line of JSON each, and the same as a page.

While a run goes on its rows are in a journal, which survives whatever ends the run. At the end the journal becomes
``report.jsonl``, in the order of the files' names, and ``report.html``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any

from ror_port.check.schema import mismatch
from ror_port.convert.stage import atomic_output
from ror_port.errors import NotACheckpoint, OutputError, UnreadableFile
from ror_port.many.account import Row

REPORT, PAGE, JOURNAL = "report.jsonl", "report.html", "report.part.jsonl"


class Ledger:
    """Rows by the names of their files, of which the last one counts. Only where they lie is kept in memory.

    folder: of the ledger, and of the outputs that its rows name. begun: file → output, of work that was begun and of
    which there is no row: the output, if it is there, is ours.
    """

    def __init__(self, folder: Path, journal: IO[bytes]) -> None:
        self.folder, self._journal = folder, journal
        self.begun: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._replay()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Row]:
        """The rows, in the order of the files' names."""
        return (self._at(self._places[name]) for name in sorted(self._places))

    def get(self, file: str) -> Row | None:
        """The row of a file, if there is one."""
        place = self._places.get(file)
        return None if place is None else self._at(place)

    def begin(self, file: str, output: str) -> None:
        """Notes that an output which is not there, or may be replaced, is about to be written."""
        self.begun[file] = output
        self._append({"begun": file, "output": output})

    def add(self, row: Row) -> None:
        self.begun.pop(row["file"], None)
        self._places[row["file"]] = self._append(row)

    def finish(self) -> Report:
        """Writes the ledger and its page; the journal has done its work."""
        from ror_port.many.page import page

        with atomic_output(self.folder / REPORT) as stage, stage.open("w", encoding="utf-8") as file:
            file.writelines(_line(row) for row in self)
        with (
            atomic_output(self.folder / PAGE) as stage,
            stage.open("w", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.writelines(page(self))
        (self.folder / JOURNAL).unlink()
        return Report(self.folder)

    def _append(self, value: Row) -> int:
        """Where a line of the journal begins, which is in the file when this returns."""
        place = self._journal.seek(0, os.SEEK_END)
        self._journal.write(_line(value).encode())
        self._journal.flush()
        return place

    def _at(self, place: int) -> Row:
        self._journal.seek(place)
        row: Row = json.loads(self._journal.readline())
        return row

    def _replay(self) -> None:
        """Reads what an interrupted run left. Its last line may be broken off, and is removed then."""
        end = 0
        for line in self._journal:
            if not line.endswith(b"\n"):
                break
            row = _parsed(line, self.folder / JOURNAL)
            if "begun" in row:
                self.begun[row["begun"]] = row["output"]
            else:
                self.begun.pop(row["file"], None)
                self._places[row["file"]] = end
            end += len(line)
        self._journal.truncate(end)


@dataclass(frozen=True)
class Report:
    """A finished ledger, whose rows are read from the disk as they are gone through. folder: where it lies."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / REPORT

    @property
    def page(self) -> Path:
        return self.folder / PAGE

    def __iter__(self) -> Iterator[Row]:
        """The rows as plain dictionaries, in the order of the files' names."""
        with self.path.open("rb") as file:
            for line in file:
                yield _parsed(line, self.path)

    @property
    def counts(self) -> Counter[str]:
        """How many files have which status."""
        return Counter(row["status"] for row in self)


def joined(folders: Iterable[Path], out: Path, *, force: bool = False) -> Report:
    """Writes the ledgers of several runs as one, which names outputs from its own folder.

    Of a file that several have, the row of the last one counts. Raises OutputError or, where a folder has no finished
    ledger, UnreadableFile.
    """
    with opened(out, force=force) as book:
        for folder in folders:
            try:
                for row in Report(folder):
                    book.add(_seen_from(out, folder, row))
            except OSError as error:
                raise UnreadableFile(f"{folder / REPORT}: {(error.strerror or str(error)).lower()}") from None
        return book.finish()


def _seen_from(out: Path, folder: Path, row: Row) -> Row:
    """A row of one ledger as another has it."""

    def moved(path: str) -> str:
        return Path(os.path.relpath(folder / path, out)).as_posix()

    written, certificate = row["written"], row["certificate"]
    return {
        **row,
        "written": written and {**written, "path": moved(written["path"])},
        "certificate": certificate and moved(certificate),
    }


def _line(value: Row) -> str:
    return json.dumps(value) + "\n"


def _parsed(line: bytes, path: Path) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise NotACheckpoint(f"{path}: a line that is no JSON; expected a ledger of ror-port") from None
    if isinstance(row, dict) and row.keys() == {"begun", "output"} and all(isinstance(v, str) for v in row.values()):
        return row
    if problem := mismatch(row, schema()):
        raise NotACheckpoint(f"{path}: {problem}; expected a ledger of ror-port")
    return dict(row)


_SCHEMA: dict[str, Any] = {}


def schema() -> dict[str, Any]:
    """Of one row."""
    if not _SCHEMA:
        text = resources.files("ror_port.many").joinpath("ledger.schema.json").read_text(encoding="utf-8")
        _SCHEMA.update(json.loads(text))
    return _SCHEMA


@contextmanager
def opened(folder: Path, *, force: bool = False, go_on: bool = False) -> Iterator[Ledger]:
    """The ledger of a folder, which is made where it is missing, for one run at a time.

    go_on: with the rows of the run before, whether that came to its end or not. force: replace that ledger.

    Raises OutputError where there is a ledger and neither is asked for, or where another run is at work.
    """
    journal, report = folder / JOURNAL, folder / REPORT
    if not (go_on or force):
        for path in (report, journal, folder / PAGE):
            if os.path.lexists(path):
                raise OutputError(f"{path}: exists already", "{skip_done} goes on with it, {force} replaces it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if not go_on:
                journal.unlink(missing_ok=True)
            elif report.exists() and not journal.exists():
                _copy(report, journal)
            try:
                with journal.open("a+b") as file:
                    file.seek(0)
                    yield Ledger(folder, file)
            finally:
                if journal.exists() and journal.stat().st_size == 0:
                    journal.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            folder.rmdir()  # where there is nothing in it


def _copy(report: Path, journal: Path) -> None:
    """The rows of a finished ledger as a journal, which is there whole or not at all."""
    with report.open("rb") as file:
        for line in file:
            _parsed(line, report)
    copy = journal.with_suffix(".copy")
    shutil.copyfile(report, copy)
    copy.replace(journal)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other runs away, where the system can; what ends this process ends that too."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"{folder}: another run is at work there") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)
