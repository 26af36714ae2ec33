"""Prints the README's table of errors: every fixture in every runtime, against what genuine Theano computed."""

# ruff: noqa: T201
from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from genuine import INFERENCE, relative_l2, stored
from ror_port.source.port import load
from runtimes import FLOAT32_ONLY, NEEDS, RUNTIMES, installed


def main() -> None:
    runtimes = [name for name in RUNTIMES if installed(*NEEDS.get(name, ()))]
    print("| Theano's record | in |", " | ".join(runtimes), "|")
    print("|---|---|" + "---|" * len(runtimes))
    with tempfile.TemporaryDirectory() as folder:
        for name in INFERENCE:
            source = stored(name, Path(folder))
            for dtype in ("float32", "float64"):
                record = source.record(dtype)
                errors = []
                with load(source.weights, epsilon=source.epsilon) as port:
                    for runtime in runtimes:
                        if dtype == "float64" and runtime in FLOAT32_ONLY:
                            errors.append("–")
                            continue
                        taps = RUNTIMES[runtime](port, record["images"], dtype, Path(folder))
                        same = (taps["head/dense"].argmax(1) == record["logits"].argmax(1)).all()
                        error = relative_l2(taps["head/dense"], record["logits"])
                        errors.append(f"{error:.1e}{'' if same else ' argmax differs'}")
                    label = f"{port.network.name}, {name.rpartition('_')[2].replace('keras-', 'Keras ')}"
                print(f"| {label} | {dtype} |", " | ".join(errors), "|", flush=True)


if __name__ == "__main__":
    main()
