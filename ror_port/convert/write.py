"""From a port to a file of another framework. Writing imports no framework, but for a SavedModel and a state dict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ror_port.convert import stage as output
from ror_port.convert import way_back
from ror_port.convert.remainders import remainders
from ror_port.convert.reread import Ledger
from ror_port.errors import UnknownNetwork
from ror_port.formats.checkpoint import sha256, size
from ror_port.formats.format import Contents, Dtype, Format, Settings
from ror_port.formats.json_text import indented_length
from ror_port.layout import Arranged, DataFormat, Extent, extent
from ror_port.network.as_json import to_json
from ror_port.network.graph import Graph, Parameter
from ror_port.safety import limits
from ror_port.source.port import Port

Parameters = Iterable[tuple[Parameter, Arranged]]

Check = Callable[[Path], None]
"""Checks a finished output before it takes its place; raises where it is not to."""

Progress = Callable[[Parameters, int], Parameters]
"""Wraps the parameters on their way, given their number."""


def no_check(_: Path) -> None:
    pass


def no_progress(parameters: Parameters, _: int) -> Parameters:
    return parameters


class Output(NamedTuple):
    """A finished output. sha256: of a file; of a folder, of its files' hashes in the order of their names.

    inputs: name → shape of what its network takes, without the batch. multiplied: weights, see `Layer.factors`.
    """

    path: str
    format: str
    bytes: int
    sha256: str
    inputs: Mapping[str, Extent]
    multiplied: tuple[str, ...] = ()


def write(
    port: Port,
    target: Path,
    format: Format,
    *,
    data_format: DataFormat = "channels_last",
    logits: bool = False,
    dtype: Dtype | None = None,
    fold_bn: bool = False,
    license: str | None = None,
    check: Check = no_check,
    progress: Progress = no_progress,
) -> Output:
    """Writes a file or folder that the format's framework loads as it is.

    target: a path that `stage.validate_target` accepted. data_format: of images, where the format leaves it open.
    logits: leave a last softmax out. dtype: of the weights; the format's or the source's by default. fold_bn: merge
    BatchNormalizations into the convolutions before them, for inference alone. license: for the model card.

    Raises UsageError where the format does not take a setting, UnknownNetwork where it cannot hold the network,
    OutputError where it cannot be written.
    """
    Settings(data_format, logits, dtype, fold_bn, license).ensure_taken(format)
    back = port.returned if format.command == "to-theano" else None
    graph: Graph
    parameters: Parameters
    if back is not None:
        graph, parameters = back.graph, way_back.parameters(port, back)
    else:
        moved = port.relayout(format.data_format or data_format)
        graph = moved.graph
        if format.command == "to-theano":
            _ensure_keras_1_can(port, graph)
        else:
            graph = graph.for_keras() if format.stock else graph.of_today()
        graph = graph.until(*map(graph.before_softmax, graph.outputs)) if logits else graph
        given = port.arranged(moved)
        arrays = (_scaled(p, arranged) for p, arranged in given) if format.stock else (a for _, a in given)
        graph, parameters = _filled(graph, arrays, not format.keeps_norms)
    parameters = progress(parameters, len(graph.parameters))
    if fold_bn:
        from ror_port.network.folding import fold

        graph, parameters = fold(graph, parameters)
    ledger = Ledger()
    with output.atomic_output(target) as stage:
        stated = port.statement() if back is None else way_back.statement(port, back)
        precision = dtype or format.dtype or port.dtype
        if back is None and port.family is None:
            stated["graph"] = to_json(graph)
        multiplied = [p for p in port.canonical_graph.parameters if format.stock and p.layer.factors(p.role)]
        if multiplied:
            stated["multiplied"] = {p.name: "gates by 6/5, as their hard_sigmoid is Keras 3's" for p in multiplied}
        kept = stated.pop("original", None)
        if kept is not None:  # whole, or at least without what only rounding took, where there is room
            steps = remainders((p, port.canonical(p).array()) for p in multiplied) if precision == port.dtype else {}
            for carried in ({**kept, "remainders": steps}, kept) if steps else (kept,):
                if _is_short({**stated, "original": carried}):
                    stated["original"] = carried
                    break
        original = way_back.original(back) if back is not None else None
        contents = Contents(graph, parameters, precision, stated, port.family, ledger.note, fold_bn, original, license)
        format.write(stage, contents)
        if format.reread and not fold_bn:  # folded weights are others than the file's parameters
            ledger.compare(stage, stated.get("graph"))
        check(stage)
        port.checkpoint.check_unchanged()
    inputs = {node.name: extent(node.shape) for node in graph.inputs}
    return Output(str(target), format.name, size(target), sha256(target), inputs, tuple(p.name for p in multiplied))


def _is_short(stated: Mapping[str, Any]) -> bool:
    """Whether a statement can be read again, in the longest form that there is of it."""
    return indented_length(stated) <= limits.MAX_CONFIG_BYTES // 4 * 3


def _scaled(parameter: Parameter, arranged: Arranged) -> Arranged:
    """As a layer of Keras 3 needs it that has another hard_sigmoid."""
    factors = parameter.layer.factors(parameter.role)
    return Arranged.of(arranged.array() * np.asarray(factors)) if factors else arranged


def _filled(graph: Graph, arrays: Iterable[Arranged], fill: bool) -> tuple[Graph, Parameters]:
    """The graph with its parameters. fill: give every BatchNormalization a gamma and a beta, of ones and zeros.

    PyTorch and ONNX have both or none.
    """
    whole = way_back.plain(graph) if fill else graph
    held = {parameter.name for parameter in graph.parameters}

    def filled() -> Iterator[tuple[Parameter, Arranged]]:
        given = iter(arrays)
        for parameter in whole.parameters:
            if parameter.name in held:
                yield parameter, next(given)
            else:
                yield parameter, Arranged.of(np.full(parameter.shape, float(parameter.role == "gamma")))

    return whole, filled()


def _ensure_keras_1_can(port: Port, graph: Graph) -> None:
    for node in graph:
        if node.layer.keras_1 == "":
            kind = type(node.layer).__name__
            raise UnknownNetwork(f"{port.checkpoint.path}: {node.name}: a {kind}, which Keras 1 has not on Theano")
        if not node.layer.same_on_theano(*graph.shapes(node)):
            raise UnknownNetwork(
                f"{port.checkpoint.path}: {node.name} pads as TensorFlow's 'same' does, which Theano has no mode for"
            )
