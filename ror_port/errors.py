"""What can go wrong, and the exit code of each.

    RorPortError                1
    ├── UnreadableFile          3   missing, no permission, not HDF5, truncated
    ├── NotACheckpoint          4   readable, but not Keras weights, or weights that contradict themselves
    ├── UnsafeFile              5   uses a feature of HDF5 that could harm its reader or hide data
    ├── BadValues               6   NaN, infinity or a negative variance among the weights
    ├── UnknownNetwork          7   sound Keras weights of a network that ror-port does not know
    ├── OutputError             8   the output exists, is the input, or cannot be written
    ├── ParityError             9   a converted file does not compute what the source computed
    └── MissingExtra           10   an optional framework is needed and not installed

Exit code 2 is click's own: wrong usage. Code 1 alone is a defect of ror-port.
Every message says what, where (file, and path inside it), expected, found, and what to do next.
"""


class RorPortError(Exception):
    """Base of every error that ror-port raises on purpose."""

    exit_code = 1


class UnreadableFile(RorPortError):
    exit_code = 3


class NotACheckpoint(RorPortError):
    exit_code = 4


class UnsafeFile(RorPortError):
    exit_code = 5


class BadValues(RorPortError):
    exit_code = 6


class UnknownNetwork(RorPortError):
    exit_code = 7


class OutputError(RorPortError):
    exit_code = 8


class ParityError(RorPortError):
    exit_code = 9


class MissingExtra(RorPortError):
    exit_code = 10


def quote(name: str) -> str:
    """A name out of a file, fit for a terminal: control characters escaped, length cut."""
    shown = printable(name[:121])
    return f"'{shown if len(shown) <= 120 else shown[:117] + '...'}'"


def printable(text: object) -> str:
    """What a terminal shows as one line and does not obey: whatever is not printable is escaped."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
