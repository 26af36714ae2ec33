"""Prints the CPU seconds that PyTorch takes in float64 for so many images, in what `to-torch` wrote.

reference_torch.py FOLDER IMAGES
"""

# ruff: noqa: T201
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])
import modeling_ror

torch.set_num_threads(1)
(name,) = json.loads((Path(sys.argv[1]) / "config.json").read_text())["architectures"]
model = getattr(modeling_ror, name).from_pretrained(sys.argv[1]).double().eval()
size = 224 if name == "Network" else 32
images = torch.rand(int(sys.argv[2]), 3, size, size, dtype=torch.float64)
with torch.inference_mode():
    model(images)
    started = time.process_time()
    model(images)
print(time.process_time() - started)
