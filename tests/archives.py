"""An archive to be worked on: genuine files, broken and hostile ones, and the same ones again under other names."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import h5py

from genuine_layers import Case, cases, record


class Made(NamedTuple):
    """path: below the archive. kind: "genuine", "broken", "hostile" or "duplicate"."""

    path: Path
    kind: str


LOOKALIKES = {
    "pointer.h5": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "page.h5": b"<!DOCTYPE html><title>404</title>",
    "pickle.h5": b"\x80\x02}q\x01.",
    "empty.h5": b"",
}


def archive(folder: Path, count: int) -> list[Made]:
    """Makes so many files: of twenty, sixteen genuine, one broken, one hostile and two duplicates.

    Genuine ones are models where that Keras saved such, else weights with their JSON beside them.
    """
    made: list[Made] = []
    genuine = cycle(mixed(cases()))
    while len(made) < count:
        twenty: list[Made] = []
        for case in islice(genuine, 16):
            twenty.append(Made(_genuine(folder, case, len(made) + len(twenty)), "genuine"))
        twenty.append(Made(_broken(folder, twenty[0].path, len(made)), "broken"))
        twenty.append(Made(_hostile(folder, twenty[1].path, len(made)), "hostile"))
        for number, original in enumerate(twenty[2:4]):
            path = Path("again", f"{len(made)}-{number}", original.path.name)
            _copy(folder, original.path, path)
            twenty.append(Made(path, "duplicate"))
        made += twenty
    for item in made[count:]:
        (folder / item.path).unlink()
    return made[:count]


def mixed(given: list[Case]) -> list[Case]:
    """Each once, and neighbours far from each other: a few are of many kinds then."""
    stride = next(stride for stride in range(997, 2000) if math.gcd(stride, len(given)) == 1)
    return [given[number * stride % len(given)] for number in range(len(given))]


def _genuine(folder: Path, case: Case, number: int) -> Path:
    kept = record(case)
    path = Path(case.stack, case.family, f"{number:05d}", f"{case.name}.h5")
    (folder / path).parent.mkdir(parents=True)
    if kept.saves_models:
        kept.write(folder / path)
    else:
        kept.write_weights(folder / path)
        (folder / path).with_suffix(".json").write_text(kept.config)
    return path


def _copy(folder: Path, original: Path, path: Path) -> None:
    """With what lies beside it, which may be its architecture."""
    (folder / path).parent.mkdir(parents=True)
    for item in (folder / original).parent.iterdir():
        (folder / path).with_name(item.name).write_bytes(item.read_bytes())


def _broken(folder: Path, original: Path, number: int) -> Path:
    path = Path("broken", f"{number:05d}.h5")
    (folder / path).parent.mkdir(exist_ok=True)
    content = (folder / original).read_bytes()
    (folder / path).write_bytes(content[: len(content) // 2])
    return path


def _hostile(folder: Path, original: Path, number: int) -> Path:
    """In turn: a lookalike, a link out of the file, a file of holes."""
    path = folder / "hostile" / f"{number:05d}.h5"
    path.parent.mkdir(exist_ok=True)
    if number % 60 == 0:
        path.write_bytes(f"{number}\n".encode() + list(LOOKALIKES.values())[number // 60 % len(LOOKALIKES)])
    elif number % 60 == 20:
        path.write_bytes((folder / original).read_bytes())
        with h5py.File(path, "r+") as file:
            file["outside"] = h5py.ExternalLink("/etc/passwd", "/")
            del file[next(iter(file))]
    else:
        path.write_bytes(b"\x89HDF\r\n\x1a\n")
        os.truncate(path, (1 << 40) + number)
    return path.relative_to(folder)


def files(folder: Path) -> Iterator[Path]:
    """All outputs in a folder, without the ledger."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("report.jsonl", "report.html", "report.part.jsonl"):
            yield path.relative_to(folder)
