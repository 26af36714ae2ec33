"""A damaged address shows by what lies there. The structures are those of a file that h5py writes."""

import io

import h5py
import numpy as np
import pytest

from ror_port.formats.hdf5.structures import BLOCK, overlaid

TREE = b"TREE\0\0\1\0" + 2 * b"\xff" * 8


@pytest.mark.parametrize("mark", [b"TREE\0", b"TREE\1", b"SNOD\1\0", b"HEAP\0\0\0\0", b"GCOL\1\0\0\0"])
def test_every_structure_of_a_genuine_file_is_told(tmp_path, mark) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("group/chunked", data=np.zeros(9), chunks=(3,))
        file.attrs["variable"] = "text"
    content = (tmp_path / "x.h5").read_bytes()
    at = content.index(mark)
    assert overlaid(io.BytesIO(content), [(at - 8, at + 16, "over")]) == "over"
    assert overlaid(io.BytesIO(content), [(at + 16, at + 32, "within")]) == "within"


@pytest.mark.parametrize("place", [0, 4, BLOCK - 8, BLOCK - 4, BLOCK, 3 * BLOCK - 24])
def test_where_a_structure_may_lie(place) -> None:
    content = bytearray(3 * BLOCK)
    content[place : place + len(TREE)] = TREE
    pieces = [(0, place, "before"), (place + 544, 4 * BLOCK, "behind")]
    assert overlaid(io.BytesIO(content), pieces) is None
    assert overlaid(io.BytesIO(content), [*pieces[:1], (place + 540, 4 * BLOCK, "at its end")]) == "at its end"
    assert overlaid(io.BytesIO(content), [(0, place + 4, "at its beginning"), *pieces[1:]]) == "at its beginning"


def test_a_mark_that_numbers_hold_by_chance_is_none() -> None:
    content = bytearray(BLOCK)
    content[400:404] = b"SNOD"
    content[800:805] = b"TREE\0"
    content[808:824] = b"\x07" * 16  # neighbours far outside of the file
    assert overlaid(io.BytesIO(content), [(0, BLOCK, "numbers")]) is None
    assert overlaid(io.BytesIO(content), []) is None
