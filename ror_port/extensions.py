"""Kinds of layers and families of networks that other installed packages bring.

A package names a function under the entry point `ror_port.extensions`. It is called once, without arguments, when a
file holds what ror-port itself does not know, and adds what it has. Nothing is loaded before; nothing from a file ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ror_port.errors import UsageError, quote
from ror_port.mapping import weights
from ror_port.mapping.weights import Weight
from ror_port.network import layers
from ror_port.network.families import FAMILIES, Family
from ror_port.network.layers import Layer
from ror_port.theano.twins import TWINS, Twin

GROUP = "ror_port.extensions"


def add_layer(kind: type[Layer], arithmetic: Twin, rows: Iterable[Weight] = ()) -> None:
    """A kind of layer: what it computes, and its weights in the order in which Keras keeps them.

    Of classes in stored architectures that ror-port knows, it is asked for those that ror-port refuses. Raises
    ValueError where there is a kind of that name.
    """
    if kind.__name__ in layers.BY_NAME:
        raise ValueError(f"there is a layer {kind.__name__} already")
    layers.BY_NAME[kind.__name__] = kind
    for name in kind.keras:
        if layers.BY_KERAS_CLASS.setdefault(name, kind) is not kind:
            layers.ALSO_BY_KERAS_CLASS.setdefault(name, []).append(kind)
    weights.add(kind, rows)
    TWINS[kind] = arithmetic


def add_family(family: type[Family]) -> None:
    """A family of networks that is recognised by its tensors, as those of `ror_port.network.families`."""
    FAMILIES.append(family)


@cache
def load() -> bool:
    """Has every installed package add what it brings. Returns whether there was any; UsageError where one fails."""
    from importlib import metadata  # takes as long as a small file

    found = metadata.entry_points(group=GROUP)
    for entry in found:
        try:
            entry.load()()
        except Exception as error:  # of whatever kind it is, it is that package's
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise UsageError(
                f"the installed extension {quote(entry.name)} ({quote(entry.value)}) fails: {reason}"
            ) from None
    return bool(found)
