from __future__ import annotations

from typing import Any


def modules(keras: Any) -> dict[str, dict[str, Any]]:
    return {}
