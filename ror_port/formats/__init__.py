"""One module a file format. `open_checkpoint` finds out which one a file is."""

from __future__ import annotations

from pathlib import Path

from ror_port import confine, limits
from ror_port.checkpoint import Checkpoint, Stamp, sha256
from ror_port.errors import UnreadableFile, UnsafeFile
from ror_port.formats import hdf5, keras3, keras_hdf5

_LOOKALIKES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights themselves; fetch them with 'git lfs pull'"),
    (b"<", "an HTML or XML page, perhaps a failed download"),
    (b"\x80", "a Python pickle, which is never opened because loading one can run code"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
)


def open_checkpoint(path: Path, expected: str | None = None) -> Checkpoint:
    """Opens any file that ror-port reads; told by its content, never by its name.

    expected: the sha256 that the file must have, seen to before anything in it is interpreted.
    """
    stamp = Stamp.of(hdf5.readable(path))
    if expected and sha256(path) != expected.lower():
        raise UnsafeFile(f"{path}: not the file that is expected: its sha256 is {sha256(path)}")
    trouble = confine.rehearse(
        lambda: _confined(path), 1 + min(stamp.size // limits.BYTES_A_SECOND, limits.MAX_SECONDS)
    )
    if trouble:
        raise UnreadableFile(f"{path}: damaged (the HDF5 library cannot take it apart: {trouble})")
    checkpoint = _confined(path)
    checkpoint.stamp = stamp
    return checkpoint


def _confined(path: Path) -> Checkpoint:
    with hdf5.damage(path), confine.bounded(limits.MAX_GROWTH):
        return _open(path)


def _open(path: Path) -> Checkpoint:
    start = hdf5.first_bytes(path)
    if start.startswith(b"PK\x03\x04"):
        return keras3.read_archive(path)
    if not hdf5.has_signature(path):
        guess = next((text for magic, text in _LOOKALIKES if start.lstrip().startswith(magic)), "not an HDF5 file")
        raise UnreadableFile(f"{path}: {guess}; expected the HDF5 file that Keras' save_weights or save wrote")
    with hdf5.hdf5(path, path) as file:
        modern = "layers" in file and not any(name in file.attrs for name in ("layer_names", "layer_names0"))
    return keras3.read_weights(path) if modern else keras_hdf5.read(path)
