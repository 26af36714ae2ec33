"""A network of a known family as a drawing: a row a stage, a box a block; and the errors of layers as a chart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from html import escape
from typing import Any

from ror_port.html.basics import svg
from ror_port.network.graph import Graph

Json = Mapping[str, Any]


def drawing(graph: Graph, name: str, bad: Set[str] = frozenset()) -> str:
    """Arcs are shortcuts, of level 1 around all, 2 around a stage, 3 around a block. bad: parts that are wrong."""
    names = {node.name for node in graph}
    picture = svg(720, 385, f"{name} with its shortcuts", _drawing(graph, names, bad))
    key = '<span style="color:var(--three)">▬</span> around a block' + (
        ', <span style="color:var(--two)">▬</span> level 2, around a stage, '
        '<span style="color:var(--one)">▬</span> level 1, around all stages'
        if "root_shortcut" in names
        else ""
    )
    return f'<div>{picture}</div><p class="faint">Shortcuts: {key}. A box is a block; red where a layer differs.</p>'


def _drawing(graph: Graph, names: Set[str], bad: Set[str]) -> Iterator[str]:
    """From the stem at the top left, through each stage from left to right, to the head at the bottom right."""
    left, right, half = 120.0, 650.0, 15.0
    stages = {"stage1": 112.0, "stage2": 206.0, "stage3": 300.0}

    def line(path: str, colour: str = "var(--line)") -> str:
        return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'

    def box(x: float, y: float, width: float, part: str, label: str) -> str:
        colour = "var(--bad)" if part in bad else "var(--three)"
        return (
            f'<rect x="{x:g}" y="{y - half:g}" width="{width:g}" height="{2 * half:g}" rx="4" fill="var(--fill)" '
            f'stroke="{colour}" stroke-width="{2 if part in bad else 1}"><title>{escape(part)}</title></rect>'
            f'<text x="{x + width / 2:g}" y="{y + 4:g}" text-anchor="middle">{escape(label)}</text>'
        )

    def level(part: str, colour: str) -> str:
        return "var(--bad)" if part in bad else colour

    yield line(f"M{left:g} 24 V{stages['stage1']:g}")
    yield box(left - 30, 24, 110, "stem", "stem")
    for part, y in stages.items():
        blocks = sorted(
            {name.split("/")[1] for name in names if name.startswith(f"{part}/block")}, key=lambda name: int(name[5:])
        )
        pitch = (right - left) / len(blocks)
        width = min(70.0, max(2.0, pitch * 0.6))
        yield f'<text x="0" y="{y - 2:g}">{part}</text>'
        yield f'<text x="0" y="{y + 13:g}" opacity=".65">{_shape_in(graph, part)}</text>'
        turn = f"V{y + 46:g} H{left:g} V{y + 94:g}" if part != "stage3" else f"V{y + 60:g}"
        yield line(f"M{left:g} {y:g} H{right:g} {turn}")
        for index, block in enumerate(blocks):
            middle = left + (index + 0.5) * pitch
            reach = (width + min(pitch - width, 40.0) * 0.7) / 2
            yield line(f"M{middle - reach:g} {y:g} v{half + 7:g} H{middle + reach:g} v{-half - 7:g}", "var(--three)")
            yield box(middle - width / 2, y, width, f"{part}/{block}", str(index + 1) if width > 18 else "")
        if f"{part}/middle_shortcut" in names:
            colour = level(f"{part}/middle_shortcut", "var(--two)")
            yield line(f"M{left:g} {y:g} V{y - 26:g} H{right:g} V{y:g}", colour)
    if "root_shortcut" in names:
        end = stages["stage3"] + 26
        yield line(f"M{left + 80:g} 24 H{right + 40:g} V{end:g} H{right:g}", level("root_shortcut", "var(--one)"))
    yield box(right - 130, stages["stage3"] + 62, 160, "head", "pool, dense, softmax")


def _shape_in(graph: Graph, stage: str) -> str:
    """Of the feature maps within a stage."""
    node = next(node for node in graph if node.name.startswith(f"{stage}/block0/conv"))
    return "×".join(map(str, node.shape))


def chart(layers: Sequence[Json], tolerance: float, label: str) -> str:
    """Errors of layers in their order: a line for each end to end, dots in isolation, dashed the tolerance."""
    return svg(720, 260, label, _chart(layers, tolerance))


def _chart(layers: Sequence[Json], tolerance: float) -> Iterator[str]:
    left, right, top, bottom = 52.0, 712.0, 10.0, 216.0
    values = [v for layer in layers for v in (layer["end_to_end"], layer["isolated"]) if v]
    low = math.floor(math.log10(min([*values, tolerance]))) if values else -9
    high = math.ceil(math.log10(max([*values, tolerance]))) if values else 0

    def y(value: float) -> float:
        share = (math.log10(max(value, 10.0**low)) - low) / max(high - low, 1)
        return bottom - share * (bottom - top)

    def x(index: int) -> float:
        return left + (index + 0.5) * (right - left) / len(layers)

    for power in range(low, high + 1):
        line = y(10.0**power)
        yield f'<path d="M{left:g} {line:g} H{right:g}" stroke="var(--line)"/>'
        yield f'<text x="{left - 6:g}" y="{line + 4:g}" text-anchor="end">1e{power}</text>'
    yield f'<path d="M{left:g} {y(tolerance):g} H{right:g}" stroke="var(--bad)" stroke-dasharray="6 4"/>'
    points = [(i, layer) for i, layer in enumerate(layers) if layer["end_to_end"] is not None]
    path = " ".join(f"{'L' if k else 'M'}{x(i):g} {y(layer['end_to_end']):g}" for k, (i, layer) in enumerate(points))
    yield f'<path d="{path}" fill="none" stroke="var(--two)" stroke-width="1.5"/>'
    for i, layer in enumerate(layers):
        if layer["isolated"] is not None:
            colour = "var(--bad)" if layer["isolated"] > tolerance else "var(--good)"
            yield f'<circle cx="{x(i):g}" cy="{y(layer["isolated"]):g}" r="2.6" fill="{colour}">'
            yield f"<title>{escape(layer['node'])}: in isolation {layer['isolated']:.1e}</title></circle>"
    marks: dict[str, int] = {}
    for i, layer in enumerate(layers):
        marks.setdefault(layer["node"].partition("/")[0].replace("_shortcut", "").replace("_add", ""), i)
    taken = -1e9
    for name, i in marks.items():
        width = 7.0 * len(name)
        start = min(x(i), right - width)  # of the last ones, so that nothing of them is cut off
        if start > taken:
            yield f'<text x="{start:g}" y="{bottom + 20:g}">{escape(name)}</text>'
            taken = start + width + 8
