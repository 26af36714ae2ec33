"""Ported networks on a CUDA device against genuine Theano. ``./scripts/test-gpu`` runs these and prints a table.

CI has no GPU: tests skip there, with a reason, but for the converted networks, which it runs on the CPU.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from conformance import error, inputs_of, supported
from genuine import INFERENCE, recorded_tap, relative_l2
from genuine_layers import Case, record
from ror_port import tolerances
from ror_port.mapping.software import keras_1_layer_names
from ror_port.source.port import load
from runtimes import (
    CONVERTED,
    NEEDS,
    RUNTIMES,
    beside_the_reference,
    installed,
    torch_network,
    torch_taps,
    written_for_torch,
)

pytestmark = pytest.mark.gpu


@pytest.fixture
def torch():
    """PyTorch where it sees a GPU, without TF32, which alone costs 1e-3. Imported late: it makes all forks slow."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is visible")
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield torch
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = False


def network(genuine, name: str, dtype: str):
    source = genuine(name)
    with load(source.weights, epsilon=source.epsilon) as port:
        return torch_network(port, dtype).cuda(), port


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["deterministic", "benchmark"])
@pytest.mark.parametrize("name", INFERENCE)
def test_every_tap_is_genuine_theanos(torch, genuine, name, mode, dtype) -> None:
    setattr(torch.backends.cudnn, mode, True)
    record = genuine(name).record(dtype)
    model, port = network(genuine, name, dtype)
    layers = keras_1_layer_names(port.graph)
    taps = torch_taps(port, model, record["images"])
    for tap, output in taps.items():
        expected, ours = recorded_tap(record, layers, tap, output)
        assert relative_l2(ours, expected) <= tolerances.for_dtype(dtype), tap
    np.testing.assert_array_equal(taps["head/dense"].argmax(1), record["logits"].argmax(1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("memory", ["contiguous_format", "channels_last"])
@pytest.mark.parametrize("batch", [1, 8, 1024])
def test_batches_memory_formats_and_the_compiler(torch, genuine, batch, memory, compiled) -> None:
    memory = getattr(torch, memory)
    name = INFERENCE[2]  # RoR-3-WRN-40-2
    record = genuine(name).record()
    model, _ = network(genuine, name, "float32")
    model = model.to(memory_format=memory)
    images = torch.from_numpy(np.resize(record["images"], (batch, 3, 32, 32))).cuda().contiguous(memory_format=memory)
    run = torch.compile(model) if compiled else model
    with torch.inference_mode():
        logits = run(images).cpu().numpy()
    expected = np.resize(record["logits"], (batch, 10))
    assert relative_l2(logits, expected) <= tolerances.FLOAT32
    np.testing.assert_array_equal(logits.argmax(1), expected.argmax(1))


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("backend", ["keras-torch", "keras-jax"])
def test_keras_on_the_gpu(genuine, tmp_path, monkeypatch, backend) -> None:
    if not installed("keras", *NEEDS.get(backend, ())):
        pytest.skip(f"{backend} is not installed")
    monkeypatch.setenv("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    monkeypatch.setitem(os.environ, "JAX_PLATFORMS", "cuda")
    source = genuine(INFERENCE[0])
    with load(source.weights, epsilon=source.epsilon) as port:
        taps = RUNTIMES[backend](port, source.record()["images"], "float32", tmp_path)
    assert relative_l2(taps["head/dense"], source.record()["logits"]) <= tolerances.FLOAT32


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("case", CONVERTED, ids=str)
def test_what_to_torch_writes(case: Case, device: str, tmp_path: Path, request) -> None:
    if device == "cuda":
        request.getfixturevalue("torch")
    with supported(case, tmp_path) as port:
        runtime = written_for_torch(port, tmp_path / "net", device)
        assert runtime.device.type == device
        ours, theirs = zip(*beside_the_reference(port, runtime, inputs_of(port, record(case).inputs)), strict=True)
    assert error(ours, theirs) <= tolerances.FLOAT32
