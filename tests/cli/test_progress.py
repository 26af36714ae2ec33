import io
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from ror_port.cli import progress
from ror_port.cli.progress import Terminal


def test_silent_where_stderr_is_no_terminal(capsys) -> None:
    assert list(Terminal().track(range(3), 3, "converting")) == [0, 1, 2]
    with Terminal().busy("working"):
        pass
    assert capsys.readouterr().err == ""


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "appears"), [(0.3, False), (0.5, True)])
def test_a_bar_appears_on_a_terminal_once_it_takes_long(monkeypatch, seconds, appears) -> None:
    """Two of three items take less than PATIENCE, or more, by a clock of our own."""
    now = 0.0

    def items() -> Iterator[int]:
        nonlocal now
        for item in range(3):
            yield item
            now += seconds

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
    assert list(Terminal().track(items(), 3, "converting")) == [0, 1, 2]
    assert ("converting" in screen.getvalue()) is appears
