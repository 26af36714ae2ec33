"""What the constructors of genuine Keras take; `reference/record_signatures.py` records it and says how to read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

RECORDED = {0: "keras-0.3.3", 1: "keras-1.2.2", 2: "keras-2.2.4"}
"""Generation of Keras → whose constructors stand for it."""


@cache
def signatures(generation: int) -> Mapping[str, Any]:
    return json.loads((resources.files(__name__) / f"{RECORDED[generation]}.json").read_text())  # type: ignore[no-any-return]


@cache
def classes() -> frozenset[str]:
    """Every class of layers that Keras itself had."""
    return frozenset(name for generation in RECORDED for name in signatures(generation)["layers"])
