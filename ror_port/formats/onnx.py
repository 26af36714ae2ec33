"""ONNX: the network as a graph of stock operators, each called by its canonical name. Needs the onnx package alone.

Images go in as (batch, channels, height, width). Opset 20 of October 2023 is read by ONNX Runtime since 1.17 and
lies well within what TensorRT's parser reads (9 to 25 in TensorRT 11).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ror_port import __version__, frameworks
from ror_port.errors import NotACheckpoint, UnknownNetwork, UnreadableFile, UnsafeFile, printable, quote
from ror_port.formats import storage
from ror_port.formats.checkpoint import Checkpoint, StoredTensor
from ror_port.formats.format import Contents
from ror_port.formats.json_text import json_object
from ror_port.formats.model_card import preprocessing
from ror_port.formats.pytorch import layers
from ror_port.layout import VARIES, Array, Shape
from ror_port.mapping.convention import ONNX_CONVENTION
from ror_port.mapping.engine import Entry, Tensor, bind, laid_out
from ror_port.mapping.software import ONNX
from ror_port.network.graph import Graph, Node
from ror_port.network.layers import Input
from ror_port.network.layers.layer import Mask, OnnxOperator
from ror_port.network.layers.sequence import MakesMask
from ror_port.network.relayout import relayout
from ror_port.safety import limits
from ror_port.safety.input_file import readable
from ror_port.safety.parsing import dry_run_in_child, library_errors

OPSET, IR_VERSION = 20, 9


def write(path: Path, contents: Contents) -> None:
    """Writes a model with its weights inside."""
    helper, element = frameworks.onnx().helper, {"float32": 1, "float64": 11}[contents.dtype]
    graph, stated = contents.graph, contents.stated
    entries = bind(ONNX_CONVENTION, graph.parameters)

    def value(node: Node) -> Any:
        sizes = [f"{node.name}/size{n}" if size is VARIES else size for n, size in enumerate(node.shape, 1)]
        return helper.make_tensor_value_info(node.name, element, ["batch", *sizes])

    model = helper.make_model(
        helper.make_graph(
            _nodes(graph, entries),
            stated["network"]["name"],
            [value(node) for node in graph.inputs],
            [value(graph[name]) for name in graph.outputs],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="ror-port",
        producer_version=__version__,
    )
    metadata = {
        "ror_port": json.dumps(dict(stated, folded=contents.folded)),
        "source_sha256": stated["source"]["sha256"],
        **{name: json.dumps(value) for name, value in preprocessing(contents).items()},
    }
    helper.set_model_props(model, metadata)
    shapes = {entry.foreign: entry.foreign_shape for entry in entries}
    _check_graph(model, shapes, element)
    with path.open("wb") as file:
        tensors = laid_out(entries, contents.parameters, contents.dtype, contents.note)
        _write_model(file, model, tensors, shapes, element)


def _nodes(graph: Graph, entries: Iterable[Entry]) -> list[Any]:
    """The operators of a graph; the last one of each node is called by its canonical name, as is its output."""
    make = frameworks.onnx().helper.make_node
    weights: dict[str, dict[str, str]] = {}
    for entry in entries:
        weights.setdefault(entry.parameter.node, {})[entry.parameter.role] = entry.foreign
    skipped: dict[str, str] = {}  # what does nothing: whoever reads it reads what it reads
    padded: set[str] = set()  # ONNX Runtime 1.31 puts a Pad into the pooling behind it, whose border is another
    nodes = []
    masks: dict[Mask, str] = {}  # of those that make one: the value that holds it
    made: dict[str, dict[Any, Any]] = {}  # of a call with several results: its operators
    for node in graph:
        inputs = given = [skipped.get(name, name) for name in node.inputs]
        if isinstance(node.layer, Input):
            continue
        named = weights.get(node.owner, {})
        if node.mask == (node.name,) and isinstance(node.layer, MakesMask):
            masks[node.mask] = f"{node.name}/mask"
            nodes += _chain(node.layer.onnx_mask(), masks[node.mask], given, named, "", padded)
        operators = node.layer.to_onnx(*graph.shapes(node))
        if not operators and node.name in graph.outputs:
            operators = [OnnxOperator("Identity")]
        if not operators:
            skipped[node.name] = inputs[0]
        mask = ""
        if any("mask" in operator.takes for operator in operators):
            makers = graph[node.inputs[0]].mask
            for number in range(2, len(makers) + 1):
                if makers[:number] not in masks:
                    both = [masks[makers[: number - 1]], masks[makers[number - 1 : number]]]
                    masks[makers[:number]] = f"{node.name}/masks{number}"
                    nodes.append(make("Mul", both, [masks[makers[:number]]], masks[makers[:number]]))
            mask = masks[makers]
        shared = made.setdefault(graph.calls[node.name], {}) if node.layer.result else None
        nodes += _chain(operators, node.name, given, named, mask, padded, shared)
    return nodes


def _chain(
    operators: Sequence[OnnxOperator],
    result: str,
    given: Sequence[str],
    weights: Mapping[str, str],
    mask: str,
    padded: set[str],
    made: dict[Any, Any] | None = None,
) -> list[Any]:
    """The operators of a layer, of which the last gives `result`. given: the node's inputs; weights: role → name.

    made: the operators, but for the last of each, that gave other results of the same call; what is made is added.
    """
    make = frameworks.onnx().helper.make_node
    nodes: list[Any] = []
    names: list[str] = []
    inputs = list(given)
    values = {"": "", "mask": mask, **weights, **{str(number): name for number, name in enumerate(given)}}
    for index, operator in enumerate(operators):
        name = result if index == len(operators) - 1 else f"{result}/{operator.kind.lower()}{index}"
        if operator.takes:
            inputs = [names[int(n[1:])] if n.startswith("#") else values[n] for n in operator.takes]
        inputs += [weights[role] for role in operator.weights if role in weights]
        key = (operator.kind, repr(operator.attributes), tuple(inputs), repr(operator.constants))
        if made and name != result and key in made:
            names.append(_output(made[key], operator.position, name))
            inputs = names[-1:]
            continue
        for number, constant in enumerate(operator.constants):
            inputs.append(f"{name}/constant{number}" if constant else "")
            if constant:
                nodes += _constant(inputs[-1], constant, like=inputs[0])
        if inputs[0] in padded and operator.kind in ("MaxPool", "AveragePool"):
            guard = f"{name}/padded"
            nodes.append(make("Max", inputs, [guard], guard))
            inputs = [guard]
        if operator.kind == "Pad" or (operator.kind in ("Identity", "Transpose") and inputs[0] in padded):
            padded.add(name)
        while operator.folds and len(inputs) > 2:
            first = f"{name}/first{len(inputs)}"
            nodes.append(make(operator.kind, inputs[:2], [first], first, **operator.attributes))
            inputs = [first, *inputs[2:]]
        nodes.append(make(operator.kind, inputs, [*[""] * operator.position, name], name, **operator.attributes))
        if made is not None and name != result:
            made[key] = nodes[-1]
        names.append(name)
        inputs = [name]
    return nodes


def _output(node: Any, position: int, name: str) -> str:
    """An output of an operator, which it is given under this name where it has not got it yet."""
    node.output.extend([""] * (position + 1 - len(node.output)))
    node.output[position] = node.output[position] or name
    return str(node.output[position])


def _constant(name: str, numbers: Sequence[float], like: str) -> list[Any]:
    """A list of integers, or of floats in the precision of another value.

    ONNX states lists of floats as float32. What that rounds is a sum of two, so that double precision has it.
    """
    make = frameworks.onnx().helper.make_node
    if all(isinstance(number, int) for number in numbers):
        return [make("Constant", [], [name], name, value_ints=list(numbers))]
    high = [float(np.float32(number)) for number in numbers]
    low = [number - rounded for number, rounded in zip(numbers, high, strict=True)]
    if not any(low):
        return _stated(name, high, like)
    parts = [*_stated(f"{name}/high", high, like), *_stated(f"{name}/low", low, like)]
    return [*parts, make("Add", [f"{name}/high", f"{name}/low"], [name], name)]


def _stated(name: str, numbers: Sequence[float], like: str) -> list[Any]:
    make, stated = frameworks.onnx().helper.make_node, f"{name}/stated"
    return [
        make("Constant", [], [stated], stated, value_floats=list(numbers)),
        make("CastLike", [stated, like], [name], name),
    ]


def _check_graph(model: Any, shapes: Mapping[str, Shape], element: int) -> None:
    """Has the checker see a model whose weights are still to come: to it they are inputs of their shapes."""
    package = frameworks.onnx()
    shell = package.ModelProto()
    shell.CopyFrom(model)
    value = package.helper.make_tensor_value_info
    shell.graph.input.extend(value(name, element, shape) for name, shape in shapes.items())
    package.checker.check_model(shell, full_check=True)


_GRAPH_OF_MODEL, _INITIALIZER_OF_GRAPH = 7, 5
_DIMS_OF_TENSOR, _TYPE_OF_TENSOR, _NAME_OF_TENSOR, _RAW_DATA_OF_TENSOR = 1, 2, 8, 9
"""Numbers of fields in onnx.proto."""


def _write_model(
    file: BinaryIO, model: Any, tensors: Iterable[Tensor], shapes: Mapping[str, Shape], element: int
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
            frameworks.onnx()
            .TensorProto(name=name, dims=shapes[name], data_type=element)
            .SerializeToString(deterministic=True)
        )
        about += _prefix(_RAW_DATA_OF_TENSOR, size)
        heads[name] = _prefix(_INITIALIZER_OF_GRAPH, len(about) + size) + about
    file.write(model.SerializeToString(deterministic=True))
    file.write(_prefix(_GRAPH_OF_MODEL, len(graph) + sum(map(len, heads.values())) + sum(sizes.values())))
    file.write(graph)
    for tensor in tensors:
        file.write(heads[tensor.name])
        for _, block in tensor.blocks:
            file.write(block.astype(block.dtype.newbyteorder("<"), copy=False).data)


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


def checked(path: Path) -> Any:
    """A model that keeps all its data within its file and that the checker finds sound."""
    package = frameworks.onnx()
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
    return str(frameworks.onnx().helper.tensor_dtype_to_np_dtype(element))


def with_outputs(model: Any, names: Iterable[str]) -> Any:
    """The same model, giving out what the named nodes compute."""
    package = frameworks.onnx()
    changed = package.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.output[:]
    element = model.graph.input[0].type.tensor_type.elem_type
    changed.graph.output.extend(package.helper.make_tensor_value_info(name, element, None) for name in names)
    return changed


def inputs(model: Any) -> list[Any]:
    """What a model is given, without its weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def between(model: Any, source: str, result: str) -> Any | None:
    """The part of a model that makes a value of another one, with its weights; None where it needs further values."""
    package = frameworks.onnx()
    helper, element = package.helper, model.graph.input[0].type.tensor_type.elem_type
    made_by = {name: node for node in model.graph.node for name in node.output}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    needed, waiting = set(), [result]
    while waiting:
        name = waiting.pop()
        if name in needed or name == source or not name:
            continue
        needed.add(name)
        if name not in weights:
            if name not in made_by:
                return None
            waiting.extend(made_by[name].input)
    nodes = [node for node in model.graph.node if not needed.isdisjoint(node.output)]
    ends = [helper.make_tensor_value_info(name, element, None) for name in (source, result)]
    initializers = [tensor for name, tensor in weights.items() if name in needed]
    return helper.make_model(
        helper.make_graph(nodes, result, ends[:1], ends[1:], initializers),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )


def read(path: Path, *, trusted: bool = False) -> Checkpoint:
    """Opens a model that ror-port wrote, as it was or with other weights in it.

    trusted: as of `open_checkpoint`; only the weights are read.
    """
    if trusted:
        return _read_weights(path)
    package = frameworks.onnx()
    model = checked(path)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    where = "metadata ror_port"
    stated = json_object(properties.get("ror_port", "{}"), f"{path}: {where}")
    if stated.get("folded"):
        raise NotACheckpoint(
            f"{path}: its BatchNorms were folded into the convolutions and cannot be taken out again",
            "convert from the file it was made of, or write ONNX without {fold_bn}",
        )
    tensors = [_tensor(package, initializer, path) for initializer in model.graph.initializer]
    outputs = [value.name for value in model.graph.output]
    operators = {name: _essence(node) for node in model.graph.node for name in node.output if name}
    return Checkpoint(
        path=path,
        format="ONNX",
        layers=layers(tensors, "/", path),
        software=ONNX,
        writer="ONNX",
        stated=stated if "graph" in stated else {**stated, "network": _network(model, stated, path)},
        stated_where=where if "network" in stated else "graph",
        operators={"outputs": outputs, "nodes": operators},
    )


def compare(checkpoint: Checkpoint, network: str, graph: Graph) -> None:
    """Raises UnknownNetwork where a model is not, operator by operator, what `write` makes of the graph.

    Whether the softmax is in it is no matter.
    """
    assert checkpoint.operators is not None
    outputs, theirs = checkpoint.operators["outputs"], checkpoint.operators["nodes"]
    result = outputs[0] if len(outputs) == 1 else ""
    graph = relayout(graph, "channels_first").graph
    if len(graph.outputs) == 1 and result in (graph.output.name, graph.logits):
        graph = graph.until(result)
    entries = bind(ONNX_CONVENTION, graph.parameters)
    expected = {name: _essence(node) for node in _nodes(graph, entries) for name in node.output if name}
    wrong = sorted(name for name in expected.keys() | theirs.keys() if expected.get(name) != theirs.get(name))
    if not wrong and tuple(outputs) != graph.outputs:
        wrong = outputs or ["its output"]
    if wrong:
        raise UnknownNetwork(
            f"{checkpoint.path}: its tensors are those of {network}, but its graph is another network's: "
            f"{quote(wrong[0])} {'differs' if wrong[0] in theirs else 'is missing'}"
        )


def _essence(node: Any) -> tuple[Any, ...]:
    """What an operator does, and to what."""
    attributes = {
        (a.name, a.type, a.i, a.f, tuple(a.floats), tuple(a.ints), a.s, tuple(a.strings)) for a in node.attribute
    }
    return node.op_type, tuple(node.input), tuple(node.output), attributes


def _read_weights(path: Path) -> Checkpoint:
    """The weights of a model that `write` wrote a moment ago; the package would hold it in memory several times."""
    with library_errors(path), ExitStack() as on_error:
        file = on_error.enter_context(path.open("rb"))
        (content,) = (inner for number, inner in _fields(file, range(path.stat().st_size)) if number == _GRAPH_OF_MODEL)
        tensors = [
            _placed(file, inner, path) for number, inner in _fields(file, content) if number == _INITIALIZER_OF_GRAPH
        ]
        stored = layers(tensors, "/", path)
        checkpoint = Checkpoint(
            path,
            "ONNX",
            stored,
            software=ONNX,
            writer="ONNX",
            close=file.close,
        )
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
    kinds: Mapping[int, str] = {value: name for name, value in frameworks.onnx().TensorProto.DataType.items()}
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


def _network(model: Any, stated: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """What a model states of its network; where there is no statement of ours, what its graph tells."""
    channels, height, width = _image(model, path)
    network = stated.get("network")
    if isinstance(network, dict):
        return {**network, "input_shape": [height, width, channels]}
    epsilons: set[float] = set()
    padding = "half"
    for node in model.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type == "BatchNormalization":
            epsilons.add(attributes["epsilon"].f if "epsilon" in attributes else 1e-5)
        elif node.op_type == "Conv":
            pads = list(attributes["pads"].ints) if "pads" in attributes else [0]
            padding = padding if len(set(pads)) == 1 else "same"
    epsilon = {"epsilon": epsilons.pop()} if len(epsilons) == 1 else {}
    return {**epsilon, "padding": padding, "input_shape": [height, width, channels]}
