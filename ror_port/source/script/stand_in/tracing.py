"""Whether a function is arithmetic on its one argument: it is called on something that notes what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ror_port.source.arithmetic import parse, text


class _Noted:
    def __init__(self, text: str) -> None:
        self.text = text

    __array_ufunc__ = None  # so that NumPy's numbers leave it to us

    def _unknown(self, *_: Any) -> Any:
        """What depends on a value, or on what kind of thing it is, is not arithmetic."""
        raise _NotArithmetic

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __array__ = __getattr__ = _unknown
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> _Noted:
        return _Noted(f"(-{self.text})")


class _NotArithmetic(Exception):
    pass


def _number(value: Any) -> str:
    if isinstance(value, _Noted):
        return value.text
    if hasattr(value, "item"):  # of NumPy
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _NotArithmetic
    return repr(value) if value >= 0 else f"({value!r})"


def _operation(sign: str, reflected: bool) -> Callable[[Any, Any], _Noted]:
    def noted(self: _Noted, other: Any) -> _Noted:
        left, right = (_number(other), self.text) if reflected else (self.text, _number(other))
        return _Noted(f"({left} {sign} {right})")

    return noted


for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("pow", "**")):
    setattr(_Noted, f"__{_name}__", _operation(_sign, False))
    setattr(_Noted, f"__r{_name}__", _operation(_sign, True))


def arithmetic_of(function: Callable[[Any], Any]) -> str | None:
    """What the function computes of ``x``, as text; None where it is anything but arithmetic, and always the same."""
    found = {_of_a_call(function) for _ in range(2)}
    return found.pop() if len(found) == 1 else None


def _of_a_call(function: Callable[[Any], Any]) -> str | None:
    try:
        result = function(_Noted("x"))
        return text(parse(result.text)) if isinstance(result, _Noted) else None
    except Exception:
        return None
