"""What is assumed of the networks that are checked: one image in, scores of classes out. Nothing else assumes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ror_port.layout import Array
from ror_port.network.graph import Graph, Shape

IMAGES = 8
"""Images that a check runs on: enough for the predictions to differ, few enough for the reference to take seconds."""


class Signature(NamedTuple):
    """What a network takes and gives. image: (height, width, channels). classes: number of scores."""

    image: Shape
    classes: int

    @classmethod
    def of(cls, graph: Graph) -> Signature:
        return cls(graph.input.shape, graph.output.shape[-1])

    def seeded_images(self, count: int = IMAGES, seed: int = 0) -> NDArray[np.float32]:
        return seeded_images(self.image, count, seed)

    def __str__(self) -> str:
        return f"{'×'.join(map(str, self.image))} images, {self.classes} classes"


def seeded_images(shape: Shape, count: int = IMAGES, seed: int = 0) -> NDArray[np.float32]:
    """Seeded inputs in [0, 1], (count, height, width, channels): noise over a slope, different in every channel.

    Nothing in them is symmetric, so that a flip, a transposition or an exchange of channels changes the scores.
    """
    height, width, channels = shape
    random = np.random.default_rng(seed)
    down = np.linspace(-0.5, 0.5, height)[:, None, None]
    across = np.linspace(-0.5, 0.5, width)[None, :, None]
    slopes = random.uniform(-1, 1, (2, count, 1, 1, channels))
    ground, contrast = random.uniform(0, 1, (2, count, 1, 1, channels))
    noise = random.uniform(-0.5, 0.5, (count, height, width, channels))
    images = ground + slopes[0] * down + slopes[1] * across + contrast * noise
    return np.asarray(np.clip(images, 0, 1), np.float32)


def scores_node(graph: Graph, probabilities: bool) -> str:
    """The node whose output is the scores, after the softmax or before it."""
    return graph.output.name if probabilities else graph.logits


def same_top1(scores: Array, others: Array) -> int:
    """On how many images the class with the highest score is the same. Arrays: (batch, classes)."""
    return int((scores.argmax(-1) == others.argmax(-1)).sum())


def are_probabilities(scores: Array) -> bool:
    """Whether scores, (batch, classes), look like the output of a softmax."""
    return bool((scores >= 0).all() and np.allclose(scores.sum(1), 1, atol=1e-4))
