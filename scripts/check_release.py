"""Checks what would be published: what is in sdist and wheel, and that what a wheel installed works without a clone.

check_release.py contents DIST        the files in the archives of a folder
check_release.py installed FOLDER     a virtual environment that a wheel was installed in
check_release.py converted FOLDER     the ledger of networks that were converted, and checked in their framework
"""

# ruff: noqa: T201
from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "fixtures" / "digits-ror-3-wrn-10-2_keras-1.2.2" / "weights.h5"


def contents(folder: Path) -> None:
    """Each has every file of the package and nothing that is not meant to be there."""
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "ror_port").rglob("*")
        if path.suffix in (".py", ".json", ".typed") and "__pycache__" not in path.parts
    }
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.partition("/")[0].endswith(".dist-info")}
    compare("wheel", names, package)
    with tarfile.open(sdist) as archive:
        names = {item.name.partition("/")[2] for item in archive if item.isfile()}
    made = {"PKG-INFO", "setup.cfg"}
    about = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "SECURITY.md", "MANIFEST.in", "pyproject.toml"}
    compare("sdist", {name for name in names if ".egg-info/" not in name}, package | about | made)


def compare(what: str, found: set[str], expected: set[str]) -> None:
    if found != expected:
        sys.exit(f"{what}: lacks {sorted(expected - found)}, has too much: {sorted(found - expected)}")
    print(f"{what}: {len(found)} files, as they should be")


def installed(environment: Path) -> None:
    """The commands of the README's quick start, away from the clone."""
    command = environment.resolve() / "bin" / "ror-port"
    with tempfile.TemporaryDirectory() as folder:

        def run(*arguments: str) -> str:
            done = subprocess.run([command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"ror-port {' '.join(arguments)} ends with {done.returncode}:\n{done.stderr}")
            return done.stdout

        (Path(folder) / "digits.h5").write_bytes(WEIGHTS.read_bytes())
        assert json.loads(run("inspect", "digits.h5", "--json"))["network"]["name"] == "RoR-3-WRN-10-2"
        for target in (("theano-to-tf", "net.keras"), ("to-torch", "net"), ("to-theano", "back.h5")):
            run(target[0], "digits.h5", "-o", target[1], "--no-verify")
        checked = json.loads(run("to-onnx", "digits.h5", "--json"))["verification"]
        assert checked["passed"] is True, checked
        assert json.loads(run("inspect", "net.keras", "--json"))["convertible"]
        run("doctor")
    print(f"  works; ONNX Runtime: relative L2 error {checked['difference']['relative_l2']:.1e}")


def converted(folder: Path) -> None:
    """No network failed, none was left unchecked, and most files were converted."""
    rows = list(map(json.loads, (folder / "report.jsonl").read_text(encoding="utf-8").splitlines()))
    for row in rows:
        if row["status"] == "failed" or (row["written"] and not (row["verification"] or {}).get("passed")):
            sys.exit(f"{row['file']}: {row['reason'] or row['verification'] or 'not checked'}")
    checked = [row["verification"]["runtime"] for row in rows if row["status"] == "converted"]
    if 2 * len(checked) < max(len(rows), 1):
        sys.exit(f"{len(checked)} of {len(rows)} files converted; more are expected")
    print(f"{len(checked)} of {len(rows)} files converted, all of them right in {', '.join(sorted(set(checked)))}")


def tag(name: Path) -> None:
    """The version of the tag is that of the package, of the citation, and of the newest changes."""
    version = str(name).removeprefix("v")
    stated = {
        "pyproject.toml": re.search(r'^version = "(.+)"', read("pyproject.toml"), re.M),
        "ror_port/__init__.py": re.search(r'^__version__ = "(.+)"', read("ror_port/__init__.py"), re.M),
        "CITATION.cff": re.search(r"^version: (.+)", read("CITATION.cff"), re.M),
        "CHANGELOG.md": re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M),
    }
    others = {path: found and found[1] for path, found in stated.items() if not found or found[1] != version}
    if others:
        sys.exit(f"{version} is not the version everywhere: {others}")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


if __name__ == "__main__":
    commands = {"contents": contents, "installed": installed, "converted": converted, "tag": tag}
    commands[sys.argv[1]](Path(sys.argv[2]))
