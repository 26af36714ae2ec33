"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path, readable=False)
"""Of something to be read. Whether it can be is found out in reading: click's own check would be one more message."""

FILES = click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILE...")


LOGITS = click.option("--logits", is_flag=True, help="End the network before the softmax.")


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value <= 1:  # a NaN passes every comparison of click's
        raise click.BadParameter("a number above 0 and up to 1 is expected")
    return value


def _digest(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (len(value) == 64 and set(value.lower()) <= set("0123456789abcdef")):
        raise click.BadParameter("a sha256 has 64 hexadecimal digits")
    return value


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
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


def writing_options(output: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
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


def input_options(command: Callable[..., None]) -> Callable[..., None]:
    """What the networks are shown; the command gets it as `shown`, a `certificate.Inputs`."""

    @wraps(command)
    def with_inputs(*, inputs: Path | None, expected: Path | None, seed: int, count: int, **options: Any) -> None:
        from ror_port.check.certificate import Inputs

        if expected is not None and inputs is None:
            raise click.UsageError("--expected needs the --inputs that it belongs to")
        command(shown=Inputs(inputs, expected, seed, count), **options)

    for option in (
        click.option(
            "--expected",
            type=PATH,
            metavar="Y.npy",
            help="Outputs that Theano recorded for --inputs, logits or probabilities: the reference is held to them.",
        ),
        click.option(
            "--inputs",
            type=PATH,
            metavar="X.npy",
            help="Images to compare on, scaled as in training.  [default: seeded pictures]",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the pictures."),
        click.option(
            "--count", type=click.IntRange(1, 10_000), default=8, show_default=True, help="How many pictures."
        ),
    ):
        with_inputs = option(with_inputs)
    return with_inputs
