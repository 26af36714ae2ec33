"""The ledger: the account of many files, a line of JSON each, and the same as a page.

While a run goes on its rows are in a journal, which survives whatever ends the run. At the end the journal becomes
``report.jsonl``, in the order of the files' names, and ``report.html``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
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
        """The rows, in the order of the files' names, as a finished ledger has them."""
        return (self._finished(self._at(self._places[name])) for name in sorted(self._places))

    @property
    def files(self) -> list[str]:
        return list(self._places)

    def rename(self, file: str, name: str) -> None:
        """Calls a file of which there is a row by another name, under which it is found now."""
        row = self.get(file)
        assert row is not None
        self.add({**row, "file": name})
        self._append({"gone": file})
        del self._places[file]

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

    def _finished(self, row: Row) -> Row:
        """A row; of a duplicate whose original has another content by now, that this is so."""
        if row["status"] != "duplicate":
            return row
        original = self.get(row["duplicate_of"])
        if original and original["sha256"] == row["sha256"]:
            return row
        reason = f"the same as {row['duplicate_of']} was, which is another file by now"
        gone = {"written": None, "verification": None, "certificate": None, "duplicate_of": None}
        return {**row, **gone, "status": "failed", "exit_code": 1, "error": "Changed", "reason": reason}

    def _append(self, value: Row) -> int:
        """Where a line of the journal begins, which is in the file when this returns."""
        try:
            place = self._journal.seek(0, os.SEEK_END)
            self._journal.write(_line(value).encode())
            self._journal.flush()
        except OSError as error:
            raise _unwritable(self.folder, error) from error
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
            row = _parsed(line, self.folder / JOURNAL, journal=True)
            if "begun" in row:
                self.begun[row["begun"]] = row["output"]
            elif "gone" in row:
                self._places.pop(row["gone"], None)
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


def _parsed(line: bytes, path: Path, *, journal: bool = False) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise NotACheckpoint(f"{path}: a line that is no JSON; expected a ledger of ror-port") from None
    if (
        journal
        and isinstance(row, dict)
        and row.keys() in ({"begun", "output"}, {"gone"})
        and all(isinstance(v, str) for v in row.values())
    ):
        return row
    if problem := mismatch(row, schema()):
        raise NotACheckpoint(f"{path}: {problem}; expected a ledger of ror-port")
    return dict(row)


@cache
def schema() -> dict[str, Any]:
    """Of one row."""
    text = resources.files("ror_port.many").joinpath("ledger.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@contextmanager
def opened(folder: Path, *, force: bool = False, go_on: bool = False) -> Iterator[Ledger]:
    """The ledger of a folder, which is made where it is missing, for one run at a time.

    go_on: with the rows of the run before, whether that came to its end or not. force: replace that ledger.

    Raises OutputError where there is a ledger and neither is asked for, or where another run is at work.
    """
    journal, report, page = folder / JOURNAL, folder / REPORT, folder / PAGE
    there = [path for path in (report, journal, page) if os.path.lexists(path)]
    if there and not force and (not go_on or there == [page]):
        raise OutputError(f"{there[0]}: exists already", "{skip_done} goes on with it, {force} replaces it")
    made = not folder.exists()
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_empty, folder if made else None, journal)
            stack.enter_context(_locked(folder))
            if not go_on:
                _begin(journal, _owned(journal if journal.exists() else report))
            elif report.exists() and not (journal.exists() and journal.stat().st_size):
                _begin(journal, _checked(report))
            file = stack.enter_context(journal.open("a+b"))
            file.seek(0)
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield Ledger(folder, file)


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder}: cannot be written ({error.strerror or error})")


def _remove_empty(folder: Path | None, journal: Path) -> None:
    """Removes a journal that has nothing in it, and the folder where it was made for it."""
    with suppress(OSError):
        if journal.stat().st_size == 0:
            journal.unlink()
    if folder is not None:
        with suppress(OSError):
            folder.rmdir()


def _begin(journal: Path, lines: Iterable[str]) -> None:
    """A journal that begins with such lines, which is there whole or not at all."""
    copy = journal.with_suffix(".copy")
    with copy.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    copy.replace(journal)


def _checked(report: Path) -> Iterator[str]:
    """The rows of a finished ledger."""
    with report.open("rb") as file:
        yield from (_line(_parsed(line, report)) for line in file)


def _owned(ledger: Path) -> Iterator[str]:
    """Of a ledger that is to be replaced, which outputs it wrote: these are ours still, if this run does not end."""
    with suppress(OSError), ledger.open("rb") as file:
        for line in file:
            try:
                row = _parsed(line, ledger, journal=True)
            except NotACheckpoint:
                return
            if "begun" in row:
                yield _line(row)
            elif "gone" in row:
                continue
            elif row["written"] and row["status"] != "duplicate":
                yield _line({"begun": row["file"], "output": row["written"]["path"]})


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
