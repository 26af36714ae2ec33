"""What was written is read again, and every tensor is compared with the one that the writer was given.

A byte that a disk or a library lost is detected while the old output still exists. Only digests are kept meanwhile, so
this takes little memory, and the time of reading the output once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ror_port.errors import OutputError, RorPortError
from ror_port.formats import open_checkpoint
from ror_port.layout import Array, Shape
from ror_port.mapping.software import keras_layer_name
from ror_port.network.graph import Parameter
from ror_port.source.port import understand
from ror_port.source.provenance import Given

Digest = tuple[str, Shape, int]
"""Type, shape and CRC-32 of a tensor: against accidents, not against an adversary."""


class Ledger:
    """One digest for each tensor that is written."""

    def __init__(self) -> None:
        self.digests: dict[str, Digest] = {}
        self.names: dict[str, str] = {}

    def note(self, parameter: Parameter, shape: Shape, block: Array) -> None:
        """Called by writers with each block of a tensor as they write it."""
        key = _key(parameter)
        _, _, begun = self.digests.get(key, ("", shape, 0))
        self.digests[key], self.names[key] = (block.dtype.str, shape, zlib.crc32(block.data, begun)), parameter.name

    def compare(self, written: Path, graph: Mapping[str, Any] | None = None) -> None:
        """Raises OutputError where a file or a folder does not hold exactly the tensors that were noted.

        graph: the network as `ror_port.network.as_json` states it, for a format that does not.
        """
        try:
            found = {_key(parameter): _digest(array) for parameter, array in _tensors(written, graph)}
        except RorPortError as error:
            raise OutputError(f"what was written cannot be read again, and is not kept: {error}") from error
        wrong = [name for name in self.digests.keys() | found.keys() if self.digests.get(name) != found.get(name)]
        if wrong:
            first = self.names.get(min(wrong), min(wrong))
            raise OutputError(
                f"{written}: {len(wrong)} tensors differ from what was to be written, {first} first; the disk may be "
                "failing; nothing was kept"
            )


def _key(parameter: Parameter) -> str:
    """A parameter by what its layer is called in a file of Keras, which a network read from there has as its name."""
    return f"{keras_layer_name(parameter.node)}/{parameter.role}"


def _digest(array: Array) -> Digest:
    return array.dtype.str, array.shape, zlib.crc32(array.data)


def _tensors(written: Path, graph: Mapping[str, Any] | None) -> Iterator[tuple[Parameter, Array]]:
    with open_checkpoint(written, trusted=True) as checkpoint:
        if graph is not None and "graph" not in checkpoint.stated:
            checkpoint.stated = {**checkpoint.stated, "graph": graph}
        port = understand(checkpoint, Given(bad_values=True))
        for parameter in port.graph.parameters:
            yield parameter, port.stored[parameter.name].read()
