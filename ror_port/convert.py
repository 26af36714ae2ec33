"""From a port to the files of other frameworks. Writing imports no framework, save for a SavedModel."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ror_port import output
from ror_port.formats import keras3, keras_hdf5, pytorch
from ror_port.graph import Graph, Parameter
from ror_port.layout import Array
from ror_port.port import Port
from ror_port.reread import Ledger

TENSORFLOW_SUFFIXES = {"keras": ".keras", "weights": ".weights.h5", "h5": ".tf.h5", "savedmodel": ".savedmodel"}
"""Format → what the name of an output ends in where the user gives none."""

Parameters = Iterable[tuple[Parameter, Array]]

Trial = Callable[[Path], None]
"""Tries a finished output before it takes its place; raises where it is not to."""

Progress = Callable[[Parameters, int], Parameters]
"""Wraps the parameters on their way, given their number."""


def _silent(parameters: Parameters, _: int) -> Parameters:
    return parameters


def _untried(_: Path) -> None:
    pass


@dataclass(frozen=True)
class Written:
    """A finished output. sha256: of a file; of a folder, of its files' hashes in the order of their names."""

    path: str
    format: str
    bytes: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def stem(source: Path) -> str:
    """The name of a checkpoint without what only says that it is one."""
    name = source.name
    for suffix in (".weights.h5", ".h5", ".hdf5", ".keras"):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name


SUFFIXES = {".keras": "keras", ".weights.h5": "weights", ".h5": "h5", ".hdf5": "h5", ".pt": "pt", ".pth": "pt"}
"""What a name may end in → the format it asks for; the first that fits counts."""

FOLDERS = ("savedmodel", "safetensors")
"""Formats whose output is a folder."""


def named_format(path: Path) -> str | None:
    """The format that a name asks for, or None."""
    return next((format for suffix, format in SUFFIXES.items() if path.name.endswith(suffix)), None)


def to_tensorflow(
    port: Port,
    target: Path,
    format: str,
    *,
    channels_first: bool = False,
    logits: bool = False,
    trial: Trial = _untried,
    progress: Progress = _silent,
) -> Written:
    """Writes a file (or the folder of a SavedModel) that TensorFlow and Keras load as it is.

    target: a path that `output.check` passed. format: a key of TENSORFLOW_SUFFIXES. logits: leave the softmax out.
    """
    graph = port.target.graph().with_explicit_padding()
    if logits:
        graph = graph.until(graph.logits)
    ledger = Ledger(port.dtype)
    with output.staged(target) as stage:
        parameters = progress(ledger.note(port.parameters()), len(graph.parameters))
        if format == "savedmodel":
            _saved_model(port, stage, graph, parameters, channels_first=channels_first)
        elif format == "weights":
            with stage.open("w+b") as disk:
                keras3.write_weights(disk, graph, parameters, dtype=port.dtype, stated=port.statement())
        else:
            write = {"keras": keras3.write_archive, "h5": keras_hdf5.write}[format]
            write(stage, graph, parameters, dtype=port.dtype, channels_first=channels_first, stated=port.statement())
        ledger.check(stage, format, graph)
        trial(stage)
        port.checkpoint.check_unchanged()
    return Written(str(target), format, _size(target), _sha256(target))


TORCH_SUFFIXES = {"safetensors": "-torch", "pt": ".pt"}
"""Format → what the name of an output ends in where the user gives none."""


def to_torch(
    port: Port, target: Path, format: str, *, trial: Trial = _untried, progress: Progress = _silent
) -> Written:
    """Writes a folder that PyTorch users load as it is ("safetensors"), or a state dict ("pt")."""
    ledger = Ledger(port.dtype)
    with output.staged(target) as stage:
        parameters = progress(ledger.note(port.parameters()), len(port.graph.parameters))
        if format == "pt":
            pytorch.write_state_dict(stage, port.graph, parameters, dtype=port.dtype)
        else:
            pytorch.write_folder(stage, port.target.graph(), parameters, dtype=port.dtype, stated=port.statement())
        ledger.check(stage, format, port.graph)
        trial(stage)
        port.checkpoint.check_unchanged()
    return Written(str(target), format, _size(target), _sha256(target))


def _saved_model(port: Port, stage: Path, graph: Graph, parameters: Parameters, *, channels_first: bool) -> None:
    from ror_port.parity import keras

    framework = keras()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "model.keras"
        keras3.write_archive(
            archive, graph, parameters, dtype=port.dtype, channels_first=channels_first, stated=port.statement()
        )
        framework.saving.load_model(archive, compile=False).export(stage, verbose=False)


def _files(path: Path) -> list[Path]:
    return sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _sha256(path: Path) -> str:
    digests = []
    for item in _files(path):
        with item.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if path.is_file() else hashlib.sha256("".join(digests).encode()).hexdigest()
