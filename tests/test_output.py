"""Like replaces like, and only with --force."""

import os

import pytest

from ror_port import output
from ror_port.errors import OutputError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.h5"
    path.write_text("source")
    return path


def test_a_folder_of_somebody_elses_is_never_replaced(source, tmp_path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "precious.txt").write_text("precious")
    for is_folder in (False, True):
        with pytest.raises(OutputError, match="is left as it is"):
            output.check(folder, source, folder=is_folder, force=True)


def test_a_pipe_is_never_replaced(source, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="not a regular file"):
        output.check(tmp_path / "pipe", source, folder=False, force=True)


def test_a_folder_of_our_own_is_replaced_whole(source, tmp_path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "config.json").write_text("old")
    output.check(folder, source, folder=True, force=True)
    with output.staged(folder) as stage:
        stage.mkdir()
        (stage / "model.safetensors").write_text("new")
    assert os.listdir(folder) == ["model.safetensors"]
    assert sorted(os.listdir(tmp_path)) == ["net", "source.h5"]


def test_what_fails_leaves_the_old_and_nothing_else(tmp_path) -> None:
    target = tmp_path / "net.keras"
    target.write_text("old")

    def fail() -> None:
        with output.staged(target) as stage:
            stage.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["net.keras"]


def test_paths_that_cannot_be(source, tmp_path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / ("x" * 300), tmp_path / "loop", source / "net.keras"):
        with pytest.raises(OutputError):
            output.check(path, source, folder=False, force=True)


def test_permissions_follow_the_umask(tmp_path) -> None:
    kept = os.umask(0o027)
    try:
        with output.staged(tmp_path / "net") as stage:
            stage.write_text("new")
    finally:
        os.umask(kept)
    assert (tmp_path / "net").stat().st_mode & 0o777 == 0o640
