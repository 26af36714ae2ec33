"""Conversions killed, interrupted, raced and short of disk, and what they leave behind. Run by scripts/torture.

An output is broken where it is neither the old one nor the new one, whole. A leftover is anything else in its folder;
after kill -9 the part that was being written stays, since nobody is left to remove it, and is not counted.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import hashlib
import shutil
import signal
import sys
import tempfile
import time
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


def fingerprint(path: Path) -> str:
    """Of a file, or of a folder's files with their names; "none" where there is nothing."""
    if not path.exists():
        return "none"
    return hashlib.sha256(b"".join(item.name.encode() + item.read_bytes() for item in files(path))).hexdigest()


def files(path: Path) -> list[Path]:
    return sorted(path.rglob("*")) if path.is_dir() else [path]


class Ring:
    """A folder where a format's output is written over and over."""

    def __init__(self, forks: Forks, folder: Path, format: str) -> None:
        self.forks, self.folder, self.format = forks, folder, format
        self.command, name = NAMES[format]
        self.target = folder / name
        self.whole, sizes = {}, []
        for source in SOURCES:
            started = time.monotonic()
            done = forks.run(*self.arguments(source))
            assert done.code == 0, done.stderr
            self.seconds = time.monotonic() - started
            self.whole[source] = fingerprint(self.target)
            sizes.append(max(item.stat().st_size for item in files(self.target)))
        assert len(set(self.whole.values())) == len(SOURCES)
        self.size = min(sizes)

    def arguments(self, source: Path) -> list[str]:
        choice = [] if self.command in ("to-onnx", "to-theano") else ["--format", self.format]
        return [self.command, str(source), "-o", str(self.target), *choice, "--no-verify", "--force"]

    def moment(self, random: np.random.Generator) -> float:
        """Some moment of a conversion's life, or soon after."""
        return float(random.uniform(0, 1.1)) * self.seconds

    def parts(self) -> list[Path]:
        return [item for item in self.folder.iterdir() if item != self.target]

    def clear(self) -> None:
        for item in self.folder.iterdir():
            shutil.rmtree(item) if item.is_dir() else item.unlink()


def kills(ring: Ring, count: int, random: np.random.Generator) -> Counter[str]:
    """kill -9 while a good output is replaced."""
    counts: Counter[str] = Counter()
    for index in range(count):
        done = ring.forks.run(*ring.arguments(SOURCES[index % 2]), signals=[(ring.moment(random), signal.SIGKILL)])
        counts["killed" if done.code == -signal.SIGKILL else "finished"] += 1
        counts["broken"] += fingerprint(ring.target) not in ring.whole.values()
        for part in ring.parts():
            counts["in the writing"] += 1
            shutil.rmtree(part) if part.is_dir() else part.unlink()
    return counts


def interrupts(ring: Ring, count: int, random: np.random.Generator) -> Counter[str]:
    """SIGINT and SIGTERM, sometimes twice, while an output is written, anew or over a good one."""
    counts: Counter[str] = Counter()
    for index in range(count):
        if random.random() < 0.5:
            ring.clear()
        before = fingerprint(ring.target)
        number = (signal.SIGINT, signal.SIGTERM)[index % 2]
        moment = ring.moment(random)
        signals = [(moment + 0.003 * more, number) for more in range(int(random.integers(1, 3)))]
        source = SOURCES[index // 2 % 2]
        done = ring.forks.run(*ring.arguments(source), signals=signals)
        counts["finished" if done.code == 0 else "interrupted"] += 1
        counts["broken"] += fingerprint(ring.target) not in (before, ring.whole[source])
        counts["leftovers"] += len(ring.parts())
        counts["hung"] += done.hung
        counts["crashed"] += done.code < 0 and done.code != -number
        counts["undocumented"] += done.code > 0 and done.code != 128 + number
    return counts


def full_disks(ring: Ring, count: int, random: np.random.Generator) -> Counter[str]:
    """No file may grow beyond some size while a good output is replaced, as on a full disk."""
    counts: Counter[str] = Counter()
    for index in range(count):
        before = fingerprint(ring.target)
        bound = int(random.integers(ring.size))
        done = ring.forks.run(*ring.arguments(SOURCES[index % 2]), rlimits={"RLIMIT_FSIZE": bound})
        counts["refused"] += done.code == 8
        counts["broken"] += fingerprint(ring.target) != before
        counts["leftovers"] += len(ring.parts())
        counts["undocumented"] += (
            done.code != 8 or not done.stderr.endswith("(File too large)\n") or done.stderr.count("\n") > 1
        )
    return counts


def races(ring: Ring, other: Forks, count: int, random: np.random.Generator) -> Counter[str]:
    """Two writers of one output at once, anew or over a good one."""
    counts: Counter[str] = Counter()
    for _ in range(count):
        if random.random() < 0.5:
            ring.clear()
        ring.forks.start(*ring.arguments(SOURCES[0]))
        time.sleep(float(random.uniform(0, 0.02)))
        other.start(*ring.arguments(SOURCES[1]))
        ends = ring.forks.result(), other.result()
        counts["both wrote" if not any(done.code for done in ends) else "one wrote"] += 1
        counts["broken"] += fingerprint(ring.target) not in ring.whole.values()
        counts["leftovers"] += len(ring.parts())
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
                ring = Ring(forks, Path(folder), format)
                results = {
                    "kills": kills(ring, options.kills, random),
                    "interrupts": interrupts(ring, options.signals, random),
                    "full disks": full_disks(ring, options.full_disks, random),
                    "races": races(ring, other, options.races, random),
                }
            for name, counts in results.items():
                print(
                    f"{format:12} {name:10} " + ", ".join(f"{count} {what}" for what, count in counts.items()),
                    flush=True,
                )
                bad += sum(counts[what] for what in ("broken", "leftovers", "hung", "crashed", "undocumented"))
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
