"""A stand-in for the `keras` package, in which a script builds its models and nothing else happens.

`Keras` is one session of it. `modules` has what a script can import of it.
"""

from __future__ import annotations

from ror_port.source.script.stand_in.keras import Keras
from ror_port.source.script.stand_in.session import Misuse, Session

__all__ = ["Keras", "Misuse", "Session"]
