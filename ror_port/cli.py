"""The command line: parse, call, print. The one place where errors become exit codes."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ror_port import __version__
from ror_port.errors import MissingExtra, ParityError, RorPortError
from ror_port.signals import ENDINGS

if TYPE_CHECKING:  # imported by the commands that need them, so that --help starts in a blink
    from ror_port.convert import Format, Written
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
  ror-port to-onnx weights.h5                      weights.onnx for ONNX Runtime
  ror-port to-theano net/ -o tuned.h5              back to Keras 1 on Theano, from PyTorch, Keras or ONNX
  ror-port evaluate weights.h5 --data cifar-10-batches-bin/   accuracy on labelled images

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
        from ror_port.errors import quote
        from ror_port.report import Account

        account = Account(port)
        if layers:
            account.layers = [
                {"file": quote(port.stored[p.name].name).strip("'"), "name": p.name, "shape": port.stored[p.name].shape}
                for p in port.graph.parameters
            ]
        return account

    _each(files, one, **reading)


_LOGITS = click.option("--logits", is_flag=True, help="End the network before the softmax.")


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
            click.option(
                "--jobs",
                type=click.IntRange(1),
                default=1,
                metavar="N",
                help="Work on N files at once.  [default: 1]",
            ),
            click.option(
                "--certify",
                is_flag=True,
                help="Write a certificate beside the output: NAME.certificate.json and, as a page, .html.",
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
@_LOGITS
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

    chosen, targets = _plan(files, out, format, convert.TENSORFLOW)

    def write(port: Port, target: Path, **tracking: Any) -> Written:
        first = data_format == "channels_first"
        return convert.to_tensorflow(port, target, chosen.name, channels_first=first, logits=logits, **tracking)

    _convert(targets, write, chosen, **options)


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

    chosen, targets = _plan(files, out, format, convert.TORCH)

    def write(port: Port, target: Path, **tracking: Any) -> Written:
        return convert.to_torch(port, target, chosen.name, **tracking)

    _convert(targets, write, chosen, **options)


@cli.command("to-onnx")
@_FILES
@_writing_options("Output file, or a folder for the outputs.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Precision of the weights. ONNX Runtime convolves in float32; float64 keeps every bit of a float64 file.",
)
@click.option("--fold-bn", is_flag=True, help="Merge BatchNorms into convolutions: faster, but there is no way back.")
@_LOGITS
@_reading_options
def to_onnx(files: Sequence[Path], out: str | None, dtype: str, fold_bn: bool, logits: bool, **options: Any) -> None:
    """Convert a checkpoint for ONNX Runtime, TensorRT and others."""
    from ror_port import convert

    chosen, targets = _plan(files, out, None, convert.ONNX)

    def write(port: Port, target: Path, **tracking: Any) -> Written:
        return convert.to_onnx(port, target, dtype=dtype, fold_bn=fold_bn, logits=logits, **tracking)

    _convert(targets, write, chosen, **options)


@cli.command("to-theano")
@_FILES
@_writing_options("Output file, or a folder for the outputs.")
@_reading_options
def to_theano(files: Sequence[Path], out: str | None, **options: Any) -> None:
    """The way back: weights for Keras 1 on Theano, from a checkpoint or from what another command wrote."""
    from ror_port import convert

    chosen, targets = _plan(files, out, None, convert.THEANO)
    _convert(targets, convert.to_theano, chosen, **options)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, readable=False),
    help="CIFAR-10 (folder or batch, binary or Python version), an .npz with x and y, or a folder of class folders.",
)
@click.option(
    "--runtime",
    type=click.Choice(["numpy", "tensorflow", "torch", "onnx"]),
    help="What computes. Default: the file's own framework; for Theano's files numpy, the reference, which is slow.",
)
@click.option(
    "--split", type=click.Choice(["test", "train"]), default="test", show_default=True, help="Of a CIFAR-10 folder."
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="What pixels are divided by. Default: 255, as when the published weights were trained; 1 for an .npz of "
    "floating-point images.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images.")
@click.option("--try-conventions", is_flag=True, help="Also the accuracy if the file meant something else.")
@_reading_options
def evaluate(
    file: Path,
    data: Path,
    runtime: str | None,
    split: str,
    scale: float | None,
    limit: int | None,
    try_conventions: bool,
    as_json: bool,
    debug: bool,
    **says: Any,
) -> None:
    """Accuracy of a checkpoint, or of what was made of one, on labelled images."""

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port import datasets, runtimes
        from ror_port import evaluate as evaluation
        from ror_port.progress import track
        from ror_port.provenance import Given
        from ror_port.report import evaluation_text

        given = Given(**says)
        network = runtimes.choose(file, runtime, given)
        shown = datasets.open_dataset(data, network.input_shape, network.classes, split=split, scale=scale, limit=limit)
        found = evaluation.evaluate(network, shown, lambda batches, count: track(batches, count, "evaluating"))
        hypotheses = list(evaluation.try_conventions(file, given, shown, runtime or "numpy")) if try_conventions else []
        account = {"file": str(file), **found.as_json()}
        if hypotheses:
            account["hypotheses"] = [asdict(hypothesis) for hypothesis in hypotheses]
        return evaluation_text(file, found, hypotheses), account, 0

    if code := _one(file, run, as_json=as_json, debug=debug):
        sys.exit(code)


def _input_options(command: Callable[..., None]) -> Callable[..., None]:
    """What the networks are shown."""
    for option in (
        click.option(
            "--expected",
            type=click.Path(path_type=Path, readable=False),
            metavar="Y.npy",
            help="Outputs that Theano recorded for --inputs, logits or probabilities: the reference is held to them.",
        ),
        click.option(
            "--inputs",
            type=click.Path(path_type=Path, readable=False),
            metavar="X.npy",
            help="Images to compare on, scaled as in training.  [default: seeded pictures]",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the pictures."),
        click.option(
            "--count", type=click.IntRange(1, 10_000), default=8, show_default=True, help="How many pictures."
        ),
    ):
        command = option(command)
    return command


@cli.command()
@click.argument("source", type=click.Path(path_type=Path, readable=False), required=False)
@click.argument("artifacts", nargs=-1, type=click.Path(path_type=Path, readable=False), metavar="ARTIFACT...")
@click.option("--per-layer", is_flag=True, help="Compare every layer, in the end and by itself.")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    metavar="CERT.json",
    help="Write the certificate there, and beside it the same as a page (.html).",
)
@click.option("--force", is_flag=True, help="Replace an existing certificate.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, readable=False),
    metavar="CERT.json",
    help="Check a certificate again: the files' hashes, then the figures.",
)
@_input_options
@_reading_options
def verify(
    source: Path | None,
    artifacts: tuple[Path, ...],
    per_layer: bool,
    out: Path | None,
    force: bool,
    certificate: Path | None,
    inputs: Path | None,
    expected: Path | None,
    seed: int,
    count: int,
    as_json: bool,
    debug: bool,
    **says: Any,
) -> None:
    """Compare artifacts with what Theano would have computed from SOURCE, each in its own framework."""
    from ror_port.provenance import Given

    if certificate is None and (source is None or not artifacts):
        raise click.UsageError("SOURCE and at least one ARTIFACT are expected, or --certificate")
    if certificate is not None and (source is not None or out is not None):
        raise click.UsageError("--certificate names its files itself")
    if expected is not None and inputs is None:
        raise click.UsageError("--expected needs the --inputs that it belongs to")

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port import certificate as proof
        from ror_port.port import load
        from ror_port.report import recheck_text, verification_text

        if certificate is not None:
            again = proof.recheck(certificate)
            return recheck_text(certificate, again), again.as_json(), again.exit_code
        assert source is not None
        if out is not None:
            proof.check_outputs(out, [source, *artifacts], force=force)
        given, folder = Given(**says), out.parent if out else Path()
        with load(source, given) as port:
            asked = proof.Inputs(inputs, expected, seed, count)
            made = proof.prove(port, given, artifacts, asked, per_layer=per_layer, folder=folder)
        if out is not None:
            proof.write(made, out)
        return verification_text(source, made, out), made, proof.exit_code(made)

    if code := _one(source or certificate or Path(), run, as_json=as_json, debug=debug):
        sys.exit(code)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path, readable=False))
@click.argument("artifact", type=click.Path(path_type=Path, readable=False), required=False)
@click.option(
    "--images",
    type=click.Path(path_type=Path, readable=False),
    help="Unlabelled images of the kind the network was trained on (.npy, or as for evaluate): their statistics tell "
    "which convolution the file was trained with.",
)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), metavar="X", help="As for evaluate; of --images.")
@_input_options
@_reading_options
def diagnose(
    source: Path,
    artifact: Path | None,
    images: Path | None,
    scale: float | None,
    inputs: Path | None,
    expected: Path | None,
    seed: int,
    count: int,
    as_json: bool,
    debug: bool,
    **says: Any,
) -> None:
    """Which known mistake explains a difference; and, from images, how a file was trained."""
    from ror_port.provenance import Given

    if artifact is None and images is None and expected is None:
        raise click.UsageError("an ARTIFACT, --images, or --inputs and --expected are expected")
    if expected is not None and inputs is None:
        raise click.UsageError("--expected needs the --inputs that it belongs to")

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port import certificate as proof
        from ror_port.datasets import open_images
        from ror_port.diagnose import training
        from ror_port.port import load
        from ror_port.report import training_text, verification_text

        texts: list[str] = []
        account: dict[str, Any] = {}
        code, given = 0, Given(**says)
        with load(source, given) as port:
            if images is not None:
                found = training(port, open_images(images, port.network.input_shape, scale))
                texts.append(training_text(source, found))
                account["training"] = found.as_json()
            if artifact is not None or expected is not None:
                asked = proof.Inputs(inputs, expected, seed, count)
                artifacts = [artifact] if artifact else []
                made = proof.prove(port, given, artifacts, asked, per_layer=True, folder=Path())
                texts.append(verification_text(source, made, None))
                account |= made
                code = proof.exit_code(made)
        return "\n\n".join(texts), account, code

    if code := _one(source, run, as_json=as_json, debug=debug):
        sys.exit(code)


@cli.command("list")
def list_networks() -> None:
    """The networks that ror-port knows, with what was published of them."""
    from ror_port.networks.published import table

    click.echo(table())


def _plan(
    files: Sequence[Path], out: str | None, name: str | None, formats: Sequence[Format]
) -> tuple[Format, dict[Path, Path]]:
    """The format, and where each output goes; click's usage error where the two, or the outputs, disagree."""
    from ror_port import convert, output

    path = Path(out) if out else None
    named = convert.named_format(out, formats) if out else None
    asked = next((format for format in formats if format.name == name), None)
    chosen = asked or named or formats[0]
    if path and (len(files) > 1 or str(out).endswith(os.sep) or (output.is_folder(path) and not output.is_own(path))):
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
        from ror_port import output
        from ror_port.progress import track
        from ror_port.report import Account

        source = port.checkpoint.path
        target = targets[source]
        output.check(target, source, folder=format.folder, force=force)
        if certify:
            for path in _certificates(target):
                output.check(path, source, folder=False, force=force)
        account = Account(port)
        if dry_run:
            account.planned = str(target)
            return account

        def trial(result: Path) -> None:
            if not verify:
                return
            if port.admitted:
                from ror_port import parity

                account.check = parity.Unchecked("its answers mean nothing with the values that were admitted")
            else:
                _check(account, result)

        account.written = write(port, target, trial=trial, progress=track)
        if certify:
            account.certificate = str(_certify(port, target, reading))
        return account

    _each(list(targets), one, **reading)


def _certificates(target: Path) -> tuple[Path, Path]:
    """Where the certificate of an output goes, and its page."""
    return tuple(target.with_name(f"{target.name}.certificate{suffix}") for suffix in (".json", ".html"))  # type: ignore[return-value]


def _certify(port: Port, target: Path, says: Mapping[str, Any]) -> Path:
    from ror_port import certificate as proof
    from ror_port.progress import busy
    from ror_port.provenance import Given

    given = Given(**{field: says[field] for field in Given.__dataclass_fields__})
    path, _ = _certificates(target)
    with busy("looking into every layer"):
        made = proof.prove(port, given, [target], proof.Inputs(), per_layer=True, folder=target.parent)
    proof.write(made, path)
    return path


def _check(account: Account, result: Path) -> None:
    """Compares a result with what Theano would have computed, and puts the outcome into the account."""
    from ror_port import parity, runtimes
    from ror_port.progress import busy

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


def _each(
    files: Sequence[Path], one: Callable[[Port], Account], *, as_json: bool, debug: bool, jobs: int = 1, **says: Any
) -> None:
    """Runs `one` on every file and prints its account; a file that fails does not stop the others."""
    if jobs > 1 and len(files) > 1:
        codes = list(_in_workers(files, jobs, as_json=as_json))
    else:
        codes = [_attempt(path, one, as_json=as_json, debug=debug, **says) for path in files]
    if len(files) > 1:
        failed = sum(map(bool, codes))
        click.echo(f"{len(files)} files: {len(files) - failed} done, {failed} failed", err=as_json)
    sys.exit(next(filter(None, codes), 0))


def _attempt(path: Path, one: Callable[[Port], Account], *, as_json: bool, debug: bool, **says: Any) -> int:
    """Runs `one` on a file, prints its account or what went wrong, and gives the exit code."""
    from ror_port.port import load

    def run() -> tuple[str, Mapping[str, Any], int]:
        with load(path, **says) as port:
            account = one(port)
            return account.as_text(), account.as_json(), 0

    return _one(path, run, as_json=as_json, debug=debug)


def _fail(path: Path, kind: str, message: str, code: int, *, as_json: bool) -> None:
    from ror_port.errors import printable

    click.echo(f"ror-port: {printable(message)}", err=True)
    if as_json:
        click.echo(json.dumps({"file": str(path), "error": kind, "message": message, "exit_code": code}))


def _in_workers(files: Sequence[Path], jobs: int, *, as_json: bool) -> Iterator[int]:
    """Runs the command that is being run once for each file, in other processes; prints what they say."""
    from ror_port.jobs import run

    context = click.get_current_context()
    options = context.params | {"jobs": 1}
    if options.get("out"):
        options["out"] += os.sep  # several files: a folder
    outcomes = run(str(context.info_name), [options | {"files": (file,)} for file in files], jobs)
    for file, outcome in zip(files, outcomes, strict=True):
        click.echo(outcome.out, nl=False)
        click.echo(outcome.err, nl=False, err=True)
        if outcome.code is None:
            lost = f"{file}: not done, because a worker process was killed (for want of memory, perhaps)"
            _fail(file, "Killed", lost, 1, as_json=as_json)
        yield 1 if outcome.code is None else outcome.code


def _one(path: Path, run: Callable[[], tuple[str, Mapping[str, Any], int]], *, as_json: bool, debug: bool) -> int:
    """Prints what `run` says of a file, as text and as JSON, or its failure in one line; returns the exit code."""
    try:
        text, data, code = run()
    except Exception as error:
        if debug:
            traceback.print_exc()
        known = isinstance(error, RorPortError)
        code = error.exit_code if isinstance(error, RorPortError) else 1
        message = str(error) if known else f"{path}: defect: {type(error).__name__}: {_line(error)}"
        _fail(path, type(error).__name__, message, code, as_json=as_json)
        return code
    click.echo(text, err=as_json)
    if as_json:
        click.echo(json.dumps(data))
    return code


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] + "; --debug shows where"


def main() -> Any:
    """Entry point. A signal to end unwinds the stack, so that half-written output is removed."""

    def end(number: int, _: FrameType | None) -> None:
        for other in ENDINGS:
            signal.signal(other, signal.SIG_IGN)  # a second one must not interrupt the removing
        raise SystemExit(128 + number)

    gc.set_threshold(100_000)  # what is imported stays, and is not to be looked through every 700 objects
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")  # else NumPy's idle threads spin for 0.1 s when it starts
    for number in ENDINGS:
        signal.signal(number, end)
    return cli()
