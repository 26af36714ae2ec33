"""Makes a weights file as Keras 1 on Theano wrote it, of RoR-3-WRN with any N and k, filled with seeded noise.

generate.py BLOCKS WIDTH OUT.h5
"""

import sys
from pathlib import Path

import numpy as np

from ror_port.formats.format import Contents
from ror_port.formats.keras_hdf5 import write_keras_1
from ror_port.layout import Arranged
from ror_port.network.families import RoRWRN

graph = RoRWRN(blocks=int(sys.argv[1]), width=int(sys.argv[2])).graph("channels_first")
random = np.random.default_rng(0)
noise = ((parameter, Arranged.of(random.uniform(0.01, 0.02, parameter.shape))) for parameter in graph.parameters)
write_keras_1(Path(sys.argv[3]), Contents(graph, noise, "float32", {}))
