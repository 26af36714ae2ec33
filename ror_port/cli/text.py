"""What the commands print: the same account once as JSON and once as text for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    from ror_port.check.diagnose import Training
    from ror_port.check.evaluate import Evaluation, Hypothesis
    from ror_port.check.recheck import Recheck
    from ror_port.check.verify import Verification
    from ror_port.formats.checkpoint import Checkpoint
    from ror_port.layout import Extent
    from ror_port.source.description import Described, Description, Refusal


@dataclass(frozen=True)
class Account:
    """Everything that a command that converts found out about one file, and did with it.

    planned: what it would have written.
    """

    port: Port
    written: Written | None = None
    planned: Path | None = None

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
            if port.assumptions and written.verification:
                account["effects"] = self._effects
                account["warnings"] = list(_warnings(self._effects))
        return account

    @property
    def _effects(self) -> list[dict[str, Any]]:
        return [effect.as_json() for effect in self.written.effects] if self.written else []

    def as_text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        port, written = self.port, self.written
        summary = port.family.summary if port.family else _shapes(port)
        summary = f"{summary}; {port.size:,} parameters, {port.dtype}"
        yield from _source(port.checkpoint, port.name, summary, port.facts)
        for name, bad in list(port.admitted.items())[:3]:
            yield click.style(f"  admitted  {quote(name)} holds {bad}", fg="yellow")
        if len(port.admitted) > 3:
            yield click.style(f"  admitted  as do {len(port.admitted) - 3} other tensors", fg="yellow")
        yield ""
        if self._effects:
            yield from effects_text(self._effects)
            yield ""
        if self.planned:
            yield f"would write {printable(self.planned)}"
        if written:
            yield f"wrote {printable(written.path)} ({written.bytes:,} bytes)"
            yield f"  sha256 {written.sha256}"
            if written.multiplied:
                count = len({name.rpartition("/")[0] for name in written.multiplied})
                layers = f"{count} layer{'s' * (count > 1)}"
                yield f"  gates of {layers}: weights times 6/5, as Keras 3's hard_sigmoid is less steep"
            if written.verification:
                yield from self._verified(written.verification)
            if written.certificate:
                yield f"wrote {printable(written.certificate)} and the same as a page"
            yield f"open it with {printable(written.opened)}"
            batch = self.port.graph.batch or "batch"
            shapes = (
                f"{name} ({batch}, {', '.join('?' if size is None else str(size) for size in shape)})"
                for name, shape in written.inputs.items()
            )
            yield f"  its inputs: {'; '.join(shapes)}"

    def _verified(self, found: Verification) -> Iterator[str]:
        if found.difference is None or found.tolerance is None:
            yield f"not verified: {found.failure.for_command() if found.failure else ''}"
            return
        origin = "Theano" if self.port.convention.theano else "the software it came from"
        under = _under(self.port.assumptions)
        yield f"{click.style('verified', fg='green')} in {found.runtime} against what {origin} would compute{under}"
        yield f"  {_figures(vars(found.difference), found.tolerance.value, found.output)}"


def _source(checkpoint: Checkpoint, name: str, summary: str, facts: Sequence[Fact]) -> Iterator[str]:
    """What a source is, and how that is known."""
    yield f"{printable(checkpoint.path)}: {name}"
    yield f"  {summary}"
    yield f"  sha256 {checkpoint.sha256}"
    yield ""
    yield from table([(fact.basis, fact.name, printable(fact.value), printable(_evidence(fact))) for fact in facts])
    if checkpoint.omitted:
        yield f"  left out  {', '.join(checkpoint.omitted)}"


MOST_ROWS, LAST_ROWS = 30, 5
"""Layers up to which all are shown, and how many of the last ones are shown where there are more."""

MOST_REFUSALS = 10


def description_text(found: Description, *, tensors: bool) -> str:
    """tensors: list every layer, and every tensor with its canonical name."""
    lines = list(_source(found.checkpoint, found.name, _summary(found), found.facts))
    lines += ["", *_layer_table(found, whole=tensors)]
    if tensors:
        lines += ["", *_tensor_table(found)]
    if found.refusals:
        lines += ["", *_refusals(found.refusals)]
    return "\n".join(lines)


def _summary(found: Description) -> str:
    if found.port and found.port.family:
        what = f"{found.port.family.summary}; "
    elif found.inputs:
        given, made = (_first(_extent(value.shape) for value in ends) for ends in (found.inputs, found.outputs))
        what = f"input {given}, output {made}; "
    else:
        what = ""
    return f"{what}{found.size:,} parameters, {found.dtype}"


def _layer_table(found: Description, *, whole: bool) -> Iterator[str]:
    """Name, class, output and parameters of the layers; the shapes of the weights, where nothing else tells of them."""
    omitted = 0 if whole else max(0, len(found.layers) - MOST_ROWS)
    head = MOST_ROWS - LAST_ROWS if omitted else len(found.layers)
    shown = [*found.layers[:head], *found.layers[head + omitted :]]
    sizes = ["parameters", *(f"{layer.size:,}" for layer in shown), f"{found.size:,}"]
    width = max(map(len, sizes))
    names = ["layer", *(_name(layer.name) for layer in shown), "total"]
    kinds = ["class", *(_kind(layer, found) for layer in shown), ""]
    extents = ["output", *(_extent(layer.shape) for layer in shown), ""]
    weights = ["weights", *(_first(_extent(weight.shape) for weight in layer.weights) for layer in shown), ""]
    columns = [
        names,
        kinds,
        extents,
        [size.rjust(width) for size in sizes],
        [""] * len(sizes) if found.port else weights,
    ]
    lines = list(table(list(zip(*columns, strict=True))))
    if omitted:
        lines.insert(1 + head, f"  … {omitted:,} more layers; --layers lists all, and so does --json …")
    yield from lines


def _kind(layer: Described, found: Description) -> str:
    """The class of a layer, with a question mark where no architecture states it."""
    kind = _name(layer.class_name) if layer.class_name else ""
    return kind if found.port or layer.basis == "recorded" else f"{kind}?"


def _first(texts: Iterable[str], most: int = 4) -> str:
    """A list, cut where it is long."""
    listed = list(texts)
    return ", ".join(listed if len(listed) <= most else [*listed[: most - 1], f"and {len(listed) - most + 1:,} more"])


def _tensor_table(found: Description) -> Iterator[str]:
    """The tensors, with their canonical names where there are any."""
    weights = [weight for layer in found.layers for weight in layer.weights]
    names = [[_name(weight.name) for weight in weights]]
    if found.port:
        names.append([_name(weight.canonical or "") for weight in weights])
    return table(list(zip(*names, [_extent(weight.shape) for weight in weights], strict=True)))


def _refusals(refusals: Sequence[Refusal]) -> Iterator[str]:
    reasons, words = [printable(refusal) for refusal in refusals], click.style("cannot be converted", fg="yellow")
    if len(reasons) == 1:
        yield f"{words}: {reasons[0]}"
        return
    yield f"{words}, for {len(reasons):,} reasons:"
    yield from (f"  {reason}" for reason in reasons[:MOST_REFUSALS])
    if len(refusals) > MOST_REFUSALS:
        yield f"  and {len(refusals) - MOST_REFUSALS:,} more; --json lists all"


def _name(text: str) -> str:
    """A name out of a file."""
    return quote(text).strip("'")


def _extent(shape: Extent | None) -> str:
    """In words; "?" for what is not known."""
    if shape is None:
        return "?"
    return "×".join("?" if size is None else str(size) for size in shape) or "1"


def _under(assumptions: Sequence[Any]) -> str:
    """What the words of success rest on."""
    return " under the assumptions above" if assumptions else ""


def effects_text(effects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What would change if assumed facts were otherwise, a line each, and what to do where predictions would."""
    logits = any(effect["top1_changed"] is not None for effect in effects)
    yield f"if an assumed fact were otherwise, the {'logits' if logits else 'outputs'} would change by (relative L2)"
    rows: list[tuple[str, ...]] = []
    for effect in effects:
        size, changed = effect["relative_l2"], effect["top1_changed"]
        text = "not numbers" if size is None else f"{size:.1%}"
        if changed is not None:
            text += f", the top-1 class on {changed or 'none'} of {effect['images']} images"
        rows.append((effect["fact"], effect["alternative"], text, effect["option"] or ""))
    for effect, line in zip(effects, table(rows), strict=True):
        yield click.style(line, fg="yellow") if effect["warning"] else line
    for warning in _warnings(effects):
        yield click.style(f"warning: {warning}", fg="yellow", bold=True)


def _warnings(effects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One for each fact of which predictions depend, with the alternative that changes most."""
    facts: dict[str, Mapping[str, Any]] = {}
    for effect in effects:
        if effect["warning"]:
            facts.setdefault(effect["fact"], effect)
    for fact, effect in facts.items():
        remedy = f": convert again with {effect['option']} if so" if effect["option"] else ""
        yield f"predictions depend on an assumption: {fact} may be {effect['alternative']}{remedy}"


def _shapes(port: Port) -> str:
    """Of the inputs and outputs of a network."""
    graph = port.channels_last.graph
    ends = [[node.shape for node in graph.inputs], [graph[name].shape for name in graph.outputs]]
    given, found = (", ".join("×".join(map(str, shape)) for shape in shapes) for shapes in ends)
    return f"input {given}, output {found}"


def _evidence(fact: Fact) -> str:
    return f"{fact.evidence}; change with {fact.option}" if fact.basis == "assumed" and fact.option else fact.evidence


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [*[max(map(len, column)) for column in zip(*rows, strict=True)][:-1], 0]
    for row in rows:
        line = "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield click.style(line, fg="yellow") if row[0] == "assumed" else line


WIDEST_CONFUSION = 20
"""Classes up to which the confusion matrix fits a terminal."""


NO_SOFTMAX = "the network ends without a softmax: that its largest output is a predicted class is taken for granted"


def evaluation_text(path: Path, found: Evaluation, hypotheses: Sequence[Hypothesis]) -> str:
    """Accuracy and error in per cent, as the authors' code printed them; by class; the confusion matrix."""
    dataset, confusion = found.dataset, found.confusion
    lines = [
        f"{printable(path)} in {found.runtime}",
        f"  {len(found.predictions):,} images: {dataset.name}; {dataset.preprocessing}",
        *([] if found.scores_classes else [click.style(f"  {NO_SOFTMAX}", fg="yellow")]),
        "",
        f"Accuracy : {100 * found.accuracy:.2f} %",
        f"Error : {100 * (1 - found.accuracy):.2f} %",
        "",
    ]
    rows: list[tuple[str, ...]] = [("class", "images", "correct", "accuracy")]
    for index, name in enumerate(dataset.classes):
        count, correct = int(confusion[index].sum()), int(confusion[index, index])
        rows.append((quote(name).strip("'"), str(count), str(correct), f"{correct / count:.1%}" if count else "none"))
    lines += table(rows)
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
        lines += table(rows)
    return "\n".join(lines)


def verification_text(source: Path, certificate: Mapping[str, Any], out: Path | None) -> str:
    """The verdict on every artifact; on a failure where and why."""
    certificate = _printable(certificate)
    inputs = certificate["inputs"]
    shape = "×".join(map(str, inputs["shape"]))
    lines = [
        f"{printable(source)}: {certificate['source']['network']['name']}",
        f"  against Theano's arithmetic in NumPy float64 on {_inputs(inputs)}, {shape}",
    ]
    assumed = [fact for fact in certificate["source"]["facts"] if fact["basis"] == "assumed"]
    lines += [click.style(f"  assumed: {fact['name']} {fact['value']}", fg="yellow") for fact in assumed]
    if record := certificate["record"]:
        verdict = _answer(record) or _verdict(record["passed"])
        lines += ["", f"{verdict}  {record['file']}, recorded in Theano, against the reference"]
        lines.append(f"  {_figures(record['difference'], record['tolerance'])}")
        lines += _reading(record) if _answer(record) else _explanation(record)
        if record["passed"] and assumed:
            lines.append("  which confirms what is assumed")
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
    decided = record and (record["passed"] or _answer(record))
    if (effects := certificate["sensitivity"]) and not decided:
        lines += ["", *effects_text(effects)]
    if out:
        lines.append(f"wrote {printable(out)} and {printable(out.with_suffix('.html').name)}")
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
    yield from table(rows)
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


def _answer(record: Mapping[str, Any]) -> str:
    """The verdict on recorded outputs that fit another reading of the file; nothing where there is no such."""
    found = record["explanation"]
    return click.style("fits otherwise", fg="yellow") if found and found["options"] else ""


def _reading(record: Mapping[str, Any]) -> Iterator[str]:
    """Under which options a file is what its recorded outputs show it to be."""
    found = record["explanation"]
    after, names = found["after"]["relative_l2"], " and ".join(found["mistakes"])
    remedy = click.style(" ".join(found["options"]), bold=True)
    yield f"  recorded outputs fit {names} (relative L2 error {after:.1e}): convert again with {remedy}"


def _printable(value: Any) -> Any:
    """JSON with all its texts escaped for a terminal."""
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return printable(value) if isinstance(value, str) else value


SHOWN_FAULTS = 10
"""Figures that are not what was computed, of which so many are listed."""


def recheck_text(path: Path, again: Recheck) -> str:
    before, now = _printable(again.before), _printable(again.now)
    lines = [f"{printable(path)}: created {before['created']}, {_verdict(before['passed'])} then"]
    if now is not None:
        lines.append("  every file is the one that was certified (sha256)")
        lines += _assumed(again, now)
    if again.faults:
        what = "is not what was computed: " if now is not None else ""
        lines += [f"{_verdict(False)}  {what}{printable(fault)}" for fault in again.faults[:SHOWN_FAULTS]]
        more = len(again.faults) - SHOWN_FAULTS
        lines += [f"  and {more} more"] if more > 0 else []
    if now is None:
        return "\n".join(lines)
    for then, artifact in zip(before["artifacts"], now["artifacts"], strict=True):
        lines.append(_headline(artifact))
        if artifact["reason"]:
            lines.append(f"  {artifact['reason']}")
        else:
            stated = then["difference"] and then["difference"]["relative_l2"]
            lines.append(f"  {_figures(artifact['difference'], artifact['tolerance']['value'])}")
            lines.append(f"  then: {_error(stated)}, in {then['runtime']}" if then["difference"] else "  then: not run")
    if not again.layers:
        lines.append("errors by layer were not compared: with so many images they take too much memory")
    return "\n".join(lines)


def _error(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.1e}"


def _assumed(again: Recheck, now: Mapping[str, Any]) -> Iterator[str]:
    """What the certificate states about the source, with its effect; then what is assumed of it."""
    for assumption in again.assumptions:
        heading = click.style("the certificate assumes", fg="yellow", bold=True)
        yield f"{heading} {assumption.option} {printable(assumption.value)}, which is not taken from the file"
        difference = assumption.difference
        if difference is None:
            yield f"  without it the source is not read: {printable(assumption.refusal)}"
            continue
        change = f"  without it the outputs differ by {difference.relative_l2:.1e} (relative L2)"
        if difference.same_top1 is not None:
            change += f", the top-1 class on {difference.changed_top1 or 'none'} of {difference.images} images"
        verdict = "what passes here would fail" if assumption.decisive else "the verdict would be the same"
        yield f"{change}: {verdict}"
    if architecture := now["source"]["architecture"]:
        yield f"the architecture is that of {architecture['file']} (sha256 {architecture['sha256']})"
    for fact in now["source"]["facts"]:
        if fact["basis"] == "assumed":
            option = f"; change with {fact['option']}" if fact.get("option") else ""
            yield click.style(f"assumed: {fact['name']} {fact['value']} ({fact['evidence']}{option})", fg="yellow")
    if now["sensitivity"]:
        yield from effects_text(now["sensitivity"])


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
        f"{printable(path)}: by its running statistics {verdict}",
        f"  {found.votes} of {total} channels fit better under {words[found.best.true_convolution]}, "
        f"{found.deviations:.1f} standard deviations from a fair coin; divergence {found.best.mean:.2g} against "
        f"{found.other.mean:.2g}",
    ]
    if found.verdict == "inconclusive":
        lines.append(
            f"  conclusive from {tolerances.STATISTICS_VOTES} deviations on, and where the divergence is at most "
            f"{tolerances.STATISTICS_FIT:g}: more images, or images of the kind it was trained on, may help"
        )
    elif found.best.true_convolution != found.as_taken.true_convolution:
        lines.append(click.style("  the file is read here under the other one; change with --source-backend", fg="red"))
    lines += _statistic(found)
    rows: list[tuple[str, ...]] = [("BatchNorm", "flipped", "not flipped")]
    pair = sorted((found.best, found.other), key=lambda misfit: not misfit.true_convolution)
    rows += [(name, *(f"{misfit.layers[name].mean():.2g}" for misfit in pair)) for name in pair[0].layers]
    return "\n".join([*lines, *table(rows)])


def _statistic(found: Training) -> Iterator[str]:
    """What the running statistics are, where that is conclusive, and what to do where the file is read otherwise."""
    if found.statistic == "inconclusive":
        return
    other = found.other_statistic
    yield (
        f"  they are {click.style(found.statistic, bold=True)}: {found.votes_against(other)} of "
        f"{len(found.best.channels)} channels fit better so, {found.deviations_from(other):.1f} standard deviations "
        f"from a fair coin; as {other.statistic} their divergence is {other.mean:.2g}"
    )
    if found.statistic != found.as_taken.statistic:
        version = "1.0.6" if found.statistic == "standard deviations" else "1.2.2"
        yield click.style(
            f"  the file is read here as if they were not; change with --source-keras {version}", fg="red"
        )
