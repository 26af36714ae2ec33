"""The networks that are recognised by their tensors. One module a family: its graph, its names, its candidates."""

from __future__ import annotations

from ror_port.network.families.family import Family
from ror_port.network.families.ror import RoR
from ror_port.network.families.ror_wrn import RoRWRN
from ror_port.network.families.wrn import WRN, WRN2016

FAMILIES: list[type[Family]] = [RoRWRN, RoR, WRN, WRN2016]
"""`ror_port.extensions` may add some."""

__all__ = ["FAMILIES", "WRN", "WRN2016", "Family", "RoR", "RoRWRN"]
