"""Safe HDF5 reading. Each case would mislead or harm a plain reader."""

import os

import h5py
import numpy as np
import pytest

from ror_port.errors import NotACheckpoint, RorPortError, UnreadableFile, UnsafeFile
from ror_port.source.port import load

DATASET = "dense_1/dense_1_b"


def refused(path, error: type[RorPortError], message: str) -> None:
    with pytest.raises(error, match=message):
        load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"hello", "not an HDF5 file"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x93NUMPY", "NumPy"),
        (b"PK\x03\x04nothing more", "damaged or encrypted zip"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
    ],
)
def test_other_files(tmp_path, content, message) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    refused(path, UnreadableFile, message)


def test_no_file_a_folder_and_a_pipe(tmp_path) -> None:
    refused(tmp_path / "none.h5", UnreadableFile, "no such file")
    refused(tmp_path, UnreadableFile, "a folder")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", UnreadableFile, "not a regular file")


@pytest.mark.parametrize("share", [0.5, 0.001, 0.999999])
def test_truncated(pre_ror, tmp_path, share) -> None:
    path = tmp_path / "weights.h5"
    content = pre_ror.weights.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, UnreadableFile, "truncated or damaged")


def test_hdf5_of_something_else(tmp_path) -> None:
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["temperatures"] = [1.0]
    refused(path, NotACheckpoint, "no attribute 'layer_names'; it holds 'temperatures'")


def test_external_soft_and_missing_links(copy, tmp_path) -> None:
    path, file = copy
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["secret"] = np.zeros(10, np.float32)
    del file[DATASET]
    file[DATASET] = h5py.ExternalLink("secret.h5", "/secret")
    file.close()
    refused(path, UnsafeFile, "a soft or external link")
    with h5py.File(path, "r+") as again:
        del again[DATASET]
        again[DATASET] = h5py.SoftLink("/dense_1/dense_1_W")
    refused(path, UnsafeFile, "a soft or external link")
    with h5py.File(path, "r+") as again:
        del again[DATASET]
    refused(path, NotACheckpoint, "listed, but not in the file")


def test_data_in_another_file(copy, tmp_path) -> None:
    path, file = copy
    (tmp_path / "raw").write_bytes(b"\0" * 40)
    del file[DATASET]
    file.create_dataset(DATASET, (10,), "f4", external=[(str(tmp_path / "raw"), 0, 40)])
    file.close()
    refused(path, UnsafeFile, "its data lie in another file")


def test_virtual_dataset(copy, tmp_path) -> None:
    path, file = copy
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (10,))
    del file[DATASET]
    file.create_virtual_dataset(DATASET, layout)
    file.close()
    refused(path, UnsafeFile, "its data lie in another file")


@pytest.mark.parametrize("dtype", ["f2", "i4", "?", "c8", "S4"])
def test_elements_of_other_types(copy, dtype) -> None:
    path, file = copy
    del file[DATASET]
    file[DATASET] = np.zeros(10, dtype)
    file.close()
    refused(path, NotACheckpoint, "expected float32 or float64")


def test_declared_but_not_stored(copy) -> None:
    path, file = copy
    del file[DATASET]
    file.create_dataset(DATASET, (10,), "f4")
    file.close()
    refused(path, NotACheckpoint, "declares 40 bytes but stores 0")


def test_a_missing_chunk_is_not_read_as_zeros(copy) -> None:
    path, file = copy
    del file[DATASET]
    file.create_dataset(DATASET, (10,), "f4", chunks=(5,))[:5] = 1
    file.close()
    refused(path, NotACheckpoint, "1 of 2 chunks are stored")


def test_a_dataset_larger_than_memory(copy) -> None:
    path, file = copy
    del file[DATASET]
    file.create_dataset(DATASET, (1 << 40,), "f4", chunks=(1 << 20,))
    file.close()
    refused(path, UnsafeFile, "declares 4398046511104 bytes")


@pytest.mark.parametrize("name", [b"../dense_1", b"/dense_1", b"./dense_1", b"a//b"])
def test_names_that_are_not_plain(copy, name) -> None:
    path, file = copy
    file.attrs["layer_names"] = [name]
    file.close()
    refused(path, UnsafeFile, "not a plain name")


def test_a_group_instead_of_a_dataset(copy) -> None:
    path, file = copy
    del file[DATASET]
    file.create_group(DATASET)
    file.close()
    refused(path, NotACheckpoint, "expected a dataset, found a group")


def test_a_name_listed_twice(copy) -> None:
    path, file = copy
    file.attrs["layer_names"] = [*file.attrs["layer_names"], b"dense_1"]
    file.close()
    refused(path, NotACheckpoint, "'dense_1' is listed twice")


def test_control_characters_do_not_reach_the_terminal(copy) -> None:
    path, file = copy
    file.attrs["layer_names"] = [b"\x1b[2Jdense"]
    file.close()
    with pytest.raises(NotACheckpoint) as error:
        load(path)
    assert "\x1b" not in str(error.value)
    assert "\\x1b[2Jdense" in str(error.value)


@pytest.mark.parametrize("options", [{"dtype": ">f4"}, {"compression": "gzip", "shuffle": True}, {"fletcher32": True}])
def test_other_storage_of_the_same_elements_is_read_exactly(copy, options) -> None:
    path, file = copy
    stored = file["dense_1/dense_1_W"][()]
    del file["dense_1/dense_1_W"]
    file.create_dataset("dense_1/dense_1_W", data=stored, **options)
    file.close()
    with load(path) as port:
        array = port.stored["head/dense/kernel"].read()
    assert array.tobytes() == stored.tobytes()


def test_split_and_variable_length_lists_of_names(copy, pre_ror) -> None:
    path, file = copy
    names = [name.decode() for name in file.attrs["layer_names"]]
    del file.attrs["layer_names"]
    for index, start in enumerate(range(0, len(names), 10)):
        file.attrs[f"layer_names{index}"] = np.array(names[start : start + 10], dtype=h5py.string_dtype())
    file.close()
    with load(path) as port, load(pre_ror.weights) as original:
        assert [layer.name for layer in port.checkpoint.layers] == [layer.name for layer in original.checkpoint.layers]


def test_the_source_is_not_touched(pre_ror) -> None:
    before = pre_ror.weights.stat(), pre_ror.weights.read_bytes()
    with load(pre_ror.weights) as port:
        list(port.parameters())
    assert (pre_ror.weights.stat().st_mtime_ns, pre_ror.weights.read_bytes()) == (before[0].st_mtime_ns, before[1])


def test_a_damaged_address_is_detected(copy) -> None:
    path, file = copy
    address = file["dense_1/dense_1_W"].id.get_offset().to_bytes(8, "little")
    file.close()
    content = path.read_bytes()
    assert content.count(address) == 1
    path.write_bytes(content.replace(address, (content.index(b"TREE") - 8).to_bytes(8, "little")))
    refused(path, NotACheckpoint, "'dense_1_W': its data overlap a structure of the file")
