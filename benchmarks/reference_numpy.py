"""Prints the CPU seconds that ror-port's NumPy reference takes for 8 images.

reference_numpy.py WEIGHTS.h5
"""

# ruff: noqa: T201
import sys
import time

from ror_port.check.classification import seeded_inputs
from ror_port.check.expectation import Expectation
from ror_port.source.port import load


def compute() -> None:
    """Reads the tensors and computes the logits."""
    _ = Expectation(port, images).logits


with load(sys.argv[1]) as port:
    images = seeded_inputs(port, 8)
    compute()
    started = time.process_time()
    compute()
print(time.process_time() - started)
