"""The command starts fast because nothing is imported before it is needed."""

import os
import subprocess
import sys

import pytest

STARTING = {"click", "ror_port"}
CONVERTING = STARTING | {"numpy", "h5py"}
COMMANDS = {
    "--help": STARTING,
    "--version": STARTING,
    "inspect --help": STARTING,
    "inspect WEIGHTS": CONVERTING,
    "theano-to-tf WEIGHTS -o OUT.keras --dry-run": CONVERTING,
    "theano-to-tf WEIGHTS -o OUT.keras --no-verify": CONVERTING,
    "theano-to-tf WEIGHTS -o OUT.weights.h5 --no-verify": CONVERTING,
    "theano-to-tf WEIGHTS -o OUT.h5 --no-verify": CONVERTING,
    "to-torch WEIGHTS -o OUT --no-verify": CONVERTING | {"safetensors"},
    "to-onnx WEIGHTS -o OUT.onnx --no-verify": CONVERTING | {"onnx", "google", "ml_dtypes", "typing_extensions"},
    "to-theano WEIGHTS -o OUT.h5 --no-verify": CONVERTING,
    "list": STARTING,
}
"""Command → all that it may import besides the standard library: no framework, no rich."""


def imported(script: str, **environment: str) -> set[str]:
    """The packages outside the standard library that a script has imported in the end."""
    script += (
        "\nimport sys\n"  # what Cython puts beside them was not imported, and has no spec
        "print('IMPORTED', *{n.partition('.')[0] for n, m in sys.modules.items() if getattr(m, '__spec__', None)})"
    )
    environment = os.environ | environment
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    return set(done.stdout.rpartition("IMPORTED")[2].split()) - sys.stdlib_module_names


@pytest.fixture(scope="module")
def python() -> set[str]:
    """What every Python here loads by itself."""
    return imported("")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_may_import(command, python, pre_ror, tmp_path) -> None:
    arguments = command.replace("WEIGHTS", str(pre_ror.weights)).replace("OUT", str(tmp_path / "net")).split()
    script = (
        "from ror_port.cli import cli\n"
        f"try: cli({arguments!r})\nexcept SystemExit as stop: assert not stop.code, stop.code\n"
    )
    assert imported(script) - python <= COMMANDS[command]


def test_what_shell_completion_may_import(python) -> None:
    script = "from ror_port.cli import cli\ntry: cli(prog_name='ror-port')\nexcept SystemExit: pass\n"
    completing = {"_ROR_PORT_COMPLETE": "bash_complete", "COMP_WORDS": "ror-port theano-to-tf --", "COMP_CWORD": "2"}
    assert imported(script, **completing) - python <= STARTING
