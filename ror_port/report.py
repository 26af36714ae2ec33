"""What the commands say: the same account once as JSON and once as text for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port.formats.hdf5 import quote
from ror_port.port import Port
from ror_port.provenance import Fact

if TYPE_CHECKING:  # a command that has none of these to tell of does not import them
    from ror_port.convert import Written
    from ror_port.evaluate import Evaluation, Hypothesis
    from ror_port.parity import Check, EpsilonEffect, Unchecked


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
        yield f"{port.checkpoint.path}: {port.network.name}"
        yield f"  {port.network.summary}; {port.size:,} parameters, {port.dtype}"
        yield f"  sha256 {port.checkpoint.sha256}"
        yield ""
        yield from _table([(fact.basis, fact.name, fact.value, _evidence(fact)) for fact in port.facts])
        if port.checkpoint.omitted:
            yield f"  left out  {', '.join(port.checkpoint.omitted)}"
        yield ""
        if self.layers:
            yield from _table([(row["file"], row["name"], "×".join(map(str, row["shape"]))) for row in self.layers])
            yield ""
        if self.epsilon:
            yield from self._epsilon(self.epsilon)
        if self.planned:
            yield f"would write {self.planned}"
        if self.written:
            yield f"wrote {self.written.path} ({self.written.bytes:,} bytes)"
            yield f"  sha256 {self.written.sha256}"
        if self.check:
            yield from self._checked(self.check)

    def _checked(self, check: Check | Unchecked) -> Iterator[str]:
        from ror_port.parity import Unchecked

        if isinstance(check, Unchecked):
            yield f"not checked: {check.reason}"
            return
        difference = check.difference
        origin = "Theano" if self.port.convention.flipped else "the software it came from"
        yield f"{click.style('checked', fg='green')}: {check.runtime} against what {origin} would compute"
        yield (
            f"  logits differ by {difference.relative_l2:.1e} (relative L2; tolerance {check.tolerance:g}), "
            f"same answer for {difference.same_answers} of {difference.answers} images"
        )

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


WIDEST_CONFUSION = 20
"""Classes up to which the confusion matrix fits a terminal."""


def evaluation_text(path: Path, found: Evaluation, hypotheses: Sequence[Hypothesis]) -> str:
    """Accuracy and error in per cent, as the authors' code printed them; by class; the confusion matrix."""
    dataset, confusion = found.dataset, found.confusion
    lines = [
        f"{path} in {found.runtime}",
        f"  {len(found.answers):,} images: {dataset.name}; {dataset.preprocessing}",
        "",
        f"Accuracy : {100 * found.accuracy:.2f} %",
        f"Error : {100 * (1 - found.accuracy):.2f} %",
        "",
    ]
    rows: list[tuple[str, ...]] = [("class", "images", "right", "accuracy")]
    for index, name in enumerate(dataset.classes):
        count, right = int(confusion[index].sum()), int(confusion[index, index])
        rows.append((quote(name).strip("'"), str(count), str(right), f"{right / count:.1%}" if count else "none"))
    lines += _table(rows)
    if len(dataset.classes) <= WIDEST_CONFUSION:
        cells = [[str(count) if count else "·" for count in row] for row in confusion]
        width = max(len(cell) for row in [*cells, map(str, range(len(cells)))] for cell in row)
        header = " ".join(str(i).rjust(width) for i in range(len(cells)))
        label = len(str(len(cells) - 1))
        lines += ["", "rows: the class; columns: the answer", f"  {' ' * label}  {header}"]
        lines += [f"  {i:{label}}  " + " ".join(c.rjust(width) for c in row) for i, row in enumerate(cells)]
    if hypotheses:
        lines += ["", "if the file meant something else:"]
        rows = [("trained by", "epsilon", "accuracy", "")]
        for h in hypotheses:
            kernels = "theano (kernels flipped)" if h.backend == "theano" else "tensorflow (not flipped)"
            rows.append((kernels, f"{h.epsilon:g}", f"{h.accuracy:.2%}", "taken" if h.taken else ""))
        lines += _table(rows)
    return "\n".join(lines)
