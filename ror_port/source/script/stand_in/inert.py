"""What may be called and has no effect: optimizers, callbacks, plots, and whatever is not installed.

An inert name is a class, so that scripts can derive from it; everything that comes of it is inert too. As a number it
is 0, as a condition false, as a sequence empty.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any

import numpy as np


class _Names(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert()


class Inert(metaclass=_Names):
    """An object that takes everything and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return Inert()

    def __getitem__(self, key: Any) -> Any:
        return Inert()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        """Nothing; or, where a script takes it apart into so many names, as many."""
        return iter([Inert() for _ in range(_unpacked(sys._getframe(1)))])

    def __next__(self) -> Any:
        return Inert()

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False

    def __contains__(self, item: Any) -> bool:
        return False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass

    def __int__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.zeros((), dtype)

    def __str__(self) -> str:
        return ""

    def __format__(self, specification: str) -> str:
        return ""


def _unpacked(frame: FrameType) -> int:
    """Into how many names the value is taken apart that a frame has just asked to be iterated; 0 where it is not."""
    code, at = frame.f_code.co_code, frame.f_lasti
    name, count = dis.opname[code[at]], code[at + 1]
    if name == "UNPACK_EX":  # first, *rest = …
        behind = code[at - 1] if dis.opname[code[at - 2]] == "EXTENDED_ARG" else 0
        return count + behind
    return count if name == "UNPACK_SEQUENCE" else 0


def _operator(self: Any, *others: Any) -> Any:
    return Inert()


def _comparison(self: Any, other: Any) -> bool:
    return False


for _name in (
    "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "pow",
    "rpow", "matmul", "rmatmul", "neg", "pos", "abs", "and", "rand", "or", "ror", "invert", "round",
):  # fmt: skip
    setattr(Inert, f"__{_name}__", _operator)
for _name in ("lt", "le", "gt", "ge"):
    setattr(Inert, f"__{_name}__", _comparison)


class InertModule(ModuleType):
    """A module in which every name is inert. members: those that are not."""

    def __init__(self, name: str, **members: Any) -> None:
        super().__init__(name)
        self.__path__ = []  # as a package has
        vars(self).update(members)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (Inert,), {"__module__": self.__name__})
        setattr(self, name, made)
        return made
