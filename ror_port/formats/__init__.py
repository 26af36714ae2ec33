"""One module a file format. `open_checkpoint` finds out which one a file is."""

from __future__ import annotations

from pathlib import Path

from ror_port.checkpoint import Checkpoint
from ror_port.errors import UnreadableFile
from ror_port.formats import hdf5, keras3, keras_hdf5

_LOOKALIKES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights themselves; fetch them with 'git lfs pull'"),
    (b"<", "an HTML or XML page, perhaps a failed download"),
    (b"\x80", "a Python pickle, which is never opened because loading one can run code"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
)


def open_checkpoint(path: Path) -> Checkpoint:
    """Opens any file that ror-port reads; told by its content, never by its name."""
    start = hdf5.first_bytes(path)
    if start.startswith(b"PK\x03\x04"):
        with hdf5.damage(path):
            return keras3.read_archive(path)
    if not hdf5.has_signature(path):
        guess = next((text for magic, text in _LOOKALIKES if start.lstrip().startswith(magic)), "not an HDF5 file")
        raise UnreadableFile(f"{path}: {guess}; expected the HDF5 file that Keras' save_weights or save wrote")
    with hdf5.damage(path):
        with hdf5.hdf5(path, path) as file:
            modern = "layers" in file and not {"layer_names", "layer_names0"} & set(file.attrs)
        return keras3.read_weights(path) if modern else keras_hdf5.read(path)
