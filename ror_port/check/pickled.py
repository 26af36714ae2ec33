"""Plain data out of an untrusted pickle: numbers, texts, lists, dicts and arrays of whole numbers. Nothing is run.

No unpickler is involved. The opcodes are read one by one, and those that no batch of CIFAR-10 has are refused; so are
all names but those that NumPy gives an array, which are not looked up but understood. What is made is never larger than
the file by more than a constant factor, and no value is hashed or walked through that the file may nest at will.
"""

from __future__ import annotations

import io
import math
import pickletools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ror_port.errors import UnreadableFile, UnsafeFile, quote
from ror_port.layout import Array
from ror_port.safety import limits


class _Global(NamedTuple):
    module: str
    name: str


_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE = (
    _Global("numpy.core.multiarray", "_reconstruct"),
    _Global("numpy", "ndarray"),
    _Global("numpy", "dtype"),
    _Global("_codecs", "encode"),
)
_KNOWN = {name: name for name in (_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE)} | {
    _Global("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT
}
"""What a pickle may name → under which of its names it is known here."""


@dataclass
class _Type:
    """A dtype that is being built: "u1" and the like, then its byte order."""

    code: str
    order: str = "|"


@dataclass
class _Array:
    """An array that is being built."""

    values: Array | None = None


_MARK = object()

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
"""Opcodes whose argument is the value."""
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load(content: bytes) -> Any:
    """The value of a pickle. Its lists may hold anything, also themselves.

    Raises UnsafeFile, with a predicate as its text, for what no list of images needs, and UnreadableFile for what is
    no valid pickle.
    """
    try:
        return _Machine(content).value()
    except (UnsafeFile, UnreadableFile):
        raise
    except Exception as error:  # a damaged file leads to many kinds
        raise UnreadableFile(f"a damaged pickle ({type(error).__name__})") from None


class _Machine:
    """stack, memo: of a pickle. encoded: bytes that texts became; in a genuine one, no more than its own."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.encoded = 0

    def value(self) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(self.content))):
            if count > limits.MAX_PICKLE_VALUES:
                raise UnsafeFile(f"has more than {limits.MAX_PICKLE_VALUES} values")
            if opcode.name == "STOP":
                return self.stack.pop()
            self._step(opcode.name, argument)
        raise UnreadableFile("a damaged pickle (it does not end)")

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _VALUES:
            stack.append(argument)
        elif name in ("BINSTRING", "SHORT_BINSTRING"):
            stack.append(argument.encode("latin1"))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE"):
            stack.append({"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}[name]())
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            items = [stack.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(reversed(items)))
        elif name == "TUPLE":
            stack.append(tuple(self._marked()))
        elif name in ("APPEND", "APPENDS"):
            items = self._marked() if name == "APPENDS" else [stack.pop()]
            _of(list, stack[-1]).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._marked() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            keys = map(_text, items[::2])  # others may take very long to be hashed
            _of(dict, stack[-1]).update(zip(keys, items[1::2], strict=True))
        elif name == "GLOBAL":
            stack.append(_known(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            function = stack.pop()
            stack.append(_known(stack.pop(), function))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(self._called(stack.pop(), _of(tuple, arguments)))
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], _of(tuple, state))
        elif name not in ("PROTO", "FRAME"):
            raise UnsafeFile(f"has the opcode {name}, which no list of images needs")

    def _marked(self) -> list[Any]:
        """Takes what lies above the last mark off the stack, and the mark."""
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _called(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        if function is _RECONSTRUCT:
            return _Array()
        if function is _DTYPE:
            return _Type(_text(arguments[0]))
        if function is _ENCODE:  # how Python 3 writes bytes for Python 2
            text, encoding = arguments
            if encoding != "latin1":
                raise UnsafeFile("asks for an encoding that no list of images needs")
            self.encoded += len(_of(str, text))
            if self.encoded > len(self.content):
                raise UnsafeFile("holds the same text many times over")
            return text.encode("latin1")
        raise UnsafeFile("calls what no list of images needs")


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} is expected")
    return value


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(_of(str, value))


def _known(module: Any, name: Any) -> _Global:
    wanted = _Global(_text(module), _text(name))
    if wanted not in _KNOWN:
        raise UnsafeFile(f"names {quote('.'.join(wanted))}, which no list of images needs")
    return _KNOWN[wanted]


def _build(target: Any, state: tuple[Any, ...]) -> None:
    """Gives a dtype its byte order, or an array its values, which are used where they lie."""
    if isinstance(target, _Type):
        target.order = _text(state[1])
        return
    _, shape, kind, fortran, raw = state
    dtype = np.dtype(f"{_of(_Type, kind).order}{kind.code}")
    if dtype.kind not in "iu":
        raise UnsafeFile(f"holds an array of {quote(str(dtype))}, which no list of images needs")
    if any(not isinstance(side, int) or side < 0 for side in _of(tuple, shape)):
        raise ValueError("a shape of other than whole numbers")
    if math.prod(shape) * dtype.itemsize != len(_of(bytes, raw)):
        raise ValueError("an array of another size than its bytes")
    array = np.frombuffer(raw, dtype).reshape(shape[::-1] if fortran else shape)
    _of(_Array, target).values = array.T if fortran else array


def array(value: Any) -> Array | None:
    """The array that a value of a pickle is; None where it is none."""
    return value.values if isinstance(value, _Array) else None
