import h5py
import pytest

from genuine import DIGITS, INFERENCE, rename_layers
from ror_port.errors import NotACheckpoint, UnknownNetwork
from ror_port.source.port import load

EXPECTED = {"pre-ror-3-16": ("Pre-RoR-3-16", 2, 1), "ror-3-wrn-40-2": ("RoR-3-WRN-40-2", 6, 2)}


@pytest.mark.parametrize("name", INFERENCE)
def test_genuine_networks_are_recognised(genuine, name) -> None:
    with load(genuine(name).weights) as port:
        family = port.family
        assert (family.name, family.blocks, family.width) == EXPECTED[name.split("_")[0]]
        assert family.classes == 10
        assert family.input_shape == (32, 32, 3)


def test_a_network_that_was_not_the_first_of_its_session_is_recognised(genuine) -> None:
    """The digits network was built after another one: its numbers do not begin at 1."""
    source = genuine(DIGITS)
    with h5py.File(source.weights) as file:
        assert "convolution2d_1" not in file
    with load(source.weights) as port:
        assert port.name == "RoR-3-WRN-10-2"
        assert port.stored["stem/conv/kernel"].name == "convolution2d_11_W"


def automatic(file: h5py.File) -> list[str]:
    return [name.decode() for name in file.attrs["layer_names"] if name.decode().rsplit("_", 1)[1].isdigit()]


def test_counter_offset(copy, pre_ror) -> None:
    path, file = copy
    rename_layers(
        file, {name: f"{name.rsplit('_', 1)[0]}_{int(name.rsplit('_', 1)[1]) + 97}" for name in automatic(file)}
    )
    file.close()
    assert_same_parameters(path, pre_ror.weights)


def test_renamed_layers_are_paired_by_their_order(copy, pre_ror) -> None:
    path, file = copy
    rename_layers(file, {name: f"mine {index}" for index, name in enumerate(automatic(file))})
    file.close()
    assert_same_parameters(path, pre_ror.weights)


def test_a_list_in_another_order_is_paired_by_the_numbers(copy, pre_ror) -> None:
    path, file = copy
    file.attrs["layer_names"] = sorted(file.attrs["layer_names"])
    file.close()
    assert_same_parameters(path, pre_ror.weights)


def test_numbers_and_order_that_contradict_each_other_are_refused(copy) -> None:
    path, file = copy
    names = list(file.attrs["layer_names"])
    one, two = names.index(b"convolution2d_3"), names.index(b"convolution2d_5")  # of one shape
    names[one], names[two] = names[two], names[one]
    file.attrs["layer_names"] = names
    file.close()
    with pytest.raises(NotACheckpoint, match="contradict"):
        load(path)


def test_a_missing_layer_is_named_with_the_nearest_network(copy) -> None:
    path, file = copy
    file.attrs["layer_names"] = [name for name in file.attrs["layer_names"] if name != b"conv2_level2_shortcut"]
    file.close()
    with pytest.raises(UnknownNetwork, match=r"nearest is Pre-RoR-3-16 .* stage2/middle_shortcut is missing"):
        load(path)


def test_a_wrong_shape_is_named(copy) -> None:
    path, file = copy
    del file["dense_1/dense_1_b"]
    file["dense_1/dense_1_b"] = [1.0, 2.0]
    file.close()
    with pytest.raises(UnknownNetwork, match=r"head/dense expects bias 10, 'dense_1' has 2"):
        load(path)


def test_weights_of_another_network(tmp_path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense_1"]
        file["dense_1/dense_1_W"] = [[1.0]]
        file["dense_1"].attrs["weight_names"] = [b"dense_1_W"]
    with pytest.raises(UnknownNetwork, match="no known network \\(1 Dense\\)"):
        load(path)


def assert_same_parameters(path, genuine_path) -> None:
    with load(path) as altered, load(genuine_path) as original:
        for (parameter, array), (other, expected) in zip(altered.parameters(), original.parameters(), strict=True):
            assert parameter == other
            assert array.tobytes() == expected.tobytes(), parameter.name


def exchanged(names: list[bytes | str], one: bytes, two: bytes) -> list[bytes]:
    every = [name if isinstance(name, bytes) else name.encode() for name in names]
    assert {one, two} <= set(every)
    return [{one: two, two: one}.get(name, name) for name in every]


@pytest.mark.parametrize("renamed", ["dense_1", "batchnormalization_4", "conv0_level1_shortcut", "convolution2d_6"])
def test_a_renamed_layer_does_not_silence_the_numbers_of_the_others(copy, renamed) -> None:
    """7d379ca loads it, with two convolutions exchanged (relative L2 2.46)."""
    path, file = copy
    rename_layers(file, {renamed: "mine"})
    file.attrs["layer_names"] = exchanged(list(file.attrs["layer_names"]), b"convolution2d_3", b"convolution2d_5")
    file.close()
    with pytest.raises(NotACheckpoint, match=r"contradict themselves: by number 'convolution2d_\d' comes before"):
        load(path)


def test_a_renamed_layer_alone_is_no_contradiction(copy, pre_ror) -> None:
    path, file = copy
    rename_layers(file, {"dense_1": "answers", "convolution2d_6": "mine"})
    file.close()
    assert_same_parameters(path, pre_ror.weights)


def test_names_that_the_authors_gave_count_where_numbers_are_lost(copy) -> None:
    """7d379ca loads it."""
    path, file = copy
    rename_layers(
        file,
        {
            "dense_1": "mine",
            "conv1_level2_shortcut": "convolution2d_2",
            "convolution2d_2": "conv1_level2_shortcut",
        },
    )
    file.close()
    with pytest.raises(NotACheckpoint, match="contradict themselves: by name stage1/middle_shortcut"):
        load(path)


def test_an_order_of_which_a_part_is_off_is_refused(copy) -> None:
    """7d379ca goes by the numbers alone, once a layer of another shape is out of place."""
    path, file = copy
    names = exchanged(list(file.attrs["layer_names"]), b"convolution2d_3", b"convolution2d_5")
    names.insert(0, names.pop())
    file.attrs["layer_names"] = names
    file.close()
    with pytest.raises(NotACheckpoint, match="contradict themselves: by the numbers in their names 'convolution2d_1'"):
        load(path)


@pytest.mark.parametrize(
    ("name", "rule", "basis"),
    [
        ("pre-ror-3-10_keras-1.0.6", "std + epsilon", "assumed"),
        ("pre-ror-3-10-step_keras-1.1.0", "√(variance + epsilon)", "inferred"),
        ("pre-ror-3-10-64x64_keras-1.2.2", "√(variance + epsilon)", "inferred"),
        ("ror-3-56_keras-1.2.2", "√(variance + epsilon)", "inferred"),
        ("ror-3-110_keras-1.2.2", "√(variance + epsilon)", "inferred"),
        ("pre-ror-3-16_keras-1.2.2", "√(variance + epsilon)", "assumed"),
        ("ror-3-wrn-40-2_keras-1.1.0", "√(variance + epsilon)", "assumed"),
        (DIGITS, "√(variance + epsilon)", "assumed"),
    ],
)
def test_the_order_of_layers_tells_what_batch_norm_divided_by(genuine, name, rule, basis) -> None:
    """Where Keras up to 1.0.7 lists layers otherwise than later ones; 7d379ca takes all for later ones."""
    with load(genuine(name).weights) as port:
        fact = next(fact for fact in port.facts if fact.name == "BatchNorm divisor")
    assert (fact.value, fact.basis) == (rule, basis)
