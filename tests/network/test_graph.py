import h5py
import pytest

from genuine import PRE_ROR
from ror_port.layout import PermuteFlattened
from ror_port.mapping.software import keras_1_layer_names
from ror_port.network.families.ror_wrn import RoRWRN
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
