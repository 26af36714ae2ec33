import io
import sys

from ror_port.cli import progress


def test_silent_where_stderr_is_no_terminal(capsys) -> None:
    assert list(progress.track(range(3), 3)) == [0, 1, 2]
    with progress.busy("working"):
        pass
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_appears_on_a_terminal_once_it_takes_long(monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.track(range(3), 3)) == [0, 1, 2]
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE", -1)
    assert list(progress.track(range(3), 3)) == [0, 1, 2]
    assert "converting" in terminal.getvalue()
