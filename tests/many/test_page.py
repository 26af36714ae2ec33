"""The page of a ledger: complete, harmless whatever files are called, and loading nothing."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from ror_port.many.account import blank
from ror_port.many.page import COLUMNS, FIRST_VALUES, MOST_CHARACTERS, MOST_VALUES, page, refusal

CONVERTED = {
    "status": "converted",
    "era": "Keras 1",
    "network": "RoR-3-WRN-10-2",
    "parameters": 318_474,
    "architecture": {"where": "recognised", "file": None},
    "facts": [
        {"name": "Keras", "value": "1.2.2", "basis": "recorded", "evidence": "attribute"},
        {"name": "backend", "value": "theano", "basis": "inferred", "evidence": "names"},
    ],
    "written": {"path": "a/w.keras", "format": "keras", "bytes": 1, "sha256": "0" * 64},
    "verification": {
        "passed": True,
        "runtime": "Keras 3",
        "relative_l2": 2.9e-7,
        "max_abs": 1e-6,
        "tolerance": 2e-6,
        "reason": None,
    },
    "certificate": "a/w.keras.certificate.json",
    "warnings": ["epsilon may be 1e-05: --bn-epsilon 1e-05"],
}


def row(file: str = "a/w.h5", **fields) -> dict:
    return blank(file) | fields


class Page(HTMLParser):
    """Tags with their attributes, the texts of cells, and what is between script tags."""

    def __init__(self, *rows: dict) -> None:
        super().__init__()
        self.source = "".join(page(list(rows)))
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.scripts: list[str] = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_data(self, data) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data
        elif self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.removesuffix("\n")

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


def test_a_row_says_what_and_how_and_where() -> None:
    found = Page(row(**CONVERTED))
    assert found.rows[1] == [
        "a/w.h5",
        "converted",
        "RoR-3-WRN-10-2 318,474 parameters",
        "Keras 1 1.2.2, recorded",
        "theano inferred",
        "2.9e-07 Keras 3",
        "a/w.keras; certificate; epsilon may be 1e-05: --bn-epsilon 1e-05",
    ]
    assert found.attributes("href") == ["report.jsonl", "./a/w.keras", "./a/w.keras.certificate.html"]
    assert len(found.rows[1]) == len(COLUMNS)


def test_what_was_not_converted_says_why() -> None:
    refused = row("x.h5", status="refused", error="UnreadableFile", reason="not an HDF5 file")
    duplicate = row("y.h5", **CONVERTED) | {"status": "duplicate", "duplicate_of": "a/w.h5"}
    found = Page(refused, duplicate)
    assert found.rows[1][-1] == "not an HDF5 file"
    assert "the same file as a/w.h5" in found.rows[2][-1]


def test_counts_are_of_all_files() -> None:
    rows = [row(str(n), **CONVERTED) for n in range(3)]
    rows += [row(f"r{n}", status="refused", reason=f"layer 'dense_{n}': {n} units") for n in range(4)]
    found = Page(*rows)
    counted = dict(
        zip(found.attributes("data-value"), re.findall(r"<li><span>(\d+)</span>", found.source), strict=True)
    )
    assert counted == {
        **{"converted": "3", "refused": "4", "Keras 1": "3", "theano": "3", "recognised by the tensors": "3"},
        **{"RoR-3-WRN-10-2": "3", "layer '…': N units": "4"},
    }
    assert {name: value for name, value in found.tags[-1][1].items()} == {}
    for value in counted:
        assert f'="{value}"'.replace("'", "&#x27;") in found.source.partition("<tbody>")[2]


def test_many_different_reasons_are_folded_and_counted_together() -> None:
    words = [f"{'x' * n} is wrong" for n in range(MOST_VALUES + 5)]
    found = Page(*(row(word, status="refused", reason=word) for word in words))
    assert f"<summary>{len(words) - FIRST_VALUES} more</summary>" in found.source
    assert "<li><span>5</span>5 others</li>" in found.source


def test_a_reason_is_counted_without_what_is_its_own() -> None:
    assert refusal(row(status="refused", reason="layer 'a b': 3 of 1,024")) == "layer '…': N of N"
    assert refusal(row(status="converted", reason=None)) == ""
    long = refusal(row(status="failed", reason="x" * 500))
    assert (len(long), long[-1]) == (MOST_CHARACTERS, "…")


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", '"onload="alert(1)', "javascript:alert(1)", "\x1b[2J\nx", "\udcff", "%2e#?&amp;"],
)
def test_names_are_nothing_but_names(name) -> None:
    written = {**CONVERTED["written"], "path": name}
    found = Page(row(name, **CONVERTED | {"network": name, "reason": name, "written": written}))
    assert len(found.scripts) == 1
    assert not [tag for tag, attributes in found.tags if any(key.startswith("on") for key in attributes)]
    assert all(link.startswith(("report", "./")) for link in found.attributes("href"))
    assert "\x1b" not in found.source.partition("<tbody>")[2].partition("data-")[0]
    assert found.source.encode("utf-8", "backslashreplace")


def test_nothing_is_loaded_and_no_other_script_runs() -> None:
    found = Page(row(**CONVERTED))
    digest = base64.b64encode(hashlib.sha256(found.scripts[0].encode()).digest()).decode()
    (policy,) = found.attributes("content")[:1]
    assert policy.split("; ") == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
        "base-uri 'none'",
    ]
    assert not {"link", "img", "iframe", "object"} & {tag for tag, _ in found.tags}
    assert not found.attributes("src")


def test_no_files_are_no_error() -> None:
    assert "<h1>0 files</h1>" in Page().source
