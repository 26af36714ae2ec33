"""Commands that write what other software loads: theano-to-tf, to-torch, to-onnx, to-theano."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ror_port.cli.options import (
    FORMATS,
    LICENSE,
    LOGITS,
    Files,
    Reading,
    Writing,
    file_arguments,
    reading_options,
    writing_options,
)
from ror_port.cli.running import each, errors_reported, with_port
from ror_port.errors import printable

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.cli.text import Account
    from ror_port.formats.format import Command, Dtype, Format, Settings
    from ror_port.layout import DataFormat
    from ror_port.source.port import Port


@click.command("theano-to-tf")
@file_arguments
@writing_options("Output file, or a folder for the outputs.")
@click.option(
    "--format",
    type=click.Choice(FORMATS["theano-to-tf"]),
    help="keras: .keras (default). weights: Keras 3 .weights.h5. h5: HDF5 for Keras 2 and 3. savedmodel: a folder; "
    "needs TensorFlow. hf: a folder for the Hugging Face hub.",
)
@click.option(
    "--data-format",
    type=click.Choice(["channels_last", "channels_first"]),
    default="channels_last",
    show_default=True,
    help="Order of the axes of the written network's images. TensorFlow on a CPU runs channels_last only.",
)
@LOGITS
@LICENSE
@reading_options
def theano_to_tf(
    files: Files,
    format: str | None,
    data_format: DataFormat,
    logits: bool,
    license: str | None,
    reading: Reading,
    writing: Writing,
) -> None:
    """Convert a checkpoint for TensorFlow and Keras."""
    from ror_port.formats.format import Settings

    settings = Settings(data_format, logits, license=license)
    _convert("theano-to-tf", files, format, settings, reading, writing)


@click.command("to-torch")
@file_arguments
@writing_options("Output folder (or file, with --format pt); with several inputs, a folder for the outputs.")
@click.option(
    "--format",
    type=click.Choice(FORMATS["to-torch"]),
    help="safetensors: a folder with weights, config, the network's definition and a model card (default). pt: a "
    "state dict; needs PyTorch.",
)
@LICENSE
@reading_options
def to_torch(files: Files, format: str | None, license: str | None, reading: Reading, writing: Writing) -> None:
    """Convert a checkpoint for PyTorch."""
    from ror_port.formats.format import Settings

    _convert("to-torch", files, format, Settings(license=license), reading, writing)


@click.command("to-onnx")
@file_arguments
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
def to_onnx(files: Files, dtype: Dtype, fold_bn: bool, logits: bool, reading: Reading, writing: Writing) -> None:
    """Convert a checkpoint for ONNX Runtime, TensorRT and others."""
    from ror_port.formats.format import Settings

    _convert("to-onnx", files, None, Settings(dtype=dtype, fold_bn=fold_bn, logits=logits), reading, writing)


@click.command("to-theano")
@file_arguments
@writing_options("Output file, or a folder for the outputs.")
@reading_options
def to_theano(files: Files, reading: Reading, writing: Writing) -> None:
    """The way back: a file for Keras on Theano, from what another command wrote or from a checkpoint.

    It is the file that the network came in, with the numbers of today: a full model if that was one, of the same
    version of Keras, with the same names. Where no such file is known, weights with the names of Keras 1.
    """
    from ror_port.formats.format import Settings

    _convert("to-theano", files, None, Settings(), reading, writing)


def _plan(files: Sequence[str], out: str | None, name: str | None, command: Command) -> tuple[Format, dict[str, Path]]:
    """The format, and where each output goes; click's usage error where the two, or the outputs, disagree."""
    from ror_port.convert import stage as output
    from ror_port.formats.format import named

    path = Path(out) if out else None
    if not out:
        _refuse_forgotten_option(files, command)
    format, by_ending = _format(name, out, command)
    if path and (
        len(files) > 1 or str(out).endswith(os.sep) or (output.is_folder(path) and not output.is_output_folder(path))
    ):
        if named(str(path)) and not output.is_folder(path):
            raise click.BadParameter(f"{out} names a file; with several inputs a folder is expected", param_hint="-o")
        targets = {file: format.path_of(_path(file), path) for file in files}
    elif path:
        if not format.folder and by_ending != format:
            _refuse_ending(out, name, format, command)
        targets = {files[0]: path}
    else:
        targets = {file: format.path_of(_path(file)) for file in files}
    sources: dict[Path, str] = {}
    for file, target in targets.items():
        if target in sources:
            raise click.BadParameter(f"{sources[target]} and {file} would both become {target}", param_hint="FILE")
        sources[target] = file
    return format, targets


def _path(file: str) -> Path:
    """What a file is called, and beside what its output goes: of an address, here."""
    from ror_port.many import remote

    return Path(remote.place(file).name) if remote.is_address(file) else Path(file)


def _format(name: str | None, out: str | None, command: Command) -> tuple[Format, Format | None]:
    """The format that is asked for by its name, or by the ending of the output; and the one of that ending."""
    from ror_port.formats.format import by_name, named, of_command

    formats = of_command(command)
    by_ending = named(out, formats) if out else None
    return by_name(name) if name else by_ending or formats[0], by_ending


def _refuse_ending(out: str | None, name: str | None, format: Format, command: Command) -> NoReturn:
    from ror_port.formats.format import of_command

    if name:
        raise click.BadParameter(f"{out} must end in {_or(format.endings)} for --format {name}", param_hint="-o")
    formats = of_command(command)
    folders = [f"--format {other.name} writes a folder" for other in formats if other.folder]
    endings = _or([ending for other in formats for ending in other.endings])
    raise click.BadParameter(f"{'; '.join([f'{out} must end in {endings}', *folders])}", param_hint="-o")


def _or(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _refuse_forgotten_option(files: Sequence[str], command: Command) -> None:
    """Click's usage error where the second of two files does not exist: it is the output as a rule."""
    from ror_port.many import remote

    if len(files) != 2 or any(map(remote.is_address, files)):
        return
    if not os.path.lexists(files[0]) or os.path.lexists(files[1]):
        return
    first, second = map(printable, files)
    raise click.UsageError(f"no such file: {second}; if it is the output: ror-port {command} {first} -o {second}")


def _convert(
    command: Command, files: Files, name: str | None, settings: Settings, reading: Reading, writing: Writing
) -> None:
    """Converts every file, as `ror_port.save` does."""
    if files.archive and not (files.one and _names_file(writing.out)):
        _convert_archive(command, files, name, settings, reading, writing)
        return
    format, targets = _plan(files.named, writing.out, name, command)

    def one(file: str, port: Port) -> Account:
        from ror_port import api
        from ror_port.cli.progress import Terminal
        from ror_port.cli.text import Account

        target = targets[file]
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

    each(list(targets), with_port(one, reading), reading, files.jobs)


def _names_file(out: str | None) -> bool:
    """Whether an output is called as a file, and is no folder."""
    from ror_port.convert.stage import is_folder
    from ror_port.formats.format import named

    return out is not None and named(out) is not None and not is_folder(Path(out))


def _convert_archive(
    command: Command, files: Files, name: str | None, settings: Settings, reading: Reading, writing: Writing
) -> None:
    """Converts what is found in folders or listed, as `ror_port.convert_many` does."""
    from ror_port.cli.archive import run
    from ror_port.many.account import Work

    if writing.out is None and not writing.dry_run:
        raise click.UsageError("a folder for the outputs of all files is needed: -o OUT")
    if _names_file(writing.out):
        raise click.BadParameter(f"{writing.out} names a file; a folder is expected", param_hint="-o")
    format, _ = _format(name, None, command)
    with errors_reported(writing.out or "", reading):
        work = Work(format.name, settings, reading.given, writing.verify, writing.certify, writing.dry_run)
        run(files, work, None if writing.dry_run else writing.out, reading, force=writing.force)
