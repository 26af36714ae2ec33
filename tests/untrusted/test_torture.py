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
def test_the_output_is_the_old_one_or_the_new_one(format, two, tmp_path) -> None:
    random = np.random.default_rng(8)
    conversions = torture.Conversions(two[0], tmp_path, format)
    kills = torture.kills(conversions, KILLS, random)
    interrupts = torture.interrupts(conversions, SIGNALS, random)
    full_disks = torture.full_disks(conversions, FULL_DISKS, random)
    races = torture.races(conversions, two[1], RACES, random)
    for counts in (kills, interrupts, full_disks, races):
        assert not any(counts[what] for what in torture.DEFECTS), counts
    assert kills["killed"] == KILLS
    assert interrupts["interrupted"] == SIGNALS
    assert full_disks["refused"] == FULL_DISKS
    assert races["both wrote"] + races["one wrote"] == RACES
