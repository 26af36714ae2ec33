"""A short run of scripts/fuzz."""

from __future__ import annotations

from collections import Counter

import numpy as np

import fuzz

MUTATIONS = 560


def test_damaged_descriptions_are_refused_or_harmless(tmp_path) -> None:
    counts: Counter[str] = Counter()
    for name, found, done, _ in fuzz.campaign(MUTATIONS, fuzz.SEED, tmp_path):
        assert found not in fuzz.DEFECTS, (name, found, done)
        counts[found] += 1
    assert counts["silent"] <= MUTATIONS / 1_000
    assert counts["refused"] > MUTATIONS / 2
    assert counts["harmless"] > MUTATIONS / 20


def test_mutations_change_no_tensor(tmp_path) -> None:
    random = np.random.default_rng(0)
    for target in fuzz.targets(tmp_path):
        old = np.frombuffer(target.content, np.uint8)
        for _ in range(50):
            new = np.frombuffer(target.mutated(random), np.uint8)
            assert new.shape == old.shape
            assert np.isin(np.flatnonzero(new != old), target.offsets).all()
        assert 0 < target.offsets.size < old.size / 2
