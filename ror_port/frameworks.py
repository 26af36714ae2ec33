"""The only module that imports TensorFlow, Keras, PyTorch, ONNX (Runtime), Pillow, PyYAML and fsspec, each when needed.

(`ror_port.models` imports them too: its files are copied away by users.) Each function raises MissingExtra where its
framework is not installed, is too old or cannot be imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from ror_port.errors import MissingExtra


def tensorflow() -> Any:
    """TensorFlow, whose messages at start are suppressed."""
    keras()
    return _imported("tensorflow", "TensorFlow", "tensorflow")


def keras() -> Any:
    """Keras 3, on TensorFlow unless the caller has imported it already with another backend."""
    ensure("keras")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # an old keras.json may name "theano", which fails
    with _quiet_stderr():
        package = _imported("keras", "Keras", "tensorflow")
        _imported("tensorflow", "TensorFlow", "tensorflow").constant(0)  # it prints again when it looks for devices
    return package


def torch() -> Any:
    return _imported("torch", "PyTorch", "torch")


def safetensors_for_torch() -> Any:
    """The module ``safetensors.torch``."""
    torch()
    return _imported("safetensors.torch", "safetensors", "torch")


def onnx() -> Any:
    return _imported("onnx", "the onnx package", "onnx")


def onnxruntime() -> Any:
    return _imported("onnxruntime", "ONNX Runtime", "onnx")


def pillow() -> Any:
    """The module ``PIL.Image``."""
    return _imported("PIL.Image", "Pillow, which reads image files,", "images")


def yaml() -> Any:
    return _imported("yaml", "PyYAML, which reads architectures in YAML,", "yaml")


def fsspec() -> Any:
    return _imported("fsspec", "fsspec, which fetches files,", "remote")


def devices(framework: str) -> list[str]:
    """The GPUs that a framework sees: "keras", "torch" or "onnxruntime". Raises MissingExtra."""
    if framework == "torch":
        package = torch()
        return [package.cuda.get_device_name(number) for number in range(package.cuda.device_count())]
    if framework == "onnxruntime":
        return [name for name in onnxruntime().get_available_providers() if "CUDA" in name or "ROCM" in name]
    package = tensorflow()
    found = package.config.list_physical_devices("GPU")
    return [package.config.experimental.get_device_details(device).get("device_name", device.name) for device in found]


def ensure(framework: str) -> None:
    """Raises MissingExtra where what a function of this module imports is not installed. Imports nothing."""
    for module, name, extra in _WRITERS[framework]:
        _ensure_installed(module, name, extra)


_WRITERS = {
    "keras": (("tensorflow", "TensorFlow", "tensorflow"), ("keras", "Keras", "tensorflow")),
    "torch": (("torch", "PyTorch", "torch"),),
    "onnx": (("onnx", "the onnx package", "onnx"),),
}
"""Function of this module → (module, its name, the extra that installs it) for each that it imports."""


def _imported(module: str, name: str, extra: str) -> Any:
    _ensure_installed(module, name, extra)
    try:
        package = importlib.import_module(module)
    except ImportError as error:
        reason = " ".join(str(error).split())[:200]
        raise MissingExtra(f"{name} is installed but cannot be imported ({reason}); {_remedy(extra)}") from None
    version = getattr(package, "__version__", "")
    if _release(version) < _least(module, extra):
        raise MissingExtra(f"{name} {version} is installed, which is too old; {_remedy(extra)}")
    return package


@cache
def _least(module: str, extra: str) -> tuple[float, ...]:
    """The first release of a package that an extra of ror-port takes."""
    stated = (re.fullmatch(rf"{module}>=([\d.]+)", requirement) for requirement in required(extra))
    return next((_release(match[1]) for match in stated if match), ())


def _release(version: str) -> tuple[float, ...]:
    """Its numbers; of a package that states no version, one after all releases."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else (math.inf,)


def _ensure_installed(module: str, name: str, extra: str) -> None:
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise MissingExtra(f"{name} is not installed; {_remedy(extra)}")


def _remedy(extra: str) -> str:
    """The command that installs an extra, whether ror-port was installed from an index or from a checkout."""
    requirements = " ".join(map(repr, required(extra)))
    if not requirements:  # run from a checkout that was not installed
        return f"install what pyproject.toml lists as the extra '{extra}'"
    return f"pip install {requirements} (the extra '{extra}' of ror-port)"


def required(extra: str = "") -> list[str]:
    """What an extra of ror-port requires, or ror-port itself, as its installation states it; nothing without one."""
    from importlib import metadata  # a third of what starting takes, and needed for frameworks alone

    try:
        stated = metadata.requires("ror-port") or []
    except metadata.PackageNotFoundError:
        return []
    of_extra = re.compile(rf"""(.*?)\s*;.*\bextra\s*==\s*["']{extra}["']""" if extra else "([^;]*)")
    return [match[1] for requirement in stated if (match := of_extra.fullmatch(requirement))]


_REDIRECTING = threading.Lock()
"""Held while file descriptor 2 is another: a second thread would take that for the one that it has to restore."""


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Suppresses what native code writes to file descriptor 2; TensorFlow prints there at every start."""
    with _REDIRECTING, tempfile.TemporaryFile() as discarded:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(discarded.fileno(), 2)
        try:
            yield
        except BaseException:
            discarded.seek(0)
            os.write(kept, discarded.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
