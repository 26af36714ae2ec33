"""Theano → another format → Theano: every tensor comes back byte for byte.

Each example below is a whole file of 58 random tensors; 20 a format in CI are 1,160 tensors a format. A thousand files
a format, in about 10 minutes:
``./scripts/test tests/convert/test_round_trip.py -k survive --hypothesis-profile=thorough``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genuine import KINDS, LARGE, PRE_ROR
from ror_port import save, tolerances
from ror_port.check.classification import seeded_images
from ror_port.check.compare import compare
from ror_port.formats.checkpoint import StoredTensor
from ror_port.mapping.convention import Convention
from ror_port.network.layers import Conv2D
from ror_port.source.port import Port, load
from runtimes import expected

FORMATS = (".keras", ".weights.h5", ".h5", "-torch", ".pt", ".onnx")
SOURCE = "pre-ror-3-10-64x64_keras-1.2.2"  # whose Dense rows are reordered too


def there_and_back(port: Port, format: str, folder: Path) -> Path:
    options = {"dtype": port.dtype} if format == ".onnx" else {}
    other, back = folder / f"net{format}", folder / "back.h5"
    save(port, other, force=True, verify=False, **options)
    network = port.statement()["network"]
    beside = {"epsilon": network["epsilon"], "size": network["input_shape"][0]} if format == ".pt" else {}
    with load(other, **beside) as converted:
        save(converted, back, format="theano", force=True, verify=False)
    return back


def random_tensor(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, variance: bool) -> np.ndarray:
    """Any finite bit pattern; among them −0.0, denormals, the largest and the smallest."""
    integers = {"float32": np.uint32, "float64": np.uint64}[dtype]
    bits = rng.integers(0, np.iinfo(integers).max, shape, integers, endpoint=True)
    array = bits.view(dtype)
    info = np.finfo(dtype)
    special = np.array([-0.0, 0.0, info.smallest_subnormal, -info.smallest_subnormal, info.tiny, info.max, info.min])
    chosen = rng.random(shape) < 0.2
    array[chosen] = rng.choice(special.astype(dtype), shape)[chosen]
    array[~np.isfinite(array)] = -0.0
    return np.abs(array) if variance else array


@pytest.mark.parametrize("format", FORMATS)
def test_any_tensors_survive(genuine, tmp_path, format) -> None:
    @settings(max_examples=settings().max_examples // 5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**64 - 1), dtype=st.sampled_from(["float32", "float64"]))
    def survive(seed: int, dtype: str) -> None:
        rng = np.random.default_rng(seed)
        arrays = {
            p.name: random_tensor(rng, port.stored[p.name].shape, dtype, p.role == "moving_variance")
            for p in port.graph.parameters
        }
        stored = {
            name: StoredTensor(port.stored[name].name, array.shape, array.dtype, lambda array=array: array)
            for name, array in arrays.items()
        }
        with h5py.File(there_and_back(replace(port, stored=stored), format, tmp_path)) as file:
            for name, array in arrays.items():
                layer = port.layers[name.rpartition("/")[0]]
                back = file[layer][stored[name].name][()]
                assert back.dtype == array.dtype
                assert back.tobytes() == array.tobytes(), name

    with load(genuine(SOURCE).weights, size=64) as port:
        survive()


def names(group: h5py.Group, attribute: str) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else name for name in group.attrs[attribute]]


@pytest.mark.parametrize("name", [*PRE_ROR, LARGE[0], "ror-3-56_keras-1.2.2", "wrn-2016-16-2_keras-1.2.2"])
@pytest.mark.parametrize("format", FORMATS)
def test_genuine_files_come_back_as_they_were(genuine, tmp_path, name, format) -> None:
    source = genuine(name)
    with load(source.weights, epsilon=source.epsilon) as port:
        back = there_and_back(port, format, tmp_path)
    with h5py.File(source.weights) as before, h5py.File(back) as after:
        assert names(after, "layer_names") == names(before, "layer_names")
        for layer in before:
            assert names(after[layer], "weight_names") == names(before[layer], "weight_names")
            for weight in before[layer]:
                assert after[layer][weight][()].tobytes() == before[layer][weight][()].tobytes()


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_can_go_to_theano(genuine, tmp_path, name) -> None:
    """From Keras 2, from TensorFlow, from either dim ordering: Theano would compute the same."""
    options = {"keras": "1.0.6"} if "1.0.6" in name else {}
    with load(genuine(name).weights, **options) as port:
        save(port, tmp_path / "back.h5", format="theano", verify=False)
        pixels = seeded_images(port.family.input_shape, 2)
        with load(tmp_path / "back.h5") as back:
            assert back.convention == Convention(port.convention.software, theano=True)
            assert back.family == port.family
            assert back.relayout("channels_last").graph == port.relayout("channels_last").graph
            tolerance = tolerances.FLOAT32 if port.rounds else tolerances.FLOAT64
            assert compare(expected(back, pixels), expected(port, pixels)).relative_l2 <= tolerance


def test_a_padding_that_theano_does_not_have_is_refused(genuine, tmp_path) -> None:
    from ror_port.errors import UnknownNetwork

    with load(genuine("wrn-16-2_keras-2.2.4").weights) as port:
        graph = port.graph.map(lambda layer: replace(layer, padding="same") if isinstance(layer, Conv2D) else layer)
        wrong = replace(port, graph=graph)
        with pytest.raises(UnknownNetwork, match="Theano has no mode for"):
            save(wrong, tmp_path / "back.h5", format="theano")
    assert not (tmp_path / "back.h5").exists()


def test_a_network_tuned_in_pytorch_goes_back(genuine, tmp_path) -> None:
    import torch

    from ror_port.models.networks_torch import RoRWRN

    with load(genuine(PRE_ROR[0]).weights) as port:
        save(port, tmp_path / "net", format="safetensors", verify=False)
    model = RoRWRN.from_pretrained(tmp_path / "net").train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    pixels = seeded_images((32, 32, 3))
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            model(torch.from_numpy(pixels).permute(0, 3, 1, 2)), torch.arange(8)
        ).backward()
        optimizer.step()
    with torch.inference_mode():
        tuned = model.eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2)).numpy()
    model.save_pretrained(tmp_path / "tuned")
    torch.save({"state_dict": torch.nn.DataParallel(model).state_dict()}, tmp_path / "tuned.pt")
    for name in ("tuned", "tuned.pt"):
        with load(tmp_path / name) as port:
            save(port, tmp_path / "back.h5", format="theano", force=True, verify=False)
        with load(tmp_path / "back.h5") as back:
            assert compare(tuned, expected(back, pixels)).relative_l2 <= tolerances.FLOAT32


@pytest.mark.filterwarnings("ignore")  # of Keras about its own legacy format
@pytest.mark.parametrize("name", [PRE_ROR[0], "wrn-16-2_keras-2.2.4"])
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
def test_a_network_tuned_in_keras_goes_back(genuine, tmp_path, name, suffix) -> None:
    import keras

    with load(genuine(name).weights) as port:
        save(port, tmp_path / "net.keras", verify=False)
        epsilon = port.statement()["network"]["epsilon"]
    model = keras.saving.load_model(tmp_path / "net.keras")
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
    pixels = seeded_images((32, 32, 3))
    model.fit(pixels, np.arange(8), batch_size=4, verbose=0)
    tuned = np.log(model.predict(pixels, verbose=0))
    target = tmp_path / f"tuned{suffix}"
    model.save_weights(target) if "weights" in suffix else model.save(target)
    with load(target, epsilon=epsilon) as port:  # weights alone do not say it
        assert port.checkpoint.omitted == ("optimizer state",)
        save(port, tmp_path / "back.h5", format="theano", verify=False)
    with load(tmp_path / "back.h5") as back:
        logits = expected(back, pixels)
    centred = tuned - tuned.mean(1, keepdims=True)
    assert compare(centred, logits - logits.mean(1, keepdims=True)).relative_l2 <= 10 * tolerances.FLOAT32
