"""The ledger: one row a file, in order, readable whatever ended the run that wrote it."""

import json

import jsonschema
import pytest

from ror_port.errors import NotACheckpoint, OutputError, UnreadableFile
from ror_port.many import ledger
from ror_port.many.account import blank

RUN = {"run": {"ror_port": "0.1.0", "options": {}}}


def row(file: str, **fields) -> dict:
    return blank(file) | RUN | fields


def test_rows_come_in_the_order_of_their_names_and_the_last_one_counts(tmp_path) -> None:
    with ledger.opened(tmp_path / "out") as book:
        for name in ("b", "a", "b"):
            book.add(row(name, bytes=len(book)))
        report = book.finish()
    assert [(each["file"], each["bytes"]) for each in report] == [("a", 1), ("b", 2)]
    assert report.counts == {"failed": 2}
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == ["report.html", "report.jsonl"]


def test_a_run_that_wrote_nothing_leaves_nothing(tmp_path) -> None:
    with pytest.raises(RuntimeError), ledger.opened(tmp_path / "out"):
        raise RuntimeError
    assert not (tmp_path / "out").exists()


def test_what_was_interrupted_is_there_again(tmp_path) -> None:
    with ledger.opened(tmp_path) as book:
        book.add(row("a"))
        book.begin("b", "b.keras")
        book.begin("c", "c.keras")
        book.add(row("c"))
    with (tmp_path / ledger.JOURNAL).open("a") as journal:
        journal.write(json.dumps(row("d"))[:-1])  # broken off
    with ledger.opened(tmp_path, go_on=True) as book:
        assert [each["file"] for each in book] == ["a", "c"]
        assert book.begun == {"b": "b.keras"}
        book.add(row("d"))
        assert [each["file"] for each in book] == ["a", "c", "d"]
    with ledger.opened(tmp_path, go_on=True) as book:
        assert [each["file"] for each in book] == ["a", "c", "d"]


def test_an_end_while_a_finished_ledger_is_taken_up_loses_nothing(tmp_path) -> None:
    with ledger.opened(tmp_path) as book:
        book.add(row("a"))
        book.finish()
    for _ in range(2):  # the second finds the journal of the first beside the report
        with ledger.opened(tmp_path, go_on=True) as book:
            assert [each["file"] for each in book] == ["a"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "a line that is no JSON"),
        ('{"ledger": 2}', "expected"),
        (json.dumps(row("a") | {"status": "fine"}), "'status': expected one of"),
        (json.dumps(row("a") | {"more": 1}), "'more': expected no such field"),
        ("[" * 100_000, "a line that is no JSON"),
    ],
)
def test_a_file_that_is_no_ledger_is_refused(tmp_path, line, message) -> None:
    (tmp_path / ledger.REPORT).write_text(f"{line}\n")
    with pytest.raises(NotACheckpoint, match=message), ledger.opened(tmp_path, go_on=True):
        pass
    assert (tmp_path / ledger.REPORT).read_text() == f"{line}\n"


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), ledger.opened(tmp_path / "file" / "out"):
        pass


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(ledger.schema())
    assert set(ledger.schema()["required"]) == blank("a").keys() == ledger.schema()["properties"].keys()
    jsonschema.validate(row("a"), ledger.schema())


def test_ledgers_are_joined_into_one_that_names_outputs_from_its_own_place(tmp_path) -> None:
    written = {"path": "a.keras", "format": "keras", "bytes": 1, "sha256": "0" * 64}
    for part, names in (("parts/0", "ab"), ("parts/1", "bc")):
        with ledger.opened(tmp_path / part) as book:
            for name in names:
                book.add(row(f"{part[-1]}-{name}" if name != "b" else name, written=written, certificate="a.json"))
            book.finish()
    report = ledger.joined([tmp_path / "parts/0", tmp_path / "parts/1"], tmp_path / "all")
    assert {each["file"]: each["written"]["path"] for each in report} == {
        "0-a": "../parts/0/a.keras",
        "1-c": "../parts/1/a.keras",
        "b": "../parts/1/a.keras",
    }
    assert {each["certificate"] for each in report} == {"../parts/0/a.json", "../parts/1/a.json"}
    for each in report:
        jsonschema.validate(each, ledger.schema())


def test_only_finished_ledgers_are_joined(tmp_path) -> None:
    with pytest.raises(UnreadableFile, match=r"missing/report\.jsonl: no such file or directory"):
        ledger.joined([tmp_path / "missing"], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_a_last_line_without_its_end_is_a_row_all_the_same(tmp_path) -> None:
    """As some editors leave it."""
    (tmp_path / ledger.REPORT).write_text(json.dumps(row("a")))
    with ledger.opened(tmp_path, go_on=True) as book:
        assert [each["file"] for each in book] == ["a"]


def test_a_folder_that_was_there_stays(tmp_path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError), ledger.opened(tmp_path / "out"):
        raise RuntimeError
    assert (tmp_path / "out").is_dir()


def test_a_journal_is_no_ledger(tmp_path) -> None:
    (tmp_path / ledger.REPORT).write_text('{"begun": "a", "output": "b"}\n')
    with pytest.raises(NotACheckpoint):
        ledger.joined([tmp_path], tmp_path / "all")
