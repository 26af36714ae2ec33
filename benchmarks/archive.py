"""Two thousand files in one run: time, memory, and what is left of it when something is killed.

    benchmarks/archive [--files N] [--rounds N] [--folder FOLDER] [--json FILE]

The archive has genuine models and weights, one in twenty broken, one hostile, two the same as another. Measured are
whole commands with --no-verify, in turns with --jobs 1 and 2; the growth of the resident memory of all their processes
from a tenth of the rows to the end; and whether the ledger and every output are, byte for byte, those of an undisturbed
run, once the command was killed -9 half-way, and once on a Dask cluster of two workers of which one was killed -9
half-way and the client at three quarters, and both were started again. Give a folder in memory (/dev/shm) where the
disk is what limits --jobs.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from archives import archive, files  # noqa: E402

EXAMPLE = ROOT / "docs" / "examples" / "dask_folder.py"


def rows_in(out: Path) -> int:
    """Rows that the journal of a run has by now."""
    try:
        return (out / "report.part.jsonl").read_bytes().count(b'\n{"ledger"')
    except FileNotFoundError:
        return 0


def processes(root: int) -> list[int]:
    """A process and all that it began."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):  # it has ended
            for task in os.listdir(f"/proc/{pid}/task"):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def resident(pids: Sequence[int]) -> int:
    """Bytes of memory that processes have of their own."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(1024 * int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
    return total


def command(zoo: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "ror_port", "theano-to-tf", str(zoo), "-o", str(out), "--no-verify", *more]


def begin(command: Sequence[str]) -> subprocess.Popen[bytes]:
    where = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=where, start_new_session=True
    )


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    begin(command).wait()
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def growth(zoo: Path, out: Path, count: int) -> float:
    """MB of the memory of all processes, from a tenth of the rows to the end. Sampled, as workers fork all the time."""
    samples: list[tuple[int, int]] = []
    process = begin(command(zoo, out, "--jobs", "2"))
    while process.poll() is None:
        children = [pid for pid in processes(process.pid) if pid == process.pid or is_worker(pid)]
        samples.append((rows_in(out), resident(children)))
        time.sleep(0.05)
    early = [bytes for rows, bytes in samples if count / 10 <= rows <= count / 5]
    late = [bytes for rows, bytes in samples if rows >= count * 0.7]
    return (statistics.median(late) - statistics.median(early)) / 1e6


def is_worker(pid: int) -> bool:
    """Whether a process is one that stays, not one that was forked to describe a file."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return (
            b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
            and b"spawn_main" not in Path(f"/proc/{parent}/cmdline").read_bytes()
        )
    except OSError:
        return False


def same(out: Path, undisturbed: Path) -> bool:
    pairs = [(path, path) for path in files(undisturbed)] + [(Path("report.jsonl"), Path("report.jsonl"))]
    contents = all((out / a).read_bytes() == (undisturbed / b).read_bytes() for a, b in pairs)
    return contents and list(files(out)) == list(files(undisturbed))


def wait_for(rows: int, out: Path, process: subprocess.Popen[bytes]) -> None:
    while rows_in(out) < rows:
        if process.poll() is not None:
            sys.exit("the run ended before it was killed")
        time.sleep(0.002)


def killed(zoo: Path, out: Path, count: int) -> None:
    process = begin(command(zoo, out, "--jobs", "2"))
    wait_for(count // 2, out, process)
    process.kill()
    process.wait()
    begin(command(zoo, out, "--jobs", "2", "--skip-done")).wait()


def killed_on_dask(zoo: Path, out: Path, count: int) -> None:
    run = [sys.executable, str(EXAMPLE), str(zoo), str(out)]
    process = begin(run)
    wait_for(count // 2, out, process)
    worker = next(pid for pid in processes(process.pid) if is_worker(pid))
    os.kill(worker, signal.SIGKILL)
    wait_for(count * 3 // 4, out, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    begin(run).wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Two thousand files in one run.")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where files are made; the default is a temporary folder")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "archive.json")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        found: dict[str, Any] = {"machine": list(machine()), "files": given.files, "rounds": []}
        zoo, undisturbed = folder / "zoo", folder / "undisturbed"
        zoo.mkdir()
        archive(zoo, given.files)
        begin(command(zoo, undisturbed, "--jobs", "2")).wait()
        rows = [json.loads(line) for line in (undisturbed / "report.jsonl").read_text().splitlines()]
        found["statuses"] = {
            status: sum(row["status"] == status for row in rows) for status in sorted({row["status"] for row in rows})
        }
        found["rows"] = len(rows)
        originals = sum(row["status"] != "duplicate" for row in rows)
        for _ in range(given.rounds):
            shutil.rmtree(folder / "out", ignore_errors=True)
            one = timed(command(zoo, folder / "out", "--jobs", "1"))
            shutil.rmtree(folder / "out")
            two = timed(command(zoo, folder / "out", "--jobs", "2"))
            found["rounds"].append({"wall_1": one[0], "cpu_1": one[1], "wall_2": two[0], "cpu_2": two[1]})
            print(
                f"{one[0] / two[0]:.2f} times as fast with two, {1000 * two[1] / originals:.0f} ms a file", flush=True
            )
        shutil.rmtree(folder / "out")
        found["growth_mb"] = growth(zoo, folder / "out", originals)
        print(f"growth {found['growth_mb']:.1f} MB", flush=True)
        for name, disturb in (("killed", killed), ("killed_on_dask", killed_on_dask)):
            disturb(zoo, folder / name, originals)
            found[name] = same(folder / name, undisturbed)
            print(f"{name}: {'the same' if found[name] else 'NOT the same'}", flush=True)
    finally:
        shutil.rmtree(folder)
    given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
