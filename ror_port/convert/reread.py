"""What was written is read again before it counts, and every tensor compared with what the writer was given.

A disk or a library that lost a byte is found out while the old output is still in place. Only digests are kept
meanwhile, so it takes no memory, and the time of reading the output once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ror_port.errors import OutputError, RorPortError
from ror_port.layout import Array, Shape
from ror_port.mapping.software import keras_layer_name
from ror_port.network.graph import Parameter
from ror_port.safety.parsing import own_file
from ror_port.source.port import load, understand
from ror_port.source.provenance import Given

Digest = tuple[str, Shape, int]
"""Type, shape and CRC-32 of a tensor: against accidents, not against an adversary."""


class Ledger:
    """One digest a tensor, as it is to be written."""

    def __init__(self) -> None:
        self.digests: dict[str, Digest] = {}

    def note(self, parameter: Parameter, array: Array) -> None:
        """Called by writers with each tensor as they write it."""
        self.digests[_key(parameter)] = _digest(array)

    def check(self, written: Path, format: str, graph: Mapping[str, Any] | None = None) -> None:
        """Raises OutputError where a file, or a folder, does not hold what was noted.

        A SavedModel is passed over: TensorFlow alone can read its tensors, and the check of its answers does.
        """
        if format == "savedmodel":
            return
        try:
            found = {_key(parameter): _digest(array) for parameter, array in _tensors(written, format, graph)}
        except RorPortError as error:
            raise OutputError(f"what was written cannot be read again, and is not kept: {error}") from error
        wrong = [name for name in self.digests.keys() | found.keys() if self.digests.get(name) != found.get(name)]
        if wrong:
            raise OutputError(
                f"{written}: {len(wrong)} tensors are not what was to be written, {min(wrong)} the first; is the disk "
                "sound? Nothing was kept"
            )


def _key(parameter: Parameter) -> str:
    """A parameter by what its layer is called in a file of Keras, which a network read from there has as its name."""
    return f"{keras_layer_name(parameter.node)}/{parameter.role}"


def _digest(array: Array) -> Digest:
    return array.dtype.str, array.shape, zlib.crc32(array.data)


def _tensors(written: Path, format: str, graph: Mapping[str, Any] | None) -> Iterator[tuple[Parameter, Array]]:
    given = Given(bad_values=True)
    with own_file():
        if format == "onnx":
            from ror_port.formats import onnx

            port = understand(onnx.read_again(written, graph), given)
        else:
            port = load(written, given, graph=graph if format == "pt" else None)
    with port:
        for parameter in port.graph.parameters:
            yield parameter, port.untouched(parameter)
