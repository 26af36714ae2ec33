"""Measures ror-port beside what one would write by hand: whole processes, side by side, in one run.

    benchmarks/run [--runs N] [--folder FOLDER] [--json FILE] [--only PART …]

Every part runs its commands in turn, once to warm up and then N times, and compares them round by round, so that a
machine which gets slower gets slower for all of them. Printed are medians, and ratios as median (min–max). CPU is user
and system time of all threads; peak is the largest resident memory. Files lie in --folder; give one in memory
(/dev/shm) where the disk is what limits --jobs.

This process imports nothing large: what the kernel calls the peak of a child includes its parent's at the start.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PYTHON = [sys.executable]
ROR_PORT = [sys.executable, "-m", "ror_port"]
PACKAGES = ("ror-port", "numpy", "h5py", "keras", "tensorflow", "torch")
MB = 1e6

Command = Sequence[str | Path]


class Usage(NamedTuple):
    """What one process took. cpu, wall: seconds. peak: bytes."""

    cpu: float
    peak: float
    wall: float


class Ratio(NamedTuple):
    median: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.median >= 0.4:
            return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"
        return f"1/{1 / self.median:.1f} (1/{1 / self.high:.1f}–1/{1 / self.low:.1f})"


Measured = dict[str, list[Usage]]
"""Name of a command → its runs, of which those of one round are comparable."""


def call(command: Command, **environment: str) -> Usage:
    surroundings = os.environ | environment
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=surroundings)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{said.decode(errors='replace')}")
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, time.monotonic() - started)


def measure(commands: Mapping[str, Command], runs: int, **environment: str) -> Measured:
    measured: Measured = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            print(f"\r\x1b[K{number}/{runs} {name}", end="", file=sys.stderr, flush=True)
            usage = call(command, **environment)
            if number:
                measured[name].append(usage)
    print("\r\x1b[K", end="", file=sys.stderr)
    return measured


def median(measured: Measured, name: str) -> Usage:
    return Usage(*map(statistics.median, zip(*measured[name], strict=True)))


def ratio(measured: Measured, figure: str, of: str, to: str) -> Ratio:
    pairs = zip(measured[of], measured[to], strict=True)
    ratios = [getattr(a, figure) / getattr(b, figure) for a, b in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def table(rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for row in rows[1:]:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def generate(blocks: int, width: int, folder: Path) -> Path:
    path = folder / f"RoR-3-WRN-{6 * blocks + 4}-{width}.h5"
    if not path.exists():
        call([*PYTHON, HERE / "generate.py", str(blocks), str(width), path])
    return path


def converting(weights: Path, out: Path) -> dict[str, Command]:
    """Every format that can be written without a framework."""
    options = ["--no-verify", "--force", "-o"]
    return {
        "theano-to-tf, .keras": [*ROR_PORT, "theano-to-tf", weights, *options, out / "net.keras"],
        "theano-to-tf, .weights.h5": [*ROR_PORT, "theano-to-tf", weights, *options, out / "net.weights.h5"],
        "theano-to-tf, .h5": [*ROR_PORT, "theano-to-tf", weights, *options, out / "net.h5"],
        "to-torch": [*ROR_PORT, "to-torch", weights, *options, out / "net"],
        "to-onnx": [*ROR_PORT, "to-onnx", weights, *options, out / "net.onnx"],
        "to-theano": [*ROR_PORT, "to-theano", weights, *options, out / "back.h5"],
    }


FLOOR, KERAS, TORCH = "h5py and NumPy (floor.py)", "Keras (by_hand_keras.py)", "PyTorch (by_hand_torch.py)"


class Application(NamedTuple):
    """One of Keras' own large networks. largest: bytes of its largest tensor. rows: for floor.py, its Dense kernel that
    reads an image, and what was flattened."""

    record: str
    largest: int
    rows: tuple[str, ...] = ()

    def make(self, folder: Path) -> Path:
        path = folder / f"{self.record}.h5"
        if not path.exists():
            call([*PYTHON, HERE / "generate.py", self.record, path])
        return path


APPLICATIONS = {
    "VGG16": Application("vgg16-th", 25_088 * 4096 * 4, ("fc1_W", "512", "7", "7")),
    "ResNet50": Application("resnet50-th", 9 * 512 * 512 * 4),
}


def by_hand(weights: Path, out: Path) -> dict[str, Command]:
    return {
        FLOOR: [*PYTHON, HERE / "floor.py", weights, out / "floor.h5"],
        KERAS: [*PYTHON, HERE / "by_hand_keras.py", weights, out / "by_hand.keras"],
        TORCH: [*PYTHON, HERE / "by_hand_torch.py", weights, out / "by_hand.pt"],
    }


def convert(folder: Path, runs: int) -> Measured:
    """Converting RoR-3-WRN-40-2, beside scripts."""
    weights = generate(6, 2, folder)
    commands = by_hand(weights, folder) | converting(weights, folder)
    measured = measure(commands, runs, TF_CPP_MIN_LOG_LEVEL="3")
    rows = [["", "CPU s", "peak MB", "CPU × floor", "CPU × by hand", "peak × by hand"]]
    for name in commands:
        cpu, peak, _ = median(measured, name)
        beside = {"theano-to-tf": KERAS, "to-torch": TORCH, "to-onnx": TORCH}.get(name.split(",")[0])
        ratios = [str(ratio(measured, "cpu", name, FLOOR))]
        ratios += [str(ratio(measured, figure, name, beside)) if beside else "" for figure in ("cpu", "peak")]
        rows.append([name, f"{cpu:.2f}", f"{peak / MB:.0f}", *ratios])
    table(rows)
    return measured


def start(folder: Path, runs: int) -> Measured:
    """How soon the tool answers."""
    weights = generate(6, 2, folder)
    complete = (
        "import os; os.environ.update(_ROR_PORT_COMPLETE='bash_complete', COMP_WORDS='ror-port theano-to-tf --', "
    )
    complete += "COMP_CWORD='2'); from ror_port.cli import cli; cli(prog_name='ror-port')"
    commands: dict[str, Command] = {
        "python -c pass": [*PYTHON, "-c", "pass"],
        "python -c 'import click'": [*PYTHON, "-c", "import click"],
        "python -c 'import h5py'": [*PYTHON, "-c", "import h5py"],
        FLOOR: by_hand(weights, folder)[FLOOR],
        "--help": [*ROR_PORT, "--help"],
        "--version": [*ROR_PORT, "--version"],
        "completion": [*PYTHON, "-c", complete],
        "inspect": [*ROR_PORT, "inspect", weights],
    }
    measured = measure(commands, runs)
    rows = [["", "CPU s", "peak MB", "CPU × floor"]]
    for name in commands:
        cpu, peak, _ = median(measured, name)
        rows.append([name, f"{cpu:.3f}", f"{peak / MB:.0f}", str(ratio(measured, "cpu", name, FLOOR))])
    table(rows)
    return measured


def growth(folder: Path, runs: int) -> Measured:
    """RoR-3-WRN-28-10, and four times that: throughput beside the floor's; memory above what `inspect` takes."""
    measured: Measured = {}
    rows = [["", "CPU s", "MB/CPU s", "throughput × floor", "peak MB", "above inspect", "largest tensors"]]
    for width in (10, 20):
        weights = generate(4, width, folder)
        file, largest = weights.stat().st_size, 9 * (64 * width) ** 2 * 4
        commands = {
            "inspect": [*ROR_PORT, "inspect", weights],
            FLOOR: by_hand(weights, folder)[FLOOR],
            **converting(weights, folder),
        }
        here = measure(commands, runs)
        for name in commands:
            cpu, peak, _ = median(here, name)
            above = peak - median(here, "inspect").peak
            rows.append(
                [
                    f"k = {width} ({file / MB:.0f} MB), {name}",
                    f"{cpu:.2f}",
                    f"{file / MB / cpu:.0f}",
                    str(ratio(here, "cpu", FLOOR, name)),
                    f"{peak / MB:.0f}",
                    f"{above / file:.2f} × file",
                    f"{above / largest:.1f}",
                ]
            )
        measured |= {f"k = {width}, {name}": usages for name, usages in here.items()}
    table(rows)
    return measured


def applications(folder: Path, runs: int) -> Measured:
    """VGG16 and ResNet50 of Keras 1.2.2, full models: CPU beside the floor's; memory above what `inspect` takes."""
    measured: Measured = {}
    rows = [["", "CPU s", "CPU × floor", "peak MB", "above inspect", "largest tensors"]]
    for network, application in APPLICATIONS.items():
        model = application.make(folder)
        commands = {
            "inspect": [*ROR_PORT, "inspect", model],
            FLOOR: [*PYTHON, HERE / "floor.py", model, folder / "floor.h5", *application.rows],
            **converting(model, folder),
        }
        here = measure(commands, runs)
        for name in commands:
            cpu, peak, _ = median(here, name)
            above = peak - median(here, "inspect").peak
            shown = [f"{cpu:.2f}", str(ratio(here, "cpu", name, FLOOR)), f"{peak / MB:.0f}", f"{above / MB:.0f}"]
            rows.append([f"{network}, {name}", *shown, f"{above / application.largest:.2f}"])
        measured |= {f"{network}, {name}": usages for name, usages in here.items()}
    table(rows)
    return measured


def reference(folder: Path, runs: int) -> Measured:
    """The float64 reference on one core, beside PyTorch in float64; without imports and loading."""
    networks = {
        "RoR-3-WRN-40-2, 8 images": (generate(6, 2, folder), 8),
        "VGG16, 1 image": (APPLICATIONS["VGG16"].make(folder), 1),
    }
    measured: Measured = {}
    one_thread = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    rows = [["", "CPU s", "× PyTorch"]]
    for network, (weights, images) in networks.items():
        net = folder / "reference"
        call([*ROR_PORT, "to-torch", weights, "--no-verify", "--force", "-o", net])
        scripts = {
            f"{network}, {REFERENCE}": [HERE / "reference_numpy.py", weights, str(images)],
            f"{network}, {PYTORCH}": [HERE / "reference_torch.py", net, str(images)],
        }
        measured |= {name: [] for name in scripts}
        for _ in range(runs):
            for name, script in scripts.items():
                done = subprocess.run([*PYTHON, *script], env=one_thread, stdout=subprocess.PIPE, text=True, check=True)
                measured[name].append(Usage(float(done.stdout), 0, 0))
        for name in scripts:
            beside = str(ratio(measured, "cpu", name, f"{network}, {PYTORCH}"))
            rows.append([name, f"{median(measured, name).cpu:.2f}", beside])
    table(rows)
    return measured


REFERENCE, PYTORCH = "NumPy reference", "PyTorch, float64"

SMALL_FILES = 60


def small(folder: Path, runs: int) -> Measured:
    """Many small full models at once: a residual network of genuine Keras 1.2.2, 60 times."""
    model = folder / "small.h5"
    call([*PYTHON, HERE / "generate.py", SMALL, model])
    files = [folder / f"small{number}.h5" for number in range(SMALL_FILES)]
    for file in files:
        file.unlink(missing_ok=True)
        file.hardlink_to(model)
    command = [*ROR_PORT, "theano-to-tf", *files, "-o", folder / "small", "--no-verify", "--force"]
    measured = measure({SMALL: command}, runs)
    rows = [["60 files", "CPU ms each", "peak MB"]]
    cpu, peak, _ = median(measured, SMALL)
    rows.append([SMALL, f"{1000 * cpu / SMALL_FILES:.0f}", f"{peak / MB:.0f}"])
    table(rows)
    return measured


SMALL = "keras-1.2.2-theano-0.9.0/networks/residual-th"


def jobs(folder: Path, runs: int) -> Measured:
    """Eight files of RoR-3-WRN-28-10 one after the other, and two at a time."""
    weights = generate(4, 10, folder)
    files = [weights.with_name(f"copy{number}.h5") for number in range(8)]
    for file in files:
        file.unlink(missing_ok=True)
        file.hardlink_to(weights)
    out = folder / "many"
    command = [*ROR_PORT, "theano-to-tf", *files, "-o", out, "--format", "h5", "--no-verify", "--force"]
    measured = measure({"--jobs 1": command, "--jobs 2": [*command, "--jobs", "2"]}, runs)
    rows = [["8 files", "wall s", "CPU s", "times as fast"]]
    for name in measured:
        cpu, _, wall = median(measured, name)
        rows.append([name, f"{wall:.1f}", f"{cpu:.1f}", str(ratio(measured, "wall", "--jobs 1", name))])
    table(rows)
    return measured


PARTS = {part.__name__: part for part in (convert, start, growth, applications, reference, jobs, small)}


def machine() -> Iterator[str]:
    """The processor, cores, memory, and versions; asked of another process, which may be large."""
    info = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, {memory / 2**30:.0f} GiB"
    yield f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    script = f"from importlib.metadata import version\nfor name in {PACKAGES}: print(name, version(name))"
    yield ", ".join(subprocess.run([*PYTHON, "-c", script], capture_output=True, text=True).stdout.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures ror-port beside what one would write by hand.")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where files are made; the default is a temporary folder")
    parser.add_argument("--json", type=Path, default=HERE / "results.json")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    about = list(machine())
    print(*about, f"{arguments.runs} rounds after a warm-up; median (min–max)\n", sep="\n", flush=True)
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        results = {}
        for name in arguments.only:
            print(f"{PARTS[name].__doc__}\n", flush=True)
            measured = PARTS[name](folder, arguments.runs)
            results[name] = {key: [usage._asdict() for usage in usages] for key, usages in measured.items()}
    finally:
        shutil.rmtree(folder)
    record = {"machine": about, "runs": arguments.runs, "parts": results}
    arguments.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
