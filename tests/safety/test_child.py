"""What a file makes of the process stays within bounds."""

import os
import resource
import signal

import pytest

from ror_port.errors import UnsafeFile
from ror_port.safety import child as confine
from ror_port.safety import limits


def loop() -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # what hangs does not listen
    while True:
        pass


@pytest.mark.parametrize(
    ("work", "trouble"),
    [
        (loop, "it takes more than 1 s"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "it crashes"),
        (os.abort, "it crashes"),
        (lambda: "a" * limits.MAX_DESCRIPTION_BYTES, "it has more to say than"),
    ],
)
def test_a_copy_comes_to_grief_and_not_the_process(work, trouble) -> None:
    with pytest.raises(confine.Grief, match=trouble):
        confine.in_copy(work, 1)


def test_words_and_errors_come_back_from_the_copy() -> None:
    def refuse() -> None:
        raise UnsafeFile(f"process {os.getpid()}, \udcff")

    process, words = confine.in_copy(lambda: [os.getpid(), {"a": "\udcff"}], 1)
    assert process != os.getpid()
    assert words == {"a": "\udcff"}
    with pytest.raises(UnsafeFile, match=r"process \d+, \udcff") as error:
        confine.in_copy(refuse, 1)
    assert str(os.getpid()) not in str(error.value)


@pytest.mark.parametrize(
    "trouble",
    [
        lambda: os.kill(os.getpid(), signal.SIGALRM),  # as where a lock was never released
        lambda: 1 / 0,
    ],
)
def test_what_is_not_the_file_s_fault_is_met_in_the_process(trouble) -> None:
    process = os.getpid()

    def work() -> int:
        return trouble() if os.getpid() != process else os.getpid()

    assert confine.in_copy(work, 1) == process


def test_memory_is_bounded_for_a_while() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), confine.bounded(64 << 20):
        bytearray(256 << 20)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(256 << 20)) == 256 << 20
