"""Mutations of what describes the tensors: of every byte of a file but those of the tensors themselves.

And mutations of the architecture alone, as JSON.

The elements of a tensor are unprotected: with a flipped bit one has another value, and nothing in the file shows it.
All else is structure (or text), where damage should be detected.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FIELDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
"""Values at which counts, sizes and addresses overflow or are undefined."""


class Target:
    """A genuine file, and the offsets of its bytes that belong to no tensor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = path.read_bytes()
        structure = np.ones(len(self.content), bool)
        for start, stop in _tensors(self.content):
            structure[start:stop] = False
        self.offsets = np.flatnonzero(structure)
        self.used = self.offsets[np.frombuffer(self.content, np.uint8)[self.offsets] != 0]

    def mutated(self, random: np.random.Generator) -> bytes:
        """The content with one to four pieces of damage."""
        content = bytearray(self.content)
        for _ in range(int(random.choice([1, 1, 1, 2, 4]))):
            self._damage(content, random)
        return bytes(content)

    def _damage(self, content: bytearray, random: np.random.Generator) -> None:
        offset = int(random.choice(self.used if random.random() < 0.8 else self.offsets))
        width = int(random.choice([1, 2, 4, 8]))
        word = slice(offset, offset + width)
        if not np.isin(np.arange(offset, offset + width), self.offsets).all():
            width, word = 1, slice(offset, offset + 1)
        match int(random.integers(5)):
            case 0 | 1:
                content[offset] ^= 1 << int(random.integers(8))
            case 2:
                content[word] = random.bytes(width)
            case 3:
                number = int(random.choice(np.array(FIELDS, object))) & ((1 << 8 * width) - 1)
                content[word] = number.to_bytes(width, "little")
            case 4:  # the bytes at another offset: an address, a size or a name of something else
                other = int(random.choice(self.used))
                other -= other % width
                content[word] = self.content[other : other + width].ljust(width, b"\0")


ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 0.5, 1e-3, 1e300, 10**30, float("nan"), float("inf")),
    *(
        "",
        "relu",
        "same",
        "channels_first",
        "Lambda",
        "Sequential",
        "Model",
        "Merge",
        "\0\x1b[2J",
        "../x",
        "x" * 10_000,
    ),
    *([], {}, [[]], [1, 1], [None, 8], [["input_1", 0, 0]], {"class_name": "Merge", "config": {}}),
)
"""What parts of an architecture become."""


class Architecture:
    """A genuine file whose architecture is mutated, as JSON and as text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = path.read_bytes()
        if self.content.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                self.members = {name: archive.read(name) for name in archive.namelist()}
            self.text = self.members["config.json"].decode()
        else:
            with h5py.File(path) as file:
                self.text = file.attrs["model_config"]

    def mutated(self, random: np.random.Generator) -> bytes:
        """The content with an architecture of one to four pieces of damage."""
        config = json.loads(self.text)
        for _ in range(int(random.choice([1, 1, 1, 2, 4]))):
            self._damage(config, random)
        text = json.dumps(config)
        if random.random() < 0.1:
            at, length = random.integers(len(text), size=2)
            text = text[:at] + text[at + length % 50 :]
        packed = io.BytesIO(b"" if self.content.startswith(b"PK") else self.content)
        if self.content.startswith(b"PK"):
            with zipfile.ZipFile(packed, "w") as archive:
                for name, content in {**self.members, "config.json": text.encode()}.items():
                    archive.writestr(name, content)
        else:
            with h5py.File(packed, "r+") as file:
                file.attrs.create("model_config", text.replace("\0", ""), dtype=h5py.string_dtype())
        return packed.getvalue()

    def _damage(self, config: Any, random: np.random.Generator) -> None:
        places = list(_places(config))
        place, key = places[random.integers(len(places))]
        match int(random.integers(5)):
            case 0:
                del place[key]
            case 1:  # a part of the architecture at another place
                other, name = places[random.integers(len(places))]
                place[key] = json.loads(json.dumps(other[name]))
            case 2 if isinstance(place, list):
                place.insert(key, json.loads(json.dumps(place[key])))
            case _:
                place[key] = ODD[random.integers(len(ODD))]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a JSON value: the list or mapping that it is in, and where."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _tensors(content: bytes) -> list[tuple[int, int]]:
    """The extents of the tensors in a file, (start, stop) in bytes."""
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inner = archive.read("model.weights.h5")
        start = content.index(inner)
        return [(start + begin, start + end) for begin, end in _tensors_of_hdf5(inner)]
    if content[8:9] == b"{":
        start = 8 + int.from_bytes(content[:8], "little")
        return [(start, len(content))]
    if content.startswith(b"\x08"):
        return list(_tensors_of_onnx(content))
    return _tensors_of_hdf5(content)


def _tensors_of_onnx(content: bytes) -> Iterator[tuple[int, int]]:
    import onnx

    end = 0
    for tensor in onnx.load_model_from_string(content).graph.initializer:  # in the order of the file
        start = content.index(tensor.raw_data, content.index(tensor.name.encode(), end))
        end = start + len(tensor.raw_data)
        yield start, end


def _tensors_of_hdf5(content: bytes) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []

    def visit(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            if item.chunks:
                for index in range(item.id.get_num_chunks()):
                    chunk = item.id.get_chunk_info(index)
                    found.append((chunk.byte_offset, chunk.byte_offset + chunk.size))
            elif item.id.get_offset() is not None:
                found.append((item.id.get_offset(), item.id.get_offset() + item.nbytes))

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(visit)
    return found
