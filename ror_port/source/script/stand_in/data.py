"""Data sets of the right shapes, whose content is nothing, and what scripts prepare data with.

Source: Keras 0.3.3 to 2.2.4, datasets/*.py, preprocessing/*.py, utils/*.py.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ror_port.source.script.stand_in.session import Session

Split = tuple[tuple[Any, Any], tuple[Any, Any]]


def _labelled(train: int, test: int, shape: tuple[int, ...], classes: int, column: bool = False) -> Split:
    def part(count: int) -> tuple[Any, Any]:
        labels = np.arange(count) % classes
        return np.zeros((count, *shape), np.uint8), labels.reshape(-1, 1) if column else labels

    return part(train), part(test)


def _texts(train: int, test: int, classes: int, words: int | None) -> Split:
    def part(count: int) -> tuple[Any, Any]:
        found = np.empty(count, object)
        found[:] = [[1 + number % ((words or 1000) - 1)] * (1 + number % 7) for number in range(count)]
        return found, np.arange(count) % classes

    return part(train), part(test)


def datasets(session: Session) -> dict[str, Callable[..., Split]]:
    """Name of a data set → its load_data."""

    def colours(classes: int) -> Callable[..., Split]:
        def load_data(*args: Any, **kwargs: Any) -> Split:
            session.asked.add("ordering")
            shape = (3, 32, 32) if session.ordering == "th" else (32, 32, 3)
            return _labelled(50000, 10000, shape, classes, column=True)

        return load_data

    def texts(train: int, test: int, classes: int) -> Callable[..., Split]:
        def load_data(*args: Any, nb_words: Any = None, num_words: Any = None, **kwargs: Any) -> Split:
            return _texts(train, test, classes, nb_words or num_words)

        return load_data

    def houses(*args: Any, **kwargs: Any) -> Split:
        return (np.zeros((404, 13)), np.zeros(404)), (np.zeros((102, 13)), np.zeros(102))

    def digits(*args: Any, **kwargs: Any) -> Split:
        return _labelled(60000, 10000, (28, 28), 10)

    return {
        "mnist": digits,
        "fashion_mnist": digits,
        "cifar10": colours(10),
        "cifar100": colours(100),
        "imdb": texts(25000, 25000, 2),
        "reuters": texts(8982, 2246, 46),
        "boston_housing": houses,
    }


def pad_sequences(
    sequences: Sequence[Any], maxlen: int | None = None, dtype: str = "int32", padding: str = "pre",
    truncating: str = "pre", value: float = 0.0,
) -> Any:  # fmt: skip
    """(count, maxlen)"""
    longest = maxlen or max((len(sequence) for sequence in sequences), default=0)
    found = np.full((len(sequences), longest), value, dtype)
    for row, sequence in zip(found, sequences, strict=True):
        kept = list(sequence)[-longest:] if truncating == "pre" else list(sequence)[:longest]
        if kept and padding == "pre":
            row[-len(kept) :] = kept
        elif kept:
            row[: len(kept)] = kept
    return found


def to_categorical(y: Any, nb_classes: int | None = None, num_classes: int | None = None) -> Any:
    """(count, classes)"""
    labels = np.asarray(y, int).ravel()
    classes = nb_classes or num_classes or (int(labels.max()) + 1 if labels.size else 1)
    return np.zeros((labels.size, classes), np.float32)


class Tokenizer:
    """Words by how often they occur, from 1."""

    def __init__(
        self, nb_words: int | None = None, filters: Any = None, lower: bool = True, split: str = " ",
        char_level: bool = False, num_words: int | None = None, **other: Any,
    ) -> None:  # fmt: skip
        self.num_words = self.nb_words = num_words or nb_words
        self.filters = string.punctuation.replace("'", "") + "\t\n" if filters is None else filters
        self.lower, self.split, self.char_level = lower, split, char_level
        self.word_counts: Counter[str] = Counter()
        self.word_index: dict[str, int] = {}

    def _words(self, text: str) -> list[str]:
        text = text.lower() if self.lower else text
        if self.char_level:
            return list(text)
        return [word for word in text.translate({ord(c): self.split for c in self.filters}).split(self.split) if word]

    def fit_on_texts(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.word_counts.update(self._words(text))
        self.word_index = {word: 1 + rank for rank, (word, _) in enumerate(self.word_counts.most_common())}

    def texts_to_sequences(self, texts: Iterable[str]) -> list[list[int]]:
        limit = self.num_words or len(self.word_index) + 1
        return [[self.word_index[w] for w in self._words(text) if self.word_index.get(w, limit) < limit]
                for text in texts]  # fmt: skip

    def texts_to_matrix(self, texts: Sequence[str], mode: str = "binary") -> Any:
        return np.zeros((len(texts), self.num_words or len(self.word_index) + 1))

    def sequences_to_matrix(self, sequences: Sequence[Any], mode: str = "binary") -> Any:
        return np.zeros((len(sequences), self.num_words or len(self.word_index) + 1))


def get_file(fname: str, origin: str = "", *args: Any, **kwargs: Any) -> str:
    """Where the file is: beside the script, or where Keras kept it. Nothing is downloaded."""
    for folder in (Path(), Path.home() / ".keras" / "datasets", Path.home() / ".keras" / "models"):
        if (folder / fname).exists():
            return str(folder / fname)
    return fname
