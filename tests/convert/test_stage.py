"""Like replaces like, and only with --force."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

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


def at_call(number: int, signal_number: int, work: Callable[[], None]) -> bool:
    """Does the work in a child that gets a signal at one of its calls; False where it makes fewer.

    At SIGINT it raises an exception and ignores the next ones, as the command does.
    """
    reached, done = os.pipe()
    child = os.fork()
    if child == 0:

        def end(*_: object) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            raise SystemExit

        def interrupt() -> None:
            os.close(reached)
            os.write(done, b".")
            os.kill(os.getpid(), signal_number) if signal_number == signal.SIGKILL else signal.raise_signal(
                signal_number
            )

        try:
            signal.signal(signal.SIGINT, end)
            with Calls({number: interrupt}):
                work()
        finally:
            os._exit(0)
    os.close(done)
    with os.fdopen(reached, "rb") as pipe:
        reply = pipe.read()
    os.waitpid(child, 0)
    return bool(reply)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of threads, which the child does not need
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_ended_at_any_call_it_leaves_the_old_output_or_the_new_one(
    tmp_path, signal_number, folder, replaces, fails
) -> None:
    target = tmp_path / "new folder" / "net"
    old, new = "old" * 9_999 if replaces else None, "new" * 9_999

    def fail() -> None:
        if fails:
            raise ZeroDivisionError

    seen = []
    for number in itertools.count():
        shutil.rmtree(target.parent, ignore_errors=True)
        if replaces:
            target.parent.mkdir()
            write(target, folder, old)
        goes_on = at_call(number, signal_number, lambda: write(target, folder, new, meanwhile=fail))
        file = target / "config.json" if folder else target
        seen.append(file.read_text() if file.exists() else None)
        if signal_number == signal.SIGINT:
            left = os.listdir(target.parent) if target.parent.exists() else "no folder"
            assert left == ("no folder" if seen[-1] is None else ["net"]), number
        if not goes_on:
            break
    assert set(seen) == ({old} if fails else {old, new})
    assert seen == sorted(seen, key=[old, new].index)
    assert len(seen) > 10


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

def interrupted_again(*arguments, clean_up=output._clean_up):
    signal.raise_signal(signal.SIGTERM)
    clean_up(*arguments)

reread.Ledger.compare, output._clean_up = interrupted, interrupted_again
cli.main()
"""


def test_a_second_signal_does_not_interrupt_the_removal(pre_ror, tmp_path) -> None:
    arguments = ["theano-to-tf", pre_ror.weights, "--no-verify", "-o", tmp_path / "net.keras"]
    done = subprocess.run([sys.executable, "-c", TWICE, *arguments], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert list(tmp_path.iterdir()) == []
