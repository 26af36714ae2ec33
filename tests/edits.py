"""Random single edits of a stored architecture: of a setting, an edge, a name or a class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple

from ror_port.network.layers import BY_KERAS_CLASS
from ror_port.network.layers.settings import IDLE, IDLE_ENDINGS
from ror_port.source.from_config import MODELS

Json = dict[str, Any]

CLASSES = sorted({*BY_KERAS_CLASS, "Lambda", "LSTM", "Masking", "TimeDistributed", "Embedding", "LocallyConnected2D"})

WORDS = (
    *("valid", "same", "full", "causal", "th", "tf", "channels_first", "channels_last", "default", "nearest", ""),
    *("linear", "relu", "tanh", "softmax", "hard_sigmoid", "sigmoid", "elu", "swish"),
    *("sum", "mul", "ave", "max", "concat", "dot", "cos", "raw", "lambda"),
)
"""What a setting that is a word is set to."""

KEPT = ("name", "layer", "layers", "input_layers", "output_layers")
"""What a configuration has beside settings."""


class Edit(NamedTuple):
    """An edited architecture. kind: what was edited. layer: class of the layer it belongs to. old, new: what it was and
    is; None where it is left out. settings: of the layer."""

    config: Json
    kind: str
    layer: str
    what: str
    old: Any
    new: Any
    settings: Json

    def __str__(self) -> str:
        return f"{self.kind} of a {self.layer}: {self.what} {str(self.old)[:200]} → {str(self.new)[:200]}"

    @property
    def idle(self) -> bool:
        """Whether the edited network provably computes what the old one does."""
        match self.kind:
            case "name":
                return True
            case "class":
                return _kind(self.old) == _kind(self.new)
            case "edge":
                surplus = self.what in ("unread call", "unread output")
                return surplus or (
                    self.layer in ("Add", "Merge") and sorted(map(str, self.old)) == sorted(map(str, self.new))
                )
        old, new = self._plain(self.old), self._plain(self.new)
        return (
            self.what in IDLE | IDLE_IN.get(self.layer, set())
            or self.what.endswith(IDLE_ENDINGS)
            or (self.what == "concat_axis" and self.settings.get("mode") != "concat")
            or (self.what == "dot_axes" and self.settings.get("mode") != "dot")
            or old == new
            or ("same" in (old, new) and self._kernel() == {1})  # nothing to pad
            or (self.what in ("data_format", "dim_ordering") and new is None)  # that of the session
            or (
                "ax" in self.what and isinstance(old, int) and isinstance(new, int) and old * new < 0
            )  # from either end
        )

    def _kernel(self) -> set[int]:
        """Its sizes."""
        sizes = self.settings.get("kernel_size", self.settings.get("filter_length"))
        if sizes is None:
            sizes = [self.settings.get(name) for name in ("nb_row", "nb_col")]
        return set(sizes) if isinstance(sizes, list) else {sizes}

    def _plain(self, value: Any) -> Any:
        """One spelling of values that Keras takes for the same: left out, numbers as text, one number for all axes."""
        if value is None:
            value = DEFAULTS.get(self.what, DEFAULTS_IN.get((self.layer, self.what)))
            if "pool" in self.layer.lower() and self.what in ("strides", "stride"):
                value = self.settings.get("pool_size", self.settings.get("pool_length"))
        if self.what == "target_shape" and isinstance(value, list):  # any number below 0 is the one that follows
            return [max(item, -1) if isinstance(item, int) else item for item in value]
        if self.what == "output_shape" and isinstance(value, list):
            return value[1:]  # without the batch
        if isinstance(value, list) and value and all(item == value[0] for item in value):
            value = value[0]
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        return WORDS_OF_KERAS_2.get(value, value) if isinstance(value, str) else value


TRAINING = (
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "AlphaDropout"),
    *("GaussianNoise", "ActivityRegularization"),
)
"""Layers that do nothing in inference, whatever they are set to."""

RECURRENT = {
    *("dropout", "recurrent_dropout", "dropout_W", "dropout_U", "unroll", "implementation", "unit_forget_bias"),
    "consume_less",  # which the number of its weights tells
}

IDLE_IN: dict[str, set[str]] = {
    **{layer: {"rate", "p", "sigma", "stddev", "l1", "l2", "data_format", "dim_ordering"} for layer in TRAINING},
    "PReLU": {"shared_axes"},  # which the shape of its weight tells
    "Merge": {"output_shape", "output_mask", "arguments"},  # of a mode that is a function
    "BatchNormalization": {"renorm_clipping", "renorm_momentum"},
    "Embedding": {"dropout"},
    "Highway": {"transform_bias"},  # of fresh weights
    **{layer: RECURRENT for layer in ("SimpleRNN", "GRU", "LSTM", "ConvLSTM2D", "RNN")},
}

DEFAULTS = {
    **dict.fromkeys(("bias", "use_bias", "scale", "center"), True),
    **dict.fromkeys(("subsample", "subsample_length", "strides", "dilation_rate", "atrous_rate", "groups"), 1),
    **dict.fromkeys(("pool_size", "pool_length"), 2),
    **dict.fromkeys(("border_mode", "padding"), "valid"),
    **dict.fromkeys(("mode_type", "output_mask_type", "output_shape_type"), "raw"),
    **dict.fromkeys(("axis", "concat_axis", "dot_axes", "axes"), -1),
    **{"epsilon": 1e-3, "momentum": 0.99},
    **{"activation": "linear", "theta": 1.0, "alpha": 1.0, "negative_slope": 0.0, "threshold": 0.0},
    **{"interpolation": "nearest", "depth_multiplier": 1, "normalize": False},
    **dict.fromkeys(("return_sequences", "return_state", "go_backwards", "stateful", "reset_after"), False),
    **{"mask_zero": False, "mask_value": 0.0, "merge_mode": "concat", "size": 2, "length": 2, "nb_feature": 4},
}
"""What Keras takes where a setting is left out."""

DEFAULTS_IN = {
    ("BatchNormalization", "mode"): 0,
    ("Merge", "mode"): "sum",
    ("Cropping1D", "cropping"): 1,
    ("ZeroPadding1D", "padding"): 1,
}

WORDS_OF_KERAS_2 = {"th": "channels_first", "tf": "channels_last", "default": None}


def _kind(class_name: str) -> str:
    """One name for classes that are the same."""
    return "training" if class_name in TRAINING else str(BY_KERAS_CLASS.get(class_name, class_name))


def layers(model: Json) -> Iterator[Json]:
    """Every layer of a model, of nested models, of the branches of a Merge, and what a wrapper has within."""
    inner = model.get("config")
    found = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, dict) else None
    wrapped = inner.get("layer") if isinstance(inner, dict) else None
    for layer in found or ([wrapped] if isinstance(wrapped, dict) else ()):
        yield layer
        yield from layers(layer)


def edited(config: Json, random: Random) -> Edit:
    """One random edit of a model's JSON."""
    while True:
        copy = deepcopy(config)
        edit = random.choice((_setting, _setting, _setting, _edge, _name, _class))(copy, random)
        if edit and copy != config:
            return edit


def _setting(config: Json, random: Random) -> Edit:
    places = [
        layer for layer in layers(config) if isinstance(layer["config"], dict) and layer["class_name"] not in MODELS
    ]
    layer = random.choice(places)
    settings = layer["config"]
    what = random.choice([what for what in settings if what not in KEPT] or ["trainable"])
    old = settings.get(what)
    how = random.random()
    if how < 0.1:
        settings.pop(what, None)
    elif how < 0.25:  # one that this layer may not have
        other = random.choice(places)["config"]
        what = random.choice([what for what in other if what not in KEPT] or ["trainable"])
        old = settings.get(what)
        settings[what] = _other(other.get(what), random) if what in settings else other.get(what)
    else:
        settings[what] = _other(old, random)
    return Edit(config, "setting", layer["class_name"], what, old, settings.get(what), settings)


def _other(value: Any, random: Random) -> Any:
    """Another value, mostly of the same type."""
    if random.random() < 0.1:
        return random.choice([None, True, False, 0, 1, -1, 2, 0.5, 1e-3, "relu", "2", [], [1], {}])
    match value:
        case bool():
            return not value
        case int():
            return random.choice([value + 1, value - 1, 2 * value, 0, -value, value + 0.5, float(value)])
        case float():
            return random.choice([2 * value, value / 2, -value, value + 1, 0.0, 1.0])
        case str():
            return random.choice(WORDS)
        case [*items] if items:
            at = random.randrange(len(items))
            changed = [*items[:at], _other(items[at], random), *items[at + 1 :]]
            return random.choice([changed, changed, items[::-1], items[:at] + items[at + 1 :], [*items, items[at]]])
        case dict() if value:
            name = random.choice(list(value))
            return {**value, name: _other(value[name], random)}
    return random.choice([1, 2, True, "relu", "same", [1, 1], [2, 2], "channels_first"])


def _edge(config: Json, random: Random) -> Edit | None:
    models = [model for model in (config, *layers(config)) if "output_layers" in model["config"]]
    if not models:
        return None
    model = random.choice(models)
    inner = model["config"]
    names = [name_of(layer) for layer in inner["layers"]]
    readers = [layer for layer in inner["layers"] if layer.get("inbound_nodes")]
    at = random.randrange(len(readers) + 2)
    if at >= len(readers):
        what = ("input_layers", "output_layers")[at - len(readers)]
        old, tensors = deepcopy(inner[what]), inner[what]
        change = (
            _change_tensor if isinstance(tensors[0], str) else _change_list
        )  # Keras 3 has a single one without list
        change(tensors, names, random)
        if what == "output_layers" and model is not config and tensors[: len(old)] == old:
            what = "unread output"
        return Edit(
            config, "edge", model["class_name"], what, old, inner[what if what in inner else "output_layers"], {}
        )
    nodes = readers[at]["inbound_nodes"]
    number = random.randrange(len(nodes))
    node, old = nodes[number], deepcopy(nodes[number])
    what = "inbound_nodes"
    if random.random() < 0.1:
        if random.random() < 0.5:
            nodes.pop(number)
        else:
            nodes.append(old)
            what = "unread call"
    elif isinstance(node, dict) and random.random() < 0.1:
        node["kwargs"] = {random.choice(["mask", "training", "axis"]): random.choice([True, 1])}
    elif isinstance(node, dict):
        _change_list(node["args"][0] if isinstance(node["args"][0], list) else node["args"], names, random)
    else:
        _change_list(node, names, random)
    return Edit(config, "edge", readers[at]["class_name"], what, *(_tensors(each) for each in (old, node)), {})


def _tensors(node: Any) -> Any:
    args = node["args"] if isinstance(node, dict) else node
    return args[0] if len(args) == 1 and isinstance(args[0], list) and isinstance(node, dict) else args


def _change_list(tensors: list[Any], names: list[str], random: Random) -> None:
    """Changes a list of tensors, each [layer, call, output] and in Keras 2 arguments, or a mapping of Keras 3."""
    at = random.randrange(len(tensors))
    match random.randrange(6):
        case 0:
            tensors.pop(at)
        case 1:
            tensors.append(deepcopy(tensors[at]))
        case 2:
            tensors.reverse()
        case _:
            tensor = tensors[at]
            _change_tensor(tensor["config"]["keras_history"] if isinstance(tensor, dict) else tensor, names, random)


def _change_tensor(tensor: list[Any], names: list[str], random: Random) -> None:
    at = random.choice([0, 0, 0, 0, 1, 2, 3])
    if at == 0:
        tensor[0] = random.choice(names)
    elif at < 3:
        tensor[at] += random.choice([1, -1])
    elif len(tensor) > 3:
        tensor[3] = random.choice([{"mask": None}, {"training": True}, {"axis": 1}])
    else:
        tensor.pop()


def _name(config: Json, random: Random) -> Edit:
    found = [layer for layer in layers(config) if name_of(layer)]
    layer, other = random.choice(found), random.choice(found)
    if random.random() < 0.5:
        other = random.choice([each for each in found if each["class_name"] == layer["class_name"]])
    old, taken = name_of(layer), name_of(other)
    match random.randrange(5):
        case 0:  # in one of its two places
            random.choice([place for place in (layer, layer["config"]) if "name" in place])["name"] = taken
        case 1:
            _rename(layer, random.choice(["renamed", "", "a/b", f"{old} "]))
        case 2:
            _rename(layer, taken)
        case 3:
            _rename(layer, taken)
            _rename(other, old)
        case 4:  # in edges too
            text = json.dumps(config)
            for before, after in ((old, "@"), (taken, old), ("@", taken)):
                text = text.replace(json.dumps(before), json.dumps(after))
            config.update(json.loads(text))
    return Edit(config, "name", layer["class_name"], f"beside {taken}", old, name_of(layer), {})


def name_of(layer: Json) -> Any:
    return layer.get("name") or (layer["config"].get("name") if isinstance(layer["config"], dict) else None)


def _rename(layer: Json, name: str) -> None:
    for place in (layer, layer["config"]):
        if isinstance(place, dict) and "name" in place:
            place["name"] = name


def _class(config: Json, random: Random) -> Edit:
    layer = random.choice(list(layers(config)))
    old = layer["class_name"]
    layer["class_name"] = random.choice(CLASSES)
    return Edit(config, "class", old, "class_name", old, layer["class_name"], {})
