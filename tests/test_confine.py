"""What a file makes of the process stays within bounds."""

import os
import resource
import signal

import pytest

from ror_port import confine


def loop() -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # what hangs does not listen
    while True:
        pass


def fail() -> None:
    raise ValueError("the process itself will meet this")


@pytest.mark.parametrize(
    ("work", "trouble"),
    [
        (loop, "it takes more than 1 s"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "it crashes"),
        (os.abort, "it crashes"),
        (fail, None),
        (lambda: None, None),
        (lambda: os.kill(os.getpid(), signal.SIGALRM), None),  # as where a lock was never released
    ],
)
def test_a_copy_comes_to_grief_and_not_the_process(work, trouble) -> None:
    assert confine.rehearse(work, 1) == trouble


def test_memory_is_bounded_for_a_while() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), confine.bounded(64 << 20):
        bytearray(256 << 20)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(256 << 20)) == 256 << 20
