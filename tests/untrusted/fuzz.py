"""Mutation fuzzing: damaged descriptions of tensors, and what reading makes of them. Run by scripts/fuzz.

Every mutant is read whole, in a child of its own, and ends in one of these:

    sound       the genuine tensors after all: the damage touched nothing that matters
    refused     a documented error
    silent      other tensors than the genuine ones, though no byte of a tensor was touched
    undocumented, slow, large, hung, signal      defects
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from forks import ROOT, Forks, Outcome
from mutate import Target

sys.path.insert(0, str(ROOT))  # scripts/fuzz starts this file by itself

from ror_port.convert.write import to_onnx, to_tensorflow, to_torch
from ror_port.source.port import load

SEED = 8
SECONDS, MEMORY = 2.0, 256 << 20
DOCUMENTED = {3, 4, 5, 6, 7}
DEFECTS = ("undocumented", "slow", "large", "hung", "signal")


def targets(folder: Path) -> list[Target]:
    """Genuine files of two generations of Keras, and what ror-port makes of one, in all formats but PyTorch's own."""
    genuine = ROOT / "fixtures" / "pre-ror-3-10_keras-1.0.6" / "weights.h5"
    paths = [genuine, ROOT / "fixtures" / "pre-ror-3-10_keras-2.3.1" / "model.h5"]
    for format, name in (("weights", "net.weights.h5"), ("keras", "net.keras")):
        paths.append(folder / name)
        with load(genuine) as port:
            to_tensorflow(port, folder / name, format)
    with load(genuine) as port:
        to_torch(port, folder / "net", "safetensors")
        to_onnx(port, folder / "net.onnx")
    shutil.copy(folder / "net" / "model.safetensors", folder)  # alone, without the config.json beside it
    paths += [folder / "model.safetensors", folder / "net.onnx"]
    return [Target(path) for path in paths]


def verdict(done: Outcome, genuine: str) -> str:
    if done.hung:
        return "hung"
    if done.code < 0:
        return "signal"
    if done.code and (done.code not in DOCUMENTED or done.stderr.count("\n") != 1):
        return "undocumented"
    if done.computing > SECONDS:  # by the clock, it would depend on what else the machine does
        return "slow"
    if done.growth > MEMORY:
        return "large"
    if done.code:
        return "refused"
    return "sound" if done.stdout == genuine else "silent"


def campaign(count: int, seed: int, folder: Path) -> Iterator[tuple[str, str, Outcome, Path]]:
    """Reads so many mutants; gives the target, the verdict, the outcome, and the mutant, which lasts until the next."""
    random = np.random.default_rng(seed)
    aims = targets(folder)
    mutant = folder / "mutant"
    with Forks("onnx") as forks:
        genuine = [forks.run(aim.path, call="digest").stdout for aim in aims]
        for index in range(count):
            aim = aims[index % len(aims)]
            mutant.write_bytes(aim.mutated(random))
            done = forks.run(mutant, call="digest")
            if done.computing > SECONDS:  # a machine that hesitates is not the file's doing
                done = min(done, forks.run(mutant, call="digest"), key=lambda outcome: outcome.computing)
            yield aim.path.name, verdict(done, genuine[index % len(aims)]), done, mutant


def main() -> None:
    parser = argparse.ArgumentParser(description="Reads damaged files and counts how that ends.")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--keep", type=Path, help="a folder for the mutants that are no credit to us")
    options = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, found, done, mutant in campaign(options.count, options.seed, Path(folder)):
            counts[name, found] += 1
            if sum(counts.values()) % 1_000 == 0:
                print(f"{sum(counts.values()):,} done", flush=True)
            if found in (*DEFECTS, "silent"):
                index = sum(counts.values())
                print(f"{index} {name}: {found} (exit {done.code}) {done.stderr[-300:]}", flush=True)
                if options.keep:
                    options.keep.mkdir(exist_ok=True)
                    (options.keep / f"{index}-{found}-{name}").write_bytes(mutant.read_bytes())
    for (name, found), count in sorted(counts.items()):
        print(f"{name:18} {found:14} {count:7,}")
    silent = sum(count for (_, found), count in counts.items() if found == "silent")
    print(f"{options.count:,} mutations, seed {options.seed}; silently wrong: {silent / options.count:.3%}")
    sys.exit(any(found in DEFECTS for _, found in counts))


if __name__ == "__main__":
    main()
