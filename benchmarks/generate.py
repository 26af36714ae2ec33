"""Makes a file as Keras 1 on Theano wrote it.

generate.py BLOCKS WIDTH OUT.h5: weights of RoR-3-WRN with any N and k, filled with seeded noise.
generate.py RECORD OUT.h5: a full model of fixtures/, such as vgg16-th or keras-1.2.2-theano-0.9.0/networks/residual-th.
"""

import sys
from pathlib import Path

import numpy as np

from ror_port.formats.format import Contents
from ror_port.formats.keras_hdf5 import write_theano
from ror_port.layout import Arranged
from ror_port.network.families import RoRWRN

if len(sys.argv) == 3:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from genuine_layers import Case, application, record

    case = sys.argv[1].split("/")
    (application(*case) if len(case) == 1 else record(Case(*case))).write(Path(sys.argv[2]))
else:
    graph = RoRWRN(blocks=int(sys.argv[1]), width=int(sys.argv[2])).graph("channels_first")
    random = np.random.default_rng(0)
    noise = ((p, Arranged.of(random.uniform(0.01, 0.02, p.shape))) for p in graph.parameters)
    write_theano(Path(sys.argv[3]), Contents(graph, noise, "float32", {}))
