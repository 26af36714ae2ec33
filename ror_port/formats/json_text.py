"""JSON out of an untrusted file: parsed within limits, as data."""

from __future__ import annotations

import json
from typing import Any

from ror_port.errors import NotACheckpoint, UnsafeFile
from ror_port.safety import limits


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
