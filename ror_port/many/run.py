"""Many files in one run: what is done already, what is a duplicate, what is left to do, and the account of all."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ror_port.check import certificate as certificates
from ror_port.errors import OutputError, RorPortError, UnreadableFile, UsageError
from ror_port.formats.checkpoint import sha256, size
from ror_port.formats.format import by_name, stem
from ror_port.many import remote
from ror_port.many.account import Row, Work, account, blank, digest_of, fail, matches
from ror_port.many.ledger import Ledger
from ror_port.many.sources import Source, place_of, stamp_of, targets
from ror_port.many.workers import Lost, Workers
from ror_port.safety import limits
from ror_port.source.architecture import files_beside
from ror_port.source.provenance import stated_by_name

Key = tuple[str, str]

T = TypeVar("T")

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
        self._targets: dict[str, PurePosixPath] = {}
        if self.work.format is not None and not self.work.planned:
            read = [source for source in self.sources if not source.problem]
            stems = [stem(Path(source.within.name)) for source in read]
            places = targets(read, by_name(self.work.format).suffix, stems)
            self._targets = {source.name: place for source, place in zip(read, places, strict=True)}

    def _take_over(self) -> None:
        """Renames the rows of files that are called otherwise now: found by another path to the same place."""
        if not self.ledger.files:
            return
        names = {place_of(Path(source.location)): source.name for source in self.sources if source.stamp}
        known = {source.name for source in self.sources}
        for file in self.ledger.files:
            name = None if file in known or remote.is_address(file) else names.get(place_of(Path(file)))
            if name is not None and self.ledger.get(name) is None:
                self.ledger.rename(file, name)

    def rows(self) -> Iterator[Row]:
        """Does the work, and yields the row of each file as it is known."""
        self._take_over()
        digests = self._digests()
        done = [source for source in self.sources if self._done(source, digests.get(source.location))]
        self.kept = len(done)
        first: dict[Key, str] = {}
        for source in done:
            first.setdefault(_key(source, digests[source.location]), source.name)
            yield self._row(source.name)
        kept = {source.name for source in done}
        originals: list[Source] = []
        duplicates: list[tuple[Source, str]] = []
        for source in self.sources:
            digest = digests.get(source.location)
            if source.name in kept:
                continue
            if problem := self._problem(source):
                yield self._added(source, _failed(source, problem))
            elif digest is None:
                originals.append(source)
            elif (key := _key(source, digest)) in first:
                duplicates.append((source, first[key]))
            else:
                first[key] = source.name
                originals.append(source)
        yield from self._worked_on(originals)
        yield from self._linked(duplicates, digests)
        self._remove_empty_folders()

    def _row(self, name: str) -> Row:
        row = self.ledger.get(name)
        assert row is not None
        return row

    def _problem(self, source: Source) -> RorPortError | None:
        """Why a source is not even read."""
        if source.problem:
            return UnreadableFile(source.problem)
        if self.work.certify and not self.work.planned and remote.is_address(source.location):
            return UsageError("a certificate names its source, which must be a file that lies here", "certify")
        return None

    def _digests(self) -> dict[str, str]:
        """Location → sha256, of the files of which it is needed first: those that may be duplicates, or done already.

        One at an address is fetched for that, and once more if it proves to be neither; it may be a duplicate where its
        server states the size of another, or none.
        """
        read = [source for source in self.sources if not self._problem(source)]
        here = [source for source in read if source.size]
        away = [source for source in read if remote.is_address(source.location)]
        sizes = {source.location: source.size for source in here}
        if len(here) + len(away) > 1:
            sizes |= self._of_each(remote.size, away, 1)
        count = Counter(sizes.values())

        def wanted(source: Source) -> bool:
            return count[sizes.get(source.location)] > 1 or self.ledger.get(source.name) is not None

        hashed = self._of_each(digest_of, filter(wanted, here), HASHED_AT_ONCE)
        return hashed | self._of_each(digest_of, filter(wanted, away), 1)

    def _of_each(self, function: Callable[[str], T | None], sources: Iterable[Source], at_once: int) -> dict[str, T]:
        """Location → what a function returns for it, where it returns something. at_once: locations in one call."""
        remaining = (source.location for source in sources)
        calls = iter(lambda: (function, tuple(islice(remaining, at_once))), (function, ()))
        found: dict[str, T] = {}
        for (_, names), results in self.workers.finished(_each, calls):
            if not isinstance(results, Lost):
                pairs = zip(names, results, strict=True)
                found |= {name: result for name, result in pairs if result is not None}
        return found

    def _done(self, source: Source, digest: str | None) -> bool:
        """Whether nothing is left to do on a file."""
        row = self.ledger.get(source.name)
        if row is None or row["status"] in ("failed", "duplicate") or row["run"] != self._stated:
            return False
        if self.work.given.model is not None:  # what a script imports may be another by now
            return False
        if not matches(row, digest, self._beside_of(source)):
            return False
        return row["status"] != "converted" or self._is_there(row, source)

    def _is_there(self, row: Row, source: Source) -> bool:
        """Whether an output is where it would go now, with the size that it had, and its certificate, if it had one."""
        written, certificate = row["written"], row["certificate"]
        if certificate and not (self.ledger.folder / certificate).is_file():
            return False
        with suppress(OSError):
            place = self.ledger.folder / written["path"]
            return bool(written["path"] == str(self._targets.get(source.name)) and size(place) == written["bytes"])
        return False

    def _worked_on(self, sources: Iterable[Source]) -> Iterator[Row]:
        folder = self.ledger.folder
        at_work: dict[str, tuple[Source, str]] = {}
        refused: list[Row] = []

        def calls() -> Iterator[tuple[Work, str, str | None, str]]:
            for source in sources:
                target = self._targets.get(source.name)
                if problem := self._obstacle(source):
                    refused.append(self._added(source, _failed(source, problem)))
                    continue
                if target is not None:
                    self.ledger.begin(source.name, str(target))
                at_work[source.location] = source, self._beside_of(source)
                yield self.work, source.location, str(folder / target) if target else None, str(folder)

        for call, row in self.workers.finished(account, calls()):
            source, beside = at_work.pop(call[1])
            done = _lost(source, row) if isinstance(row, Lost) else row
            changed = _told_by_others(done) and beside != self._beside_of(source)
            yield self._added(source, _changed_beside(done) if changed else done)
            yield from refused
            refused.clear()
        yield from refused

    def _obstacle(self, source: Source) -> OutputError | None:
        """Why an output cannot be written; where nothing is in its way, its folder is made."""
        place = self._targets.get(source.name)
        if place is None:
            return None
        target = self.ledger.folder / place
        if os.path.lexists(target) and os.path.realpath(target) in self._inputs:
            return OutputError(f"{target}: is one of the files that are read, which are never changed")
        certificate = certificates.path_beside(target)
        written = [target, *((certificate, certificates.page_of(certificate)) if self.work.certify else ())]
        there = next(filter(os.path.lexists, written), None)
        if there is not None and not self.force and not self._is_ours(source, place, target):
            return OutputError(f"{there}: exists already", "{force} replaces it")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            return OutputError(f"{target.parent}: cannot be made ({getattr(error, 'strerror', None) or error})")
        return None

    @cached_property
    def _inputs(self) -> set[str]:
        return {os.path.realpath(source.location) for source in self.sources if source.stamp}

    def _is_ours(self, source: Source, place: PurePosixPath, target: Path) -> bool:
        """Whether an output is what an earlier run wrote, be it that it was interrupted before its row was there."""
        if self.ledger.begun.get(source.name) == str(place):
            return True
        row = self.ledger.get(source.name)
        own = [row["earlier"], row["written"] if row["status"] != "duplicate" else None] if row else []
        digests = [each["sha256"] for each in own if each and each["path"] == str(place)]
        with suppress(OSError):
            return bool(digests) and sha256(target) in digests
        return False

    def _linked(self, duplicates: Sequence[tuple[Source, str]], digests: dict[str, str]) -> Iterator[Row]:
        """The rows of duplicates, each given with the name of the other file.

        Its account is that of the other, unless that failed or has other architectures beside it: then one of the
        duplicates is worked on, for all of its kind.
        """
        while duplicates:
            next_: dict[tuple[Key, str], Source] = {}
            waiting: list[tuple[Source, str]] = []
            for source, original in duplicates:
                row, digest, beside = self.ledger.get(original), digests[source.location], self._beside_of(source)
                same = stamp_of(source.location) == source.stamp
                kind = _key(source, digest if same else source.location), beside
                if row and same and row["status"] != "failed" and matches(row, digest, beside):
                    yield self._added(source, {**row, "status": "duplicate", "duplicate_of": original})
                elif kind in next_:
                    waiting.append((source, next_[kind].name))
                else:
                    next_[kind] = source
            yield from self._worked_on(next_.values())
            duplicates = waiting

    def _added(self, source: Source, row: Row) -> Row:
        """Completes a row with what the run knows, and puts it into the ledger."""
        beside = self._beside_of(source) if _told_by_others(row) else None
        earlier = self._earlier(source, row)
        row = {**row, "file": source.name, "beside": beside, "earlier": earlier, "run": self._stated}
        self.ledger.add(row)
        return row

    def _earlier(self, source: Source, row: Row) -> Row | None:
        """The output that an earlier run wrote for a file, where this one writes none in its place."""
        before = self.ledger.get(source.name)
        if before is None:
            return None
        own = (before["written"] if before["status"] != "duplicate" else None) or before["earlier"]
        written = row["written"] if row["status"] != "duplicate" else None
        if own is None or (written and written["path"] == own["path"]):
            return None
        return {"path": own["path"], "sha256": own["sha256"]}

    def _beside_of(self, source: Source) -> str:
        """The digest of the files that may state a source's architecture, as they are now."""
        if remote.is_address(source.location) or source.problem:
            return _digest_beside(())
        return _digest_beside(tuple((path, stamp_of(str(path))) for path in files_beside(Path(source.location))))

    def _remove_empty_folders(self) -> None:
        folders = {parent for place in self._targets.values() for parent in place.parents if parent.name}
        for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
            with suppress(OSError):
                (self.ledger.folder / folder).rmdir()


def _each(function: Callable[[str], T], locations: Sequence[str]) -> list[T]:
    return [function(location) for location in locations]


@lru_cache(64)
def _digest_beside(stamped: tuple[tuple[Path, tuple[int, ...]], ...]) -> str:
    """Of the names and contents of files, which are read again once their stamps are others."""
    digest = hashlib.sha256()
    for path, _ in stamped:
        with suppress(OSError), path.open("rb") as file:
            content = file.read(limits.MAX_CONFIG_BYTES + 1)
            digest.update(f"{path.name!r} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def _key(source: Source, digest: str) -> Key:
    """What duplicates have in common: the content, and what the name says of that."""
    return digest, stated_by_name(source.within.name)


def _told_by_others(row: Row) -> bool:
    """Whether what lies beside a file may decide what it is: the file does not state its architecture."""
    return (row["architecture"] or {}).get("where") in ("beside", "recognised", "none")


def _changed_beside(row: Row) -> Row:
    reason = "a file beside it was changed while it was read; try again when that is done"
    return {**row, "status": "failed", "exit_code": 3, "error": "UnreadableFile", "reason": reason}


def _failed(source: Source, error: Exception) -> Row:
    row = blank(source.location)
    fail(row, error, source.location)
    return row


def _lost(source: Source, lost: Lost) -> Row:
    return {**blank(source.location), "exit_code": 1, "error": "Killed", "reason": lost.reason}
