"""Text is made fit to be drawn."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.reporting.text import (
    cell,
    clipped,
    column_cells,
    first_few,
    inline,
    is_numeric,
    percent,
    printable,
    prose,
    seconds,
    shorten,
    text_width,
    times,
)


@settings(max_examples=200)
@given(st.text(st.characters()))
def test_printable_can_always_be_written_on_one_line(text: str) -> None:
    line = printable(text)
    assert line.encode("utf-8").decode("utf-8") == line
    assert len(line.splitlines()) <= 1
    assert not any(ord(c) < 32 or 0x202A <= ord(c) <= 0x202E for c in line)
    assert printable(line) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\n c", "a b c"),
        ("a\x00b", "a\ufffdb"),
        ("gpj.\u202eexe", "gpj.\ufffdexe"),  # would show as exe.jpg
        ("naïve 日本語 🎬", "naïve 日本語 🎬"),
        (3.5, "3.5"),
    ],
)
def test_printable(text: object, shown: str) -> None:
    assert printable(text) == shown


@settings(max_examples=50)
@given(st.text(st.characters(codec="latin-1", categories=["L", "N", "P"]), min_size=1), st.floats(20, 200))
def test_shorten_fits(text: str, width: float) -> None:
    for keep_end in (False, True):
        short = shorten(text, width, 11, keep_end=keep_end)
        assert short == printable(text) or text_width(short, 11) <= width


def test_shorten_keeps_the_file_name() -> None:
    path = "a/very/long/path/to/some/folder/of/videos/v_Archery_g01_c01.avi"
    assert shorten(path, 170, 11, keep_end=True).endswith("g01_c01.avi")
    assert shorten(path, 170, 11).startswith("a/very/long/path")
    assert shorten("short", 170, 11) == "short"


def test_width_grows_with_letters_and_size_without_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert text_width("日本語", 11) > text_width("日本", 11) > text_width("日", 11)
    assert text_width("wide", 22) == pytest.approx(2 * text_width("wide", 11), rel=0.02)
    assert text_width("wide", 11, bold=True) > text_width("wide", 11)


def test_numbers() -> None:
    assert percent(0.8725) == "87.2\u00a0%"
    assert percent(1, 0) == "100\u00a0%"
    assert percent(float("nan")) == "–"
    assert seconds(1.25, 2.5) == "1.2–2.5\u00a0s"
    assert seconds(3) == "3.0\u00a0s"
    assert cell(12345) == "12\u2009345"
    assert cell(0.123456) == "0.1235"
    assert column_cells([0.5, 12, None, 0.125]) == ["0.500", "12", "–", "0.125"]
    assert column_cells([1e-9, 1.0]) == ["1e-09", "1"]
    assert column_cells(["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize("text", ["12.5", "87.2\u00a0%", "[83.9, 90.3]", "–", "1\u2009234", "± 0.5", "2×", ""])
def test_reads_as_number(text: str) -> None:
    assert is_numeric(text)


@pytest.mark.parametrize("text", ["c3d", "fp32", "a"])
def test_reads_as_text(text: str) -> None:
    assert not is_numeric(text)


def test_marks_inside_prose() -> None:
    assert prose("a & b\n\n`x < y` and **bold `c`**") == (
        "<p>a &amp; b</p>\n<p><code>x &lt; y</code> and <strong>bold <code>c</code></strong></p>"
    )
    assert inline("[here](#figure-1)") == '<a href="#figure-1">here</a>'
    # A quote in an address stays inside the attribute.
    assert inline('[x](https://a.b/"c)') == '<a href="https://a.b/&#34;c">x</a>'
    assert prose("  \n\n ") == ""


def test_short_lists_are_shown_whole() -> None:
    assert first_few(["a", "b"]) == "a, b"
    assert first_few(list("abcd"), shown=2) == "a, b, and 2 more"
    assert first_few(["one", "two"], "; ", 1) == "one; and 1 more"


def test_shapes() -> None:
    assert [times(shape) for shape in ((3, 16, 112), (7,), ())] == ["3×16×112", "7", "scalar"]


def test_texts_are_cut_to_a_number_of_characters() -> None:
    assert clipped("one\ntwo", 7) == "one two"
    assert clipped("one\ntwo", 6) == "one t…"
