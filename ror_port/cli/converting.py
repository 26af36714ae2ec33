"""Commands that write what other software loads: theano-to-tf, to-torch, to-onnx, to-theano."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ror_port.cli.options import FILES, FORMATS, LOGITS, Reading, Writing, reading_options, writing_options
from ror_port.cli.running import each, with_port
from ror_port.errors import printable

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.cli.text import Account
    from ror_port.formats.format import Command, Dtype, Format, Settings
    from ror_port.layout import DataFormat
    from ror_port.source.port import Port


@click.command("theano-to-tf")
@FILES
@writing_options("Output file, or a folder for the outputs.")
@click.option(
    "--format",
    type=click.Choice(FORMATS["theano-to-tf"]),
    help="keras: .keras (default). weights: Keras 3 .weights.h5. h5: HDF5 for Keras 2 and 3. savedmodel: a folder; "
    "needs TensorFlow.",
)
@click.option(
    "--data-format",
    type=click.Choice(["channels_last", "channels_first"]),
    default="channels_last",
    show_default=True,
    help="Order of the axes of the written network's images. TensorFlow on a CPU runs channels_last only.",
)
@LOGITS
@reading_options
def theano_to_tf(
    files: Sequence[Path],
    format: str | None,
    data_format: DataFormat,
    logits: bool,
    reading: Reading,
    writing: Writing,
) -> None:
    """Convert a checkpoint for TensorFlow and Keras."""
    from ror_port.formats.format import Settings

    _convert("theano-to-tf", files, format, Settings(data_format, logits), reading, writing)


@click.command("to-torch")
@FILES
@writing_options("Output folder (or file, with --format pt); with several inputs, a folder for the outputs.")
@click.option(
    "--format",
    type=click.Choice(FORMATS["to-torch"]),
    help="safetensors: a folder with weights, config, the network's definition and a model card (default). pt: a "
    "state dict; needs PyTorch.",
)
@reading_options
def to_torch(files: Sequence[Path], format: str | None, reading: Reading, writing: Writing) -> None:
    """Convert a checkpoint for PyTorch."""
    from ror_port.formats.format import Settings

    _convert("to-torch", files, format, Settings(), reading, writing)


@click.command("to-onnx")
@FILES
@writing_options("Output file, or a folder for the outputs.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Precision of the weights. ONNX Runtime convolves in float32; float64 keeps every bit of a float64 file.",
)
@click.option("--fold-bn", is_flag=True, help="Merge BatchNorms into convolutions: faster, but there is no way back.")
@LOGITS
@reading_options
def to_onnx(
    files: Sequence[Path], dtype: Dtype, fold_bn: bool, logits: bool, reading: Reading, writing: Writing
) -> None:
    """Convert a checkpoint for ONNX Runtime, TensorRT and others."""
    from ror_port.formats.format import Settings

    _convert("to-onnx", files, None, Settings(dtype=dtype, fold_bn=fold_bn, logits=logits), reading, writing)


@click.command("to-theano")
@FILES
@writing_options("Output file, or a folder for the outputs.")
@reading_options
def to_theano(files: Sequence[Path], reading: Reading, writing: Writing) -> None:
    """The way back: a file for Keras on Theano, from what another command wrote or from a checkpoint.

    It is the file that the network came in, with the numbers of today: a full model if that was one, of the same
    version of Keras, with the same names. Where no such file is known, weights with the names of Keras 1.
    """
    from ror_port.formats.format import Settings

    _convert("to-theano", files, None, Settings(), reading, writing)


def _plan(
    files: Sequence[Path], out: str | None, name: str | None, command: Command
) -> tuple[Format, dict[Path, Path]]:
    """The format, and where each output goes; click's usage error where the two, or the outputs, disagree."""
    from ror_port.convert import stage as output
    from ror_port.formats.format import by_name, named, of_command

    path, formats = Path(out) if out else None, of_command(command)
    if not out:
        _refuse_forgotten_option(files, command)
    by_ending = named(out, formats) if out else None
    format = by_name(name) if name else by_ending or formats[0]
    if path and (
        len(files) > 1 or str(out).endswith(os.sep) or (output.is_folder(path) and not output.is_output_folder(path))
    ):
        if named(str(path)) and not output.is_folder(path):
            raise click.BadParameter(f"{out} names a file; with several inputs a folder is expected", param_hint="-o")
        targets = {file: format.path_of(file, path) for file in files}
    elif path:
        if not format.folder and by_ending != format:
            if name:
                raise click.BadParameter(
                    f"{out} must end in {_or(format.endings)} for --format {name}", param_hint="-o"
                )
            folders = [f"--format {other.name} writes a folder" for other in formats if other.folder]
            endings = _or([ending for other in formats for ending in other.endings])
            raise click.BadParameter(f"{'; '.join([f'{out} must end in {endings}', *folders])}", param_hint="-o")
        targets = {files[0]: path}
    else:
        targets = {file: format.path_of(file) for file in files}
    sources: dict[Path, Path] = {}
    for file, target in targets.items():
        if target in sources:
            raise click.BadParameter(f"{sources[target]} and {file} would both become {target}", param_hint="FILE")
        sources[target] = file
    return format, targets


def _or(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _refuse_forgotten_option(files: Sequence[Path], command: Command) -> None:
    """Click's usage error where the second of two files does not exist: it is the output as a rule."""
    if len(files) != 2 or not os.path.lexists(files[0]) or os.path.lexists(files[1]):
        return
    first, second = map(printable, files)
    raise click.UsageError(f"no such file: {second}; if it is the output: ror-port {command} {first} -o {second}")


def _convert(
    command: Command, files: Sequence[Path], name: str | None, settings: Settings, reading: Reading, writing: Writing
) -> None:
    """Converts every file, as `ror_port.save` does."""
    format, targets = _plan(files, writing.out, name, command)

    def one(port: Port) -> Account:
        from ror_port import api
        from ror_port.cli.progress import Terminal
        from ror_port.cli.text import Account

        target = targets[port.checkpoint.path]
        if writing.dry_run:
            planned = api.planned(port, target, format=format.name, force=writing.force, certify=writing.certify)
            return Account(port, planned=planned)
        written = api.save(
            port,
            target,
            format=format.name,
            **vars(settings),
            verify=writing.verify,
            force=writing.force,
            certify=writing.certify,
            progress=Terminal(),
        )
        return Account(port, written=written)

    each(list(targets), with_port(one, reading), reading, writing.jobs)
