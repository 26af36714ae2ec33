"""The least that a conversion costs: with h5py and NumPy alone.

    floor.py WEIGHTS.h5 OUT.h5

Reads a Keras 1 file, flips and transposes its kernels, and writes them for Keras 2. It knows no network and checks
nothing; the tensors keep their old names.
"""

import os
import sys

os.environ["OPENBLAS_THREAD_TIMEOUT"] = "14"  # as ror-port does: NumPy's threads would spin for 0.1 s at the start

import h5py

with h5py.File(sys.argv[1], "r") as old, h5py.File(sys.argv[2], "w") as new:
    new.attrs["layer_names"] = old.attrs["layer_names"]
    for layer in old.attrs["layer_names"]:
        group = new.create_group(layer)
        names = old[layer].attrs["weight_names"]
        group.attrs["weight_names"] = names
        for name in names:
            tensor = old[layer][name][()]
            if tensor.ndim == 4:  # Theano's (out, in, height, width), flipped → (height, width, in, out)
                tensor = tensor[:, :, ::-1, ::-1].transpose(2, 3, 1, 0).copy()
            group[name] = tensor
