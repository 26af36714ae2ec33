"""Which files are meant: those of a folder by their content, those that a list names, and addresses."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from ror_port.errors import UsageError, printable
from ror_port.formats import is_checkpoint_folder, may_be_checkpoint
from ror_port.many import remote


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be read, or what lies in its place. location: its path or address.

    within: where it lies in the tree that its output goes to the same place of. size: of a regular file, else None.
    problem: why it is not read, where that shows before it is. stamp: what tells that a file is still the same.
    """

    location: str
    within: PurePosixPath
    size: int | None = None
    problem: str = ""
    stamp: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """What people are told that it is called."""
        return remote.shown(self.location) if remote.is_address(self.location) else self.location


def found(named: Sequence[str], listed: Iterable[str] = (), out: Path | None = None) -> tuple[list[Source], int]:
    """The sources in the order of their names, each once; and the number of other files in the folders.

    named: files, folders and addresses, as on a command line. A file goes to the root of the tree of outputs; what is
    in a folder to where it lies in that, below the folder's name where several are named. listed: the same, one a
    line, and these go to where their path says, which stands for the root where it begins with one.
    out: the folder of the outputs, which is not searched.
    """
    folders = [name for name in named if is_tree(name)]
    search = _Search(out)
    for name in named:
        if remote.is_address(name):
            search.add_address(name)
        elif name not in folders:
            search.add(Path(name), PurePosixPath(_named(Path(name)).name))
        else:
            folder = Path(name)
            search.add_tree(folder, PurePosixPath(folder.resolve().name if len(folders) > 1 else ""))
    for line in listed:
        if remote.is_address(line):
            search.add_address(line)
            continue
        if "\0" in line:
            search.add_named(line, "no file is called so: a name has no NUL in it")
            continue
        path = Path(line)
        below = _whole(Source(line, PurePosixPath(path.name)))
        if is_tree(line):
            search.add_tree(path, below)
        else:
            search.add(path, below)
    return sorted(search.sources.values(), key=lambda source: source.location), search.others


def is_tree(name: str) -> bool:
    """Whether it names a folder to be searched, and not one that is a checkpoint as a whole."""
    if not name or "\0" in name:
        return False
    try:
        return not remote.is_address(name) and Path(name).is_dir() and not is_checkpoint_folder(Path(name))
    except OSError:
        return False


class _Search:
    """sources: absolute path or address, as it is shown → what was found there."""

    def __init__(self, out: Path | None) -> None:
        self.sources: dict[str, Source] = {}
        self.others = 0
        self.out = os.path.realpath(out) if out else None

    def add(self, path: Path, within: PurePosixPath, problem: str = "", place: str = "") -> None:
        """place: that of the path, where it is known."""
        key = place or place_of(path)
        if key not in self.sources:
            stamp = stamp_of(str(path))
            self.sources[key] = Source(str(path), within, stamp[0] if stamp else None, problem, stamp)

    def add_address(self, address: str) -> None:
        try:
            self.sources.setdefault(remote.shown(address), Source(address, remote.place(address)))
        except UsageError as error:
            self.add_named(address, error.message.removeprefix(f"{printable(remote.shown(address))}: "))

    def add_named(self, location: str, problem: str) -> None:
        """Adds what is no source, for the account of it."""
        self.sources.setdefault(location, Source(location, PurePosixPath("none"), None, problem))

    def add_tree(self, root: Path, within: PurePosixPath) -> None:
        """Adds what is in a folder and in the folders below it. Links to folders are not followed."""
        if self.out and os.path.realpath(root) == self.out:
            raise UsageError(f"{printable(root)} is the folder that is searched; another one is expected", "path")
        remaining = [(root, within, Path(os.path.realpath(root)))]
        while remaining:
            folder, below, real = remaining.pop()
            try:
                with os.scandir(folder) as scanned:
                    entries = list(scanned)
            except OSError as error:
                self.add(folder, below, f"the folder cannot be searched ({(error.strerror or str(error)).lower()})")
                continue
            for entry in entries:
                path, inside, place = folder / entry.name, below / entry.name, str(real / entry.name)
                if entry.is_symlink() and _is_folder(entry):
                    self.add(path, inside, "a link to a folder, which is not followed; name the folder itself", place)
                elif not _is_folder(entry):
                    if may_be_checkpoint(path):
                        self.add(path, inside, place=place)
                    else:
                        self.others += 1
                elif is_checkpoint_folder(path):
                    self.add(path, inside, place=place)
                elif place != self.out:
                    remaining.append((path, inside, Path(place)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def place_of(path: Path) -> str:
    """Where a file or a link lies, by whatever path it was found."""
    return str(Path(os.path.realpath(path.parent)) / path.name)


def stamp_of(location: str) -> tuple[int, ...]:
    """What tells that a regular file is still the same: its size first; nothing of anything else."""
    try:
        status = Path(location).stat()
    except (OSError, ValueError):
        return ()
    return (status.st_size, status.st_mtime_ns, status.st_ino) if stat.S_ISREG(status.st_mode) else ()


def targets(sources: Sequence[Source], suffixed: str, stems: Sequence[str]) -> list[PurePosixPath]:
    """Where each output goes, below the folder of all outputs.

    suffixed: what their names end in. stems: of the sources' names. Sources whose outputs would be called the same, or
    as a folder that others go to, keep their whole names, and where that does not help, their whole paths.
    """
    chosen = [source.within.with_name(stem + suffixed) for source, stem in zip(sources, stems, strict=True)]
    for whole in (lambda source: source.within, _whole):
        shared = {target for target, count in Counter(chosen).items() if count > 1}
        taken = shared | {parent for target in chosen for parent in target.parents}
        for number, source in enumerate(sources):
            if chosen[number] in taken:
                path = whole(source)
                chosen[number] = path.with_name(path.name + suffixed)
    places: dict[PurePosixPath, Source] = {}
    for source, target in zip(sources, chosen, strict=True):
        if target in places:
            both = f"{printable(places[target].name)} and {printable(source.name)}"
            raise UsageError(f"{both} would both become {printable(target)}", "path")
        places[target] = source
    return chosen


def _whole(source: Source) -> PurePosixPath:
    """The path of a source as that of an output."""
    if remote.is_address(source.location):  # what differs is not in its place, but behind that
        return source.within.with_name(f"{sha256(source.location.encode()).hexdigest()[:8]}-{source.within.name}")
    path = _named(Path(source.location))
    return PurePosixPath(path.relative_to(path.anchor))


def _named(path: Path) -> Path:
    """A path that has a name, and leads nowhere above."""
    return path.resolve() if ".." in path.parts or not path.name else path
