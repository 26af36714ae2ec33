"""The certificate as one HTML page that needs nothing else: no script, no font, no network.

Verdict first; then the network with its three levels of shortcuts, the errors layer by layer, where the numbers come
from, and the weights. Made for small screens, dark mode and print, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import Any

from ror_port.errors import ARGUMENTS
from ror_port.html.basics import number, svg, table
from ror_port.html.drawing import chart, drawing
from ror_port.network.families import FAMILIES
from ror_port.network.graph import Graph

Json = Mapping[str, Any]

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --faint: #6a6f76; --line: #d5d8dc; --good: #1a7f37;
  --bad: #c62828; --warn: #9a6700; --one: #7b3fbf; --two: #0b6bcb; --three: #6a6f76; --fill: #eef1f4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --paper: #15181b; --faint: #9aa0a6; --line: #3a3f45;
  --good: #57c46f; --bad: #ff7a70; --warn: #e0b341; --one: #c08bff; --two: #6db3ff; --three: #9aa0a6;
  --fill: #23282d } }
@media print { :root { --ink: #000; --paper: #fff } section { break-inside: avoid } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem; max-width: 56rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
.verdict { font-size: 1.25rem; font-weight: 600; margin: .4rem 0 0 }
.good { color: var(--good) } .bad { color: var(--bad) } .warn { color: var(--warn) } .faint { color: var(--faint) }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line) }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere }
svg { display: block; width: 100%; height: auto } svg text { fill: var(--ink); font: 12px system-ui, sans-serif }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .8rem }
figure { margin: 0 } figcaption { font-size: .8rem; color: var(--faint) }
"""


def page(certificate: Json) -> str:
    """The whole page."""
    source = certificate["source"]
    title = f"{source['network']['name']}: {_WORDS[certificate['passed']][0]}"
    sections = [
        _verdict(certificate),
        _section("The network", _network(certificate)),
        _section("Error by layer", _errors(certificate)),
        _section("Where the numbers come from", _provenance(certificate)),
        _section("The weights", _weights(certificate["weights"])),
        _section("What was done, and how to check it again", _method(certificate)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )


_WORDS = {
    True: ("verified", "good", "computes what Theano would have computed"),
    False: ("FAILED", "bad", "does not compute what Theano would have computed"),
    None: ("not verified", "warn", "could not be run"),
}


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>" if body else ""


def _verdict(certificate: Json) -> str:
    source = certificate["source"]
    network = source["network"]
    word, style, _ = _WORDS[certificate["passed"]]
    rows = []
    for artifact in certificate["artifacts"]:
        verdict, look, _ = _WORDS[artifact["passed"]]
        difference, tolerance = artifact["difference"], artifact["tolerance"]
        cells = [escape(artifact["reason"] or ""), "", ""]
        if difference:
            cells = [
                number(difference["relative_l2"]),
                f"{tolerance['value']:.1e}",
                _top1(difference),
            ]
        rows.append(
            [
                f"<code>{escape(artifact['file'])}</code>",
                f'<b class="{look}">{verdict}</b>',
                escape(artifact["runtime"] or ""),
                *cells,
            ]
        )
    verdicts = table(["artifact", "verdict", "computed by", "relative L2 error", "tolerance", "same top-1 class"], rows)
    reasons = "".join(_reason(artifact) for artifact in certificate["artifacts"])
    record = certificate["record"]
    if record:
        verdict, look, _ = _WORDS[record["passed"]]
        reasons += (
            f"<p>Outputs recorded in Theano (<code>{escape(record['file'])}</code>) against the reference: "
            f'<b class="{look}">{verdict}</b>, relative L2 error {number(record["difference"]["relative_l2"])} '
            f"(tolerance {record['tolerance']:.1e}).</p>{_explained(record['explanation'])}"
        )
    return (
        f'<header><h1>{escape(network["name"])}</h1><p class="verdict {style}">{word}</p>'
        f'<p class="faint">{source["parameters"]:,} parameters, {_task(network)}'
        f"{source['dtype']}; from <code>{escape(source['file'])}</code></p></header>\n{verdicts}{reasons}"
    )


def _top1(difference: Json) -> str:
    same = difference["same_top1"]
    return "no classes" if same is None else f"{same} of {difference['images']}"


def _task(network: Json) -> str:
    """What a family's network does; empty for any other."""
    if network["family"] is None:
        return ""
    return f"{network['classes']} classes, {'×'.join(map(str, network['input_shape']))} images, "


def _reason(artifact: Json) -> str:
    if artifact["passed"] is not False:
        return ""
    text = f"<p><code>{escape(artifact['file'])}</code>: "
    if artifact["first_difference"]:
        text += f"differs from <code>{escape(artifact['first_difference'])}</code> on; "
        faulty = artifact["faulty_layers"]
        shown = ", ".join(f"<code>{escape(name)}</code>" for name in faulty[:5])
        more = f" and {len(faulty) - 5} more" if len(faulty) > 5 else ""
        text += f"faulty layers: {shown}{more}. " if faulty else "no layer with weights differs in isolation. "
    return text + "</p>" + _explained(artifact["explanation"])


def _explained(explanation: Json | None) -> str:
    if not explanation:
        return ""
    what = " and ".join(f"<b>{escape(name)}</b>" for name in explanation["mistakes"])
    before, after = (number(explanation[key]["relative_l2"]) for key in ("before", "after"))
    return f"<p>Explained by: {what}. Error before {before}, once the reference makes the same mistake {after}.</p>"


def _graph(network: Json) -> Graph | None:
    family = next((family for family in FAMILIES if family.family == network["family"]), None)
    if family is None:
        return None
    stated = {field.name: network[field.name] for field in fields(family)}
    return family(**{**stated, "input_shape": tuple(stated["input_shape"])}).graph("channels_last", network["dropout"])


def _network(certificate: Json) -> str:
    network = certificate["source"]["network"]
    graph = _graph(network)
    return drawing(graph, network["name"], _bad(certificate)) if graph else ""


def _bad(certificate: Json) -> set[str]:
    """The parts with a faulty layer, in any artifact."""
    return {
        name.rpartition("/")[0] or name for artifact in certificate["artifacts"] for name in artifact["faulty_layers"]
    }


def _errors(certificate: Json) -> str:
    shown = [artifact for artifact in certificate["artifacts"] if artifact["layers"]]
    if not shown:
        return '<p class="faint">Not compared; --per-layer does.</p>'
    charts = []
    for artifact in shown:
        label = f"Relative L2 error of every layer of {artifact['file']}"
        picture = chart(artifact["layers"], artifact["tolerance"]["value"], label)
        charts.append(
            f"<figure>{picture}<figcaption><code>{escape(artifact['file'])}</code>, "
            f"{escape(artifact['runtime'] or '')}: line, each layer end to end; dots, in isolation, that is for the "
            "reference's own input; dashed, the tolerance</figcaption></figure>"
        )
    return "".join(charts)


def _provenance(certificate: Json) -> str:
    rows = [
        [
            f'<span class="{"warn" if fact["basis"] == "assumed" else ""}">{escape(fact["basis"])}</span>',
            escape(fact["name"]),
            escape(fact["value"]),
            escape(fact["evidence"]) + (f" (<code>{escape(fact['option'])}</code>)" if fact.get("option") else ""),
        ]
        for fact in certificate["source"]["facts"]
    ]
    text = ""
    if effects := certificate["sensitivity"]:
        changes = [
            [
                escape(effect["fact"]),
                escape(effect["alternative"])
                + (f" (<code>{escape(effect['option'])}</code>)" if effect["option"] else ""),
                "not numbers" if effect["relative_l2"] is None else f"{effect['relative_l2']:.1%}",
                "" if effect["top1_changed"] is None else f"{effect['top1_changed']} of {effect['images']}",
            ]
            for effect in effects
        ]
        text = "<p>What would change if an assumed fact were otherwise:</p>" + table(
            ["assumed fact", "alternative", "change of the logits (relative L2)", "changed top-1 classes"], changes
        )
    return _stated(certificate["source"]["given"]) + table(["basis", "fact", "value", "evidence"], rows) + text


READINGS = ("backend", "ordering", "keras", "epsilon", "size", "lambdas")
"""What may be stated about a source and changes how it is read."""


def _stated(given: Json) -> str:
    """What the verdict rests on that is not taken from the file."""
    stated = ", ".join(f"{ARGUMENTS[name][1]} {given[name]}" for name in READINGS if given.get(name) is not None)
    return f'<p class="warn">Holds under what was stated about the file: {escape(stated)}.</p>' if stated else ""


def _weights(groups: Sequence[Json]) -> str:
    figures = []
    for group in groups:
        tallest = max(group["counts"])
        width = 160 / len(group["counts"])
        bars = (
            f'<rect x="{i * width:g}" y="{70 - 66 * count / tallest:g}" width="{width - 1:g}" '
            f'height="{66 * count / tallest:g}" fill="var(--two)"/>'
            for i, count in enumerate(group["counts"])
        )
        low, high = group["edges"]
        label = f"Histogram of {group['name']}"
        figures.append(
            f"<figure>{svg(160, 72, label, bars)}<figcaption>{escape(group['name'])}: {group['count']:,} "
            f"from {low:.2g} to {high:.2g}; mean {group['mean']:.2g}, deviation {group['deviation']:.2g}"
            "</figcaption></figure>"
        )
    return f'<div class="small">{"".join(figures)}</div>'


def _method(certificate: Json) -> str:
    inputs = certificate["inputs"]
    what = "seeded images" if inputs["file"] is None else f"the images of <code>{escape(inputs['file'])}</code>"
    seed = "" if inputs["seed"] is None else f" (seed {inputs['seed']})"
    shape = "×".join(map(str, inputs["shape"]))
    depths = [a["tolerance"] for a in certificate["artifacts"] if a["tolerance"]]
    origin = ""
    if depths:
        origin = (
            f"<p>The tolerance is {depths[0]['margin']} times what rounding costs the reference itself on these "
            f"inputs: its logits in float32 and in float64 differ by {certificate['reference']['float32_noise']:.1e}, "
            f"through {depths[0]['depth']} layers.</p>"
        )
    hashes = [
        [f"<code>{escape(item['file'])}</code>", f"<code>{item['sha256']}</code>", f"{item['bytes']:,}"]
        for item in (certificate["source"], *certificate["artifacts"])
    ]
    versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in certificate["tool"].items())
    return (
        f"<p>Each artifact was loaded from disk by its own framework and run on {what}{seed}, {shape}. It is compared "
        f"with {escape(certificate['reference']['arithmetic'])}.</p>{origin}"
        + table(["file", "sha256", "bytes"], hashes)
        + "<p>To check files and figures again: <code>ror-port verify --certificate</code> and the JSON file that lies "
        f'beside this page.</p><p class="faint">{escape(certificate["created"])}; {versions}</p>'
    )
