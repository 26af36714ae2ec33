"""The least that a conversion costs: with h5py and NumPy alone.

    floor.py WEIGHTS.h5 OUT.h5 [TENSOR CHANNELS HEIGHT WIDTH]

Reads a file of Keras 1 on Theano, weights alone or a full model, flips and transposes its kernels, and writes them for
Keras 2; of TENSOR, the kernel of a Dense layer behind an image, the rows are reordered. It knows no network and checks
nothing; the tensors keep their old names.
"""

import os
import sys

os.environ["OPENBLAS_THREAD_TIMEOUT"] = "14"  # as ror-port does: NumPy's threads would spin for 0.1 s at the start

import h5py

source, target, *rows = sys.argv[1:]
with h5py.File(source, "r") as file, h5py.File(target, "w") as new:
    old = file.get("model_weights", file)
    new.attrs["layer_names"] = old.attrs["layer_names"]
    for layer in old.attrs["layer_names"]:
        group = new.create_group(layer)
        names = old[layer].attrs["weight_names"]
        group.attrs["weight_names"] = names
        for name in names:
            tensor = old[layer][name][()]
            if tensor.ndim == 4:  # Theano's (out, in, height, width), flipped → (height, width, in, out)
                tensor = tensor[:, :, ::-1, ::-1].transpose(2, 3, 1, 0).copy()
            elif rows and name.decode() == rows[0]:
                image = tensor.reshape(*map(int, rows[1:]), -1)
                tensor = image.transpose(1, 2, 0, 3).reshape(tensor.shape)
            group[name] = tensor
