import io
import sys

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


def test_a_bar_appears_on_a_terminal_once_it_takes_long(monkeypatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    assert list(Terminal().track(range(3), 3, "converting")) == [0, 1, 2]
    assert screen.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE", -1)
    assert list(Terminal().track(range(3), 3, "converting")) == [0, 1, 2]
    assert "converting" in screen.getvalue()
