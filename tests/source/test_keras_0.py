"""Files of Keras 0.x: what their JSON becomes, what of it is refused, and how they come back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from commands import run
from conformance import KERAS_0, computed, error, inputs_of, opened
from genuine_layers import Case, cases, record
from ror_port import tolerances
from ror_port.convert.write import write
from ror_port.errors import NotACheckpoint, UnknownNetwork, UnsafeFile
from ror_port.formats.format import BY_NAME
from ror_port.network.layers.settings import KERAS_0 as VERSION
from ror_port.safety import limits
from ror_port.source.architecture import read_architecture
from ror_port.source.description import describe
from ror_port.source.from_config import stated_graph
from ror_port.source.keras_0 import as_keras_1, is_keras_0
from ror_port.source.port import load
from ror_port.source.provenance import Given


def case_of(name: str) -> Case:
    (case,) = cases(f"{KERAS_0}/{name}")
    return case


def written(name: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The weights of a record and its architecture, which is not written."""
    found = record(case_of(name))
    found.write_weights(folder / "weights.h5")
    return folder / "weights.h5", json.loads(found.config)


def with_architecture(config: Any, folder: Path) -> str:
    (folder / "net.json").write_text(json.dumps(config))
    return str(folder / "net.json")


def test_weights_alone_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path, _ = written("networks/mnist-cnn", tmp_path)
    done = run("theano-to-tf", path.name, cwd=tmp_path)
    assert done.returncode == 7
    assert "weights of Keras 0.x" in done.stderr
    assert "--architecture" in done.stderr


def test_the_one_architecture_beside_the_weights_is_taken(tmp_path: Path) -> None:
    path, config = written("networks/mnist-cnn", tmp_path)
    with_architecture(config, tmp_path)
    _, other = written("networks/cifar10-cnn", tmp_path / "..")
    (tmp_path / "other.json").write_text(json.dumps(other))
    with load(path) as port:
        assert port.checkpoint.config_where == "net.json"
        assert {fact.name: (fact.basis, fact.value) for fact in port.facts}["Keras"] == ("inferred", "0.x")


def test_an_architecture_of_more_layers_than_the_file_is_refused(tmp_path: Path) -> None:
    """Though the one that is too many has no weights."""
    path, config = written("networks/mnist-cnn", tmp_path)
    config["layers"].insert(2, {"name": "Activation", "activation": "tanh", "cache_enabled": True})
    with pytest.raises(NotACheckpoint, match=r"lists 13 layers, the file has 12"):
        load(path, architecture=with_architecture(config, tmp_path))


def test_yaml_is_read_as_json_is(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path, config = written("graphs/inputs-and-outputs", tmp_path)
    (tmp_path / "net.yaml").write_text(yaml.dump(config))
    with load(path, architecture=with_architecture(config, tmp_path)) as one:
        (tmp_path / "net.json").unlink()
        with load(path) as other:
            assert other.graph == one.graph


@pytest.mark.parametrize(
    ("name", "layer", "message"),
    [
        (
            "networks/mnist-cnn",
            "MaxPooling2D",
            r"'layer_4': a MaxPooling2D of Keras before 0\.3\.1: 0\.3\.0 took the mean",
        ),
        ("networks/mnist-cnn", "Dropout", r"'layer_5': a Dropout of Keras before 0\.3\.1: up to 0\.2 it multiplied"),
        ("networks/cifar10-cnn", "Convolution2D", r"'layer_0': a Convolution2D of Keras before 0\.3\.1: 'same' was"),
    ],
)
def test_layers_that_meant_something_else_before_0_3_1_are_refused(
    name: str, layer: str, message: str, tmp_path: Path
) -> None:
    """They are told by a setting that 0.3.1 and later write. Read in Keras 0.2.0, 0.3.0 and 0.3.1."""
    path, config = written(name, tmp_path)
    for stated in config["layers"]:
        if stated["name"] == layer:
            del stated["cache_enabled"]
    with pytest.raises(UnknownNetwork, match=message):
        load(path, architecture=with_architecture(config, tmp_path))


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_recurrent_layers_before_0_3_2_are_refused(kind: str, tmp_path: Path) -> None:
    """Read in Keras 0.2.0, 0.3.0, 0.3.1 and 0.3.2."""
    path, config = written(f"recurrent/{kind.lower()}-last", tmp_path)
    del config["layers"][0]["custom_name"]
    message = rf"'layer_0': a {kind} of Keras before 0\.3\.2: it skipped steps that are zero"
    with pytest.raises(UnknownNetwork, match=message):
        load(path, architecture=with_architecture(config, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stateful": True}, "stateful is not supported"),
        ({"truncate_gradient": 3}, r"has the setting 'truncate_gradient' = '3', which ror-port does not know"),
    ],
)
def test_settings_of_recurrent_layers_that_are_not_supported(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path, config = written("recurrent/lstm-last", tmp_path)
    config["layers"][0] |= changes
    with pytest.raises(UnknownNetwork, match=message):
        load(path, architecture=with_architecture(config, tmp_path))


RNN = {"name": "SimpleRNN", "output_dim": 2, "activation": "tanh", "custom_name": "rnn", "return_sequences": True}
MASKING = {"name": "Masking", "input_shape": [5, 2]}
MERGED = {"name": "Merge", "mode": "sum", "layers": [MASKING, MASKING]}
WRAPPED = {"name": "TimeDistributed", "layer": {"name": "Activation", "activation": "tanh"}}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"name": "Sequential", "layers": [MASKING]}, RNN], "'layer_1': a masked sequence from a nested model"),
        ([MASKING, {"name": "Sequential", "layers": [RNN]}, RNN], "'layer_2': a masked sequence from a nested model"),
        ([MERGED, RNN], "'merge': a 'Merge' of a masked sequence"),
        (
            [MASKING, {"name": "TimeDistributedMerge", "mode": "ave"}],
            "'layer_1': a 'GlobalAveragePooling1D' of a masked",
        ),
        ([MASKING, WRAPPED], "'layer_1': a 'TimeDistributed' of a masked sequence"),
    ],
)
def test_masks_that_keras_0_loses_are_refused(layers: list[Any], message: str) -> None:
    """Behind a merge, a shared layer and a nested model there is none. Measured with Keras 0.3.3."""
    config = as_keras_1({"name": "Sequential", "layers": layers})
    with pytest.raises(UnknownNetwork, match=message):
        stated_graph(config, {}, theano=True, version=VERSION, where="net.json")


@pytest.mark.parametrize("count", [1, 2])
def test_the_mask_of_a_shared_layer_is_refused(count: int) -> None:
    names = ["a", "b"][:count]
    config = {
        "name": "Graph",
        "input_config": [{"name": "x", "input_shape": [5, 2]}],
        "node_config": [
            *({"name": n, "input": "x"} for n in names),
            {"name": "s", "inputs": names, "merge_mode": "sum"},
        ],
        "nodes": {**dict.fromkeys(names, MASKING), "s": {"name": "Siamese", "layer": RNN}},
        "output_config": [{"name": "y", "input": "s"}],
    }
    with pytest.raises(UnknownNetwork, match="'s': a shared layer of a masked sequence"):
        stated_graph(as_keras_1(config), {}, theano=True, version=VERSION, where="net.json")


def test_the_mask_that_a_shared_layer_makes_is_refused() -> None:
    config = {
        "name": "Graph",
        "input_config": [{"name": name, "input_shape": [5, 2]} for name in "xz"],
        "node_config": [
            {"name": "s", "inputs": ["x", "z"], "merge_mode": None},
            {"name": "left", "inputs": ["s"]},
            {"name": "rnn", "input": "left"},
        ],
        "nodes": {
            "s": {"name": "Siamese", "layer": MASKING},
            "left": {"name": "SiameseHead", "head": 0},
            "rnn": RNN,
        },
        "output_config": [{"name": "y", "input": "rnn"}],
    }
    with pytest.raises(UnknownNetwork, match="'rnn': a masked sequence from a nested model or shared layer"):
        stated_graph(as_keras_1(config), {}, theano=True, version=VERSION, where="net.json")


def test_masks_that_tensorflow_did_not_turn_round_are_refused() -> None:
    backwards = {"name": "Sequential", "layers": [{**RNN, "go_backwards": True}]}
    config = as_keras_1({"name": "Sequential", "layers": [MASKING, backwards]})
    with pytest.raises(UnknownNetwork, match="'layer_0': a 'SimpleRNN' of a masked sequence"):
        stated_graph(config, {}, theano=False, version=VERSION, where="net.json")


@pytest.mark.parametrize("dropout", [1, -0.5, "many"])
def test_an_embedding_that_drops_what_cannot_be_dropped_is_refused(dropout: Any, tmp_path: Path) -> None:
    path, config = written("embedding/dropout", tmp_path)
    config["layers"][0]["dropout"] = dropout
    with pytest.raises(UnknownNetwork, match="'layer_0': dropout is"):
        load(path, architecture=with_architecture(config, tmp_path))


def test_an_embedding_of_an_earlier_keras_had_no_dropout(tmp_path: Path) -> None:
    path, config = written("embedding/plain", tmp_path)
    del config["layers"][0]["dropout"], config["layers"][0]["custom_name"]
    with load(path, architecture=with_architecture(config, tmp_path)) as port:
        assert [type(node.layer).__name__ for node in port.graph] == ["Input", "Embedding"]


@pytest.mark.parametrize(
    ("axes", "message"), [(-2, "that many axes"), (1, "that many axes"), ([[1], [1, 2]], "one axis")]
)
def test_dot_axes_that_are_numbers_of_axes_are_refused(axes: Any, message: str, tmp_path: Path) -> None:
    path, config = written("graphs/dot", tmp_path)
    for node in config["node_config"]:
        node["dot_axes"] = axes
    with pytest.raises(UnknownNetwork, match=message):
        load(path, architecture=with_architecture(config, tmp_path))


def test_a_statistic_stands_with_its_layer_and_not_behind_all_weights(tmp_path: Path) -> None:
    """Within one group of the file: from Keras 1.0 on, all that is trained comes first."""
    with opened(case_of("merge/norms"), tmp_path) as port:
        held = [parameter.role for parameter in port.graph.parameters if port.layers[parameter.node] == "layer_0"]
        norm = ["gamma", "beta", "moving_mean", "moving_variance"]
        assert held == ["kernel", "bias", *norm, *norm]
        numbers = [port.stored[parameter.name].name for parameter in port.graph.parameters][: len(held)]
        assert numbers == [f"layer_0/param_{number}" for number in range(len(held))]


@pytest.mark.parametrize("frozen", [True, False])
def test_what_is_not_trained_keeps_its_place(frozen: bool, tmp_path: Path) -> None:
    path, config = written("nested/sequential", tmp_path)
    config["layers"][0]["layers"][0]["trainable"] = not frozen
    with load(path, architecture=with_architecture(config, tmp_path)) as port:
        assert port.stored["layer_0/layer_0/kernel"].name == "layer_0/param_0"


@pytest.mark.parametrize("name", ["networks/mnist-cnn", "graphs/inputs-and-outputs", "merge/nested"])
def test_it_comes_back_by_number(name: str, tmp_path: Path) -> None:
    """With every tensor byte for byte, and is read again without its architecture beside it."""
    case = case_of(name)
    with opened(case, tmp_path) as port:
        inputs = inputs_of(port, record(case).inputs)
        expected = computed(port, inputs)
        write(port, tmp_path / "other.onnx", BY_NAME["onnx"])
    with load(tmp_path / "other.onnx") as port:
        write(port, tmp_path / "back.h5", BY_NAME["theano"])
    (tmp_path / "model.json").unlink()
    with load(tmp_path / "back.h5") as port:
        assert port.checkpoint.format == "Keras 0.x weights, HDF5"
        given = dict(zip((node.name for node in port.graph.inputs), inputs.values(), strict=True))
        assert error(computed(port, given), expected) <= tolerances.FLOAT64
    with h5py.File(tmp_path / "back.h5") as ours, h5py.File(tmp_path / "genuine.h5") as genuine:
        found: dict[str, Any] = {}
        genuine.visititems(lambda name, item: found.update({name: item}))
        assert dict(genuine.attrs).items() <= dict(ours.attrs).items()
        for name, item in found.items():
            assert dict(ours[name].attrs) == dict(item.attrs)
            if isinstance(item, h5py.Dataset):
                np.testing.assert_array_equal(ours[name][()], item[()])


def test_a_graph_of_many_weights_comes_back(tmp_path: Path) -> None:
    """Its file has them all in one group."""
    names = [f"n{number}" for number in range(limits.MAX_WEIGHTS_PER_LAYER)]
    dense = {"name": "Dense", "output_dim": 2, "cache_enabled": True, "activation": "linear"}
    config = {
        "name": "Graph",
        "input_config": [{"name": "x", "input_shape": [2], "dtype": "float"}],
        "node_config": [{"name": n, "input": s, "inputs": []} for n, s in zip(names, ["x", *names], strict=False)],
        "nodes": dict.fromkeys(names, dense),
        "output_config": [{"name": "y", "input": names[-1], "inputs": []}],
    }
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        group = file.create_group("graph")
        group.attrs["nb_params"] = 2 * len(names)
        for number in range(len(names)):
            group[f"param_{2 * number}"] = np.eye(2, dtype="float32")
            group[f"param_{2 * number + 1}"] = np.zeros(2, "float32")
    with load(tmp_path / "weights.h5", architecture=with_architecture(config, tmp_path)) as port:
        write(port, tmp_path / "other.onnx", BY_NAME["onnx"])
    with load(tmp_path / "other.onnx") as port:
        write(port, tmp_path / "back.h5", BY_NAME["theano"])
    with h5py.File(tmp_path / "back.h5") as file:
        assert file["graph"].attrs["nb_params"] == len(file["graph"]) == 2 * len(names)


def test_a_graph_is_described(tmp_path: Path) -> None:
    path, config = written("graphs/inputs-and-outputs", tmp_path)
    with_architecture(config, tmp_path)
    found = describe(path, Given())
    assert (found.era, found.architecture, found.refusals) == ("Keras 0.x", "beside", ())
    assert [(value.layer, value.shape) for value in found.inputs] == [("second", (2,)), ("first", (4,))]
    assert [value.shape for value in found.outputs] == [(2,), (8,), (1,)]
    (graph,) = [layer for layer in found.layers if layer.name == "graph"]
    assert [weight.canonical for weight in graph.weights][:2] == ["graph/z/kernel", "graph/z/bias"]


def replaced(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every part of a JSON."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from replaced(inner, (*path, key))


@pytest.mark.parametrize(
    "junk", [None, 7, -1, "x", [], {}, [[]], [{"name": "x"}], {"name": "Merge", "layers": [7]}], ids=str
)
@pytest.mark.parametrize(
    "name",
    [
        "graphs/shared-outputs",
        "merge/nested",
        "nested/autoencoder",
        "graphs/dot",
        "masking/dense",
        "embedding/dropout",
        "recurrent/time-distributed-conv",
    ],
)
def test_any_part_may_be_replaced(name: str, junk: Any) -> None:
    """Then it is refused, or is a network all the same."""
    config = json.loads(record(case_of(name)).config)
    for way in list(replaced(config))[1:]:
        edited = copy.deepcopy(config)
        part = edited
        for key in way[:-1]:
            part = part[key]
        part[way[-1]] = junk
        if not is_keras_0(edited):
            continue
        with suppress(NotACheckpoint, UnknownNetwork):
            stated_graph(as_keras_1(edited), {}, theano=True, version=VERSION, where="net.json")


def test_uses_of_uses_are_limited() -> None:
    """A shared layer that is applied to all uses of the one before has twice as many."""
    shared = {"name": "Siamese", "layer": {"name": "Dense", "output_dim": 2}}
    names = [f"n{number}" for number in range(60)]
    config = {
        "name": "Graph",
        "input_config": [{"name": "x", "input_shape": [2]}],
        "node_config": [{"name": n, "inputs": [s, s]} for n, s in zip(names, ["x", *names], strict=False)],
        "nodes": dict.fromkeys(names, shared),
        "output_config": [],
    }
    with pytest.raises(UnsafeFile, match="more than 10000 inputs"):
        as_keras_1(config)


@pytest.mark.parametrize("depth", [limits.MAX_NESTING + 2, 300])
@pytest.mark.parametrize("kind", ["Sequential", "Merge", "AutoEncoder"])
def test_nesting_is_limited(kind: str, depth: int, tmp_path: Path) -> None:
    dense = layer = {"name": "Dense", "output_dim": 2}
    for _ in range(depth):
        inner = {"layers": [layer]} if kind != "AutoEncoder" else {"encoder_config": layer, "decoder_config": dense}
        layer = {"name": kind, **inner, "output_reconstruction": True}
    with pytest.raises(UnsafeFile, match=r"net\.json: models nested more than"):
        read_architecture(Path(with_architecture({"name": "Sequential", "layers": [layer]}, tmp_path)))
