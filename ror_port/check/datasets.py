"""Labelled images in the forms in which people keep them.

CIFAR-10 in its binary and its Python version (https://www.cs.toronto.edu/~kriz/cifar.html), NumPy's ``.npz`` with
arrays x and y, and a folder with one folder of images a class. Files are untrusted: sizes are limited, a pickle may
only build plain arrays, and no image file is decoded that claims to be larger than the limit.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port import frameworks
from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile, quote
from ror_port.layout import NCHW_TO_NHWC, Array, Shape
from ror_port.safety import limits
from ror_port.safety.input_file import readable

CIFAR_SHAPE = (32, 32, 3)
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

    shape: (height, width, channels) of its images; classes: how many it has. split: "test" or "train", of
    CIFAR-10. scale: what pixels are divided by; 255 for whole numbers, 1 for floating-point ones where it is None.
    limit: the first so many images.

    Raises UnreadableFile, UnsafeFile or, for data that do not fit, NotACheckpoint.
    """
    name, images, labels, names = _read(path, split)
    images = _fitting(path, images, shape)
    if labels.shape != (len(images),):
        raise NotACheckpoint(f"{path}: {len(images)} images and labels of shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        raise NotACheckpoint(f"{path}: labels from {labels.min()} to {labels.max()}; the network has {classes} classes")
    divisor = scale if scale is not None else 255.0 if images.dtype.kind in "iu" else 1.0
    names = names if len(names) == classes else tuple(map(str, range(classes)))
    return Dataset(name, images[:limit], labels[:limit], names, divisor)


def open_images(path: Path, shape: Shape, scale: float | None) -> Array:
    """Images alone, scaled, (count, height, width, channels): from .npy, or from what `open_dataset` reads."""
    if path.is_file() and path.suffix == ".npy":
        try:
            images = np.load(readable(path), allow_pickle=False, mmap_mode="r")
        except (ValueError, OSError, EOFError) as error:
            raise UnreadableFile(f"{path}: not a valid .npy ({' '.join(str(error).split())[:200]})") from None
        if images.nbytes > limits.MAX_DATA_BYTES:
            raise UnsafeFile(f"{path}: {images.nbytes} bytes; the limit for images is {limits.MAX_DATA_BYTES}")
    else:
        images = _read(path, "test")[1]
    images = _fitting(path, np.asarray(images), shape)
    divisor = scale if scale is not None else 255.0 if images.dtype.kind in "iu" else 1.0
    return np.asarray(images, np.float64) / divisor


def _fitting(path: Path, images: Array, shape: Shape) -> Array:
    """Images as (count, height, width, channels), finite and of the network's shape."""
    if images.dtype.kind not in "iuf":
        raise NotACheckpoint(f"{path}: holds {images.dtype}; expected numbers")
    if images.ndim == 4 and images.shape[1:] != shape and images.shape[1:] == (shape[2], *shape[:2]):
        images = NCHW_TO_NHWC(images)
    if images.ndim != 4 or images.shape[1:] != shape or not len(images):
        found = "×".join(map(str, images.shape[1:])) if len(images) else "nothing"
        raise NotACheckpoint(f"{path}: images of {found}; the network takes {'×'.join(map(str, shape))}")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise NotACheckpoint(f"{path}: images hold NaN or infinity")
    return images


_Parts = tuple[str, Array, NDArray[np.int64], tuple[str, ...]]


def _read(path: Path, split: str) -> _Parts:
    if path.is_dir():
        return _read_folder(path, split)
    size = readable(path).stat().st_size
    if size > limits.MAX_DATA_BYTES:
        raise UnsafeFile(f"{path}: {size} bytes; the limit for images is {limits.MAX_DATA_BYTES}")
    with path.open("rb") as file:
        start = file.read(2)
    if start == b"PK":
        return _npz(path)
    if start[:1] == b"\x80":
        return _cifar("CIFAR-10, Python version", [_cifar_pickle(path)])
    if size % _RECORD == 0:
        return _cifar("CIFAR-10, binary version", [_cifar_binary(path)])
    raise UnreadableFile(f"{path}: neither CIFAR-10 (binary or Python version) nor .npz")


def _read_folder(path: Path, split: str) -> _Parts:
    batches = ["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)]
    for suffix, version, read in ((".bin", "binary", _cifar_binary), ("", "Python", _cifar_pickle)):
        files = [path / (batch + suffix) for batch in batches]
        if files[0].is_file():
            return _cifar(f"CIFAR-10, {version} version, {split} split", [read(file) for file in files])
    return _class_folders(path)


def _cifar(name: str, batches: list[tuple[Array, NDArray[np.int64]]]) -> _Parts:
    images = NCHW_TO_NHWC(np.concatenate([images for images, _ in batches]).reshape(-1, 3, 32, 32))
    return name, images, np.concatenate([labels for _, labels in batches]), CIFAR_CLASSES


def _cifar_binary(path: Path) -> tuple[Array, NDArray[np.int64]]:
    data = np.fromfile(readable(path), np.uint8)
    if len(data) % _RECORD:
        raise UnreadableFile(f"{path}: {len(data)} bytes are no whole number of CIFAR-10 records of {_RECORD}")
    records = data.reshape(-1, _RECORD)
    return records[:, 1:], records[:, 0].astype(np.int64)


class _ArraysOnly(pickle.Unpickler):
    """A pickle may name nothing but what plain arrays are made of; anything else could run code."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _encode,
        }
        package = module.rpartition(".")[2] if module in _NUMPY_MODULES else module
        if (package, name) not in allowed:
            raise UnsafeFile(f"names {quote(f'{module}.{name}')}, which no list of images needs; nothing of it was run")
        return allowed[package, name]


_NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise UnsafeFile("asks for an encoding that no list of images needs")
    return text.encode("latin1")


def _cifar_pickle(path: Path) -> tuple[Array, NDArray[np.int64]]:
    try:
        content = _ArraysOnly(io.BytesIO(readable(path).read_bytes()), encoding="bytes").load()
    except UnsafeFile as error:
        raise UnsafeFile(f"{path}: a pickle that {error}") from None
    except Exception as error:  # pickle raises many kinds over a damaged file
        raise UnreadableFile(f"{path}: a damaged pickle ({type(error).__name__})") from None
    members = {k.decode("latin1") if isinstance(k, bytes) else k: v for k, v in _mapping(content).items()}
    images, labels = members.get("data"), members.get("labels")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (_RECORD - 1,):
        raise NotACheckpoint(f"{path}: not a batch of CIFAR-10: no array 'data' of 3072 bytes an image")
    return images, _labels(path, np.asarray(labels))


def _mapping(content: Any) -> dict[Any, Any]:
    return content if isinstance(content, dict) else {}


def _npz(path: Path) -> _Parts:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
        if not {"x", "y"} <= sizes.keys():
            found = ", ".join(map(quote, sorted(sizes)[:5])) or "nothing"
            raise NotACheckpoint(f"{path}: expected arrays x and y; found {found}")
        if max(sizes.values()) > limits.MAX_DATA_BYTES:
            raise UnsafeFile(f"{path}: unpacks to {max(sizes.values())} bytes; the limit is {limits.MAX_DATA_BYTES}")
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = arrays["x"], arrays["y"]
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError) as error:
        raise UnreadableFile(f"{path}: not a valid .npz ({' '.join(str(error).split())[:200]})") from None
    return "arrays x and y", images, _labels(path, labels), ()


def _labels(path: Path, labels: Array) -> NDArray[np.int64]:
    """(count,) from (count,), (count, 1) or one-hot (count, classes)."""
    if labels.dtype.kind not in "iufb":
        raise NotACheckpoint(f"{path}: labels of type {labels.dtype}; expected numbers")
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(1)
    return labels.astype(np.int64)


_IMAGE_FILES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".ppm": "PPM"}
"""Suffix of an image file in a folder of classes → the one decoder that is tried on it."""


def _class_folders(path: Path) -> _Parts:
    classes = sorted(item for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))
    files = [
        (file, label)
        for label, folder in enumerate(classes)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in _IMAGE_FILES
    ]
    if not files:
        raise NotACheckpoint(f"{path}: neither a CIFAR-10 folder nor one with a folder of images for every class")
    images = [_image(file) for file, _ in files]
    odd = next((i for i, image in enumerate(images) if image.shape != images[0].shape), None)
    if odd is not None:
        raise NotACheckpoint(f"{files[odd][0]}: {images[odd].shape}; the first image has {images[0].shape}")
    labels = np.array([label for _, label in files], np.int64)
    return f"{len(classes)} class folders", np.stack(images), labels, tuple(folder.name for folder in classes)


def _image(path: Path) -> NDArray[np.uint8]:
    """(height, width, 3)"""
    pillow = frameworks.pillow()
    try:
        with pillow.open(readable(path), formats=(_IMAGE_FILES[path.suffix.lower()],)) as image:
            if max(image.size) > limits.MAX_IMAGE_SIDE:
                raise UnsafeFile(f"{path}: {image.size[0]}×{image.size[1]} pixels; no network here takes that")
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise UnreadableFile(f"{path}: not a valid image ({' '.join(str(error).split())[:200]})") from None
