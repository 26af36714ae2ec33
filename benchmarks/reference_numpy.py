"""Prints the CPU seconds that ror-port's NumPy reference takes for 8 images.

reference_numpy.py WEIGHTS.h5
"""

# ruff: noqa: T201
import sys
import time

from ror_port.check import compare as parity
from ror_port.source.port import load

with load(sys.argv[1]) as port:
    images = parity.images(port.network.input_shape, 8)
    parity.expected(port, images)
    started = time.process_time()
    parity.expected(port, images)
print(time.process_time() - started)
