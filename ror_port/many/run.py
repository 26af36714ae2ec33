"""Many files in one run: what is done already, what is a duplicate, what is left to do, and the account of all."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath

from ror_port.errors import OutputError, UnreadableFile
from ror_port.formats.checkpoint import sha256, size
from ror_port.formats.format import by_name, stem
from ror_port.many import remote
from ror_port.many.account import Row, Work, account, blank, digest_of, fail, matches
from ror_port.many.ledger import Ledger
from ror_port.many.sources import Source, targets
from ror_port.many.workers import Lost, Workers
from ror_port.safety import limits
from ror_port.source.architecture import files_beside

HASHED_AT_ONCE = 16
"""Files that a worker hashes in one call, which itself takes as long as to hash some small ones."""


@dataclass
class Run:
    """Work on many files. force: replace outputs that are there.

    kept: how many files were done before and are left as they are.
    """

    sources: Sequence[Source]
    work: Work
    ledger: Ledger
    workers: Workers
    force: bool = False
    kept: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._stated = self.work.stated()
        self._beside = lru_cache(16)(_digest_beside)  # of a folder; sources come in the order of their folders
        self._targets: dict[str, PurePosixPath] = {}
        if self.work.format is not None and not self.work.planned:
            stems = [stem(Path(source.within.name)) for source in self.sources]
            places = targets(self.sources, by_name(self.work.format).suffix, stems)
            self._targets = {source.name: place for source, place in zip(self.sources, places, strict=True)}

    def rows(self) -> Iterator[Row]:
        """Does the work, and yields the row of each file as it is known."""
        digests = self._digests()
        done = {source.name: row for source in self.sources if (row := self._done(source, digests.get(source.name)))}
        self.kept = len(done)
        yield from done.values()
        first = {row["sha256"]: name for name, row in done.items()}
        originals: list[Source] = []
        duplicates: list[tuple[Source, str]] = []
        for source in self.sources:
            digest = digests.get(source.name)
            if source.name in done:
                continue
            if source.problem:
                yield self._added(source, _failed(source, UnreadableFile(source.problem)))
            elif digest is None or digest not in first:
                originals.append(source)
                if digest is not None:
                    first[digest] = source.name
            else:
                duplicates.append((source, first[digest]))
        yield from self._worked_on(originals)
        yield from self._linked(duplicates, digests)
        self._remove_empty_folders()

    def _digests(self) -> dict[str, str]:
        """Name → sha256, of the files of which it is needed first: those that may be duplicates, or done already."""
        sizes = Counter(source.size for source in self.sources if source.size)
        wanted = [s for s in self.sources if s.size and (sizes[s.size] > 1 or self.ledger.get(s.name) is not None)]
        locations = iter([source.location for source in wanted])
        calls = iter(lambda: (tuple(islice(locations, HASHED_AT_ONCE)),), ((),))
        found: dict[str, str | None] = {}
        for (names,), digests in self.workers.finished(_hashed, calls):
            if not isinstance(digests, Lost):
                found |= zip(names, digests, strict=True)
        return {name: digest for name, digest in found.items() if digest is not None}

    def _done(self, source: Source, digest: str | None) -> Row | None:
        """The row of a file on which nothing is left to do."""
        row = self.ledger.get(source.name)
        if row is None or row["status"] in ("failed", "duplicate") or row["run"] != self._stated:
            return None
        if not matches(row, digest, self._beside_of(source)):
            return None
        return row if row["status"] != "converted" or self._is_there(row, source) else None

    def _is_there(self, row: Row, source: Source) -> bool:
        """Whether an output is where it would go now, and has the size that it had."""
        written = row["written"]
        with suppress(OSError):
            place = self.ledger.folder / written["path"]
            return bool(written["path"] == str(self._targets.get(source.name)) and size(place) == written["bytes"])
        return False

    def _worked_on(self, sources: Iterable[Source]) -> Iterator[Row]:
        ready: list[Source] = []
        for source in sources:
            if problem := self._obstacle(source):
                yield self._added(source, _failed(source, problem))
            else:
                ready.append(source)
        folder = self.ledger.folder

        def calls() -> Iterator[tuple[Work, str, str | None, str]]:
            for source in ready:
                target = self._targets.get(source.name)
                if target is not None:
                    self.ledger.begin(source.name, str(target))
                yield self.work, source.location, str(folder / target) if target else None, str(folder)

        known = {source.location: source for source in ready}
        for call, row in self.workers.finished(account, calls()):
            source = known[call[1]]
            yield self._added(source, _lost(source, row) if isinstance(row, Lost) else row)

    def _obstacle(self, source: Source) -> OutputError | None:
        """Why an output cannot be written; where nothing is in its way, its folder is made."""
        place = self._targets.get(source.name)
        if place is None:
            return None
        target = self.ledger.folder / place
        if os.path.lexists(target) and not self.force and not self._is_ours(source, place, target):
            return OutputError(f"{target}: exists already", "{force} replaces it")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return OutputError(f"{target.parent}: cannot be made ({error.strerror or error})")
        return None

    def _is_ours(self, source: Source, place: PurePosixPath, target: Path) -> bool:
        """Whether an output is what an earlier run wrote, be it that it was interrupted before its row was there."""
        if self.ledger.begun.get(source.name) == str(place):
            return True
        row = self.ledger.get(source.name)
        written = row and row["written"]
        with suppress(OSError):
            return bool(written and written["path"] == str(place) and written["sha256"] == sha256(target))
        return False

    def _linked(self, duplicates: Sequence[tuple[Source, str]], digests: dict[str, str]) -> Iterator[Row]:
        """The rows of duplicates, each given with the name of the other file.

        Its account is that of the other, unless that failed or has other architectures beside it: then one of the
        duplicates is worked on, for all of its kind.
        """
        while duplicates:
            next_: dict[tuple[str, str], Source] = {}
            waiting: list[tuple[Source, str]] = []
            for source, original in duplicates:
                row, digest, beside = self.ledger.get(original), digests[source.name], self._beside_of(source)
                if row and row["status"] != "failed" and matches(row, digest, beside):
                    yield self._added(source, {**row, "status": "duplicate", "duplicate_of": original})
                elif (digest, beside) in next_:
                    waiting.append((source, next_[digest, beside].name))
                else:
                    next_[digest, beside] = source
            yield from self._worked_on(next_.values())
            duplicates = waiting

    def _added(self, source: Source, row: Row) -> Row:
        """Completes a row with what the run knows, and puts it into the ledger."""
        where = (row["architecture"] or {}).get("where")
        beside = self._beside_of(source) if where in ("beside", "none") else None
        row = {**row, "file": source.name, "beside": beside, "run": self._stated}
        self.ledger.add(row)
        return row

    def _beside_of(self, source: Source) -> str:
        """The digest of the files that may state a source's architecture."""
        return "" if remote.is_address(source.location) else self._beside(Path(source.location).parent)

    def _remove_empty_folders(self) -> None:
        folders = {parent for place in self._targets.values() for parent in place.parents if parent.name}
        for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
            with suppress(OSError):
                (self.ledger.folder / folder).rmdir()


def _hashed(locations: Sequence[str]) -> list[str | None]:
    return [digest_of(location) for location in locations]


def _digest_beside(folder: Path) -> str:
    """Of the names and contents of the files in a folder that may state an architecture."""
    digest = hashlib.sha256()
    for path in files_beside(folder / "weights.h5"):
        with suppress(OSError), path.open("rb") as file:
            content = file.read(limits.MAX_CONFIG_BYTES + 1)
            digest.update(f"{path.name!r} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def _failed(source: Source, error: Exception) -> Row:
    row = blank(source.location)
    fail(row, error, source.location)
    return row


def _lost(source: Source, lost: Lost) -> Row:
    return {**blank(source.location), "exit_code": 1, "error": "Killed", "reason": lost.reason}
