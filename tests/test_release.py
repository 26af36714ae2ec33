"""What would be published has one version, and workflows call scripts that there are. `scripts/release` builds it."""

import re
import subprocess
import sys

import pytest
import yaml

from genuine import ROOT
from ror_port import __version__

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def check(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "scripts" / "check_release.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_version_is_the_same_everywhere() -> None:
    assert check("tag", f"v{__version__}").returncode == 0
    other = check("tag", "v9.9.9")
    assert other.returncode == 1
    assert "9.9.9 is not the version everywhere" in other.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_scripts_that_there_are(path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands
    for command in commands:
        script = re.search(r"(?:\./|python3 )?([\w./-]+)", command)[1]
        assert (ROOT / script).is_file(), command


def test_the_citation_can_be_read() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "title", "message", "authors", "version", "type", "license"} <= cited.keys()
    assert cited["version"] == __version__
