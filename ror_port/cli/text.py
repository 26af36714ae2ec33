"""What the commands say: the same account once as JSON and once as text for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port import tolerances
from ror_port.errors import printable, quote
from ror_port.source.port import Port
from ror_port.source.provenance import Fact

if TYPE_CHECKING:  # a command that has none of these to tell of does not import them
    from ror_port.check.certificate import Recheck
    from ror_port.check.compare import Check, EpsilonEffect, Unchecked
    from ror_port.check.diagnose import Training
    from ror_port.check.evaluate import Evaluation, Hypothesis
    from ror_port.convert.write import Written


@dataclass
class Account:
    """Everything that one command found out about one file, and did with it."""

    port: Port
    written: Written | None = None
    planned: str | None = None
    check: Check | Unchecked | None = None
    epsilon: EpsilonEffect | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)
    certificate: str | None = None

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
        if self.certificate:
            account["certificate"] = self.certificate
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
        if self.check:
            yield from self._checked(self.check)
        if self.certificate:
            yield f"wrote {self.certificate} and the same as a page"

    def _checked(self, check: Check | Unchecked) -> Iterator[str]:
        from ror_port.check.compare import Unchecked

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


def verification_text(source: Path, certificate: Mapping[str, Any], out: Path | None) -> str:
    """The verdict on every artifact; on a failure where and why."""
    about = certificate["source"]
    inputs = certificate["inputs"]
    shown = "×".join(map(str, inputs["shape"])) + (" images" if inputs["file"] else " seeded pictures")
    lines = [
        f"{source}: {about['network']['name']}",
        f"  against Theano's arithmetic in NumPy float64 on {shown}",
    ]
    if record := certificate["record"]:
        verdict = _verdict(record["passed"])
        lines += ["", f"{verdict}  {record['file']}, recorded in Theano, against the reference"]
        lines.append(f"  {_figures(record['difference'], record['tolerance'])}")
        lines += _explanation(record)
    for artifact in certificate["artifacts"]:
        lines += ["", f"{_verdict(artifact['passed'])}  {artifact['file']}, in {artifact['runtime'] or 'nothing'}"]
        if artifact["reason"]:
            lines.append(f"  {artifact['reason']}")
            continue
        tolerance = artifact["tolerance"]
        lines += [
            f"  {_figures(artifact['difference'], tolerance['value'])}",
            f"  tolerance: {tolerance['margin']} × {tolerance['noise']:.1e}, what {tolerance['precision']} costs the "
            f"reference itself on these inputs, {tolerance['depth']} layers deep",
        ]
        if artifact["layers"]:
            lines += _layers(artifact)
        if artifact["passed"] is False:
            lines += _explanation(artifact)
    effect = certificate["sensitivity"]
    lines += [
        "",
        f"epsilon {effect['other']:g} instead of {effect['epsilon']:g} would change the logits by "
        f"{effect['logits_relative_l2']:.1%} (at most {effect['logits_max_abs']:.2g}) and "
        f"{effect['answers_changed']} of {effect['answers']} answers",
    ]
    if out:
        lines.append(f"wrote {out} and {out.with_suffix('.html').name}")
    return "\n".join(lines)


def _verdict(passed: bool | None) -> str:
    words = {True: ("passed", "green"), False: ("FAILED", "red"), None: ("not run", "yellow")}
    word, colour = words[passed]
    return click.style(word, fg=colour)


def _figures(difference: Mapping[str, Any], tolerance: float) -> str:
    if difference["relative_l2"] is None:
        return "answers that are no numbers"
    return (
        f"relative L2 {difference['relative_l2']:.1e}, the least that a tolerance would have to be; it is "
        f"{tolerance:.1e}; largest difference {difference['max_abs']:.1e}, same answer for "
        f"{difference['same_answers']} of {difference['answers']}"
    )


def _layers(artifact: Mapping[str, Any]) -> Iterator[str]:
    tolerance = artifact["tolerance"]["value"]
    rows: list[tuple[str, ...]] = [("layer", "in the end", "by itself", "")]
    for layer in artifact["layers"]:
        values = layer["end_to_end"], layer["alone"]
        marks = "differs by itself" if layer["node"] in artifact["differ_alone"] else ""
        if not marks and values[0] is not None and values[0] > tolerance:
            marks = "differs, by what came before"
        rows.append((layer["node"], *(f"{v:.1e}" if v is not None else "" for v in values), marks))
    yield from _table(rows)
    if artifact["first_difference"]:
        alone = len(artifact["differ_alone"])
        yield f"  first to differ: {artifact['first_difference']}; by themselves: {alone} layers"


def _explanation(item: Mapping[str, Any]) -> Iterator[str]:
    found = item["explanation"]
    if found:
        before, after = (found[key]["relative_l2"] for key in ("before", "after"))
        names = " and ".join(found["mistakes"])
        yield f"  {click.style('explained by', fg='yellow')}: {names}"
        yield f"  relative L2 {before:.1e} before, {after:.1e} once the reference makes the same mistake"
    elif not item["passed"]:
        yield "  none of the known mistakes, nor two of them together, explains it"


def recheck_text(path: Path, again: Recheck) -> str:
    lines = [f"{path}: made {again.before['created']}, {_verdict(again.before['passed'])} then"]
    if again.now is None:
        return "\n".join([*lines, *(f"{_verdict(False)}  {fault}" for fault in again.faults)])
    lines.append("  every file is the one that was certified (sha256)")
    for before, now in zip(again.before["artifacts"], again.now["artifacts"], strict=True):
        lines.append(f"{_verdict(now['passed'])}  {now['file']}, in {now['runtime'] or 'nothing'}")
        if now["reason"]:
            lines.append(f"  {now['reason']}")
        else:
            then = before["difference"]
            lines.append(f"  {_figures(now['difference'], now['tolerance']['value'])}")
            lines.append(f"  then: {then['relative_l2']:.1e}, in {before['runtime']}" if then else "  then: not run")
    return "\n".join(lines)


def training_text(path: Path, found: Training) -> str:
    """What the running statistics say, hypothesis by hypothesis and layer by layer."""
    words = {True: "Theano's convolution (flipped)", False: "cross-correlation (not flipped)"}
    best = "Theano" if found.best.flipped else "software that cross-correlates, as TensorFlow does"
    said = {
        "inconclusive": click.style("inconclusive", fg="yellow"),
        "theano": f"trained by {click.style(best, bold=True)}",
        "not theano": f"trained by {click.style(best, bold=True)}",
    }[found.verdict]
    total = len(found.best.channels)
    lines = [
        f"{path}: by its running statistics {said}",
        f"  {found.votes} of {total} channels fit better under {words[found.best.flipped]}, "
        f"{found.deviations:.1f} standard deviations from a fair coin; divergence {found.best.mean:.2g} against "
        f"{found.other.mean:.2g}",
    ]
    if found.verdict == "inconclusive":
        lines.append(
            f"  conclusive from {tolerances.STATISTICS_VOTES} deviations on, and where the divergence is at most "
            f"{tolerances.STATISTICS_FIT:g}: more images, or images of the kind it was trained on, may help"
        )
    elif found.best is not found.as_taken:
        lines.append(click.style("  it is read here as the other; --source-backend changes that", fg="red"))
    rows: list[tuple[str, ...]] = [("BatchNorm", "flipped", "not flipped")]
    pair = sorted((found.as_taken, found.otherwise), key=lambda misfit: not misfit.flipped)
    rows += [(name, *(f"{misfit.layers[name].mean():.2g}" for misfit in pair)) for name in pair[0].layers]
    return "\n".join([*lines, *_table(rows)])
