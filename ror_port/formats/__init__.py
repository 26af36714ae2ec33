"""One module a file format. `kind_of` finds out which one a file is."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile
from ror_port.formats import keras_hdf5, safetensors
from ror_port.formats.checkpoint import Checkpoint, sha256, stamp
from ror_port.formats.format import BY_KIND, named
from ror_port.formats.hdf5 import reader as hdf5
from ror_port.network.graph import Graph
from ror_port.safety import limits
from ror_port.safety.input_file import first_bytes, readable
from ror_port.safety.parsing import describe_in_child, library_errors

_LOOKALIKES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights themselves; fetch them with 'git lfs pull'"),
    (b"<", "an HTML or XML page, perhaps a failed download"),
    (b"\x80", "a Python pickle, which is never opened because loading one can run code"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
)


KERAS_FOLDER = ("metadata.json", "config.json", "model.weights.h5")
"""Files of an unpacked ``.keras``."""


def kind_of(path: Path) -> str:
    """Which format a file or folder has; told by its content, never by its name.

    "hdf5-weights" and "hdf5-model" of Keras 1 and 2, "weights" of Keras 3 (.weights.h5), "keras", "hf", "safetensors",
    "pt", "onnx" or "savedmodel". Raises UnreadableFile where it is none.
    """
    if kind := _kind_of_others(path):
        return kind
    kind, _ = describe_in_child(path, lambda: _described(path, whole=False), trusted=False)
    return str(kind)


def _kind_of_others(path: Path) -> str | None:
    """The kind of what is not HDF5, by how it begins."""
    if folder := _kind_of_folder(path):
        return folder
    start = first_bytes(path)
    if start.startswith(b"PK\x03\x04"):
        return "pt" if _saved_by_torch(path) else "keras"
    if start[8:9] == b"{":  # behind the length of the header
        return "safetensors"
    if start.startswith(b"\x08"):  # field 1 of its protobuf, a number
        return "onnx"
    if not start.startswith(hdf5.SIGNATURE) and not hdf5.has_signature(path):
        guess = next((text for magic, text in _LOOKALIKES if start.lstrip().startswith(magic)), "not an HDF5 file")
        raise UnreadableFile(f"{path}: {guess}; expected the HDF5 file that Keras' save_weights or save wrote")
    return None


def _kind_of_folder(path: Path) -> str | None:
    if _holds(path, safetensors.WEIGHTS):
        return "safetensors"
    if all(_holds(path, name) for name in KERAS_FOLDER):
        return "hf"
    return "savedmodel" if _holds(path, "saved_model.pb") else None


def _holds(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except OSError:  # no permission, a loop: met again, and said, when it is opened
        return False


def is_checkpoint_folder(path: Path) -> bool:
    """Whether a folder is, or is called as, a checkpoint as a whole, as PyTorch's and a SavedModel are."""
    return _kind_of_folder(path) is not None or os.path.lexists(path / safetensors.WEIGHTS)


def may_be_checkpoint(path: Path) -> bool:
    """Whether a file begins as one that ror-port reads does, or is called as one: what is searched for in folders.

    What is no regular file, or cannot be read, may be one too: `open_checkpoint` says why it is not.
    """
    try:
        if path.stat().st_size == 0 and path.is_file():
            return _is_called_so(path.name)
        start = first_bytes(path)
    except (OSError, UnreadableFile, UnsafeFile):
        return True
    if start.startswith(b"PK\x03\x04"):
        return _is_called_so(path.name) or _saved_by_torch(path) or start[30:].startswith(_FIRST_OF_KERAS)
    header = int.from_bytes(start[:8], "little")
    return (
        start.startswith(hdf5.SIGNATURE)
        or _is_called_so(path.name)
        or (start[8:9] == b"{" and header < path.stat().st_size)  # safetensors
        or (start[0] == 8 and start[1:2] < b"\x20" and start[2:3] in _AFTER_VERSION_OF_ONNX)
        or hdf5.has_signature(path)
    )


_FIRST_OF_KERAS = tuple(name.encode() for name in KERAS_FOLDER)
"""Names of which the first member of a ``.keras`` has one."""

_AFTER_VERSION_OF_ONNX = (b"\x12", b"\x1a", b"\x3a", b"\x42")
"""What follows on the version of ONNX: its producer's name and version, the graph, or the operator sets."""


def _is_called_so(name: str) -> bool:
    return named(name.lower()) is not None or name.lower().endswith(".safetensors")


def _described(path: Path, *, whole: bool = True, trusted: bool = False) -> tuple[str, Any]:
    """Kind and description of an HDF5 file."""
    with hdf5.hdf5(path, path) as root:
        if hdf5.has_member(root, "layers") and not keras_hdf5.is_list(root):
            from ror_port.formats import keras_3

            return "weights", keras_3.describe(root, path, trusted=trusted) if whole else None
        kind = "hdf5-model" if hdf5.has_attribute(root, "model_config") else "hdf5-weights"
        return kind, keras_hdf5.describe(root, path, trusted=trusted) if whole else None


def _saved_by_torch(path: Path) -> bool:
    """By the name of the first member, behind its header of 30 bytes; whole, a list of members may be endless."""
    start = first_bytes(path, 30 + limits.MAX_NAME)
    return start[30 : 30 + int.from_bytes(start[26:28], "little")].endswith(b"/data.pkl")


def open_checkpoint(path: Path, expected: str | None = None, *, trusted: bool = False) -> Checkpoint:
    """Opens any file or folder that ror-port reads.

    expected: the sha256 that it must have, compared before anything in it is interpreted. trusted: a file that this
    process wrote, and that no other process knows of; no child process parses it first, and what only a hostile or
    damaged file has is not searched for. The caller compares every tensor.
    """
    before = stamp(path if _kind_of_folder(path) else readable(path))
    if expected and (found := sha256(path)) != expected.lower():
        raise UnsafeFile(f"{path}: not the file that is expected: its sha256 is {found}")
    kind = _kind_of_others(path)
    if kind == "savedmodel":
        raise NotACheckpoint(
            f"{path}: a SavedModel, which keeps no names that could be relied on; give the .keras or .h5 file instead"
        )
    if kind:
        with library_errors(path):
            checkpoint = BY_KIND[kind].read(path, trusted=trusted)
    else:
        checkpoint = _open_hdf5(path, trusted)
    checkpoint.stamp = before
    return checkpoint


def _open_hdf5(path: Path, trusted: bool) -> Checkpoint:
    with ExitStack() as on_error:
        file = on_error.enter_context(path.open("rb"))
        kind, said = describe_in_child(path, lambda: _described(path, trusted=trusted), trusted=trusted)
        if kind == "weights":
            from ror_port.formats import keras_3

            checkpoint = keras_3.read_weights(file, said, path)
        else:
            checkpoint = keras_hdf5.read(file, said, path)
        on_error.pop_all()
    return checkpoint


def compare_with_graph(checkpoint: Checkpoint, network: str, graph: Graph) -> None:
    """Raises UnknownNetwork where what a file holds beside its tensors is not the graph. network: its name."""
    if checkpoint.operators is not None:
        from ror_port.formats import onnx

        onnx.compare(checkpoint, network, graph)
