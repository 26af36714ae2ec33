"""Mutation fuzzing: files whose descriptions of tensors are damaged, and the outcome of reading them.

Run by scripts/fuzz. Every mutant is read whole, in a child of its own, and its outcome is one of these:

    harmless    the genuine tensors: the damage changed nothing that is read
    refused     a documented error
    silent      other tensors than the genuine ones, though no byte of a tensor was changed
    followed    other tensors, or under other names, where the architecture is another one
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
from mutate import Architecture, Target

sys.path.insert(0, str(ROOT))  # scripts/fuzz runs this file as a script

from ror_port.convert.write import write
from ror_port.formats.format import by_name
from ror_port.source.port import load

SEED = 8
SECONDS, MEMORY = 2.0, 256 << 20
"""Of processor time, and bytes: more is a defect."""

DOCUMENTED = {3, 4, 5, 6, 7}
DEFECTS = ("undocumented", "slow", "large", "hung", "signal")


def targets(folder: Path) -> list[Target]:
    """Genuine files of two generations of Keras, and what one is converted to, in all formats but PyTorch's own."""
    genuine = ROOT / "fixtures" / "pre-ror-3-10_keras-1.0.6" / "weights.h5"
    paths = [genuine, ROOT / "fixtures" / "pre-ror-3-10_keras-2.3.1" / "model.h5"]
    for format, name in (("weights", "net.weights.h5"), ("keras", "net.keras")):
        paths.append(folder / name)
        with load(genuine) as port:
            write(port, folder / name, by_name(format))
    with load(genuine) as port:
        write(port, folder / "net", by_name("safetensors"))
        write(port, folder / "net.onnx", by_name("onnx"))
    shutil.copy(folder / "net" / "model.safetensors", folder)  # alone, without the config.json beside it
    paths += [folder / "model.safetensors", folder / "net.onnx"]
    return [Target(path) for path in paths]


def architectures(folder: Path) -> list[Architecture]:
    """A genuine full model and, once `targets` made it, a ``.keras`` file."""
    return [
        Architecture(ROOT / "fixtures" / "pre-ror-3-10_keras-2.3.1" / "model.h5"),
        Architecture(folder / "net.keras"),
    ]


def verdict(done: Outcome, genuine: str) -> str:
    """The outcome of reading a mutant, in one word. genuine: the digest of the genuine tensors."""
    if done.hung:
        return "hung"
    if done.code < 0:
        return "signal"
    if done.code and (done.code not in DOCUMENTED or done.stderr.count("\n") != 1):
        return "undocumented"
    if done.seconds > SECONDS:
        return "slow"
    if done.growth > MEMORY:
        return "large"
    if done.code:
        return "refused"
    return "harmless" if done.stdout == genuine else "silent"


def campaign(count: int, seed: int, folder: Path) -> Iterator[tuple[str, str, Outcome, Path]]:
    """Reads so many mutants; yields target, verdict, outcome and mutant, which exists until the next one."""
    random = np.random.default_rng(seed)
    aims: list[Target | Architecture] = [*targets(folder), *architectures(folder)]
    mutant = folder / "mutant"
    with Forks("onnx") as forks:
        genuine = [forks.run(aim.path, call="digest").stdout for aim in aims]
        for index in range(count):
            aim = aims[index % len(aims)]
            mutant.write_bytes(aim.mutated(random))
            done = forks.run(mutant, call="digest")
            if done.seconds > SECONDS:  # processor time too varies with what else the machine does
                done = min(done, forks.run(mutant, call="digest"), key=lambda outcome: outcome.seconds)
            found = verdict(done, genuine[index % len(aims)])
            if isinstance(aim, Architecture):
                found = found.replace("silent", "followed")
                yield f"{aim.path.name}, architecture", found, done, mutant
            else:
                yield aim.path.name, found, done, mutant


def main() -> None:
    parser = argparse.ArgumentParser(description="Reads damaged files and counts the outcomes.")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--keep", type=Path, help="a folder for the mutants that show a defect")
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
        print(f"{name:24} {found:14} {count:7,}")
    silent = sum(count for (_, found), count in counts.items() if found == "silent")
    print(f"{options.count:,} mutations, seed {options.seed}; silently wrong: {silent / options.count:.3%}")
    sys.exit(any(found in DEFECTS for _, found in counts))


if __name__ == "__main__":
    main()
