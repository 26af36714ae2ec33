"""The command line: parse, call, print. The one place where errors become exit codes."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ror_port import __version__
from ror_port.errors import ParityError, RorPortError

if TYPE_CHECKING:  # imported by the commands that need them, so that --help starts in a blink
    from ror_port.convert import Trial, Written
    from ror_port.layout import Array
    from ror_port.parity import Check, Unchecked
    from ror_port.port import Port
    from ror_port.report import Account

EXIT_CODES = """\b
Exit codes: 0 done; 2 wrong usage; 3 unreadable file; 4 not Keras weights, or weights that contradict
themselves; 5 unsafe file; 6 NaN, infinity or negative variance; 7 unknown network; 8 output cannot be written;
9 the result does not compute what the source did; 10 a framework is missing; 1 a defect of ror-port.
With several files, the code of the first that failed."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=f"""\b
Examples:
  ror-port inspect weights.h5                      what is this file, and how do we know
  ror-port theano-to-tf weights.h5                 writes weights.keras; keras.models.load_model opens it
  ror-port theano-to-tf old/*.h5 -o new/           many files, one bad one does not stop the others
  ror-port theano-to-tf weights.h5 --format h5     HDF5 for Keras 2 and 3
  ror-port theano-to-tf weights.h5 --bn-epsilon 1e-5   for a net trained before December 2016
  ror-port to-torch weights.h5 -o net/             a folder for PyTorch: weights, config, definition

{EXIT_CODES}""",
)
@click.version_option(__version__, prog_name="ror-port")
def cli() -> None:
    """Brings Theano-era Keras networks back to life: reads the HDF5 weights of 2016, writes what TensorFlow and
    Keras 3 load as it is, and measures that it computes the same."""


_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False), metavar="FILE..."
)


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value <= 1:  # a NaN passes every comparison of click's
        raise click.BadParameter("a number above 0 and up to 1 is expected")
    return value


def _digest(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (len(value) == 64 and set(value.lower()) <= set("0123456789abcdef")):
        raise click.BadParameter("a sha256 has 64 hexadecimal digits")
    return value


def _reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """What every command that reads a checkpoint takes."""
    for option in (
        click.option("--debug", is_flag=True, help="Show tracebacks."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a file on stdout; text on stderr."),
        click.option(
            "--input-size",
            "size",
            type=click.IntRange(8, 4096),
            metavar="N",
            help="Rows and columns of an image, where the file cannot tell.",
        ),
        click.option(
            "--bn-epsilon",
            "epsilon",
            type=float,
            callback=_finite,
            metavar="EPS",
            help="Epsilon of the BatchNorms where the file does not say; 1e-3 is assumed (Keras 1.2.0 and later).",
        ),
        click.option(
            "--source-keras",
            "keras",
            metavar="VERSION",
            help="The Keras that wrote the file, e.g. 1.0.6: up to 1.0.7 BatchNorm meant something else.",
        ),
        click.option(
            "--source-backend",
            "backend",
            type=click.Choice(["theano", "tensorflow"]),
            help="What trained the weights, where the file misleads.",
        ),
        click.option(
            "--allow-bad-values",
            "bad_values",
            is_flag=True,
            help="Admit NaN, infinities and negative variances; the result is not checked then.",
        ),
        click.option(
            "--expect-sha256",
            "sha256",
            callback=_digest,
            metavar="HEX",
            help="Refuse, before it is interpreted, any file but the one with this sha256.",
        ),
    ):
        command = option(command)
    return command


@cli.command()
@_FILES
@_reading_options
@click.option("--layers", is_flag=True, help="List every tensor with its canonical name.")
def inspect(files: Sequence[Path], layers: bool, **reading: Any) -> None:
    """What is this file, and how do we know?"""

    def one(port: Port) -> Account:
        from ror_port.formats.hdf5 import quote
        from ror_port.report import Account

        account = Account(port)
        if layers:
            account.layers = [
                {"file": quote(port.stored[p.name].name).strip("'"), "name": p.name, "shape": port.stored[p.name].shape}
                for p in port.graph.parameters
            ]
        return account

    _each(files, one, **reading)


def _writing_options(output: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """What every command that writes takes. output: what -o names."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option(
                "--verify/--no-verify",
                default=True,
                help="Compare the result with what Theano would have computed, where the framework is installed.  "
                "[default: verify]",
            ),
            click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing."),
            click.option("--force", is_flag=True, help="Replace an existing output."),
            click.option(
                "-o",
                "--output",
                "out",
                type=click.Path(),  # a text still: a Path forgets a closing slash
                metavar="OUT",
                help=f"{output} Default: beside the input.",
            ),
        ):
            command = option(command)
        return command

    return add


@cli.command("theano-to-tf")
@_FILES
@_writing_options("Output file, or a folder for the outputs.")
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
@click.option("--logits", is_flag=True, help="End the network before the softmax.")
@_reading_options
def theano_to_tf(
    files: Sequence[Path],
    out: str | None,
    format: str | None,
    data_format: str,
    logits: bool,
    **options: Any,
) -> None:
    """Convert a checkpoint for TensorFlow and Keras."""
    from ror_port import convert

    chosen, targets = _plan(files, out, format, "keras", convert.TENSORFLOW_SUFFIXES)
    channels_first = data_format == "channels_first"

    def write(port: Port, target: Path, trial: Trial) -> Written:
        from ror_port.progress import track

        return convert.to_tensorflow(
            port, target, chosen, channels_first=channels_first, logits=logits, trial=trial, progress=track
        )

    def check(port: Port, result: Path, pictures: Array) -> tuple[Check | Unchecked, Array]:
        from ror_port import parity

        return parity.check_tensorflow(
            port, result, chosen, channels_first=channels_first, logits=logits, pictures=pictures
        )

    _convert(targets, write, check, folder=chosen in convert.FOLDERS, **options)


@cli.command("to-torch")
@_FILES
@_writing_options("Output folder (or file, with --format pt); with several inputs, a folder for the outputs.")
@click.option(
    "--format",
    type=click.Choice(["safetensors", "pt"]),
    help="safetensors: a folder with weights, config, the network's definition and a model card (default). pt: a "
    "state dict; needs PyTorch.",
)
@_reading_options
def to_torch(files: Sequence[Path], out: str | None, format: str | None, **options: Any) -> None:
    """Convert a checkpoint for PyTorch."""
    from ror_port import convert

    chosen, targets = _plan(files, out, format, "safetensors", convert.TORCH_SUFFIXES)

    def write(port: Port, target: Path, trial: Trial) -> Written:
        from ror_port.progress import track

        return convert.to_torch(port, target, chosen, trial=trial, progress=track)

    def check(port: Port, result: Path, pictures: Array) -> tuple[Check | Unchecked, Array]:
        from ror_port import parity

        return parity.check_torch(port, result, chosen, pictures=pictures)

    _convert(targets, write, check, folder=chosen in convert.FOLDERS, **options)


@cli.command("list")
def list_networks() -> None:
    """The networks that ror-port knows, with what was published of them."""
    from ror_port.networks.published import table

    click.echo(table())


def _plan(
    files: Sequence[Path], out: str | None, format: str | None, default: str, suffixes: Mapping[str, str]
) -> tuple[str, dict[Path, Path]]:
    """The format, and where each output goes; click's usage error where the two, or the outputs, disagree."""
    from ror_port import convert, output

    path = Path(out) if out else None
    named = convert.named_format(path) if path else None
    chosen = format or (named if named in suffixes else None) or default
    if path and (len(files) > 1 or str(out).endswith(os.sep) or (output.is_folder(path) and not output.is_own(path))):
        if named and not output.is_folder(path):
            raise click.BadParameter(f"{out} names a file; with several inputs a folder is expected", param_hint="-o")
        targets = {file: path / (convert.stem(file) + suffixes[chosen]) for file in files}
    elif path:
        if chosen not in convert.FOLDERS and named != chosen:
            endings = " or ".join(suffix for suffix, asks in convert.SUFFIXES.items() if asks == chosen)
            raise click.BadParameter(f"{out} must end in {endings} for --format {chosen}", param_hint="-o")
        targets = {files[0]: path}
    else:
        targets = {file: file.parent / (convert.stem(file) + suffixes[chosen]) for file in files}
    seen: dict[Path, Path] = {}
    for file, target in targets.items():
        if target in seen:
            raise click.BadParameter(f"{seen[target]} and {file} would both become {target}", param_hint="FILE")
        seen[target] = file
    return chosen, targets


def _convert(
    targets: Mapping[Path, Path],
    write: Callable[[Port, Path, Trial], Written],
    check: Callable[[Port, Path, Array], tuple[Check | Unchecked, Array]],
    *,
    folder: bool,
    force: bool,
    dry_run: bool,
    verify: bool,
    **reading: Any,
) -> None:
    """Converts every file with `write`; `check` compares a result with the reference before it takes its place."""

    def one(port: Port) -> Account:
        from ror_port import output
        from ror_port.report import Account

        source = port.checkpoint.path
        target = targets[source]
        output.check(target, source, folder=folder, force=force)
        account = Account(port)
        if dry_run:
            account.planned = str(target)
            return account

        def trial(result: Path) -> None:
            from ror_port import parity
            from ror_port.progress import busy

            if not verify:
                return
            if port.admitted:
                account.check = parity.Unchecked("its answers mean nothing with the values that were admitted")
                return
            with busy("comparing with the reference"):
                pictures = parity.images(port.network.input_shape)
                account.check, reference = check(port, result, pictures)
                if any(fact.name == "BatchNorm epsilon" and fact.basis == "assumed" for fact in port.facts):
                    account.epsilon = parity.epsilon_effect(port, pictures, reference)
            if isinstance(account.check, parity.Check) and not account.check.passed:
                raise ParityError(
                    f"{source}: the converted network does not compute what the file does in {account.check.runtime} "
                    f"({account.check.difference}; tolerance {account.check.tolerance:g}); nothing was written"
                )

        account.written = write(port, target, trial)
        return account

    _each(list(targets), one, **reading)


def _each(files: Sequence[Path], one: Callable[[Port], Account], *, as_json: bool, debug: bool, **says: Any) -> None:
    """Runs `one` on every file and prints its account; a file that fails does not stop the others."""
    from ror_port.formats.hdf5 import printable
    from ror_port.port import load

    first_failure = 0
    for path in files:
        try:
            with load(path, **says) as port:
                account = one(port)
                text, data = account.as_text(), account.as_json()
        except Exception as error:
            if debug:
                traceback.print_exc()
            known = isinstance(error, RorPortError)
            code = error.exit_code if isinstance(error, RorPortError) else 1
            message = str(error) if known else f"{path}: defect: {type(error).__name__}: {_line(error)}"
            click.echo(f"ror-port: {printable(message)}", err=True)
            if as_json:
                failure = {"file": str(path), "error": type(error).__name__, "message": message, "exit_code": code}
                click.echo(json.dumps(failure))
            first_failure = first_failure or code
        else:
            click.echo(text, err=as_json)
            if as_json:
                click.echo(json.dumps(data))
    if first_failure:
        sys.exit(first_failure)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] + "; --debug shows where"


def main() -> Any:
    """Entry point. A signal to end unwinds the stack, so that half-written output is removed."""
    endings = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

    def end(number: int, _: FrameType | None) -> None:
        for other in endings:
            signal.signal(other, signal.SIG_IGN)  # a second one must not interrupt the removing
        raise SystemExit(128 + number)

    for number in endings:
        signal.signal(number, end)
    return cli()
