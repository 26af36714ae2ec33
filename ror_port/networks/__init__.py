"""The networks that ror-port knows. One module a family: configuration, graph, names, recognition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, Self

from ror_port.graph import Graph
from ror_port.networks.ror_wrn import RoRWRN
from ror_port.networks.signature import LayerShape


class Network(Protocol):
    """A configuration of one family; frozen, and enough to build the graph from."""

    family: str

    @property
    def blocks(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def input_shape(self) -> tuple[int, int, int]: ...
    @property
    def dropout(self) -> float: ...
    @property
    def epsilon(self) -> float: ...
    @property
    def momentum(self) -> float: ...
    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    def graph(self) -> Graph: ...
    @classmethod
    def candidates(cls, layers: Sequence[LayerShape]) -> Iterator[Self]: ...


FAMILIES: tuple[type[Network], ...] = (RoRWRN,)
