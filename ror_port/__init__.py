"""Brings Theano-era Keras networks back to life, faithfully and with proof.

    import ror_port

    with ror_port.load("weights.h5") as port:
        port.to_keras("net.keras")

`load` gives a `ror_port.source.port.Port`; every failure is a `ror_port.errors.RorPortError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ror_port.source.port import Port, load

__all__ = ["Port", "__version__", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports what reads files only when it is asked for, so that the command starts in a blink."""
    if name in ("Port", "load"):
        from ror_port.source import port

        return getattr(port, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
