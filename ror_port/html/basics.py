"""Tables and drawings as HTML. Colours are CSS variables, which whoever shows them defines, as `STYLE` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

STYLE = """
.ror-port { --ink: currentColor; --faint: color-mix(in srgb, currentColor 65%, transparent);
  --line: color-mix(in srgb, currentColor 25%, transparent); --fill: color-mix(in srgb, currentColor 8%, transparent);
  --good: #2e9e4f; --bad: #d9534f; --warn: #b8860b; --one: #9a5fd0; --two: #3a8de0; --three: #8a9097 }
.ror-port table { border-collapse: collapse; font-size: .9em } .ror-port th, .ror-port td { text-align: left;
  vertical-align: top; padding: .2em .8em .2em 0; border-bottom: 1px solid var(--line) }
.ror-port svg { display: block; max-width: 720px; width: 100%; height: auto }
.ror-port svg text { fill: var(--ink); font: 12px system-ui, sans-serif }
.ror-port .good { color: var(--good) } .ror-port .bad { color: var(--bad) } .ror-port .warn { color: var(--warn) }
.ror-port .faint { color: var(--faint) } .ror-port p { margin: .4em 0 }
"""
"""Of what a notebook shows, in the colours of its own theme: those of texts, of what is less important, of lines and
boxes, of verdicts, and of three kinds of shortcuts."""


def fragment(*parts: str) -> str:
    """Parts of HTML as a notebook shows them."""
    return f'<div class="ror-port"><style>{STYLE}</style>{"".join(parts)}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already. On a small screen the table is scrolled, by keyboard too."""
    header = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    label = f"Table of {head[0]}, {head[1]} and more"
    content = f"<table><thead><tr>{header}</tr></thead><tbody>\n{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{content}</div>'


def number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.1e}"


def svg(width: float, height: float, label: str, body: Iterator[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">' + "".join(body) + "</svg>"
    )
