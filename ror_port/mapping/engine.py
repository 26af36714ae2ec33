"""The engine behind the mapping tables: names and layouts of one format, expanded for one network.

A table says how each kind of parameter is called in a foreign format and how its elements lie there. Bound to
the parameters of a network it is a bijection, or an error that names every fault at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ror_port.layout import SAME, Array, Layout, contiguous
from ror_port.network.graph import Kind, Parameter


class Rule(NamedTuple):
    """One line of a table.

    foreign: name in the format, with ``{layer}`` for the name of the layer there.
    layout: canonical → foreign; a function of the parameter where it depends on its shape.
    """

    kind: Kind
    role: str
    foreign: str
    layout: Layout | Callable[[Parameter], Layout] = SAME


class Entry(NamedTuple):
    """A parameter, its full name in the foreign format, and the rearrangement canonical → foreign."""

    parameter: Parameter
    foreign: str
    layout: Layout

    @property
    def foreign_shape(self) -> tuple[int, ...]:
        return self.layout.shape(self.parameter.shape)

    def foreign_array(self, array: Array, dtype: str) -> Array:
        """A canonical array as the format has it, C-contiguous; copied only where it lies otherwise."""
        return contiguous(self.layout.view(array)).astype(dtype, copy=False)


@dataclass(frozen=True)
class Table:
    """The rules of a format.

    ignored: role → why it has no canonical counterpart, for what the format holds beyond the parameters.
    """

    format: str
    rules: tuple[Rule, ...]
    ignored: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        repeated = [key for key, count in Counter((rule.kind, rule.role) for rule in self.rules).items() if count > 1]
        if repeated:
            raise MappingError([f"{kind} {role}: more than one rule" for kind, role in repeated], self.format)

    def rule(self, parameter: Parameter) -> Rule | None:
        return next((r for r in self.rules if (r.kind, r.role) == (parameter.kind, parameter.role)), None)

    def layout(self, parameter: Parameter) -> Layout:
        """The rearrangement canonical → foreign for one parameter."""
        rule = self.rule(parameter)
        if rule is None:
            raise MappingError(
                [f"{parameter.name}: no rule for the {parameter.role} of a {parameter.kind}"], self.format
            )
        return rule.layout if isinstance(rule.layout, Layout) else rule.layout(parameter)

    def bind(self, parameters: Iterable[Parameter], layer: Callable[[str], str]) -> tuple[Entry, ...]:
        """One entry a parameter, in order. `layer` gives the foreign name of a canonical node."""
        entries: list[Entry] = []
        faults: list[str] = []
        for parameter in parameters:
            rule = self.rule(parameter)
            if rule is None:
                faults.append(f"{parameter.name}: no rule for the {parameter.role} of a {parameter.kind}")
                continue
            entries.append(Entry(parameter, rule.foreign.format(layer=layer(parameter.node)), self.layout(parameter)))
        for foreign, count in Counter(entry.foreign for entry in entries).items():
            if count > 1:
                names = ", ".join(entry.parameter.name for entry in entries if entry.foreign == foreign)
                faults.append(f"{foreign}: stands for {count} parameters ({names})")
        if faults:
            raise MappingError(faults, self.format)
        return tuple(entries)


Note = Callable[[Parameter, Array], None]
"""Is told of each tensor as it goes to the disk, in the layout of its format."""


def unnoted(_: Parameter, __: Array) -> None:
    pass


def laid_out(
    entries: Iterable[Entry], parameters: Iterable[tuple[Parameter, Array]], dtype: str, note: Note = unnoted
) -> Iterator[tuple[str, Array]]:
    """Canonical parameters as a format has them: foreign name and C-contiguous array, one after the other."""
    by_name = {entry.parameter.name: entry for entry in entries}
    for parameter, canonical in parameters:
        entry = by_name[parameter.name]
        array = entry.foreign_array(canonical, dtype)
        note(parameter, array)
        yield entry.foreign, array


class MappingError(Exception):
    """A table does not fit a network: a defect of ror-port, never of a file."""

    def __init__(self, faults: Iterable[str], format: str) -> None:
        super().__init__(f"the {format} table does not fit: " + "; ".join(faults))
