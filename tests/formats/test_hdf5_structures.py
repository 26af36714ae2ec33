"""A damaged address is detected by what is stored there. The structures are those of a file that h5py writes."""

import io

import h5py
import numpy as np
import pytest

from ror_port.formats.hdf5.structures import BLOCK, overlapping_extent

TREE = b"TREE\0\0\1\0" + 2 * b"\xff" * 8


@pytest.mark.parametrize("signature", [b"TREE\0", b"TREE\1", b"SNOD\1\0", b"HEAP\0\0\0\0", b"GCOL\1\0\0\0"])
def test_every_structure_of_a_genuine_file_is_detected(tmp_path, signature) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("group/chunked", data=np.zeros(9), chunks=(3,))
        file.attrs["variable"] = "text"
    content = (tmp_path / "x.h5").read_bytes()
    at = content.index(signature)
    assert overlapping_extent(io.BytesIO(content), [(at - 8, at + 16, "over")]) == "over"
    assert overlapping_extent(io.BytesIO(content), [(at + 16, at + 32, "within")]) == "within"


@pytest.mark.parametrize("offset", [0, 4, BLOCK - 8, BLOCK - 4, BLOCK, 3 * BLOCK - 24])
def test_a_structure_is_detected_at_any_offset(offset) -> None:
    content = bytearray(3 * BLOCK)
    content[offset : offset + len(TREE)] = TREE
    extents = [(0, offset, "before"), (offset + 544, 4 * BLOCK, "behind")]
    assert overlapping_extent(io.BytesIO(content), extents) is None
    assert (
        overlapping_extent(io.BytesIO(content), [*extents[:1], (offset + 540, 4 * BLOCK, "at its end")]) == "at its end"
    )
    assert (
        overlapping_extent(io.BytesIO(content), [(0, offset + 4, "at its beginning"), *extents[1:]])
        == "at its beginning"
    )


def test_a_signature_that_a_tensor_holds_by_chance_is_no_structure() -> None:
    content = bytearray(BLOCK)
    content[400:404] = b"SNOD"
    content[800:805] = b"TREE\0"
    content[808:824] = b"\x07" * 16  # neighbours far outside of the file
    assert overlapping_extent(io.BytesIO(content), [(0, BLOCK, "numbers")]) is None
    assert overlapping_extent(io.BytesIO(content), []) is None
