"""Progress: plain lines for logs, a bar for people."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from tubelet.reporting.terminal import duration, is_terminal, progress


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_plain_lines_come_every_ten_seconds_and_at_the_end() -> None:
    clock, out = Clock(), io.StringIO()
    with progress("training", total=90, unit="step", stream=out, clock=clock) as bar:
        for _ in range(90):
            clock.now += 0.5
            bar.update(1, loss=0.41234, accuracy=0.875, lr=1e-4, rate="120 clips/s")
    lines = out.getvalue().splitlines()
    assert lines[0] == (
        "training 20/90 steps · 22\u00a0% · loss 0.412 · accuracy 87.5\u00a0% · lr 0.0001 · 120 clips/s · 35 s left"
    )
    assert [line.split()[1] for line in lines] == ["20/90", "40/90", "60/90", "80/90", "90/90"]
    assert lines[-1].endswith("took 45 s")
    assert "\x1b" not in out.getvalue()


def test_an_end_that_was_not_the_end() -> None:
    """More turned up after all that was known had been done: the last line tells of it too."""
    clock, out = Clock(), io.StringIO()
    with progress("reading", total=2, unit="frame", stream=out, clock=clock) as bar:
        clock.now += 11
        bar.update(2)
        bar.expect(5)
        clock.now += 3
        bar.update(3)
    assert out.getvalue().splitlines() == [
        "reading 2/2 frames · 100\u00a0% · took 11 s",
        "reading 5/5 frames · 100\u00a0% · took 14 s",
    ]


def test_unknown_total_and_removed_field() -> None:
    clock, out = Clock(), io.StringIO()
    with progress("reading", unit="video", stream=out, clock=clock, interval_s=1) as bar:
        bar.update(2, failed=1)
        clock.now += 2
        bar.update(0, failed=None)
        assert bar.remaining_s is None
    assert out.getvalue().splitlines()[0] == "reading 2 videos"


def test_a_total_that_becomes_known() -> None:
    clock, out = Clock(), io.StringIO()
    with progress("computing", unit="frame", stream=out, clock=clock) as bar:
        clock.now += 5
        bar.update(10)
        bar.expect(40)
        assert bar.remaining_s == 15
        bar.expect(3)
        assert (bar.total, bar.remaining_s) == (10, 0)
    assert out.getvalue() == "computing 10/10 frames · 100\xa0% · took 5 s\n"
    terminal = Terminal()
    with progress("computing", unit="frame", stream=terminal, clock=clock) as bar:
        bar.expect(8)
        bar.update(8)
    assert "8/8 frames" in terminal.getvalue()


def test_who_else_counts_says_how_far_it_is() -> None:
    out = io.StringIO()
    with progress("looking", unit="video", stream=out, clock=Clock()) as bar:
        for done in (0, 1, 3):
            bar.reach(done, 3)
        assert (bar.done, bar.total) == (3, 3)
    assert out.getvalue().startswith("looking 3/3 videos · 100\u00a0%")


def test_nothing_is_written_for_nothing() -> None:
    out = io.StringIO()
    with progress("idle", stream=out):
        pass
    assert out.getvalue() == ""


def test_resumed_work_does_not_count_for_the_speed() -> None:
    clock = Clock()
    with progress("training", total=100, initial=80, stream=io.StringIO(), clock=clock) as bar:
        assert bar.remaining_s is None
        clock.now += 10
        bar.update(10)
        # Ten units took ten seconds: the other ten take ten more.
        assert bar.remaining_s == pytest.approx(10)
        assert bar.done == 90


def test_an_error_leaves_the_last_state() -> None:
    out = io.StringIO()

    def work() -> None:
        with progress("training", total=9, unit="step", stream=out, clock=Clock()) as bar:
            bar.update(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert out.getvalue() == "training 3/9 steps · 33\u00a0% · stopped\n"


def test_lines_that_stay() -> None:
    out = io.StringIO()
    with progress("x", stream=out) as bar:
        bar.print("saved [bold]")
    assert out.getvalue() == "saved [bold]\n"


def test_counts_from_threads_add_up() -> None:
    with progress("x", total=800, stream=io.StringIO()) as bar:
        threads = [threading.Thread(target=lambda: [bar.update() for _ in range(200)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bar.done == 800


def test_bar_on_a_terminal() -> None:
    out = Terminal()
    with progress("train [x]", total=4, unit="step", stream=out) as bar:
        bar.update(1, loss=0.5)
        bar.print("saved [bold]")
        bar.update(3, loss=0.25)
    shown = out.getvalue()
    assert "━" in shown
    assert "train [x]" in shown
    assert "saved [bold]" in shown
    assert "4/4 steps" in shown
    assert "loss 0.250" in shown
    assert shown.endswith("\x1b[?25h")  # the cursor is back


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    with progress("t", total=2, stream=out) as bar:
        bar.update(1)
    assert "━" in out.getvalue()
    assert "\x1b[34m" not in out.getvalue()
    assert "\x1b[3" not in out.getvalue()


def test_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_terminal(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal(Terminal())


def test_stdout_stays_free(capsys: pytest.CaptureFixture[str]) -> None:
    stdout = sys.stdout
    with progress("t", total=2, unit="clips") as bar:
        assert sys.stdout is stdout
        bar.update(2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("t 2/2 clips · 100\u00a0%")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (41.2, "42 s"), (60, "1:00"), (187, "3:07"), (3729, "1:02:09"), (-5, "0 s")]
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_the_end_is_told_once_however_slow_the_last_unit_was() -> None:
    stream, clock = io.StringIO(), iter(range(0, 1000, 20))
    with progress("training", total=2, unit="step", stream=stream, clock=lambda: float(next(clock))) as bar:
        bar.update()
        bar.update()
    lines = stream.getvalue().splitlines()
    assert [line.partition(" ·")[0] for line in lines] == ["training 1/2 steps", "training 2/2 steps"]
