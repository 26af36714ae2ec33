"""What today's Keras 3 and tf-keras print when somebody gives them an old file: a child process that is asked.

    with Software("tf-keras", home) as software:
        software.message("load_model", path)

Both in one process would share TensorFlow's state; one process for each attempt would load TensorFlow each time.
An attempt is a function of this module that is given the file and raises what is asked for.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from genuine import ROOT

MODULES = {"Keras 3": "keras", "tf-keras": "tf_keras"}

SECONDS = 120
"""For one question."""

COLOURS = re.compile(r"\x1b\[\d*m")


class Software:
    """One of MODULES, in a process of its own."""

    def __init__(self, name: str, home: Path) -> None:
        surroundings = {
            "KERAS_BACKEND": "tensorflow",
            "KERAS_HOME": str(home),
            "CUDA_VISIBLE_DEVICES": "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        }
        self._process = subprocess.Popen(
            [sys.executable, __file__, MODULES[name]],
            env=os.environ | surroundings,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Software:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)

    def message(self, attempt: str, file: Path) -> str | None:
        """What it prints, on one line and without colours; None where it does not refuse."""
        found: str | None = self._ask(attempt, str(file))
        return found

    def ror_port(self, arguments: list[str], folder: Path) -> tuple[int, str]:
        """Exit code and output of a command that is run in a folder, in the same process: TensorFlow is there."""
        code, printed = self._ask("ror_port", str(folder), arguments)
        return code, printed

    def _ask(self, *question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def load_model(keras: Any, file: Path) -> None:
    keras.models.load_model(file, compile=False)


def load_model_unsafely(keras: Any, file: Path) -> None:
    keras.models.load_model(file, compile=False, safe_mode=False)


def load_model_with_custom_objects(keras: Any, file: Path) -> None:
    keras.models.load_model(file, custom_objects={"Convolution2D": keras.layers.Conv2D})


def load_and_run(keras: Any, file: Path) -> None:
    """With the input shape that the file states."""
    model = keras.models.load_model(file, compile=False)
    model.predict(np.zeros([2 if size is None else size for size in input_shape(file)], "float32"), verbose=0)


def input_shape(file: Path) -> list[int | None]:
    with h5py.File(file) as opened:
        stated = re.search(r'"batch_input_shape": (\[.*?\])', opened.attrs["model_config"])
    assert stated is not None
    shape: list[int | None] = json.loads(stated[1])
    return shape


def model_from_json(keras: Any, file: Path) -> None:
    keras.models.model_from_json((file.parent / "MODEL.json").read_text()).load_weights(file)


def model_from_yaml(keras: Any, file: Path) -> None:
    keras.models.model_from_yaml((file.parent / "MODEL.yaml").read_text())


def _sequential(keras: Any, shape: tuple[int | None, ...], *layers: Any) -> Any:
    return keras.Sequential([keras.layers.InputLayer(shape), *layers])


def load_weights(keras: Any, file: Path) -> None:
    """Into a network of two layers."""
    layers = keras.layers
    _sequential(keras, (32, 32, 3), layers.Conv2D(16, 3), layers.Flatten(), layers.Dense(10)).load_weights(file)


def load_weights_into_its_network(_: Any, file: Path) -> None:
    from ror_port.models import networks_keras

    networks_keras.ror_wrn(blocks=1, width=2).load_weights(file)


def load_weights_into_a_dense(keras: Any, file: Path) -> None:
    _sequential(keras, (5,), keras.layers.Dense(3)).load_weights(file)


def load_weights_into_an_lstm(keras: Any, file: Path) -> None:
    _sequential(keras, (7, 4), keras.layers.LSTM(3)).load_weights(file)


def set_weights(keras: Any, file: Path) -> None:
    """Of its first convolution."""
    model = _sequential(keras, (32, 32, 3), keras.layers.Conv2D(16, 3))
    with h5py.File(file) as opened:
        name = next(name for name in opened.attrs["layer_names"] if name.startswith(b"conv")).decode()
        weights = [opened[name][weight.decode()][()] for weight in opened[name].attrs["weight_names"]]
    model.layers[-1].set_weights(weights)


def set_weights_of_an_lstm(keras: Any, file: Path) -> None:
    model = _sequential(keras, (7, 4), keras.layers.LSTM(3))
    with h5py.File(file) as opened:
        (name,) = opened.attrs["layer_names"]
        group = opened[name.decode()]
        weights = [group[weight.decode()][()] for weight in group.attrs["weight_names"]]
    model.layers[-1].set_weights(weights)


def pool_its_input(keras: Any, file: Path) -> None:
    _sequential(keras, tuple(input_shape(file)[1:]), keras.layers.AveragePooling2D(8))


def convolve_its_input(keras: Any, file: Path) -> None:
    _sequential(keras, tuple(input_shape(file)[1:]), keras.layers.Conv2D(16, 5))


def run_script(_: Any, file: Path) -> None:
    """As far as it comes: the scripts import, before they load or train anything, what Keras has no more."""
    exec(compile((file.parent / "SCRIPT.py").read_text(), "SCRIPT.py", "exec"), {"__name__": "__main__"})


def old_conv(keras: Any, _: Path) -> None:
    keras.layers.Conv2D(16, 3, border_mode="same")


def old_pooling(keras: Any, _: Path) -> None:
    keras.layers.MaxPooling2D((2, 2), dim_ordering="th")


def old_dense(keras: Any, _: Path) -> None:
    keras.layers.Dense(10, init="uniform")


def by_h5py(_: Any, file: Path) -> None:
    h5py.File(file).close()


def save_functional(keras: Any, file: Path) -> None:
    inputs = keras.layers.Input((4,))
    keras.Model(inputs, keras.layers.Dense(3)(inputs)).save(file)


def save_lstm(keras: Any, file: Path) -> None:
    _sequential(keras, (5, 4), keras.layers.LSTM(3)).save(file)


def save_depthwise(keras: Any, file: Path) -> None:
    _sequential(keras, (5, 5, 4), keras.layers.DepthwiseConv2D(3)).save(file)


def save_transposed(keras: Any, file: Path) -> None:
    _sequential(keras, (5, 5, 4), keras.layers.Conv2DTranspose(3, 3)).save(file)


def _message(keras: types.ModuleType, attempt: str, file: Path) -> str | None:
    try:
        globals()[attempt](keras, file)
    except Exception as error:
        return " ".join(COLOURS.sub("", str(error)).split())
    return None


def _ror_port(arguments: list[str], folder: str) -> tuple[int, str]:
    from click.testing import CliRunner

    from ror_port.cli import cli

    with contextlib.chdir(folder):
        done = CliRunner().invoke(cli, arguments)
    return done.exit_code, done.output


def _child_main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints past Python is no answer
    keras = __import__(sys.argv[1])
    for line in sys.stdin:
        attempt, where, *arguments = json.loads(line)
        signal.alarm(SECONDS)  # ends this process, so that nobody waits for it
        with contextlib.redirect_stdout(io.StringIO()):
            found = _ror_port(*arguments, where) if attempt == "ror_port" else _message(keras, attempt, Path(where))
        signal.alarm(0)
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    _child_main()
