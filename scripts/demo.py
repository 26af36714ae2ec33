"""Converts the digits network (trained in genuine Theano, see fixtures/) and lets stock Keras classify with it."""

# ruff: noqa: T201
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"  # a leftover keras.json may say theano
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import numpy as np

FIXTURE = Path(__file__).parents[1] / "fixtures" / "digits-ror-3-wrn-10-2_keras-1.2.2"


def ror_port(folder: str, arguments: str) -> None:
    print(f"\n$ ror-port {arguments}", flush=True)
    subprocess.run([sys.executable, "-m", "ror_port", *arguments.split()], check=True, cwd=folder)


def main() -> int:
    with h5py.File(FIXTURE / "digits.h5") as data, h5py.File(FIXTURE / "record_float32.h5") as record:
        images = (data["x_test"][()] / 255).astype("float32")  # (360, 32, 32, 3)
        labels, theano = data["y_test"][()], record["probabilities"][()]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(FIXTURE / "weights.h5", f"{folder}/digits.h5")
        ror_port(folder, "theano-to-tf digits.h5")
        print("\nThe counter-example: the same kernels, taken for TensorFlow's, that is without the flip:")
        ror_port(folder, "theano-to-tf digits.h5 -o unflipped.keras --source-backend tensorflow --no-verify")

        from ror_port.frameworks import keras  # imports TensorFlow without its messages

        load_model = keras().saving.load_model
        ported = load_model(f"{folder}/digits.keras").predict(images, verbose=0)
        lost = load_model(f"{folder}/unflipped.keras").predict(images, verbose=0)

    def accuracy(scores: np.ndarray) -> str:
        return f"{(scores.argmax(1) == labels).mean():6.1%}"

    same = int((ported.argmax(1) == theano.argmax(1)).sum())
    print(f"\nAccuracy on {len(labels)} test images of handwritten digits")
    print(f"  Theano 0.9, as recorded when it trained the network  {accuracy(theano)}")
    print(f"  TensorFlow, converted by ror-port                    {accuracy(ported)}")
    print(f"  TensorFlow, the flip left out                        {accuracy(lost)}")
    print(f"The converted network predicts the same class as Theano on {same} of {len(labels)} images;")
    print(f"its probabilities differ from Theano's by {abs(ported - theano).max():.1g} at most.")
    return 0 if same == len(labels) else 1


if __name__ == "__main__":
    sys.exit(main())
