"""Options that several commands take, gathered into one value for each command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.source.provenance import Given

PATH = click.Path(path_type=Path, readable=False)
"""Of something to be read. Whether it can be is found out in reading: click's own check would be one more message."""

LOGITS = click.option("--logits", is_flag=True, help="End the network before the softmax.")


def _license(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name is None:  # what is imported here takes long
        return None
    from ror_port.errors import UsageError
    from ror_port.formats.format import ensure_license

    try:
        ensure_license(name)
    except UsageError as error:
        raise click.BadParameter(error.message) from None
    return name


LICENSE = click.option(
    "--license",
    metavar="ID",
    callback=_license,
    help="Licence of the weights for the model card, such as mit; the file does not state one.  [default: none]",
)

FORMATS = {
    "theano-to-tf": ("keras", "weights", "h5", "savedmodel", "hf"),
    "to-torch": ("safetensors", "pt"),
    "to-onnx": ("onnx",),
    "to-theano": ("theano",),
}
"""Command → names of its formats, the default first, as in `ror_port.formats.format`, which --help does not import."""


@dataclass(frozen=True)
class Reading:
    """How a command reads checkpoints and prints. given: what the user states about the file."""

    given: Given
    as_json: bool
    debug: bool


@dataclass(frozen=True)
class Writing:
    """How a command writes. out: what -o names, as it was typed."""

    out: str | None
    force: bool
    dry_run: bool
    verify: bool
    certify: bool


@dataclass(frozen=True)
class Files:
    """Which files a command is given. named: files, folders and addresses. listed: a file that lists more.

    skip_done: leave what the ledger has as it is. jobs: how many are worked on at once.
    """

    named: tuple[str, ...]
    listed: str | None
    skip_done: bool
    jobs: int

    @property
    def archive(self) -> bool:
        """Whether there may be any number of them, which a ledger accounts for."""
        from ror_port.many.sources import is_tree

        return self.listed is not None or self.skip_done or any(map(is_tree, self.named))

    @property
    def one(self) -> bool:
        """Whether they are one file or folder by name."""
        return len(self.named) == 1 and self.listed is None and not self.skip_done


Command = Callable[..., None]


def file_arguments(command: Command) -> Command:
    """The files of a command that takes any number of them; the command gets them as `files`."""

    @wraps(command)
    def with_files(*, named: tuple[str, ...], listed: str | None, skip_done: bool, jobs: int, **others: Any) -> None:
        if not named and listed is None:
            raise click.MissingParameter(param_hint="'FILE...'", param_type="argument")
        command(files=Files(named, listed, skip_done, jobs), **others)

    return _with(
        with_files,
        click.option(
            "--jobs",
            type=click.IntRange(1),
            default=1,
            metavar="N",
            help="Work on N files at once.  [default: 1]",
        ),
        click.option(
            "--skip-done",
            is_flag=True,
            help="Go on with the ledger in OUT: what is done, with the same content and options, is left as it is.",
        ),
        click.option(
            "--files-from",
            "listed",
            type=click.Path(),
            metavar="FILE|-",
            help="Take the files that FILE, or standard input, lists, one a line. Outputs go to OUT/ and that path.",
        ),
        click.argument("named", nargs=-1, metavar="FILE..."),
    )


def reading_options(command: Command) -> Command:
    """What every command that reads a checkpoint takes; the command gets it as `reading`."""

    @wraps(command)
    def with_reading(
        *,
        backend: str | None,
        keras: str | None,
        epsilon: float | None,
        size: int | None,
        sha256: str | None,
        bad_values: bool,
        architecture: Path | None,
        ordering: str | None,
        model: str | None,
        lambdas: tuple[str, ...],
        as_json: bool,
        debug: bool,
        **others: Any,
    ) -> None:
        from ror_port.errors import UsageError
        from ror_port.source.provenance import Given

        try:
            given = Given(
                backend,
                keras,
                epsilon,
                size,
                sha256,
                bad_values,
                architecture,
                ordering,
                model,
                _named(lambdas) or None,
            )
        except UsageError as error:
            raise click.UsageError(error.for_command()) from None
        command(reading=Reading(given, as_json, debug), **others)

    return _with(
        with_reading,
        click.option("--debug", is_flag=True, help="Show tracebacks."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a file on stdout; text on stderr."),
        click.option(
            "--input-size",
            "size",
            type=int,
            metavar="N",
            help="Height and width of an image in pixels, 8 to 4096, where the file does not determine them.",
        ),
        click.option(
            "--bn-epsilon",
            "epsilon",
            type=float,
            metavar="EPS",
            help="Epsilon of the BatchNorms where the file records none; 1e-3 (Keras 1.2.0 and later) is assumed.",
        ),
        click.option(
            "--source-keras",
            "keras",
            metavar="VERSION",
            help="The Keras that wrote the file, e.g. 1.0.6 or 1.2: up to 1.0.7 BatchNorm divided by something else.",
        ),
        click.option(
            "--source-backend",
            "backend",
            type=click.Choice(["theano", "tensorflow"]),
            help="What trained the weights, where the file misleads.",
        ),
        click.option(
            "--source-ordering",
            "ordering",
            type=click.Choice(["th", "tf"]),
            help="Channels first (th) or last (tf), of layers for which the file states none.",
        ),
        click.option(
            "--architecture",
            type=PATH,
            metavar="FILE",
            help="The model as JSON or YAML, for weights that come without.  [default: the one beside them that fits]",
        ),
        click.option(
            "--model",
            metavar="SCRIPT.py[:NAME]",
            help="The Python script that the weights came with. It is your own code and is run, in a process of its "
            "own, with a stand-in for Keras that trains nothing. NAME: the model in it, or a function that returns it. "
            " [default: the model whose weights fit]",
        ),
        click.option(
            "--lambda",
            "lambdas",
            multiple=True,
            metavar="NAME='x / 255'",
            help="What a Lambda layer computes: arithmetic on x. May be given several times.",
        ),
        click.option(
            "--allow-bad-values",
            "bad_values",
            is_flag=True,
            help="Admit NaN, infinities and negative variances; the result is not verified then.",
        ),
        click.option(
            "--expect-sha256",
            "sha256",
            metavar="HEX",
            help="Refuse, before it is interpreted, any file but the one with this sha256.",
        ),
    )


def writing_options(output: str) -> Callable[[Command], Command]:
    """What every command that writes takes; the command gets it as `writing`. output: what -o names."""

    def add(command: Command) -> Command:
        @wraps(command)
        def with_writing(
            *, out: str | None, force: bool, dry_run: bool, verify: bool, certify: bool, **others: Any
        ) -> None:
            command(writing=Writing(out, force, dry_run, verify, certify), **others)

        return _with(
            with_writing,
            click.option(
                "--verify/--no-verify",
                default=True,
                help="Compare the result with what Theano would have computed, where the framework is installed.  "
                "[default: verify]",
            ),
            click.option(
                "--certify",
                is_flag=True,
                help="Write a certificate beside the output: NAME.certificate.json and, as a page, .html.",
            ),
            click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing."),
            click.option("--force", is_flag=True, help="Replace an existing output."),
            click.option(
                "-o",
                "--output",
                "out",
                type=click.Path(),  # a text still: a Path forgets a closing slash
                metavar="OUT",
                help=f"{output} Default: beside the input.",
            ),
        )

    return add


def input_options(command: Command) -> Command:
    """What the networks are given; the command gets it as `inputs`."""

    @wraps(command)
    def with_inputs(*, inputs: Path | None, expected: Path | None, seed: int, count: int, **others: Any) -> None:
        from ror_port.check.certificate import Inputs

        if expected is not None and inputs is None:
            raise click.UsageError("--expected needs the --inputs that it belongs to")
        command(inputs=Inputs(inputs, expected, seed, count), **others)

    return _with(
        with_inputs,
        click.option(
            "--expected",
            type=PATH,
            metavar="Y.npy",
            help="Outputs that Theano recorded for --inputs, logits or probabilities: the reference is compared with "
            "them.",
        ),
        click.option(
            "--inputs",
            type=PATH,
            metavar="X.npy",
            help="Images to compare on, scaled as in training.  [default: seeded images]",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the seeded images."),
        click.option("--count", type=click.IntRange(1, 10_000), default=8, show_default=True, help="How many images."),
    )


def _named(lambdas: tuple[str, ...]) -> dict[str, str]:
    """NAME=text → name → text."""
    found = {}
    for stated in lambdas:
        name, equals, text = stated.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{stated!r}; NAME='x / 255' is expected", param_hint="--lambda")
        found[name.strip()] = text
    return found


def _with(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in options:
        command = option(command)
    return command
