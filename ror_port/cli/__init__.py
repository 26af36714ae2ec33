"""The command line: parse, call, print."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from ror_port import __version__
from ror_port.cli import streams
from ror_port.cli.comparing import diagnose, evaluate, verify
from ror_port.cli.converting import theano_to_tf, to_onnx, to_theano, to_torch
from ror_port.cli.examining import doctor
from ror_port.cli.inspecting import architecture, inspect, list_networks, report
from ror_port.errors import OutputError, RorPortError, printable, system_limit
from ror_port.safety.signals import TERMINATION_SIGNALS

EXIT_CODES = """\b
Exit codes: 0 done; 2 wrong usage; 3 unreadable file; 4 not Keras weights, or weights that contradict
themselves; 5 unsafe file; 6 NaN, infinity or negative variance; 7 unknown network; 8 output cannot be written;
9 the result does not compute what the source did; 10 a framework is missing; 11 no memory, open files or
processes left; 1 a defect of ror-port.
With several files, the code of the first that failed."""


@contextmanager
def _printable_errors() -> Iterator[None]:
    """Escapes what a wrong argument would make a terminal do; click quotes it as it is."""
    try:
        yield
    except click.UsageError as error:
        text = error.format_message()
        if text.replace("\n", "").isprintable():  # help has several lines
            raise
        raise click.UsageError(printable(text), error.ctx) from None


class Commands(click.Group):
    """The commands, whose errors are printable, and whose help fits the terminal in the parts that click leaves."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _printable_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, context: click.Context) -> Any:
        with _printable_errors():
            return super().invoke(context)

    def get_help(self, ctx: click.Context) -> str:
        text = super().get_help(ctx)
        return streams.fitted(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=f"""\b
Examples:
  ror-port inspect weights.h5                      what is this file, and how do we know
  ror-port theano-to-tf weights.h5                 writes weights.keras; keras.models.load_model opens it
  ror-port theano-to-tf old/*.h5 -o new/           many files, one bad one does not stop the others
  ror-port theano-to-tf zoo/ -o new/ --jobs 4      all that is found in a folder, with a ledger: report.html
  ror-port theano-to-tf weights.h5 --format h5     HDF5 for Keras 2 and 3
  ror-port theano-to-tf weights.h5 --bn-epsilon 1e-5   for a net trained before December 2016
  ror-port to-torch weights.h5 -o net/             a folder for PyTorch: weights, config, definition
  ror-port to-onnx weights.h5                      weights.onnx for ONNX Runtime
  ror-port to-theano net/ -o tuned.h5              back to Keras on Theano, from PyTorch, Keras or ONNX
  ror-port evaluate weights.h5 --data cifar-10-batches-bin/   accuracy on labelled images

{EXIT_CODES}""",
)
@click.version_option(__version__, prog_name="ror-port")
def cli() -> None:
    """Converts networks of Theano-era Keras: reads their HDF5 weights, writes what Keras 3, PyTorch and ONNX Runtime
    load as it is, and verifies that it computes what Theano computed."""


for command in (
    inspect,
    theano_to_tf,
    to_torch,
    to_onnx,
    to_theano,
    evaluate,
    verify,
    diagnose,
    architecture,
    report,
    list_networks,
    doctor,
):
    cli.add_command(command)


def main() -> Any:
    """Entry point. A signal to end unwinds the stack, so that half-written output is removed."""

    def end(number: int, _: FrameType | None) -> None:
        for other in TERMINATION_SIGNALS:
            signal.signal(other, signal.SIG_IGN)  # a second one must not interrupt the removing
        raise SystemExit(128 + number)

    streams.prepare()
    gc.set_threshold(100_000)  # what is imported stays: the collector need not visit it every 700 objects,
    atexit.register(gc.freeze)  # nor once more at the end
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")  # else NumPy's idle threads spin for 0.1 s when it starts
    for number in TERMINATION_SIGNALS:
        signal.signal(number, end)
    try:
        return cli(color=False if streams.plain() else None)
    except (OSError, MemoryError, ImportError) as error:  # of stdout, or before a file is opened
        failure: RorPortError | None = system_limit(error)
        if failure is None and isinstance(error, OSError):
            failure = OutputError(f"standard output: cannot be written ({error.strerror})")
        if failure is None:
            raise
        streams.discard_stdout()
        click.echo(f"ror-port: {failure}", err=True)
        sys.exit(failure.exit_code)
