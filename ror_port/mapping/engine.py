"""The engine behind the table of weights: names and layouts of one software, for one network.

Bound to the parameters of a network, the table is a bijection, or an error that names every fault at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ror_port.layout import Arranged, Array, Layout, Shape
from ror_port.mapping import weights
from ror_port.mapping.convention import Convention
from ror_port.network.graph import Parameter


class Entry(NamedTuple):
    """A parameter, its full name in the format, and its rearrangement canonical → format."""

    parameter: Parameter
    foreign: str
    layout: Layout

    @property
    def foreign_shape(self) -> Shape:
        return self.layout.shape(self.parameter.shape)


def bind(
    convention: Convention, parameters: Iterable[Parameter], layer: Callable[[str], str] | None = None
) -> tuple[Entry, ...]:
    """One entry a parameter, in order. layer: gives the name of a node's layer; that of our own files by default.

    Raises MappingError.
    """
    software = convention.software
    name_of = layer or software.node_name
    entries: list[Entry] = []
    faults: list[str] = []
    for parameter in parameters:
        try:
            weight = weights.row(parameter.layer, parameter.role)
        except KeyError:
            weight = None
        if weight is None or getattr(weight, software.column) is None:
            faults.append(f"{parameter.name}: no row for the {parameter.role} of a {type(parameter.layer).__name__}")
            continue
        foreign = software.weight_name(weight, name_of(parameter.node))
        entries.append(Entry(parameter, foreign, convention.layout(parameter)))
    for foreign, count in Counter(entry.foreign for entry in entries).items():
        if count > 1:
            names = ", ".join(entry.parameter.name for entry in entries if entry.foreign == foreign)
            faults.append(f"{foreign}: stands for {count} parameters ({names})")
    if faults:
        raise MappingError(faults, software.name)
    return tuple(entries)


Note = Callable[[Parameter, Shape, Array], None]
"""Is told of each block of a tensor of the given shape as it goes to the disk, in the layout of its format."""


def unnoted(_: Parameter, __: Shape, ___: Array) -> None:
    pass


class Tensor(NamedTuple):
    """A tensor as a format has it. blocks: its elements, C-contiguous, see `Arranged.blocks`; to be read once."""

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    blocks: Iterator[tuple[Shape, Array]]

    def array(self) -> Array:
        """All of it, for what writes tensors whole."""
        first, block = next(self.blocks)
        if block.shape == self.shape:
            return block
        array = np.empty(self.shape, self.dtype)
        for index, part in chain([(first, block)], self.blocks):
            array[tuple(slice(at, at + size) for at, size in zip(index, part.shape, strict=True))] = part
        return array


def laid_out(
    entries: Iterable[Entry], parameters: Iterable[tuple[Parameter, Arranged]], dtype: str, note: Note = unnoted
) -> Iterator[Tensor]:
    """Canonical parameters as a format has them, one after the other."""
    by_name = {entry.parameter.name: entry for entry in entries}
    kind = np.dtype(dtype)
    for parameter, canonical in parameters:
        arranged = by_name[parameter.name].layout.applied(canonical)
        yield Tensor(by_name[parameter.name].foreign, arranged.shape, kind, _noted(parameter, arranged, kind, note))


def _noted(parameter: Parameter, arranged: Arranged, dtype: np.dtype[Any], note: Note) -> Iterator[tuple[Shape, Array]]:
    for first, block in arranged.blocks():
        converted = block.astype(dtype, copy=False)
        note(parameter, arranged.shape, converted)
        yield first, converted


class MappingError(Exception):
    """The table does not fit a network: a defect of ror-port, never of a file."""

    def __init__(self, faults: Iterable[str], software: str) -> None:
        super().__init__(f"the {software} column does not fit: " + "; ".join(faults))
