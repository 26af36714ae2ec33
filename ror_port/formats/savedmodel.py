"""TensorFlow's SavedModel: a folder that Keras alone can write, by way of a ``.keras`` file."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from ror_port import frameworks
from ror_port.errors import UnknownNetwork
from ror_port.formats import keras_3
from ror_port.formats.format import Contents


def write(folder: Path, contents: Contents) -> None:
    """Needs TensorFlow; raises MissingExtra where it is not installed, UnknownNetwork for a stateful network."""
    if contents.graph.batch:
        raise UnknownNetwork("a stateful network: nothing sets the states of a SavedModel back to zeros")
    framework = frameworks.keras()
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary) / "model.keras"
        keras_3.write_archive(archive, contents)
        network = framework.saving.load_model(archive, compile=False)
        try:
            network.export(folder, verbose=False)
        except frameworks.tensorflow().errors.OpError as error:  # its files are not written through Python
            raise OSError(errno.EIO, " ".join(error.message.split())[-200:]) from error
