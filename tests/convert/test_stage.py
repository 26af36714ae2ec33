"""Like replaces like, and only with --force."""

import itertools
import os
import signal
import subprocess
import sys

import pytest

from forks import Calls
from ror_port.convert import stage as output
from ror_port.errors import OutputError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.h5"
    path.write_text("source")
    return path


def test_a_folder_with_other_content_is_never_replaced(source, tmp_path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "precious.txt").write_text("precious")
    for is_folder in (False, True):
        with pytest.raises(OutputError, match="is left as it is"):
            output.validate_target(folder, source, folder=is_folder, force=True)


def test_a_pipe_is_never_replaced(source, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="not a regular file"):
        output.validate_target(tmp_path / "pipe", source, folder=False, force=True)


def test_an_output_folder_is_replaced_whole(source, tmp_path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "config.json").write_text("old")
    output.validate_target(folder, source, folder=True, force=True)
    with output.atomic_output(folder) as stage:
        stage.mkdir()
        (stage / "model.safetensors").write_text("new")
    assert os.listdir(folder) == ["model.safetensors"]
    assert sorted(os.listdir(tmp_path)) == ["net", "source.h5"]


def test_a_failure_leaves_the_old_output_and_nothing_else(tmp_path) -> None:
    target = tmp_path / "net.keras"
    target.write_text("old")

    def fail() -> None:
        with output.atomic_output(target) as stage:
            stage.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["net.keras"]


def test_a_folder_created_for_the_output_is_removed_with_it(tmp_path) -> None:
    for end in (ZeroDivisionError, KeyboardInterrupt, OSError):

        def fail(end=end) -> None:
            with output.atomic_output(tmp_path / "new" / "net") as stage:
                stage.write_text("half")
                raise end

        with pytest.raises((end, OutputError)):
            fail()
    assert os.listdir(tmp_path) == []
    write(tmp_path / "new" / "net", False, "whole")
    assert os.listdir(tmp_path / "new") == ["net"]


def test_a_folder_that_another_process_uses_stays(tmp_path) -> None:
    def fail() -> None:
        with output.atomic_output(tmp_path / "new" / "net"):
            (tmp_path / "new" / "other").write_text("whole")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert os.listdir(tmp_path / "new") == ["other"]


def write(path, folder: bool, text: str, meanwhile=lambda: None) -> None:
    with output.atomic_output(path) as stage:
        if folder:
            stage.mkdir()
        (stage / "config.json" if folder else stage).write_text(text)
        meanwhile()


@pytest.mark.parametrize("folder", [False, True])
def test_an_output_created_meanwhile_is_not_replaced(tmp_path, folder) -> None:
    """Without --force there was no output to replace; what another process created since belongs to it."""
    target = tmp_path / "net"
    with pytest.raises(OutputError, match="exists"):
        write(target, folder, "ours", meanwhile=lambda: write(target, folder, "theirs"))
    assert (target / "config.json" if folder else target).read_text() == "theirs"
    assert os.listdir(tmp_path) == ["net"]


def test_a_folder_is_never_missing_while_it_is_replaced(tmp_path) -> None:
    """As another process would see it between any two steps that touch the folder."""
    target = tmp_path / "net"
    write(target, True, "old")
    seen = []

    def look(event: str, _: object) -> None:
        if watching and event.split(".")[0] in ("os", "shutil", "open", "ctypes"):
            seen.append((target / "config.json").exists())

    watching = False
    sys.addaudithook(look)
    watching = True
    write(target, True, "new")
    watching = False
    assert len(seen) > 5
    assert all(seen)
    assert (target / "config.json").read_text() == "new"
    assert os.listdir(tmp_path) == ["net"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of threads, which the child does not need
@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("folder", [False, True])
def test_killed_at_any_call_it_leaves_the_old_output_or_the_new_one(tmp_path, folder, replaces) -> None:
    target = tmp_path / "net"
    file = target / "config.json" if folder else target
    old, new = "old" * 9_999 if replaces else None, "new" * 9_999
    seen = []
    for number in itertools.count():
        output._remove(target)
        if old:
            write(target, folder, old)
        child = os.fork()
        if child == 0:
            try:
                with Calls({number: lambda: os.kill(os.getpid(), signal.SIGKILL)}):
                    write(target, folder, new)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        seen.append(file.read_text() if file.exists() else None)
        if status == 0:  # there are no more calls
            break
    assert set(seen) == {old, new}
    assert seen == sorted(seen, key=[old, new].index)
    assert len(seen) > 20


def test_where_folders_cannot_be_exchanged_the_old_one_stays(tmp_path, monkeypatch) -> None:
    target = tmp_path / "net"
    write(target, True, "old")
    monkeypatch.setattr(output, "EXCHANGE", 1 << 20)  # a flag that no system knows
    with pytest.raises(OutputError, match="cannot exchange two folders"):
        write(target, True, "new")
    assert (target / "config.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["net"]


def test_a_name_as_long_as_names_can_be(tmp_path) -> None:
    write(tmp_path / ("x" * 249 + ".keras"), False, "whole")
    assert len(os.listdir(tmp_path)) == 1


def test_an_output_is_flushed_before_it_is_renamed(tmp_path, monkeypatch) -> None:
    steps = []
    flush, rename = output._flush, output._rename
    monkeypatch.setattr(output, "_flush", lambda path: (steps.append(("flush", path.name)), flush(path)))
    monkeypatch.setattr(output, "_rename", lambda *all: (steps.append(("rename", all[1].name)), rename(*all)))
    write(tmp_path / "net", True, "whole")
    stage = steps[0][1]
    assert stage.startswith(".part-")
    assert steps == [("flush", stage), ("flush", "config.json"), ("rename", "net"), ("flush", tmp_path.name)]


def test_paths_that_cannot_be_written(source, tmp_path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / ("x" * 300), tmp_path / "loop", source / "net.keras"):
        with pytest.raises(OutputError):
            output.validate_target(path, source, folder=False, force=True)


def test_permissions_follow_the_umask(tmp_path) -> None:
    kept = os.umask(0o027)
    try:
        with output.atomic_output(tmp_path / "net") as stage:
            stage.write_text("new")
    finally:
        os.umask(kept)
    assert (tmp_path / "net").stat().st_mode & 0o777 == 0o640


TWICE = """
import signal
from ror_port import cli
from ror_port.convert import stage as output, reread

def interrupted(*_):
    signal.raise_signal(signal.SIGINT)

def interrupted_again(path, remove=output._remove):
    signal.raise_signal(signal.SIGTERM)
    remove(path)

reread.Ledger.compare, output._remove = interrupted, interrupted_again
cli.main()
"""


def test_a_second_signal_does_not_interrupt_the_removal(pre_ror, tmp_path) -> None:
    arguments = ["theano-to-tf", pre_ror.weights, "--no-verify", "-o", tmp_path / "net.keras"]
    done = subprocess.run([sys.executable, "-c", TWICE, *arguments], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert list(tmp_path.iterdir()) == []
