"""What libraries of that time had and today's have no more, given back to the script's process."""

from __future__ import annotations

import functools
import importlib
import io
import itertools
import pickle
import string
import sys
from types import ModuleType
from typing import Any

import numpy as np

OF_NUMPY: dict[str, Any] = {
    "float": float, "int": int, "bool": bool, "object": object, "str": str, "complex": complex, "long": int,
    "unicode": str, "float_": np.float64, "NaN": np.nan, "Inf": np.inf, "infty": np.inf, "product": np.prod,
    "alltrue": np.all, "sometrue": np.any, "asscalar": lambda array: array.item(),
}  # fmt: skip
"""Names that NumPy 1.24 and 2.0 took away. Source: its release notes."""


def install() -> None:
    for name, value in OF_NUMPY.items():
        if name not in vars(np):
            setattr(np, name, value)
    for name in ("lowercase", "uppercase", "letters"):
        setattr(string, name, getattr(string, f"ascii_{name}"))
    try:
        importlib.import_module("six.moves")  # which it finds by an importer of its own, from now on
    except ImportError:
        sys.modules |= _six()


def _six() -> dict[str, ModuleType]:
    """The part of `six` that scripts use: names of Python 2 and 3 alike."""
    six, moves = ModuleType("six"), ModuleType("six.moves")
    vars(moves).update(
        range=range, xrange=range, zip=zip, map=map, filter=filter, input=input, reduce=functools.reduce,
        cPickle=pickle, cStringIO=io.StringIO, StringIO=io.StringIO, zip_longest=itertools.zip_longest,
    )  # fmt: skip
    vars(six).update(
        moves=moves, PY2=False, PY3=True, string_types=(str,), integer_types=(int,), text_type=str, binary_type=bytes,
        iteritems=lambda mapping: iter(mapping.items()), itervalues=lambda mapping: iter(mapping.values()),
        iterkeys=lambda mapping: iter(mapping), b=lambda text: text.encode("latin-1"), u=str, next=next,
    )  # fmt: skip
    moves.__path__ = six.__path__ = []
    return {"six": six, "six.moves": moves, "six.moves.cPickle": pickle}
