"""Property tests of the parsers of untrusted text: lists of names, architectures, what ror-port wrote into a file."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from genuine import FIXTURES
from ror_port.errors import NotACheckpoint, RorPortError, UnsafeFile
from ror_port.formats.hdf5 import reader as hdf5
from ror_port.formats.json_text import json_object
from ror_port.network.layers import BatchNormalization, Dropout
from ror_port.safety import limits
from ror_port.source.from_config import Stated, stated_graph
from ror_port.source.port import load

FILE = Path("file")
LIMIT = 20
quick = settings(deadline=None, max_examples=200, derandomize=True, database=None)

PIECES = st.lists(
    st.lists(st.binary(max_size=12) | st.text(max_size=8).map(str.encode), max_size=9), min_size=1, max_size=5
)


def store(file: h5py.File, attribute: str, names: list[bytes], variable: bool) -> list[bytes]:
    """Writes names in one of two ways; returns them as HDF5 keeps them, without zeros at their end or after one."""
    if variable:
        kept = [name.split(b"\0")[0] for name in names]
        file.attrs.create(attribute, np.array(kept, dtype=object), dtype=h5py.string_dtype())
    else:
        kept = [name.rstrip(b"\0") for name in names]
        file.attrs[attribute] = np.array(kept, "S40") if names else np.zeros(0)
    return kept


@quick
@given(pieces=PIECES, variable=st.booleans(), split=st.booleans())
@example(pieces=[[b"a"], [], [b"b"]], variable=False, split=True)
@example(pieces=[[b"a", b"a"]], variable=False, split=False)
@example(pieces=[[b"\xff"]], variable=True, split=False)
def test_names_come_back_or_are_refused(pieces, variable, split) -> None:
    with h5py.File(io.BytesIO(), "w") as file:
        if not split:
            pieces = [[name for piece in pieces for name in piece]]
        expected = []
        for index, piece in enumerate(pieces):
            expected += store(file, f"names{index}" if split else "names", piece, variable)
        try:
            found = hdf5.names(file.id, "names", FILE, LIMIT)
        except UnsafeFile:
            assert len(expected) > LIMIT or b"" in expected
        except NotACheckpoint:
            assert len(set(expected)) < len(expected) or not valid(expected)
        else:
            assert [name.encode() for name in found] == expected
            assert len(set(found)) == len(found) <= LIMIT


def valid(names: list[bytes]) -> bool:
    try:
        b"".join(name + b"\n" for name in names).decode()
    except UnicodeDecodeError:
        return False
    return True


@quick
@given(kind=st.sampled_from(["f4", "i8", "?", "S3", "c8"]), shape=st.lists(st.integers(0, 4), max_size=3))
def test_an_attribute_of_any_type_and_shape(kind, shape) -> None:
    with h5py.File(io.BytesIO(), "w") as file:
        file.attrs["names"] = np.zeros(shape, kind)
        for read in (lambda: hdf5.names(file.id, "names", FILE, LIMIT), lambda: hdf5.text(file.id, "names", FILE)):
            with suppress(RorPortError):
                assert read() in ([], "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def genuine_config() -> Any:
    with h5py.File(FIXTURES / "pre-ror-3-10_keras-2.3.1" / "model.h5") as file:
        return json.loads(file.attrs["model_config"])


CONFIG = genuine_config()


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in inner for deeper in paths(item, (*path, key)))]


PATHS = paths(CONFIG)


def architecture(text: str) -> Stated:
    where = "file: model_config"
    return stated_graph(json_object(text, where), {}, theano=True, version=(2, 3, 1), where=where)


def with_other(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    changed = value.copy()
    changed[path[0]] = with_other(value[path[0]], path[1:], other)
    return changed


@quick
@given(changes=st.lists(st.tuples(st.sampled_from(PATHS), JSON), min_size=1, max_size=3))
def test_an_architecture_is_read_or_refused(changes) -> None:
    config = CONFIG
    for path, other in changes:
        try:
            config = with_other(config, path, other)
        except (KeyError, IndexError, TypeError, AttributeError):  # an earlier change removed that path
            continue
    with suppress(RorPortError):
        layers = [node.layer for node in architecture(json.dumps(config)).graph]
        norms = [layer for layer in layers if isinstance(layer, BatchNormalization)]
        assert all(0 <= value <= 1 for norm in norms for value in (norm.epsilon, norm.momentum))
        assert all(0 <= layer.rate <= 1 for layer in layers if isinstance(layer, Dropout))


@quick
@given(
    text=st.text(max_size=200) | JSON.map(json.dumps) | st.binary(max_size=50).map(lambda raw: raw.decode("latin-1"))
)
def test_any_text_for_an_architecture(text) -> None:
    with pytest.raises(RorPortError):
        architecture(text)


@settings(quick, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stated=JSON
    | st.fixed_dictionaries(
        {"network": st.dictionaries(st.sampled_from(["epsilon", "momentum", "dropout", "padding"]), JSON)}
    )
)
def test_what_ror_port_wrote_into_a_file(stated, tmp_path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes((FIXTURES / "pre-ror-3-10_keras-1.0.6" / "weights.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["ror_port"] = json.dumps(stated)
    with suppress(RorPortError), load(path) as port:
        norms = [node.layer for node in port.graph if isinstance(node.layer, BatchNormalization)]
        assert all(0 <= norm.epsilon <= 1 for norm in norms)


def test_the_memory_limit_has_room_for_what_is_read_whole() -> None:
    """JSON of many small objects, which takes the most memory, must fit into what a description may take."""
    assert 24 * limits.MAX_CONFIG_BYTES <= limits.MAX_GROWTH
