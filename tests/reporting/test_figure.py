"""Figures are values: equal data, equal bytes, whatever else goes on in the process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.image import imread

from tubelet.errors import UsageError
from tubelet.reporting import Bar, Figure, confusion_matrix, interval_bars
from tubelet.reporting.style import INK, SERIES, TOKENS, in_dark, with_variables

BARS = (Bar("one", 0.5, 0.4, 0.6), Bar("two", 0.25, published=0.3))


@pytest.fixture(scope="module")
def figure() -> Figure:
    return interval_bars(BARS, chance=0.1, title="Bars")


def test_equal_data_give_equal_bytes_in_threads_and_with_foreign_settings(figure: Figure) -> None:
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None, "axes.grid": True}):
        assert interval_bars(BARS, chance=0.1, title="Bars") == figure
    with ThreadPoolExecutor(3) as pool:
        drawn = list(pool.map(lambda _: interval_bars(BARS, chance=0.1, title="Bars"), range(3)))
    assert all(other == figure for other in drawn)
    assert dict(mpl.rcParams) == before


def test_no_pyplot_and_no_drawing_where_only_progress_is_shown() -> None:
    code = (
        "import json, sys, tubelet.reporting.terminal\n"
        "heavy = {'numpy', 'matplotlib', 'matplotlib.pyplot', 'jinja2', 'torch'}\n"
        "shown = sorted(heavy & set(sys.modules))\n"
        "from tubelet.reporting import Bar, interval_bars\n"
        "interval_bars([Bar('a', 0.5)])\n"
        "print(json.dumps([shown, sorted(heavy & set(sys.modules))]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    shown, drawn = json.loads(done.stdout)
    assert shown == []
    assert "matplotlib" in drawn
    assert not {"matplotlib.pyplot", "torch"} & set(drawn)


def test_svg_is_dateless_with_real_text(figure: Figure) -> None:
    assert figure.svg is not None
    root = ET.fromstring(figure.svg)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"one", "two", "50.0\u00a0%", "chance 10\u00a0%", "published figure"} <= set(texts)
    assert b"<dc:date>" not in figure.svg
    assert b"system-ui" in figure.svg


def test_saves_what_the_suffix_says(figure: Figure, tmp_path: Path) -> None:
    assert figure.save(tmp_path / "deep" / "a.svg").read_bytes() == figure.svg
    image = imread(figure.save(tmp_path / "a.png"))
    assert image.shape[1] == 2 * (figure.width_px + 24)  # two pixels to one, and the margin
    dark = figure.save(tmp_path / "dark.svg", dark=True).read_text()
    assert INK.dark in dark
    assert INK.light not in dark
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


@pytest.mark.parametrize(("name", "dark"), [("a.pdf", False), ("a.png", True), ("a", False)])
def test_other_forms_are_refused(figure: Figure, tmp_path: Path, name: str, dark: bool) -> None:
    with pytest.raises(UsageError, match=r"\.svg or \.png"):
        figure.save(tmp_path / name, dark=dark)


def test_photographs_have_no_svg(figures: dict[str, Figure], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"use \.png"):
        figures["neighbors"].save(tmp_path / "a.svg")


def test_inline_form_has_prefixed_ids_and_variables(figure: Figure) -> None:
    body = figure.body("f7-")
    assert body.count("<svg") == 2  # one for broad pages, one for narrow ones
    assert re.findall(r' id="(?!f7-)', body) == []
    assert "xlink" not in body
    assert "<metadata" not in body
    assert "<style" not in body
    assert "var(--ink)" in body


def test_label_that_looks_like_code_keeps_its_letters() -> None:
    label = f"{INK.light} url(#a) href=#"
    body = confusion_matrix([[1, 0], [0, 1]], [label, "b"]).body("p-")
    assert label in body


def test_tokens() -> None:
    lights = [token.light for token in TOKENS]
    assert len(set(lights)) == len(lights)
    assert with_variables(f"fill: {INK.light}; stroke: #123456") == "fill: var(--ink); stroke: #123456"
    assert in_dark(SERIES[0].light) == SERIES[0].dark


def luminance(color: str) -> float:
    # WCAG 2.1, definition of relative luminance.
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    colors = {token.name: getattr(token, scheme) for token in TOKENS}
    for name in ("ink", "muted", "accent", "good", "bad"):
        assert contrast(colors[name], colors["surface"]) >= 4.5, name  # text (WCAG AA)
    for token in SERIES:
        assert contrast(colors[token.name], colors["surface"]) >= 3.0, token.name  # graphics (WCAG AA)
    assert contrast(colors["on-accent"], colors["accent"]) >= 4.5
