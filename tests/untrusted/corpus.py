"""Untrusted files, each made from a genuine one: how it is built, and the outcome that the command must have.

A case ends in a documented exit code and an error of one line that holds its message; or, with code 0, in an output
that has exactly the genuine tensors. ``bench.pipe`` is a pipe without a writer: a command that opened it would be
blocked, which shows that it opened a file other than its input.

Cases of HDF5 come first, then of ``.keras``, safetensors, PyTorch and ONNX. Those of other formats belong at the end.
"""

from __future__ import annotations

import io
import json
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

BIAS, KERNEL, VARIANCE = (
    "dense_1/dense_1_b",
    "dense_1/dense_1_W",
    "batchnormalization_2/batchnormalization_2_running_std",
)
"""Tensors of the genuine file: (10,), (64, 10), (16,)."""


@dataclass
class Bench:
    """Where a case is built. path: the input of the command; genuine, model, archive: contents to start from.

    made: writes what ror-port converts the genuine file to, given a format and a path.
    """

    folder: Path
    genuine: bytes
    model: bytes
    archive: bytes
    made: Callable[[str, Path], None]
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def path(self) -> Path:
        return self.folder / "weights.h5"

    @property
    def pipe(self) -> Path:
        path = self.folder / "canary.h5"
        if not path.exists():
            os.mkfifo(path)
        return path


@dataclass(frozen=True)
class Case:
    """A file and the outcome that it must have.

    code: exit code. message: a part of the error. options: of the command. child: how it is started, see `Forks.start`.
    double: whether the output is float64. rounded: whether the file is made of an output, whose variances are the
    canonical ones, rounded to float32.
    """

    name: str
    build: Callable[[Bench], None]
    code: int
    message: str = ""
    options: tuple[str, ...] = ()
    child: dict[str, Any] = field(default_factory=dict)
    double: bool = False
    rounded: bool = False
    values: bool = True
    """Whether the output has the genuine tensors; where not, only its existence is tested."""
    preloaded: tuple[str, ...] = ()
    """Libraries that the command needs: imported before, because that alone takes longer than any file may."""
    seconds: float = 2.0
    """Processor time that it may take."""


CASES: list[Case] = []


def add(name: str, code: int, message: str, build: Callable[[Bench], None], **more: Any) -> None:
    CASES.append(Case(name, build, code, message, **more))


def content(name: str, code: int, message: str, change: Callable[[bytes], bytes], **more: Any) -> None:
    """The genuine file's bytes, changed."""
    add(name, code, message, lambda bench: bench.path.write_bytes(change(bench.genuine)) and None, **more)


def edited(
    name: str, code: int, message: str, edit: Callable[[h5py.File], None], model: bool = False, **more: Any
) -> None:
    """The genuine weights, or a genuine full model, edited through h5py."""

    def build(bench: Bench) -> None:
        bench.path.write_bytes(bench.model if model else bench.genuine)
        with h5py.File(bench.path, "r+") as file:
            edit(file)

    add(name, code, message, build, **more)


def replaced(
    name: str, code: int, message: str, make: Callable[[h5py.Group, str], None], at: str = BIAS, **more: Any
) -> None:
    """The genuine weights with one dataset replaced by what `make` creates."""

    def edit(file: h5py.File) -> None:
        del file[at]
        make(file, at)

    edited(name, code, message, edit, **more)


def rewritten(
    name: str, make: Callable[[h5py.Group, str, np.ndarray], None], code: int = 0, message: str = "", **more: Any
) -> None:
    """The genuine weights with every dataset replaced: the same elements, stored in another way."""

    def edit(file: h5py.File) -> None:
        for layer in names(file):
            for weight in names(file[layer], "weight_names"):
                elements = file[layer][weight][()]
                del file[layer][weight]
                make(file[layer], weight, elements)

    edited(name, code, message, edit, **more)


def copied(name: str, *, names_as: Callable[[list[str]], Any] | None = None, **options: Any) -> None:
    """The same groups, attributes and elements in a new file that is created with these options."""

    def build(bench: Bench) -> None:
        with h5py.File(io.BytesIO(bench.genuine), "r") as old, h5py.File(bench.path, "w", **options) as new:
            for layer in names(old):
                old.copy(layer, new)
            new.attrs["layer_names"] = names_as(names(old)) if names_as else old.attrs["layer_names"]

    add(name, 0, "", build)


def names(group: h5py.Group, attribute: str = "layer_names") -> list[str]:
    return [item.decode() for item in group.attrs[attribute]]


def listed(name: str, code: int, message: str, change: Callable[[list[bytes]], Iterable[bytes]], **more: Any) -> None:
    """The genuine weights with other layer names."""

    def edit(file: h5py.File) -> None:
        file.attrs["layer_names"] = list(change(list(file.attrs["layer_names"])))

    edited(name, code, message, edit, **more)


# Not HDF5, or not all of it.

for title, start, phrase in (
    ("empty", b"", "the file is empty"),
    ("text", b"hello\n" * 100, "not an HDF5 file"),
    ("html", b"\n <!DOCTYPE html><html>", "HTML"),
    ("lfs pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
    ("pickle", b"\x80\x04\x95\x1c\x00\x00", "pickle, which is never opened"),
    ("numpy array", b"\x93NUMPY\x01\x00", "NumPy"),
    ("a gzip file", b"\x1f\x8b\x08\x00", "unpack it first"),
    ("json", b'{"layer_names": []}', "not an HDF5 file"),
    ("hdf4", b"\x0e\x03\x13\x01" + b"\0" * 600, "not an HDF5 file"),
    ("zeros", b"\0" * 100_000, "not an HDF5 file"),
    ("signature alone", b"\x89HDF\r\n\x1a\n", "HDF5"),
    ("signature and noise", b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 40, "HDF5"),
    ("zip signature alone", b"PK\x03\x04", "damaged or encrypted zip"),
):
    content(title, 3, phrase, lambda _, start=start: start)
content("half of it", 3, "truncated or damaged", lambda whole: whole[: len(whole) // 2])
content("all but one byte", 3, "truncated or damaged", lambda whole: whole[:-1])
content("the first 100 bytes", 3, "truncated or damaged", lambda whole: whole[:100])
content("without its first byte", 3, "not an HDF5 file", lambda whole: whole[1:])
content("its first half twice", 3, "damaged", lambda whole: whole[: len(whole) // 2] * 2)
content("zeros after the superblock", 3, "HDF5", lambda whole: whole[:96] + bytes(len(whole) - 96))
content("unix line ends for dos", 3, "not an HDF5 file", lambda whole: whole.replace(b"\r\n", b"\n"))
content("bytes after its end", 0, "", lambda whole: whole + b"trailing" * 1000)


def npz(bench: Bench) -> None:
    with bench.path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


def hdf5_of_something_else(bench: Bench) -> None:
    with h5py.File(bench.path, "w") as file:
        file["\x1b[2Jtemperatures"] = [1.0]


def crowd(bench: Bench) -> None:
    with h5py.File(bench.path, "w") as file:
        for index in range(10_001):
            file[f"{index}"] = h5py.SoftLink("/")


add("npz", 4, "0 members metadata.json", npz)
add("hdf5 of something else", 4, r"it holds '\x1b[2Jtemperatures'", hdf5_of_something_else)
add("hdf5 of many things", 4, "it holds 10001 objects", crowd)
add("no file", 3, "no such file", lambda _: None)
add("folder", 3, "a folder", lambda bench: bench.path.mkdir())
add("pipe", 3, "not a regular file", lambda bench: os.mkfifo(bench.path))
add("device", 3, "not a regular file", lambda bench: bench.path.symlink_to("/dev/zero"))
add("loop of symlinks", 3, "too many levels of symbolic links", lambda bench: bench.path.symlink_to(bench.path))
add("symlink to nothing", 3, "no such file", lambda bench: bench.path.symlink_to(bench.folder / "none"))


def through_a_symlink(bench: Bench) -> None:
    (bench.folder / "real").write_bytes(bench.genuine)
    bench.path.symlink_to(bench.folder / "real")


def locked(bench: Bench) -> None:
    bench.path.write_bytes(bench.genuine)
    bench.stack.enter_context(h5py.File(bench.path, "r+"))


add("symlink to a file", 0, "", through_a_symlink)
add("no permission", 3, "permission denied", lambda bench: bench.path.write_bytes(b"x") and None, child={"user": 65534})
add("a writer has it", 3, "another process is writing it", locked)
content("another file than expected", 5, "its sha256 is", lambda whole: whole, options=("--expect-sha256", "0" * 64))

# Links and storage.


def link(to: Any, at: str = BIAS) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        del file[at]
        file[at] = to

    return edit


LINK = "a soft or external link"
edited("soft link to a dataset", 5, LINK, link(h5py.SoftLink("/dense_1/dense_1_W")))
edited("soft link to nothing", 5, LINK, link(h5py.SoftLink("/none")))
edited("soft link to itself", 5, LINK, link(h5py.SoftLink("/" + BIAS)))
edited("soft link to a group", 5, LINK, link(h5py.SoftLink("/dense_2"), "dense_1"))
edited("external link without a file", 5, LINK, link(h5py.ExternalLink("none.h5", "/x")))


def built(edit: Callable[[h5py.File, Bench], None]) -> Callable[[Bench], None]:
    """An edit that needs the bench too."""

    def build(bench: Bench) -> None:
        bench.path.write_bytes(bench.genuine)
        with h5py.File(bench.path, "r+") as file:
            edit(file, bench)

    return build


def linked_outside(at: str) -> Callable[[Bench], None]:
    return built(lambda file, bench: link(h5py.ExternalLink(str(bench.pipe), "/x"), at)(file))


def raw_data_outside(file: h5py.File, bench: Bench) -> None:
    del file[BIAS]
    file.create_dataset(BIAS, (10,), "f4", external=[(str(bench.pipe), 0, 40)])


def virtual(file: h5py.File, bench: Bench) -> None:
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(str(bench.pipe), "x", (10,))
    del file[BIAS]
    file.create_virtual_dataset(BIAS, layout)


def virtual_of_itself(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(".", KERNEL, (64, 10))[0]
    del file[BIAS]
    file.create_virtual_dataset(BIAS, layout)


def committed(file: h5py.Group, at: str) -> None:
    file["kind"] = np.dtype("f4")
    file.create_dataset(at, data=np.ones(10, "f4"), dtype=file["kind"])


def layer_twice(file: h5py.File) -> None:
    file["dense_2"] = file["dense_1"]
    file.attrs["layer_names"] = [*file.attrs["layer_names"], b"dense_2"]


def back_into_itself(file: h5py.File) -> None:
    file["dense_1"]["root"] = file["/"]
    file["dense_1"].attrs["weight_names"] = [b"dense_1_W", b"root/dense_1/dense_1_W"]


add("external link to a dataset", 5, LINK, linked_outside(BIAS))
add("external link to a group", 5, LINK, linked_outside("dense_1"))
add("raw data in another file", 5, "its data lie in another file", built(raw_data_outside))
add("virtual dataset", 5, "its data lie in another file", built(virtual))
edited("virtual dataset of its own file", 5, "its data lie in another file", virtual_of_itself)
replaced("committed datatype", 5, "committed datatype", committed)
edited(
    "one dataset, two names",
    5,
    "the same dataset as",
    lambda file: link(file[VARIANCE.replace("running_std", "gamma")], VARIANCE)(file),
)
edited("one layer, two names", 5, "the same dataset as", layer_twice)
edited("a group within itself", 5, "the same dataset as", back_into_itself)
replaced(
    "a group for a dataset", 4, "expected a dataset, found a group", lambda file, at: file.create_group(at) and None
)
replaced(
    "a datatype for a dataset",
    4,
    "expected a dataset, found a datatype",
    lambda file, at: file.__setitem__(at, np.dtype("f4")),
)
replaced(
    "a dataset for a group",
    4,
    "expected a group, found a dataset",
    lambda file, at: file.__setitem__(at, [1.0]),
    at="dense_1",
)
replaced(
    "a datatype for a group",
    4,
    "expected a group, found a datatype",
    lambda file, at: file.__setitem__(at, np.dtype("f4")),
    at="dense_1",
)
edited("a weight that is not there", 4, "listed, but not in the file", lambda file: file.__delitem__(BIAS))
edited("a layer that is not there", 4, "listed, but not in the file", lambda file: file.__delitem__("dense_1"))
for path in (b"../dense_1", b"/dense_1", b"./dense_1", b"a//b", b"dense_1/", b"..", b"dense_1/../dense_1"):
    listed(f"layer {path.decode()}", 5, "not a plain name", lambda old, path=path: [*old[:-1], path])
for path in (b"/dense_1/dense_1_b", b"../dense_1/dense_1_b", b"./dense_1_b"):
    edited(
        f"weight {path.decode()}",
        5,
        "not a plain name",
        lambda file, path=path: file["dense_1"].attrs.__setitem__("weight_names", [b"dense_1_W", path]),
    )

# Sizes.


def early(properties: h5py.h5p.PropDCID) -> h5py.h5p.PropDCID:
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return properties


def low_level(
    file: h5py.Group,
    at: str,
    shape: tuple[int, ...],
    *filters: tuple[int, int, tuple[int, ...]],
    chunks: tuple[int, ...],
    most: tuple[int, ...] | None = None,
) -> h5py.h5d.DatasetID:
    """A dataset of float32 whose properties h5py's own functions would not let through."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(chunks)
    for code, flags, values in filters:
        properties.set_filter(code, flags, values)
    space = h5py.h5s.create_simple(shape, most or shape)
    return h5py.h5d.create(file.file.id, at.encode(), h5py.h5t.IEEE_F32LE, space, properties)


def deflated(size: int, header: int) -> bytes:
    """A stream that inflates to so many zeros, quickly made: pieces after a full flush are all alike.

    header: 15 for zlib's format, -15 for none. Its end is missing, which no reader reaches.
    """
    press = zlib.compressobj(9, zlib.DEFLATED, header)
    pieces = [press.compress(bytes(1 << 20)) + press.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    return pieces[0] + pieces[1] * ((size >> 20) - 1)


def inflating(file: h5py.Group, at: str) -> None:
    """A chunk declared to have 256 KiB that inflates to 1 GiB."""
    gzip = (h5py.h5z.FILTER_DEFLATE, 1, (9,))
    dataset = low_level(file, at, (10,), gzip, chunks=(1 << 16,), most=(h5py.h5s.UNLIMITED,))
    dataset.write_direct_chunk((0,), deflated(1 << 30, 15))


def not_inflating(file: h5py.Group, at: str) -> None:
    dataset = low_level(file, at, (10,), (h5py.h5z.FILTER_DEFLATE, 1, (9,)), chunks=(10,))
    dataset.write_direct_chunk((0,), b"not a stream of zlib's")


def unknown_filter(code: int) -> Callable[[h5py.Group, str], None]:
    def make(file: h5py.Group, at: str) -> None:
        low_level(file, at, (10,), (code, h5py.h5z.FLAG_OPTIONAL, (1,)), chunks=(10,)).write_direct_chunk(
            (0,), b"x" * 40, 1
        )

    return make


def shuffled_twice(file: h5py.Group, at: str) -> None:
    shuffle = (h5py.h5z.FILTER_SHUFFLE, 1, ())
    low_level(file, at, (10,), shuffle, shuffle, chunks=(10,)).write_direct_chunk((0,), bytes(40))


def vast_chunk(file: h5py.Group, at: str) -> None:
    low_level(file, at, (10,), chunks=(1 << 28,), most=(h5py.h5s.UNLIMITED,))


def created(*shape: int, **options: Any) -> Callable[[h5py.Group, str], None]:
    def make(file: h5py.Group, at: str) -> None:
        file.create_dataset(at, shape, "f4", **options)

    return make


def missing_chunk(file: h5py.Group, at: str) -> None:
    file.create_dataset(at, (10,), "f4", chunks=(5,))[:5] = 1


def zeros_compressed(file: h5py.Group, at: str) -> None:
    file.create_dataset(at, data=np.zeros((64, 1 << 18), "f4"), compression="gzip")


def sparse(size: int) -> Callable[[Bench], None]:
    def build(bench: Bench) -> None:
        bench.path.write_bytes(bench.genuine)
        os.truncate(bench.path, size)

    return build


def hollow(file: h5py.Group, at: str) -> None:
    """200 MB of which nothing was ever written."""
    properties = early(h5py.h5p.create(h5py.h5p.DATASET_CREATE))
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((64, 800_000))
    h5py.h5d.create(file.file.id, at.encode(), h5py.h5t.IEEE_F32LE, space, properties)


def many_names(count: int, length: int) -> Callable[[Bench], None]:
    def build(bench: Bench) -> None:
        with h5py.File(bench.path, "w", libver="latest") as file:
            file.attrs["layer_names"] = np.array([f"{index:0{length}}".encode() for index in range(count)])

    return build


def many_layers(bench: Bench) -> None:
    """As many layers as are read, without any weight."""
    with h5py.File(bench.path, "w", libver="latest") as file:
        listed = [f"activation_{index}" for index in range(3_000)]
        file.attrs["layer_names"] = [name.encode() for name in listed]
        for name in listed:
            file.create_group(name).attrs["weight_names"] = np.zeros(0)


def one_text_for_all(bench: Bench) -> None:
    """4,000 names that all point to one text of 1 MB in the file: 4 GB in memory."""
    bench.path.write_bytes(bench.genuine)
    count, length = 4_000, 1_000_000
    kind = h5py.string_dtype()
    with h5py.File(bench.path, "r+") as file:
        file.attrs["text"] = np.array(["x" * length], dtype=kind)
        del file.attrs["layer_names"]
        file.attrs["layer_names"] = np.array(["name"] * count, dtype=kind)
    whole = bench.path.read_bytes()
    start = whole.index(struct.pack("<I", length))
    reference = whole[start : start + 16]
    four = struct.pack("<I", 4)
    first = next(
        offset
        for offset in range(len(whole))
        if whole.startswith(four, offset) and whole[offset : offset + 1600 : 16] == b"\4" * 100
    )
    assert all(whole.startswith(four, first + 16 * index) for index in range(count))
    bench.path.write_bytes(whole[:first] + reference * count + whole[first + 16 * count :])


def loop_in_the_heap(bench: Bench) -> None:
    """Texts of variable length are stored in a heap, one after the other; at one of length 0, HDF5 does not advance."""
    bench.path.write_bytes(bench.genuine)
    with h5py.File(bench.path, "r+") as file:
        listed = names(file)
        del file.attrs["layer_names"]
        file.attrs["layer_names"] = np.array(listed, dtype=h5py.string_dtype())
    whole = bench.path.read_bytes()
    text = listed[0].encode()
    offset = whole.rindex(struct.pack("<Q", len(text)) + text)
    bench.path.write_bytes(whole[:offset] + bytes(8) + whole[offset + 8 :])


def nested(file: h5py.File) -> None:
    """5,000 groups, one in the other, which no attribute lists."""
    group = file.create_group("deep")
    for _ in range(5_000):
        group = group.create_group("a")


def million_pieces(file: h5py.File) -> None:
    for index in range(60):
        file.attrs[f"layer_names{index}"] = np.array([f"n{index}_{i}".encode() for i in range(200)])
    del file.attrs["layer_names"]


declared = "declares"
replaced("2^40 elements, none stored", 5, "declares 4398046511104 bytes", created(1 << 40, chunks=(1 << 20,)))
replaced("2^64 elements, none stored", 5, declared, created(1 << 32, 1 << 32, chunks=(1, 1 << 20)))
replaced("2^66 bytes, which overflow to 0", 5, declared, created(1 << 32, 1 << 32, chunks=(1 << 10, 1 << 10)))
replaced("2^40 contiguous elements", 5, declared, created(1 << 40))
replaced("the right shape, no data", 4, "declares 40 bytes but stores 0", created(10))
replaced("the right shape, no chunk", 4, "0 of 1 chunks are stored", created(10, chunks=(10,)))
replaced("a missing chunk", 4, "1 of 2 chunks are stored", missing_chunk)
replaced("no shape", 4, "without data", lambda file, at: file.__setitem__(at, h5py.Empty("f4")))
replaced("one element instead of ten", 7, "expects bias 10", created(1, data=np.ones(1, "f4")))
replaced("no elements", 7, "expects bias 10", lambda file, at: file.__setitem__(at, np.zeros(0, "f4")))
replaced("one element without axes", 7, "no known network", lambda file, at: file.__setitem__(at, np.float32(1)))
replaced("thirty axes", 7, "no known network", lambda file, at: file.__setitem__(at, np.ones((1,) * 30, "f4")))
replaced("gzip bomb by shape", 5, "declares tensors of", zeros_compressed, at=KERNEL)
replaced("gzip bomb by chunk", 5, "inflates to more than its 262144 bytes", inflating)
replaced("gzip that is none", 3, "damaged", not_inflating)
replaced("a chunk of 1 GiB", 5, "chunks of 1073741824 bytes", vast_chunk)
replaced("a million chunks", 5, "chunks; the limit is", created(1 << 20, chunks=(1,)))
replaced("declared and left hollow", 5, "sparse", hollow, at=KERNEL)
add("sparse, 3 GiB", 5, "sparse", sparse(3 << 30))
add("sparse, 3 TiB", 5, "sparse", sparse(3 << 40))
add("a million layer names", 5, "1000000 strings", many_names(1_000_000, 8))
add("one layer name too many", 5, "10001 strings", many_names(10_001, 8))
add("names of 100,000 characters", 5, "strings of 100000 bytes", many_names(20, 100_000))
add("a name of 1,001 characters", 5, "1001 characters", many_names(20, 1_001))
add("layers without weights", 4, "no layer holds any weights", many_layers)
add("an endless loop in HDF5", 3, "takes more than 1 s", loop_in_the_heap)
add("one text for all names", 5, "more memory than any network", one_text_for_all)
edited("5,000 nested groups", 0, "", nested)
edited(
    "5,000 nested groups, listed",
    5,
    "a name of 9999 characters",
    lambda file: file.attrs.create("layer_names", ["/".join("a" * 5_000)], dtype=h5py.string_dtype()),
)
edited("12,000 names in pieces", 5, "strings; more than", million_pieces)
edited(
    "65 weights in a layer",
    5,
    "65 strings",
    lambda file: file["dense_1"].attrs.__setitem__("weight_names", [b"%d" % i for i in range(65)]),
)
for code in (32015, 32001, 4711, 6, 5):
    replaced(
        f"filter {code}", 5, f"filters [{code}]", unknown_filter(code), child={"environment": {"HDF5_PLUGIN_PATH": "."}}
    )
replaced("lzf", 5, "filters [32000]", created(10, data=np.ones(10, "f4"), compression="lzf"))
replaced("shuffled twice", 5, "filters [2, 2]", shuffled_twice)

# Types.


def typed(kind: Any) -> Callable[[h5py.Group, str], None]:
    return lambda file, at: file.create_dataset(at, (10,), kind, data=np.zeros(10, kind)) and None


def typed_by_hand(kind: h5py.h5t.TypeID) -> Callable[[h5py.Group, str], None]:
    def make(file: h5py.Group, at: str) -> None:
        dataset = h5py.h5d.create(
            file.file.id,
            at.encode(),
            kind,
            h5py.h5s.create_simple((10,)),
            early(h5py.h5p.create(h5py.h5p.DATASET_CREATE)),
        )
        assert dataset.get_storage_size()

    return make


def float_type(change: Callable[[h5py.h5t.TypeFloatID], None]) -> h5py.h5t.TypeFloatID:
    kind = h5py.h5t.IEEE_F32LE.copy()
    change(kind)
    return kind


for title, kind in (
    ("f2", "f2"), ("i4", "i4"), ("u1", "u1"), ("i8", "i8"), ("bool", "?"), ("complex64", "c8"), ("complex128", "c16"),
    ("fixed strings", "S4"), ("compound", [("a", "f4"), ("b", "f4")]), ("opaque", "V4"), ("long double", np.longdouble),
    ("enum", h5py.enum_dtype({"a": 0})),
):  # fmt: skip
    replaced(f"type {title}", 4, "expected float32 or float64", typed(kind))
for title, kind in (
    ("variable strings", h5py.string_dtype()), ("variable lists", h5py.vlen_dtype("f4")),
    ("references", h5py.ref_dtype), ("region references", h5py.regionref_dtype), ("arrays", np.dtype(("f4", (4,)))),
):  # fmt: skip
    replaced(f"type {title}", 4, "expected float32 or float64", typed_by_hand(h5py.h5t.py_create(kind, logical=True)))
replaced("type time", 4, "expected float32 or float64", typed_by_hand(h5py.h5t.UNIX_D32LE))
replaced("another bias", 4, "expected float32 or float64", typed_by_hand(float_type(lambda kind: kind.set_ebias(100))))
replaced(
    "another mantissa",
    4,
    "expected float32 or float64",
    typed_by_hand(float_type(lambda kind: kind.set_fields(31, 20, 11, 0, 20))),
)

# The same elements, stored otherwise.

content("the file itself", 0, "", lambda whole: whole)
rewritten("big-endian float32", lambda group, at, elements: group.create_dataset(at, data=elements, dtype=">f4"))
rewritten("float64", lambda group, at, elements: group.create_dataset(at, data=elements, dtype="f8"), double=True)
rewritten(
    "big-endian float64", lambda group, at, elements: group.create_dataset(at, data=elements, dtype=">f8"), double=True
)
for title, storage in (
    ("chunks", {"chunks": True}), ("gzip", {"compression": "gzip"}), ("gzip at its best", {"compression": 9}),
    ("shuffle", {"shuffle": True}), ("fletcher32", {"fletcher32": True}),
    ("gzip, shuffle and fletcher32", {"compression": "gzip", "shuffle": True, "fletcher32": True}),
    ("extensible", {"chunks": True, "resizable": True}),
):  # fmt: skip

    def store(group: h5py.Group, at: str, elements: np.ndarray, storage: dict[str, Any] = storage) -> None:
        options = dict(storage)
        if options.pop("resizable", False):
            options["maxshape"] = (None,) * elements.ndim
        group.create_dataset(at, data=elements, **options)

    rewritten(title, store)
rewritten(
    "chunks that jut out",
    lambda group, at, elements: group.create_dataset(
        at, data=elements, chunks=tuple(max(1, 2 * length // 3) for length in elements.shape)
    ),
)


def compact(group: h5py.Group, at: str, elements: np.ndarray) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if elements.nbytes < 60_000:
        properties.set_layout(h5py.h5d.COMPACT)
    dataset = h5py.h5d.create(
        group.id, at.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(elements.shape), properties
    )
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(elements))


rewritten("within their description", compact)
for version in ("earliest", "v108", "v110", "v112", "latest"):
    copied(f"library version {version}", libver=(version, version if version != "earliest" else "v110"))
for size in (512, 1024, 65_536):
    copied(f"user block of {size}", userblock_size=size)
copied("order of creation kept", track_order=True)
copied("names of variable length", names_as=lambda old: np.array(old, dtype=h5py.string_dtype()))
copied("names padded", names_as=lambda old: np.array([name.encode() for name in old], "S64"))


def split(file: h5py.File) -> None:
    old = names(file)
    del file.attrs["layer_names"]
    for index, start in enumerate(range(0, len(old), 7)):
        file.attrs[f"layer_names{index}"] = np.array(old[start : start + 7], dtype=h5py.string_dtype())


edited("names in pieces", 0, "", split)

# Content.


def put(at: str, value: float) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file[at][(0,) * file[at].ndim] = value

    return edit


for title, at, value, phrase in (
    ("NaN", KERNEL, np.nan, "holds NaN"),
    ("infinity", BIAS, np.inf, "holds an infinity"),
    ("minus infinity", KERNEL, -np.inf, "holds an infinity"),
    ("negative variance", VARIANCE, -1.0, "holds a negative variance (-1)"),
):
    edited(title, 6, phrase, put(at, value))
    edited(f"{title}, admitted", 0, "", put(at, value), options=("--allow-bad-values",), values=False)

listed("a layer listed twice", 4, "is listed twice", lambda old: [*old, b"dense_1"])
listed("every layer listed twice", 4, "is listed twice", lambda old: old * 2)
listed("no layers", 4, "no layer holds any weights", lambda _: [])
listed("an empty name", 5, "a name of 0 characters", lambda old: [*old, b""])
listed("a name that is not UTF-8", 4, "not UTF-8", lambda old: [*old, b"\xff\xfe"])
listed("control characters", 4, r"\x1b[2J\x07\r\n", lambda old: [*old, b"\x1b[2J\x07\r\nlayer"])
listed("text that runs backwards", 4, r"\u202e", lambda old: [*old, "\u202elayer".encode()])
listed("a zero within a name", 4, "listed", lambda old: [*old, b"dense\0_1"])
listed("one layer not listed", 7, "no known network", lambda old: old[:-1])
listed("a layer too many", 4, "listed, but not in the file", lambda old: [*old, b"dense_2"])


def swap(file: h5py.File) -> None:
    """Two layers of equal shapes change their contents, names and all."""
    file.move("convolution2d_4", "c")
    file.move("convolution2d_3", "convolution2d_4")
    file.move("c", "convolution2d_3")


def permute(old: list[bytes]) -> list[bytes]:
    """The BatchNorms of 16 and of 32 channels, equal among themselves, in another order."""
    first, second = old.index(b"batchnormalization_2"), old.index(b"batchnormalization_3")
    old[first], old[second] = old[second], old[first]
    return old


def weights(layer: str, *listed: str) -> Callable[[h5py.File], None]:
    return lambda file: file[layer].attrs.__setitem__("weight_names", [name.encode() for name in listed])


NORM = [f"batchnormalization_2_{role}" for role in ("gamma", "beta", "running_mean", "running_std")]
edited("layers changed for each other", 4, "layers contradict themselves", swap)
listed("layers in another order", 4, "layers contradict themselves", permute)
edited("weights in another order", 4, "weights contradict themselves", weights("batchnormalization_2", *NORM[::-1]))
edited("a weight not listed", 7, "has none", weights("dense_1", "dense_1_W"))
edited("a weight listed twice", 4, "is listed twice", weights("dense_1", "dense_1_W", "dense_1_W"))
edited(
    "a weight of another layer", 4, "listed, but not in the file", weights("dense_1", "dense_1_W", "convolution2d_1_b")
)
edited("no weights in a layer", 7, "no known network", weights("dense_1"))


def rename(file: h5py.File) -> None:
    file["dense_1"].move("dense_1_b", "dense_1_z")
    weights("dense_1", "dense_1_W", "dense_1_z")(file)


edited(
    "a weight of unknown meaning",
    0,
    "",
    rename,
)
replaced(
    "another shape",
    7,
    "convolution2d_3",
    lambda file, at: file.__setitem__(at, np.ones((16, 16, 5, 5), "f4")),
    at="convolution2d_3/convolution2d_3_W",
)
replaced(
    "another number of axes",
    7,
    "convolution2d_3",
    lambda file, at: file.__setitem__(at, np.ones((16, 16, 9), "f4")),
    at="convolution2d_3/convolution2d_3_W",
)
replaced("a kernel transposed", 7, "dense_1", lambda file, at: file.__setitem__(at, np.ones((10, 64), "f4")), at=KERNEL)


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


edited("names as numbers", 4, "expected text, found", attribute("layer_names", np.arange(41)))
edited("names as a table", 4, "", attribute("layer_names", np.array([[b"a", b"b"], [b"c", b"a"]])))
edited("names as nothing", 4, "no layer holds any weights", attribute("layer_names", h5py.Empty("S10")))
edited(
    "names as references",
    4,
    "expected text, found",
    lambda file: file.attrs.create("layer_names", [file.ref] * 3, dtype=h5py.ref_dtype),
)
edited("names as one text", 7, "no known network", attribute("layer_names", "dense_1"))
edited("a version that is none", 4, r"'\x1b]0;x\x07', which is no version", attribute("keras_version", "\x1b]0;x\x07"))
edited("a version as a number", 4, "expected text", attribute("keras_version", 1.2))
edited("a version as a list", 5, "2 strings", attribute("keras_version", [b"1", b"2"]))
edited("an unknown backend", 4, r"the backend 'cntk\n'", attribute("backend", "cntk\n"))
edited("statements that are not JSON", 4, "not JSON", attribute("ror_port", "{"))
edited("statements that are no object", 4, "expected a JSON object", attribute("ror_port", "[]"))

# model_config, which is data.


def config(name: str, code: int, message: str, change: Callable[[dict[str, Any]], Any], **more: Any) -> None:
    """A genuine full model with another ``model_config``: what `change` returns, or what it makes of its argument."""

    def edit(file: h5py.File) -> None:
        old = json.loads(file.attrs["model_config"])
        new = change(old)
        text = new if isinstance(new, str) else json.dumps(old if new is None else new)
        file.attrs.create("model_config", text, dtype=h5py.string_dtype())

    edited(name, code, message, edit, model=True, **more)


def each(kind: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    """Sets values in every layer of a class; all three, where there is a `class_name`."""

    def change(old: dict[str, Any]) -> None:
        for layer in old["config"]["layers"]:
            if layer["class_name"] == kind:
                layer["class_name"] = values.get("class_name", kind)
                layer["config"].update(values)

    return change


config("config, as it is", 0, "", lambda _: None, values=False)
config("config: not JSON", 4, "not JSON", lambda _: "{")
config("config: a list", 4, "expected a JSON object", lambda _: [1])
config("config: empty object", 4, "not the JSON of a Keras model", lambda _: {})
config("config: layers missing", 4, "not the JSON of a Keras model", lambda _: {"config": {}})
config("config: layers a number", 4, "not the JSON of a Keras model", lambda _: {"config": {"layers": 5}})
config("config: layers a text", 4, "not the JSON of a Keras model", lambda _: {"config": {"layers": "abc"}})
config("config: layers nothing", 4, "not the JSON of a Keras model", lambda _: {"config": {"layers": None}})
config("config: a layer that is a list", 4, "not the JSON of a Keras model", lambda _: {"config": {"layers": [[]]}})
config("config: no layers", 4, "not the JSON of a Keras model", lambda _: {"config": {"layers": []}})
for title, inner in (
    ("missing", {}),
    ("a number", {"layers": 5}),
    ("a text", {"layers": "abc"}),
    ("nothing", {"layers": None}),
    ("a list of a list", {"layers": [[]]}),
    ("none", {"layers": []}),
):
    config(
        f"config: a Model whose layers are {title}",
        4,
        "",
        lambda _, inner=inner: {"class_name": "Model", "config": {"name": "m", **inner}},
    )
config("config: 100,000 deep", 4, "not JSON", lambda _: "[" * 100_000)
config("config: 900 deep", 4, "", lambda _: "[" * 900 + "]" * 900)
config("config: 5 MB", 5, "characters", lambda old: json.dumps(old) + " " * (5 << 20))
config("config: a million objects", 4, "", lambda _: '{"config": [' + "{}," * 1_000_000 + "{}]}")
config("config: a number of 100,000 digits", 4, "not JSON", lambda _: "1" * 100_000)
config(
    "config: Lambda",
    7,
    "Lambda layer, which is Python code",
    each("Activation", class_name="Lambda", function=["Y29kZQ==", None, None]),
)
config("config: another network", 7, "has the setting 'activation'", each("Dense", class_name="Flatten"))
config(
    "config: a class that is not Keras'",
    7,
    "layers of class 'os.system' are not supported",
    each("Activation", class_name="os.system", config="rm"),
)
config("config: BatchNorm of mode 1", 7, "of mode 1", each("BatchNormalization", mode=1))
for title, value in (
    ("NaN", float("nan")),
    ("text", "\x1b[2J"),
    ("null", None),
    ("list", []),
    ("bool", True),
):
    config(
        f"config: epsilon {title}",
        7,
        "'batch_normalization_1': epsilon is",
        each("BatchNormalization", epsilon=value),
    )
for title, value in (("huge", 10**300), ("negative", -1e-3)):
    config(f"config: epsilon {title}", 7, "is not from 0 to 1", each("BatchNormalization", epsilon=value))
config("config: momentum a text", 7, "momentum is 'x'; a number is expected", each("BatchNormalization", momentum="x"))
config(
    "config: shapes of text",
    7,
    "the input shape [None, 'a', 'b', 'c'] is not understood",
    each("InputLayer", batch_input_shape=[None, "a", "b", "c"]),
)
config(
    "config: shapes below zero",
    7,
    "the input shape [None, -32, 32, 3] is not understood",
    each("InputLayer", batch_input_shape=[None, -32, 32, 3]),
)
config("config: vast images", 7, "", each("InputLayer", batch_input_shape=[None, 65_535, 65_535, 3]))
config("config: strides a text", 7, r"strides is '\x1b[2J'", each("Conv2D", strides="\x1b[2J"))


def both_orderings(old: dict[str, Any]) -> None:
    each("Conv2D", data_format="channels_first")(old)
    each("MaxPooling2D", data_format="channels_last")(old)
    each("AveragePooling2D", data_format="channels_last")(old)


config(
    "config: both orderings",
    7,
    "cannot merge values of shapes",
    both_orderings,
)

# model_config again: of edges, names, numbers and nesting that no Keras writes.


def layer_of(old: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(layer for layer in old["config"]["layers"] if layer["class_name"] == kind)


def setting(kind: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    """Sets values in the first layer of a class."""
    return lambda old: layer_of(old, kind)["config"].update(values)


def edges(kind: str, make: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """Changes the inbound_nodes of the first layer of a class: of the list of calls what `make` returns."""

    def change(old: dict[str, Any]) -> None:
        layer = layer_of(old, kind)
        layer["inbound_nodes"] = make(layer["inbound_nodes"])

    return change


def whole(make: Callable[[list[dict[str, Any]]], Any]) -> Callable[[dict[str, Any]], None]:
    """Changes the list of layers."""
    return lambda old: old["config"].__setitem__("layers", make(old["config"]["layers"]))


def named(name: Any) -> Callable[[dict[str, Any]], str]:
    """Renames a layer, wherever it is mentioned."""

    def change(old: dict[str, Any]) -> str:
        return json.dumps(old).replace(json.dumps(layer_of(old, "Conv2D")["name"]), json.dumps(name))

    return change


def nest(depth: int, kind: str = "Sequential") -> Callable[[dict[str, Any]], str]:
    """Models within models, as text: Python's own encoder does not go so deep."""
    return lambda _: f'{{"class_name": "{kind}", "config": {{"layers": [' * depth + "]}}" * depth


def merge_of(*branches: Any) -> dict[str, Any]:
    merge = {"class_name": "Merge", "config": {"name": "m", "mode": "sum", "layers": list(branches)}}
    return {"class_name": "Sequential", "config": [merge]}


def branching(depth: int) -> dict[str, Any]:
    """A Merge of Merges: of two branches each, so that the whole is as large as it is deep."""
    model = merge_of()
    for _ in range(depth):
        model = merge_of(model, model)
    return model


def chain(count: int) -> str:
    """A Sequential of so many layers."""
    layer = '{"class_name":"Activation","config":{}}'
    return '{"class_name":"Sequential","config":[' + ",".join([layer] * count) + "]}"


def shared_within_shared(depth: int) -> dict[str, Any]:
    """Models that use another one twice, which uses another one twice, and so on: 2 to the power of depth layers."""
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [["add", 0, 0]]}
    model: dict[str, Any] = {
        "class_name": "Activation",
        "name": "inner",
        "config": {"name": "inner", "activation": "relu"},
    }
    for level in range(depth):
        first = 0 if model["class_name"] == "Activation" else 1
        inner = {**model, "name": "inner", "inbound_nodes": [[["in", 0, 0, {}]], [["inner", first, 0, {}]]]}
        added = {"name": "add", "class_name": "Add", "config": {"name": "add"}}
        added["inbound_nodes"] = [[["inner", first, 0, {}], ["inner", first + 1, 0, {}]]]
        image = {"name": "in", "class_name": "InputLayer", "inbound_nodes": [], "config": {}}
        image["config"] = {"name": "in", "batch_input_shape": [None, 8]}
        model = {"class_name": "Model", "config": {"name": f"m{level}", "layers": [image, inner, added], **ends}}
    return model


MANY = 200_000
"""Of numbers or characters: more, and it is the size of the text that is refused."""

UNLIKELY: tuple[tuple[str, Any], ...] = (
    ("NaN", float("nan")), ("Infinity", float("inf")), ("-1", -1), ("0", 0), ("10^30", 10**30), ("10^300", 1e300),
    ("true", True), ("null", None), ("text", "\x1b[2J"), ("a half", 0.5), ("a list", [[3]]), ("an object", {"a": 1}),
)  # fmt: skip
for title, value in UNLIKELY:
    for kind, name, wrong in (
        ("Conv2D", "filters", value),
        ("Dense", "units", value),
        ("Conv2D", "kernel_size", [3, value]),
        ("Conv2D", "strides", [value, 1]),
        ("AveragePooling2D", "pool_size", [value, 8]),
    ):
        config(f"config: {name} of {title}", 7, f"{name} is", setting(kind, **{name: wrong}))
    image = setting("InputLayer", batch_input_shape=[None, 32, value, 3])
    config(
        f"config: images of {title}", 7, "the input shape" if value is not None else "leaves nothing of an axis", image
    )
for title, value in (*UNLIKELY, ("many numbers", [1] * MANY), ("many characters", "x" * MANY)):
    code = 7 if isinstance(value, str) else 4
    if value not in (-1, None):
        config(f"config: axis of {title}", 7, "", setting("BatchNormalization", axis=value))
    for what, make in (
        ("inbound_nodes", lambda value: value),
        ("a tensor", lambda value: [[value, value]]),
        ("a source", lambda value: [[[value, 0, 0, {}]] * 2]),
        ("a call's number", lambda value: [[["conv2d_1", value or 1, 0, {}]] * 2]),
        ("an output's number", lambda value: [[["conv2d_1", 0, value or 1, {}]] * 2]),
    ):
        config(f"config: {what} {title}", 4, "", edges("Add", lambda _, make=make, value=value: make(value)))
    config(
        f"config: a call {title}",
        {dict: 7, list: 5 if len(str(value)) > MANY else 4}.get(type(value), 4),
        "",
        edges("Add", lambda _, value=value: [value]),
    )
    for what in ("output_layers", "input_layers"):
        config(
            f"config: {what} {title}", 4, "", lambda old, what=what, value=value: old["config"].update({what: value})
        )
    config(f"config: the whole is {title}", 4, "", lambda _, value=value: json.dumps(value))
    config(f"config: a name {title}", 4, "", named(value))
    config(f"config: a class {title}", code, "", lambda old, value=value: layer_of(old, "Add").update(class_name=value))
    config(f"config: the class of the model {title}", code, "", lambda old, value=value: old.update(class_name=value))
for title, value in (
    ("with a slash", "a/b"),
    ("up and out", "../../etc/passwd"),
    ("from the root", "/etc/passwd"),
    ("that is empty", ""),
    ("of control characters", "\0\x1b[2J\r\n"),
    ("of many characters", "x" * MANY),
    ("of a lone surrogate", "\ud800"),
    ("that turns text round", "\u202e\u2066abc"),
    ("of a dot", "."),
    ("of spaces", " " * 500),
    ("of a format", "{0.__class__}%s%n"),
):
    config(f"config: a name {title}", 4, "", named(value))
    config(f"config: a source {title}", 4, "", edges("Add", lambda _, value=value: [[[value, 0, 0, {}]] * 2]))
    config(f"config: a class {title}", 7, "", lambda old, value=value: layer_of(old, "Add").update(class_name=value))
    config(f"config: an activation {title}", 7, "", setting("Activation", activation=value))
SELF = [[["add_1", 0, 0, {}]] * 2]
config("config: an edge to itself", 4, "depends on itself", edges("Add", lambda _: SELF))
config("config: a cycle", 4, "depends on itself", edges("Conv2D", lambda _: [[["dense_1", 0, 0, {}]]]))
AHEAD = [["dense_1", 1, 0, {}]]
ahead = edges("Dense", lambda calls: [AHEAD, *calls])
config("config: an earlier call reads a later one", 4, "depends on itself", ahead)
config("config: layers twice", 4, "two layers of one name", whole(lambda layers: layers * 2))
config("config: a layer left out", 4, "there is no layer", whole(lambda layers: [*layers[:3], *layers[4:]]))
config("config: no input layer", 4, "there is no layer", whole(lambda layers: layers[1:]))
config("config: no output layer", 4, "there is no layer", whole(lambda layers: layers[:-1]))
config("config: layers in another order", 4, "the file was altered later", whole(lambda layers: layers[::-1]))
config("config: a sum of one", 4, "has 1 inputs", edges("Add", lambda calls: [calls[0][:1]]))
config("config: a sum of none", 4, "has 0 inputs", edges("Add", lambda _: [[]]))
config("config: a convolution of two", 4, "has 2 inputs", edges("Conv2D", lambda calls: [calls[0] * 2]))
config("config: a sum of 120,000", 5, "more than 10000 inputs", edges("Add", lambda calls: [calls[0] * 60_000]))
config("config: 20,000 calls", 4, "too many", edges("Activation", lambda calls: calls * 20_000))
config("config: 5,000 calls that nobody reads", 0, "", edges("Dense", lambda calls: calls * 5_000), values=False)
config("config: a million layers", 5, "more memory than any network needs", lambda _: chain(1_000_000))
config("config: 90,000 layers", 5, "the limit is 10000", lambda _: chain(90_000))
config("config: 10,000 layers", 4, "without a name", lambda _: chain(10_000))
for kind in ("Sequential", "Model"):
    for count in (100, 1_000):
        config(f"config: {kind}s {count} deep", 4, "", nest(count, kind))
config("config: 2^20 layers out of 20 models", 5, "uses of layers", lambda _: shared_within_shared(20))
config("config: 2^13 empty branches", 4, "has 0 inputs", lambda _: branching(13))
config("config: a Merge of Merges", 4, "has 0 inputs", lambda _: merge_of(merge_of(merge_of())))
config("config: a Merge of numbers", 4, "whose branches are no models", lambda _: merge_of(1, 2))
config("config: a Merge of layers", 4, "are no models", lambda old: merge_of(layer_of(old, "Dense")))
LAMBDA = {"class_name": "Merge", "mode": "lambda", "mode_type": "lambda"}
config("config: a Merge of functions", 7, "which is Python code", each("Add", **LAMBDA))
config("config: JSON in JSON", 4, "expected a JSON object", lambda old: json.dumps(json.dumps(old)))
config("config: a key twice", 4, "", lambda old: json.dumps(old)[:-1] + ', "config": {}}')
CUSTOM = {"module": "os", "registered_name": "x>y"}
config("config: a layer of others", 7, "its code is not run", lambda old: layer_of(old, "Add").update(CUSTOM))
config("config: keras_version a list", 4, "no version of Keras", lambda old: old.update(keras_version=[2]))

# Architectures in files of their own, which are JSON or YAML.


def beside_weights(
    name: str, code: int, message: str, content: bytes | str | Callable[[], bytes], suffix: str = ".yaml"
) -> None:
    """Genuine weights with an architecture beside them, which is given."""

    def build(bench: Bench) -> None:
        bench.path.write_bytes(bench.genuine)
        whole = content() if callable(content) else content
        (bench.folder / f"net{suffix}").write_bytes(whole.encode() if isinstance(whole, str) else whole)

    options = ("--architecture", f"FOLDER/net{suffix}")
    add(f"architecture: {name}", code, message, build, options=options, preloaded=("yaml",))


def laughs(levels: int, mark: str = "- ") -> str:
    """Anchors that stand for ten of the one before; with `<<: `, which merges mappings."""
    lines = ["a0: &a0 {x: 1}" if "<" in mark else "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * 10)
        value = f"{{<<: [{inner}], y{level}: 1}}" if "<" in mark else f"[{inner}]"
        lines.append(f"a{level}: &a{level} {value}")
    return "\n".join(lines)


def encoded(times: int) -> str:
    text = json.dumps({"class_name": "Sequential", "config": []})
    for _ in range(times):
        text = json.dumps(text)
    return text


SCALAR = "!!python/object/apply:numpy.core.multiarray.scalar"

for title, code, message, text in (
    ("billion laughs", 5, "its aliases stand for more", laughs(10)),
    ("a trillion laughs", 5, "its aliases stand for more", laughs(1_000)),
    ("merge keys of merge keys", 3, "merge keys", laughs(9, "<<: ")),
    ("merge keys, 1,000 deep", 3, "merge keys", laughs(1_000, "<<: ")),
    ("an object of Python", 3, "neither JSON nor YAML", "!!python/object:os.stat_result {}"),
    ("a call of Python", 3, "neither JSON nor YAML", "!!python/object/apply:os.system [touch pwned]"),
    ("another call of Python", 3, "neither JSON nor YAML", "a: !!python/object/new:os.system [x]"),
    ("a name of Python", 3, "neither JSON nor YAML", "!!python/name:os.system"),
    ("a module of Python", 3, "neither JSON nor YAML", "!!python/module:os"),
    ("a pickled number that is none", 4, "not the architecture", f"{SCALAR} [!!python/name:os.system '']"),
    ("a value within itself", 5, "contains itself", "&a [*a]"),
    ("a mapping within itself", 5, "contains itself", "&a {class_name: Model, config: *a}"),
    ("a key that is itself", 3, "", "&a {*a : 1}"),
    ("a key that is a list", 3, "", "? [a, b]\n: 1"),
    ("an alias of nothing", 3, "", "*a"),
    ("a huge number", 3, "damaged YAML", "a: " + "9" * 100_000),
    ("a huge number in base 60", 4, "", "a: 1" + ":59" * 20_000),
    ("a huge exponent", 4, "", "a: 1.0e+999999999"),
    ("lists 100,000 deep", 5, "nested too deep", "[" * 100_000),
    ("lists 5,000 deep", 5, "nested too deep", "[" * 5_000 + "]" * 5_000),
    ("blocks 1,000 deep", 5, "nested too deep", "\n".join(" " * i + "a:" for i in range(1_000))),
    ("not UTF-8", 4, "not the architecture", b"\xff\xfe\xfd{"),
    ("half of UTF-16", 3, "", b"\xff\xfe\0"),
    ("bytes of nothing", 3, "", b"\0" * 1_000),
    ("many documents", 3, "", "a: 1\n---\n" * 1_000),
    ("400,000 dashes", 5, "nested too deep", "- " * 400_000),
    ("a date that is none", 3, "damaged YAML", "a: 2001-99-99"),
    ("a set, a pair, bytes", 4, "", "a: !!set {x}\nb: !!pairs [x: 1]\nc: !!binary aGFsbG8="),
    ("bytes that are none", 3, "", "c: !!binary {{{"),
    ("a directive", 3, "", "%TAG ! tag:yaml.org,2002:python/object/apply:\n--- !os.system [x]"),
    ("text of control characters", 4, "", 'a: "\\x1b[2J"'),
    ("nothing", 3, "the file is empty", ""),
):  # fmt: skip
    beside_weights(title, code, message, text)
beside_weights("100 MB of spaces", 5, "the limit for an architecture", lambda: b" " * (100 << 20))
beside_weights("100 MB of spaces in JSON", 5, "the limit for an architecture", lambda: b" " * (100 << 20), ".json")
beside_weights("JSON encoded 10 times", 4, "not the architecture", encoded(10), ".json")
beside_weights("JSON encoded 16 times", 4, "not the architecture", encoded(16), ".json")
beside_weights("JSON encoded twice", 4, "not the JSON of a Keras model", encoded(2), ".json")
beside_weights("JSON 100,000 deep", 5, "nested too deep", "[" * 100_000, ".json")
beside_weights("JSON of many objects", 4, "not the architecture", "[" + "{}," * 1_000_000 + "{}]", ".json")
beside_weights("JSON of NaN", 4, "not the architecture", "[NaN, Infinity]", ".json")
beside_weights("JSON of a number of 100,000 digits", 3, "", "1" * 100_000, ".json")

# .keras


@dataclass
class Archive:
    """The members of the genuine ``.keras`` file, to be changed; and how they are packed."""

    members: dict[str, bytes]
    pack: int = zipfile.ZIP_STORED
    more: list[tuple[str, bytes]] = field(default_factory=list)
    finish: Callable[[bytes], bytes] = field(default=lambda packed: packed)


WEIGHTS, CONFIG, METADATA = "model.weights.h5", "config.json", "metadata.json"


def archived(name: str, code: int, message: str, change: Callable[[Archive], Any], **more: Any) -> None:
    def build(bench: Bench) -> None:
        with zipfile.ZipFile(io.BytesIO(bench.archive)) as old:
            archive = Archive({member: old.read(member) for member in old.namelist()})
        change(archive)
        packed = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", archive.pack) as new:
            warnings.simplefilter("ignore")  # two members of one name
            for member, text in [*archive.members.items(), *archive.more]:
                new.writestr(member, text)
        bench.path.write_bytes(archive.finish(packed.getvalue()))

    add(f"keras: {name}", code, message, build, **more)


def inner(edit: Callable[[h5py.File], None]) -> Callable[[Archive], None]:
    """Edits the HDF5 file within."""

    def change(archive: Archive) -> None:
        whole = io.BytesIO(archive.members[WEIGHTS])
        with h5py.File(whole, "r+") as file:
            edit(file)
        archive.members[WEIGHTS] = whole.getvalue()

    return change


def set_member(name: str, text: bytes) -> Callable[[Archive], None]:
    return lambda archive: archive.members.__setitem__(name, text)


def swell(name: str) -> Callable[[Archive], None]:
    """A member of 1 MB that inflates to 1 GiB."""

    def change(archive: Archive) -> None:
        archive.members[name] = deflated(1 << 30, -15)
        archive.finish = lambda packed: relabelled(packed, name, 1 << 30)

    return change


def relabelled(packed: bytes, name: str, size: int) -> bytes:
    """Marks a stored member as deflated, and from what size, in both of its headers."""
    content = bytearray(packed)
    for mark, method, length, start in ((b"PK\x03\x04", 8, 22, 30), (b"PK\x01\x02", 10, 24, 46)):
        at = packed.find(mark)
        while packed[at + start : at + start + len(name)] != name.encode():
            at = packed.find(mark, at + 4)
        struct.pack_into("<H", content, at + method, zipfile.ZIP_DEFLATED)
        struct.pack_into("<I", content, at + length, size)
    return bytes(content)


def understate_size(archive: Archive) -> None:
    """A member that inflates to 1 GiB, and whose headers state 1 MiB."""
    archive.members[WEIGHTS] = deflated(1 << 30, -15)
    archive.finish = lambda packed: relabelled(packed, WEIGHTS, 1 << 20)


def crowded(archive: Archive) -> None:
    archive.more = [(f"assets/{index}", b"") for index in range(20_000)]


def pack(method: int) -> Callable[[Archive], None]:
    return lambda archive: setattr(archive, "pack", method)


def finish(change: Callable[[bytes], bytes]) -> Callable[[Archive], None]:
    return lambda archive: setattr(archive, "finish", change)


def encrypted(packed: bytes) -> bytes:
    """Sets the flag of every member."""
    content = bytearray(packed)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = packed.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = packed.find(mark, at + 4)
    return bytes(content)


def flipped(packed: bytes) -> bytes:
    """One bit in the middle of the weights, which only the archive's checksum detects."""
    content = bytearray(packed)
    content[len(content) // 2] ^= 1
    return bytes(content)


FIRST = "layers/dense/vars/1"
archived("as it is", 0, "", lambda _: None)
archived("deflated", 0, "", pack(zipfile.ZIP_DEFLATED))
archived("with an asset", 0, "", lambda archive: archive.more.append(("assets/words.txt", b"words")))
archived("bzip2", 5, "compressed by method 12", pack(zipfile.ZIP_BZIP2))
archived("lzma", 5, "compressed by method 14", pack(zipfile.ZIP_LZMA))
archived("a path up and out", 5, "a path out of it", lambda archive: archive.more.append(("../../evil", b"x")))
archived("a path from the root", 5, "a path out of it", lambda archive: archive.more.append(("/tmp/evil", b"x")))
archived("a path of Windows'", 5, "a path out of it", lambda archive: archive.more.append(("..\\evil", b"x")))
for member in (WEIGHTS, CONFIG, METADATA):
    archived(
        f"two of {member}",
        4,
        f"2 members {member}",
        lambda archive, member=member: archive.more.append((member, b"{}")),
    )
    archived(f"no {member}", 4, f"0 members {member}", lambda archive, member=member: archive.members.pop(member))
    archived(f"{member} inflates to 1 GiB", 5, "unpacks to 1073741824 bytes", swell(member))
archived("larger than it states", 3, "damaged or encrypted zip", understate_size)
archived("20,000 members", 5, "list of members takes", crowded)
archived("encrypted", 3, "damaged or encrypted zip", finish(encrypted))
archived("half of it", 3, "damaged or encrypted zip", finish(lambda packed: packed[: len(packed) // 2]))
archived("all but one byte", 3, "damaged or encrypted zip", finish(lambda packed: packed[:-1]))
archived("a flipped bit", 3, "damaged or encrypted zip", finish(flipped))
archived("two ends", 3, "damaged or encrypted zip", finish(lambda packed: packed + packed[-22:]))
archived(
    "zip64",
    3,
    "damaged or encrypted zip",
    finish(lambda packed: packed[:-22] + b"PK\x06\x07" + bytes(16) + packed[-22:]),
)
archived("weights that are a pickle", 3, "cannot be opened as HDF5", set_member(WEIGHTS, b"\x80\x04\x95" * 100))
archived("weights that are empty", 3, "cannot be opened as HDF5", set_member(WEIGHTS, b""))
archived(
    "weights of the old kind",
    4,
    "listed, but not in the file",
    lambda archive: inner(lambda file: file.move("layers", "old"))(archive),
)
archived("config that is not JSON", 4, "config.json: not JSON", set_member(CONFIG, b"\xff\xfe{"))
archived("metadata that are not JSON", 4, "metadata.json: not JSON", set_member(METADATA, b"\xff"))
archived(
    "Lambda",
    7,
    "Lambda layer",
    lambda archive: set_member(CONFIG, archive.members[CONFIG].replace(b'"Activation"', b'"Lambda"'))(archive),
)
archived("a soft link", 5, LINK, inner(link(h5py.SoftLink("/" + "layers/dense/vars/0"), FIRST)))
archived("an external link", 5, LINK, inner(link(h5py.ExternalLink("/dev/zero", "/x"), FIRST)))
archived(
    "one dataset, two names",
    5,
    "the same dataset as",
    inner(lambda file: link(file["layers/batch_normalization/vars/1"], "layers/batch_normalization/vars/0")(file)),
)
archived(
    "a tensor too few",
    4,
    "expects 4 weights, the file has 3",
    inner(lambda file: file.__delitem__("layers/batch_normalization/vars/3")),
)
archived(
    "a tensor too many",
    4,
    "5 tensors",
    inner(lambda file: file.__setitem__("layers/batch_normalization/vars/4", np.ones(16, "f4"))),
)
archived(
    "two layers of one name",
    4,
    "two layers of one name",
    inner(
        lambda file: file["layers/conv2d/vars"].attrs.__setitem__("name", file["layers/conv2d_1/vars"].attrs["name"])
    ),
)
archived("NaN", 6, "holds NaN", inner(put(FIRST, np.nan)))

# safetensors, PyTorch, ONNX: each made from what ror-port itself writes of the genuine file.


@dataclass
class Safe:
    """A safetensors file in parts. config: the file beside it. size: the length that it states for its header."""

    header: Any
    data: bytes
    config: dict[str, Any]
    size: int | None = None

    def packed(self) -> bytes:
        text = self.header if isinstance(self.header, bytes) else json.dumps(self.header).encode()
        return (len(text) if self.size is None else self.size).to_bytes(8, "little") + text + self.data


def safe(name: str, code: int, message: str, change: Callable[[Safe], Any], **more: Any) -> None:
    """A folder of safetensors and config, changed."""

    def build(bench: Bench) -> None:
        bench.made("safetensors", bench.path)
        weights, config = bench.path / "model.safetensors", bench.path / "config.json"
        whole = weights.read_bytes()
        start = 8 + int.from_bytes(whole[:8], "little")
        parts = Safe(json.loads(whole[8:start]), whole[start:], json.loads(config.read_text()))
        change(parts)
        weights.write_bytes(parts.packed())
        config.write_text(json.dumps(parts.config))

    add(f"safetensors: {name}", code, message, build, **more)


def header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Safe], None]:
    return lambda safe: change(safe.header) and None


def entry(**values: Any) -> Callable[[Safe], None]:
    return lambda safe: safe.header["head.dense.bias"].update(values)


def text(make: Callable[[str], str | bytes]) -> Callable[[Safe], None]:
    """Another text for the header."""

    def change(safe: Safe) -> None:
        made = make(json.dumps(safe.header))
        safe.header = made if isinstance(made, bytes) else made.encode()

    return change


def twice(old: str) -> str:
    """The header with a second entry of a name, whose extent is that of another of its shape."""
    entries = json.loads(old)
    return old[:-1] + ', "head.dense.bias": ' + json.dumps(entries["head.dense.bias"]) + "}"


def overlap(entries: dict[str, Any]) -> None:
    first, second = [name for name, value in entries.items() if value.get("shape") == [16]][:2]
    entries[second]["data_offsets"] = entries[first]["data_offsets"]


def hole(safe: Safe) -> None:
    end = len(safe.data)
    size = 4 * 10
    bias = safe.header["head.dense.bias"]
    if bias["data_offsets"][1] != end:
        raise AssertionError("the bias is not the last")
    bias["data_offsets"] = [end, end + size]
    safe.data += bytes(size)


def more_of(kind: str, size: int) -> Callable[[Safe], None]:
    """The bias as numbers of another type, with as many bytes."""

    def change(safe: Safe) -> None:
        bias = safe.header["head.dense.bias"]
        begin = bias["data_offsets"][0]
        bias.update(dtype=kind, data_offsets=[begin, begin + 10 * size])
        safe.data = safe.data[:begin] + bytes(10 * size)

    return change


def doubled(safe: Safe) -> None:
    """The same numbers as float64."""
    safe.data = np.frombuffer(safe.data, "<f4").astype("<f8").tobytes()
    for item in safe.header.values():
        if "dtype" in item:
            item.update(dtype="F64", data_offsets=[2 * offset for offset in item["data_offsets"]])


def counters(safe: Safe) -> None:
    """BatchNorm's step counters, as PyTorch saves them."""
    for name in [name for name in safe.header if name.endswith("running_mean")]:
        at = len(safe.data)
        counter = name.replace("running_mean", "num_batches_tracked")
        safe.header[counter] = {"dtype": "I64", "shape": [], "data_offsets": [at, at + 8]}
        safe.data += bytes(8)


def nan(safe: Safe) -> None:
    begin = safe.header["head.dense.bias"]["data_offsets"][0]
    safe.data = safe.data[:begin] + np.float32(np.nan).tobytes() + safe.data[begin + 4 :]


def renamed(new: str) -> Callable[[Safe], None]:
    return header(lambda entries: entries.__setitem__(new, entries.pop("head.dense.bias")))


def many(count: int, length: int = 1) -> Callable[[Safe], None]:
    def make(old: str) -> str:
        more = (f'"{index:0{length}}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for index in range(count))
        return old[:-1] + "," + ",".join(more) + "}"

    return text(make)


safe("as it is", 0, "", lambda _: None)
safe("as float64", 0, "", doubled, double=True, rounded=True)
safe("with step counters", 0, "", counters)
safe(
    "behind DataParallel",
    0,
    "",
    text(lambda old: json.dumps({f"module.{k}": v for k, v in json.loads(old).items() if k[0] != "_"})),
)
safe("a name twice", 3, "a repeated name", text(twice))
safe("a field twice", 3, "a repeated name", text(lambda old: old.replace('"shape"', '"dtype": "F64", "shape"', 1)))
safe("an overlap", 3, "overlap or leave a gap", header(overlap))
safe("a hole", 3, "overlap or leave a gap", hole)
safe("trailing bytes", 3, "truncated or damaged", lambda safe: setattr(safe, "data", safe.data + b"x"))
safe("all but one byte", 3, "truncated or damaged", lambda safe: setattr(safe, "data", safe.data[:-1]))
safe("no data", 3, "truncated or damaged", lambda safe: setattr(safe, "data", b""))
safe("a header beyond the file", 3, "its header alone has", lambda safe: setattr(safe, "size", 1 << 21))
safe("a header of 2^40 bytes", 5, "a header of 1099511627776 bytes", lambda safe: setattr(safe, "size", 1 << 40))
safe("a header of 2^64 - 1 bytes", 5, "the limit is", lambda safe: setattr(safe, "size", (1 << 64) - 1))
safe("a header of no bytes", 3, "its header", lambda safe: setattr(safe, "size", 0))
safe("a header a byte short", 3, "its header", text(lambda old: old[:-1]))
safe("not JSON", 3, "its header", text(lambda _: "{nonsense"))
safe("not UTF-8", 3, "its header", text(lambda old: old.encode().replace(b"head", b"\xff\xfe\xfd\xfc")))
safe("UTF-16", 3, "its header", text(lambda old: old.encode("utf-16")))
safe("a list", 3, "not a JSON object", text(lambda _: "[1]"))
safe("an empty object", 3, "truncated or damaged", text(lambda _: "{}"))
safe("100,000 deep", 3, "its header", text(lambda _: '{"a":' * 100_000))
safe("a number of 100,000 digits", 3, "its header", text(lambda _: '{"a": ' + "1" * 100_000 + "}"))
safe("a million names", 5, "a header of", many(1_000_000))
safe("50,000 names", 5, "10000 layers, or 64 tensors in one", many(50_000))
safe("a name of 100,000 characters", 5, "a name of 100000 characters", renamed("x" * 100_000))
safe("an empty name", 5, "a name of 0 characters", renamed(""))
safe("control characters in a name", 7, "no known network", renamed("head.\x1b[2J\n.bias"))
safe("a surrogate in a name", 7, "", renamed("head.\ud800.bias"))
safe("NaN", 6, "holds NaN", nan)
safe("a tensor missing", 3, "truncated or damaged", header(lambda entries: entries.pop("head.dense.bias")))
for kind, size in (("F16", 2), ("I64", 8)):
    safe(f"of {kind}", 4, "expected float32 or float64", more_of(kind, size))
for kind in ("BF16", "BOOL", "F8_E4M3", "F8_E5M2", "C64", "\x1b[2J", None, 7, [], {}):
    safe(f"of {kind!r}", 4, "expected float32 or float64", entry(dtype=kind))
for title, shape in (
    ("wrong", [11]),
    ("of no dimension", []),
    ("of 2^40", [1 << 40]),
    ("whose product wraps round", [1 << 32, 1 << 32, 10]),
    ("below zero", [-10]),
    ("of fractions", [10.0]),
    ("of truths", [True] * 3),
    ("no list", "10"),
    ("of 40 dimensions", [1] * 39 + [10]),
):
    safe(f"a shape {title}", 3, "damaged", entry(shape=shape))
safe("the right size, another shape", 7, "", entry(shape=[5, 2]))
for title, offsets in (
    ("below zero", [-40, 0]),
    ("the wrong way round", [40, 0]),
    ("beyond the file", [1 << 40, (1 << 40) + 40]),
    ("three", [0, 40, 80]),
    ("of text", ["0", "40"]),
    ("nothing", None),
):
    safe(f"offsets {title}", 3, "damaged", entry(data_offsets=offsets))
safe("an entry that is a list", 3, "damaged", header(lambda entries: entries.__setitem__("head.dense.bias", [1])))
safe("an entry of more", 3, "damaged", entry(more=1))

for title, code, message, values in (
    ("epsilon NaN", 4, "where a number from 0 to 1", {"epsilon": float("nan")}),
    ("epsilon 7", 4, "where a number from 0 to 1", {"epsilon": 7}),
    ("epsilon a text", 4, "where a number from 0 to 1", {"epsilon": "\x1b[2J"}),
    ("momentum null", 4, "where a number from 0 to 1", {"momentum": None}),
    ("dropout 7", 4, "where a number from 0 to 1", {"dropout": 7}),
    ("padding odd", 4, "where a padding", {"padding": "\x1b[2J"}),
    ("padding a list", 4, "where a padding", {"padding": []}),
    ("input_shape of text", 4, "where an input shape", {"input_shape": "32"}),
    ("input_shape vast", 4, "where an input shape", {"input_shape": [1 << 40, 32, 3]}),
    ("input_shape of other images", 7, "", {"input_shape": [4096, 4096, 3]}),
    ("input_shape of truths", 4, "where an input shape", {"input_shape": [True, True, True]}),
    ("input_shape of two", 4, "where an input shape", {"input_shape": [32, 32]}),
    ("provenance a text", 0, "", {"provenance": "x"}),
    ("source a list", 0, "", {"provenance": {"source": []}}),
    ("name of control characters", 0, "", {"name": "\x1b[2J"}),
):
    safe(f"config: {title}", code, message, lambda safe, values=values: safe.config.update(values))


def beside(name: str, code: int, message: str, change: Callable[[Path, Bench], Any], **more: Any) -> None:
    """The folder with another config.json, or something else in it."""

    def build(bench: Bench) -> None:
        bench.made("safetensors", bench.path)
        change(bench.path, bench)

    add(f"safetensors folder: {name}", code, message, build, **more)


def instead(name: str, make: Callable[[Path, Bench], Any]) -> Callable[[Path, Bench], None]:
    def change(folder: Path, bench: Bench) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name, bench)

    return change


def canary(path: Path, bench: Bench) -> None:
    """Python that would block the command, were it ever run."""
    path.write_text(f"open({str(bench.pipe)!r})\n", encoding="utf-8")


CONFIG_JSON = "config.json"
beside("no config", 0, "", instead(CONFIG_JSON, lambda *_: None))
beside("config a pipe", 3, "not a regular file", instead(CONFIG_JSON, lambda path, _: os.mkfifo(path)))
beside("config a folder", 3, "a folder", instead(CONFIG_JSON, lambda path, _: path.mkdir()))
beside("config a loop of links", 3, "symbolic links", instead(CONFIG_JSON, lambda path, _: path.symlink_to(path)))
beside("config a device", 3, "not a regular", instead(CONFIG_JSON, lambda path, _: path.symlink_to("/dev/zero")))
beside("config not JSON", 4, "not JSON", instead(CONFIG_JSON, lambda path, _: path.write_text("{")))
beside("config a list", 4, "JSON object", instead(CONFIG_JSON, lambda path, _: path.write_text("[]")))
beside("config not UTF-8", 4, "not JSON", instead(CONFIG_JSON, lambda path, _: path.write_bytes(b"{\xff\xff")))
beside("config of 20 MB", 5, "the limit is", instead(CONFIG_JSON, lambda path, _: path.write_text(" " * (20 << 20))))
beside("config 100,000 deep", 4, "not JSON", instead(CONFIG_JSON, lambda path, _: path.write_text("[" * 100_000)))
beside("a definition with other code", 0, "", instead("modeling_ror.py", canary))
beside(
    "code of every name",
    0,
    "",
    lambda folder, bench: [
        canary(folder / f"{name}.py", bench) for name in ("__init__", "torch", "json", "numpy", "setup", "conftest")
    ],
)
beside("weights a pipe", 3, "", instead("model.safetensors", lambda path, _: os.mkfifo(path)))
beside("weights a loop of links", 3, "", instead("model.safetensors", lambda path, _: path.symlink_to(path)))
beside("weights empty", 3, "empty", instead("model.safetensors", lambda path, _: path.touch()))

# PyTorch state dicts. torch is imported here within functions: it takes seconds, and only these cases need it.


def torch_saved(
    name: str, code: int, message: str, change: Callable[[Any, dict[str, Any], Bench], Any], **more: Any
) -> None:
    """What `change` makes of torch and the genuine state dict, or returns, saved by PyTorch."""

    def build(bench: Bench) -> None:
        import torch

        bench.made("pt", bench.path)
        state = torch.load(bench.path, weights_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kinds of tensors that PyTorch would rather not make
            made = change(torch, state, bench)
        torch.save(state if made is None else made, bench.path)

    add(f"pt: {name}", code, message, build, **TORCH | more)


TORCH: dict[str, Any] = {"preloaded": ("torch",), "seconds": 4.0}
"""Copying a process of PyTorch's size, and taking it down again, takes longer than another's."""


def torch_bytes(name: str, code: int, message: str, change: Callable[[bytes], bytes], **more: Any) -> None:
    """A genuine state dict's bytes, changed."""

    def build(bench: Bench) -> None:
        bench.made("pt", bench.path)
        bench.path.write_bytes(change(bench.path.read_bytes()))

    add(f"pt: {name}", code, message, build, **TORCH | more)


def torch_zip(
    name: str,
    code: int,
    message: str,
    change: Callable[[dict[str, bytes], Bench], Any],
    pack: int = zipfile.ZIP_STORED,
    **more: Any,
) -> None:
    """A genuine state dict with other members."""

    def build(bench: Bench) -> None:
        bench.made("pt", bench.path)
        with zipfile.ZipFile(bench.path) as old:
            members = {member: old.read(member) for member in old.namelist()}
        change(members, bench)
        with zipfile.ZipFile(bench.path, "w", pack) as new:
            for member, content in members.items():
                new.writestr(member, content)

    add(f"pt: {name}", code, message, build, **TORCH | more)


def pickled(name: str, code: int, message: str, make: Callable[[bytes, Bench], bytes], **more: Any) -> None:
    """Another ``data.pkl``, made from the genuine one."""

    def change(members: dict[str, bytes], bench: Bench) -> None:
        (at,) = (member for member in members if member.endswith("/data.pkl"))
        members[at] = make(members[at], bench)

    torch_zip(name, code, message, change, **more)


class Opens:
    """An object whose pickle opens a path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path),)


def of_kind(kind: str) -> Callable[[Any, dict[str, Any], Bench], None]:
    def change(torch: Any, state: dict[str, Any], _: Bench) -> None:
        state["head.dense.bias"] = state["head.dense.bias"].to(getattr(torch, kind))

    return change


def bias(change: Callable[[Any, Any], Any]) -> Callable[[Any, dict[str, Any], Bench], None]:
    def edit(torch: Any, state: dict[str, Any], _: Bench) -> None:
        state["head.dense.bias"] = change(torch, state["head.dense.bias"])

    return edit


def one_storage(torch: Any, state: dict[str, Any], _: Bench) -> dict[str, Any]:
    """All tensors next to one another in one storage, as flattened parameters are."""
    whole = torch.cat([tensor.flatten() for tensor in state.values()])
    pieces = whole.split([tensor.numel() for tensor in state.values()])
    return {name: piece.view(tensor.shape) for (name, tensor), piece in zip(state.items(), pieces, strict=True)}


def tied(_: Any, state: dict[str, Any], __: Bench) -> None:
    first, second = [name for name, tensor in state.items() if tuple(tensor.shape) == (16,)][:2]
    state[first] = state[second]


def whole_module(torch: Any, _: dict[str, Any], __: Bench) -> Any:
    return torch.nn.Linear(3, 2)


SETUP = b"\x80\x02"
"""Begins a pickle of protocol 2."""


def doubling(_: bytes, __: Bench) -> bytes:
    """A key of 60 pairs in pairs, each of them the same twice: its hash takes 2^60 steps."""
    pairs = b"".join(b"q%ch%c\x86" % (n, n) for n in range(60))
    return SETUP + b"}K\x01" + pairs + b"K\x01s."


def vast_array(_: bytes, __: Bench) -> bytes:
    """bytearray(2^34), which is among what PyTorch admits."""
    return SETUP + b"c__builtin__\nbytearray\n" + b"\x8a\x05" + (1 << 34).to_bytes(5, "little") + b"\x85R."


def swell_pickle(bench: Bench) -> None:
    bench.made("pt", bench.path)
    with zipfile.ZipFile(bench.path) as old:
        name = next(member for member in old.namelist() if member.endswith("/data.pkl"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as new:
        new.writestr(name, deflated(1 << 30, -15))
    bench.path.write_bytes(relabelled(packed.getvalue(), name, 1 << 30))


def flipped_number(whole: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
        at = whole.index(archive.read(largest))
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


def declared(more: int) -> Callable[[bytes, Bench], bytes]:
    """The bias's storage, of 10 elements, declared to have others."""

    def make(old: bytes, _: Bench) -> bytes:
        at = old.index(b"head.dense.bias")
        at = old.index(b"K\n", at)  # the number 10, at first that of its storage
        return old[:at] + b"\x8a\x06" + more.to_bytes(6, "little") + old[at + 2 :]

    return make


torch_bytes("as it is", 0, "", lambda whole: whole)
torch_saved("of Python's ordered dict", 0, "", lambda _, state, __: {"state_dict": state, "epoch": 3})
torch_saved("one storage", 0, "", one_storage)
torch_saved("parameters", 0, "", bias(lambda torch, tensor: torch.nn.Parameter(tensor)))
torch_saved("strided", 0, "", bias(lambda torch, tensor: torch.stack([tensor, tensor * 2], 1)[:, 0]))
torch_saved("within a larger storage", 0, "", bias(lambda torch, tensor: torch.cat([tensor * 2, tensor])[10:]))
torch_saved(
    "float64",
    0,
    "",
    lambda _, state, __: {name: tensor.double() for name, tensor in state.items()},
    double=True,
    rounded=True,
)
torch_saved("expanded", 5, "repeats them", bias(lambda _, tensor: tensor[:1].expand(10)))
torch_saved("vastly expanded", 5, "repeats them", bias(lambda _, tensor: tensor[:1].expand(1 << 40)))
torch_saved("tied", 5, "shares its numbers", tied)
for kind in ("int8", "bfloat16", "float16", "complex64", "bool", "int64"):
    torch_saved(f"of {kind}", 4, "expected float32 or float64", of_kind(kind))
torch_saved("sparse", 4, "not a plain tensor", bias(lambda _, tensor: tensor.to_sparse()))
torch_saved(
    "compressed rows",
    4,
    "not a plain tensor",
    lambda _, state, __: state.update({"head.dense.weight": state["head.dense.weight"].to_sparse_csr()}),
)
torch_saved(
    "quantized",
    4,
    "not a plain tensor",
    bias(lambda torch, tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)),
)
torch_saved("without numbers", 4, "not a plain tensor", bias(lambda _, tensor: tensor.to("meta")))
torch_saved("a tensor that is a list", 4, "no state dict", bias(lambda _, tensor: tensor.tolist()))
torch_saved("a tensor alone", 4, "no state dict", lambda _, state, __: state["head.dense.bias"])
torch_saved("nested", 4, "no state dict", lambda _, state, __: {"a": {"b": state}})
torch_saved("names that are numbers", 4, "no state dict", lambda _, state, __: dict(enumerate(state.values())))
torch_saved("empty", 4, "no layer holds", lambda *_: {})
torch_saved("a tensor missing", 7, "", lambda _, state, __: {name: state[name] for name in list(state)[:-1]})
torch_saved(
    "control characters",
    7,
    "no known network",
    lambda _, state, __: {f"{name}\x1b[2J\n": tensor for name, tensor in state.items()},
)
torch_saved(
    "a long name", 5, "characters; the limit", lambda torch, state, _: state.update({"x" * 100_000: torch.ones(1)})
)
torch_saved("NaN", 6, "holds NaN", bias(lambda _, tensor: tensor * float("nan")))
torch_saved("a module whole", 3, "not a state dict", whole_module)
torch_saved("code", 3, "not a state dict", lambda _, state, bench: state.update(evil=Opens(bench.pipe)))
pickled(
    "code instead", 3, "not a state dict", lambda _, bench: b"cbuiltins\nopen\n(V" + str(bench.pipe).encode() + b"\ntR."
)
pickled("a key whose hash never ends", 3, "takes more than", doubling)
pickled("an array of 2^34 bytes", 5, "more memory than any network", vast_array)
pickled("no pickle", 3, "not a state dict", lambda *_: b"hello")
pickled("half a pickle", 3, "not a state dict", lambda old, _: old[: len(old) // 2])
pickled("an empty pickle", 3, "not a state dict", lambda *_: b"")
pickled("a pickle of 5 MB", 5, "data.pkl is larger", lambda old, _: old + bytes(5 << 20))
pickled("100,000 deep", 4, "no state dict", lambda *_: SETUP + b"]" * 100_000 + b"a" * 99_999 + b".")
pickled("2^40 numbers declared", 3, "", declared(1 << 40))
pickled("a number too many declared", 3, "", declared(11))
torch_zip("deflated", 5, "is compressed", lambda *_: None, pack=zipfile.ZIP_DEFLATED)
torch_zip("a storage missing", 3, "", lambda members, _: members.pop(next(n for n in members if n.endswith("/data/0"))))
torch_zip(
    "a storage cut",
    3,
    "",
    lambda members, _: members.update({n: c[:-4] for n, c in members.items() if n.endswith("/data/0")}),
)
torch_zip(
    "20,000 members more", 3, "", lambda members, _: members.update({f"x{i}": b"" for i in range(20_000)}), values=False
)
add("pt: a pickle of 1 GiB", 5, "is compressed", swell_pickle, **TORCH)
torch_bytes("a flipped bit", 3, "checksum", flipped_number)
torch_bytes("all but one byte", 3, "", lambda whole: whole[:-1])
torch_bytes("half of it", 3, "", lambda whole: whole[: len(whole) // 2])


def legacy(bench: Bench) -> None:
    import torch

    bench.made("pt", bench.path)
    torch.save(torch.load(bench.path, weights_only=True), bench.path, _use_new_zipfile_serialization=False)


add("pt: of before 1.6", 3, "pickle, which is never opened", legacy, **TORCH)


# ONNX.


def onnx_bytes(name: str, code: int, message: str, change: Callable[[bytes], bytes], **more: Any) -> None:
    """A genuine model's bytes, changed."""

    def build(bench: Bench) -> None:
        bench.made("onnx", bench.path)
        bench.path.write_bytes(change(bench.path.read_bytes()))

    add(f"onnx: {name}", code, message, build, **{"preloaded": ("onnx",)} | more)


def onnx_edited(name: str, code: int, message: str, change: Callable[[Any, Any, Bench], Any], **more: Any) -> None:
    """A genuine model, edited: `change` gets the onnx package and the model."""

    def build(bench: Bench) -> None:
        import onnx

        bench.made("onnx", bench.path)
        model = onnx.load(bench.path)
        change(onnx, model, bench)
        bench.path.write_bytes(model.SerializeToString())

    add(f"onnx: {name}", code, message, build, **{"preloaded": ("onnx",)} | more)


def weight(change: Callable[[Any, Any, Bench], Any]) -> Callable[[Any, Any, Bench], None]:
    """Edits the bias of the Dense layer, (10,)."""

    def edit(onnx: Any, model: Any, bench: Bench) -> None:
        change(onnx, next(t for t in model.graph.initializer if t.name == "head/dense/bias"), bench)

    return edit


def operator(kind: str, change: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Bench], None]:
    """Edits the last node of a kind: `change` gets the package's helper, the model and the node."""

    def edit(onnx: Any, model: Any, _: Bench) -> None:
        change(onnx.helper, model, [node for node in model.graph.node if node.op_type == kind][-1])

    return edit


def stated(make: Callable[[dict[str, Any]], Any]) -> Callable[[Any, Any, Bench], None]:
    """Other metadata ror_port: the text that `make` returns, or its argument as `make` changed it."""

    def edit(_: Any, model: Any, __: Bench) -> None:
        entry = next(entry for entry in model.metadata_props if entry.key == "ror_port")
        old = json.loads(entry.value)
        new = make(old)
        entry.value = new if isinstance(new, str) else json.dumps(old)

    return edit


def points_out(_: Any, tensor: Any, bench: Bench) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value=bench.pipe.name)


def points_out_elsewhere(onnx: Any, model: Any, bench: Bench) -> None:
    """External data in a constant, which is no initializer."""
    node = onnx.helper.make_node("Constant", [], ["c"], "c", value=onnx.numpy_helper.from_array(np.zeros(3, "f4")))
    points_out(onnx, node.attribute[0].t, bench)
    model.graph.node.insert(0, node)


def listed_numbers(_: Any, tensor: Any, __: Bench) -> None:
    tensor.float_data.extend(np.frombuffer(tensor.raw_data, "<f4"))
    tensor.ClearField("raw_data")


def all_double(onnx: Any, model: Any, _: Bench) -> None:
    for tensor in model.graph.initializer:
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype("f8"), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = 11


def as_kind(kind: int, dtype: str) -> Callable[[Any, Any, Bench], None]:
    def change(_: Any, tensor: Any, __: Bench) -> None:
        tensor.data_type, tensor.raw_data = kind, np.zeros(10, dtype).tobytes()

    return weight(change)


def dims(*sizes: int) -> Callable[[Any, Any, Bench], None]:
    def change(_: Any, tensor: Any, __: Bench) -> None:
        tensor.dims[:] = sizes

    return weight(change)


def branch(kind: str, **fields: str) -> Callable[[Any, Any, Bench], None]:
    """A node with graphs inside it."""

    def edit(onnx: Any, model: Any, _: Bench) -> None:
        inner = onnx.helper.make_graph([], "inner", [], [])
        model.graph.node.append(onnx.helper.make_node(kind, ["image"], ["more"], **{f: inner for f in fields}))

    return edit


def function(onnx: Any, model: Any, _: Bench) -> None:
    """A function that calls itself."""
    node = onnx.helper.make_node("Again", ["x"], ["y"], domain="untrusted")
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("untrusted", 1)]
    model.functions.append(onnx.helper.make_function("untrusted", "Again", ["x"], ["y"], [node], opsets))
    model.opset_import.append(opsets[1])
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Again"
    next(node for node in model.graph.node if node.op_type == "Again").domain = "untrusted"


def own_domain(helper: Any, model: Any, node: Any) -> None:
    node.domain = "untrusted"
    model.opset_import.append(helper.make_opsetid("untrusted", 1))


def attribute_of(name: str, value: Any) -> Callable[[Any, Any, Any], None]:
    return lambda helper, _, node: node.attribute.append(helper.make_attribute(name, value))


def crowded_model(whole: bytes) -> bytes:
    """Two million nodes of two bytes, which take two hundred each in memory."""
    nodes = b"\x0a\x00" * 2_000_000
    size, length = len(nodes), b""
    while size:
        length += bytes([size & 127 | (128 if size > 127 else 0)])
        size >>= 7
    return whole + b"\x3a" + length + nodes


NO_NEED = "which no network here needs"
OTHERS = "its graph is another network's"
onnx_bytes("as it is", 0, "", lambda whole: whole)
onnx_bytes("not protobuf", 3, "neither HDF5 nor", lambda _: b"\x08" + b"\xff" * 1000)
onnx_bytes("half of it", 3, "neither HDF5 nor", lambda whole: whole[: len(whole) // 2])
onnx_bytes("all but one byte", 3, "neither HDF5 nor", lambda whole: whole[:-1])
onnx_bytes("an IR version alone", 4, "", lambda _: b"\x08\x09")
onnx_bytes("two million nodes", 3, "alloc failed", crowded_model)
onnx_bytes("1,000 deep", 3, "neither HDF5 nor", lambda whole: whole + b"\x3a\x02\x0a\x00" + b"\x3a" * 1000)
onnx_edited("numbers in a list", 0, "", weight(listed_numbers))
onnx_edited("float64", 0, "", all_double, double=True, rounded=True)
onnx_edited("data in a pipe", 5, "another file", weight(points_out))
onnx_edited("a constant in a pipe", 4, NO_NEED, points_out_elsewhere)
onnx_edited("a few bytes short", 4, "", weight(lambda _, t, __: setattr(t, "raw_data", t.raw_data[:-4])))
onnx_edited("no bytes", 4, "", weight(lambda _, t, __: t.ClearField("raw_data")))
onnx_edited("bytes and a list", 4, "", weight(lambda _, t, __: t.float_data.extend([1.0] * 10)))
onnx_edited("dims of 2^40", 4, "", dims(1 << 40))
onnx_edited("dims whose product wraps round", 4, "", dims(1 << 32, 1 << 32, 10))
onnx_edited("dims below zero", 4, "", dims(-2, -5))
onnx_edited("dims of another shape", 7, "", dims(5, 2))
onnx_edited("half precision", 4, "", as_kind(10, "f2"))
onnx_edited("bytes for numbers", 4, "", as_kind(2, "u1"))
onnx_edited("a type of no name", 4, "", as_kind(999, "f4"))
onnx_edited("a segment", 4, NO_NEED, weight(lambda _, t, __: setattr(t.segment, "end", 5)))
onnx_edited("a name twice", 4, "", lambda _, m, __: m.graph.initializer.append(m.graph.initializer[0]))
onnx_edited("a weight missing", 4, "", lambda _, m, __: m.graph.initializer.pop())
onnx_edited("a sparse weight", 4, NO_NEED, lambda _, m, __: m.graph.sparse_initializer.add())
onnx_edited("a branch", 4, NO_NEED, branch("If", then_branch="", else_branch=""))
onnx_edited("a loop", 4, NO_NEED, branch("Loop", body=""))
onnx_edited("an endless function", 4, NO_NEED, function)
onnx_edited("training", 4, NO_NEED, lambda _, m, __: m.training_info.add())
onnx_edited("another domain", 4, NO_NEED, operator("Relu", own_domain))
onnx_edited("no inputs", 4, "", lambda _, m, __: m.graph.ClearField("input"))
onnx_edited("two images", 4, "", lambda _, m, __: m.graph.input.append(m.graph.input[0]))
onnx_edited("an image without shape", 4, "", lambda _, m, __: m.graph.input[0].type.tensor_type.ClearField("shape"))
onnx_edited("an image without type", 4, "", lambda _, m, __: m.graph.input[0].ClearField("type"))
onnx_edited(
    "an image of 2^40",
    4,
    "",
    lambda _, m, __: setattr(m.graph.input[0].type.tensor_type.shape.dim[2], "dim_value", 1 << 40),
)
onnx_edited("no nodes", 4, "", lambda _, m, __: m.graph.ClearField("node"))
onnx_edited("no graph", 4, "", lambda _, m, __: m.ClearField("graph"))
onnx_edited("no opset", 4, "", lambda _, m, __: m.ClearField("opset_import"))
onnx_edited("control characters", 4, "", operator("Relu", lambda _, __, node: setattr(node, "op_type", "\x1b[2J\n")))
onnx_edited(
    "another epsilon in one",
    7,
    OTHERS,
    operator("BatchNormalization", lambda _, __, n: setattr(n.attribute[0], "f", 0.5)),
)
for kind, name, value in (
    ("Gemm", "alpha", 2.0),
    ("Gemm", "transB", 0),
    ("Conv", "dilations", [1, 1]),
    ("Conv", "group", 1),
    ("AveragePool", "ceil_mode", 1),
    ("BatchNormalization", "training_mode", 0),
):
    onnx_edited(f"{kind} with {name}", 7, OTHERS, operator(kind, attribute_of(name, value)))
onnx_edited("Softmax of another axis", 7, OTHERS, operator("Softmax", lambda _, __, n: setattr(n.attribute[0], "i", 0)))
onnx_edited("metadata not JSON", 4, "not JSON", stated(lambda _: "{"))
onnx_edited("metadata of 20 MB", 5, "the limit is", stated(lambda _: " " * (20 << 20)))
onnx_edited("metadata twice", 4, "", lambda _, m, __: m.metadata_props.append(m.metadata_props[0]))
for name, value in (("epsilon", float("nan")), ("epsilon", 7), ("momentum", "x"), ("dropout", 7)):
    onnx_edited(
        f"metadata: {name} {value}",
        4,
        "where a number from 0 to 1",
        stated(lambda old, name=name, value=value: old["network"].update({name: value})),
    )
onnx_edited("metadata: padding odd", 4, "where a padding", stated(lambda old: old["network"].update(padding="odd")))
onnx_edited("metadata: network a list", 0, "", stated(lambda old: old.update(network=[])), values=False)
onnx_edited("metadata: folded", 4, "folded", stated(lambda old: old.update(folded="no")))
