"""What `ror-port doctor` says of frameworks that are there, that are missing, and that do not start."""

import json
import os
import platform
import tomllib
from importlib import metadata

import pytest

from commands import run
from genuine import ROOT
from ror_port.cli.examining import EXTRAS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def hidden(tmp_path):
    """Makes a package look as if it were another: its module is what is given, in the command's process."""

    def hide(name: str, text: str) -> dict[str, str]:
        (tmp_path / f"{name}.py").write_text(text)
        return os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}

    return hide


def test_every_package_of_every_extra_is_listed_with_the_version_that_is_tested() -> None:
    done = run("doctor", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["python"] == platform.python_version()
    requirements = [*PROJECT["dependencies"]]
    for extra in EXTRAS[1:]:
        requirements += PROJECT["optional-dependencies"][extra]
    assert [package["requirement"] for package in found["packages"]] == requirements
    for package in found["packages"]:
        assert package["installed"] == metadata.version(package["package"])
        assert package["tested"], f"{package['package']} is not pinned"
        assert package["problem"] is None
    assert [package["package"] for package in found["packages"] if package["gpus"] is not None] == [
        *("keras", "torch", "onnxruntime")
    ]


def test_extras_are_those_that_there_are() -> None:
    assert set(EXTRAS[1:]) == PROJECT["optional-dependencies"].keys() - {"all", "dev", "demo", "docs"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise ImportError('no such library')", "does not start: PyTorch is installed but cannot be imported"),
        ("import os; os.abort()", "does not start: ends with -6"),
    ],
)
def test_a_framework_that_does_not_start_is_told(hidden, text, problem) -> None:
    done = run("doctor", env=hidden("torch", text))
    assert done.returncode == 10
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("  torch ")]
    assert problem in line
