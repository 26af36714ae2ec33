"""TensorFlow's SavedModel: a folder that Keras alone can write, by way of a ``.keras`` file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ror_port.formats import keras_3
from ror_port.formats.format import Contents


def write(folder: Path, contents: Contents) -> None:
    """Needs TensorFlow; raises MissingExtra where it is not installed."""
    from ror_port.check.runtimes import keras

    framework = keras()
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary) / "model.keras"
        keras_3.write_archive(archive, contents)
        framework.saving.load_model(archive, compile=False).export(folder, verbose=False)
