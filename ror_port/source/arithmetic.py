"""Arithmetic on one value, x, as text: what a Lambda layer computes where it only scales. Parsed here, never by Python.

expression  product { + - product }        product  power { * / power }
power       [-] factor [ ** power ]        factor   number, x or ( expression )
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ror_port.errors import UsageError, quote
from ror_port.network.layers import Add, Layer, Multiply, Rescaling, Subtract

MAX_TEXT = 1_000
MAX_DEPTH = 50
MAX_POWER = 16

_TOKEN = re.compile(r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<sign>\*\*|[-+*/()^×÷−])|(?P<x>x\b))")
_SIGNS = {"^": "**", "×": "*", "÷": "/", "−": "-"}

Expression = float | str | tuple["Expression", str, "Expression"]
"""A number, "x", or an operation on two of them."""


def parse(text: str) -> Expression:
    """Raises UsageError for anything but arithmetic on x."""
    if len(text) > MAX_TEXT:
        raise UsageError(f"more than {MAX_TEXT} characters of arithmetic", "lambdas")
    found = _Parser(text).whole()
    if "x" not in list(_leaves(found)):
        raise UsageError(f"{quote(text)} does not read x", "lambdas")
    return found


_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}


def text(expression: Expression) -> str:
    """An expression with no parentheses but those that it needs."""
    if isinstance(expression, float):
        return repr(expression)
    if isinstance(expression, str):
        return expression
    left, sign, right = expression
    if left == 0.0 and sign == "-":
        return f"-{_within(right, 3)}"
    power = sign == "**"  # what follows others of its strength: to the right of a power, to the left of the rest
    return f"{_within(left, _BINDS[sign] + power)} {sign} {_within(right, _BINDS[sign] + (not power))}"


def _within(expression: Expression, least: int) -> str:
    """In parentheses where it binds less than that. A negation binds between a product and a power."""
    shown = text(expression)
    if not isinstance(expression, tuple):
        return shown if not shown.startswith("-") else f"({shown})"
    binds = 3 if expression[0] == 0.0 and expression[1] == "-" else _BINDS[expression[1]]
    return shown if binds >= least else f"({shown})"


def _leaves(expression: Expression) -> Iterator[float | str]:
    if isinstance(expression, tuple):
        yield from _leaves(expression[0])
        yield from _leaves(expression[2])
    else:
        yield expression


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.token: str | float | None = None
        self._advance()

    def whole(self) -> Expression:
        found = self._sum()
        if self.token is not None:
            raise self._wrong()
        return found

    def _wrong(self) -> UsageError:
        return UsageError(
            f"{quote(self.text)} is not arithmetic on x at character {self.at}: numbers, x, + - * / ** and parentheses "
            "are read",
            "lambdas",
        )

    def _advance(self) -> None:
        rest = self.text[self.at :]
        if not rest.strip():
            self.token, self.at = None, len(self.text)
            return
        found = _TOKEN.match(rest)
        if found is None:
            raise self._wrong()
        self.at += found.end()
        if found["number"]:
            self.token = float(found["number"])
            if not math.isfinite(self.token):
                raise self._wrong()
        else:
            self.token = _SIGNS.get(found["sign"], found["sign"]) if found["sign"] else "x"

    def _chain(self, part: Callable[[], Expression], signs: tuple[str, ...]) -> Expression:
        found = part()
        while self.token in signs:
            sign = str(self.token)
            self._advance()
            found = (found, sign, part())
        return found

    def _sum(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._wrong()
        found = self._chain(self._product, ("+", "-"))
        self.depth -= 1
        return found

    def _product(self) -> Expression:
        return self._chain(self._power, ("*", "/"))

    def _power(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._wrong()
        if self.token == "-":
            self._advance()
            found: Expression = (0.0, "-", self._power())
        else:
            found = self._factor()
            if self.token == "**":
                self._advance()
                found = (found, "**", self._power())
        self.depth -= 1
        return found

    def _factor(self) -> Expression:
        token = self.token
        if isinstance(token, float) or token == "x":
            self._advance()
            return token
        if token != "(":
            raise self._wrong()
        self._advance()
        found = self._sum()
        if self.token != ")":
            raise self._wrong()
        self._advance()
        return found


# ---------------------------------------------------------------------------------------------------------------------
# As layers


@dataclass(frozen=True)
class _Affine:
    """scale · (a node) + offset; a number where there is no node."""

    node: str | None
    scale: float
    offset: float


class Builder:
    """Puts arithmetic into a graph, as layers that Keras has. add: adds a layer with a suffix; returns the node."""

    def __init__(self, node: str, add: Callable[[str, Layer, tuple[str, ...]], str]) -> None:
        self.node, self.add, self.count = node, add, 0

    def build(self, expression: Expression) -> str:
        """The node that computes it. Raises ValueError for what no layer computes."""
        value = self._value(expression)
        return self._made(replace(value, node=value.node or self.node), last=True)

    def _value(self, expression: Expression) -> _Affine:
        if isinstance(expression, float):
            return _Affine(None, 0.0, expression)
        if isinstance(expression, str):
            return _Affine(self.node, 1.0, 0.0)
        left, sign, right = self._value(expression[0]), expression[1], self._value(expression[2])
        found = {"+": self._sum, "-": self._difference, "*": self._product, "/": _quotient, "**": self._power}[sign](
            left, right
        )
        if not (math.isfinite(found.scale) and math.isfinite(found.offset)):
            raise ValueError("its numbers are too large")
        return found

    def _made(self, value: _Affine, last: bool = False) -> str:
        """The node of a value; of the last one with no suffix."""
        assert value.node is not None
        if (value.scale, value.offset) == (1.0, 0.0) and not last:
            return value.node
        return self._add(Rescaling(value.scale, value.offset), (value.node,), last)

    def _add(self, layer: Layer, inputs: tuple[str, ...], last: bool = False) -> str:
        self.count += not last
        return self.add("" if last else f"/step{self.count}", layer, inputs)

    def _sum(self, left: _Affine, right: _Affine) -> _Affine:
        if left.node is not None and right.node is not None and left.node != right.node:
            return _Affine(self._add(Add(), (self._made(left), self._made(right))), 1.0, 0.0)
        return _Affine(left.node or right.node, left.scale + right.scale, left.offset + right.offset)

    def _difference(self, left: _Affine, right: _Affine) -> _Affine:
        if left.node is not None and right.node is not None and left.node != right.node:
            return _Affine(self._add(Subtract(), (self._made(left), self._made(right))), 1.0, 0.0)
        return _Affine(left.node or right.node, left.scale - right.scale, left.offset - right.offset)

    def _product(self, left: _Affine, right: _Affine) -> _Affine:
        if left.node is not None and right.node is not None:
            return _Affine(self._add(Multiply(), (self._made(left), self._made(right))), 1.0, 0.0)
        number, other = (left, right) if left.node is None else (right, left)
        return _Affine(other.node, other.scale * number.offset, other.offset * number.offset)

    def _power(self, left: _Affine, right: _Affine) -> _Affine:
        exponent = right.offset
        if left.node is None and right.node is None:
            try:
                return _Affine(None, 0.0, float(left.offset**exponent))
            except (ArithmeticError, TypeError):
                raise ValueError("a power of numbers that is none") from None
        if right.node is not None or not exponent.is_integer() or not 1 <= exponent <= MAX_POWER:
            raise ValueError(f"a power that is no whole number from 1 to {MAX_POWER}")
        found = left
        for bit in f"{int(exponent):b}"[1:]:
            found = self._product(found, found)
            found = self._product(found, left) if bit == "1" else found
        return found


def _quotient(left: _Affine, right: _Affine) -> _Affine:
    if right.node is not None or right.offset == 0:
        raise ValueError("a division by x or by zero, for which Keras has no layer")
    return _Affine(left.node, left.scale / right.offset, left.offset / right.offset)
