"""The command line: parse, call, print. The one place where errors become exit codes."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ror_port import __version__
from ror_port.errors import OutputError, ParityError, RorPortError

if TYPE_CHECKING:  # imported by the commands that need them, so that --help starts in a blink
    from ror_port.convert import Written
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


_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")


def _reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """What every command that reads a checkpoint takes."""
    for option in (
        click.option("--debug", is_flag=True, help="Show tracebacks."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a file on stdout; text on stderr."),
        click.option(
            "--bn-epsilon",
            type=click.FloatRange(0, 1, min_open=True),
            metavar="EPS",
            help="Epsilon of the BatchNorms where the file does not say; 1e-3 is assumed (Keras 1.2.0 and later).",
        ),
        click.option(
            "--source-backend",
            type=click.Choice(["theano", "tensorflow"]),
            help="What trained the weights, where the file misleads.",
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
        from ror_port.report import Account

        account = Account(port)
        if layers:
            account.layers = [
                {"file": port.stored[p.name].name, "name": p.name, "shape": port.stored[p.name].shape}
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
                type=click.Path(path_type=Path),
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
    out: Path | None,
    format: str | None,
    data_format: str,
    logits: bool,
    **options: Any,
) -> None:
    """Convert a checkpoint for TensorFlow and Keras."""
    from ror_port import convert

    inferred = convert.tensorflow_format(out) if out and not _is_folder(out, files) else None
    chosen = format or inferred or "keras"
    channels_first = data_format == "channels_first"

    def write(port: Port, target: Path) -> Written:
        from ror_port.progress import track

        return convert.to_tensorflow(port, target, chosen, channels_first=channels_first, logits=logits, progress=track)

    def check(port: Port, target: Path, pictures: Array) -> tuple[Check | Unchecked, Array]:
        from ror_port import parity

        return parity.check_tensorflow(
            port, target, chosen, channels_first=channels_first, logits=logits, pictures=pictures
        )

    suffix = convert.TENSORFLOW_SUFFIXES[chosen]
    _convert(files, out, suffix, write, check, **options)


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
def to_torch(files: Sequence[Path], out: Path | None, format: str | None, **options: Any) -> None:
    """Convert a checkpoint for PyTorch."""
    from ror_port import convert

    chosen = format or ("pt" if out and out.suffix in (".pt", ".pth") else "safetensors")

    def write(port: Port, target: Path) -> Written:
        from ror_port.progress import track

        return convert.to_torch(port, target, chosen, progress=track)

    def check(port: Port, target: Path, pictures: Array) -> tuple[Check | Unchecked, Array]:
        from ror_port import parity

        return parity.check_torch(port, target, chosen, pictures=pictures)

    _convert(files, out, convert.TORCH_SUFFIXES[chosen], write, check, **options)


def _convert(
    files: Sequence[Path],
    out: Path | None,
    suffix: str,
    write: Callable[[Port, Path], Written],
    check: Callable[[Port, Path, Array], tuple[Check | Unchecked, Array]],
    *,
    force: bool,
    dry_run: bool,
    verify: bool,
    **reading: Any,
) -> None:
    """Converts every file with `write`, and compares each result with the reference through `check`."""

    def one(port: Port) -> Account:
        from ror_port import convert, output
        from ror_port.report import Account

        source = port.checkpoint.path
        target = _target(source, out, convert.stem(source) + suffix, files)
        output.check(target, source, force=force)
        account = Account(port)
        if dry_run:
            account.planned = str(target)
            return account
        account.written = write(port, target)
        if verify:
            from ror_port import parity

            pictures = parity.images(port.network.input_shape)
            account.check, reference = check(port, target, pictures)
            if any(fact.name == "BatchNorm epsilon" and fact.basis == "assumed" for fact in port.facts):
                account.epsilon = parity.epsilon_effect(port, pictures, reference)
        return account

    _each(files, one, **reading)


def _is_folder(out: Path, files: Sequence[Path]) -> bool:
    """Whether OUT is where outputs go, rather than the name of the one output."""
    return len(files) > 1 or (out.is_dir() and not (out / "config.json").exists())


def _target(source: Path, out: Path | None, default_name: str, files: Sequence[Path]) -> Path:
    if out is None:
        return source.parent / default_name
    if not _is_folder(out, files):
        return out
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be the folder for several outputs ({error.strerror})") from None
    return out / default_name


def _each(
    files: Sequence[Path],
    one: Callable[[Port], Account],
    *,
    as_json: bool,
    debug: bool,
    source_backend: str | None,
    bn_epsilon: float | None,
) -> None:
    """Runs `one` on every file and prints its account; a file that fails does not stop the others."""
    from ror_port.port import load

    first_failure = 0
    for path in files:
        try:
            with load(path, source_backend=source_backend, bn_epsilon=bn_epsilon) as port:
                account = one(port)
                click.echo(account.as_text(), err=as_json)
                if as_json:
                    click.echo(json.dumps(account.as_json()))
                _raise_on_failed_check(account)
        except RorPortError as error:
            if debug:
                raise
            code = error.exit_code
            click.echo(f"ror-port: {error}", err=True)
            if as_json:
                failure = {"file": str(path), "error": type(error).__name__, "message": str(error), "exit_code": code}
                click.echo(json.dumps(failure))
            first_failure = first_failure or code
    if first_failure:
        sys.exit(first_failure)


def _raise_on_failed_check(account: Account) -> None:
    from ror_port.parity import Check

    if isinstance(account.check, Check) and not account.check.passed and account.written:
        raise ParityError(
            f"{account.written.path}: does not compute what {account.port.checkpoint.path} did "
            f"({account.check.difference}); the output was kept for inspection"
        )


def main() -> Any:
    """Entry point. SIGTERM unwinds like an interrupt, so that half-written output is removed."""

    def terminate(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, terminate)
    try:
        return cli()
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        summary = " ".join(str(error).split())[:300]
        click.echo(f"ror-port: defect: {type(error).__name__}: {summary}; --debug shows where", err=True)
        sys.exit(1)
