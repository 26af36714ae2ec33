"""What the commands print: the same account once as JSON and once as text for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port import tolerances
from ror_port.errors import printable, quote
from ror_port.source.port import Port
from ror_port.source.provenance import Fact

if TYPE_CHECKING:  # a command that prints none of these does not import them
    from ror_port.api import Written
    from ror_port.check.certificate import Recheck
    from ror_port.check.diagnose import Training
    from ror_port.check.evaluate import Evaluation, Hypothesis
    from ror_port.check.expectation import EpsilonEffect
    from ror_port.check.verify import Verification


@dataclass(frozen=True)
class Account:
    """Everything that one command found out about one file, and did with it. planned: what it would have written."""

    port: Port
    written: Written | None = None
    planned: Path | None = None
    lists_tensors: bool = False

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Every tensor: its name in the file, its canonical name, and its shape in the file."""
        if not self.lists_tensors:
            return []
        stored = [(parameter.name, self.port.stored[parameter.name]) for parameter in self.port.graph.parameters]
        return [{"file": quote(t.name).strip("'"), "name": name, "shape": t.shape} for name, t in stored]

    def as_json(self) -> dict[str, Any]:
        port, written = self.port, self.written
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
            account["planned"] = str(self.planned)
        if written:
            account["written"] = written.as_json()
            if written.certificate:
                account["certificate"] = str(written.certificate)
            if written.verification:
                account["verification"] = written.verification.as_json()
            if written.epsilon_effect:
                account["epsilon_effect"] = written.epsilon_effect.as_json()
        if self.layers:
            account["layers"] = self.layers
        return account

    def as_text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        port, written = self.port, self.written
        yield f"{printable(port.checkpoint.path)}: {port.name}"
        summary = port.family.summary if port.family else _shapes(port)
        yield f"  {summary}; {port.size:,} parameters, {port.dtype}"
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
        if written and written.epsilon_effect:
            yield from self._epsilon(written.epsilon_effect)
        if self.planned:
            yield f"would write {printable(self.planned)}"
        if written:
            yield f"wrote {printable(written.path)} ({written.bytes:,} bytes)"
            yield f"  sha256 {written.sha256}"
            if written.verification:
                yield from self._verified(written.verification)
            if written.certificate:
                yield f"wrote {printable(written.certificate)} and the same as a page"
            yield f"open it with {printable(written.opened)}"
            shapes = (f"{name} (batch, {', '.join(map(str, shape))})" for name, shape in written.inputs.items())
            yield f"  its inputs: {'; '.join(shapes)}"

    def _verified(self, found: Verification) -> Iterator[str]:
        if found.difference is None or found.tolerance is None:
            yield f"not verified: {found.failure.for_command() if found.failure else ''}"
            return
        origin = "Theano" if self.port.convention.theano else "the software it came from"
        yield f"{click.style('verified', fg='green')} in {found.runtime} against what {origin} would compute"
        yield f"  {_figures(vars(found.difference), found.tolerance.value, found.output)}"

    def _epsilon(self, effect: EpsilonEffect) -> Iterator[str]:
        difference = effect.difference
        yield f"effect of the assumed epsilon: {effect.other:g} instead of {effect.epsilon:g} would change"
        top1 = ""
        if difference.same_top1 is not None:
            top1 = f", the top-1 class on {difference.changed_top1 or 'none'} of {difference.images} images"
        what = "logits" if top1 else "outputs"
        yield (
            f"  the {what} by {difference.relative_l2:.1%} (relative L2){top1}; only {what} recorded then determine it"
        )


def _shapes(port: Port) -> str:
    """Of the inputs and outputs of a network."""
    graph = port.channels_last.graph
    ends = [[node.shape for node in graph.inputs], [graph[name].shape for name in graph.outputs]]
    given, found = (", ".join("×".join(map(str, shape)) for shape in shapes) for shapes in ends)
    return f"input {given}, output {found}"


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
        f"  {len(found.predictions):,} images: {dataset.name}; {dataset.preprocessing}",
        "",
        f"Accuracy : {100 * found.accuracy:.2f} %",
        f"Error : {100 * (1 - found.accuracy):.2f} %",
        "",
    ]
    rows: list[tuple[str, ...]] = [("class", "images", "correct", "accuracy")]
    for index, name in enumerate(dataset.classes):
        count, correct = int(confusion[index].sum()), int(confusion[index, index])
        rows.append((quote(name).strip("'"), str(count), str(correct), f"{correct / count:.1%}" if count else "none"))
    lines += _table(rows)
    if len(dataset.classes) <= WIDEST_CONFUSION:
        cells = [[str(count) if count else "·" for count in row] for row in confusion]
        width = max(len(cell) for row in [*cells, map(str, range(len(cells)))] for cell in row)
        header = " ".join(str(i).rjust(width) for i in range(len(cells)))
        label = len(str(len(cells) - 1))
        lines += ["", "rows: true class; columns: predicted class", f"  {' ' * label}  {header}"]
        lines += [f"  {i:{label}}  " + " ".join(c.rjust(width) for c in row) for i, row in enumerate(cells)]
    if hypotheses:
        lines += ["", "under other conventions:"]
        rows = [("trained by", "epsilon", "accuracy", "")]
        for h in hypotheses:
            kernels = "theano (kernels flipped)" if h.backend == "theano" else "tensorflow (not flipped)"
            rows.append((kernels, f"{h.epsilon:g}", f"{h.accuracy:.2%}", "taken" if h.taken else ""))
        lines += _table(rows)
    return "\n".join(lines)


def verification_text(source: Path, certificate: Mapping[str, Any], out: Path | None) -> str:
    """The verdict on every artifact; on a failure where and why."""
    inputs = certificate["inputs"]
    shape = "×".join(map(str, inputs["shape"]))
    lines = [
        f"{source}: {certificate['source']['network']['name']}",
        f"  against Theano's arithmetic in NumPy float64 on {_inputs(inputs)}, {shape}",
    ]
    if record := certificate["record"]:
        verdict = _verdict(record["passed"])
        lines += ["", f"{verdict}  {record['file']}, recorded in Theano, against the reference"]
        lines.append(f"  {_figures(record['difference'], record['tolerance'])}")
        lines += _explanation(record)
    for artifact in certificate["artifacts"]:
        lines += ["", _headline(artifact)]
        if artifact["reason"]:
            lines.append(f"  {artifact['reason']}")
            continue
        tolerance = artifact["tolerance"]
        lines += [
            f"  {_figures(artifact['difference'], tolerance['value'], artifact['output'])}",
            f"  tolerance: {tolerance['margin']} × {tolerance['noise']:.1e}, what {tolerance['precision']} costs the "
            f"reference itself on these inputs, {tolerance['depth']} layers deep",
        ]
        if artifact["layers"]:
            lines += _layers(artifact)
        if artifact["passed"] is False:
            lines += _explanation(artifact)
    if effect := certificate["sensitivity"]:
        lines += [
            "",
            f"epsilon {effect['other']:g} instead of {effect['epsilon']:g} would change the logits by "
            f"{effect['logits_relative_l2']:.1%} (at most {effect['logits_max_abs']:.2g})",
        ]
        if effect["top1_changed"] is not None:
            changed = effect["top1_changed"] or "none"
            lines[-1] += f" and the top-1 class on {changed} of {effect['images']} images"
    if out:
        lines.append(f"wrote {out} and {out.with_suffix('.html').name}")
    return "\n".join(lines)


def _headline(artifact: Mapping[str, Any]) -> str:
    runtime = f", in {artifact['runtime']}" if artifact["runtime"] else ""
    return f"{_verdict(artifact['passed'])}  {artifact['file']}{runtime}"


def _verdict(passed: bool | None) -> str:
    words = {True: ("passed", "green"), False: ("FAILED", "red"), None: ("not run", "yellow")}
    word, colour = words[passed]
    return click.style(word, fg=colour)


def _inputs(stated: Mapping[str, Any]) -> str:
    """What networks were given, in words."""
    if stated["file"]:
        return "images"
    return "seeded images" if len(stated["shape"]) == 4 else "seeded inputs"


def _figures(difference: Mapping[str, Any], tolerance: float, output: str | None = None) -> str:
    """output: which of several the figures are of."""
    if difference["relative_l2"] is None:
        return "the scores are not numbers (NaN)"
    text = (
        f"relative L2 error {difference['relative_l2']:.1e} (tolerance {tolerance:.1e}), largest difference "
        f"{difference['max_abs']:.1e}"
    )
    if difference["same_top1"] is not None:
        text += f", same top-1 class on {difference['same_top1']} of {difference['images']} images"
    return f"{text}, of the output {output}" if output else text


def _layers(artifact: Mapping[str, Any]) -> Iterator[str]:
    tolerance = artifact["tolerance"]["value"]
    rows: list[tuple[str, ...]] = [("layer", "end to end", "isolated", "")]
    for layer in artifact["layers"]:
        values = layer["end_to_end"], layer["isolated"]
        marks = "faulty" if layer["node"] in artifact["faulty_layers"] else ""
        if not marks and values[0] is not None and values[0] > tolerance:
            marks = "differs because its input does"
        rows.append((layer["node"], *(f"{v:.1e}" if v is not None else "" for v in values), marks))
    yield from _table(rows)
    if artifact["first_difference"]:
        faulty = len(artifact["faulty_layers"])
        yield f"  first difference: {artifact['first_difference']}; faulty layers: {faulty}"


def _explanation(item: Mapping[str, Any]) -> Iterator[str]:
    found = item["explanation"]
    if found:
        before, after = (found[key]["relative_l2"] for key in ("before", "after"))
        names = " and ".join(found["mistakes"])
        yield f"  {click.style('explained by', fg='yellow')}: {names}"
        yield f"  relative L2 error {before:.1e}, and {after:.1e} from a reference that makes the same mistake"
    elif not item["passed"]:
        yield "  none of the known mistakes, nor two of them together, explains it"


def recheck_text(path: Path, again: Recheck) -> str:
    lines = [f"{path}: created {again.before['created']}, {_verdict(again.before['passed'])} then"]
    if again.now is None:
        return "\n".join([*lines, *(f"{_verdict(False)}  {fault}" for fault in again.faults)])
    lines.append("  every file is the one that was certified (sha256)")
    for before, now in zip(again.before["artifacts"], again.now["artifacts"], strict=True):
        lines.append(_headline(now))
        if now["reason"]:
            lines.append(f"  {now['reason']}")
        else:
            then = before["difference"]
            lines.append(f"  {_figures(now['difference'], now['tolerance']['value'])}")
            lines.append(f"  then: {then['relative_l2']:.1e}, in {before['runtime']}" if then else "  then: not run")
    return "\n".join(lines)


def training_text(path: Path, found: Training) -> str:
    """What the running statistics tell, hypothesis by hypothesis and layer by layer."""
    words = {True: "Theano's convolution (kernels flipped)", False: "cross-correlation (not flipped)"}
    best = "Theano" if found.best.true_convolution else "software that cross-correlates, as TensorFlow does"
    verdict = {
        "inconclusive": click.style("inconclusive", fg="yellow"),
        "theano": f"trained by {click.style(best, bold=True)}",
        "not theano": f"trained by {click.style(best, bold=True)}",
    }[found.verdict]
    total = len(found.best.channels)
    lines = [
        f"{path}: by its running statistics {verdict}",
        f"  {found.votes} of {total} channels fit better under {words[found.best.true_convolution]}, "
        f"{found.deviations:.1f} standard deviations from a fair coin; divergence {found.best.mean:.2g} against "
        f"{found.other.mean:.2g}",
    ]
    if found.verdict == "inconclusive":
        lines.append(
            f"  conclusive from {tolerances.STATISTICS_VOTES} deviations on, and where the divergence is at most "
            f"{tolerances.STATISTICS_FIT:g}: more images, or images of the kind it was trained on, may help"
        )
    elif found.best is not found.as_taken:
        lines.append(click.style("  the file is read here under the other one; change with --source-backend", fg="red"))
    rows: list[tuple[str, ...]] = [("BatchNorm", "flipped", "not flipped")]
    pair = sorted((found.as_taken, found.otherwise), key=lambda misfit: not misfit.true_convolution)
    rows += [(name, *(f"{misfit.layers[name].mean():.2g}" for misfit in pair)) for name in pair[0].layers]
    return "\n".join([*lines, *_table(rows)])
