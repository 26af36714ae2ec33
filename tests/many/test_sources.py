"""What is found in folders and lists, and where its output goes."""

import os
import socket
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from ror_port.errors import UsageError
from ror_port.many.sources import Source, found, targets

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(64)


def write(path: Path, content: bytes = HDF5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def within(named: list[object], listed: tuple[object, ...] = (), out: Path | None = None) -> dict[str, str]:
    """Name of a source → where it lies in the tree of outputs."""
    sources, _ = found(list(map(str, named)), map(str, listed), out)
    return {source.name: str(source.within) for source in sources}


CONTENTS = {
    "hdf5": HDF5,
    "behind-a-user-block": bytes(512) + HDF5,
    "keras-archive": b"PK\x03\x04" + bytes(26) + b"metadata.json",
    "state-dict": b"PK\x03\x04" + bytes(22) + b"\x0c\0\0\0" + b"net/data.pkl",
    "safetensors": (8).to_bytes(8, "little") + b'{"a":1}  ',
    "onnx": b"\x08\x08\x12\x07" + bytes(60),
    "called-so.h5": b"<html>",
    "CALLED-SO.HDF5": b"",
}
OTHERS = {
    "script.py": b"import keras\nprint(keras)\n",
    "notes": b'notes: {"a": 1}',
    "archive.zip": b"PK\x03\x04" + bytes(26) + b"mimetype",
    "image": b"\x89PNG\r\n\x1a\n",
    "empty": b"",
}


def test_files_of_a_folder_are_found_by_content(tmp_path) -> None:
    for name, content in (CONTENTS | OTHERS).items():
        write(tmp_path / "zoo" / name, content)
    sources, others = found([str(tmp_path / "zoo")])
    assert {Path(source.name).name for source in sources} == CONTENTS.keys()
    assert others == len(OTHERS)


def test_a_file_that_is_named_is_taken_whatever_it_is(tmp_path) -> None:
    assert within([write(tmp_path / "notes", b"text"), tmp_path / "missing"]) == {
        str(tmp_path / "missing"): "missing",
        str(tmp_path / "notes"): "notes",
    }


def test_a_folder_that_is_a_checkpoint_is_one_source(tmp_path) -> None:
    write(tmp_path / "zoo/net/model.safetensors")
    write(tmp_path / "zoo/saved/saved_model.pb")
    write(tmp_path / "zoo/saved/variables/variables.h5")
    assert list(within([tmp_path / "zoo"]).values()) == ["net", "saved"]
    assert list(within([tmp_path / "zoo/net"]).values()) == ["net"]


def test_outputs_lie_as_their_sources(tmp_path) -> None:
    write(tmp_path / "a/x/one.h5")
    write(tmp_path / "b/two.h5")
    single = write(tmp_path / "c/three.h5")
    assert list(within([tmp_path / "a"]).values()) == ["x/one.h5"]
    assert list(within([tmp_path / "a", tmp_path / "b", single]).values()) == ["a/x/one.h5", "b/two.h5", "three.h5"]


def test_listed_files_go_to_where_their_path_says(tmp_path, monkeypatch) -> None:
    write(tmp_path / "a/x/one.h5")
    monkeypatch.chdir(tmp_path / "a")
    absolute = tmp_path / "a/x/one.h5"
    assert list(within([], ("x/one.h5",)).values()) == ["x/one.h5"]
    assert list(within([], (absolute,)).values()) == [str(absolute).lstrip("/")]
    assert list(within([], ("../a/x/../x/one.h5",)).values()) == [str(absolute).lstrip("/")]
    assert list(within([], ("x",)).values()) == ["x/one.h5"]


def test_every_file_is_there_once(tmp_path) -> None:
    write(tmp_path / "a/one.h5")
    write(tmp_path / "a/x/two.h5")
    assert len(within([tmp_path / "a", tmp_path / "a", tmp_path / "a/x", tmp_path / "a/one.h5"])) == 2


def test_links_are_followed_to_files_alone(tmp_path) -> None:
    file, zoo = write(tmp_path / "one.h5"), tmp_path / "zoo"
    zoo.mkdir()
    (zoo / "file").symlink_to(file)
    (zoo / "folder").symlink_to(tmp_path)
    (zoo / "nowhere").symlink_to("missing")
    (zoo / "loop").symlink_to("loop")
    os.mkfifo(zoo / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(zoo / "socket"))
    sources, others = found([str(zoo)])
    assert {Path(source.name).name: bool(source.problem) for source in sources} == {
        **dict.fromkeys(("file", "loop", "nowhere", "pipe", "socket"), False),  # which reading them tells
        "folder": True,
    }
    assert others == 0


def test_a_folder_that_cannot_be_searched_is_a_source_with_a_problem(tmp_path, monkeypatch) -> None:
    write(tmp_path / "zoo/closed/one.h5")
    scandir = os.scandir

    def refusing(path):  # root may search every folder
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (source,), _ = found([str(tmp_path / "zoo")])
    assert (source.within, source.problem) == (
        PurePosixPath("closed"),
        "the folder cannot be searched (permission denied)",
    )


def test_deep_folders_are_searched(tmp_path) -> None:
    """Deeper than Python lets a function call itself, and than the system lets a path be."""
    path, before = tmp_path, Path.cwd()
    try:
        for depth in range(2100):
            Path("d" if depth else path / "d").mkdir()
            os.chdir("d" if depth else path / "d")
            if depth == 1500:
                write(Path("one.h5"))
    finally:
        os.chdir(before)
    (deepest, found_file), _ = found([str(tmp_path)])
    subprocess.run(["rm", "-r", path / "d"], check=True)  # Python's own removing calls itself
    assert deepest.problem == "the folder cannot be searched (file name too long)"
    assert found_file.within == PurePosixPath(*"d" * 1501, "one.h5")


def test_outputs_are_not_searched(tmp_path) -> None:
    write(tmp_path / "zoo/one.h5")
    write(tmp_path / "zoo/out/two.h5")
    assert list(within([tmp_path / "zoo"], out=tmp_path / "zoo/out").values()) == ["one.h5"]
    with pytest.raises(UsageError, match="is the folder that is searched"):
        found([str(tmp_path / "zoo")], out=tmp_path / "zoo")


def names(*sources: str, suffix: str = ".keras") -> list[str]:
    made = [Source(name, PurePosixPath(name)) for name in sources]
    stems = [Path(name).stem for name in sources]
    return list(map(str, targets(made, suffix, stems)))


def test_sources_that_would_share_an_output_keep_their_whole_names() -> None:
    assert names("x/a.h5", "x/b.h5", "a.h5") == ["x/a.keras", "x/b.keras", "a.keras"]
    assert names("x/a.h5", "x/a.hdf5", "x/b.h5") == ["x/a.h5.keras", "x/a.hdf5.keras", "x/b.keras"]
    assert names("a.h5", "a.keras/b.h5") == ["a.h5.keras", "a.keras/b.keras"]


def test_files_of_one_name_from_several_folders_keep_their_paths() -> None:
    made = [Source(f"{folder}/weights.h5", PurePosixPath("weights.h5")) for folder in ("a", "/b/c")]
    found = targets(made, ".keras", ["weights", "weights"])
    assert list(map(str, found)) == ["a/weights.h5.keras", "b/c/weights.h5.keras"]


def test_outputs_that_no_name_tells_apart_are_refused() -> None:
    made = [Source(name, PurePosixPath("weights.h5")) for name in ("/a/weights.h5", "a/weights.h5")]
    with pytest.raises(UsageError, match=r"would both become a/weights\.h5\.keras"):
        targets(made, ".keras", ["weights", "weights"])


def test_what_can_be_no_file_is_a_line_of_its_own(tmp_path) -> None:
    lines = ("a\0b.h5", "http://[bad/x.h5", "https://host/a%00/b.h5", "https://host/folder/", str(tmp_path / "w.h5"))
    sources, _ = found([], lines)
    assert {source.location: bool(source.problem) for source in sources} == {
        **dict.fromkeys(lines[:4], True),
        lines[4]: False,
    }
    assert all(source.name for source in sources)


def test_addresses_that_differ_in_their_query_do_not_meet() -> None:
    sources, _ = found(["https://host/get.h5?id=1", "https://host/get.h5?id=2"])
    assert len(set(targets(sources, ".keras", ["get", "get"]))) == 2


def test_an_address_with_another_password_is_the_same_file() -> None:
    """In the ledger it has the same name; it would be a duplicate of itself."""
    sources, _ = found(["https://ann:a@host/w.h5", "https://bob:b@host/w.h5", "https://host/w.h5#part"])
    assert [source.name for source in sources] == ["https://host/w.h5"]


def test_an_empty_name_is_no_folder() -> None:
    (source,), others = found([""])
    assert (source.location, others) == (".", 0)
