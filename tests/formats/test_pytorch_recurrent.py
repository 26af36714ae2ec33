"""Recurrent layers whose arithmetic is that of PyTorch's own modules are written as those, and come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import computed, error
from recurrent_models import FEATURES, given, layer, port_of, recurrent
from ror_port import frameworks, tolerances, verify
from ror_port.check.classification import seeded_inputs
from ror_port.convert.write import write
from ror_port.errors import NotACheckpoint
from ror_port.formats.format import BY_NAME
from ror_port.source.port import Port, load

KINDS = [
    ("LSTM", {}, "nn.LSTM({f}, 4, batch_first=True)"),
    ("GRU", {"reset_after": True}, "nn.GRU({f}, 4, batch_first=True)"),
    ("SimpleRNN", {}, "nn.RNN({f}, 4, batch_first=True)"),
    ("SimpleRNN", {"activation": "relu"}, 'nn.RNN({f}, 4, nonlinearity="relu", batch_first=True)'),
    ("LSTM", {"use_bias": False}, "nn.LSTM({f}, 4, bias=False, batch_first=True)"),
    ("GRU", {"reset_after": True, "use_bias": False}, "nn.GRU({f}, 4, bias=False, batch_first=True)"),
]
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {"recurrent_activation": "hard_sigmoid"}),
    ("LSTM", {"activation": "relu"}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"reset_after": True, "activation": "softsign"}),
    ("SimpleRNN", {"activation": "sigmoid"}),
    ("LSTM", {"return_state": True}),
]


def network(kind: str, folder: Path, **settings: Any) -> Port:
    return port_of([given("x", 9, FEATURES), recurrent("cell", ["x"], kind=kind, **settings)], ["cell"], folder)


def definition(folder: Path) -> str:
    return (folder / "modeling_ror.py").read_text()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(("kind", "settings", "module"), KINDS)
def test_pytorchs_own_module_is_taken(
    kind: str, settings: dict[str, Any], module: str, sequences: bool, backwards: bool, tmp_path: Path
) -> None:
    with network(kind, tmp_path, return_sequences=sequences, go_backwards=backwards, **settings) as port:
        write(port, tmp_path / "net", BY_NAME["safetensors"])
        assert module.format(f=FEATURES) in definition(tmp_path / "net")
        assert verify(port, tmp_path / "net").passed


@pytest.mark.parametrize("name", ["safetensors", "pt"])
@pytest.mark.parametrize(("kind", "settings", "_"), KINDS)
def test_its_weights_come_back(kind: str, settings: dict[str, Any], _: str, name: str, tmp_path: Path) -> None:
    with network(kind, tmp_path, **settings) as port:
        out, inputs = tmp_path / f"net{BY_NAME[name].suffix}", seeded_inputs(port)
        write(port, out, BY_NAME[name])
        stated = None
        if name == "pt":
            write(port, tmp_path / "folder", BY_NAME["safetensors"])
            with load(tmp_path / "folder") as folder:
                stated = folder.checkpoint.stated["graph"]
        with load(out, graph=stated) as back:
            for role, tensor in port.tensors()["cell"].items():
                assert back.tensors()["cell"][role].tobytes() == tensor.tobytes()
            assert error(computed(back, inputs), computed(port, inputs)) <= tolerances.FLOAT64
        if name == "safetensors":
            with load(out) as back:
                write(back, tmp_path / "back.h5", BY_NAME["theano"])
            with load(tmp_path / "back.h5") as returned:
                for role, tensor in port.tensors()["cell"].items():
                    assert returned.tensors()["cell"][role].tobytes() == tensor.tobytes()


@pytest.mark.parametrize(("kind", "settings"), OTHERS)
def test_what_pytorch_computes_otherwise_is_a_cell_of_its_own(
    kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    with network(kind, tmp_path, **settings) as port:
        write(port, tmp_path / "net", BY_NAME["safetensors"])
        assert f"class {kind}(Recurrent)" in definition(tmp_path / "net")
        assert "batch_first" not in definition(tmp_path / "net")
        assert verify(port, tmp_path / "net").passed


@pytest.mark.parametrize("masked_too", [False, True])
def test_a_layer_is_one_module_at_all_its_uses(masked_too: bool, tmp_path: Path) -> None:
    """With a mask at one of them it is a cell at both."""
    layers = [
        given("a", 5, FEATURES),
        given("b", 5, FEATURES),
        layer("Masking", "masking", ["b"], mask_value=0.0),
        recurrent("cell", ["a"], ["masking" if masked_too else "b"]),
        layer("Add", "sum", ["cell", ["cell", 1, 0]]),
    ]
    if not masked_too:
        del layers[2]
    with port_of(layers, ["sum"], tmp_path) as port:
        write(port, tmp_path / "net", BY_NAME["safetensors"])
        assert ("nn.LSTM(" in definition(tmp_path / "net")) is not masked_too
        assert verify(port, tmp_path / "net").passed


@pytest.mark.parametrize("back", [False, True])
def test_modules_of_another_arithmetic_are_refused(back: bool, tmp_path: Path) -> None:
    """The weights of an nn.LSTM beside a network whose gates are hard_sigmoid, and the other way round."""
    for number, gates in enumerate(("sigmoid", "hard_sigmoid")):
        (tmp_path / str(number)).mkdir()
        with network("LSTM", tmp_path / str(number), recurrent_activation=gates) as port:
            write(port, tmp_path / gates, BY_NAME["safetensors"])
    weights, other = (
        tmp_path / gates for gates in (("hard_sigmoid", "sigmoid") if back else ("sigmoid", "hard_sigmoid"))
    )
    (other / "model.safetensors").write_bytes((weights / "model.safetensors").read_bytes())
    with pytest.raises(NotACheckpoint, match="its recurrent modules are others"):
        load(other)


def test_a_wrong_order_of_gates_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ror_port.formats.pytorch_recurrent.GRU_GATES", (0, 1, 2))
    with network("GRU", tmp_path, reset_after=True) as port:
        write(port, tmp_path / "net", BY_NAME["safetensors"])
        assert not verify(port, tmp_path / "net").passed


def test_a_second_bias_that_was_trained_is_added(tmp_path: Path) -> None:
    torch, files = frameworks.torch(), frameworks.safetensors_for_torch()
    with network("LSTM", tmp_path) as port:
        write(port, tmp_path / "net", BY_NAME["safetensors"])
        weights = tmp_path / "net" / "model.safetensors"
        tensors = files.load_file(weights)
        tensors["cell.bias_hh_l0"] += torch.linspace(-1, 1, 16)
        files.save_file(tensors, weights)
        bias = port.tensors()["cell"]["bias"] + np.linspace(-1, 1, 16, dtype=np.float32)
    with load(tmp_path / "net") as back:
        assert error([back.tensors()["cell"]["bias"]], [bias]) <= tolerances.FLOAT32


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("weight_hh_l0", (16, 3)),
        ("weight_hh_l0", (16,)),
        ("weight_hh_l0", None),
        ("weight_ih_l0", (12, 3)),
        ("weight_ih_l0", (16, 3, 1)),
        ("weight_ih_l0", None),
        ("bias_hh_l0", (4,)),
        ("bias_ih_l0", None),
        ("weight_hh_l0", (0, 0)),
    ],
)
def test_weights_that_do_not_belong_together_are_refused(
    name: str, shape: tuple[int, ...] | None, tmp_path: Path
) -> None:
    torch, files = frameworks.torch(), frameworks.safetensors_for_torch()
    with network("LSTM", tmp_path) as port:
        write(port, tmp_path / "net", BY_NAME["safetensors"])
    weights = tmp_path / "net" / "model.safetensors"
    tensors = files.load_file(weights)
    del tensors[f"cell.{name}"]
    if shape is not None:
        tensors[f"cell.{name}"] = torch.zeros(shape)
    files.save_file(tensors, weights)
    with pytest.raises(NotACheckpoint, match=r"not the weights of an nn\.RNN"):
        load(tmp_path / "net")
