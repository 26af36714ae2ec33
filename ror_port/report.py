"""What the commands say: the same account once as JSON and once as text for a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import click

from ror_port.convert import Written
from ror_port.formats.hdf5 import printable, quote
from ror_port.parity import Check, EpsilonEffect, Unchecked
from ror_port.port import Port
from ror_port.provenance import Fact


@dataclass
class Account:
    """Everything that one command found out about one file, and did with it."""

    port: Port
    written: Written | None = None
    planned: str | None = None
    check: Check | Unchecked | None = None
    epsilon: EpsilonEffect | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        port = self.port
        account: dict[str, Any] = {
            "file": str(port.checkpoint.path),
            **port.statement(),
            "parameters": port.size,
            "dtype": port.dtype,
            "omitted": list(port.checkpoint.omitted),
        }
        if port.admitted:
            account["admitted"] = port.admitted
        if self.planned:
            account["planned"] = self.planned
        if self.written:
            account["written"] = self.written.as_json()
        if self.check:
            account["check"] = self.check.as_json()
        if self.epsilon:
            account["epsilon_effect"] = {
                "epsilon": self.epsilon.epsilon,
                "other": self.epsilon.other,
                "logits_relative_l2": self.epsilon.difference.relative_l2,
                "answers_changed": self.epsilon.difference.answers - self.epsilon.difference.same_answers,
                "answers": self.epsilon.difference.answers,
            }
        if self.layers:
            account["layers"] = self.layers
        return account

    def as_text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        port = self.port
        yield f"{printable(port.checkpoint.path)}: {port.network.name}"
        yield f"  {port.network.summary}; {port.size:,} parameters, {port.dtype}"
        yield f"  sha256 {port.checkpoint.sha256}"
        yield ""
        yield from _table([(fact.basis, fact.name, fact.value, _evidence(fact)) for fact in port.facts])
        if port.checkpoint.omitted:
            yield f"  left out  {', '.join(port.checkpoint.omitted)}"
        for name, bad in list(port.admitted.items())[:3]:
            yield click.style(f"  admitted  {quote(name)} holds {bad}", fg="yellow")
        if len(port.admitted) > 3:
            yield click.style(f"  admitted  as do {len(port.admitted) - 3} other tensors", fg="yellow")
        yield ""
        if self.layers:
            yield from _table([(row["file"], row["name"], "×".join(map(str, row["shape"]))) for row in self.layers])
            yield ""
        if self.epsilon:
            yield from self._epsilon(self.epsilon)
        if self.planned:
            yield f"would write {printable(self.planned)}"
        if self.written:
            yield f"wrote {printable(self.written.path)} ({self.written.bytes:,} bytes)"
            yield f"  sha256 {self.written.sha256}"
        match self.check:
            case Check() as check:
                difference = check.difference
                origin = "Theano" if port.convention.flipped else "the software it came from"
                yield f"{click.style('checked', fg='green')}: {check.runtime} against what {origin} would compute"
                yield (
                    f"  logits differ by {difference.relative_l2:.1e} (relative L2; tolerance {check.tolerance:g}), "
                    f"same answer for {difference.same_answers} of {difference.answers} images"
                )
            case Unchecked(reason=reason):
                yield f"not checked: {reason}"

    def _epsilon(self, effect: EpsilonEffect) -> Iterator[str]:
        difference = effect.difference
        changed = difference.answers - difference.same_answers
        yield f"how much the assumed epsilon matters here: {effect.other:g} instead of {effect.epsilon:g} would change"
        yield (
            f"  the logits by {difference.relative_l2:.1%} (relative L2) and "
            f"{changed or 'none'} of {difference.answers} answers; only logits recorded then could tell which it was"
        )


def _evidence(fact: Fact) -> str:
    return f"{fact.evidence}; change with {fact.option}" if fact.basis == "assumed" and fact.option else fact.evidence


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)] + [0]
    for row in rows:
        line = "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield click.style(line, fg="yellow") if row[0] == "assumed" else line
