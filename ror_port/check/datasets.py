"""Labelled images in the forms in which people keep them.

CIFAR-10 in its binary and its Python version (https://www.cs.toronto.edu/~kriz/cifar.html), NumPy's ``.npz`` with
arrays x and y, and a folder with one folder of images a class. Files are untrusted: what they state is compared with
what the network takes before anything is allocated, a pickle is read as data, and no image file is decoded whose size
is another than the network's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ror_port import frameworks
from ror_port.check import pickled
from ror_port.check.arrays import Header, ensure_bounded, read_npy, read_npz
from ror_port.errors import NotACheckpoint, RorPortError, UnreadableFile, UnsafeFile
from ror_port.layout import NCHW_TO_NHWC, Array, Shape, fits, varies
from ror_port.safety import limits
from ror_port.safety.input_file import readable

CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_RECORD = 1 + 3 * 32 * 32
"""Bytes of one image in the binary version: its label, then red, green and blue, row by row."""


@dataclass(frozen=True)
class Dataset:
    """images: (count, height, width, channels), as stored. labels: (count,). scale: what a pixel is divided by."""

    name: str
    images: Array
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    scale: float

    @property
    def preprocessing(self) -> str:
        return f"pixels / {self.scale:g}" if self.scale != 1 else "pixels as they are stored"

    def batches(self, size: int) -> Iterator[Array]:
        """Scaled images, as float64: each runtime rounds to its own precision."""
        for start in range(0, len(self.images), size):
            yield np.asarray(self.images[start : start + size], np.float64) / self.scale


def open_dataset(
    path: Path, shape: Shape, classes: int, *, split: str = "test", scale: float | None = None, limit: int | None = None
) -> Dataset:
    """Reads labelled images that fit a network.

    shape: (height, width, channels) of its images, in which sizes may vary. classes: how many it has. split: "test" or
    "train", of CIFAR-10. scale: what pixels are divided by; 255 for whole numbers, 1 for floating-point ones where it
    is None. limit: the first so many images.

    Raises UnreadableFile, UnsafeFile or, for data that do not fit, NotACheckpoint.
    """
    found = _read(path, split, shape)
    images = _channels_last(path, found.images, shape)
    labels = _labels(path, found.labels, classes)
    if labels.shape != (len(images),):
        raise NotACheckpoint(f"{path}: {len(images)} images and labels of shape {labels.shape}")
    names = found.classes if len(found.classes) == classes else tuple(map(str, range(classes)))
    return Dataset(found.name, images[:limit], labels[:limit], names, _divisor(path, images, scale))


def open_images(path: Path, shape: Shape, scale: float | None, count: int | None = None) -> Array:
    """Images alone, scaled, (count, height, width, channels): from .npy, or from what `open_dataset` reads.

    count: how many there must be, where that is known.
    """

    def validate(headers: Mapping[str, Header]) -> None:
        _ensure_fits(path, headers[""].shape, shape)
        _ensure_count(path, headers[""].shape[0], count)

    is_array = path.suffix == ".npy" and not path.is_dir()
    images = read_npy(path, validate) if is_array else _read(path, "test", shape).images
    images = _channels_last(path, images, shape)
    _ensure_count(path, len(images), count)
    if 8 * images.size > limits.MAX_DATA_BYTES:
        raise UnsafeFile(f"{path}: {8 * images.size} bytes as float64; the limit is {limits.MAX_DATA_BYTES}")
    return np.asarray(images, np.float64) / _divisor(path, images, scale)


def _ensure_count(path: Path, found: int, count: int | None) -> None:
    if count is not None and found != count:
        raise NotACheckpoint(f"{path}: {found} images; {count} are expected")


def _divisor(path: Path, images: Array, scale: float | None) -> float:
    """What pixels are divided by. Raises NotACheckpoint where nobody states it and the values do not tell."""
    if scale is not None:
        return scale
    low, high = images.min(), images.max()
    whole = images.dtype.kind in "iu"
    if (low < 0 or high > 255 or high == 1) if whole else max(-low, high) > limits.MAX_PIXEL:
        expected = "pixels from 0 to 255" if whole else "pixels divided by 255, as when the network was trained"
        raise NotACheckpoint(
            f"{path}: images of type {images.dtype} with values from {low:g} to {high:g}; expected {expected}",
            "state what to divide them by with {scale}: 255 for pixels, 1 for values as they are",
        )
    return 255.0 if whole else 1.0


def _first(shape: Shape) -> Shape:
    """The shape of an image with its channels in front."""
    return (shape[2], *shape[:2])


def _ensure_fits(path: Path, found: Shape, shape: Shape) -> None:
    """Raises NotACheckpoint where an array of such a shape holds no images that the network takes."""
    if len(found) != 4 or not (fits(found[1:], shape) or fits(found[1:], _first(shape))) or not found[0]:
        images = "×".join(map(str, found[1:])) if found and found[0] else "nothing"
        raise NotACheckpoint(f"{path}: images of {images[:100]}; the network takes {'×'.join(map(str, shape))}")


def _channels_last(path: Path, images: Array, shape: Shape) -> Array:
    """Images as (count, height, width, channels), finite and of the network's shape."""
    if images.dtype.kind not in "iuf":
        raise NotACheckpoint(f"{path}: holds {images.dtype}; expected numbers")
    _ensure_fits(path, images.shape, shape)
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise NotACheckpoint(f"{path}: images hold NaN or infinity")
    return images if fits(images.shape[1:], shape) else NCHW_TO_NHWC(images)


class _Found(NamedTuple):
    """What a data set holds. images: (count, height, width, channels) or channels in front. labels: as stored.

    classes: their names, where it has any.
    """

    name: str
    images: Array
    labels: Array
    classes: tuple[str, ...]


def _read(path: Path, split: str, shape: Shape) -> _Found:
    try:
        return _read_folder(path, split, shape) if path.is_dir() else _read_file(path, shape)
    except OSError as error:  # a folder without permission, a disk that fails
        raise UnreadableFile(f"{error.filename or path}: {(error.strerror or str(error)).lower()}") from None


def _read_file(path: Path, shape: Shape) -> _Found:
    size = _ensure_small(path)
    with path.open("rb") as file:
        start = file.read(2)
    if start == b"PK":
        return _npz(path, shape)
    if start[:1] == b"\x80":
        return _cifar("CIFAR-10, Python version", [_cifar_pickle(path)])
    if size % _RECORD == 0:
        return _cifar("CIFAR-10, binary version", [_cifar_binary(path)])
    raise UnreadableFile(f"{path}: neither CIFAR-10 (binary or Python version) nor .npz")


def _ensure_small(path: Path) -> int:
    """The size of a file. Raises UnsafeFile where it is larger than any data set."""
    size = readable(path).stat().st_size
    if size > limits.MAX_DATA_BYTES:
        raise UnsafeFile(f"{path}: {size} bytes; the limit for images is {limits.MAX_DATA_BYTES}")
    return size


def _read_folder(path: Path, split: str, shape: Shape) -> _Found:
    batches = ["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)]
    for suffix, version, read in ((".bin", "binary", _cifar_binary), ("", "Python", _cifar_pickle)):
        files = [path / (batch + suffix) for batch in batches]
        if files[0].is_file():
            return _cifar(f"CIFAR-10, {version} version, {split} split", [read(file) for file in files])
    return _class_folders(path, shape)


def _cifar(name: str, batches: list[tuple[Array, Array]]) -> _Found:
    images = NCHW_TO_NHWC(np.concatenate([images for images, _ in batches]).reshape(-1, 3, 32, 32))
    return _Found(name, images, np.concatenate([labels for _, labels in batches]), CIFAR_CLASSES)


def _cifar_binary(path: Path) -> tuple[Array, Array]:
    size = _ensure_small(path)
    if size % _RECORD:
        raise UnreadableFile(f"{path}: {size} bytes are no whole number of CIFAR-10 records of {_RECORD}")
    records = np.fromfile(path, np.uint8, size).reshape(-1, _RECORD)
    return records[:, 1:], records[:, 0]


def _cifar_pickle(path: Path) -> tuple[Array, Array]:
    _ensure_small(path)
    try:
        content = pickled.load(path.read_bytes())
    except UnsafeFile as error:
        raise UnsafeFile(f"{path}: a pickle that {error}; nothing of it was run") from None
    except UnreadableFile as error:
        raise UnreadableFile(f"{path}: {error}") from None
    members = content if isinstance(content, dict) else {}
    images, labels = pickled.array(members.get("data")), members.get("labels")
    if images is None or images.dtype != np.uint8 or images.shape[1:] != (_RECORD - 1,):
        raise NotACheckpoint(f"{path}: not a batch of CIFAR-10: no array 'data' of 3072 bytes an image")
    array = pickled.array(labels)
    return images, _numbers(path, labels) if array is None else array


def _numbers(path: Path, labels: Any) -> Array:
    """An array of a list of whole numbers, which is not walked through any deeper."""
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise NotACheckpoint(f"{path}: not a batch of CIFAR-10: 'labels' is no list of whole numbers from 0 to 9")
    return np.array(labels, np.int64)


def _npz(path: Path, shape: Shape) -> _Found:
    def validate(headers: Mapping[str, Header]) -> None:
        images, labels = headers["x"].shape, headers["y"].shape
        _ensure_fits(path, images, shape)
        if not labels or len(labels) > 2 or labels[0] != images[0]:
            raise NotACheckpoint(f"{path}: {images[0]} images and labels of shape {labels}")

    arrays = read_npz(path, ("x", "y"), validate)
    return _Found("arrays x and y", arrays["x"], arrays["y"], ())


def _labels(path: Path, labels: Array, classes: int) -> NDArray[np.int64]:
    """(count,) from (count,), (count, 1) or one-hot (count, classes)."""
    if labels.ndim == 2 and labels.shape[1] == classes > 1:
        if not ((labels != 0).sum(1) == 1).all() or not (labels.max(1) == 1).all():
            raise NotACheckpoint(f"{path}: labels of shape {labels.shape} that are not one-hot")
        return np.asarray(labels.argmax(1), np.int64)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise NotACheckpoint(
            f"{path}: labels of shape {labels.shape}; expected one number an image, or {classes}, one-hot"
        )
    if labels.dtype.kind == "f":
        odd = labels[~(np.trunc(labels) == labels)]
        if odd.size:
            raise NotACheckpoint(f"{path}: the label {odd[0]:g}; expected whole numbers")
    low, high = labels.min(), labels.max()
    if low < 0 or high >= classes:
        raise NotACheckpoint(f"{path}: labels from {low:g} to {high:g}; the network has {classes} classes")
    return labels.astype(np.int64)


_IMAGE_FILES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".ppm": "PPM"}
"""Suffix of an image file in a folder of classes → the one decoder that is tried on it."""


def _class_folders(path: Path, shape: Shape) -> _Found:
    classes = sorted(item for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))
    files = [
        (file, label)
        for label, folder in enumerate(classes)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in _IMAGE_FILES
    ]
    if not files:
        raise NotACheckpoint(f"{path}: neither a CIFAR-10 folder nor one with a folder of images for every class")
    if varies(shape):
        raise NotACheckpoint(f"{path}: image files are for networks of one size; give arrays x and y, as .npz")
    if shape[2] != 3:
        raise NotACheckpoint(f"{path}: image files have 3 channels here; the network takes {shape[2]}")
    ensure_bounded(path, len(files) * int(np.prod(shape)), _stored([file for file, _ in files]))
    images = np.empty((len(files), *shape), np.uint8)
    for index, (file, _) in enumerate(files):
        images[index] = _image(file, shape)
    labels = np.array([label for _, label in files], np.int64)
    return _Found(f"{len(classes)} class folders", images, labels, tuple(folder.name for folder in classes))


def _stored(files: Sequence[Path]) -> int:
    """Bytes of files, a file that several links lead to counted once."""
    states = (readable(file).stat() for file in files)
    return sum({(state.st_dev, state.st_ino): state.st_size for state in states}.values())


def _image(path: Path, shape: Shape) -> NDArray[np.uint8]:
    """(height, width, 3). The size that a file states is compared before it is decoded."""
    pillow = frameworks.pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images, which are refused anyway
            with pillow.open(readable(path), formats=(_IMAGE_FILES[path.suffix.lower()],)) as image:
                _ensure_fits(path, (1, image.height, image.width, 3), shape)
                return np.asarray(image.convert("RGB"))
    except RorPortError:
        raise
    except Exception as error:  # decoders raise many kinds over a damaged file
        raise UnreadableFile(f"{path}: not a valid image ({' '.join(str(error).split())[:200]})") from None
