"""Errors and speed in PyTorch on one device, of RoR-3-WRN-40-2 and others: tables for docs/accuracy.md."""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conformance import inputs_of, opened
from genuine import LARGE, relative_l2, stored
from genuine_layers import Case
from genuine_layers import record as recorded
from ror_port.network.graph import Graph
from ror_port.network.layers import Conv2D, Dense
from ror_port.source.port import load
from runtimes import CONVERTED, beside_the_reference, torch_network, written_for_torch

NAME = LARGE[0]


def work(graph: Graph) -> tuple[int, int]:
    """Multiply-adds of one image, and float32 bytes that its convolutions must at least read and write."""
    multiply_adds = floats = 0
    for node in graph:
        if isinstance(node.layer, Conv2D | Dense):
            kernel = node.parameters[0].shape
            positions = int(np.prod(node.shape)) // kernel[-1]
            multiply_adds += positions * int(np.prod(kernel))
            floats += int(np.prod(node.shape)) + int(np.prod(graph[node.inputs[0]].shape))
    return multiply_adds, 4 * floats


def seconds(run: Callable[[], object], device: str, repeats: int = 10) -> float:
    """Median of timed calls, after three that are not counted."""
    times = []
    for _ in range(repeats + 3):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times[3:]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=1024)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device is visible: nothing measured")
        return 0
    device, batch = options.device, options.batch
    card = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    with tempfile.TemporaryDirectory() as folder:
        source = stored(NAME, Path(folder))
        with load(source.weights, epsilon=source.epsilon) as port:
            model = torch_network(port, "float32").to(device)
            exact = torch_network(port, "float64").to(device)
            multiply_adds, moved = work(port.graph)
    record = source.record()
    images = torch.from_numpy(record["images"]).to(device)
    many = torch.from_numpy(np.resize(record["images"], (batch, 3, 32, 32))).to(device)
    bf16 = lambda: torch.autocast(device, torch.bfloat16)  # noqa: E731

    def allow_tf32(on: bool) -> None:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = on

    allow_tf32(False)
    a = torch.randn(4096, 4096, device=device)
    rate = {"float32": 4096**3 / seconds(lambda: a @ a, device)}
    allow_tf32(True)
    rate["TF32"] = 4096**3 / seconds(lambda: a @ a, device)
    b = a.bfloat16()
    rate["bfloat16"] = 4096**3 / seconds(lambda: b @ b, device)
    big = torch.empty(1 << 26, device=device)
    bandwidth = 2 * big.nbytes / seconds(lambda: big.clone(), device)

    print(f"RoR-3-WRN-40-2, {card}, PyTorch {torch.__version__}, {datetime.date.today()}; batch {batch} for speed")
    print(f"{multiply_adds / 1e9:.3f} G multiply-adds and {moved / 1e6:.1f} MB of float32 activations an image")
    print("| arithmetic | relative L2 of the logits | images/s | compiled | floor |")
    print("|---|---|---|---|---|")
    with torch.inference_mode():
        error = relative_l2(exact(images.double()).cpu().numpy(), source.record("float64")["logits"])
        print(f"| float64 | {error:.1e} | | | |")
        compiled = torch.compile(model)
        for name, context, tf32 in (
            ("float32", nullcontext, False),
            ("TF32", nullcontext, True),
            ("bfloat16", bf16, True),
        ):
            allow_tf32(tf32)
            with context():
                error = relative_l2(model(images).float().cpu().numpy(), record["logits"])
                eager = batch / seconds(lambda: model(many), device)
                fast = batch / seconds(lambda: compiled(many), device)
            width = 0.5 if name == "bfloat16" else 1.0
            floor = 1 / max(multiply_adds / rate[name], width * moved / bandwidth)
            print(f"| {name} | {error:.1e} | {eager:,.0f} | {fast:,.0f} | {floor:,.0f} |")
    print("floor: images/s if multiplying at the rate of a 4096³ product, or moving at that of a copy, were all")
    allow_tf32(False)
    print("| what to-torch writes | relative L2 of the outputs | examples/s |")
    print("|---|---|---|")
    for case in CONVERTED:
        print(f"| {case.family}/{case.name} | {' | '.join(converted(case, device, batch))} |")
    return 0


def converted(case: Case, device: str, batch: int) -> tuple[str, str]:
    """The error against the reference on the recorded inputs, and the speed with many copies of them, in float32."""
    with tempfile.TemporaryDirectory() as folder, opened(case, Path(folder)) as port:
        runtime = written_for_torch(port, Path(folder) / "net", device)
        inputs = inputs_of(port, recorded(case).inputs)
        wrong = max(relative_l2(ours, theirs) for ours, theirs in beside_the_reference(port, runtime, inputs))
        many = [np.resize(value, (batch, *value.shape[1:])) for value in inputs.values()]
        return f"{wrong:.1e}", f"{batch / seconds(lambda: runtime.scores(many), device):,.0f}"


if __name__ == "__main__":
    sys.exit(main())
