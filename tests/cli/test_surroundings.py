"""What surrounds the command: streams, locale, terminal, limits of the system, a full disk, an odd file name.

Each ends with its documented exit code and one line, and leaves nothing half-written.
"""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from commands import run
from genuine import DIGITS
from ror_port.cli.streams import fitted
from ror_port.errors import BadValues, OutputError, SystemLimit, UnknownNetwork

FAST = ("--no-verify",)


@pytest.fixture
def weights(genuine, tmp_path) -> Path:
    path = tmp_path / "digits.h5"
    path.write_bytes(genuine(DIGITS).weights.read_bytes())
    return path


def environment(**changes: str) -> dict[str, str]:
    return os.environ | changes


def shell(redirection: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command under a shell's redirections or limits; {} stands for it."""
    command = redirection.replace("{}", f'{sys.executable} -m ror_port "$@"')
    words = ["bash", "-c", command, "bash", *map(str, arguments)]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=240)


def limited(name: int, value: int):
    return lambda: resource.setrlimit(name, (value, value))


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_an_encoding_without_a_character_gets_an_escape_sequence(weights, encoding) -> None:
    """On 7d379ca: a traceback after the output was written."""
    done = run("theano-to-tf", weights, *FAST, env=environment(PYTHONIOENCODING=encoding), encoding="latin-1")
    assert done.returncode == 0, done.stderr
    assert "(variance + epsilon)" in done.stdout
    assert encoding == "ascii" or r"\u221a(" in done.stdout  # click prints UTF-8 where ASCII is set
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [("inspect", "digits.h5"), ("--help",), ("list",)])
def test_a_full_stdout_is_reported(weights, arguments) -> None:
    """On 7d379ca: a traceback and exit code 1."""
    done = shell("{} > /dev/full", *arguments, cwd=weights.parent)
    assert done.returncode == OutputError.exit_code
    assert done.stderr == "ror-port: standard output: cannot be written (No space left on device)\n"


@pytest.mark.parametrize("streams", ["2>&-", ">&-", "<&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_closed_streams_do_not_matter(weights, streams) -> None:
    """On 7d379ca: exit code 1 with stderr closed; a file that was opened got what was printed."""
    done = shell(f"{{}} {streams}", "theano-to-tf", "digits.h5", *FAST, cwd=weights.parent)
    assert done.returncode == 0
    with zipfile.ZipFile(weights.parent / "digits.keras") as archive:
        assert archive.testzip() is None
    assert shell(f"{{}} {streams}", "inspect", "none.h5", cwd=weights.parent).returncode == 3


def test_a_closed_stderr_does_not_stop_the_check(weights) -> None:
    """On 7d379ca: exit code 1, and nothing printed or written."""
    done = shell("{} 2>&-", "theano-to-tf", "digits.h5", cwd=weights.parent)
    assert done.returncode == 0
    assert "verified in Keras" in done.stdout


def test_a_reader_that_has_enough_is_no_failure_of_the_program(weights) -> None:
    done = shell("{} | true", "inspect", "digits.h5", cwd=weights.parent)
    assert done.stderr == ""


def test_where_no_process_can_be_started_the_command_does_the_work(weights) -> None:
    """On 7d379ca: the fall-back failed."""
    script = (
        "import os\n"
        "def refuse(*arguments, **options): raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "os.fork = os.posix_spawn = refuse\n"
        "from ror_port.cli import main\nmain()"
    )
    command = [sys.executable, "-c", script, "theano-to-tf", str(weights), *FAST]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert names(weights.parent) == ["digits.h5", "digits.keras"]


@pytest.mark.parametrize(
    ("command", "options", "made"),
    [
        ("theano-to-tf", (), b"\xff.keras"),
        ("to-torch", FAST, b"\xff-torch"),
        ("to-onnx", FAST, b"\xff.onnx"),
        ("to-theano", ("--certify",), b"\xff.th.h5.certificate.html"),
    ],
)
def test_a_file_name_that_is_no_text(weights, command, options, made) -> None:
    """On 7d379ca: a UnicodeEncodeError, called a defect, from the PyTorch folder and the certificate."""
    odd = os.fsdecode(os.fsencode(weights.parent) + b"/\xff.h5")
    weights.rename(odd)
    done = run(command, odd, *options)
    assert done.returncode == 0, done.stderr
    assert made in os.listdir(os.fsencode(weights.parent))
    if command == "to-theano":
        assert run("verify", "--certificate", weights.parent / "\udcff.th.h5.certificate.json").returncode == 0


@pytest.mark.parametrize("files", [5, 6])  # with fewer Python does not start
def test_few_open_files(weights, files) -> None:
    """On 7d379ca: the file was called damaged."""
    done = shell(f"ulimit -n {files}; {{}}", "theano-to-tf", "digits.h5", *FAST, cwd=weights.parent)
    assert done.returncode in (0, SystemLimit.exit_code), done.stderr
    assert done.stderr.count("\n") == bool(done.returncode)
    assert "damaged" not in done.stderr
    assert names(weights.parent) in (["digits.h5"], ["digits.h5", "digits.keras"])


@pytest.mark.parametrize("mebibytes", [140, 170, 200, 230])
def test_little_memory(weights, mebibytes) -> None:
    """On 7d379ca: tracebacks, and the file blamed."""
    done = run(
        "theano-to-tf", weights, *FAST,
        preexec_fn=limited(resource.RLIMIT_AS, mebibytes << 20),
        env=environment(OPENBLAS_NUM_THREADS="1"),
    )  # fmt: skip
    assert done.returncode in (0, SystemLimit.exit_code), done.stderr
    assert done.stderr.count("\n") == bool(done.returncode)
    assert names(weights.parent) in (["digits.h5"], ["digits.h5", "digits.keras"])


@pytest.mark.parametrize("end", ["os.abort()", "os.kill(os.getpid(), 9)"])
def test_an_abort_leaves_no_temporary_file(weights, end) -> None:
    """On 7d379ca: ``.part-…`` was left where a library aborted for want of memory."""
    script = (
        "import os, ror_port\n"
        "from ror_port.check import verify\n"
        f"verify.verify = lambda *arguments, **options: {end}\n"
        f"ror_port.save(ror_port.load({str(weights)!r}), {str(weights.parent / 'net.keras')!r})\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=120, preexec_fn=limited(resource.RLIMIT_CORE, 0)
    )
    assert done.returncode < 0
    for _ in range(100):
        if names(weights.parent) == ["digits.h5"]:
            break
        select.select([], [], [], 0.05)
    assert names(weights.parent) == ["digits.h5"]


DISK_FULL = """
import os, sys
from pathlib import Path
genuine, left = Path.write_text, [int(sys.argv.pop(1))]
def write_text(self, *arguments, **options):
    left[0] -= 1
    if left[0] < 0:
        raise OSError(28, os.strerror(28))
    return genuine(self, *arguments, **options)
Path.write_text = write_text
from ror_port.cli import main
main()
"""
"""The command on a disk that is full after so many texts."""


@pytest.mark.parametrize("texts", [0, 1])
def test_half_a_certificate_is_none(weights, texts) -> None:
    """On 7d379ca: the output and the half of a certificate stayed."""
    command = [sys.executable, "-c", DISK_FULL, str(texts), "to-theano", str(weights), "--certify"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == OutputError.exit_code
    assert re.fullmatch(r"ror-port: .*certificate.*: cannot be written \(No space left on device\)\n", done.stderr)
    assert names(weights.parent) == ["digits.h5"]


def test_no_certificate_of_values_that_mean_nothing(weights) -> None:
    """On 7d379ca: exit code 1, a defect, and the output kept."""
    import h5py
    import numpy as np

    with h5py.File(weights, "r+") as file:
        file["dense_2/dense_2_b"][0] = np.nan
    done = run("to-theano", weights, "--certify", "--allow-bad-values")
    assert done.returncode == BadValues.exit_code
    assert done.stderr.count("\n") == 1
    assert names(weights.parent) == ["digits.h5"]


@pytest.mark.parametrize("kibibytes", [100, 1360])
def test_a_savedmodel_on_a_full_disk(weights, kibibytes) -> None:
    """On 7d379ca: an error of TensorFlow's, called a defect. A limit of the size of files stands for the disk."""
    done = run(
        "theano-to-tf", weights, "--format", "savedmodel", *FAST,
        preexec_fn=limited(resource.RLIMIT_FSIZE, kibibytes << 10),
    )  # fmt: skip
    assert done.returncode == OutputError.exit_code, done.stderr
    assert done.stderr.count("\n") == 1
    assert names(weights.parent) == ["digits.h5"]


def test_foreign_modules_in_a_keras_file(weights) -> None:
    """On 7d379ca: an error of Keras', called a defect."""
    assert run("theano-to-tf", weights, *FAST).returncode == 0
    foreign = weights.parent / "foreign.keras"
    with zipfile.ZipFile(weights.parent / "digits.keras") as old, zipfile.ZipFile(foreign, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D")
                layer |= {"module": "somebody.layers", "registered_name": "somebody>Conv2D"}
                content = json.dumps(config).encode()
            new.writestr(zipfile.ZipInfo(name), content)
    for arguments in (("inspect", foreign), ("verify", weights, foreign), ("theano-to-tf", foreign, "-o", "out/")):
        done = run(*arguments, cwd=weights.parent)
        assert done.returncode == UnknownNetwork.exit_code, done.stderr
        assert re.fullmatch(r"ror-port: .*: layer '.*': a layer of 'somebody>Conv2D', which is not .*\n", done.stderr)


def on_terminal(*arguments: object, columns: int = 80, **changes: str) -> str:
    """What the command prints on a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ror_port", *map(str, arguments)]
    surroundings = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
    with subprocess.Popen(
        command,
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env=surroundings | {"TERM": "xterm", "COLUMNS": str(columns)} | changes,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the terminal was closed at its other end
                break
            if not piece:
                break
            shown += piece
        process.wait(timeout=120)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(("changes", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_only_where_they_are_wanted(weights, changes, coloured) -> None:
    """On 7d379ca: colours in any case."""
    assert ("\x1b[" in on_terminal("inspect", weights, **changes)) is coloured


@pytest.mark.parametrize("arguments", [("inspect", "--layers"), ("list",), ("--help",)])
def test_sixty_columns_break_no_words(weights, arguments) -> None:
    """On 7d379ca: lines of up to 130 characters, which the terminal broke within words."""
    wide, narrow = (
        on_terminal(*arguments, *([weights] if "inspect" in arguments else []), columns=columns, TERM="dumb")
        for columns in (1000, 60)
    )
    too_long = [line for line in narrow.splitlines() if len(line) > 60]
    assert [line for line in too_long if max(map(len, line.split())) <= 56] == []
    if "--help" not in arguments:  # whose paragraphs click fills
        assert narrow.split() == wide.split()


def test_long_lines_are_continued_below_their_last_column() -> None:
    row = "  assumed   epsilon  0.001  default since Keras 1.2.0; 1e-05 in 1.0.8 to 1.1.2"
    assert fitted(row, 60).splitlines() == [
        "  assumed   epsilon  0.001  default since Keras 1.2.0; 1e-05",
        "                            in 1.0.8 to 1.1.2",
    ]
    assert fitted(row, 40).splitlines() == [  # too narrow for columns
        "  assumed  epsilon  0.001  default since",
        "    Keras 1.2.0; 1e-05 in 1.0.8 to 1.1.2",
    ]
    assert fitted("short\n\nlines", 60) == "short\n\nlines"
