"""Prints the CPU seconds that ror-port's NumPy reference takes for so many images, the weights at hand in float64.

reference_numpy.py FILE.h5 IMAGES
"""

# ruff: noqa: T201
import sys
import time

import numpy as np

from ror_port.check.classification import seeded_inputs
from ror_port.source.port import load


def compute() -> None:
    for _ in port.run(images, tensors=tensors):
        pass


with load(sys.argv[1]) as port:
    images = seeded_inputs(port, int(sys.argv[2]))
    stored = port.tensors()
    tensors = {node: {role: np.asarray(a, np.float64) for role, a in roles.items()} for node, roles in stored.items()}
    compute()
    started = time.process_time()
    compute()
print(time.process_time() - started)
