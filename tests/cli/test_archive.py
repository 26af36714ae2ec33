"""Folders and lists on the command line: a line a file, a ledger, and what was interrupted goes on."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from archives import archive, files
from commands import run
from gates import HANGS, Gate, wait_until_done
from genuine import ROOT
from genuine_layers import Case, record
from ror_port.many.ledger import Report

FAST = "--no-verify"


@pytest.fixture
def zoo(tmp_path) -> Path:
    """A network of two layers, the same again, what is none, and what is nothing to us."""
    folder = tmp_path / "zoo"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.h5", "sub/again.h5"):
        record(Case("keras-2.2.4-theano-1.0.5", "dense", "two-th")).write(folder / name)
    (folder / "c.h5").write_bytes(b"<html>")
    (folder / "notes.txt").write_text("text")
    return folder


@pytest.mark.usefixtures("zoo")
def test_a_folder_is_described_in_a_line_a_file(tmp_path) -> None:
    done = run("inspect", "zoo", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.splitlines() == [
        "convertible  zoo/a.h5: a network of 2 layers, Keras 2 on theano",
        "refused      zoo/c.h5: an HTML or XML page, perhaps a failed download; expected the HDF5 file that Keras' "
        "save_weights or save wrote",
        "duplicate    zoo/sub/again.h5: the same file as zoo/a.h5",
        "3 files: 1 convertible, 1 the same as another, 1 refused",
        "  1 other file, no network by its content",
    ]
    assert sorted(os.listdir(tmp_path)) == ["zoo"]


@pytest.mark.usefixtures("zoo")
def test_a_folder_is_converted_with_a_ledger(tmp_path) -> None:
    done = run("theano-to-tf", "zoo", "-o", "out", FAST, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout.splitlines()[-1] == "wrote out/report.jsonl and out/report.html"
    assert list(map(str, files(tmp_path / "out"))) == ["a.keras"]
    again = run("theano-to-tf", "zoo", "-o", "out", FAST, cwd=tmp_path)
    assert again.returncode == 8
    assert again.stderr == (
        "ror-port: out/report.jsonl: exists already; --skip-done goes on with it, --force replaces it\n"
    )
    on = run("theano-to-tf", "zoo", "-o", "out", FAST, "--skip-done", cwd=tmp_path)
    assert on.stdout.splitlines()[0].startswith("duplicate")
    assert "  2 done before, and left untouched" in on.stdout.splitlines()
    assert on.returncode == 3


@pytest.mark.usefixtures("zoo")
def test_json_is_the_rows_of_the_ledger(tmp_path) -> None:
    done = run("theano-to-tf", "zoo", "-o", "out", FAST, "--json", "--jobs", 2, cwd=tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(rows, key=lambda row: row["file"]) == [
        json.loads(line) for line in (tmp_path / "out/report.jsonl").read_text().splitlines()
    ]
    assert "converted    zoo/a.h5" in done.stderr


@pytest.mark.usefixtures("zoo")
def test_a_dry_run_writes_nothing(tmp_path) -> None:
    done = run("to-onnx", "zoo", "--dry-run", cwd=tmp_path)
    assert done.stdout.splitlines()[0] == "convertible  zoo/a.h5: a network of 2 layers, Keras 2 on theano"
    assert sorted(os.listdir(tmp_path)) == ["zoo"]


@pytest.mark.usefixtures("zoo")
def test_a_list_is_read_from_a_file_or_stdin(tmp_path) -> None:
    (tmp_path / "list").write_text("zoo/a.h5\r\n\nzoo/missing.h5\n")
    done = run("theano-to-tf", "--files-from", "list", "-o", "out", FAST, cwd=tmp_path)
    assert done.returncode == 3
    assert list(map(str, files(tmp_path / "out"))) == ["zoo/a.keras"]
    piped = run("inspect", "--files-from", "-", cwd=tmp_path, input="zoo/a.h5\n")
    assert piped.stdout.splitlines()[-1] == "1 file: 1 convertible"


@pytest.mark.usefixtures("zoo")
def test_an_account_of_a_folder_is_kept_where_it_is_asked_for(tmp_path) -> None:
    run("inspect", "zoo", "-o", "account", cwd=tmp_path)
    assert sorted(os.listdir(tmp_path / "account")) == ["report.html", "report.jsonl"]
    for command in (("inspect", "zoo/a.h5", "-o", "account"), ("inspect", "zoo", "-o", "account")):
        assert run(*command, cwd=tmp_path).returncode == 8
    assert run("inspect", "zoo", "-o", "account", "--force", cwd=tmp_path).returncode == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("theano-to-tf", "zoo"), "a folder for the outputs of all files is needed: -o OUT"),
        (("theano-to-tf", "zoo", "zoo", "-o", "out.keras"), "out.keras names a file; a folder is expected"),
        (("theano-to-tf", "zoo", "-o", "zoo"), "zoo is the folder that is searched; another one is expected"),
        (("theano-to-tf", "zoo/a.h5", "--skip-done"), "a folder for the outputs of all files is needed: -o OUT"),
        (("inspect", "zoo", "--skip-done"), "--skip-done goes on with a ledger, which lies in a folder: -o OUT"),
        (("inspect", "--files-from", "missing"), "No such file or directory"),
        (("inspect",), "Missing argument 'FILE...'"),
        (("to-onnx", "zoo", "-o", "out", "--certify", "--no-verify"), "a certificate needs the verification"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(zoo, tmp_path, arguments, message) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["zoo"]
    assert zoo.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_says_how_it_goes_on(tmp_path, number) -> None:
    zoo, undisturbed, out = (tmp_path / name for name in ("zoo", "undisturbed", "out"))
    archive(zoo, 40)
    command = ("theano-to-tf", zoo, FAST, "--jobs", 2)
    run(*command, "-o", undisturbed)
    gate = Gate(tmp_path, zoo)
    last = gate.open(0.5)
    with gate.started("-m", "ror_port", *command, "-o", out, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until_done(out, undisturbed, last, process)
        if number == signal.SIGINT:  # a terminal's Ctrl-C
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, err = process.communicate(timeout=HANGS)
    assert process.returncode == 128 + number
    assert err.decode() == "ror-port: interrupted; --skip-done goes on with what is left\n"
    assert not [path for path in out.rglob("*") if path.name.startswith(".part-")]
    assert run(*command, "-o", out, "--skip-done").returncode == 3
    assert (out / "report.jsonl").read_bytes() == (undisturbed / "report.jsonl").read_bytes()


EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def surroundings(tmp_path) -> dict[str, str]:
    """Those in which the command can be called as it is when it is installed."""
    command = tmp_path / "bin" / "ror-port"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m ror_port "$@"\n')
    command.chmod(0o755)
    return os.environ | {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def test_the_example_for_slurm_gives_each_task_its_part(zoo, tmp_path, surroundings) -> None:
    names = [f"zoo/{path.relative_to(zoo)}" for path in sorted(zoo.rglob("*.h5"))]
    (tmp_path / "files.txt").write_text("".join(f"{name}\n" for name in names))
    for task in range(len(names)):
        script = ["bash", EXAMPLES / "slurm_array.sh"]
        subprocess.run(script, env=surroundings | {"SLURM_ARRAY_TASK_ID": str(task)}, cwd=tmp_path, check=False)
    done = run("report", *sorted((tmp_path / "parts").iterdir()), "-o", "all", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 files: 2 converted, 1 refused\nwrote all/report.jsonl and all/report.html\n"
    assert [row["file"] for row in Report(tmp_path / "all")] == names
    assert run("report", "parts/0", "-o", "all", cwd=tmp_path).returncode == 8
    assert run("report", "zoo", "-o", "none", cwd=tmp_path).returncode == 3


@pytest.mark.usefixtures("zoo")
def test_the_example_for_snakemake_calls_the_command(tmp_path, surroundings) -> None:
    """Its shell line; Snakemake itself is too large for a test."""
    shell = re.search(r'shell: "(.*)"', (EXAMPLES / "Snakefile").read_text())
    line = shell[1].format(input="zoo/a.h5", output="new/a.keras", log="a.json")
    subprocess.run(line, shell=True, env=surroundings, cwd=tmp_path, check=True, capture_output=True)
    assert json.loads((tmp_path / "a.json").read_text())["written"]["path"] == "new/a.keras"
    assert (tmp_path / "new/a.keras").is_file()
