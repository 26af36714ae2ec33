"""What one would write by hand with Keras on TensorFlow: build the network, load, flip, set the weights, save.

    by_hand_keras.py WEIGHTS.h5 OUT.keras

The network is the definition that ror-port ships (`ror_port/models/networks_keras.py`), which is stock Keras code.
Keras 1 kept a file's layers in the order of ``model.layers``, which is today's order too, so that they can be paired
as they come.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"

import h5py

from ror_port.models import networks_keras

model = networks_keras.ror_wrn(blocks=6, width=2, classes=10)
with h5py.File(sys.argv[1], "r") as file:
    stored = []
    for layer in file.attrs["layer_names"]:
        group = file[layer]
        tensors = [group[name][()] for name in group.attrs["weight_names"]]
        if tensors:
            stored.append(tensors)
weighted = [layer for layer in model.layers if layer.weights]
assert len(stored) == len(weighted)
for layer, tensors in zip(weighted, stored, strict=True):
    layer.set_weights(
        [tensor[:, :, ::-1, ::-1].transpose(2, 3, 1, 0).copy() if tensor.ndim == 4 else tensor for tensor in tensors]
    )
model.save(sys.argv[2])
