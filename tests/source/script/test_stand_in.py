"""The stand-in for Keras against genuine Keras: every recorded network, built by the same code as genuine Keras did.

`reference/layers.py` and `reference/record_keras_0.py` build the networks, here with the stand-in in place of Keras.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from genuine import ROOT
from genuine_layers import Case, cases, record
from ror_port.errors import UnknownNetwork
from ror_port.source.from_config import stated_graph
from ror_port.source.keras_0 import as_keras_1
from ror_port.source.script.stand_in import Keras, Misuse, Session

KERAS_0 = "keras-0.3.3-theano-0.8.2"
LETTER_FOR_LETTER = ("keras-1.2.2-theano-0.9.0", "keras-1.2.2-tensorflow-1.8.0", "keras-2.2.4-theano-1.0.5")
"""Stacks whose JSON is given as it is; of other releases some settings that change nothing differ."""

OTHERWISE = {
    "lambdas/*": "Keras has their bytecode, the stand-in their arithmetic",
    "*other-ordering-*": "Keras 1 does not write the ordering of these layers, and so loses it",
    "settings/input-layer-*": "Keras 2 does not write an InputLayer of a Sequential, and so loses the shape",
    "shapes/padding2d-tf": "the same of Keras 0.3",
}
NOT_BUILT = dict.fromkeys(("graphs/shared-*", "embedding/shared"), "add_shared_node of a Graph is refused by name")


def session(stack: str, ordering: str) -> Session:
    version = tuple(map(int, stack.split("-")[1].split(".")))
    return Session(version, ordering, backend="tensorflow" if "tensorflow" in stack else "theano")


@contextmanager
def in_place_of_keras(keras: Keras) -> Iterator[None]:
    """Has `import keras` find the stand-in; what was imported before comes back afterwards."""
    stubs = {name: ModuleType(name) for name in ("theano", "pkg_resources")}
    stubs = {**keras.modules, **{name: stub for name, stub in stubs.items() if name not in sys.modules}}
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "keras"}
    sys.path.insert(0, str(ROOT / "reference"))
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in stubs:
            sys.modules.pop(name, None)
        sys.modules.update(before)
        sys.path.remove(str(ROOT / "reference"))


def builders(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"built_by_{name}", ROOT / "reference" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def matches(case: Case, patterns: dict[str, str]) -> bool:
    return any(fnmatch(f"{case.family}/{case.name}", pattern) for pattern in patterns)


@cache
def recorded(stack: str) -> dict[tuple[str, str], Case]:
    return {(case.family, case.name): case for case in cases() if case.stack == stack}


@cache
def built(stack: str, ordering: str) -> dict[Case, Any]:
    """Case → what the stand-in states of it, or the Misuse."""
    found: dict[Case, Any] = {}
    made = session(stack, ordering)
    keras = Keras(made)
    with in_place_of_keras(keras):
        module = builders("layers")
        for family in module.FAMILIES:
            for name, make, *_ in module.cases(family):
                case = recorded(stack).get((family.__name__, name))
                if case is None or not name.endswith(f"-{ordering}"):
                    continue
                made.counts.clear()
                try:
                    found[case] = json.loads(json.dumps(make().stated()))
                except Misuse as error:
                    found[case] = error
    return found


@cache
def built_of_keras_0() -> dict[Case, Any]:
    found: dict[Case, Any] = {}
    with in_place_of_keras(Keras(session(KERAS_0, "th"))):
        for family in builders("record_keras_0").FAMILIES:

            def add(name: str, make: Any, *_: Any, family: str = family.__name__, **__: Any) -> None:
                if case := recorded(KERAS_0).get((family, name)):
                    try:
                        found[case] = json.loads(json.dumps(make().stated()))
                    except Misuse as error:
                        found[case] = error

            family(add)
    return found


def graph(config: Any, case: Case, version: tuple[int, ...]) -> Any:
    """Its nodes by their names, as up to Keras 1.0.7 they are listed in another order; or why it is refused."""
    shapes = {layer.name: [array.shape for array in layer.weights.values()] for layer in record(case).layers}
    try:
        found = stated_graph(config, shapes, theano=True, version=version, where=str(case)).graph
        return {node.name: node for node in found}
    except UnknownNetwork as error:
        return error.message


@pytest.mark.parametrize("ordering", ["th", "tf"])
@pytest.mark.parametrize("stack", LETTER_FOR_LETTER)
def test_the_json_is_that_of_genuine_keras(stack, ordering) -> None:
    found = built(stack, ordering)
    assert len(found) == sum(name.endswith(f"-{ordering}") for _, name in recorded(stack))
    different = []
    for case, stated in found.items():
        genuine = json.loads(record(case).config)
        assert not isinstance(stated, Misuse), f"{case}: {stated}"
        if {key: stated[key] for key in genuine} != genuine and not matches(case, OTHERWISE):
            different.append(str(case))
    assert different == []


@pytest.mark.parametrize("stack", ["keras-1.0.6-theano-0.8.2", "keras-1.1.0-theano-0.8.2", "keras-2.3.1-theano-1.0.5"])
@pytest.mark.parametrize("ordering", ["th", "tf"])
def test_of_other_releases_the_network_is_the_same(stack, ordering) -> None:
    """Node by node, with every setting that changes what it computes."""
    version = session(stack, ordering).version
    found = built(stack, ordering)
    assert found or ordering == "tf"
    for case, stated in found.items():
        assert not isinstance(stated, Misuse), f"{case}: {stated}"
        if case.family != "custom" and not matches(case, OTHERWISE):
            assert graph(stated, case, version) == graph(json.loads(record(case).config), case, version)


def test_of_keras_0_the_network_is_the_same() -> None:
    found = built_of_keras_0()
    assert len(found) == len(recorded(KERAS_0))
    refused = {case for case, stated in found.items() if isinstance(stated, Misuse)}
    assert refused == {case for case in found if matches(case, NOT_BUILT)}
    for case in found.keys() - refused:
        if not matches(case, OTHERWISE):
            assert graph(as_keras_1(found[case]), case, (0,)) == graph(
                as_keras_1(json.loads(record(case).config)), case, (0,)
            )
