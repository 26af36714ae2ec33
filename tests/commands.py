"""The command as its user meets it: in a process of its own, by its exit code and its output."""

from __future__ import annotations

import subprocess
import sys


def run(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "ror_port", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, **options)
