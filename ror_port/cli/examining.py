"""What is installed: the command doctor."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from ror_port import __version__
from ror_port.cli.streams import show
from ror_port.errors import MissingExtra

EXTRAS = ("", "tensorflow", "torch", "onnx", "images", "yaml", "scripts", "remote")
"""Extras of ror-port, the first for what it needs itself."""

RUN = {"keras": "keras", "torch": "torch", "onnxruntime": "onnxruntime"}
"""Package → what `ror_port.frameworks.devices` calls the framework that runs networks with it."""

SECONDS = 300
"""For a framework to start."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def doctor(as_json: bool) -> None:
    """Which frameworks are installed, in which versions, whether they start, and what GPU they see.

    Ends with 10 where one that is installed does not start.
    """
    import platform

    found = list(_examined())
    if as_json:
        click.echo(json.dumps({"ror_port": __version__, "python": platform.python_version(), "packages": found}))
    else:
        show("\n".join(_lines(found)))
    if any(package["problem"] for package in found):
        sys.exit(MissingExtra.exit_code)


def _examined() -> Iterator[dict[str, Any]]:
    from ror_port.frameworks import required

    known = {_name(pin): pin.partition("==")[2] for pin in required("dev") if "==" in pin}
    for extra in EXTRAS:
        for requirement in required(extra):
            name = _name(requirement)
            version = _version(name)
            started = _started(RUN[name]) if version and name in RUN else {}
            yield {
                "package": name,
                "extra": extra or None,
                "requirement": requirement,
                "installed": version,
                "tested": known.get(name),
                "gpus": started.get("gpus"),
                "problem": started.get("problem"),
            }


def _name(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    return match[0] if match else requirement


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _started(framework: str) -> dict[str, Any]:
    """The GPUs that a framework sees, or why it does not start; found out in a process that it may crash."""
    import subprocess

    code = f"import json; from ror_port.frameworks import devices; print(json.dumps(devices({framework!r})))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"does not start within {SECONDS} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"ends with {done.returncode}"]
        return {"problem": f"does not start: {said[-1].rpartition('MissingExtra: ')[2][:300]}"}
    return {"gpus": json.loads(done.stdout.splitlines()[-1])}


def _lines(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    import platform

    from ror_port.cli.text import table

    yield f"ror-port {__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield ""
    if not found:
        yield "run from a checkout that is not installed: what it needs is in pyproject.toml"
        return
    rows: list[tuple[str, ...]] = [("extra", "package", "installed", "tested with", "")]
    for each in found:
        state = each["problem"] or ""
        if each["gpus"] is not None:
            state = f"starts; {', '.join(each['gpus']) or 'no GPU'}"
        if not each["installed"]:
            state = f"pip install '{each['requirement']}'"
        rows.append((each["extra"] or "", each["package"], each["installed"] or "no", each["tested"] or "", state))
    yield from table(rows)
