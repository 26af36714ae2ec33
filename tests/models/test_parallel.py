"""The definitions of one network in Keras, in PyTorch and as a graph are the same network, fresh ones too."""

from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ror_port.mapping.convention import PYTORCH_CONVENTION
from ror_port.mapping.engine import bind
from ror_port.mapping.software import TORCH_IGNORED, keras_layer_name
from ror_port.network.families import WRN, WRN2016, Family, RoR, RoRWRN
from ror_port.network.graph import Graph
from ror_port.network.layers import Conv2D


def padded(graph: Graph) -> Graph:
    """As a network trained on TensorFlow pads."""
    return graph.map(lambda layer: replace(layer, padding="same") if isinstance(layer, Conv2D) else layer)


NETWORKS = [
    (RoRWRN(2, 2), RoRWRN(2, 2).graph()),
    (RoRWRN(1, 1), RoRWRN(1, 1).graph(dropout=0.2)),
    (RoR(1), RoR(1).graph()),
    (WRN(2, 2), WRN(2, 2).graph()),
    (WRN(1, 1), padded(WRN(1, 1).graph())),
    (WRN2016(2, 2), WRN2016(2, 2).graph()),
]
KERAS = {RoRWRN: "ror_wrn", WRN: "wrn", WRN2016: "wrn_2016"}


def in_keras(definition: str, *arguments: Any, **options: Any) -> Any:
    """A network of `ror_port.models.networks_keras`, imported only here: it loads TensorFlow."""
    return getattr(import_module("ror_port.models.networks_keras"), definition)(*arguments, **options)


def keras_model(family: Family, graph: Graph):
    options = family.settings(graph)
    if isinstance(family, RoR):
        del options["width"]
        return in_keras("ror", **options)
    return in_keras(KERAS[type(family)], **options)


def torch_definition() -> ModuleType:
    return import_module("ror_port.models.networks_torch")


def torch_model(family: Family, graph: Graph):
    definition = torch_definition()
    return getattr(definition, type(family).__name__)(definition.Config(**family.settings(graph)))


def of_networks(test):
    return pytest.mark.parametrize(("family", "graph"), NETWORKS, ids=[family.name for family, _ in NETWORKS])(test)


@of_networks
def test_layers_of_the_keras_definition_are_the_nodes_of_the_graph(family, graph) -> None:
    nodes = [keras_layer_name(node.name) for node in graph.for_keras().keras_order]
    assert [layer.name for layer in keras_model(family, graph).layers] == nodes


@of_networks
def test_parameters_of_the_torch_definition_are_those_of_the_graph(family, graph) -> None:
    entries = bind(PYTORCH_CONVENTION, graph.parameters)
    state = {name: tuple(t.shape) for name, t in torch_model(family, graph).state_dict().items()}
    counters = {name for name in state if name.rpartition(".")[2] in TORCH_IGNORED}
    assert {entry.foreign: entry.foreign_shape for entry in entries} == {
        n: s for n, s in state.items() if n not in counters
    }


def test_initialised_as_the_originals() -> None:
    import keras

    keras.utils.set_random_seed(0)
    model = in_keras("ror_wrn", 1, 4)
    he = model.get_layer("stage3_block0_conv2").kernel.numpy()
    glorot = model.get_layer("root_shortcut").kernel.numpy()
    assert he.std() == pytest.approx(np.sqrt(2 / (256 * 9)), rel=0.03)
    assert abs(glorot).max() == pytest.approx(np.sqrt(6 / (16 + 256)), rel=0.03)


def test_wrns_weight_decay_is_an_option() -> None:
    assert in_keras("wrn", 1, 1).losses == []
    decayed = in_keras("wrn", 1, 1, weight_decay=5e-4)
    assert len(decayed.losses) == sum(p.role == "kernel" for p in WRN(1, 1).graph().parameters)


def test_tensorflows_padding_in_torch_is_tensorflows() -> None:
    """A WRN trained on TensorFlow: its strided convolutions pad 0 before and 1 after."""
    import torch

    family, graph = WRN(1, 1), padded(WRN(1, 1).graph())
    keras, model = keras_model(family, graph), torch_model(family, graph).eval()
    entries = bind(PYTORCH_CONVENTION, graph.parameters)
    arrays = {f"{v.path}": v.numpy() for v in keras.variables}
    state = {
        e.foreign: torch.from_numpy(e.layout(arrays[f"{keras_layer_name(e.parameter.node)}/{e.parameter.role}"]))
        for e in entries
    }
    model.load_state_dict(state, strict=False)
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    with torch.inference_mode():
        ours = torch.softmax(model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())), 1).numpy()
    np.testing.assert_allclose(ours, keras.predict(images, verbose=0), atol=1e-6)


def test_fresh_networks_are_set_up_as_the_originals() -> None:
    wrn = torch_definition().WRN.create(blocks=1, width=1)
    assert (wrn.stem.bn.eps, wrn.stem.bn.momentum) == (1e-5, 0.9)  # Keras counts momentum the other way round
    keras = in_keras("wrn", 1, 1).get_layer("stem_bn")
    assert (keras.epsilon, keras.momentum) == (WRN(1, 1).epsilon, WRN(1, 1).momentum) == (1e-5, 0.1)
    assert torch_definition().RoR.create(blocks=1, classes=100).head.dense.out_features == 100
