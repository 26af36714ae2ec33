"""Shapes of what layers give, found out by the layers of the graph that a stored architecture is read into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ror_port.errors import RorPortError
from ror_port.layout import extent
from ror_port.source.script.stand_in.session import FORMATS, Misuse

if TYPE_CHECKING:
    from ror_port.source.script.stand_in.layers import Layer

Sizes = tuple[int | None, ...]


def outputs(layer: Layer, given: Sequence[Sizes], count: int) -> list[Sizes]:
    """Of a layer's outputs for inputs of the given shapes, the batch first. Raises Misuse."""
    from ror_port.source.from_config import Assembly

    stated = {"class_name": layer.kind or type(layer).__name__, "name": layer.name, "config": layer.get_config()}
    inputs = [_input(number, sizes) for number, sizes in enumerate(given)]
    call = [[one["name"], 0, 0] for one in inputs]
    config = {
        "name": "one layer",
        "layers": [*inputs, {**stated, "inbound_nodes": [call]}],
        "input_layers": call,
        "output_layers": [[layer.name, layer.calls_before, number] for number in range(count)],
    }
    session = layer.session
    ordering = layer.settings.get("dim_ordering")
    ordering = ordering if ordering in FORMATS else session.ordering
    try:
        assembly = Assembly(
            {"class_name": "Model", "config": config},
            {},
            theano=session.backend == "theano",
            version=session.version if session.release_known else (),
            where="the script",
            data_format=FORMATS[ordering],  # type: ignore[arg-type]
        )
        ends = assembly.assemble()
    except RorPortError as error:
        raise Misuse(f"the shape of what {layer.name} gives: {error}") from None
    return [(given[0][0], *extent(assembly.g.nodes[end].shape)) for end in ends]


def _input(number: int, sizes: Sizes) -> dict[str, object]:
    name = f"input:{number}"
    return {
        "class_name": "InputLayer",
        "name": name,
        "config": {"name": name, "batch_input_shape": [None, *sizes[1:]]},
        "inbound_nodes": [],
    }
