"""Shapes of what layers give, found out by the layers of the graph that a stored architecture is read into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ror_port.errors import RorPortError
from ror_port.layout import extent
from ror_port.source.from_config import Assembly
from ror_port.source.script.stand_in.session import FORMATS, Misuse, Session

Sizes = tuple[int | None, ...]


def outputs(
    stated: Mapping[str, Any], given: Sequence[Sizes], session: Session, *, count: int, call: int, ordering: Any
) -> list[Sizes]:
    """Of the outputs of a layer, as a model states it, for inputs of the given shapes; batch first. Raises Misuse.

    count: of its outputs. call: which of its calls it is. ordering: its own, or that of the session.
    """
    inputs = [_input(number, sizes) for number, sizes in enumerate(given)]
    taken = [[one["name"], 0, 0] for one in inputs]
    config = {
        "name": "one layer",
        "layers": [*inputs, {**stated, "inbound_nodes": [taken]}],
        "input_layers": taken,
        "output_layers": [[stated["name"], call, number] for number in range(count)],
    }
    try:
        assembly = Assembly(
            {"class_name": "Model", "config": config},
            {},
            theano=session.backend == "theano",
            version=session.version if session.release_known else (),
            where="the script",
            data_format=FORMATS[ordering if ordering in FORMATS else session.ordering],
        )
        ends = assembly.assemble()
    except RorPortError as error:
        raise Misuse(f"the shape of what {stated['name']} gives: {error}") from None
    return [(given[0][0], *extent(assembly.g.nodes[end].shape)) for end in ends]


def _input(number: int, sizes: Sizes) -> dict[str, Any]:
    name = f"input:{number}"
    config = {"name": name, "batch_input_shape": [None, *sizes[1:]]}
    return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}
