"""Comparing JSON with a JSON Schema, by the keywords that our own schema has; any other keyword is a KeyError."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ror_port.errors import quote

Schema = Mapping[str, Any]
Found = str | None
"""What is wrong with a value and where in it; None for nothing."""

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and _finite(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def mismatch(value: Any, schema: Schema) -> Found:
    """Where a JSON value is not what a schema expects, and what that is; None where it is."""
    return _Comparison(schema).of(value, schema, "")


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond the floats
        return False


class _Comparison:
    def __init__(self, root: Schema) -> None:
        self.root = root
        self.keywords: Mapping[str, Callable[[Any, Any, Schema, str], Found]] = {
            "type": self._type,
            "const": lambda value, wanted, _, at: None if value == wanted else _wrong(at, repr(wanted)),
            "enum": lambda value, wanted, _, at: None if value in wanted else _wrong(at, f"one of {wanted}"),
            "pattern": self._pattern,
            "minLength": lambda value, least, _, at: self._size(value, str, least, None, at, "characters"),
            "maxLength": lambda value, most, _, at: self._size(value, str, None, most, at, "characters"),
            "minItems": lambda value, least, _, at: self._size(value, list, least, None, at, "items"),
            "maxItems": lambda value, most, _, at: self._size(value, list, None, most, at, "items"),
            "minimum": lambda value, least, _, at: (
                None if not _number(value) or value >= least else _wrong(at, f"at least {least}")
            ),
            "exclusiveMinimum": lambda value, low, _, at: (
                None if not _number(value) or value > low else _wrong(at, f"more than {low}")
            ),
            "maximum": lambda value, most, _, at: (
                None if not _number(value) or value <= most else _wrong(at, f"at most {most}")
            ),
            "required": self._required,
            "properties": self._properties,
            "additionalProperties": self._additional,
            "items": self._items,
            "anyOf": self._any,
            "$ref": lambda value, name, _, at: self.of(value, self.root["$defs"][name.rpartition("/")[2]], at),
            "if": lambda value, condition, schema, at: self._then(value, condition, schema, at),
        }

    ANNOTATIONS = frozenset(("$schema", "$defs", "title", "description", "then"))

    def of(self, value: Any, schema: Schema, at: str) -> Found:
        for keyword, wanted in schema.items():
            if keyword not in self.ANNOTATIONS and (found := self.keywords[keyword](value, wanted, schema, at)):
                return found
        return None

    def _type(self, value: Any, wanted: Any, _: Schema, at: str) -> Found:
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return None if any(_TYPES[kind](value) for kind in kinds) else _wrong(at, " or ".join(kinds))

    def _pattern(self, value: Any, pattern: str, _: Schema, at: str) -> Found:
        return None if not isinstance(value, str) or re.search(pattern, value) else _wrong(at, f"text like {pattern}")

    def _size(
        self, value: Any, kind: type[list[Any]] | type[str], least: int | None, most: int | None, at: str, what: str
    ) -> Found:
        if isinstance(value, kind):
            if least is not None and len(value) < least:
                return _wrong(at, f"at least {least} {what}")
            if most is not None and len(value) > most:
                return _wrong(at, f"at most {most} {what}")
        return None

    def _required(self, value: Any, names: list[str], _: Schema, at: str) -> Found:
        absent = [name for name in names if isinstance(value, dict) and name not in value]
        return _wrong(f"{at}/{absent[0]}", "to be there") if absent else None

    def _properties(self, value: Any, schemas: Mapping[str, Schema], _: Schema, at: str) -> Found:
        if not isinstance(value, dict):
            return None
        found = (self.of(value[name], schema, f"{at}/{name}") for name, schema in schemas.items() if name in value)
        return next(filter(None, found), None)

    def _additional(self, value: Any, wanted: Any, schema: Schema, at: str) -> Found:
        others = [name for name in value if name not in schema.get("properties", {})] if isinstance(value, dict) else []
        if wanted is False:
            return _wrong(f"{at}/{others[0]}", "no such field") if others else None
        return next(filter(None, (self.of(value[name], wanted, f"{at}/{name}") for name in others)), None)

    def _items(self, value: Any, schema: Schema, _: Schema, at: str) -> Found:
        items = value if isinstance(value, list) else []
        return next(filter(None, (self.of(item, schema, f"{at}/{i}") for i, item in enumerate(items))), None)

    def _any(self, value: Any, schemas: list[Schema], _: Schema, at: str) -> Found:
        found = [self.of(value, schema, at) for schema in schemas]
        return None if None in found else found[-1]

    def _then(self, value: Any, condition: Schema, schema: Schema, at: str) -> Found:
        return self.of(value, schema["then"], at) if self.of(value, condition, at) is None else None


def _number(value: Any) -> bool:
    return _TYPES["number"](value)


def _wrong(at: str, expected: str) -> str:
    return f"{quote(at.removeprefix('/')) if at else 'the whole'}: expected {expected}"
