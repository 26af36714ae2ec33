"""The arithmetic of differences between what an artifact computes and what is expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ror_port.check.classification import same_top1
from ror_port.layout import Array


@dataclass(frozen=True)
class Difference:
    """How far scores are from the expected ones.

    relative_l2: ‖actual − expected‖ / ‖expected‖. max_abs: the largest absolute difference; worst: its index.
    same_top1: number of images with the same top-1 class, of `images`.
    """

    relative_l2: float
    max_abs: float
    worst: tuple[int, ...]
    same_top1: int
    images: int

    def within(self, tolerance: float) -> bool:
        return self.relative_l2 <= tolerance and self.same_top1 == self.images

    @property
    def changed_top1(self) -> int:
        return self.images - self.same_top1

    def __str__(self) -> str:
        return (
            f"relative L2 error {self.relative_l2:.1e}, largest difference {self.max_abs:.1e}, same top-1 class on "
            f"{self.same_top1} of {self.images} images"
        )


def relative_l2(actual: Array, expected: Array) -> float:
    """‖actual − expected‖ / ‖expected‖, for two arrays of one shape; ‖actual‖ where all expected values are 0."""
    if actual.shape != expected.shape:
        raise ValueError(f"shapes {actual.shape} and {expected.shape} cannot be compared")
    a, e = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    norm, error = float(np.linalg.norm(e)), float(np.linalg.norm(a - e))
    return error / norm if norm else error


def compare(actual: Array, expected: Array) -> Difference:
    """Compares scores, (batch, classes), with the expected ones."""
    error = relative_l2(actual, expected)
    distance = np.abs(np.asarray(actual, np.float64) - expected)
    worst = np.unravel_index(int(distance.argmax()), distance.shape)
    return Difference(
        relative_l2=error,
        max_abs=float(distance.max()),
        worst=tuple(int(i) for i in worst),
        same_top1=same_top1(actual, expected),
        images=len(expected),
    )
