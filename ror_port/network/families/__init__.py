"""The networks that ror-port knows. One module a family: configuration, graph, names, recognition."""

from __future__ import annotations

from ror_port.network.families.family import Network
from ror_port.network.families.ror import RoR
from ror_port.network.families.ror_wrn import RoRWRN
from ror_port.network.families.wrn import WRN, WRN2016

FAMILIES: tuple[type[Network], ...] = (RoRWRN, RoR, WRN, WRN2016)

__all__ = ["FAMILIES", "WRN", "WRN2016", "Network", "RoR", "RoRWRN"]
