"""Frameworks that are missing, broken or talkative."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from types import ModuleType

import numpy as np
import pytest

from genuine import ROOT
from ror_port import frameworks
from ror_port.errors import MissingExtra

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {
    frameworks.tensorflow: ("tensorflow", "tensorflow"),
    frameworks.keras: ("keras", "tensorflow"),
    frameworks.torch: ("torch", "torch"),
    frameworks.safetensors_for_torch: ("torch", "torch"),
    frameworks.onnx: ("onnx", "onnx"),
    frameworks.onnxruntime: ("onnxruntime", "onnx"),
    frameworks.pillow: ("PIL", "images"),
}
"""Function → the module that it needs, and the extra that installs it."""


@pytest.mark.parametrize("framework", MODULES)
def test_what_is_missing_is_named_with_a_command_that_works_for_a_checkout_too(framework, monkeypatch) -> None:
    module, extra = MODULES[framework]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingExtra, match=rf"is not installed; pip install .* \(the extra '{extra}' of ror-port\)$"
    ) as raised:
        framework()
    command = re.search(r"pip install (.*) \(", str(raised.value))[1]
    assert re.findall(r"'([^']+)'", command) == PROJECT["optional-dependencies"][extra]
    assert "ror-port[" not in command


def test_a_checkout_that_is_not_installed_has_its_own_advice(monkeypatch) -> None:
    def requires(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"install what pyproject.toml lists as the extra 'torch'$"):
        frameworks.torch()


def test_what_is_broken_is_not_called_missing(tmp_path) -> None:
    (tmp_path / "onnx.py").write_text("raise ImportError('libprotobuf.so:\\n cannot open')")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ror_port import frameworks; frameworks.onnx()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "the onnx package is installed but cannot be imported (libprotobuf.so: cannot open); pip" in done.stderr


def test_what_is_too_old_is_named_with_the_command(monkeypatch) -> None:
    """Keras before 3.11 cannot load the operations of some networks."""
    monkeypatch.setattr("keras.__version__", "3.10.0")
    with pytest.raises(
        MissingExtra, match=r"^Keras 3\.10\.0 is installed, which is too old; pip install .*'keras>=3\.11'"
    ):
        frameworks.keras()
    monkeypatch.setattr("keras.__version__", "3.11.0.dev0")
    frameworks.keras()


def test_tensorflow_starts_without_a_message_and_on_its_own_backend(tmp_path) -> None:
    (tmp_path / "keras.json").write_text('{"backend": "theano"}')
    script = "from ror_port import frameworks; print(frameworks.keras().backend.backend())"
    environment = {"PATH": "/usr/bin:/bin", "KERAS_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.stderr) == ("tensorflow\n", "")


def test_two_threads_that_import_it_leave_stderr_as_it_was(monkeypatch) -> None:
    """One that begins while the other has redirected it would restore the redirection."""
    first, second, leave = threading.Event(), threading.Event(), threading.Event()

    def imported(*_: str) -> ModuleType:
        (second if first.is_set() else first).set()
        leave.wait()
        return np

    before = os.fstat(2)
    monkeypatch.setattr(frameworks, "_imported", imported)
    monkeypatch.setattr(np, "constant", np.array, raising=False)
    with ThreadPoolExecutor(2) as threads:
        try:
            done = [threads.submit(frameworks.keras)]
            assert first.wait(20)
            done.append(threads.submit(frameworks.keras))
            assert not second.wait(0.2)
        finally:
            leave.set()
        assert [each.result() for each in done] == [np, np]
    assert os.path.samestat(os.fstat(2), before)


def test_each_is_the_module_that_it_says() -> None:
    assert frameworks.torch().__name__ == "torch"
    assert frameworks.safetensors_for_torch().__name__ == "safetensors.torch"
    assert frameworks.onnx().__name__ == "onnx"
    assert frameworks.onnxruntime().__name__ == "onnxruntime"
    assert frameworks.pillow().__name__ == "PIL.Image"
    assert frameworks.keras().__name__ == "keras"
    assert frameworks.tensorflow().__name__ == "tensorflow"
