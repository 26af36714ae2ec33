"""The ledger as one HTML page that loads nothing: counts that can be clicked, and a table that can be sorted.

Its one script is within it, and the page's own policy lets no other run. Without it, counts and table are there all the
same. On a small screen each row is a card; in print the controls are left out.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from ror_port.errors import printable
from ror_port.many.account import Row

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --faint: #5a6066; --line: #d5d8dc; --good: #1a7f37;
  --bad: #b3261e; --warn: #8a5a00; --link: #0b57b0; --fill: #eef1f4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --paper: #15181b; --faint: #a4aab0; --line: #3a3f45;
  --good: #57c46f; --bad: #ff8a80; --warn: #e0b341; --link: #7db8ff; --fill: #23282d } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem; max-width: 92rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1rem; margin: 0 0 .3rem } p { margin: .4rem 0 }
a { color: var(--link) } .faint { color: var(--faint) }
.converted, .convertible { color: var(--good) } .failed { color: var(--bad) } .refused { color: var(--warn) }
.counts { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1.2rem; margin: 1.2rem 0 }
.counts.refusals { grid-template-columns: 1fr }
ul { list-style: none; margin: 0; padding: 0 } li { display: flex; gap: .5rem; margin: .1rem 0 }
li span { min-width: 3.5rem; text-align: right; font-variant-numeric: tabular-nums; color: var(--faint) }
summary { cursor: pointer; margin-left: 4rem; color: var(--faint) }
li button { flex: 1 } button { font: inherit; color: inherit; background: none; border: 0; padding: 0 .2rem;
  text-align: left; overflow-wrap: anywhere; border-radius: .2rem }
.js button { cursor: pointer; text-decoration: underline dotted var(--faint) }
button[aria-pressed=true] { background: var(--fill); outline: 1px solid var(--line) }
.controls { display: none; flex-wrap: wrap; gap: .6rem; align-items: center; margin: 1rem 0; position: sticky; top: 0;
  background: var(--paper); padding: .4rem 0; z-index: 1 }
.js .controls { display: flex } input, select { font: inherit; color: inherit; background: var(--paper);
  border: 1px solid var(--faint); border-radius: .25rem; padding: .2rem .4rem; min-width: 0 }
#wanted { flex: 1 1 14rem } label.order { display: none }
table { border-collapse: collapse; width: 100%; font-size: .88rem; table-layout: fixed }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere } th { font-weight: 600 } th button { padding: 0; font-weight: 600 }
th:nth-child(1) { width: 28% } th:nth-child(2) { width: 7.5rem } th:nth-child(3) { width: 14% }
th:nth-child(4) { width: 6.5rem } th:nth-child(5) { width: 6.5rem } th:nth-child(6) { width: 7.5rem }
[hidden] { display: none } td small { color: var(--faint); display: block }
@media (max-width: 48rem) { label.order { display: block }
  table, tbody, tr, td { display: block; width: auto } thead { display: none }
  tr { border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .6rem; margin: 0 0 .6rem;
    content-visibility: auto; contain-intrinsic-size: auto 9rem }
  td { border: 0; padding: .1rem 0 } td:empty { display: none }
  td::before { content: attr(data-is) " "; color: var(--faint) } td:first-child { font-weight: 600 }
  td:first-child::before { content: none } td small { display: inline } }
@media print { :root { --ink: #000; --paper: #fff; --faint: #444; --link: #000 } body { padding: 0; max-width: none }
  .js .controls { display: none } table { font-size: 7.5pt } thead { display: table-header-group }
  th:nth-child(n) { width: 9% } th:nth-child(3) { width: 13% }
  th:first-child { width: 26% } th:last-child { width: 25% }
  tr { break-inside: avoid } .js button { text-decoration: none } }
"""

SCRIPT = """
document.documentElement.classList.add('js');
const body = document.querySelector('tbody'), rows = [...body.rows], shown = document.getElementById('shown');
const wanted = document.getElementById('wanted'), order = document.getElementById('order');
const heads = [...document.querySelectorAll('th button')], facets = [...document.querySelectorAll('li button')];
const all = document.getElementById('all'), most = 500;
const texts = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
const index = new Map(rows.map((row, number) => [row, number]));
let chosen = {}, sorted = 0, falling = false, arranged = rows, fitting = rows, whole = false;
function show() {
  const part = whole ? fitting : fitting.slice(0, most);
  body.replaceChildren(...part);
  const count = fitting.length.toLocaleString('en'), total = rows.length.toLocaleString('en');
  shown.textContent = fitting.length === rows.length ? `${total} files` : `${count} of ${total} files`;
  all.hidden = part.length === fitting.length;
  all.textContent = `the first ${part.length} are shown; show all`;
}
function filter() {
  const words = wanted.value.toLowerCase().split(/\\s+/).filter(Boolean), facets = Object.entries(chosen);
  fitting = arranged.filter(row => words.every(word => texts.get(row).includes(word))
    && facets.every(([facet, value]) => row.dataset[facet] === value));
  show();
}
function key(row, column) {
  const cell = row.cells[column], number = cell.querySelector('data');
  return number ? Number(number.value) : cell.textContent;
}
function compare(a, b) {
  if (a === b) return 0;
  if (a === '' || b === '') return a === '' ? 1 : -1;
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a < b ? -1 : 1;
}
function sort(column, down) {
  sorted = column; falling = down; order.value = column;
  const keys = new Map(rows.map(row => [row, key(row, column)]));
  arranged = [...rows].sort((a, b) => {
    const found = compare(keys.get(a), keys.get(b));
    return (keys.get(a) === '' || keys.get(b) === '' ? found : down ? -found : found) || index.get(a) - index.get(b);
  });
  filter();
  heads.forEach((head, number) =>
    head.parentElement.setAttribute('aria-sort', number !== column ? 'none' : down ? 'descending' : 'ascending'));
}
heads.forEach((head, number) => head.addEventListener('click', () => sort(number, number === sorted && !falling)));
order.addEventListener('change', () => sort(Number(order.value), false));
wanted.addEventListener('input', filter);
all.addEventListener('click', () => { whole = true; show(); });
addEventListener('beforeprint', () => body.replaceChildren(...fitting));
addEventListener('afterprint', show);
facets.forEach(facet => facet.addEventListener('click', () => {
  const { facet: name, value } = facet.dataset, again = chosen[name] === value;
  facets.filter(other => other.dataset.facet === name).forEach(other => other.setAttribute('aria-pressed', 'false'));
  if (again) delete chosen[name]; else chosen[name] = value;
  facet.setAttribute('aria-pressed', String(!again));
  filter();
}));
filter();
"""

MOST_VALUES = 40
"""Answers to one question that are counted one by one; the others are counted together."""

FIRST_VALUES = 8
"""Of these, how many are shown at once."""

MOST_CHARACTERS = 160
"""Of a reason that is counted."""


class Facet(NamedTuple):
    """A question to every file. name: of its attribute in the page. of: the answer, "" for none."""

    name: str
    title: str
    of: Callable[[Row], str]


def fact(row: Row, name: str) -> str:
    return next((str(each["value"]) for each in row["facts"] if each["name"] == name), "")


_WHERE = {
    "inside": "in the file",
    "beside": "in a file beside it",
    "given": "given",
    "recognised": "recognised by the tensors",
    "none": "none",
}


def _network(row: Row) -> str:
    """The name of a known network; of others, that they are."""
    name = str(row["network"] or "")
    return re.sub(r" of [\d,]+ layers?$", "", name)


def refusal(row: Row) -> str:
    """Why a file is not converted, without the names and numbers that are its own."""
    if row["status"] in ("converted", "convertible") or not row["reason"]:
        return ""
    general = re.sub(r"'[^']*'", "'…'", str(row["reason"]))
    general = re.sub(r"\b\d[\d,.]*\b", "N", general)
    return general if len(general) <= MOST_CHARACTERS else f"{general[: MOST_CHARACTERS - 1]}…"


FACETS = (
    Facet("status", "What became of it", lambda row: row["status"]),
    Facet("era", "Written by", lambda row: row["era"] or ""),
    Facet("backend", "Backend", lambda row: fact(row, "backend")),
    Facet(
        "architecture", "Architecture", lambda row: _WHERE[row["architecture"]["where"]] if row["architecture"] else ""
    ),
    Facet("network", "Network", _network),
    Facet("refusal", "Not converted because", refusal),
)

COLUMNS = ("file", "status", "network", "written by", "backend", "relative L2 error", "output, or why there is none")


def page(rows: Iterable[Row]) -> Iterator[str]:
    """The page, in pieces. rows: gone through twice."""
    counts: dict[str, Counter[str]] = {facet.name: Counter() for facet in FACETS}
    total = 0
    for row in rows:
        total += 1
        for facet in FACETS:
            counts[facet.name][facet.of(row)] += 1
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{total:,} files</title><style>{STYLE}</style></head>\n<body><main>\n"
        f'<h1>{total:,} files</h1><p class="faint">What they are, what was written, how exact it is, or why not: '
        'the same as <a href="report.jsonl">report.jsonl</a>.</p>\n'
    )
    *some, last = FACETS
    yield f'<div class="counts">{"".join(_counted(facet, counts[facet.name]) for facet in some)}</div>\n'
    yield f'<div class="counts refusals">{_counted(last, counts[last.name])}</div>\n'
    options = "".join(f'<option value="{number}">{name}</option>' for number, name in enumerate(COLUMNS))
    yield (
        '<div class="controls"><input id="wanted" type="search" placeholder="words that a row has" '
        'aria-label="Words that a row has"> '
        f'<label class="order">sorted by <select id="order">{options}</select></label> '
        '<output id="shown"></output> <button type="button" id="all" hidden></button></div>\n'
    )
    heads = "".join(f'<th scope="col"><button type="button">{name}</button></th>' for name in COLUMNS)
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>\n"
    for row in rows:
        yield _row(row)
    yield f"</tbody></table></main><script>{SCRIPT}</script></body></html>\n"


def _counted(facet: Facet, counts: Counter[str]) -> str:
    """The answers to a question, with how many files have each."""
    found = [(value, count) for value, count in counts.most_common() if value]
    if not found:
        return ""
    lines = [
        f'<li><span>{count:,}</span><button type="button" aria-pressed="false" data-facet="{facet.name}" '
        f'data-value="{escape(value)}">{escape(value)}</button></li>'
        for value, count in found[:MOST_VALUES]
    ]
    if more := found[MOST_VALUES:]:
        lines.append(f"<li><span>{sum(count for _, count in more):,}</span>{len(more):,} others</li>")
    first, rest = "".join(lines[:FIRST_VALUES]), "".join(lines[FIRST_VALUES:])
    rest = f"<details><summary>{len(found) - FIRST_VALUES:,} more</summary><ul>{rest}</ul></details>" if rest else ""
    return f"<section><h2>{facet.title}</h2><ul>{first}</ul>{rest}</section>"


def _row(row: Row) -> str:
    data = "".join(f' data-{facet.name}="{escape(value)}"' for facet in FACETS if (value := facet.of(row)))
    cells = [
        escape(printable(row["file"])),
        f'<span class="{row["status"]}">{row["status"]}</span>',
        _small(row["network"], f"{row['parameters']:,} parameters" if row["parameters"] else ""),
        _small(row["era"], f"{version}, {_basis(row, 'Keras')}" if (version := fact(row, "Keras")) else ""),
        _small(fact(row, "backend"), _basis(row, "backend")),
        _error(row["verification"] or {}),
        _outcome(row),
    ]
    body = "".join(f'<td data-is="{name}">{cell}</td>' for name, cell in zip(COLUMNS, cells, strict=True))
    return f"<tr{data}>{body}</tr>\n"


def _small(text: str | None, more: str) -> str:
    return (escape(text) if text else "") + (f" <small>{escape(more)}</small>" if more else "")


def _basis(row: Row, name: str) -> str:
    """How a fact is known."""
    return next((str(each["basis"]) for each in row["facts"] if each["name"] == name), "")


def _error(found: Row) -> str:
    error = found.get("relative_l2")
    if error is not None:
        return f'<data value="{error!r}">{error:.1e}</data> <small>{escape(found["runtime"] or "")}</small>'
    return f"<small>not verified: {escape(found['reason'])}</small>" if found.get("reason") else ""


def _outcome(row: Row) -> str:
    parts = []
    if written := row["written"]:
        parts.append(_link(written["path"], written["path"]))
    if row["certificate"]:
        parts.append(_link(row["certificate"].removesuffix(".json") + ".html", "certificate"))
    if row["duplicate_of"]:
        parts.append(f"the same file as {escape(row['duplicate_of'])}")
    if row["reason"]:
        parts.append(escape(row["reason"]))
    parts += [f'<span class="refused">{escape(warning)}</span>' for warning in row["warnings"]]
    return "; ".join(parts)


def _link(path: str, text: str) -> str:
    """To a file, in whose name nothing is taken for the name of a scheme."""
    return f'<a href="./{escape(quote(path, errors="surrogatepass"))}">{escape(text)}</a>'
