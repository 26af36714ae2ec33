"""Files at an address: fetched within limits, read as any other file, and called by their address."""

import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import ror_port
from commands import run
from genuine_layers import Case, record
from ror_port.errors import MissingExtra, UnreadableFile, UnsafeFile, UsageError
from ror_port.many import remote
from ror_port.many.ledger import Report
from ror_port.safety import limits

FAST = ("--no-verify",)


class Recording(SimpleHTTPRequestHandler):
    """asked: what was requested. A path that is a number is answered with that status."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if not self.refused():
            super().do_GET()

    def do_HEAD(self) -> None:
        if not self.refused():
            super().do_HEAD()

    def refused(self) -> bool:
        status = self.path.rpartition("/")[2].partition("?")[0]
        if status.isdigit():
            self.send_response(int(status))
            self.send_header("Content-Length", "0")
            self.end_headers()
        return status.isdigit()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[str, list[str]]]:
    """The address of a folder that has models/w.h5, and what was asked for there."""
    folder = tmp_path / "served" / "models"
    folder.mkdir(parents=True)
    record(Case("keras-2.2.4-theano-1.0.5", "dense", "two-th")).write(folder / "w.h5")
    (folder / "model.json").write_text("{}")
    handler = type("Handler", (Recording,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "served"))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/models", handler.asked
        served.shutdown()


def test_an_address_is_not_a_path() -> None:
    assert all(map(remote.is_address, ("https://a/b.h5", "s3://bucket/b.h5", "hf://user/name/b.h5", "memory://b")))
    assert not any(map(remote.is_address, ("a/b.h5", "/a://b", "C:\\a\\b.h5", "./https://a", "a:b")))


def test_secrets_of_an_address_are_not_shown() -> None:
    address = "https://me:secret@host:1/a/b.h5?token=secret"
    assert "secret" not in remote.shown(address)
    assert remote.shown(address).startswith("https://host:1/a/b.h5?…")
    assert remote.shown(address) != remote.shown(address.replace("token", "id"))


def test_outputs_go_to_where_the_address_says() -> None:
    assert str(remote.place("https://me:secret@host/a/b%20c.h5?x=1")) == "host/a/b c.h5"
    assert str(remote.place("s3://bucket/b.h5")) == "bucket/b.h5"
    for address in (
        "https://host/",
        "https://host/a/../../../b.h5",
        "https://host/%2e%2e/b.h5",
        "zip://a::https://h/b",
    ):
        with pytest.raises(UsageError, match="the address of one file is expected"):
            remote.place(address)


def test_a_file_is_fetched_and_removed(server) -> None:
    address, asked = server
    with remote.fetched(f"{address}/w.h5") as path:
        assert path.name == "w.h5"
        with ror_port.load(path) as port:
            assert port.size == 39
        folder = path.parent
    assert not folder.exists()
    assert set(asked) == {"/models/w.h5"}, "only what the user gave the address of is fetched"


def test_what_cannot_be_fetched_says_why(server) -> None:
    address, _ = server
    with (
        pytest.raises(UnreadableFile, match=r"/models/missing\.h5: cannot be fetched \(no such file\)"),
        remote.fetched(f"{address}/missing.h5"),
    ):
        pass
    for status, reason in ((403, "the server answers 403 Forbidden"), (410, "no such file")):
        told = re.escape(f"/models/{status}?…") + f"[0-9a-f]{{8}}: cannot be fetched \\({reason}\\)$"
        with pytest.raises(UnreadableFile, match=told), remote.fetched(f"{address}/{status}?token=secret"):
            pass
    with pytest.raises(UnreadableFile, match=r"\(Cannot connect to host"), remote.fetched("http://127.0.0.1:1/w.h5"):
        pass
    with pytest.raises(UnreadableFile, match="cannot be fetched"), remote.fetched("nosuch://a/w.h5"):
        pass


def test_a_package_that_is_missing_is_named(monkeypatch) -> None:
    with (
        pytest.raises(MissingExtra, match=r"s3://bucket/w\.h5: fsspec needs another package for it .*s3fs"),
        remote.fetched("s3://bucket/w.h5"),
    ):
        pass
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    with (
        pytest.raises(MissingExtra, match="fsspec, which fetches files, is not installed"),
        remote.fetched("https://a/w.h5"),
    ):
        pass


def test_a_file_that_is_too_large_is_refused(server, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MAX_FETCHED_BYTES", 1000)
    address, _ = server
    with pytest.raises(UnsafeFile, match="more than 1000 bytes, the limit"), remote.fetched(f"{address}/w.h5"):
        pass


def test_the_command_calls_a_file_by_its_address(server, tmp_path) -> None:
    address, _ = server
    shown = run("inspect", f"{address}/w.h5", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"{address}/w.h5: a network of 2 layers\n")
    assert "/tmp" not in shown.stdout
    written = run("theano-to-tf", f"{address}/w.h5", *FAST, cwd=tmp_path)
    assert (written.returncode, written.stderr) == (0, "")
    assert (tmp_path / "w.keras").is_file()
    refused = run("inspect", f"{address}/model.json", cwd=tmp_path)
    assert refused.returncode == 3
    assert refused.stderr.startswith(f"ror-port: {address}/model.json: not an HDF5 file")


def test_addresses_in_a_list_are_rows_as_files_are(server, tmp_path) -> None:
    address, asked = server
    local = tmp_path / "local" / "w.h5"
    local.parent.mkdir()
    local.write_bytes((tmp_path / "served/models/w.h5").read_bytes())
    names = f"{address}/w.h5\n{address}/missing.h5\nlocal/w.h5\n"
    done = run("theano-to-tf", "--files-from", "-", "-o", "out", *FAST, cwd=tmp_path, input=names)
    assert done.returncode == 3
    rows = {row["file"]: row for row in Report(tmp_path / "out")}
    host = address.removeprefix("http://")
    assert rows[f"{address}/w.h5"]["written"]["path"] == f"{host}/w.keras"
    assert rows[f"{address}/w.h5"]["sha256"] == rows["local/w.h5"]["sha256"]
    assert rows[f"{address}/missing.h5"]["error"] == "UnreadableFile"
    assert "/tmp" not in (tmp_path / "out/report.jsonl").read_text().replace(str(tmp_path), "")
    assert not any("model.json" in path for path in asked)


def test_what_is_the_same_at_several_addresses_is_converted_once(server, tmp_path) -> None:
    """Only files that their servers state the same size of are fetched to be compared."""
    address, asked = server
    models = tmp_path / "served" / "models"
    local = tmp_path / "w.h5"
    for copy in (models / "again.h5", local):
        copy.write_bytes((models / "w.h5").read_bytes())
    record(Case("keras-2.2.4-theano-1.0.5", "dense", "functional-th")).write(models / "other.h5")
    (models / "lost.h5").write_text("<html>")
    names = [f"{address}/{name}.h5" for name in ("again", "lost", "other", "w")]
    report = ror_port.convert_many([*names, local], tmp_path / "out", verify=False)
    rows = {row["file"]: row for row in report}
    assert [rows[name]["status"] for name in names] == ["duplicate", "refused", "converted", "duplicate"]
    assert [rows[name]["duplicate_of"] for name in (names[0], names[3])] == [str(local)] * 2
    assert rows[names[0]]["written"] == rows[str(local)]["written"]
    assert sorted(asked) == sorted(f"/models/{name}.h5" for name in ("again", "lost", "other", "w"))
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.keras")}
    assert len(stamps) == 2

    again = ror_port.convert_many([*names, local], tmp_path / "out", verify=False, skip_done=True)
    assert again.counts == report.counts
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    record(Case("keras-2.2.4-theano-1.0.5", "dense", "plain-th")).write(models / "other.h5")
    changed = ror_port.convert_many([*names, local], tmp_path / "out", verify=False, skip_done=True)
    assert changed.counts == report.counts
    now = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert [path.name for path in now] == ["other.keras"]


def test_a_certificate_needs_a_file_that_stays(server, tmp_path) -> None:
    address, asked = server
    report = ror_port.convert_many([f"{address}/w.h5"], tmp_path / "out", format="onnx", certify=True)
    (row,) = report
    assert (row["status"], row["exit_code"]) == ("refused", 2)
    assert "a certificate names its source" in row["reason"]
    assert not asked
    assert sorted(os.listdir(tmp_path / "out")) == ["report.html", "report.jsonl"]
    assert Path(report.path).exists()
    plan = ("to-onnx", "--files-from", "-", "-o", "plan", "--dry-run", "--certify")
    planned = run(*plan, cwd=tmp_path, input=f"{address}/w.h5\n{address}/missing.h5\n")
    assert f"convertible  {address}/w.h5: a network of 2 layers" in planned.stdout
