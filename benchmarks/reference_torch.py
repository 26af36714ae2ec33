"""Prints the CPU seconds that PyTorch takes in float64 for 8 images, in the network of RoR-3-WRN-40-2.

reference_torch.py
"""

# ruff: noqa: T201
import time

import torch

from ror_port.models.networks_torch import RoRWRN

torch.set_num_threads(1)
model = RoRWRN.create(blocks=6, width=2).double().eval()
images = torch.rand(8, 3, 32, 32, dtype=torch.float64)
with torch.inference_mode():
    model(images)
    started = time.process_time()
    model(images)
print(time.process_time() - started)
