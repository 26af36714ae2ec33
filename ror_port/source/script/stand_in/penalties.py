"""Regularizers, constraints and initializers: objects with nothing but a configuration.

Source: Keras 1.2.2 and 2.2.4 (regularizers.py, constraints.py, initializers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ror_port.source.script.stand_in.inert import Inert
from ror_port.source.script.stand_in.session import Misuse, Session

_FACTORS = {
    "l1": ("l1",), "l2": ("l2",), "l1l2": ("l1", "l2"), "l1_l2": ("l1", "l2"), "WeightRegularizer": ("l1", "l2"),
    "activity_l1": ("l1",), "activity_l2": ("l2",), "activity_l1l2": ("l1", "l2"),
}  # fmt: skip
"""Function → the factors that it takes."""

_CONSTRAINTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "maxnorm": ("MaxNorm", {"m": 2, "axis": 0}),
    "nonneg": ("NonNeg", {}),
    "unitnorm": ("UnitNorm", {"axis": 0}),
    "minmaxnorm": ("MinMaxNorm", {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}),
}
"""Function of Keras 1 → its class, and its settings there."""

_ALSO = {"maxnorm": "max_norm", "nonneg": "non_neg", "unitnorm": "unit_norm", "minmaxnorm": "min_max_norm"}
_IN_KERAS_2 = {"m": "max_value"}


class Configured:
    """One of them. serialized: what stands for it in the configuration of a layer."""

    def __init__(self, serialized: Any) -> None:
        self.serialized = serialized

    def get_config(self) -> Any:
        return self.serialized

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return Inert()


def regularizers(session: Session) -> dict[str, Callable[..., Configured]]:
    def maker(function: str, names: tuple[str, ...]) -> Callable[..., Configured]:
        usual = dict.fromkeys(names, 0.0 if function == "WeightRegularizer" else 0.01)

        def regularizer(*args: float, **kwargs: float) -> Configured:
            given = {**usual, **dict(zip(names, args, strict=False)), **kwargs}
            if "l" in given:
                given[names[0]] = given.pop("l")
            factors = {name: given.get(name, 0.0) for name in ("l1", "l2")}
            if session.generation:
                factors = {name: float(np.float32(factor)) for name, factor in factors.items()}
            if session.generation == 2:
                return Configured({"class_name": "L1L2", "config": factors})
            return Configured({"name": "L1L2Regularizer" if session.generation else "WeightRegularizer", **factors})

        return regularizer

    return {name: maker(name, names) for name, names in _FACTORS.items()}


def constraints(session: Session) -> dict[str, Callable[..., Configured]]:
    def maker(name: str, usual: Mapping[str, Any]) -> Callable[..., Configured]:
        names = [_IN_KERAS_2.get(key, key) for key in usual] if session.generation == 2 else list(usual)

        def constraint(*args: Any, **kwargs: Any) -> Configured:
            given = {**dict(zip(names, usual.values(), strict=True)), **dict(zip(names, args, strict=False)), **kwargs}
            if session.generation == 2:
                return Configured({"class_name": name, "config": given})
            return Configured({"name": name, **given})

        return constraint

    found = {}
    for function, (name, usual) in _CONSTRAINTS.items():
        found[function] = found[name] = found[_ALSO[function]] = maker(name, usual)
    return found


def initializers(session: Session) -> dict[str, Callable[..., Configured]]:
    """Of Keras 2; their arguments are recorded with those of the layers."""

    def maker(name: str, known: Mapping[str, Any]) -> Callable[..., Configured]:
        names = [argument[0] for argument in known["arguments"]]
        usual = known.get("config", {"class_name": name, "config": {}})

        def initializer(*args: Any, **kwargs: Any) -> Configured:
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            kept = {key: value for key, value in given.items() if key in usual["config"]}
            return Configured({"class_name": usual["class_name"], "config": {**usual["config"], **kept}})

        initializer.__name__ = name
        return initializer

    return {name: maker(name, known) for name, known in session.signatures["initializers"].items()}


def found(value: Any) -> Any:
    """What `get` of their modules gives: the same, which a layer takes by its name as well."""
    return value


def serialized(
    value: Any, known: Callable[[Session], Mapping[str, Callable[..., Configured]]], session: Session
) -> Any:
    """What stands for one of them, given as an object or by the name of what makes it; known: all of its sort."""
    if isinstance(value, str):
        makers = known(session)
        if value not in makers:
            raise Misuse(f"{value!r}, which this Keras does not know")
        value = makers[value]()
    if value is None or isinstance(value, Inert):
        return None
    if isinstance(value, Configured):
        return value.serialized
    return str(getattr(value, "__name__", type(value).__name__))
