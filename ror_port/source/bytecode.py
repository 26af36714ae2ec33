"""What the bytecode of a stored Lambda says, where that is arithmetic. It is disassembled by a library and never run.

Keras 1 stores marshalled code as text, Keras 2 as base64; which Python it is of stands nowhere, so each is tried.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ror_port.errors import UsageError
from ror_port.safety import limits
from ror_port.safety.child import ChildFailed, run_in_child
from ror_port.source.arithmetic import parse, text

MAX_CODE = 64 << 10
"""Bytes of marshalled code; a Lambda of one line has some hundred."""

SECONDS = 10

PYTHONS = (("2.7", 62211), ("3.5", 3350), ("3.6", 3379), ("3.8", 3413))
"""Versions of Python whose bytecode differs, with the number by which it is known. Source: CPython's importlib."""

SIGNS = {
    "BINARY_ADD": "+", "BINARY_SUBTRACT": "-", "BINARY_MULTIPLY": "*", "BINARY_TRUE_DIVIDE": "/", "BINARY_DIVIDE": "/",
    "BINARY_POWER": "**",
}  # fmt: skip


class Reading(NamedTuple):
    """What a Lambda's code says. text: its arithmetic on x; None where it does more. python: whose bytecode it is.

    names: what else it uses, in its own words.
    """

    text: str | None
    python: str
    names: tuple[str, ...]


def read(config: Mapping[str, Any]) -> Reading | None:
    """Of the configuration of a Lambda; None where it holds no code, or none that is understood, or xdis is missing."""
    code = _code(config.get("function"))
    if code is None:
        return None
    try:
        found = run_in_child(lambda: _disassembled(code), SECONDS)
    except (ChildFailed, MemoryError):
        return None
    return Reading(found[0], found[1], tuple(found[2])) if found else None


def is_readable() -> bool:
    """Whether the library that disassembles is installed."""
    try:
        import xdis  # noqa: F401
    except ImportError:
        return False
    return True


def _code(stated: Any) -> bytes | None:
    """The marshalled code: as text of Keras 1, where every character is a byte, or in base64."""
    text = stated[0] if isinstance(stated, list) and stated else stated
    if not isinstance(text, str) or len(text) > 2 * MAX_CODE:
        return None
    if text.isascii():
        with contextlib.suppress(binascii.Error):
            code = base64.b64decode("".join(text.split()), validate=True)
            if code[:1] in (b"\xe3", b"c"):
                return code
    try:
        return text.encode("raw_unicode_escape")
    except UnicodeEncodeError:
        return None


def _disassembled(code: bytes) -> list[Any] | None:
    """[text or None, version, names]: the first Python under which it is arithmetic, else under which it is code."""
    if not is_readable():
        return None
    seen = None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for version, magic in PYTHONS:
            try:
                found = _of_python(code, version, magic)
            except Exception:  # whatever the library stumbles over: it is not the bytecode of this Python
                continue
            if found is not None and found[0] is not None:
                return found
            seen = seen or found
    return seen


def _of_python(code: bytes, version: str, magic: int) -> list[Any] | None:
    from xdis import unmarshal
    from xdis.bytecode import get_instructions_bytes
    from xdis.op_imports import get_opcode_module
    from xdis.version_info import PythonImplementation

    made = unmarshal.load_code(io.BytesIO(code), magic, code_objects={})
    if not hasattr(made, "co_code"):
        return None
    opcodes = get_opcode_module(tuple(map(int, version.split("."))), PythonImplementation.CPython)
    names = [str(name)[:40] for name in made.co_names][: limits.MAX_WEIGHTS_PER_LAYER]
    instructions = get_instructions_bytes(made, opcodes)
    return [_expression(instructions, made.co_argcount), version, names]


def _expression(instructions: Iterator[Any], arguments: int) -> str | None:
    """What is returned, as arithmetic on the one argument; numbers are computed as that Python did."""
    stack: list[str | int | float] = []
    for instruction in instructions:
        name, value = instruction.opname, instruction.argval
        if name == "LOAD_FAST" and instruction.arg == 0 and arguments == 1:
            stack.append("x")
        elif name == "LOAD_CONST" and isinstance(value, int | float) and not isinstance(value, bool):
            stack.append(value)
        elif name in SIGNS and len(stack) > 1:
            right, left = stack.pop(), stack.pop()
            if name == "BINARY_DIVIDE" and isinstance(left, int) and isinstance(right, int):
                stack.append(left // right)  # of Python 2
            else:
                stack.append(f"({_shown(left)} {SIGNS[name]} {_shown(right)})")
        elif name == "UNARY_NEGATIVE" and stack:
            stack.append(f"(-{_shown(stack.pop())})")
        elif name == "RETURN_VALUE" and len(stack) == 1:
            return _plain(_shown(stack[0]))
        else:
            return None
    return None


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else repr(value) if value >= 0 else f"({value!r})"


def _plain(found: str) -> str | None:
    """The same with no more parentheses than it needs; None where it does not read x."""
    try:
        return text(parse(found))
    except UsageError:
        return None
