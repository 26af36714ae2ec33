import re

import h5py
import pytest

from genuine import STEPS, relative_l2, rename_layers
from ror_port import save
from ror_port.check.classification import seeded_images
from ror_port.errors import NotACheckpoint, UnknownNetwork, UsageError
from ror_port.mapping.convention import THEANO
from ror_port.network.graph import Graph
from ror_port.network.layers import BatchNormalization
from ror_port.network.layers.spatial import Spatial
from ror_port.source.port import Port, load


def fact(port: Port, name: str) -> tuple[str, str]:
    found = next(fact for fact in port.facts if fact.name == name)
    return found.value, found.basis


def norms(port: Port, graph: Graph | None = None) -> set[tuple[str, float]]:
    layers = (node.layer for node in graph or port.graph)
    return {(layer.divisor, layer.epsilon) for layer in layers if isinstance(layer, BatchNormalization)}


def data_formats(port: Port) -> set[str]:
    return {node.layer.data_format for node in port.graph if isinstance(node.layer, Spatial)}


def test_a_genuine_weights_file(pre_ror) -> None:
    with load(pre_ror.weights) as port:
        assert fact(port, "Keras") == ("1", "inferred")
        assert fact(port, "backend") == ("theano", "inferred")
        assert fact(port, "dim ordering") == ("th", "inferred")
        assert fact(port, "BatchNorm divisor") == ("√(variance + epsilon)", "assumed")
        assert fact(port, "BatchNorm epsilon") == ("0.001", "assumed")
        assert port.convention == THEANO
        assert data_formats(port) == {"channels_first"}


def test_a_genuine_full_model_states_what_weights_alone_do_not(genuine) -> None:
    with load(genuine(STEPS[0]).folder / "model.h5") as port:
        assert fact(port, "Keras") == ("1.2.2", "recorded")
        assert fact(port, "dim ordering") == ("th", "recorded")
        assert fact(port, "BatchNorm epsilon") == ("0.001", "recorded")
        assert port.checkpoint.omitted == ("optimizer state",)


def test_names_that_end_in_0_are_tensorflows(copy) -> None:
    """TensorFlow under Keras 1 with ordering th: the same shapes, and no flip."""
    path, file = copy
    for layer in file.values():
        weights = [name.decode() for name in layer.attrs["weight_names"]]
        for index, name in enumerate(weights):
            layer.move(name, f"{name}{'_1' if index else ''}:0")
        if weights:
            layer.attrs["weight_names"] = [f"{name}{'_1' if i else ''}:0".encode() for i, name in enumerate(weights)]
    file.close()
    with load(path) as port:
        assert fact(port, "backend") == ("tensorflow", "inferred")
        assert not port.convention.theano


def test_some_names_that_end_in_0_are_a_contradiction(copy) -> None:
    path, file = copy
    file["dense_1"].move("dense_1_W", "dense_1_W:0")
    file["dense_1"].attrs["weight_names"] = [b"dense_1_W:0", b"dense_1_b"]
    file.close()
    with pytest.raises(NotACheckpoint, match="1 of 94 weight names end in ':0'"):
        load(path)


def test_what_the_user_says_counts(pre_ror) -> None:
    with load(pre_ror.weights, backend="tensorflow", epsilon=1e-5) as port:
        assert fact(port, "backend") == ("tensorflow", "given")
        assert fact(port, "BatchNorm epsilon") == ("1e-05", "given")
        assert norms(port) == {("√(variance + epsilon)", 1e-5)}
        assert not port.convention.theano


def test_a_recorded_backend_counts_more_than_names(copy) -> None:
    path, file = copy
    file.attrs["backend"] = b"tensorflow"
    file.close()
    with load(path) as port:
        assert fact(port, "backend") == ("tensorflow", "recorded")


def test_kernels_of_ordering_tf_are_told_by_their_shapes(copy) -> None:
    path, file = copy
    for layer in file.values():
        for name, stored in list(layer.items()):
            if stored.ndim == 4:
                kernel = stored[()].transpose(2, 3, 1, 0)
                del layer[name]
                layer[name] = kernel
    file.close()
    with load(path) as port:
        assert fact(port, "dim ordering") == ("tf", "inferred")
        assert data_formats(port) == {"channels_last"}
        assert port.convention.theano  # Theano convolved truly under either ordering


def test_weights_of_unknown_names_are_told_by_their_order_and_shapes(copy, pre_ror) -> None:
    """As Keras itself tells them."""
    path, file = copy
    for layer, names in (("dense_1", ["U", "v"]), ("batchnormalization_3", ["a", "b", "c", "d"])):
        group = file[layer]
        for old, new in zip(group.attrs["weight_names"], names, strict=True):
            group.move(old.decode(), new)
        group.attrs["weight_names"] = [name.encode() for name in names]
    file.close()
    with load(path) as renamed, load(pre_ror.weights) as port:
        assert fact(renamed, "Keras") == ("1", "inferred")
        assert renamed.graph == port.graph
        for (parameter, array), (_, expected) in zip(renamed.parameters(), port.parameters(), strict=True):
            assert array.tobytes() == expected.tobytes(), parameter.name


def config_with(copy, genuine, change) -> str:
    """The path of a genuine full model whose model_config went through `change`."""
    path, file = copy
    file.close()
    path.write_bytes((genuine(STEPS[0]).folder / "model.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        config = file.attrs["model_config"]
        text = config.decode() if isinstance(config, bytes) else config
        file.attrs["model_config"] = change(text)
    return path


def test_a_recorded_epsilon_is_taken(copy, genuine) -> None:
    path = config_with(copy, genuine, lambda text: text.replace('"epsilon": 0.001', '"epsilon": 2e-05'))
    with load(path) as port:
        assert fact(port, "BatchNorm epsilon") == ("2e-05", "recorded")
        assert norms(port) == {("√(variance + epsilon)", 2e-5)}


def test_a_lambda_layer_is_refused(copy, genuine) -> None:
    path = config_with(copy, genuine, lambda text: text.replace('"class_name": "Flatten"', '"class_name": "Lambda"'))
    with pytest.raises(UnknownNetwork, match="Lambda layer, which is Python code"):
        load(path)


def test_a_batch_norm_without_running_statistics_is_explained(copy, genuine) -> None:
    path = config_with(copy, genuine, lambda text: text.replace('"axis": 1', '"axis": 1, "mode": 2', 1))
    with pytest.raises(UnknownNetwork, match="mode 2"):
        load(path)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"config": 1}', "[" * 100_000, '{"config": {"layers": [1]}}']
)
def test_a_broken_architecture(copy, genuine, text) -> None:
    path = config_with(copy, genuine, lambda _: text or " ")
    with pytest.raises((NotACheckpoint, UnknownNetwork), match="model_config"):
        load(path)


def test_renaming_keeps_the_era(copy) -> None:
    path, file = copy
    rename_layers(file, {"dense_1": "answers"})
    file.close()
    with load(path) as port:
        assert fact(port, "Keras") == ("1", "inferred")


@pytest.mark.parametrize("backend", ["Theano", "THEANO"])
def test_case_does_not_matter_to_a_recorded_backend(copy, backend) -> None:
    path, file = copy
    file.attrs["backend"] = backend
    file.close()
    with load(path) as port:
        assert port.convention.theano


def test_a_backend_that_nobody_knows_is_refused(copy) -> None:
    path, file = copy
    file.attrs["backend"] = "mxnet"
    file.close()
    with pytest.raises(NotACheckpoint, match="'mxnet', whose convolution is not known"):
        load(path)


@pytest.mark.parametrize(
    ("version", "divisor", "epsilon"),
    [
        ("1.0.6", "std + epsilon", 1e-6),
        ("1.0.7", "√variance + epsilon", 1e-6),
        ("1.0.8", "√(variance + epsilon)", 1e-5),
        ("1.1.2", "√(variance + epsilon)", 1e-5),
        ("1.2.0", "√(variance + epsilon)", 1e-3),
        ("2.3.1", "√(variance + epsilon)", 1e-3),
    ],
)
def test_the_rules_of_batch_norm_by_version(pre_ror, version, divisor, epsilon) -> None:
    with load(pre_ror.weights, keras=version) as port:
        assert norms(port) == {(divisor, epsilon)}


def test_an_older_rule_becomes_todays_for_every_value(pre_ror) -> None:
    import numpy as np

    with load(pre_ror.weights, keras="1.0.7") as port:
        assert norms(port, port.canonical_graph) == {("√(variance + epsilon)", 0)}
        for parameter, array in port.parameters():
            if parameter.role == "moving_variance":
                stored = port.stored[parameter.name].read().astype(np.float64)
                np.testing.assert_allclose(np.sqrt(array), np.sqrt(stored) + 1e-6, rtol=1e-15)


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ('"class_name": "MaxPooling2D"', '"class_name": "AveragePooling2D"', "is AveragePooling2D where MaxPooling2D"),
        ('"activation": "relu"', '"activation": "tanh"', "has function tanh where relu is expected"),
    ],
)
def test_an_architecture_of_another_network_is_ported_as_it_is_stated(
    copy, genuine, tmp_path, old, new, difference
) -> None:
    """Its tensors are those of a network that is known, which does not make it that network."""
    path = config_with(copy, genuine, lambda text: text.replace(old, new))
    with load(path) as port, load(genuine(STEPS[0]).folder / "model.h5") as unaltered:
        assert port.family is None
        evidence = next(fact.evidence for fact in port.facts if fact.name == "network")
        assert re.search(f"its tensors fit Pre-RoR-3-10 but for this: .*{difference}", evidence)
        images = seeded_images((32, 32, 3), 2)
        assert relative_l2(port.predict(images), unaltered.predict(images)) > 1e-2
        for name in ("net.keras", "net-torch", "net.onnx"):
            assert save(port, tmp_path / name).verification.passed


def test_an_architecture_whose_layers_do_not_fit_each_other_is_refused(copy, genuine) -> None:
    path = config_with(copy, genuine, lambda text: text.replace('"subsample": [4, 4]', '"subsample": [2, 2]'))
    with pytest.raises(UnknownNetwork, match=r"model_config: layer 'merge_\d+': "):
        load(path)


def test_a_recorded_input_size_is_taken(copy, genuine) -> None:
    path = config_with(copy, genuine, lambda text: text.replace("[null, 3, 32, 32]", "[null, 3, 48, 40]"))
    with load(path) as port:
        assert port.family.input_shape == (48, 40, 3)


@pytest.mark.parametrize(
    "text", ["not JSON", "[]", "null", '{"network": {"epsilon": "x"}}', '{"network": {"epsilon": NaN}}']
)
def test_junk_in_our_own_attribute(copy, text) -> None:
    path, file = copy
    file.attrs["ror_port"] = text
    file.close()
    with pytest.raises(NotACheckpoint, match="attribute ror_port"):
        load(path)


@pytest.mark.parametrize("version", ["junk", "", "x.y", "²"])
def test_a_version_that_is_none(copy, version) -> None:
    path, file = copy
    file.attrs["keras_version"] = version
    file.close()
    if version:
        with pytest.raises(NotACheckpoint, match="no version of Keras"):
            load(path)
    else:
        load(path).checkpoint.close()


@pytest.mark.parametrize("version", ["0.9", "1.3", "1.0.9", "2.9", "2.3.2", "7", "1.0.6-and-2.3.1", "1.0.6 ", "", "1."])
def test_a_version_that_never_was_or_is_not_read_is_no_statement(pre_ror, version) -> None:
    """7d379ca takes "1.0.6-and-2.3.1" for 1.0.6, and 7 for the latest."""
    with pytest.raises(UsageError, match=r"no version of Keras that is read; these are: 1\.0\.0 to 8"):
        load(pre_ror.weights, keras=version)


@pytest.mark.parametrize("version", ["1", "1.0"])
def test_a_version_that_does_not_decide_between_rules_is_refused_with_the_choices(pre_ror, version) -> None:
    """7d379ca takes "1", which its own table suggests, for 1.0.0 and its rule."""
    with pytest.raises(
        UsageError, match=rf"{version} does not decide .* 1\.0\.0 to 1\.0\.6: std \+ epsilon, .* 1\.0\.7"
    ):
        load(pre_ror.weights, keras=version)


@pytest.mark.parametrize("version", ["1.1", "1.2", "2.3"])
def test_the_beginning_of_a_version_is_enough_where_it_decides(pre_ror, genuine, version) -> None:
    source = genuine("pre-ror-3-10_keras-2.2.4") if version == "2.3" else pre_ror
    whole = {"1.1": "1.1.2", "1.2": "1.2.2", "2.3": "2.3.1"}[version]
    with load(source.weights, keras=version) as port, load(source.weights, keras=whole) as other:
        assert port.graph.nodes == other.graph.nodes
        assert fact(port, "Keras") == (version, "given")


def test_what_the_table_suggests_works(pre_ror) -> None:
    """7d379ca suggests --source-keras for "inferred Keras 1"."""
    with load(pre_ror.weights) as port:
        option = next(fact.option for fact in port.facts if fact.name == "BatchNorm divisor")
    assert option == "--source-keras 1.0.6 or 1.0.7"
    for version in ("1.0.6", "1.0.7"):
        load(pre_ror.weights, keras=version).checkpoint.close()


@pytest.mark.parametrize("version", ["1.0.6-and-2.3.1", "1.3.0", "2.2", "2.2.4tf", "4.0.0"])
def test_a_recorded_version_that_never_was(copy, version) -> None:
    """7d379ca reads them all."""
    path, file = copy
    file.attrs["keras_version"] = version
    file.close()
    with pytest.raises(NotACheckpoint, match="no version of Keras"):
        load(path)


@pytest.mark.parametrize("version", ["2.2.4-tf", "2.11.0", "2.21.0", "3.15.1"])
def test_versions_that_later_software_records(genuine, tmp_path, version) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(genuine("pre-ror-3-10_keras-2.2.4").weights.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version
        file.attrs["backend"] = "tensorflow"
    with load(path) as port:
        assert fact(port, "Keras") == (version, "recorded")


@pytest.mark.parametrize(("attribute", "other"), [("backend", "tensorflow"), ("keras_version", "2.1.6")])
def test_what_a_file_states_twice_must_agree(genuine, tmp_path, attribute, other) -> None:
    """7d379ca takes what model_weights states (relative L2 0.76)."""
    path = tmp_path / "model.h5"
    path.write_bytes((genuine("pre-ror-3-10_keras-2.3.1").folder / "model.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        assert attribute in file.attrs
        file["model_weights"].attrs[attribute] = other
    with pytest.raises(
        NotACheckpoint, match=f"contradicts itself: attribute {attribute} of '/model_weights' is '{other}'"
    ):
        load(path)


def test_keras_backend_must_agree_too(genuine, tmp_path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(genuine("pre-ror-3-10_keras-2.2.4").weights.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["keras_backend"] = "tensorflow"
    with pytest.raises(NotACheckpoint, match="keras_backend of '/' is 'tensorflow'"):
        load(path)


def test_the_layout_of_keras_2_is_not_that_of_keras_1(genuine, tmp_path) -> None:
    """7d379ca applies the rule of 1.0.6 (relative L2 1.67)."""
    source = genuine("pre-ror-3-10_keras-2.2.4").weights
    path = tmp_path / "weights.h5"
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "1.0.6"
    with pytest.raises(NotACheckpoint, match=r"recorded as a file of Keras 1\.0\.6, but .* names of Keras 2"):
        load(path)
    with pytest.raises(NotACheckpoint, match=r"read as a file of Keras 1\.0\.6"):
        load(source, keras="1.0.6")


def test_keras_2_without_a_version_has_one_rule(genuine, tmp_path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(genuine("pre-ror-3-10_keras-2.2.4").weights.read_bytes())
    with h5py.File(path, "r+") as file:
        del file.attrs["keras_version"]
    with load(path) as port:
        assert fact(port, "BatchNorm divisor") == ("√(variance + epsilon)", "inferred")
        assert fact(port, "BatchNorm epsilon") == ("0.001", "inferred")
