"""JSON out of an untrusted file, parsed within limits, as data; and how long it becomes when it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ror_port.errors import NotACheckpoint, UnsafeFile
from ror_port.safety import limits
from ror_port.safety.input_file import readable


def json_object(text: str | bytes, where: str) -> dict[str, Any]:
    """A JSON object; NotACheckpoint where it is none. where: how messages call it."""
    if len(text) > limits.MAX_CONFIG_BYTES:
        raise UnsafeFile(f"{where}: {len(text)} characters; the limit is {limits.MAX_CONFIG_BYTES}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotACheckpoint(f"{where}: not JSON ({type(error).__name__})") from None
    if not isinstance(value, dict):
        raise NotACheckpoint(f"{where}: expected a JSON object")
    return value


def bounded(path: Path) -> bytes:
    """A file of JSON. Raises UnsafeFile, without reading on, where it is too large."""
    with readable(path).open("rb") as file:
        content = file.read(limits.MAX_CONFIG_BYTES + 1)
    if len(content) > limits.MAX_CONFIG_BYTES:
        raise UnsafeFile(f"{path}: too large; the limit is {limits.MAX_CONFIG_BYTES} bytes")
    return content


def indented_length(value: Any) -> int:
    """Of ``json.dumps(value, indent=2)``, which is written in Python, ten times as slowly as this counts."""
    length = len(json.dumps(value, separators=(",", ": ")))
    line, level = 1, [value]  # characters that a line break takes, with what it indents by
    while level:
        filled = [item for item in level if isinstance(item, dict | list | tuple) and item]
        held = [item.values() if isinstance(item, dict) else item for item in filled]
        level = [item for items in held for item in items]
        length += line * len(held) + (line + 2) * len(level)  # each end has a line of its own, and each item
        line += 2
    return length
