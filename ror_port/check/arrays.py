"""NumPy's own files, untrusted: ``.npy`` and ``.npz``, whose headers are validated before anything is allocated."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile, quote
from ror_port.layout import Array, Shape
from ror_port.safety import limits
from ror_port.safety.archive import open_archive
from ror_port.safety.input_file import readable

_BLOCK = 1 << 20


class Header(NamedTuple):
    """What a file states of its array. fortran: whether its first axis varies fastest."""

    shape: Shape
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


Validate = Callable[[Mapping[str, Header]], None]
"""Raises an error where arrays are not wanted, told by their headers."""


def read_npy(path: Path, validate: Validate) -> Array:
    """The array of a ``.npy`` file. validate: gets its header under the name ""."""
    size = readable(path).stat().st_size
    with path.open("rb") as file:
        header = _header(file, f"{path}")
        _ensure_whole(header, size - file.tell(), f"{path}")
        ensure_bounded(path, header.bytes, size)
        validate({"": header})
        try:
            return _values(file, header)
        except (OSError, EOFError) as error:
            raise UnreadableFile(f"{path}: not a valid .npy ({error})") from None


def read_npz(path: Path, names: tuple[str, ...], validate: Validate) -> dict[str, Array]:
    """Arrays of a ``.npz`` file by their names. validate: gets the headers, before any values are read."""
    try:
        with open_archive(path) as archive:
            members = {name: _member(archive, name, names, path) for name in names}
            headers = {}
            for name, member in members.items():
                with archive.open(member) as file:
                    headers[name] = _header(file, f"{path}: {name}")
                    _ensure_whole(headers[name], member.file_size - file.tell(), f"{path}: {name}")
            ensure_bounded(path, sum(header.bytes for header in headers.values()), path.stat().st_size)
            validate(headers)
            found = {}
            for name, member in members.items():
                with archive.open(member) as file:
                    found[name] = _values(file, _header(file, f"{path}: {name}"))
            return found
    except (UnreadableFile, UnsafeFile, NotACheckpoint):
        raise
    except Exception as error:  # zipfile and zlib raise many kinds over a damaged file
        raise UnreadableFile(f"{path}: not a valid .npz ({' '.join(str(error).split())[:200]})") from None


def ensure_bounded(path: Path, unpacked: int, stored: int) -> None:
    """Raises UnsafeFile where data take more memory than any data set, or far more than what is stored of them."""
    limit = min(limits.MAX_DATA_BYTES, max(limits.MAX_SMALL_DATA_BYTES, limits.MAX_EXPANSION * stored))
    if unpacked > limit:
        raise UnsafeFile(f"{path}: {stored} bytes that unpack to {unpacked}; the limit for them is {limit}")


def _member(archive: zipfile.ZipFile, name: str, wanted: tuple[str, ...], path: Path) -> zipfile.ZipInfo:
    """The only member that NumPy could take for an array."""
    found = [info for info in archive.infolist() if info.filename in (name, f"{name}.npy")]
    if not found:
        others = ", ".join(quote(info.filename.removesuffix(".npy")) for info in archive.infolist()[:5]) or "nothing"
        raise NotACheckpoint(f"{path}: expected arrays {' and '.join(wanted)}; found {others}")
    if len(found) > 1:
        names = ", ".join(quote(info.filename) for info in found[:5])
        raise UnsafeFile(f"{path}: {len(found)} members for the array {name}: {names}")
    (member,) = found
    if member.flag_bits & 1:
        raise UnreadableFile(f"{path}: {name} is encrypted; np.savez writes it plain")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableFile(f"{path}: {name} is compressed by method {member.compress_type}; deflate is read")
    return member


def _header(file: IO[bytes], where: str) -> Header:
    try:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files of Python 2, whose whole numbers end in L
            shape, fortran, dtype = readers[version](file)
    except Exception as error:  # the header is text that a parser of Python's reads
        raise UnreadableFile(f"{where}: not a valid .npy ({' '.join(str(error).split())[:200]})") from None
    if dtype.hasobject:
        raise UnreadableFile(f"{where}: holds Python objects, as a pickle that is never opened; expected numbers")
    if dtype.kind not in "biuf":
        raise NotACheckpoint(f"{where}: holds {quote(str(dtype))}; expected numbers")
    if any(side < 0 for side in shape) or len(shape) > limits.MAX_AXES:
        raise UnreadableFile(f"{where}: not a valid .npy (shape {quote(str(shape))})")
    return Header(tuple(map(int, shape)), dtype, bool(fortran))


def _ensure_whole(header: Header, stored: int, where: str) -> None:
    if header.bytes != stored:
        states = f"{header.dtype} of shape {quote(str(header.shape))}"
        raise UnreadableFile(f"{where}: not a valid .npy ({stored} bytes of values; its header states {states})")


def _values(file: IO[bytes], header: Header) -> Array:
    array = np.empty(math.prod(header.shape), header.dtype)
    room = array.view(np.uint8)
    for start in range(0, len(room), _BLOCK):
        block = room[start : start + _BLOCK]
        read = file.read(len(block))
        if len(read) < len(block):
            raise EOFError("the values end early")
        block[:] = np.frombuffer(read, np.uint8)
    if array.size:
        file.read(1)  # at its end a member's checksum is compared
    return array.reshape(header.shape[::-1]).T if header.fortran else array.reshape(header.shape)
