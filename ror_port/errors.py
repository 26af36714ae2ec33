"""The errors that ror-port raises on purpose, and the exit code of the command for each.

    RorPortError                1
    ├── UsageError              2   an argument that is not understood, or that contradicts another
    ├── UnreadableFile          3   missing, no permission, of no format that is read, truncated or damaged
    ├── NotACheckpoint          4   readable, but not Keras weights, or weights that contradict themselves
    ├── UnsafeFile              5   could harm its reader or hide data: a link, another file, a limit exceeded
    ├── BadValues               6   NaN, infinity or a negative variance among the weights
    ├── UnknownNetwork          7   valid weights of a network that ror-port does not know or cannot write
    ├── OutputError             8   the output exists, is the input, or cannot be written
    ├── ParityError             9   a converted file does not compute what the source computes
    ├── MissingExtra           10   an optional framework is needed and not installed
    └── SystemLimit            11   the system gives no more memory, open files or processes

Exit code 2 is click's own, too, for wrong usage. Any other exception is a defect of ror-port; its exit code is 1.

A message is one line, without what a terminal might interpret. It states what is wrong, where (the file, and the path
inside it), what was expected, what was found, and what to do next.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

ARGUMENTS: Mapping[str, tuple[str, str]] = {
    "backend": ("backend=…", "--source-backend"),
    "keras": ("keras=…", "--source-keras"),
    "ordering": ("ordering=…", "--source-ordering"),
    "epsilon": ("epsilon=…", "--bn-epsilon"),
    "size": ("size=…", "--input-size"),
    "sha256": ("sha256=…", "--expect-sha256"),
    "bad_values": ("bad_values=True", "--allow-bad-values"),
    "architecture": ("architecture=…", "--architecture"),
    "model": ("model=…", "--model"),
    "lambdas": ("lambdas={…}", "--lambda"),
    "path": ("another path", "another name with -o"),
    "format": ("format=…", "--format"),
    "fold_bn": ("fold_bn=True", "--fold-bn"),
    "license": ("license=…", "--license"),
    "force": ("force=True", "--force"),
    "certify": ("certify=True", "--certify"),
    "skip_done": ("skip_done=True", "--skip-done"),
    "scale": ("scale=…", "--scale"),
}
"""Argument of `ror_port.load` or `ror_port.save` → how an error names it in Python and on the command line."""


class RorPortError(Exception):
    """Base class of the errors that ror-port raises on purpose.

    passing: whether the reason may pass, so that another try, of the same file, may succeed. advice: what to do next.
    Arguments in it are written ``{name}``, after ARGUMENTS; as text the error names those of
    Python, `for_command` the options of the command line.
    """

    exit_code = 1
    """Exit code of the command."""

    def __init__(self, message: str, advice: str = "", *, passing: bool = False) -> None:
        self.message, self.advice, self.passing = message, advice, passing
        super().__init__(self._text(0))

    def for_command(self) -> str:
        """The message for somebody who uses the command line."""
        return self._text(1)

    def _text(self, spelling: int) -> str:
        advice = self.advice.format_map({name: spellings[spelling] for name, spellings in ARGUMENTS.items()})
        return f"{self.message}; {advice}" if advice else self.message


class UsageError(RorPortError, ValueError):
    """argument: which one, after ARGUMENTS, where it is one of them."""

    exit_code = 2

    def __init__(self, message: str, argument: str = "") -> None:
        self.argument = argument
        super().__init__(message)

    def _text(self, spelling: int) -> str:
        name = (self.argument, ARGUMENTS.get(self.argument, ("", self.argument))[1])[spelling]
        return f"{name}: {self.message}" if name else self.message


class UnreadableFile(RorPortError):
    """The file is missing, may not be read, is of no format that is read, or is truncated or damaged."""

    exit_code = 3


class NotACheckpoint(RorPortError):
    """The file holds no Keras weights, or what it states contradicts its tensors."""

    exit_code = 4


class UnsafeFile(RorPortError):
    """The file could harm its reader or hide data, exceeds a limit, or is not the one that was expected."""

    exit_code = 5


class BadValues(RorPortError):
    """A tensor holds NaN, an infinity or a negative variance."""

    exit_code = 6


class UnknownNetwork(RorPortError):
    """The weights are valid, but their network is not known, or cannot be written in the format."""

    exit_code = 7


class OutputError(RorPortError):
    """The output exists, is the input, or cannot be written."""

    exit_code = 8


class ParityError(RorPortError):
    """A converted file does not compute what the source computes."""

    exit_code = 9


class MissingExtra(RorPortError):
    """An optional framework is needed and not installed."""

    exit_code = 10


class SystemLimit(RorPortError):
    """The system gives this process no more memory, open files or processes."""

    exit_code = 11


def system_limit(error: BaseException) -> SystemLimit | None:
    """What to report for an error that comes from a limit of the system, such as those of ``ulimit``; else None."""
    if isinstance(error, MemoryError):
        return SystemLimit("the system gives no more memory; see ulimit -v, or use a machine with more")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return SystemLimit("the system lets no more files be opened; see ulimit -n")
    if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN):
        return SystemLimit(f"the system gives no more memory or processes ({error.strerror}); see ulimit -a")
    if isinstance(error, ImportError) and ("failed to map" in str(error) or "cannot allocate" in str(error).lower()):
        return SystemLimit("the system gives no memory for a library; see ulimit -v")
    return None


def told(error: Exception, path: object) -> tuple[str, int]:
    """What the command says of an error that ended the work on a file, and its exit code."""
    if isinstance(error, RorPortError):
        return error.for_command(), error.exit_code
    if limit := system_limit(error):
        return f"{path}: {limit}", limit.exit_code
    reason = " ".join(str(error).split())[:300]
    return f"{path}: defect: {type(error).__name__}: {reason}; --debug shows where", RorPortError.exit_code


def quote(name: str) -> str:
    """A name from a file, in quotes, for a message: printable, and cut to 120 characters."""
    shown = printable(name[:121])
    return f"'{shown if len(shown) <= 120 else shown[:117] + '...'}'"


def shown(value: object) -> str:
    """A value from a file as Python writes it, for a message: printable, and cut to 120 characters."""
    text = printable(repr(value))
    return text if len(text) <= 120 else text[:117] + "..."


def printable(text: object) -> str:
    """A text with everything escaped that is not printable, so that a terminal shows one line and obeys none of it."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
