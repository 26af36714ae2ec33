"""JSON that is written: how long it becomes."""

import json

import pytest

from ror_port.formats.json_text import indented_length

VALUES = [
    None,
    -2.5,
    "à\n",
    [],
    {},
    [[], {}, ()],
    [1, [2, (3, [4])]],
    {"a": {"b": [{"c": None}, {}], "d": "…"}, "e": [True]},
]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_the_length_of_indented_json_is_counted_without_writing_it(value) -> None:
    assert indented_length(value) == len(json.dumps(value, indent=2))
