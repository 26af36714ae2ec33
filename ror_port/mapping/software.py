"""What one kind of software calls layers and weights, and how it orders the axes of its kernels.

Sources: Keras 1.0.6–1.2.2 and 2.0–2.3 (keras/layers/*.py, engine/topology.py), Keras 3.15 (saving_lib.py).
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Literal

from ror_port.layout import DataFormat, Shape
from ror_port.mapping import weights
from ror_port.mapping.weights import Weight
from ror_port.network.graph import Graph
from ror_port.network.layers import BatchNormalization, Concatenate, Conv2D, Dense, Input, Layer, Softmax
from ror_port.network.layers.recurrent import Recurrent

_VARIABLE_SUFFIX = re.compile(r"(?:_\d+)?:\d+$")
"""TensorFlow ends the name of a variable in ``:0``, or ``_1:0`` for the second of its name."""


@dataclass(frozen=True, eq=False)
class Software:
    """A column of the table of weights.

    full_name: of a weight, with {layer} and {weight}. node_name: canonical node → what its layer is called in files
    that ror-port writes. axes: canonical → its own, where they differ; of several the shape in the file tells.
    axes_channels_first: the same for layers of that data format, where it matters. ordered: whether its files list the
    weights of a layer in Keras' order, so that names are evidence and no more. automatic: kind → what it calls layers
    that nobody named, without their number.
    """

    name: str
    column: Literal["keras_1", "keras_2", "keras_3", "torch", "onnx"]
    full_name: str
    node_name: Callable[[str], str] = str
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    axes_channels_first: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ordered: bool = False
    automatic: Mapping[type[Layer], str] = field(default_factory=dict)

    def names(self, graph: Graph) -> dict[str, str]:
        """Node → what its layer is called in files that ror-port writes: valid, and each of them once."""
        found: dict[str, str] = {}
        taken: set[str] = set()
        for node in graph:
            name = wanted = self.node_name(node.name)
            if node.mask and isinstance(node.layer, Concatenate) and self.column in ("keras_2", "keras_3"):
                name = wanted = f"{name}_layer"  # "concatenate_1" is what Keras 3 calls an operation on masks
            number = 1
            while name in taken:
                number += 1
                name = f"{wanted}_{number}"
            taken.add(name)
            found[node.name] = name
        return found

    def weight_name(self, weight: Weight, layer: str) -> str:
        """A weight's full name; layer: what its layer is called."""
        return self.full_name.format(layer=layer, weight=getattr(weight, self.column))

    def stored_axes(self, weight: Weight, data_format: DataFormat) -> tuple[str, ...]:
        """The axes that a weight may have here, of a layer with a data format; likeliest first."""
        if data_format == "channels_first" and weight.axes in self.axes_channels_first:
            return self.axes_channels_first[weight.axes]
        return self.axes.get(weight.axes, (weight.axes,))

    def by_names(
        self, layer: str, names: Sequence[str], shapes: Sequence[Shape]
    ) -> tuple[type[Layer], tuple[str, ...]] | None:
        """The kind of a layer and the roles of its weights, told by their names and numbers of axes, or None."""
        prefix = self.full_name.partition("{weight}")[0].format(layer=layer)
        short = [name.removeprefix(prefix) for name in names]
        for kind in weights.KINDS:
            rows = {getattr(weight, self.column): weight for weight in weights.of_layer(kind).values()}
            if rows.keys() >= set(short) and all(
                len(rows[name].axes) in (0, len(shape)) for name, shape in zip(short, shapes, strict=True)
            ):
                return kind, tuple(rows[name].role for name in short)
        return None

    def role_in_name(self, name: str) -> str | None:
        """The last word of a weight's name, whatever stands before it, if it is one of this software's; else None."""
        found = self._last_word.search(_VARIABLE_SUFFIX.sub("", name))
        return found[1] if found else None

    @cached_property
    def _last_word(self) -> re.Pattern[str]:
        """What the name of a weight ends in; the longest word is found first."""
        between = self.full_name.partition("{weight}")[0][-1]
        words = {getattr(weight, self.column) for weight in weights.WEIGHTS} - {None}
        return re.compile(rf"(?:^|{re.escape(between)})({'|'.join(map(re.escape, sorted(words)))})$")

    def layer_in_name(self, name: str) -> str | None:
        """What stands before the last word of a weight's name, where that is one of this software's; else None."""
        role = self.role_in_name(name)
        return _VARIABLE_SUFFIX.sub("", name)[: -len(role)].rstrip("_/") if role else None


def by_order(shapes: Sequence[Shape]) -> tuple[type[Layer], tuple[str, ...]] | None:
    """The kind of a layer and the roles of its weights, told by their order and numbers of axes, or None.

    A ConvLSTM2D and a SeparableConv2D have as many: neither is told.
    """
    return _by_axes().get(tuple(map(len, shapes)))


@cache
def _by_axes() -> dict[tuple[int, ...], tuple[type[Layer], tuple[str, ...]]]:
    """Numbers of axes of weights → the first kind of layer that has such, and their roles."""
    found: dict[tuple[int, ...], tuple[type[Layer], tuple[str, ...]]] = {}
    for kind in weights.KINDS:
        if issubclass(kind, Recurrent):
            continue
        rows = weights.of_layer(kind)
        for roles in (tuple(rows), tuple(role for role in rows if role not in weights.OPTIONAL)):
            if roles:
                found.setdefault(tuple(len(rows[role].axes) for role in roles), (kind, roles))
    return found


def snake_case(class_name: str) -> str:
    """What Keras 2 and 3 call the layers of a class: an underscore before each word that begins with a capital."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", class_name).lower()


def keras_layer_name(node: str) -> str:
    """The name of a canonical node as a layer of today's Keras, which makes it the name of a scope in TensorFlow."""
    return re.sub("^(?=[^A-Za-z0-9.])", ".", re.sub("[^A-Za-z0-9_.>-]", "_", node))


def module_path(node: str) -> str:
    """The PyTorch module of a canonical node."""
    return node.replace("/", ".")


_RESERVED = {
    "x", "self", "torch", "nn", "cls", "sum", "add_module", "apply", "bfloat16", "buffers", "children", "compile",
    "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "from_pretrained", "get_buffer",
    "get_extra_state", "get_parameter", "get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia",
    "named_buffers", "named_children", "named_modules", "named_parameters", "parameters", "save_pretrained",
    "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train", "training", "type",
    "xpu", "zero_grad", "super", "json", "Path", "Tensor", "inputs",
}  # fmt: skip
"""Names that mean something else in a class made of a graph."""


def torch_names(graph: Graph) -> dict[str, str]:
    """Node → name of its module in a class made of a graph: its own, made valid, each once."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for node in graph:
        wanted = re.sub(r"\W", "_", node.name, flags=re.ASCII)
        if not wanted or wanted[0].isdigit() or wanted.startswith("_"):
            wanted = f"layer_{wanted}"
        if keyword.iskeyword(wanted) or keyword.issoftkeyword(wanted) or wanted in _RESERVED:
            wanted += "_"
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        found[node.name] = name
    return found


_NUMBERED = (Conv2D, BatchNormalization, Dense)
"""The kinds that recognised families number."""

KERAS_1 = Software(
    "Keras 1", "keras_1", "{layer}/{layer}_{weight}", keras_layer_name,
    axes={"KIO": ("K1IO", "OIK1"), "HWOI": ("HWIO",), "DHWOI": ("DHWIO",)},
    axes_channels_first={
        "HWIO": ("OIHW",), "HWOI": ("OIHW",), "HWIM": ("MIHW",), "DHWIO": ("OIDHW",), "DHWOI": ("OIDHW",),
    },
    ordered=True,
    automatic={kind: (kind.keras_1 or kind.keras[0]).lower() for kind in _NUMBERED},
)  # fmt: skip
KERAS_2 = Software(
    "Keras 2", "keras_2", "{layer}/{layer}/{weight}:0", keras_layer_name,
    ordered=True, automatic={kind: snake_case(kind.keras[0]) for kind in _NUMBERED},
)  # fmt: skip
KERAS_3 = Software("Keras 3", "keras_3", "{layer}/vars/{weight}", keras_layer_name, ordered=True)
_CHANNELS_FIRST = {
    "KIO": ("OIK",),
    "HWIO": ("OIHW",),
    "DHWIO": ("OIDHW",),
    "KIM": ("(IM)1K",),
    "HWIM": ("(IM)1HW",),
    "HWOI": ("IOHW",),
    "DHWOI": ("IODHW",),
}
PYTORCH = Software("PyTorch", "torch", "{layer}.{weight}", module_path, axes={**_CHANNELS_FIRST, "IO": ("OI",)})
ONNX = Software("ONNX", "onnx", "{layer}/{weight}", axes=_CHANNELS_FIRST)

TORCH_IGNORED = {"num_batches_tracked": "BatchNorm's step counter; Keras has none"}
"""Entries of a PyTorch state dict that no weight of ours stands for, with the reason."""


def keras_1_layer_names(graph: Graph) -> dict[str, str]:
    """Node → name of its layer in a fresh session of Keras 1, in the order of its ``model.layers``.

    Automatic names count the layers of a class as the authors' code created them. A last softmax is a part of Dense.
    """
    counts: dict[str, int] = {}
    names = {}
    for node in graph:
        if isinstance(node.layer, Softmax):
            continue
        layer = type(node.layer)
        prefix = "input" if layer is Input else (layer.keras_1 or layer.keras[0]).lower()
        if not node.original_name:
            counts[prefix] = counts.get(prefix, 0) + 1
        names[node.name] = node.original_name or f"{prefix}_{counts[prefix]}"
    return {node.name: names[node.name] for node in graph.keras_order if node.name in names}
