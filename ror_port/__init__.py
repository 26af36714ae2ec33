"""Converts networks of Theano-era Keras to Keras 3, PyTorch and ONNX, and verifies what the result computes.

    import ror_port

    with ror_port.load("weights.h5") as port:
        written = ror_port.save(port, "net.keras")
    print(written.verification)

Every failure is a `RorPortError`; `ror_port.errors` has one class for each kind.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ror_port.errors import RorPortError

if TYPE_CHECKING:
    from ror_port.api import Written, load, save, verify
    from ror_port.check.verify import Verification
    from ror_port.many.convert import convert_many
    from ror_port.source.port import Port

__all__ = ["Port", "RorPortError", "Verification", "Written", "__version__", "convert_many", "load", "save", "verify"]
__version__ = "0.1.0"


_MODULES = {"Port": "source.port", "Verification": "check.verify", "convert_many": "many.convert"}


def __getattr__(name: str) -> Any:
    """Imports the API when it is first used, so that the command line starts fast."""
    if name in __all__:
        module = _MODULES.get(name, "api")
        return getattr(import_module(f"ror_port.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
