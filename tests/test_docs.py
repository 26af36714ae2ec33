"""README and docs/ are true: what they show is run, their tables are made again, and what they name exists."""

from __future__ import annotations

import importlib
import re
import tomllib
from typing import Any

import pytest

import pages
from genuine import ROOT
from ror_port.cli import cli

LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
SKIPPED = {"", "toctree", "eval-rst", "literalinclude", "toml"}


def text(page: str) -> str:
    return (ROOT / page).read_text()


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    lines = text(page).splitlines()
    for block in reversed(list(pages.blocks(lines))):
        del lines[block.start - 1 : block.end + 1]
    return "\n".join(lines)


@pytest.mark.parametrize("page", [page for page in pages.PAGES if list(pages.steps(text(page).splitlines()))])
def test_what_a_page_shows_is_what_happens(page: str) -> None:
    """If it is not, and the program is right: ./scripts/docs --update."""
    assert not (found := pages.differences(page)), found


@pytest.mark.parametrize("page", [page for page in pages.PAGES if pages.TABLE.search(text(page))])
def test_tables_are_those_of_the_code_and_the_results(page: str) -> None:
    """If they are not: ./scripts/docs --update."""
    assert text(page) == pages.with_tables(text(page))


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_block_is_run_or_says_that_it_is_not(page: str) -> None:
    lines = text(page).splitlines()
    for block in pages.blocks(lines):
        assert block.language.strip("{}") in {*pages.RUN, *pages.SHOWN, "sh", *SKIPPED}, f"{page}:{block.start}"
        if block.language == "sh":
            assert all(line.startswith(pages.NOT_RUN) for line in lines[block.start : block.end]), (
                f"{page}:{block.start}"
            )
    assert not re.search(r"^ +(\$ |```|>>> )", text(page), re.MULTILINE), "an indented block would not be run"


def anchors(page: str) -> set[str]:
    """Of the headings of a page, as a code host and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages.PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), link


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/security.md", "docs/accuracy.md", "CONTRIBUTING.md"])
def test_what_a_page_names_exists(page: str) -> None:
    """Files and folders of the repository, and what can be imported."""
    names = CODE.findall(prose(page))
    paths = [
        name for name in names if re.fullmatch(r"[\w.-]+(/[\w.-]*)+", name) and (ROOT / name.split("/")[0]).exists()
    ]
    dotted = [name for name in names if re.fullmatch(r"ror_port(\.\w+)+", name)]
    assert [name for name in paths if not (ROOT / name).exists()] == []
    assert [name for name in dotted if not imports(name)] == []


def imports(name: str) -> bool:
    """Whether a dotted name is a module, or leads from one to something in it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found is not None
    return False


MENTIONS = re.compile(r"<!-- files that mention: (.+) -->\n\n((?:[-  ].*\n)+)")


def test_how_to_add_something_names_every_file() -> None:
    """Each list has every file of the program and of `reference/` that mentions its example."""
    lists = MENTIONS.findall(text("docs/architecture.md"))
    assert len(lists) == 3
    program = [*sorted(ROOT.glob("ror_port/**/*.py")), *sorted(ROOT.glob("reference/*.py"))]
    for pattern, items in lists:
        mentioning = {str(path.relative_to(ROOT)) for path in program if re.search(pattern, path.read_text())}
        assert mentioning, pattern
        assert mentioning <= set(CODE.findall(items)), pattern


def test_the_readme_has_every_command() -> None:
    assert [name for name in cli.commands if f"`{name}" not in text("README.md")] == []


def test_the_readme_has_every_extra() -> None:
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    table = set(re.findall(r"^\| `(\w+)` \|", text("README.md"), re.MULTILINE))
    assert extras.keys() - {"demo", "dev", "docs"} <= table


def test_readme_and_contributing_are_short() -> None:
    assert len(text("README.md").splitlines()) <= 150
    assert len(text("CONTRIBUTING.md").splitlines()) <= 40


def test_masks_hide_what_differs_between_machines_and_nothing_else() -> None:
    shown = "relative L2 2.9e-07; epsilon 1e-05; Keras 3.15.1 on TensorFlow 2.21.0; 1,368,829 bytes; 359 of 359 images"
    assert pages.masked(shown) == (
        "relative L2 ERROR; epsilon 1e-05; Keras VERSION on TensorFlow VERSION; SIZE bytes; 359 of 359 images"
    )


PAGE = """
```console
$ echo one; echo 1.5e-07 >&2
two
2.5e-07
```

```python
x = 6
```

```python
print(7 * x)
```

```console
$ echo "$HOME" | grep -c home
1
```
""".splitlines()


def test_a_page_is_run_and_updated() -> None:
    """Steps share a folder and an interpreter; figures that are masked stay as they are; output gets a block."""
    today = pages.updated(PAGE)
    assert today == [
        *PAGE[:3], "one", "2.5e-07", *PAGE[5:14],
        "", "```output", "42", "```", *PAGE[14:],
    ]  # fmt: skip
    assert pages.updated(today) == today
