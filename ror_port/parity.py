"""Comparing what a converted file computes with what Theano would have computed.

The expectation comes from `ror_port.theano_numpy` on the source's untouched tensors; the artifact is loaded
from disk by its own framework. Frameworks are imported here, and only when a check runs.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ror_port import theano_numpy, tolerances
from ror_port.errors import MissingExtra
from ror_port.formats import pytorch
from ror_port.graph import Shape
from ror_port.layout import NHWC_TO_NCHW, Array
from ror_port.mapping.keras import keras_layer_name
from ror_port.port import Port
from ror_port.provenance import LATEST, OTHER_EPSILON

IMAGES = 8
"""Images a check runs on: enough for the answers to differ, few enough for the reference to take seconds."""


@dataclass(frozen=True)
class Difference:
    """How far `actual` is from `expected`.

    relative_l2: ‖actual − expected‖ / ‖expected‖, which is also the smallest tolerance that would pass.
    worst: index of the largest absolute difference. same_answers, answers: images with equal argmax, and all.
    """

    relative_l2: float
    max_abs: float
    worst: tuple[int, ...]
    same_answers: int
    answers: int

    def within(self, tolerance: float) -> bool:
        return self.relative_l2 <= tolerance and self.same_answers == self.answers

    def __str__(self) -> str:
        return (
            f"relative L2 {self.relative_l2:.2g}, largest difference {self.max_abs:.2g} at {self.worst}, "
            f"same answer for {self.same_answers} of {self.answers}"
        )


def compare(actual: Array, expected: Array) -> Difference:
    """Compares two arrays of one shape, images on the first axis, scores on the last."""
    if actual.shape != expected.shape:
        raise ValueError(f"shapes {actual.shape} and {expected.shape} cannot be compared")
    a, e = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    distance = np.abs(a - e)
    worst = np.unravel_index(int(distance.argmax()), distance.shape)
    norm = float(np.linalg.norm(e))
    error = float(np.linalg.norm(a - e))
    return Difference(
        relative_l2=error / norm if norm else error,
        max_abs=float(distance.max()),
        worst=tuple(int(i) for i in worst),
        same_answers=int((a.argmax(-1) == e.argmax(-1)).sum()),
        answers=int(a.argmax(-1).size),
    )


def images(shape: Shape, count: int = IMAGES, seed: int = 0) -> NDArray[np.float32]:
    """Seeded inputs in [0, 1], (count, height, width, channels): noise over a slope, different in every channel.

    Nothing in them is symmetric, so that a flip, a transposition or a swap of channels shows.
    """
    height, width, channels = shape
    random = np.random.default_rng(seed)
    rows = np.linspace(-0.5, 0.5, height)[:, None, None]
    columns = np.linspace(-0.5, 0.5, width)[None, :, None]
    slopes = random.uniform(-1, 1, (2, count, 1, 1, channels))
    ground, contrast = random.uniform(0, 1, (2, count, 1, 1, channels))
    noise = random.uniform(-0.5, 0.5, (count, height, width, channels))
    pictures = ground + slopes[0] * rows + slopes[1] * columns + contrast * noise
    return np.asarray(np.clip(pictures, 0, 1), np.float32)


def expected(port: Port, pictures: NDArray[Any]) -> NDArray[np.float64]:
    """The logits that Theano would have computed. pictures: (batch, height, width, channels)."""
    logits = port.graph.logits
    tensors = port.reference_tensors()
    return theano_numpy.outputs(port.graph, tensors, port.convention, NHWC_TO_NCHW(pictures), logits)[logits]


@dataclass(frozen=True)
class EpsilonEffect:
    """What it would mean if the file's epsilon were not the one taken. difference: of the logits."""

    epsilon: float
    other: float
    difference: Difference


def epsilon_effect(port: Port, pictures: NDArray[Any], logits: NDArray[np.float64]) -> EpsilonEffect:
    """Runs the reference again under the epsilon of the other Keras eras."""
    taken = port.network.epsilon
    other = OTHER_EPSILON if taken == LATEST.epsilon else LATEST.epsilon
    graph = replace(port.network, epsilon=other).graph()
    return EpsilonEffect(taken, other, compare(expected(replace(port, graph=graph), pictures), logits))


@dataclass(frozen=True)
class Check:
    """An artifact against the reference. runtime: what computed it."""

    runtime: str
    difference: Difference
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.difference.within(self.tolerance)

    def as_json(self) -> dict[str, Any]:
        return {"passed": self.passed, **asdict(self)}


@dataclass(frozen=True)
class Unchecked:
    """Why an artifact was not compared."""

    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"passed": None, "reason": self.reason}


def keras() -> Any:
    """Keras 3, on TensorFlow unless the caller has imported it already; MissingExtra where it is not installed."""
    if importlib.util.find_spec("tensorflow") is None or importlib.util.find_spec("keras") is None:
        raise MissingExtra("TensorFlow is not installed; pip install 'ror-port[tensorflow]'")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # a leftover keras.json may say "theano", which fails
    with _quiet_stderr():
        import keras
        import tensorflow as tf

        tf.constant(0)  # it speaks again when it first looks for devices
    return keras


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Swallows what native code writes to file descriptor 2; TensorFlow greets its users there at every start."""
    with tempfile.TemporaryFile() as sink:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except BaseException:
            sink.seek(0)
            os.write(kept, sink.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def check_tensorflow(
    port: Port, artifact: Path, format: str, *, channels_first: bool, logits: bool, pictures: NDArray[Any]
) -> tuple[Check | Unchecked, NDArray[np.float64]]:
    """Loads an artifact of `theano-to-tf` as its user would and compares its answers with the reference.

    Compares the logits; for a SavedModel, which has no layers to look into, its output. Also returns the
    reference's logits.
    """
    reference = expected(port, pictures)
    try:
        framework = keras()
    except MissingExtra as error:
        return Unchecked(str(error)), reference
    import tensorflow as tf

    if channels_first and not tf.config.list_physical_devices("GPU"):
        return Unchecked("TensorFlow has no channels_first convolution on a CPU"), reference
    inputs = NHWC_TO_NCHW(pictures) if channels_first else pictures
    wanted = reference
    if format == "savedmodel":
        wanted = reference if logits else theano_numpy.softmax(reference)
        loaded = tf.saved_model.load(str(artifact))  # kept: its variables live as long as it does
        actual = loaded.serve(tf.constant(inputs)).numpy()
    else:
        if format == "weights":
            model = keras_model(port, channels_first=channels_first)
            model.load_weights(artifact)
        else:
            model = framework.saving.load_model(artifact, compile=False)
        to_logits = framework.Model(model.inputs[0], model.get_layer(keras_layer_name(port.graph.logits)).output)
        actual = to_logits(inputs).numpy()
    backend = framework.backend.backend()
    runtime = (
        f"Keras {framework.__version__} on {f'TensorFlow {tf.__version__}' if backend == 'tensorflow' else backend}"
    )
    return Check(runtime, compare(actual, wanted), tolerances.for_dtype(port.dtype)), reference


def check_torch(
    port: Port, artifact: Path, format: str, *, pictures: NDArray[Any]
) -> tuple[Check | Unchecked, NDArray[np.float64]]:
    """Loads an artifact of `to-torch` as its user would and compares its logits with the reference.

    A folder is loaded by the definition that lies in it. Also returns the reference's logits.
    """
    reference = expected(port, pictures)
    if importlib.util.find_spec("torch") is None:
        return Unchecked("PyTorch is not installed; pip install 'ror-port[torch]'"), reference
    import torch

    class_name, _ = pytorch.CLASSES[port.network.family]
    if format == "pt":
        model = torch_model(port)
        model.load_state_dict(torch.load(artifact, weights_only=True))
    else:
        definition = _module(artifact / pytorch.DEFINITION)
        model = getattr(definition, class_name).from_pretrained(artifact)
    with torch.inference_mode():
        dtype = next(model.parameters()).dtype
        actual = model.eval()(torch.from_numpy(NHWC_TO_NCHW(pictures)).to(dtype)).numpy()
    difference = compare(actual, reference)
    return Check(f"PyTorch {torch.__version__}", difference, tolerances.for_dtype(port.dtype)), reference


def torch_model(port: Port) -> Any:
    """The parallel PyTorch definition of a port's network, without its weights, in the port's precision."""
    import torch

    from ror_port.models import networks_torch

    class_name, _ = pytorch.CLASSES[port.network.family]
    network = getattr(networks_torch, class_name)(networks_torch.Config(**asdict(port.target)))
    return network.to(getattr(torch, port.dtype))


def _module(path: Path) -> ModuleType:
    """A Python file as a module. Only ever one that ror-port has just written."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[path.stem]
    return module


def keras_model(port: Port, *, channels_first: bool) -> Any:
    """The parallel Keras definition of a port's network, without its weights."""
    keras()
    from ror_port.models import networks_keras

    options = asdict(port.target)
    if port.network.family == "RoR":
        del options["width"]  # these come in one width
    build = getattr(networks_keras, pytorch.CLASSES[port.network.family][1])
    return build(**options, data_format="channels_first" if channels_first else "channels_last")
