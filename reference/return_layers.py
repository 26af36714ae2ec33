"""Takes every record of fixtures/layers to another format and back, for `check_layers.py`. Needs ror-port.

    python reference/return_layers.py STACK FORMAT FOLDER [FAMILY ...]

FORMAT is one of ror-port's, or "genuine" for the file as Keras saved it. It writes FOLDER/FAMILY/CASE.h5 for each case of the stack that converts, and prints what is refused on the way back.
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conformance import CASES, opened
from genuine_layers import record

from ror_port.convert.write import write
from ror_port.errors import UnknownNetwork
from ror_port.formats.format import BY_NAME
from ror_port.source.port import load


def main(stack: str, format: str, target: str, *families: str) -> None:
    written = refused = 0
    for case in CASES:
        if case.stack != stack or (families and case.family not in families):
            continue
        path = Path(target) / case.family / f"{case.name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        if format == "genuine":
            found = record(case)
            (found.write if found.saves_models else found.write_weights)(path)
            continue
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder) / f"other{BY_NAME[format].suffix}"
            try:
                with opened(case, Path(folder)) as port:
                    write(port, other, BY_NAME[format])
            except UnknownNetwork:
                continue
            try:
                with load(other) as port:
                    write(port, path, BY_NAME["theano"])
                written += 1
            except UnknownNetwork as refusal:
                refused += 1
                print(f"{case}: {str(refusal).removeprefix(f'{other}: ')}")
    print(f"{stack} by {format}: {written} files came back, {refused} were refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
