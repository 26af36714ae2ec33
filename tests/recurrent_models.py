"""Models of recurrent layers in the words of Keras 2, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from genuine_layers import Case, LayerRecord, SavedLayer
from ror_port.source.port import Port, load

UNITS, FEATURES = 4, 3
Layers = list[dict[str, Any]]


def layer(kind: str, name: str, *calls: list[Any], **settings: Any) -> dict[str, Any]:
    """A layer as Keras 2 states it. calls: the tensors that each use of it reads, names or [name, call, result]."""
    nodes = [[[*([t, 0, 0] if isinstance(t, str) else t), {}][:4] for t in call] for call in calls]
    return {"class_name": kind, "name": name, "config": {"name": name, **settings}, "inbound_nodes": nodes}


def given(name: str, *shape: int | None) -> dict[str, Any]:
    return layer("InputLayer", name, batch_input_shape=[None, *shape])


def recurrent(name: str, *calls: list[Any], kind: str = "LSTM", **settings: Any) -> dict[str, Any]:
    gates = {} if kind == "SimpleRNN" else {"recurrent_activation": "sigmoid"}
    usual = {"units": UNITS, "activation": "tanh", "use_bias": True, **gates}
    return layer(kind, name, *calls, **(usual | settings))


GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}


def weights(stated: dict[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Of a layer that reads FEATURES."""
    kind, config, name = stated["class_name"], stated["config"], stated["name"]
    if kind == "Bidirectional":
        sides = ("forward", "backward")
        inner = {side: {**config["layer"], "name": f"{name}/{side}_lstm"} for side in sides}
        return {k: v for side in sides for k, v in weights(inner[side], rng).items()}
    shapes: dict[str, tuple[int, ...]] = {}
    if kind in GATES:
        n = GATES[kind] * UNITS
        shapes = {"kernel": (FEATURES, n), "recurrent_kernel": (UNITS, n)}
        if config["use_bias"]:
            shapes["bias"] = (2, n) if config.get("reset_after") else (n,)
    elif kind == "Dense":
        shapes = {"kernel": (UNITS, config["units"]), "bias": (config["units"],)}
    elif kind == "Embedding":
        shapes = {"embeddings": (config["input_dim"], FEATURES)}
    return {f"{name}/{role}": rng.normal(size=shape).astype("float32") for role, shape in shapes.items()}


def port_of(layers: Layers, outputs: list[Any], folder: Path, keras: str = "2.2.4") -> Port:
    """The port of a model of these layers, with random weights. outputs: as the calls of `layer`."""
    rng = np.random.default_rng(0)
    inputs = [stated["name"] for stated in layers if stated["class_name"] == "InputLayer"]
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": layers,
            "input_layers": [[name, 0, 0] for name in inputs],
            "output_layers": [[end, 0, 0] if isinstance(end, str) else end for end in outputs],
        },
    }
    stack = {"keras_version": keras, "backend": "theano" if keras < "3" else "tensorflow"}
    path = folder / "genuine.h5"
    LayerRecord(
        Case("", "", ""),
        config=json.dumps(config),
        attributes={"model": stack, "model_weights": stack, "weights": stack},
        session={},
        layers=tuple(SavedLayer(stated["name"], weights(stated, rng)) for stated in layers),
        inputs=(),
        outputs=(),
    ).write(path)
    return load(path)
