"""Elements are read from a file exactly as the HDF5 library itself reads them."""

import itertools
import json
import zlib
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from h5py import h5d, h5g, h5p, h5s

from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile
from ror_port.formats import storage
from ror_port.formats.hdf5 import reader as hdf5
from ror_port.safety import limits

FILTERS = [
    options
    for count in range(4)
    for options in itertools.combinations([{"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}], count)
]


def read(path, name: str = "x") -> np.ndarray:
    with h5py.File(path, "r") as file:
        tensors = hdf5.Tensors(h5g.open(file.id, b"/"), path, path)
        described = tensors.describe(file.id, name, name)
    with path.open("rb") as file:
        (layer,) = hdf5.layers([["layer", [described]]], file, path)
        return layer.tensors[0].read()


@pytest.mark.parametrize("options", FILTERS, ids=lambda options: "+".join(key for o in options for key in o) or "none")
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("block", [0, 512])
def test_chunks_come_back_bit_for_bit(tmp_path, options, dtype, block) -> None:
    stored = np.random.default_rng(0).standard_normal((7, 5, 3)).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=block) as file:
        together = {key: value for option in options for key, value in option.items()}
        file.create_dataset("x", data=stored, chunks=(3, 2, 3), **together)
    found = read(tmp_path / "x.h5")
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert found.astype(dtype).tobytes() == stored.tobytes()


@pytest.mark.parametrize("order", list(itertools.permutations(["deflate", "shuffle", "fletcher32"])))
@pytest.mark.parametrize("count", [1, 4999, 5000])
def test_filters_are_reversed_in_any_order(tmp_path, order, count) -> None:
    stored = np.random.default_rng(1).integers(0, 9, count).astype("f8")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_chunk((min(1000, count),))
        for name in order:
            getattr(properties, f"set_{name}")(*([4] if name == "deflate" else []))
        dataset = h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, h5s.create_simple((count,)), dcpl=properties)
        dataset.write(h5s.ALL, h5s.ALL, stored)
    assert read(tmp_path / "x.h5").tobytes() == stored.tobytes()


def test_a_chunk_that_skipped_a_filter(tmp_path) -> None:
    stored = np.arange(10, dtype="f4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", (10,), "f4", chunks=(5,), compression="gzip", shuffle=True)
        dataset[5:] = stored[5:]
        dataset.id.write_direct_chunk((0,), stored[:5].tobytes(), filter_mask=0b11)
    assert np.array_equal(read(tmp_path / "x.h5"), stored)


def test_compact_storage(tmp_path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_layout(h5d.COMPACT)
        dataset = h5d.create(file.id, b"x", h5py.h5t.IEEE_F32BE, h5s.create_simple((3,)), dcpl=properties)
        dataset.write(h5s.ALL, h5s.ALL, np.array([1, 2, 3], "f4"))
    assert read(tmp_path / "x.h5").tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_no_axes_and_no_elements(tmp_path, shape) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.full(shape, 2.5)
    assert np.array_equal(read(tmp_path / "x.h5"), np.full(shape, 2.5))


def test_newest_layout(tmp_path) -> None:
    stored = np.random.default_rng(2).standard_normal((40, 40))
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        file.create_dataset("x", data=stored, chunks=(9, 40), fletcher32=True)
    assert np.array_equal(read(tmp_path / "x.h5"), stored)


@pytest.mark.parametrize("size", [1, 2, 3, 1000, (1 << 17) + 1, (1 << 18) + 7])
def test_the_checksum_equals_the_library_s(tmp_path, size) -> None:
    content = np.random.default_rng(size).integers(0, 256, size).astype("u1")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=content, chunks=(size,), fletcher32=True)
        _, stored = file["x"].id.read_direct_chunk((0,))
    stated = int.from_bytes(stored[-4:], "little")
    assert storage.fletcher32(content.tobytes()) == (stated >> 16) % 0xFFFF << 16 | (stated & 0xFFFF) % 0xFFFF


def test_a_flipped_bit_is_detected_by_the_checksum(tmp_path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(10, dtype="f4"), chunks=(10,), fletcher32=True)
        at = file["x"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="checksum"):
        read(path)


def chunk(tmp_path, content: bytes) -> np.ndarray:
    (tmp_path / "raw").write_bytes(content)
    chunked = storage.Chunked((4,), (storage.DEFLATE,), (storage.Chunk(0, 0, 0, len(content)),))
    with (tmp_path / "raw").open("rb") as file:
        return storage.read(file, chunked, (4,), np.dtype("<f4"), "here")


def test_a_chunk_inflates_to_its_size_at_most(tmp_path) -> None:
    assert chunk(tmp_path, zlib.compress(np.arange(4, dtype="f4").tobytes())).tolist() == [0, 1, 2, 3]
    with pytest.raises(UnsafeFile, match="inflates to more than its 16 bytes"):
        chunk(tmp_path, zlib.compress(bytes(17)))
    with pytest.raises(UnreadableFile, match="a chunk of 15 bytes; expected 16"):
        chunk(tmp_path, zlib.compress(bytes(15)))
    with pytest.raises(UnreadableFile, match="damaged"):
        chunk(tmp_path, b"no zlib")


def test_a_file_that_is_truncated_meanwhile(tmp_path) -> None:
    (tmp_path / "raw").write_bytes(bytes(15))
    with (tmp_path / "raw").open("rb") as file, pytest.raises(UnreadableFile, match="truncated while it was read"):
        storage.read(file, storage.Contiguous(0), (4,), np.dtype("<f4"), "here")


@pytest.mark.parametrize(
    "stored",
    [
        storage.Contiguous(8),
        storage.Compact(b"\0\xff"),
        storage.Chunked((2, 3), (1,), (storage.Chunk(0, 1, 2, 3),)),
    ],
)
def test_a_storage_survives_json(stored) -> None:
    assert storage.from_json(json.loads(json.dumps(storage.to_json(stored)))) == stored


def described_chunks(*numbers: int, values: tuple[int, ...] = (4,)) -> storage.Chunked:
    """As if the library reported them: chunks of two in a row of four, with the given numbers."""
    chunks = [h5d.StoreInfo((2 * number,), 0, 100 + index, 8) for index, number in enumerate(numbers)]
    dataset = SimpleNamespace(get_num_chunks=lambda: 2, chunk_iter=lambda add: [add(chunk) for chunk in chunks])
    properties = SimpleNamespace(
        get_nfilters=lambda: 1, get_filter=lambda _: (storage.SHUFFLE, 0, values, b"shuffle"), get_chunk=lambda: (2,)
    )
    return hdf5._chunked(hdf5.Dataset(dataset, (4,), "<f4", 16, properties), "here")


def test_what_the_library_reports_of_chunks_is_validated() -> None:
    assert described_chunks(1, 0).chunks == (storage.Chunk(1, 0, 100, 8), storage.Chunk(0, 0, 101, 8))
    with pytest.raises(NotACheckpoint, match="some of its chunks are stored twice"):
        described_chunks(1, 1)
    with pytest.raises(NotACheckpoint, match="shuffle filter is for elements of another size"):
        described_chunks(0, 1, values=(8,))


def test_the_chunks_of_a_file_are_counted(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MAX_CHUNKS", 5)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name in "ab":
            file.create_dataset(name, data=np.zeros(3), chunks=(1,))
        tensors = hdf5.Tensors(h5g.open(file.id, b"/"), tmp_path, tmp_path / "x.h5")
        for name in "ab":
            tensors.describe(file.id, name, name)
        with pytest.raises(UnsafeFile, match="6 chunks; the limit is 5"):
            tensors.validate()
