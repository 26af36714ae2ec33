import h5py
import numpy as np
import pytest

from genuine import PRE_ROR
from ror_port.layout import Arranged, PermuteFlattened
from ror_port.mapping.software import keras_1_layer_names
from ror_port.network.families.ror_wrn import RoRWRN
from ror_port.network.folding import fold
from ror_port.network.graph import Graph, GraphBuilder
from ror_port.network.layers import BatchNormalization, Conv2D, Input
from ror_port.network.relayout import relayout


@pytest.mark.parametrize("name", PRE_ROR)
def test_order_and_numbers_are_those_of_genuine_keras(genuine, name) -> None:
    with h5py.File(genuine(name).weights) as file:
        listed = [layer.decode() for layer in file.attrs["layer_names"]]
    assert list(keras_1_layer_names(RoRWRN(2, 1).graph()).values()) == listed


def test_order_of_the_large_network_is_that_of_genuine_keras(genuine) -> None:
    listed = [layer for layer, _ in genuine("ror-3-wrn-40-2_keras-1.2.2").manifest()["layers"]]
    assert list(keras_1_layer_names(RoRWRN(6, 2).graph()).values()) == listed


def test_size_of_ror_3_wrn_40_2() -> None:
    graph = RoRWRN(6, 2).graph()
    total = 0
    for parameter in graph.parameters:
        product = 1
        for length in parameter.shape:
            product *= length
        total += product
    assert total == 2_265_034  # counted by Keras 1, running statistics included


def test_names_of_the_networks() -> None:
    assert RoRWRN(6, 2).name == "RoR-3-WRN-40-2"
    assert RoRWRN(2, 1).name == "Pre-RoR-3-16"


def test_until_leaves_out_what_does_not_lead_there() -> None:
    graph = RoRWRN(1, 1).graph()
    assert graph.until("head/dense").output.name == "head/dense"
    assert [node.name for node in graph.until("root_shortcut")] == ["image", "stem/conv", "root_shortcut"]


def test_maps_of_different_shapes_do_not_add() -> None:
    with pytest.raises(ValueError, match="cannot merge values of shapes"):
        RoRWRN(1, 1, input_shape=(30, 30, 3)).graph()


def test_a_64x64_image_leaves_two_by_two_positions() -> None:
    graph = RoRWRN(1, 1, input_shape=(64, 64, 3)).graph()
    kernel = next(p for p in graph.parameters if p.name == "head/dense/kernel")
    assert kernel.shape == (256, 10)
    (step,) = relayout(graph, "channels_first").weights[kernel.name].steps
    assert step == PermuteFlattened((2, 2, 64), (2, 0, 1))


def convolution_and_norm(axis: int) -> GraphBuilder:
    g = GraphBuilder()
    conv = Conv2D(3, (1, 1), (1, 1), data_format="channels_first")
    g.add("norm", BatchNormalization(1e-3, axis=axis), g.add("conv", conv, g.add("image", Input((2, 3, 3)))))
    return g


def folded(graph: Graph) -> set[str]:
    """The nodes that are left of a graph."""
    rng = np.random.default_rng(0)
    return {node.name for node in fold(graph, [(p, Arranged.of(rng.random(p.shape))) for p in graph.parameters])[0]}


def test_a_batch_norm_is_folded_into_the_filters_it_scales_and_into_nothing_else() -> None:
    assert folded(convolution_and_norm(axis=1).finish()) == {"image", "conv"}
    assert folded(convolution_and_norm(axis=2).finish()) == {"image", "conv", "norm"}  # scales the heights
    assert folded(convolution_and_norm(axis=1).finish("norm", "conv")) == {"image", "conv", "norm"}
    used_twice = convolution_and_norm(axis=1)
    used_twice.add("conv@2", used_twice.nodes["conv"].layer, "image", shares="conv")
    assert folded(used_twice.finish("norm", "conv@2")) == {"image", "conv", "norm", "conv@2"}
