"""The model card of a folder: what a hub shows of a network, with what is known of it as YAML in front.

The YAML is a line a field, each with JSON behind its name, which is YAML too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ror_port.errors import NotACheckpoint, printable
from ror_port.formats.format import Contents

CARD = "README.md"
"""What the card is called in its folder."""

PREPROCESSING = {
    "scale": "pixels / 255",
    "channels": "RGB",
    "layout": "NCHW",
    "basis": "assumed: what the code that trained the published weights did",
}
"""Of the images of the families, as PyTorch and ONNX take them."""


def preprocessing(contents: Contents) -> dict[str, Any]:
    """What is known of how the images of a network are to be prepared; nothing of a network that nobody knows."""
    if contents.family:
        return {"preprocessing": PREPROCESSING}
    stated = contents.stated["network"].get("preprocessing")
    return {"preprocessing": {"images": stated, "basis": "inferred: what keras.applications does"}} if stated else {}


def model_card(contents: Contents, *, library: str, tags: tuple[str, ...], usage: str, images: str) -> str:
    """The text. library, tags: as the hub knows them. usage: code that runs in the folder. images: their axes."""
    stated, graph = contents.stated, contents.graph
    network, source = stated["network"], stated["source"]
    prepared = network.get("preprocessing") if contents.family is None else None
    classifies = contents.family is not None or prepared is not None
    front: dict[str, Any] = {
        "library_name": library,
        **({"pipeline_tag": "image-classification"} if classifies else {}),
        "tags": [*tags, "theano", "ror-port"],
        **({"license": contents.license} if contents.license else {}),
    }
    count = sum(int(np.prod(parameter.shape)) for parameter in graph.parameters)
    about = f"{network['classes']} classes, " if "classes" in network else ""
    facts = "\n".join(
        f"| {fact['name']} | {fact['value']} | {fact['basis']} | {fact['evidence']} |" for fact in stated["facts"]
    )
    preprocessing = ""
    if contents.family:
        preprocessing = f"""
Images are {images}, {PREPROCESSING["channels"]}, {PREPROCESSING["scale"]}.
The file does not record this preprocessing; it is that of the code which trained the published weights.
"""
    elif prepared:
        preprocessing = f"\nImages: {prepared}. That is how keras.applications prepares them.\n"
    return f"""{_front(front)}# {network["name"]}

{count:,} parameters (running statistics included), {about}{contents.dtype}.
Converted by ror-port {stated["ror_port"]} from `{printable(source["file"])}` (sha256 `{source["sha256"]}`).

{usage}{preprocessing}
## Where the numbers come from

| fact | value | basis | evidence |
|---|---|---|---|
{facts}
"""


def _front(fields: Mapping[str, Any]) -> str:
    lines = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in fields.items())
    return f"---\n{lines}---\n"


def with_accuracy(card: str, *, dataset: str, accuracy: float, images: int, runtime: str) -> str:
    """A card that says what was measured, as the hub's ``model-index``. Raises NotACheckpoint where it is not ours."""
    match = re.match(r"---\n((?:[\w-]+: .*\n)+)---\n# (.*)\n", card)
    lines = match[1].splitlines() if match else []
    try:
        fields = {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}
    except ValueError:
        fields = {}
    if match is None or "library_name" not in fields:
        raise NotACheckpoint("the model card is not one that ror-port wrote")
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": dataset, "type": "image-folder"},
        "metrics": [{"type": "accuracy", "value": round(accuracy, 6), "name": f"of {images:,} images, in {runtime}"}],
    }
    fields["model-index"] = [{"name": match[2], "results": [result]}]
    return _front(fields) + card[match.end(1) + len("---\n") :]
