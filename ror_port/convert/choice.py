"""Which format an output has, what it is called and which settings it takes: every use of the table of formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from ror_port.convert import write as writers
from ror_port.convert.write import ONNX, TENSORFLOW, THEANO, TORCH, Format, Output, Parameters, stem
from ror_port.errors import UsageError, quote
from ror_port.source.port import Port

DataFormat = Literal["channels_last", "channels_first"]
Dtype = Literal["float32", "float64"]

COMMANDS = {"theano-to-tf": TENSORFLOW, "to-torch": TORCH, "to-onnx": ONNX, "to-theano": THEANO}
"""Command → its formats, the default first."""

FORMATS: tuple[Format, ...] = tuple(format for formats in COMMANDS.values() for format in formats)

_TAKES = {
    "keras": ("data_format", "logits"),
    "weights": ("data_format", "logits"),
    "h5": ("data_format", "logits"),
    "savedmodel": ("data_format", "logits"),
    "onnx": ("dtype", "fold_bn", "logits"),
}
"""Format → the fields of `Settings` that it takes."""


@dataclass(frozen=True)
class Settings:
    """How a network is written; see `ror_port.save`."""

    data_format: DataFormat = "channels_last"
    logits: bool = False
    dtype: Dtype | None = None
    fold_bn: bool = False

    def __post_init__(self) -> None:
        if self.data_format not in ("channels_last", "channels_first"):
            raise UsageError(f"{quote(str(self.data_format))} is no data format", "data_format")
        if self.dtype not in (None, "float32", "float64"):
            raise UsageError(f"{quote(str(self.dtype))} is neither 'float32' nor 'float64'", "dtype")

    def ensure_taken(self, format: Format) -> None:
        """Raises UsageError where a format does not take a setting that is not the default."""
        for field in fields(self):
            if getattr(self, field.name) != field.default and field.name not in _TAKES.get(format.name, ()):
                takers = [name for name, taken in _TAKES.items() if field.name in taken]
                raise UsageError(f"applies to {', '.join(takers)}, not to {format.name}", field.name)


def by_name(name: str) -> Format:
    for format in FORMATS:
        if format.name == name:
            return format
    raise UsageError(f"{quote(name)} is none of {', '.join(format.name for format in FORMATS)}", "format")


def by_ending(path: Path | str, formats: Iterable[Format] = FORMATS) -> Format | None:
    """The first format whose files may be called so."""
    return next((format for format in formats if format.endings and str(path).endswith(format.endings)), None)


def chosen(path: Path, name: str | None) -> Format:
    """The format of an output: as it is named, else by what the path ends in."""
    if name is not None:
        return by_name(name)
    by_suffix = next((format for format in FORMATS if path.name.endswith(format.suffix)), None)
    found = by_suffix or by_ending(path)
    if found is None:
        endings = dict.fromkeys(ending for format in FORMATS for ending in format.endings)
        raise UsageError(f"{path} ends in none of {', '.join(endings)}; name the format", "format")
    return found


def default_path(source: Path, format: Format, folder: Path | None = None) -> Path:
    """Where an output goes that was given no name: beside its source, or in a folder."""
    return (folder or source.parent) / (stem(source) + format.suffix)


def write(
    port: Port,
    target: Path,
    format: Format,
    settings: Settings,
    *,
    check: Callable[[Path], None] = lambda _: None,
    track: Callable[[Parameters, int], Parameters] = lambda parameters, _: parameters,
) -> Output:
    """Writes a network in a format. check: raises where the finished output must not take its place.

    track: passes the parameters on, given their number.
    """
    settings.ensure_taken(format)
    if format in TENSORFLOW:
        first = settings.data_format == "channels_first"
        return writers.to_tensorflow(
            port, target, format.name, channels_first=first, logits=settings.logits, trial=check, progress=track
        )
    if format in TORCH:
        return writers.to_torch(port, target, format.name, trial=check, progress=track)
    if format in ONNX:
        return writers.to_onnx(
            port,
            target,
            dtype=settings.dtype or "float32",
            logits=settings.logits,
            fold_bn=settings.fold_bn,
            trial=check,
            progress=track,
        )
    return writers.to_theano(port, target, trial=check, progress=track)
