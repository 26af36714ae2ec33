"""What networks are given in a check, and what is assumed of those that classify. Nothing else assumes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ror_port.errors import UnknownNetwork, UsageError
from ror_port.layout import VARIES, Array, Shape, varies
from ror_port.network.graph import Graph, Node
from ror_port.network.layers import Concatenate, Embedding, Flatten, Masking, Permute, RepeatVector, Reshape, Softmax
from ror_port.network.sizes import fitting
from ror_port.source.port import Port

IMAGES = 8
"""Images that a check runs on: enough for the predictions to differ, few enough for the reference to take seconds."""


class Signature(NamedTuple):
    """The shapes of what a network takes and gives, without the batch, images (height, width, channels)."""

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]

    @classmethod
    def of(cls, port: Port) -> Signature:
        graph = port.channels_last.graph
        return cls(tuple(node.shape for node in graph.inputs), tuple(graph[name].shape for name in graph.outputs))

    @property
    def classifies(self) -> bool:
        """Whether it takes one image and gives a score for each of several classes."""
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            return False
        if len(self.inputs[0]) != 3 or len(self.outputs[0]) != 1:
            return False
        (classes,) = self.outputs[0]
        return classes is not VARIES and classes > 1

    def __str__(self) -> str:
        if self.classifies:
            return f"{_size(self.inputs[0])} images, {self.outputs[0][0]} classes"
        return f"inputs {', '.join(map(_size, self.inputs))}; outputs {', '.join(map(_size, self.outputs))}"


def _size(shape: Shape) -> str:
    return "×".join(map(str, shape))


def image_shape(port: Port) -> Shape:
    """(height, width, channels) of the only input. Raises UsageError where the network takes something else."""
    signature = Signature.of(port)
    if len(signature.inputs) != 1 or len(signature.inputs[0]) != 3:
        raise UsageError(f"{port.checkpoint.path}: files of images are for networks of one image; it has {signature}")
    return signature.inputs[0]


def gives_classes(port: Port, output: str) -> bool:
    """Whether an output is the scores of classes, so that the highest one is a prediction."""
    node = port.graph[output]
    return len(node.shape) == 1 and (port.family is not None or isinstance(node.layer, Softmax))


def seeded_inputs(port: Port, count: int = IMAGES, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Input node → `count` values made from a seed, another for each input: images as of `seeded_images`.

    Of a stateful network there are so many more that its batches are whole. Sizes that vary are such that the network
    takes them; `seeded_of_other_sizes` has others. Raises UnknownNetwork where none are found.
    """
    return next(_seeded_inputs(port, count, seed))


def seeded_of_other_sizes(port: Port, arrays: Sequence[Array], seed: int = 0) -> dict[str, NDArray[np.float32]] | None:
    """As `seeded_inputs`, at most two, with all sizes that vary unlike those of given inputs; None where none vary."""
    shapes = [node.shape for node in port.channels_last.graph.inputs]
    if not any(map(varies, shapes)):
        return None

    def varying(given: Iterable[Array]) -> list[int]:
        pairs = zip(chain(*(x.shape[1:] for x in given)), chain(*shapes), strict=True)
        return [found for found, size in pairs if size is VARIES]

    for inputs in _seeded_inputs(port, min(len(arrays[0]), 2), seed):
        if all(a != b for a, b in zip(varying(arrays), varying(inputs.values()), strict=True)):
            return inputs
    return None


def _seeded_inputs(port: Port, count: int, seed: int) -> Iterator[dict[str, NDArray[np.float32]]]:
    graph, found = port.channels_last.graph, False
    count += -count % (graph.batch or 1)
    for shapes in fitting(graph):
        found = True
        yield {
            node.name: _with_masked_steps(graph, node, _seeded(shape, count, seed + index, _indices(graph, node)))
            for index, (node, shape) in enumerate(zip(graph.inputs, shapes, strict=True))
        }
    if not found:
        raise UnknownNetwork(f"{port.checkpoint.path}: of all sizes that were tried, its layers take none together")


def _with_masked_steps(graph: Graph, node: Node, drawn: NDArray[np.float32]) -> NDArray[np.float32]:
    """With steps that a Masking masks, if one reads them: of one value in front, of the next at the end, or within."""
    for reader in graph.readers[node.name]:
        if isinstance(reader.layer, Masking):
            for number, value in enumerate(drawn):
                steps = len(value)
                value[(0, steps - 1, steps // 2)[number % 3]] = reader.layer.mask_value
    return drawn


def _indices(graph: Graph, node: Node) -> int | None:
    """How many indices an input may be, where they are those of an Embedding."""
    sizes = []
    waiting = list(graph.readers[node.name])
    while waiting:
        reader = waiting.pop()
        if isinstance(reader.layer, Embedding):
            sizes.append(reader.layer.input_dim)
        elif isinstance(reader.layer, Reshape | Flatten | Permute | RepeatVector | Concatenate):
            waiting.extend(graph.readers[reader.name])
    return min(sizes, default=None)


def _seeded(shape: Shape, count: int, seed: int, indices: int | None) -> NDArray[np.float32]:
    """indices: values are whole numbers below it, of which some are 0, at the end of a sequence most of all."""
    if indices is not None:
        random = np.random.default_rng(seed)
        drawn = random.integers(0, indices, (count, *shape))
        ends = np.linspace(shape[-1], shape[-1] / 2, count).round()
        return np.asarray(drawn * (np.arange(shape[-1]) < ends.reshape(-1, *[1] * len(shape))), np.float32)
    if len(shape) == 3:
        return seeded_images(shape, count, seed)
    return np.asarray(np.random.default_rng(seed).uniform(-1, 1, (count, *shape)), np.float32)


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


def ends(graph: Graph, softmax: Sequence[bool] | None = None) -> list[str]:
    """The nodes that give the outputs: of each, behind its softmax, where it has one, or before it; before by default.

    A difference that lies before a softmax may be too small to be seen behind it.
    """
    after = softmax or (False,) * len(graph.outputs)
    return [name if flag else graph.before_softmax(name) for name, flag in zip(graph.outputs, after, strict=True)]


def same_top1(scores: Array, others: Array) -> int:
    """On how many images the class with the highest score is the same. Arrays: (batch, classes)."""
    return int((scores.argmax(-1) == others.argmax(-1)).sum())


def are_probabilities(scores: Array, axis: int = -1) -> bool:
    """Whether scores, by default (batch, classes), look like the output of a softmax along an axis."""
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis), 1, atol=1e-4))
