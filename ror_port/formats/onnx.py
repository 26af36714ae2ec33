"""ONNX: the network as a graph of stock operators, each called by its canonical name. Needs the onnx package alone.

Images go in as (batch, channels, height, width). Opset 20 of October 2023 is read by ONNX Runtime since 1.17 and
lies well within what TensorRT's parser reads (9 to 25 in TensorRT 11).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ror_port import __version__
from ror_port.errors import MissingExtra, NotACheckpoint, UnknownNetwork, UnreadableFile, UnsafeFile, printable, quote
from ror_port.formats import storage
from ror_port.formats.checkpoint import Architecture, Checkpoint, StoredTensor
from ror_port.formats.model_config import json_object, number
from ror_port.formats.pytorch import PREPROCESSING, layers
from ror_port.layout import Array
from ror_port.mapping.engine import Entry, Note, laid_out, unnoted
from ror_port.mapping.onnx import CONVENTION, ONNX, onnx
from ror_port.network.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Graph,
    Input,
    MaxPool,
    Node,
    Parameter,
    Relu,
    Shape,
    Softmax,
    padding,
)
from ror_port.safety import limits
from ror_port.safety.input_file import readable
from ror_port.safety.parsing import dry_run_in_child, library_errors

OPSET, IR_VERSION = 20, 9


def _package() -> Any:
    try:
        import onnx as package
    except ImportError:
        raise MissingExtra("the onnx package is not installed; pip install 'ror-port[onnx]'") from None
    return package


def write(
    path: Path,
    graph: Graph,
    parameters: Iterable[tuple[Parameter, Array]],
    *,
    dtype: str,
    stated: Mapping[str, Any],
    folded: bool = False,
    note: Note = unnoted,
) -> None:
    """Writes a model with its weights inside. Parameters are canonical. folded: BatchNorms were folded away."""
    helper, element = _package().helper, {"float32": 1, "float64": 11}[dtype]
    entries = _entries(graph)

    def value(node: Node) -> Any:
        *size, channels = node.shape
        return helper.make_tensor_value_info(node.name, element, ["batch", channels, *size])

    model = helper.make_model(
        helper.make_graph(
            _nodes(graph, entries), stated["network"]["name"], [value(graph.input)], [value(graph.output)]
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="ror-port",
        producer_version=__version__,
    )
    metadata = {
        "ror_port": json.dumps(dict(stated, folded=folded)),
        "source_sha256": stated["source"]["sha256"],
        "preprocessing": json.dumps(PREPROCESSING),
    }
    helper.set_model_props(model, metadata)
    shapes = {entry.foreign: entry.foreign_shape for entry in entries}
    _check_graph(model, shapes, element)
    with path.open("wb") as file:
        _write_model(file, model, laid_out(entries, parameters, dtype, note), shapes, element)


def _entries(graph: Graph) -> tuple[Entry, ...]:
    return onnx(CONVENTION).bind(graph.parameters, ONNX.own_name)


def _nodes(graph: Graph, entries: Iterable[Entry]) -> list[Any]:
    """The operators of a graph, each called by its canonical name, as is its output."""
    weights: dict[str, list[str]] = {}
    for entry in entries:
        weights.setdefault(entry.parameter.node, []).append(entry.foreign)
    skipped: dict[str, str] = {}  # a Dropout does nothing here: whoever reads it reads what it reads
    nodes = []
    for node in graph:
        inputs = [skipped.get(name, name) for name in node.inputs]
        if isinstance(node.operation, Dropout):
            skipped[node.name] = inputs[0]
        elif not isinstance(node.operation, Input):
            kind, attributes = _operator(node, graph[node.inputs[0]].shape)
            inputs += weights.get(node.name, [])
            nodes.append(_package().helper.make_node(kind, inputs, [node.name], node.name, **attributes))
    return nodes


def _check_graph(model: Any, shapes: Mapping[str, Shape], element: int) -> None:
    """Has the checker see a model whose weights are still to come: to it they are inputs of their shapes."""
    package = _package()
    shell = package.ModelProto()
    shell.CopyFrom(model)
    value = package.helper.make_tensor_value_info
    shell.graph.input.extend(value(name, element, shape) for name, shape in shapes.items())
    package.checker.check_model(shell, full_check=True)


_GRAPH_OF_MODEL, _INITIALIZER_OF_GRAPH = 7, 5
_DIMS_OF_TENSOR, _TYPE_OF_TENSOR, _NAME_OF_TENSOR, _RAW_DATA_OF_TENSOR = 1, 2, 8, 9
"""Numbers of fields in onnx.proto."""


def _write_model(
    file: BinaryIO, model: Any, tensors: Iterable[tuple[str, Array]], shapes: Mapping[str, Shape], element: int
) -> None:
    """Writes a model and, within its graph, the tensors, each as it comes.

    The package would hold all of them several times over. In protobuf a message inside another is a tag, its length
    and its bytes, so all lengths are reckoned first: what a tensor takes follows from its shape.
    """
    graph = model.graph.SerializeToString(deterministic=True)
    model.ClearField("graph")
    heads = {}
    sizes = {name: math.prod(shape) * _KINDS[element][0].itemsize for name, shape in shapes.items()}
    for name, size in sizes.items():
        about = (
            _package()
            .TensorProto(name=name, dims=shapes[name], data_type=element)
            .SerializeToString(deterministic=True)
        )
        about += _prefix(_RAW_DATA_OF_TENSOR, size)
        heads[name] = _prefix(_INITIALIZER_OF_GRAPH, len(about) + size) + about
    file.write(model.SerializeToString(deterministic=True))
    file.write(_prefix(_GRAPH_OF_MODEL, len(graph) + sum(map(len, heads.values())) + sum(sizes.values())))
    file.write(graph)
    for name, array in tensors:
        file.write(heads[name])
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def _prefix(field: int, length: int) -> bytes:
    """Tag and length of a field that is bytes or a message (wire type 2), as protobuf's varints."""
    return _varint(field << 3 | 2) + _varint(length)


def _varint(number: int) -> bytes:
    sevens = []
    while True:
        number, low = number >> 7, number & 0x7F
        sevens.append(low | 0x80 if number else low)
        if not number:
            return bytes(sevens)


def _operator(node: Node, shape: Shape) -> tuple[str, dict[str, Any]]:
    """The operator of a node and its attributes, for an input of the given shape."""
    match node.operation:
        case Conv(size=size, stride=stride, padding=kind):
            (top, bottom), (left, right) = (padding(kind, size, stride, length) for length in shape[:2])
            return "Conv", {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [top, left, bottom, right]}
        case BatchNorm(epsilon=epsilon):
            return "BatchNormalization", {"epsilon": epsilon}
        case MaxPool(size=size):
            return "MaxPool", {"kernel_shape": [size] * 2, "strides": [size] * 2}
        case AveragePool(size=size):
            return "AveragePool", {"kernel_shape": [size] * 2, "strides": [size] * 2}
        case Dense():
            return "Gemm", {}
        case Add() | Relu():
            return type(node.operation).__name__, {}
        case Flatten():
            return "Flatten", {"axis": 1}
        case Softmax():
            return "Softmax", {"axis": 1}
    raise TypeError(f"no ONNX operator for {node.operation}")


def checked(path: Path) -> Any:
    """A model that keeps all its data within its file and that the checker finds sound."""
    package = _package()
    size = readable(path).stat().st_size
    if size > limits.MAX_ONNX_BYTES:
        raise UnsafeFile(f"{path}: {size} bytes; the limit for ONNX is {limits.MAX_ONNX_BYTES}")

    def parsed() -> Any:
        try:
            model = package.load_model_from_string(path.read_bytes())
        except MemoryError:
            raise
        except Exception as error:  # protobuf's own, which differs with its implementation
            raise UnreadableFile(
                f"{path}: neither HDF5 nor any other format that ror-port reads ({printable(error)})"
            ) from None
        _check_plain(model, path)
        try:
            package.checker.check_model(model, full_check=True)
        except MemoryError:
            raise
        except Exception as error:  # the checker's, of shape inference, or of protobuf again
            reason = quote(" ".join(str(error).split()))
            raise NotACheckpoint(f"{path}: not valid ONNX ({reason})") from None
        return model

    return dry_run_in_child(
        path, parsed, "the onnx package", limits.MAX_GROWTH + limits.ONNX_COPIES * size, trusted=False
    )


_PLAIN = {
    "model": "ir_version producer_name producer_version domain model_version doc_string graph opset_import "
    "metadata_props",
    "graph": "node name initializer doc_string input output value_info metadata_props",
    "node": "input output name op_type attribute doc_string metadata_props",
    "attribute": "name type doc_string f i s floats ints strings",
    "initializer": "dims data_type float_data double_data name doc_string raw_data data_location",
}
"""The fields that a model of ours may have: nothing that nests, computes weights, or points out of the file."""


def _check_plain(model: Any, path: Path) -> None:
    """Refuses whatever no network here needs, before a checker that would follow it."""
    outside = next((t.name for t in model.graph.initializer if t.data_location == t.EXTERNAL), None)
    if outside is not None:
        raise UnsafeFile(f"{path}: {quote(outside)}: its data lie in another file, which is not opened")
    parts = [("model", model), ("graph", model.graph)]
    parts += [("initializer", tensor) for tensor in model.graph.initializer]
    for node in model.graph.node:
        parts += [("node", node), *(("attribute", attribute) for attribute in node.attribute)]
    for kind, part in parts:
        strange = {field.name for field, _ in part.ListFields()} - set(_PLAIN[kind].split())
        if strange:
            raise NotACheckpoint(f"{path}: a {kind} with {min(strange)}, which no network here needs")


def dtype(model: Any) -> str:
    """The precision of a model's images."""
    element = model.graph.input[0].type.tensor_type.elem_type
    return str(_package().helper.tensor_dtype_to_np_dtype(element))


def with_outputs(model: Any, names: Iterable[str]) -> Any:
    """The same model, giving out what the named nodes compute."""
    package = _package()
    changed = package.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.output[:]
    element = model.graph.input[0].type.tensor_type.elem_type
    changed.graph.output.extend(package.helper.make_tensor_value_info(name, element, None) for name in names)
    return changed


def alone(model: Any, node: Any) -> Any:
    """A model of one node, with its weights; its first input is the image."""
    package = _package()
    helper, element = package.helper, model.graph.input[0].type.tensor_type.elem_type
    weights = [tensor for tensor in model.graph.initializer if tensor.name in node.input]
    image, result = (helper.make_tensor_value_info(name, element, None) for name in (node.input[0], node.output[0]))
    return helper.make_model(
        helper.make_graph([node], node.name, [image], [result], weights),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )


def read(path: Path, *, trusted: bool = False) -> Checkpoint:
    """Opens a model that ror-port wrote, as it was or with other weights in it.

    trusted: as of `open_checkpoint`; only the weights are read.
    """
    if trusted:
        return _read_weights(path)
    package = _package()
    model = checked(path)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    stated = json_object(properties.get("ror_port", "{}"), f"{path}: metadata ror_port")
    if stated.get("folded"):
        raise NotACheckpoint(
            f"{path}: its BatchNorms were folded into the convolutions and cannot be taken out again; "
            "convert from the file it was made of, or write ONNX without --fold-bn"
        )
    tensors = [_tensor(package, initializer, path) for initializer in model.graph.initializer]
    return Checkpoint(
        path=path,
        format="ONNX",
        layers=layers(tensors, "/", path),
        dialects=(ONNX,),
        writer="ONNX",
        architecture=_architecture(model, stated, path),
        stated=stated,
        compare=partial(_compare, model.graph, path),
    )


def _compare(found: Any, path: Path, network: str, graph: Graph) -> None:
    """Raises UnknownNetwork where a model is not, operator by operator, what `write` makes of the network.

    found: its graph. The epsilons were compared before; whether the softmax is in it is no matter.
    """
    (result,) = (value.name for value in found.output) if len(found.output) == 1 else ("",)
    graph = graph.until(result) if result in (graph.output.name, graph.logits) else graph
    expected = {node.name: _essence(node) for node in _nodes(graph, _entries(graph))}
    theirs = {name: _essence(node) for node in found.node for name in node.output}
    wrong = sorted(name for name in expected.keys() | theirs.keys() if expected.get(name) != theirs.get(name))
    if not wrong and result != graph.output.name:
        wrong = [result]
    if wrong:
        raise UnknownNetwork(
            f"{path}: its tensors are those of {network}, but its graph is another network's: {quote(wrong[0])} "
            f"{'differs' if wrong[0] in theirs else 'is missing'}"
        )


def _essence(node: Any) -> tuple[Any, ...]:
    """What an operator does, and to what."""
    attributes = {
        (a.name, a.type, a.i, a.f, tuple(a.floats), tuple(a.ints), a.s, tuple(a.strings))
        for a in node.attribute
        if a.name != "epsilon"
    }
    return node.op_type, tuple(node.input), tuple(node.output), attributes


def _read_weights(path: Path) -> Checkpoint:
    """The weights of a model that `write` wrote a moment ago; the package would hold it in memory several times."""
    with library_errors(path), ExitStack() as on_error:
        file = on_error.enter_context(path.open("rb"))
        (graph,) = (inner for number, inner in _fields(file, range(path.stat().st_size)) if number == _GRAPH_OF_MODEL)
        tensors = [
            _placed(file, inner, path) for number, inner in _fields(file, graph) if number == _INITIALIZER_OF_GRAPH
        ]
        stored = layers(tensors, "/", path)
        checkpoint = Checkpoint(path, "ONNX", stored, dialects=(ONNX,), writer="ONNX", close=file.close)
        on_error.pop_all()
    return checkpoint


def _placed(file: BinaryIO, message: range, path: Path) -> StoredTensor:
    """A tensor as a part of the file, its numbers unread."""
    shape: tuple[int, ...] = ()
    dtype, name, raw = np.dtype("float32"), "", range(0)
    for kind, inner in _fields(file, message):
        file.seek(inner.start)
        if kind == _DIMS_OF_TENSOR:
            shape = (*shape, _read_varint(file))
        elif kind == _TYPE_OF_TENSOR:
            dtype, _ = _KINDS[_read_varint(file)]
        elif kind == _NAME_OF_TENSOR:
            name = file.read(len(inner)).decode()
        elif kind == _RAW_DATA_OF_TENSOR:
            raw = inner
    where = f"{path}: {quote(name)}"
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise UnreadableFile(f"{where}: {len(raw)} bytes do not make the shape that it states")
    return StoredTensor(
        name, shape, dtype, partial(storage.read, file, storage.Contiguous(raw.start), shape, dtype, where)
    )


def _fields(file: BinaryIO, message: range) -> Iterator[tuple[int, range]]:
    """The fields of a protobuf message: number, and where in the file its value lies."""
    at = message.start
    while at < message.stop:
        file.seek(at)
        key = _read_varint(file)
        start = file.tell()
        if key & 7 == 0:
            _read_varint(file)
            value = range(start, file.tell())
        elif key & 7 == 2:
            length = _read_varint(file)
            value = range(file.tell(), file.tell() + length)
        else:
            raise UnreadableFile(f"a field of wire type {key & 7}, which no model of ours has")
        yield key >> 3, value
        at = value.stop


def _read_varint(file: BinaryIO) -> int:
    number = shift = 0
    while True:
        (byte,) = file.read(1)
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
        shift += 7


_KINDS: Mapping[int, tuple[np.dtype[Any], str]] = {
    1: (np.dtype("float32"), "float_data"),
    11: (np.dtype("float64"), "double_data"),
}
"""ONNX's number of a type → the type, and the field that holds its numbers where raw_data does not."""


def _tensor(package: Any, initializer: Any, path: Path) -> StoredTensor:
    where = f"{path}: {quote(initializer.name)}"
    if initializer.data_type not in _KINDS:
        kind = _element(initializer.data_type)
        raise NotACheckpoint(f"{where}: numbers of type {kind}; expected float32 or float64")
    dtype, field = _KINDS[initializer.data_type]
    shape, numbers = tuple(initializer.dims), getattr(initializer, field)
    stored = len(numbers) * dtype.itemsize if numbers else len(initializer.raw_data)
    if any(size < 0 for size in shape) or stored != math.prod(shape) * dtype.itemsize:
        raise NotACheckpoint(f"{where}: {stored} bytes do not make the shape that it states")

    def values() -> Array:
        array: Array = package.numpy_helper.to_array(initializer)
        return array

    return StoredTensor(initializer.name, shape, dtype, values)


def _element(number: int) -> str:
    """What ONNX calls a type."""
    kinds: Mapping[int, str] = {value: name for name, value in _package().TensorProto.DataType.items()}
    return kinds.get(number, f"number {number}").lower()


def _image(model: Any, path: Path) -> tuple[int, int, int]:
    """Channels, height and width of the one image that a model takes."""
    weights = {initializer.name for initializer in model.graph.initializer}
    images = [value for value in model.graph.input if value.name not in weights]
    sizes = [tuple(d.dim_value for d in image.type.tensor_type.shape.dim) for image in images]
    match sizes:
        case [(_, channels, height, width)] if all(0 < size < 1 << 16 for size in sizes[0][1:]):
            return channels, height, width
    raise NotACheckpoint(f"{path}: expected one image of a stated size as its input, found {len(images)} inputs")


def _architecture(model: Any, stated: Mapping[str, Any], path: Path) -> Architecture:
    """What a model says beside its tensors; the rest is left to `_compare`."""
    epsilons: set[float] = set()
    symmetric = True
    for node in model.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        match node.op_type:
            case "Conv":
                stride, *_ = attributes["strides"].ints if "strides" in attributes else [1]
                pads = list(attributes["pads"].ints) if "pads" in attributes else [0]
                symmetric = symmetric and (stride == 1 or len(set(pads)) == 1)
            case "BatchNormalization":
                epsilons.add(attributes["epsilon"].f if "epsilon" in attributes else 1e-5)
    channels, height, width = _image(model, path)
    momenta: frozenset[float] = frozenset()
    network = stated.get("network")
    if isinstance(network, dict):  # ONNX rounds an epsilon to float32; here it stands in full
        where = f"{path}: metadata ror_port"
        exact = number(network.get("epsilon"), where)
        epsilons = {exact if epsilon == np.float32(exact) else epsilon for epsilon in epsilons}
        momenta = frozenset([number(network.get("momentum"), where)])
    return Architecture(
        where="graph",
        epsilons=frozenset(epsilons),
        momenta=momenta,
        ordering="th",
        padding="half" if symmetric else "same",
        input_shape=(channels, height, width),
    )
