"""What the constructors of genuine Keras take; `reference/record_signatures.py` records it and says how to read it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

RECORDED = {0: "keras-0.3.3", 1: "keras-1.2.2", 2: "keras-2.2.4"}
"""Generation of Keras → whose constructors stand for it."""


@cache
def signatures(generation: int) -> Mapping[str, Any]:
    from importlib import resources  # takes a while, and few files need it

    return json.loads((resources.files(__name__) / f"{RECORDED[generation]}.json").read_text())  # type: ignore[no-any-return]


@cache
def classes() -> frozenset[str]:
    """Every class of layers that Keras itself had."""
    return frozenset(name for generation in RECORDED for name in signatures(generation)["layers"])


def in_snake_case(class_name: str) -> str:
    """Of a class, as Keras 2 names its layers: conv_lst_m2d for ConvLSTM2D, other than Keras 3."""
    words = re.sub(r"(?<=.)(?=[A-Z][a-z0-9])", "_", class_name)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", words).lower()
