"""The tool starts in a blink because nothing is imported before it is needed."""

import subprocess
import sys

import pytest

FRAMEWORKS = {"tensorflow", "keras", "torch", "onnx", "jax"}
COMMANDS = {
    "--help": FRAMEWORKS | {"numpy", "h5py", "rich", "safetensors"},
    "--version": FRAMEWORKS | {"numpy", "h5py", "rich", "safetensors"},
    "inspect WEIGHTS": FRAMEWORKS | {"rich", "safetensors"},
    "theano-to-tf WEIGHTS -o OUT.keras --no-verify": FRAMEWORKS | {"rich", "safetensors"},
    "theano-to-tf WEIGHTS -o OUT.weights.h5 --no-verify": FRAMEWORKS | {"rich", "safetensors"},
    "theano-to-tf WEIGHTS -o OUT.h5 --no-verify": FRAMEWORKS | {"rich", "safetensors"},
    "to-torch WEIGHTS -o OUT --no-verify": FRAMEWORKS | {"rich"},
    "list": FRAMEWORKS | {"h5py", "rich", "safetensors"},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_may_not_import(command, pre_ror, tmp_path) -> None:
    arguments = command.replace("WEIGHTS", str(pre_ror.weights)).replace("OUT", str(tmp_path / "net")).split()
    script = (
        "import sys\nfrom ror_port.cli import cli\n"
        f"try: cli({arguments!r})\nexcept SystemExit as stop: assert not stop.code, stop.code\n"
        "print('IMPORTED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(done.stdout.rpartition("IMPORTED")[2].split())
    assert imported & COMMANDS[command] == set()
