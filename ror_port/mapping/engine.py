"""The engine behind the table of weights: names and layouts of one software, for one network.

Bound to the parameters of a network, the table is a bijection, or an error that names every fault at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ror_port.layout import Array, Layout, Shape, contiguous
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

    def foreign_array(self, array: Array, dtype: str) -> Array:
        """A canonical array as the format has it, C-contiguous; copied only where it lies otherwise."""
        return contiguous(self.layout.view(array)).astype(dtype, copy=False)


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
        weight = weights.of_layer(type(parameter.layer)).get(parameter.role)
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


Note = Callable[[Parameter, Array], None]
"""Is told of each tensor as it goes to the disk, in the layout of its format."""


def unnoted(_: Parameter, __: Array) -> None:
    pass


def laid_out(
    entries: Iterable[Entry], parameters: Iterable[tuple[Parameter, Array]], dtype: str, note: Note = unnoted
) -> Iterator[tuple[str, Array]]:
    """Canonical parameters as a format has them: name there and C-contiguous array, one after the other."""
    by_name = {entry.parameter.name: entry for entry in entries}
    for parameter, canonical in parameters:
        entry = by_name[parameter.name]
        array = entry.foreign_array(canonical, dtype)
        note(parameter, array)
        yield entry.foreign, array


class MappingError(Exception):
    """The table does not fit a network: a defect of ror-port, never of a file."""

    def __init__(self, faults: Iterable[str], software: str) -> None:
        super().__init__(f"the {software} column does not fit: " + "; ".join(faults))
