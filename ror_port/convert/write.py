"""From a port to the files of other frameworks. Writing imports no framework, save for a SavedModel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ror_port.convert import stage as output
from ror_port.convert.reread import Ledger
from ror_port.errors import UnknownNetwork
from ror_port.formats.checkpoint import sha256, size
from ror_port.layout import Array
from ror_port.mapping.engine import Note
from ror_port.network.graph import Conv, Graph, Parameter
from ror_port.source.port import Port

Parameters = Iterable[tuple[Parameter, Array]]

Trial = Callable[[Path], None]
"""Tries a finished output before it takes its place; raises where it is not to."""

Progress = Callable[[Parameters, int], Parameters]
"""Wraps the parameters on their way, given their number."""


def _silent(parameters: Parameters, _: int) -> Parameters:
    return parameters


def _untried(_: Path) -> None:
    pass


class Format(NamedTuple):
    """What can be written. suffix: of an output that the user gave no name; endings: what a given name may end in.

    A format without endings is a folder.
    """

    name: str
    suffix: str
    endings: tuple[str, ...] = ()

    @property
    def folder(self) -> bool:
        return not self.endings


TENSORFLOW = (
    Format("keras", ".keras", (".keras",)),
    Format("weights", ".weights.h5", (".weights.h5",)),
    Format("h5", ".tf.h5", (".h5", ".hdf5")),
    Format("savedmodel", ".savedmodel"),
)
TORCH = (Format("safetensors", "-torch"), Format("pt", ".pt", (".pt", ".pth")))
ONNX = (Format("onnx", ".onnx", (".onnx",)),)
THEANO = (Format("theano", ".th.h5", (".h5", ".hdf5")),)
"""The formats of each command; its default first."""

_ALL = (*TENSORFLOW, *TORCH, *ONNX, *THEANO)


def named_format(name: str, formats: Sequence[Format] = _ALL) -> Format | None:
    """The first format that a name may stand for, or None."""
    return next((format for format in formats if format.endings and name.endswith(format.endings)), None)


def stem(source: Path) -> str:
    """The name of a checkpoint without what only says that it is one."""
    name = source.name or source.resolve().name
    for suffix in (".weights.h5", ".tf.h5", ".th.h5", ".h5", ".hdf5", ".keras", ".onnx", ".safetensors", ".pt", ".pth"):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name.removesuffix(TORCH[0].suffix)


class Output(NamedTuple):
    """A finished output. sha256: of a file; of a folder, of its files' hashes in the order of their names."""

    path: str
    format: str
    bytes: int
    sha256: str


def _written(target: Path, format: str) -> Output:
    return Output(str(target), format, size(target), sha256(target))


@contextmanager
def _delivered(
    port: Port, target: Path, format: str, trial: Trial, *, compared: bool = True
) -> Iterator[tuple[Path, Note]]:
    """Where to write an output, and whom to tell of each tensor; then it is read again, tried, and takes its place.

    compared: whether its tensors are those that were told of. Folded ones are others; the check of answers remains.
    """
    ledger = Ledger()
    with output.staged(target) as stage:
        yield stage, ledger.note
        if compared:
            ledger.check(stage, format)
        trial(stage)
        port.checkpoint.check_unchanged()


def to_tensorflow(
    port: Port,
    target: Path,
    format: str,
    *,
    channels_first: bool = False,
    logits: bool = False,
    trial: Trial = _untried,
    progress: Progress = _silent,
) -> Output:
    """Writes a file (or the folder of a SavedModel) that TensorFlow and Keras load as it is.

    target: a path that `output.check` passed. format: a name in TENSORFLOW. logits: leave the softmax out.
    """
    from ror_port.formats import keras_3 as keras3
    from ror_port.formats import keras_hdf5

    graph = _until(port.target.graph().with_explicit_padding(), logits)
    with _delivered(port, target, format, trial) as (stage, note):
        parameters = progress(port.parameters(), len(graph.parameters))
        common: dict[str, Any] = {"dtype": port.dtype, "stated": port.statement(), "note": note}
        if format == "savedmodel":
            _saved_model(stage, graph, parameters, channels_first=channels_first, **common)
        elif format == "weights":
            with stage.open("w+b") as disk:
                keras3.write_weights(disk, graph, parameters, **common)
        else:
            write = {"keras": keras3.write_archive, "h5": keras_hdf5.write}[format]
            write(stage, graph, parameters, channels_first=channels_first, **common)
    return _written(target, format)


def to_torch(port: Port, target: Path, format: str, *, trial: Trial = _untried, progress: Progress = _silent) -> Output:
    """Writes a folder that PyTorch users load as it is ("safetensors"), or a state dict ("pt")."""
    from ror_port.formats import pytorch

    with _delivered(port, target, format, trial) as (stage, note):
        parameters = progress(port.parameters(), len(port.graph.parameters))
        if format == "pt":
            pytorch.write_state_dict(stage, port.graph, parameters, dtype=port.dtype, note=note)
        else:
            graph, stated = port.target.graph(), port.statement()
            pytorch.write_folder(stage, graph, parameters, dtype=port.dtype, stated=stated, note=note)
    return _written(target, format)


def to_onnx(
    port: Port,
    target: Path,
    *,
    dtype: str = "float32",
    logits: bool = False,
    fold_bn: bool = False,
    trial: Trial = _untried,
    progress: Progress = _silent,
) -> Output:
    """Writes an ONNX model.

    dtype: "float32", which ONNX Runtime convolves in on every device, or "float64". fold_bn: merge BatchNorms into
    the convolutions before them, for inference alone.
    """
    from ror_port.formats import onnx

    graph = _until(port.target.graph(), logits)
    parameters = progress(port.parameters(), len(graph.parameters))
    if fold_bn:
        from ror_port.network.folding import fold

        graph, parameters = fold(graph, parameters)
    with _delivered(port, target, "onnx", trial, compared=not fold_bn) as (stage, note):
        stated = port.statement()
        onnx.write(stage, graph, parameters, dtype=dtype, stated=stated, folded=fold_bn, note=note)
    return _written(target, "onnx")


def to_theano(port: Port, target: Path, *, trial: Trial = _untried, progress: Progress = _silent) -> Output:
    """Writes the weights as ``save_weights`` of Keras 1 on Theano would, dim ordering "th".

    Raises UnknownNetwork for a network that Theano cannot compute.
    """
    from ror_port.formats import keras_hdf5

    graph = port.target.graph()
    for node in graph:
        operation = node.operation
        if isinstance(operation, Conv) and operation.padding == "same" and operation.strided:
            raise UnknownNetwork(
                f"{port.checkpoint.path}: {node.name} pads as TensorFlow's 'same' does, which Theano has no mode for"
            )
    with _delivered(port, target, "theano", trial) as (stage, note):
        parameters = progress(port.parameters(), len(graph.parameters))
        stated = port.statement()
        keras_hdf5.write_keras_1(stage, graph, parameters, dtype=port.dtype, stated=stated, note=note)
    return _written(target, "theano")


def _until(graph: Graph, logits: bool) -> Graph:
    return graph.until(graph.logits) if logits else graph


def _saved_model(stage: Path, graph: Graph, parameters: Parameters, **options: Any) -> None:
    """By way of a .keras file, whose options it takes."""
    import tempfile

    from ror_port import frameworks
    from ror_port.formats import keras_3 as keras3

    framework = frameworks.keras()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "model.keras"
        keras3.write_archive(archive, graph, parameters, **options)
        framework.saving.load_model(archive, compile=False).export(stage, verbose=False)
