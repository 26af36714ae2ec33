"""Runs what a page shows, in the folder where it lies: every command, and all Python in one process. The first failure
ends it.

    python scripts/newcomer.py README.md
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs"))

from pages import steps


def main() -> int:
    page = Path(sys.argv[1])
    names = {"__name__": "__main__"}
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.dont_write_bytecode = True
    started = time.monotonic()
    found = list(steps(page.read_text(encoding="utf-8").splitlines()))
    for step in found:
        print(f"{page}:{step.line}: {step.source.splitlines()[0]}", flush=True)
        if step.language == "python":
            exec(compile(step.source, f"{page}:{step.line}", "exec"), names)
            continue
        done = subprocess.run(["bash", "-o", "pipefail", "-c", step.source], stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            print(f"{page}:{step.line}: exit code {done.returncode}", file=sys.stderr)
            return 1
    print(f"{len(found)} steps of {page} in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
