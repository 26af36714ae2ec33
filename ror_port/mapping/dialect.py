"""What one kind of software calls its weights: how a file's names are told apart and turned into roles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ror_port.mapping.convention import CANONICAL, Convention
from ror_port.mapping.engine import Table
from ror_port.network.graph import Kind

_VARIABLE_SUFFIX = re.compile(r"(?:_\d+)?:\d+$")
"""TensorFlow ends the name of a variable in ``:0``, or ``_1:0`` for the second of its name."""


@dataclass(frozen=True)
class Dialect:
    """A way to name and lay out weights.

    own_name: canonical node → the name of its layer in files that ror-port writes.
    convention: what its tensors mean, where that is fixed; None where each file has to be asked.
    automatic: prefix of the layer names that the software made up → kind.
    """

    name: str
    table: Callable[[Convention], Table]
    own_name: Callable[[str], str]
    convention: Convention | None = None
    automatic: Mapping[str, Kind] = field(default_factory=dict)

    @cached_property
    def _names(self) -> Mapping[Kind, Mapping[str, str]]:
        """Kind → name of a weight, with the layer as {layer} → role."""
        names: dict[Kind, dict[str, str]] = {}
        for rule in self.table(self.convention or CANONICAL).rules:
            names.setdefault(rule.kind, {})[_VARIABLE_SUFFIX.sub("", rule.foreign)] = rule.role
        return names

    def roles(self, layer: str, weights: Iterable[str]) -> tuple[str, ...] | None:
        """The canonical roles of a layer's weights, in order; None where no kind of layer has weights of these names.

        Names come in full, or as a Keras layer lists them: without the group that bears the layer's name.
        """
        listed = [_VARIABLE_SUFFIX.sub("", weight) for weight in weights]
        for names in self._names.values():
            full = {name.format(layer=layer): role for name, role in names.items()}
            known = full | {name.removeprefix(f"{layer}/"): role for name, role in full.items()}
            if known.keys() >= set(listed):
                return tuple(known[weight] for weight in listed)
        return None
