"""Commands that write what others load: theano-to-tf, to-torch, to-onnx, to-theano."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port.cli.options import FILES, LOGITS, reading_options, writing_options
from ror_port.cli.running import each
from ror_port.errors import MissingExtra, ParityError

if TYPE_CHECKING:
    from ror_port.cli.text import Account
    from ror_port.convert.write import Format, Written
    from ror_port.source.port import Port


@click.command("theano-to-tf")
@FILES
@writing_options("Output file, or a folder for the outputs.")
@click.option(
    "--format",
    type=click.Choice(["keras", "weights", "h5", "savedmodel"]),
    help="keras: .keras (default). weights: Keras 3 .weights.h5. h5: HDF5 for Keras 2 and 3. savedmodel: a folder; "
    "needs TensorFlow.",
)
@click.option(
    "--data-format",
    type=click.Choice(["channels_last", "channels_first"]),
    default="channels_last",
    show_default=True,
    help="Order of the written network's images. TensorFlow on a CPU runs channels_last only.",
)
@LOGITS
@reading_options
def theano_to_tf(
    files: Sequence[Path],
    out: str | None,
    format: str | None,
    data_format: str,
    logits: bool,
    **options: Any,
) -> None:
    """Convert a checkpoint for TensorFlow and Keras."""
    from ror_port.convert import write as convert

    chosen, targets = _plan(files, out, format, convert.TENSORFLOW)

    def write(port: Port, target: Path, **tracking: Any) -> Written:
        first = data_format == "channels_first"
        return convert.to_tensorflow(port, target, chosen.name, channels_first=first, logits=logits, **tracking)

    _convert(targets, write, chosen, **options)


@click.command("to-torch")
@FILES
@writing_options("Output folder (or file, with --format pt); with several inputs, a folder for the outputs.")
@click.option(
    "--format",
    type=click.Choice(["safetensors", "pt"]),
    help="safetensors: a folder with weights, config, the network's definition and a model card (default). pt: a "
    "state dict; needs PyTorch.",
)
@reading_options
def to_torch(files: Sequence[Path], out: str | None, format: str | None, **options: Any) -> None:
    """Convert a checkpoint for PyTorch."""
    from ror_port.convert import write as convert

    chosen, targets = _plan(files, out, format, convert.TORCH)

    def write(port: Port, target: Path, **tracking: Any) -> Written:
        return convert.to_torch(port, target, chosen.name, **tracking)

    _convert(targets, write, chosen, **options)


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
def to_onnx(files: Sequence[Path], out: str | None, dtype: str, fold_bn: bool, logits: bool, **options: Any) -> None:
    """Convert a checkpoint for ONNX Runtime, TensorRT and others."""
    from ror_port.convert import write as convert

    chosen, targets = _plan(files, out, None, convert.ONNX)

    def write(port: Port, target: Path, **tracking: Any) -> Written:
        return convert.to_onnx(port, target, dtype=dtype, fold_bn=fold_bn, logits=logits, **tracking)

    _convert(targets, write, chosen, **options)


@click.command("to-theano")
@FILES
@writing_options("Output file, or a folder for the outputs.")
@reading_options
def to_theano(files: Sequence[Path], out: str | None, **options: Any) -> None:
    """The way back: weights for Keras 1 on Theano, from a checkpoint or from what another command wrote."""
    from ror_port.convert import write as convert

    chosen, targets = _plan(files, out, None, convert.THEANO)
    _convert(targets, convert.to_theano, chosen, **options)


def _plan(
    files: Sequence[Path], out: str | None, name: str | None, formats: Sequence[Format]
) -> tuple[Format, dict[Path, Path]]:
    """The format, and where each output goes; click's usage error where the two, or the outputs, disagree."""
    from ror_port.convert import stage as output
    from ror_port.convert import write as convert

    path = Path(out) if out else None
    named = convert.named_format(out, formats) if out else None
    asked = next((format for format in formats if format.name == name), None)
    chosen = asked or named or formats[0]
    if path and (
        len(files) > 1 or str(out).endswith(os.sep) or (output.is_folder(path) and not output.is_output_folder(path))
    ):
        if convert.named_format(str(out)) and not output.is_folder(path):
            raise click.BadParameter(f"{out} names a file; with several inputs a folder is expected", param_hint="-o")
        targets = {file: path / (convert.stem(file) + chosen.suffix) for file in files}
    elif path:
        if not chosen.folder and named != chosen:
            endings = " or ".join(chosen.endings)
            about = f" for --format {name}" if name else ""
            raise click.BadParameter(f"{out} must end in {endings}{about}", param_hint="-o")
        targets = {files[0]: path}
    else:
        targets = {file: file.parent / (convert.stem(file) + chosen.suffix) for file in files}
    seen: dict[Path, Path] = {}
    for file, target in targets.items():
        if target in seen:
            raise click.BadParameter(f"{seen[target]} and {file} would both become {target}", param_hint="FILE")
        seen[target] = file
    return chosen, targets


def _convert(
    targets: Mapping[Path, Path],
    write: Callable[..., Written],
    format: Format,
    *,
    force: bool,
    dry_run: bool,
    verify: bool,
    certify: bool,
    **reading: Any,
) -> None:
    """Converts every file with `write`; each result is compared with the reference before it takes its place."""
    if certify and not verify:
        raise click.UsageError("--certify and --no-verify exclude each other")

    def one(port: Port) -> Account:
        from ror_port.cli.progress import track
        from ror_port.cli.text import Account
        from ror_port.convert import stage as output

        source = port.checkpoint.path
        target = targets[source]
        output.validate_target(target, source, folder=format.folder, force=force)
        if certify:
            for path in _certificates(target):
                output.validate_target(path, source, folder=False, force=force)
        account = Account(port)
        if dry_run:
            account.planned = str(target)
            return account

        def trial(result: Path) -> None:
            if not verify:
                return
            if port.admitted:
                from ror_port.check import compare as parity

                account.check = parity.Unchecked("its answers mean nothing with the values that were admitted")
            else:
                _check(account, result)

        account.written = write(port, target, trial=trial, progress=track)
        if certify:
            account.certificate = str(_certify(port, target, reading))
        return account

    each(list(targets), one, **reading)


def _certificates(target: Path) -> tuple[Path, Path]:
    """Where the certificate of an output goes, and its page."""
    return tuple(target.with_name(f"{target.name}.certificate{suffix}") for suffix in (".json", ".html"))  # type: ignore[return-value]


def _certify(port: Port, target: Path, says: Mapping[str, Any]) -> Path:
    from ror_port.check import certificate as proof
    from ror_port.cli.progress import busy
    from ror_port.source.provenance import Given

    given = Given(**{field: says[field] for field in Given.__dataclass_fields__})
    path, _ = _certificates(target)
    with busy("looking into every layer"):
        made = proof.prove(port, given, [target], proof.Inputs(), per_layer=True, folder=target.parent)
    proof.write(made, path)
    return path


def _check(account: Account, result: Path) -> None:
    """Compares a result with what Theano would have computed, and puts the outcome into the account."""
    from ror_port.check import compare as parity
    from ror_port.check import runtimes
    from ror_port.cli.progress import busy

    port = account.port
    with busy("comparing with the reference"):
        pictures = parity.images(port.network.input_shape)
        reference = parity.expected(port, pictures)
        try:
            account.check = parity.check(port, runtimes.open_result(result, port), pictures, reference)
        except MissingExtra as error:
            account.check = parity.Unchecked(str(error))
        if any(fact.name == "BatchNorm epsilon" and fact.basis == "assumed" for fact in port.facts):
            account.epsilon = parity.epsilon_effect(port, pictures, reference)
    if isinstance(account.check, parity.Check) and not account.check.passed:
        raise ParityError(
            f"{port.checkpoint.path}: the converted network does not compute what the file does in "
            f"{account.check.runtime} ({account.check.difference}; tolerance {account.check.tolerance:g}); "
            "nothing was written"
        )
