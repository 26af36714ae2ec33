"""Conversions that are killed, interrupted, raced or short of disk, and what they leave behind. Run by scripts/torture.

An output is broken where it is neither the old one nor the new one, whole. A leftover is anything else in its folder,
after kill -9 as well: a process beside the one that was killed removes what it was writing.

An interruption happens at a call that the conversion makes, chosen at random, and never after a time by the clock.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import hashlib
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from forks import ROOT, Forks

NAMES = {
    "keras": ("theano-to-tf", "net.keras"),
    "weights": ("theano-to-tf", "net.weights.h5"),
    "h5": ("theano-to-tf", "net.h5"),
    "safetensors": ("to-torch", "net"),
    "pt": ("to-torch", "net.pt"),
    "onnx": ("to-onnx", "net.onnx"),
    "theano": ("to-theano", "net.th.h5"),
}
"""Format → the command that writes it, and its output's name. No SavedModel: TensorFlow writes no two alike."""

SOURCES = [ROOT / "fixtures" / f"pre-ror-3-10_keras-{version}" / "weights.h5" for version in ("1.0.6", "2.2.4")]
"""Old and new: two networks of the same shape."""


DEFECTS = ("broken", "leftovers", "hung", "crashed", "undocumented", "ignored")
"""What is counted below and must not happen."""


def fingerprint(path: Path) -> str:
    """Of a file, or of a folder's files with their names; "none" where there is nothing."""
    if not path.exists():
        return "none"
    return hashlib.sha256(b"".join(item.name.encode() + item.read_bytes() for item in files(path))).hexdigest()


def files(path: Path) -> list[Path]:
    return sorted(path.rglob("*")) if path.is_dir() else [path]


class Conversions:
    """Conversions of SOURCES to one format, to one output in a folder."""

    def __init__(self, forks: Forks, folder: Path, format: str) -> None:
        self.forks, self.folder, self.format = forks, folder, format
        self.command, name = NAMES[format]
        self.target = folder / name
        self.whole, self.calls, sizes = {}, {}, []
        for source in SOURCES:
            self.clear()
            runs = [forks.run(*self.arguments(source), count=True) for _ in ("anew", "over the old one")]
            assert not any(done.code for done in runs), runs
            self.calls[source] = min((done.calls for done in runs), key=lambda calls: sum(map(len, calls)))
            self.whole[source] = fingerprint(self.target)
            sizes.append(max(item.stat().st_size for item in files(self.target)))
        assert len(set(self.whole.values())) == len(SOURCES)
        self.size = min(sizes)

    def arguments(self, source: Path) -> list[str]:
        choice = [] if self.command in ("to-onnx", "to-theano") else ["--format", self.format]
        return [self.command, str(source), "-o", str(self.target), *choice, "--no-verify", "--force"]

    def call(self, source: Path, random: np.random.Generator) -> int:
        """The number of some call of a conversion: of any line of code that makes one, with the same probability."""
        numbers = self.calls[source][int(random.integers(len(self.calls[source])))]
        return numbers[int(random.integers(len(numbers)))]

    def parts(self) -> list[Path]:
        return [item for item in self.folder.iterdir() if item != self.target]

    def clear(self) -> None:
        for item in self.folder.iterdir():
            shutil.rmtree(item) if item.is_dir() else item.unlink()


def kills(conversions: Conversions, count: int, random: np.random.Generator) -> Counter[str]:
    """kill -9 while a good output is replaced."""
    counts: Counter[str] = Counter()
    for index in range(count):
        source = SOURCES[index % 2]
        done = conversions.forks.run(
            *conversions.arguments(source), signals={conversions.call(source, random): signal.SIGKILL}
        )
        counts["killed" if done.code == -signal.SIGKILL else "finished"] += 1
        counts["broken"] += fingerprint(conversions.target) not in conversions.whole.values()
        counts["leftovers"] += len(conversions.parts())
    return counts


def interrupts(conversions: Conversions, count: int, random: np.random.Generator) -> Counter[str]:
    """SIGINT or SIGTERM, sometimes twice, while an output is written, whether there was one before or not."""
    counts: Counter[str] = Counter()
    for index in range(count):
        if random.random() < 0.5:
            conversions.clear()
        before = fingerprint(conversions.target)
        number = (signal.SIGINT, signal.SIGTERM)[index % 2]
        source = SOURCES[index // 2 % 2]
        first = conversions.call(source, random)
        signals = {first: number}
        if random.random() < 0.5:
            signals[first + int(random.integers(1, 40))] = number
        done = conversions.forks.run(*conversions.arguments(source), signals=signals)
        counts["finished" if done.code == 0 else "interrupted"] += 1
        counts["broken"] += fingerprint(conversions.target) not in (before, conversions.whole[source])
        counts["leftovers"] += len(conversions.parts())
        counts["hung"] += done.hung
        counts["crashed"] += done.code < 0 and done.code != -number
        counts["ignored"] += done.code == 0
        counts["undocumented"] += done.code > 0 and done.code != 128 + number
    return counts


def full_disks(conversions: Conversions, count: int, random: np.random.Generator) -> Counter[str]:
    """No file may grow beyond some size while a good output is replaced, as on a full disk."""
    counts: Counter[str] = Counter()
    for index in range(count):
        before = fingerprint(conversions.target)
        bound = int(random.integers(conversions.size))
        done = conversions.forks.run(*conversions.arguments(SOURCES[index % 2]), rlimits={"RLIMIT_FSIZE": bound})
        counts["refused"] += done.code == 8
        counts["broken"] += fingerprint(conversions.target) != before
        counts["leftovers"] += len(conversions.parts())
        counts["undocumented"] += (
            done.code != 8 or not done.stderr.endswith("(File too large)\n") or done.stderr.count("\n") > 1
        )
    return counts


def races(conversions: Conversions, other: Forks, count: int, random: np.random.Generator) -> Counter[str]:
    """Two writers of one output at once, whether there was one before or not.

    The first pauses at some call, then the other; the first goes on to its end, and then the other to its own.
    """
    counts: Counter[str] = Counter()
    for _ in range(count):
        if random.random() < 0.5:
            conversions.clear()
        for forks, source in ((conversions.forks, SOURCES[0]), (other, SOURCES[1])):
            forks.start(*conversions.arguments(source), pause=conversions.call(source, random))
            paused = forks.paused()
            assert paused, "a conversion makes fewer calls than when they were counted"
        ends = []
        for forks in (conversions.forks, other):
            forks.resume()
            ends.append(forks.result())
        counts["both wrote" if not any(done.code for done in ends) else "one wrote"] += 1
        counts["broken"] += fingerprint(conversions.target) not in conversions.whole.values()
        counts["leftovers"] += len(conversions.parts())
        counts["undocumented"] += any(done.code not in (0, 8) for done in ends)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills, interrupts and races conversions, and fills their disks.")
    parser.add_argument("--kills", type=int, default=200, help="for each format")
    parser.add_argument("--signals", type=int, default=60, help="for each format")
    parser.add_argument("--full-disks", type=int, default=60, help="for each format")
    parser.add_argument("--races", type=int, default=50, help="for each format")
    parser.add_argument("--seed", type=int, default=8)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    bad = 0
    with Forks("torch", "onnx") as forks, Forks("torch", "onnx") as other:
        for format in NAMES:
            with tempfile.TemporaryDirectory() as folder:
                conversions = Conversions(forks, Path(folder), format)
                results = {
                    "kills": kills(conversions, options.kills, random),
                    "interrupts": interrupts(conversions, options.signals, random),
                    "full disks": full_disks(conversions, options.full_disks, random),
                    "races": races(conversions, other, options.races, random),
                }
            for name, counts in results.items():
                print(
                    f"{format:12} {name:10} " + ", ".join(f"{count} {what}" for what, count in counts.items()),
                    flush=True,
                )
                bad += sum(counts[what] for what in DEFECTS)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
