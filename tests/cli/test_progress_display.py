import errno
import io
import re
import sys

import pytest

from mizumashi.cli.progress_display import progress_on_stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_task_that_starts_again_starts_its_bar_and_clock_again(monkeypatch: pytest.MonkeyPatch):
    """The second seed's task has the first one's name."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_on_stderr() as progress:
        progress("drawing", 40, 40, "")
        progress("other", 1, 2, "")
        progress("drawing", 10, 40, "again")
    bars = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).splitlines()
    last = [line for line in bars if line.strip().startswith("drawing")][-1]
    assert "10/40" in last
    assert "left" not in last  # the time that remains is unknown again, not nought
    assert last.rstrip().endswith("again")


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_names_in_a_task_are_no_codes_and_no_markup(kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch):
    stream = kind()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with progress_on_stderr() as progress:
        progress("[red]a\x1b]0;T\x07\nb", 1, 1, "[bold]\x1b[2J\u202e{0}")
    said = stream.getvalue()
    assert "[red]a\\x1b]0;T\\x07\\nb" in said
    assert "[bold]\\x1b[2J\\u202e{0}" in said
    assert not {"\x07", "\u202e"} & set(said)
    assert "\x1b[2J" not in said


def test_without_a_terminal_a_line_tells_each_end_and_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    now = [0.0]
    monkeypatch.setattr("mizumashi.cli.progress_display.monotonic", lambda: now[0])
    with progress_on_stderr() as progress:
        for start in (0, 30):  # the second time, the ten seconds count from its own start
            for seconds, done in ((0, 1), (6, 2), (12, 3), (13, 4)):
                now[0] = start + seconds
                progress("drawing", done, 4, "")
    # Two images in 12 seconds: one is left, which takes six.
    assert capsys.readouterr().err == "drawing: 3 of 4 (6 s left)\ndrawing: 4 of 4\n" * 2


def test_pace_counts_from_where_a_resumed_task_began(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """20 of 100 steps were there; 40 more took 10 seconds: 4 a second, and 40 left."""
    now = [0.0]
    monkeypatch.setattr("mizumashi.cli.progress_display.monotonic", lambda: now[0])
    with progress_on_stderr() as progress:
        progress("GAN", 20, 100, "")
        now[0] = 10
        progress("GAN", 60, 100, "D 1.00")
    assert capsys.readouterr().err == "GAN: 60 of 100 (4 a second, 10 s left)  D 1.00\n"


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_work_goes_on_where_nobody_can_be_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", Full())
    with progress_on_stderr() as progress:
        progress("drawing", 40, 40, "")
