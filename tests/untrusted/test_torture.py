"""A short run of scripts/torture: killed, interrupted, raced, short of disk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import torture
from forks import Forks

KILLS, SIGNALS, FULL_DISKS, RACES = 6, 6, 8, 4


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Forks, Forks]]:
    with Forks("torch", "onnx") as one, Forks("torch", "onnx") as other:
        yield one, other


@pytest.mark.parametrize("format", torture.NAMES)
def test_old_or_new_and_nothing_else(format, two, tmp_path) -> None:
    random = np.random.default_rng(8)
    ring = torture.Ring(two[0], tmp_path, format)
    for counts in (
        torture.kills(ring, KILLS, random),
        torture.interrupts(ring, SIGNALS, random),
        torture.full_disks(ring, FULL_DISKS, random),
        torture.races(ring, two[1], RACES, random),
    ):
        assert not any(counts[what] for what in ("broken", "leftovers", "hung", "crashed", "undocumented")), counts
