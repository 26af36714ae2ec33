"""Data for evaluate are untrusted files: refused in one line, before they take time or memory, or read exactly."""

from __future__ import annotations

import os
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from forks import Forks
from genuine import DIGITS, FIXTURES, digits, stored

WEIGHTS = FIXTURES / DIGITS / "weights.h5"
SECONDS = 5
"""Of processor time that a refusal may take; most of it goes into reading the network."""
MEMORY = 128 << 20
"""Bytes that a refusal may take, above those of a command that does nothing."""

ONE = np.zeros((1, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks("ror_port.check.evaluate", "PIL.Image", "PIL.PngImagePlugin") as server:
        yield server


class Case(NamedTuple):
    """make: writes the data set to a path. code, message: how the command ends."""

    name: str
    make: Callable[[Path], None]
    code: int
    message: str


def npy(
    array: np.ndarray | None = None, shape: str = "(1, 32, 32, 3)", descr: str = "'|u1'", data: bytes = b""
) -> bytes:
    """A .npy file, of an array or with any header."""
    if array is not None:
        out = BytesIO()
        np.save(out, array)
        return out.getvalue()
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are there twice
            for name, content in members:
                file.writestr(name, content)

    return make


def x_and_y(x: bytes = b"", y: bytes = b"", **options: int) -> Callable[[Path], None]:
    return archive(("x.npy", x or npy(ONE)), ("y.npy", y or npy(np.zeros(1, np.int64))), **options)


def patched(offset_local: int, offset_central: int, value: int) -> Callable[[Path], None]:
    """An .npz with a field of two bytes altered in both headers of its first member."""

    def make(path: Path) -> None:
        x_and_y()(path)
        content = bytearray(path.read_bytes())
        for start, offset in ((0, offset_local), (content.index(b"PK\x01\x02"), offset_central)):
            content[start + offset : start + offset + 2] = struct.pack("<H", value)
        path.write_bytes(content)

    return make


def inflating(names: tuple[str, ...], size: int, header: bytes) -> Callable[[Path], None]:
    """An .npz whose first member inflates to `size` zeros behind a header."""

    def make(path: Path) -> None:
        block = 16 << 20
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        start = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
        zeros = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
        packed, crc = start + zeros * (size // block) + packer.flush(), zlib.crc32(header)
        for _ in range(size // block):
            crc = zlib.crc32(bytes(block), crc)
        others = [(name, npy(ONE if name[0] == "x" else np.zeros(1, np.int64))) for name in names[1:]]
        archive((names[0], packed), *others)(path)
        content = bytearray(path.read_bytes())
        for start_of, method, sums in ((0, 8, 14), (content.index(b"PK\x01\x02"), 10, 16)):  # as if it were deflated
            content[start_of + method : start_of + method + 2] = struct.pack("<H", 8)
            content[start_of + sums : start_of + sums + 12] = struct.pack("<III", crc, len(packed), size + len(header))
        path.write_bytes(content)

    return make


def batch(labels: object, images: np.ndarray | None = None) -> Callable[[Path], None]:
    """A batch of CIFAR-10 in the Python version, with any labels."""

    def make(path: Path) -> None:
        data = np.zeros((1, 3072), np.uint8) if images is None else images
        path.write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol=2))

    return make


def raw(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def doubled(levels: int, kind: type = list) -> object:
    value = kind([0])
    for _ in range(levels):
        value = kind([value, value])
    return value


def recursive() -> list:
    value: list = [0]
    value.append(value)
    return value


def hashed() -> bytes:
    """A dict with a key, a tuple of tuples, whose hash takes 2**60 steps."""
    return b"\x80\x02}" + b"K\x01\x85" + b"q\x00h\x00\x86" * 60 + b"K\x01s."


def strided() -> bytes:
    """An array of 3 GB over 3072 bytes, by strides of 0: a call of numpy.ndarray, which no batch has."""
    shape = b"(J" + struct.pack("<i", 1 << 20) + b"M\x00\x0ct"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    buffer = b"c_codecs\nencode\nX" + struct.pack("<I", 3072) + b"a" * 3072 + b"X\x06\x00\x00\x00latin1\x86R"
    array = b"cnumpy\nndarray\n(" + shape + kind + buffer + b"K\x00" + b"K\x00K\x00\x86" + b"tR"
    return b"\x80\x02}U\x04data" + array + b"s."


def links(path: Path) -> None:
    """61 links to one image, each of which takes 50 MB when it is decoded."""
    (path / "one").mkdir(parents=True)
    Image.new("RGB", (4096, 4096)).save(path / "one" / "0.png")
    for index in range(1, 62):
        (path / "one" / f"{index}.png").symlink_to("0.png")


def fifo(path: Path) -> None:
    os.mkfifo(path)


HUGE = f"({10**30}, 32, 32, 3)"
LARGE = 1 << 30

CASES = [
    Case("pickle that doubles lists", batch([doubled(26)]), 4, "no list of whole numbers"),
    Case("pickle that doubles tuples as a key", raw(hashed()), 3, "a damaged pickle"),
    Case("pickle with a far memo", raw(b"\x80\x02K\x01r\xff\xff\xff\x3f."), 4, "no array 'data'"),
    Case("pickle with an array by strides", raw(strided()), 5, "nothing of it was run"),
    Case("pickle with ragged labels", batch([0, [1, 2]]), 4, "no list of whole numbers"),
    Case("pickle with recursive labels", batch(recursive()), 4, "no list of whole numbers"),
    Case("pickle with labels that are texts", batch(["cat"]), 4, "no list of whole numbers"),
    Case("pickle with fractions for labels", batch([0.5]), 5, "opcode BINFLOAT"),
    Case("pickle with huge labels", batch([10**30]), 4, "no list of whole numbers"),
    Case("pickle cut off", raw(b"\x80\x02}q\x00U"), 3, "a damaged pickle"),
    Case("pickle with an empty stack", raw(b"\x80\x02s."), 3, "a damaged pickle"),
    Case("links to one large image", links, 4, "images of 4096×4096×3; the network takes 32×32×3"),
    Case(
        "x.npy beside a large x",
        inflating(("x", "x.npy", "y.npy"), LARGE, npy(shape=f"({LARGE // 3072}, 32, 32, 3)")),
        5,
        "2 members for the array x",
    ),
    Case(
        "x that inflates a thousandfold",
        inflating(("x.npy", "y.npy"), 3 << 28, npy(shape=f"({(3 << 28) // 3072}, 32, 32, 3)")),
        5,
        "that unpack to 805306",
    ),
    Case("x.npy twice", archive(("x.npy", npy(ONE)), ("x.npy", npy(ONE)), ("y.npy", npy(np.zeros(1)))), 5, "2 members"),
    Case("ragged labels", x_and_y(y=npy(np.array([0, [1]], object))), 3, "Python objects"),
    Case("header of 10^30", x_and_y(x=npy(shape=HUGE)), 3, "not a valid .npy"),
    Case("header of a negative size", x_and_y(x=npy(shape="(-1, 32, 32, 3)")), 3, "not a valid .npy"),
    Case("header of another size", x_and_y(x=npy(shape="(2, 32, 32, 3)", data=bytes(3072))), 3, "its header states"),
    Case("header that is no header", x_and_y(x=b"\x93NUMPY\x01\x00\x02\x00[["), 3, "not a valid .npy"),
    Case("header nested deep", x_and_y(x=npy(shape="(" * 3000)), 3, "not a valid .npy"),
    Case("header of a huge number", x_and_y(x=npy(shape="(" + "9" * 5000 + ",)")), 3, "not a valid .npy"),
    Case("header of a structure", x_and_y(x=npy(descr="[('a', '<f4')]", data=bytes(4))), 4, "expected numbers"),
    Case("header of an unknown type", x_and_y(x=npy(descr="'|zz'")), 3, "not a valid .npy"),
    Case("header of version 9", x_and_y(x=b"\x93NUMPY\x09\x00\x02\x00{}"), 3, "not a valid .npy"),
    Case("text in place of an array", archive(("x.npy", b"hello"), ("y.npy", b"hello")), 3, "not a valid .npy"),
    Case("method 12", x_and_y(method=zipfile.ZIP_BZIP2), 3, "compressed by method 12"),
    Case("method 14", x_and_y(method=zipfile.ZIP_LZMA), 3, "compressed by method 14"),
    Case("method 99", patched(8, 10, 99), 3, "compressed by method 99"),
    Case("encrypted", patched(6, 8, 1), 3, "is encrypted"),
    Case("version of zip 99", patched(4, 6, 99), 3, "not a valid .npz"),
    Case("fractions for labels", x_and_y(y=npy(np.array([1.5]))), 4, "the label 1.5; expected whole numbers"),
    Case("NaN for a label", x_and_y(y=npy(np.array([np.nan]))), 4, "the label nan; expected whole numbers"),
    Case("a label of 1e30", x_and_y(y=npy(np.array([1e30]))), 4, "labels from 1e+30 to 1e+30"),
    Case("a label of 2**64 - 1", x_and_y(y=npy(np.array([2**64 - 1], np.uint64))), 4, "the network has 10 classes"),
    Case("probabilities for labels", x_and_y(y=npy(np.full((1, 10), 0.1))), 4, "not one-hot"),
    Case("labels of other classes", x_and_y(y=npy(np.eye(3)[:1])), 4, "expected one number an image, or 10, one-hot"),
    Case("labels of three axes", x_and_y(y=npy(np.zeros((1, 1, 1)))), 4, "1 images and labels of shape (1, 1, 1)"),
    Case("one number for labels", x_and_y(y=npy(np.array(1))), 4, "1 images and labels of shape ()"),
    Case("a pipe", fifo, 3, "not a regular file"),
    Case(
        "pixels as fractions",
        x_and_y(x=npy(ONE + np.float32(200))),
        4,
        "values from 200 to 200; expected pixels divided",
    ),
    Case("fractions as whole numbers", x_and_y(x=npy(ONE + 1)), 4, "values from 1 to 1; expected pixels from 0 to 255"),
    Case("pixels of 16 bits", x_and_y(x=npy(ONE + np.uint16(999))), 4, "--scale"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_hostile_data_get_one_line(case, forks, tmp_path) -> None:
    """On commit 7d379ca most ended as tracebacks or by exit 1, took gigabytes or 20 s, or were misread."""
    case.make(tmp_path / "data")
    done = forks.run("evaluate", WEIGHTS, "--data", tmp_path / "data")
    assert (done.code, done.hung) == (case.code, False), done.stderr
    assert done.stderr.startswith("ror-port: ")
    assert done.stderr[:-1].isprintable()
    assert case.message in done.stderr
    assert done.seconds <= SECONDS
    assert done.growth <= MEMORY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(shape=HUGE), "its header states"),
        (npy(shape="(1, 8, 8, 3)", data=bytes(192)), "images of 8×8×3; the network takes 32×32×3"),
        (npy(np.array(["a"])), "expected numbers"),
        (b"\x93NUMPY", "not a valid .npy"),
    ],
)
def test_hostile_images_get_one_line(content, message, forks, tmp_path) -> None:
    """On commit 7d379ca a header of 10^30 ended as a traceback."""
    (tmp_path / "x.npy").write_bytes(content)
    done = forks.run("diagnose", WEIGHTS, "--images", tmp_path / "x.npy")
    assert done.code in (3, 4), done.stderr
    assert done.stderr[:-1].isprintable()
    assert message in done.stderr
    assert done.growth <= MEMORY


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    """64 images of digits, uint8, and their labels."""
    data = digits(stored(DIGITS, Path()))
    return data["x_test"][:64], data["y_test"][:64]


def test_pixels_as_fractions_are_not_divided_by_nothing(forks, images, tmp_path) -> None:
    """On commit 7d379ca they were taken for pixels divided by 255, and scored 36 % without a warning."""
    np.savez(tmp_path / "a.npz", x=images[0].astype(np.float32), y=images[1])
    done = forks.run("evaluate", WEIGHTS, "--data", tmp_path / "a.npz")
    assert done.code == 4
    assert "values from 0 to 255" in done.stderr
    assert "--scale" in done.stderr
    done = forks.run("evaluate", WEIGHTS, "--data", tmp_path / "a.npz", "--scale", "255")
    assert done.code == 0, done.stderr
    assert float(done.stdout.partition("Accuracy : ")[2].split()[0]) > 95


@pytest.mark.parametrize("escape", ["\x1b]0;owned\x07", "\x9b31m", "\r", "\udcff"])
def test_names_of_files_do_not_reach_the_terminal(escape, forks, images, tmp_path) -> None:
    """On commit 7d379ca escape sequences in names of files and in wrong arguments were printed as they are."""
    data, network = tmp_path / f"d{escape}.npz", tmp_path / f"w{escape}.h5"
    with data.open("wb") as file:
        np.savez(file, x=images[0][:2], y=images[1][:2])
    network.write_bytes(WEIGHTS.read_bytes())
    for arguments in (
        ("evaluate", network, "--data", data),
        ("evaluate", network, "--data", tmp_path / f"none{escape}"),
        ("evaluate", network, "--data", data, f"--{escape}"),
        ("evaluate", network, "--data", data, "--runtime", escape),
        ("evaluate", network, "--data", data, escape),
        (f"evaluate{escape}",),
    ):
        done = forks.run(*arguments)
        assert done.code in (0, 2, 3)
        assert (done.stdout + done.stderr).replace("\n", "").isprintable(), arguments


def test_other_forms_that_numpy_writes_are_read(images, tmp_path) -> None:
    from ror_port.check.datasets import open_dataset

    x, y = images
    for name, array in (
        ("fortran", np.asfortranarray(x)),
        ("big", (x / 255).astype(">f8")),
        ("first", x.transpose(0, 3, 1, 2)),
    ):
        np.savez_compressed(tmp_path / f"{name}.npz", x=array, y=y[:, None].astype(np.float32))
        found = open_dataset(tmp_path / f"{name}.npz", (32, 32, 3), 10)
        np.testing.assert_allclose(next(found.batches(64)), x / 255, rtol=1e-15)
        np.testing.assert_array_equal(found.labels, y)


def test_pickles_of_every_protocol_that_keeps_plain_arrays(images, tmp_path) -> None:
    from ror_port.check.datasets import open_dataset

    x, y = images
    records = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    for protocol in (2, 3, 4):
        for labels in (y.tolist(), y):
            (tmp_path / "batch").write_bytes(pickle.dumps({b"data": records, "labels": labels}, protocol=protocol))
            found = open_dataset(tmp_path / "batch", (32, 32, 3), 10)
            np.testing.assert_array_equal(found.images, x)
            np.testing.assert_array_equal(found.labels, y)


def test_a_folder_without_permission_gets_one_line(monkeypatch, tmp_path) -> None:
    """On commit 7d379ca it ended as a traceback."""
    from ror_port.check.datasets import open_dataset
    from ror_port.errors import UnreadableFile

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(UnreadableFile, match=f"^{tmp_path}: permission denied$"):
        open_dataset(tmp_path, (32, 32, 3), 10)
