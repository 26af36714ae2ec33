"""The arithmetic of differences between what an artifact computes and what is expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ror_port.check.classification import same_top1
from ror_port.layout import Array


@dataclass(frozen=True)
class Difference:
    """How far an output is from the expected one.

    relative_l2: ‖actual − expected‖ / ‖expected‖. max_abs: the largest absolute difference; worst: its index.
    same_top1: number of images with the same top-1 class, of `images`; None where the output is no scores of classes.
    """

    relative_l2: float
    max_abs: float
    worst: tuple[int, ...]
    same_top1: int | None
    images: int

    def within(self, tolerance: float) -> bool:
        return self.relative_l2 <= tolerance and not self.changed_top1

    @property
    def changed_top1(self) -> int:
        return 0 if self.same_top1 is None else self.images - self.same_top1

    def __str__(self) -> str:
        text = f"relative L2 error {self.relative_l2:.1e}, largest difference {self.max_abs:.1e}"
        if self.same_top1 is not None:
            text += f", same top-1 class on {self.same_top1} of {self.images} images"
        return text


def relative_l2(actual: Array, expected: Array) -> float:
    """‖actual − expected‖ / ‖expected‖, for two arrays of one shape; ‖actual‖ where all expected values are 0."""
    if actual.shape != expected.shape:
        raise ValueError(f"shapes {actual.shape} and {expected.shape} cannot be compared")
    a, e = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    norm, error = float(np.linalg.norm(e)), float(np.linalg.norm(a - e))
    return error / norm if norm else error


def compare(actual: Array, expected: Array, *, classes: bool = True) -> Difference:
    """Compares an output, (batch, …), with the expected one. classes: whether it is scores of classes."""
    error = relative_l2(actual, expected)
    distance = np.abs(np.asarray(actual, np.float64) - expected)
    worst = np.unravel_index(int(distance.argmax()), distance.shape)
    return Difference(
        relative_l2=error,
        max_abs=float(distance.max()),
        worst=tuple(int(i) for i in worst),
        same_top1=same_top1(actual, expected) if classes else None,
        images=len(expected),
    )


def furthest(differences: Sequence[Difference], tolerances: Sequence[float]) -> int:
    """Index of the output that is furthest from what is expected, measured by its tolerance; NaN is furthest of all."""

    def distance(index: int) -> tuple[bool, float]:
        difference, tolerance = differences[index], tolerances[index]
        share = difference.relative_l2 / tolerance if tolerance else np.inf if difference.relative_l2 else 0.0
        return not difference.within(tolerance), np.inf if np.isnan(share) else share

    return max(range(len(differences)), key=distance)
