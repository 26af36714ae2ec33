"""The same gradients, the same step: from equal weights, one batch teaches every port what it taught Theano.

Genuine Keras 1 on Theano recorded the gradient of every parameter, and every weight after one step of plain SGD.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from genuine import DIGITS, STEPS, digits, relative_l2
from ror_port import tolerances
from ror_port.layout import NCHW_TO_NHWC
from ror_port.mapping.convention import PYTORCH_CONVENTION
from ror_port.mapping.engine import bind
from ror_port.mapping.software import TORCH_IGNORED, keras_layer_name
from ror_port.source.port import Port, load
from runtimes import keras_file, torch_network

RATE = 0.1
TOLERANCE = {"float32": tolerances.STEP_FLOAT32, "float64": tolerances.STEP_FLOAT64}

FOLDED = {"1.2.2": 1e-3, "1.1.0": 0.0}
"""What genuine Keras on Theano adds to the batch variance before it averages: Keras 1.2.2 its epsilon."""

Named = dict[str, np.ndarray]
"""Canonical parameter → array in canonical layout."""


def recorded(port: Port, record: Named, kind: str) -> Named:
    """What Theano recorded under `kind`, brought into canonical layout by the tables."""
    found = {}
    for parameter in port.graph.parameters:
        array = record.get(f"{kind}/{port.stored[parameter.name].name}")
        if array is not None:
            found[parameter.name] = port.convention.layout(parameter).inverse(array)
    return found


def step_in_pytorch(port: Port, images: np.ndarray, labels: np.ndarray, dtype: str) -> tuple[float, Named, Named]:
    import torch

    model = torch_network(port, dtype).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    logits = model(torch.from_numpy(images).to(getattr(torch, dtype)))
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels.argmax(1)))
    loss.backward()
    entries = {entry.foreign: entry for entry in bind(PYTORCH_CONVENTION, port.graph.parameters)}
    gradients = {
        entries[name].parameter.name: entries[name].layout.inverse(value.grad.numpy())
        for name, value in model.named_parameters()
    }
    optimizer.step()
    after = {
        entries[name].parameter.name: entries[name].layout.inverse(value.numpy())
        for name, value in model.state_dict().items()
        if name in entries
    }
    assert {name.rpartition(".")[2] for name in set(model.state_dict()) - set(entries)} == set(TORCH_IGNORED)
    return loss.item(), gradients, after


KERAS = """
import sys, numpy, keras, tensorflow as tf
path, batch, out, dtype = sys.argv[1:]
keras.config.set_floatx(dtype)  # else the optimizer keeps its rate in float32
model = keras.saving.load_model(path, compile=False)
data = numpy.load(batch)
with tf.GradientTape() as tape:
    scores = model(data["images"], training=True)
    loss = tf.reduce_mean(keras.losses.categorical_crossentropy(data["labels"], scores))
gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
results = {f"gradients/{v.path}": g.numpy() for v, g in zip(model.trainable_variables, gradients)}
keras.optimizers.SGD(float(data["rate"])).apply(gradients, model.trainable_variables)
results.update({f"after/{v.path}": v.numpy() for v in model.variables if "seed" not in v.path})
numpy.savez(out, loss=loss.numpy(), **results)
"""


def step_in_keras(port: Port, images: np.ndarray, labels: np.ndarray, dtype: str, folder) -> tuple[float, Named, Named]:
    np.savez(folder / "batch.npz", images=NCHW_TO_NHWC(images).astype(dtype), labels=labels.astype(dtype), rate=RATE)
    arguments = [str(keras_file(port, dtype, folder)), str(folder / "batch.npz"), str(folder / "out.npz"), dtype]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-W", "ignore", "-c", KERAS, *arguments]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    names = {f"{keras_layer_name(p.node)}/{p.role}": p.name for p in port.graph.parameters}
    with np.load(folder / "out.npz") as saved:
        pick = lambda kind: {  # noqa: E731
            names[key.removeprefix(kind)]: saved[key] for key in saved if key.startswith(kind)
        }
        return float(saved["loss"]), pick("gradients/"), pick("after/")


def together(named: Named, names: list[str]) -> np.ndarray:
    return np.concatenate([np.asarray(named[name], np.float64).ravel() for name in names])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("runtime", ["pytorch", "keras"])
@pytest.mark.parametrize("name", STEPS)
def test_one_step_is_genuine_theanos(genuine, tmp_path, name, runtime, dtype) -> None:
    source = genuine(name)
    record = source.record(dtype)
    folded = FOLDED[name.rsplit("-", 1)[1]]
    with load(source.weights, epsilon=source.epsilon) as port:
        images, labels = record["images"].astype(dtype), record["labels"]
        if runtime == "pytorch":
            loss, gradients, after = step_in_pytorch(port, images, labels, dtype)
        else:
            loss, gradients, after = step_in_keras(port, images, labels, dtype, tmp_path)
        expected_gradients, expected_after = recorded(port, record, "gradients"), recorded(port, record, "after")
        before = dict((p.name, array) for p, array in port.parameters())
        momentum = port.statement()["network"]["momentum"]
    for parameter, array in expected_after.items():
        if parameter.endswith("moving_variance"):
            expected_after[parameter] = array - (1 - momentum) * folded
    tolerance = TOLERANCE[dtype]
    assert set(gradients) == set(expected_gradients)
    assert set(after) == set(expected_after) == set(before)
    assert loss == pytest.approx(float(record["loss"]), rel=tolerance)
    trained, statistics = list(gradients), [name for name in after if "/moving_" in name]
    assert relative_l2(together(gradients, trained), together(expected_gradients, trained)) <= tolerance
    typical = np.linalg.norm(together(expected_gradients, trained)) / np.sqrt(len(trained))
    for parameter in trained:  # each by itself, or by the typical one: some vanish in exact arithmetic
        difference = np.linalg.norm(np.float64(gradients[parameter]) - expected_gradients[parameter])
        assert difference <= tolerance * max(np.linalg.norm(expected_gradients[parameter]), typical), parameter
    assert relative_l2(together(after, list(after)), together(expected_after, list(after))) <= tolerance
    moved, expected_move = (
        together(state, statistics) - together(before, statistics) for state in (after, expected_after)
    )
    # The statistics move by a hundredth of the batch's; taken alone, their move is float32's last digits.
    assert relative_l2(moved, expected_move) <= tolerance * (100 if dtype == "float32" else 1)


def test_pytorchs_own_running_variance_would_be_off_by_one_in_n() -> None:
    """What our BatchNorm corrects: PyTorch averages n / (n − 1) of the batch variance. Here n is 512 at the least."""
    import torch

    from ror_port.models.networks_torch import BatchNorm

    x = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 4, 8, 8)))
    ours, theirs = BatchNorm(4).double(), torch.nn.BatchNorm2d(4).double()
    ours(x), theirs(x)
    batch = x.var((0, 2, 3), unbiased=False)
    np.testing.assert_allclose(ours.running_var, 0.9 + 0.1 * batch, rtol=1e-14)
    np.testing.assert_allclose(theirs.running_var, 0.9 + 0.1 * batch * 512 / 511, rtol=1e-14)


def test_a_ported_network_learns_again(genuine) -> None:
    """With its head lost, the digits network predicts at chance; three epochs on the training split bring it back."""
    import torch

    torch.manual_seed(0)
    source = genuine(DIGITS)
    data = digits(source)
    x = {split: torch.from_numpy(data[f"x_{split}"]).permute(0, 3, 1, 2) / 255 for split in ("train", "test")}
    y = {split: torch.from_numpy(data[f"y_{split}"].astype(np.int64)) for split in ("train", "test")}
    with load(source.weights) as port:
        model = torch_network(port, "float32")

    def accuracy() -> float:
        with torch.inference_mode():
            return (model.eval()(x["test"]).argmax(1) == y["test"]).float().mean().item()

    torch.nn.init.xavier_uniform_(model.head.dense.weight)
    assert accuracy() < 0.35
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, nesterov=True)
    for _ in range(3):
        model.train()
        for batch in torch.randperm(len(x["train"])).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x["train"][batch]), y["train"][batch]).backward()
            optimizer.step()
    assert accuracy() > 0.95
