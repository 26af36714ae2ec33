"""The PyTorch definition as a PyTorch user expects of any network."""

from importlib import import_module

import numpy as np
import pytest

from genuine import PRE_ROR, relative_l2
from ror_port import tolerances
from ror_port.source.port import load
from runtimes import torch_network


@pytest.fixture(scope="module")
def torch():
    return import_module("torch")


@pytest.fixture(scope="module")
def definition():
    return import_module("ror_port.models.networks_torch")


@pytest.fixture(scope="module")
def network(genuine):
    with load(genuine(PRE_ROR[0]).weights) as port:
        return torch_network(port, "float32")


@pytest.fixture(scope="module")
def record(genuine):
    return genuine(PRE_ROR[0]).record()


@pytest.fixture(scope="module")
def images(torch, record):
    return torch.from_numpy(record["images"])


def check(logits, record, tolerance: float = tolerances.FLOAT32) -> None:
    assert relative_l2(logits.detach().float().numpy(), record["logits"]) <= tolerance


def test_saved_and_loaded_it_is_the_same(definition, network, images, record, tmp_path) -> None:
    network.save_pretrained(tmp_path)
    loaded = definition.RoRWRN.from_pretrained(tmp_path)
    assert loaded.config == network.config
    assert not loaded.training
    check(loaded(images), record)


@pytest.mark.filterwarnings("ignore")  # the compiler's own remarks
def test_compiles_whole(torch, network, images, record) -> None:
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    with torch.inference_mode():
        check(compiled(images), record)


@pytest.mark.filterwarnings("ignore")
def test_exports(torch, network, images, record) -> None:
    program = torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    check(program.module()(images), record)
    assert program.module()(images[:3]).shape == (3, 10)


def test_channels_last_memory(torch, network, images, record) -> None:
    moved = network.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        check(moved(images.contiguous(memory_format=torch.channels_last)), record)
    network.to(memory_format=torch.contiguous_format)


def test_bfloat16_autocast_runs_and_is_coarse(torch, network, images, record) -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    assert logits.dtype == torch.bfloat16
    check(logits, record, tolerances.BFLOAT16)


def test_features_are_what_the_head_sees(torch, network, images, record) -> None:
    with torch.inference_mode():
        features = network.forward_features(images)
    assert relative_l2(features.numpy(), record["features"]) <= tolerances.FLOAT32


def test_initialised_as_the_original(torch, definition) -> None:
    torch.manual_seed(0)
    model = definition.RoRWRN(definition.Config(blocks=1, width=4))
    he = model.stage3.block0.conv2.weight
    glorot = model.root_shortcut.weight
    assert he.std().item() == pytest.approx(np.sqrt(2 / (256 * 9)), rel=0.02)
    assert glorot.abs().max().item() == pytest.approx(np.sqrt(6 / (16 + 256)), rel=0.02)
    assert all(not value.any() for name, value in model.named_parameters() if name.endswith("conv1.bias"))


def test_a_frozen_batch_norm_learns_nothing(torch, definition) -> None:
    layer = definition.BatchNorm(3).eval()
    layer(torch.randn(2, 3, 4, 4))
    assert torch.equal(layer.running_var, torch.ones(3))


def test_training_compiles_too(torch, definition) -> None:
    torch.manual_seed(0)
    layer, x = definition.BatchNorm(3), torch.randn(2, 3, 4, 4)
    eager = definition.BatchNorm(3)
    eager(x)
    torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(layer.running_var, eager.running_var)


def test_dropout_acts_in_training_only(torch, definition) -> None:
    torch.manual_seed(0)
    model = definition.RoRWRN(definition.Config(blocks=1, width=1, dropout=0.5))
    x = torch.rand(2, 3, 32, 32)
    model.eval()
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


def test_a_64x64_image_flattens_two_by_two(torch, definition) -> None:
    model = definition.RoRWRN(definition.Config(blocks=1, width=1, input_shape=(64, 64, 3)))
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 10)
    assert model.head.dense.in_features == 256
