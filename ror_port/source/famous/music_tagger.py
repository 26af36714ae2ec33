"""MusicTaggerCRNN, which names 50 tags of 29 s of music by its mel-spectrogram. Choi et al., arXiv 1609.04243."""

from __future__ import annotations

from typing import Any

from ror_port.source.famous.parts import Parts

POOLED = ((64, 2), (128, 3), (128, 4), (128, 4))


def music_tagger_crnn(p: Parts, x: Any, classes: int | None) -> Any:
    """x: (batch, 1, 96 mel bands, 1366 frames), or with the channel last."""
    channel, time = (1, 3) if p.first else (3, 2)
    x = p.norm(p.pad(x, (0, 37)), "bn_0_freq", axis=time)
    for number, (filters, size) in enumerate(POOLED, 1):
        x = p.conv(x, filters, 3, padding="same", name=f"conv{number}")
        x = p.layers["ELU"]()(p.norm(x, f"bn{number}", axis=channel))
        x = p.max_pool(x, size, size, name=f"pool{number}")
    if p.first:
        x = p.layers["Permute"]((3, 1, 2))(x)
    x = p.layers["Reshape"]((15, 128))(x)
    x = p.layers["GRU"](32, return_sequences=True, name="gru1")(x)
    x = p.layers["GRU"](32, return_sequences=False, name="gru2")(x)
    return x if classes is None else p.dense(x, classes, "sigmoid", "output")
