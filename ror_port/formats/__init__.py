"""One module a file format. `kind_of` finds out which one a file is."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile
from ror_port.formats import keras_hdf5, safetensors
from ror_port.formats.checkpoint import Checkpoint, sha256, stamp
from ror_port.formats.format import BY_KIND
from ror_port.formats.hdf5 import reader as hdf5
from ror_port.network.graph import Graph
from ror_port.safety import limits
from ror_port.safety.input_file import first_bytes, readable
from ror_port.safety.parsing import damage, described

_LOOKALIKES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights themselves; fetch them with 'git lfs pull'"),
    (b"<", "an HTML or XML page, perhaps a failed download"),
    (b"\x80", "a Python pickle, which is never opened because loading one can run code"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
)


def kind_of(path: Path) -> str:
    """Which format a file or folder has; told by its content, never by its name.

    "hdf5-weights" and "hdf5-model" of Keras 1 and 2, "weights" of Keras 3 (.weights.h5), "keras", "safetensors", "pt",
    "onnx" or "savedmodel". Raises UnreadableFile where it is none.
    """
    if kind := _kind_of_others(path):
        return kind
    kind, _ = described(path, lambda: _described(path, whole=False))
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
    if not hdf5.has_signature(path):
        guess = next((text for magic, text in _LOOKALIKES if start.lstrip().startswith(magic)), "not an HDF5 file")
        raise UnreadableFile(f"{path}: {guess}; expected the HDF5 file that Keras' save_weights or save wrote")
    return None


def _kind_of_folder(path: Path) -> str | None:
    if _holds(path, safetensors.WEIGHTS):
        return "safetensors"
    return "savedmodel" if _holds(path, "saved_model.pb") else None


def _holds(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except OSError:  # no permission, a loop: met again, and said, when it is opened
        return False


def _described(path: Path, *, whole: bool = True) -> tuple[str, Any]:
    """Kind and description of an HDF5 file."""
    with hdf5.hdf5(path, path) as root:
        if hdf5.has_member(root, "layers") and not keras_hdf5.is_list(root):
            from ror_port.formats import keras_3

            return "weights", keras_3.describe(root, path) if whole else None
        kind = "hdf5-model" if hdf5.has_attribute(root, "model_config") else "hdf5-weights"
        return kind, keras_hdf5.describe(root, path) if whole else None


def _saved_by_torch(path: Path) -> bool:
    """By the name of the first member, behind its header of 30 bytes; whole, a list of members may be endless."""
    start = first_bytes(path, 30 + limits.MAX_NAME)
    return start[30 : 30 + int.from_bytes(start[26:28], "little")].endswith(b"/data.pkl")


def open_checkpoint(path: Path, expected: str | None = None) -> Checkpoint:
    """Opens any file or folder that ror-port reads.

    expected: the sha256 that it must have, seen to before anything in it is interpreted.
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
        with damage(path):
            checkpoint = BY_KIND[kind].read(path)
    else:
        checkpoint = _open_hdf5(path)
    checkpoint.stamp = before
    return checkpoint


def _open_hdf5(path: Path) -> Checkpoint:
    with ExitStack() as on_error:
        file = on_error.enter_context(path.open("rb"))
        kind, said = described(path, lambda: _described(path))
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
