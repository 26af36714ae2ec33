"""What `to-torch` writes, used as a PyTorch user would."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from genuine import INFERENCE, PRE_ROR, STEPS, relative_l2
from ror_port import tolerances
from ror_port.convert.write import write
from ror_port.formats.format import by_name
from ror_port.source.port import load
from runtimes import torch_network, torch_state


@pytest.fixture(scope="module")
def folder(genuine, tmp_path_factory):
    target = tmp_path_factory.mktemp("torch") / "net"
    with load(genuine(PRE_ROR[0]).weights) as port:
        write(port, target, by_name("safetensors"))
    return target


def test_folder_holds_what_it_should(folder) -> None:
    assert sorted(os.listdir(folder)) == ["README.md", "config.json", "model.safetensors", "modeling_ror.py"]
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "ror_wrn"
    assert (config["blocks"], config["width"], config["epsilon"]) == (2, 1, 1e-3)
    assert config["preprocessing"]["scale"] == "pixels / 255"
    assert {fact["name"] for fact in config["provenance"]["facts"]} >= {"backend", "BatchNorm epsilon"}


def test_example_of_the_model_card_runs_without_ror_port(folder) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    assert len(code.splitlines()) == 4
    check = "\nimport sys; print(tuple(logits.shape), 'ror_port' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code + check], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 10) False"


@pytest.mark.parametrize("name", INFERENCE)
def test_logits_are_genuine_theanos(genuine, name, tmp_path) -> None:
    import torch

    from ror_port.models.networks_torch import RoRWRN

    source = genuine(name)
    record = source.record()
    with load(source.weights, epsilon=source.epsilon) as port:
        write(port, tmp_path / "net", by_name("safetensors"))
    with torch.inference_mode():
        logits = RoRWRN.from_pretrained(tmp_path / "net")(torch.from_numpy(record["images"])).numpy()
    assert relative_l2(logits, record["logits"]) <= tolerances.FLOAT32
    np.testing.assert_array_equal(logits.argmax(1), record["logits"].argmax(1))


def test_state_dict_loads_with_weights_only(genuine, folder, tmp_path) -> None:
    import torch
    from safetensors.torch import load_file

    with load(genuine(PRE_ROR[0]).weights) as port:
        write(port, tmp_path / "net.pt", by_name("pt"))
        model = torch_network(port, "float32")
    state = torch.load(tmp_path / "net.pt", weights_only=True)
    model.load_state_dict(state)
    stored = load_file(folder / "model.safetensors")
    assert stored.keys() == state.keys()
    for name, tensor in stored.items():
        assert torch.equal(state[name], tensor)


@pytest.mark.parametrize("format", ["keras", "weights", "h5"])
def test_what_theano_to_tf_wrote_converts_to_the_same_tensors(genuine, tmp_path, format) -> None:
    with load(genuine(PRE_ROR[0]).weights, epsilon=3e-4) as port:
        write(port, tmp_path / "net", by_name(format))
        expected = torch_state(port)
    with load(tmp_path / "net") as port:
        assert port.statement()["network"]["epsilon"] == 3e-4
        assert {name: array.tobytes() for name, array in torch_state(port).items()} == {
            name: array.tobytes() for name, array in expected.items()
        }


def test_full_model_converts(genuine, tmp_path) -> None:
    with load(genuine(STEPS[0]).folder / "model.h5") as port:
        write(port, tmp_path / "net", by_name("safetensors"))
    assert (tmp_path / "net" / "model.safetensors").exists()


def test_float64_weights_stay_float64(genuine, tmp_path) -> None:
    import torch

    from ror_port.models.networks_torch import RoRWRN

    source = genuine(PRE_ROR[0])
    record = source.record("float64")
    with load(source.folder / "weights_float64.h5") as port:
        write(port, tmp_path / "net", by_name("safetensors"))
    with torch.inference_mode():
        logits = RoRWRN.from_pretrained(tmp_path / "net")(torch.from_numpy(record["images"]).double()).numpy()
    assert logits.dtype == np.float64
    assert relative_l2(logits, record["logits"]) <= tolerances.FLOAT64


def test_without_torch_a_state_dict_says_what_is_missing(pre_ror, tmp_path) -> None:
    script = "import sys; sys.modules['torch'] = None; from ror_port.cli import main; main()"
    command = [sys.executable, "-c", script, "to-torch", str(pre_ror.weights), "-o", str(tmp_path / "net.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 10
    assert "pip install 'torch>=" in done.stderr
    assert os.listdir(tmp_path) == []
