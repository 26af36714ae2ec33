"""Makes a weights file as Keras 1 on Theano wrote it, of RoR-3-WRN with any N and k, filled with seeded noise.

generate.py BLOCKS WIDTH OUT.h5
"""

import sys
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from genuine import keras_1_names
from ror_port.mapping.keras import Convention, keras_1
from ror_port.networks import RoRWRN

network = RoRWRN(blocks=int(sys.argv[1]), width=int(sys.argv[2]))
names, graph = keras_1_names(network), network.graph()
table = keras_1(Convention(flipped=True, kernels="OIHW", rows="CHW"))
random = np.random.default_rng(0)
with h5py.File(sys.argv[3], "w") as file:
    file.attrs["layer_names"] = np.array([name.encode() for name in names.values()])
    for node, layer in names.items():
        group = file.create_group(layer)
        entries = table.bind(graph[node].parameters, names.__getitem__)
        weights = [entry.foreign.removeprefix(f"{layer}/") for entry in entries]
        group.attrs["weight_names"] = np.array([weight.encode() for weight in weights])
        for weight, entry in zip(weights, entries, strict=True):
            group[weight] = random.uniform(0.01, 0.02, entry.foreign_shape).astype(np.float32)
