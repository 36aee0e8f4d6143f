"""Several shares of the same systems side by side."""

from __future__ import annotations

import pytest

from tubelet.errors import UsageError
from tubelet.reporting.panels import PanelRow, Share, known, share_panels
from tubelet.reporting.style import ACCENT, REST

ROWS = [
    PanelRow("C3D", (Share(1.0, 0.99, 1.0), Share(0.985, 0.97, 0.995)), "16 frames"),
    PanelRow("Flow", (Share(0.21, 0.17, 0.25), Share(0.95)), heading="Others <b>"),
]


def test_the_figure_says_its_numbers() -> None:
    figure = share_panels(ROWS, ("Color", "Motion"), (0.2, 0.1))
    assert figure.alt == (
        "Bars: C3D: Color 100.0\u00a0%, Motion 98.5\u00a0%; Flow: Color 21.0\u00a0%, Motion 95.0\u00a0%; "
        "chance is 20.0\u00a0%, 10.0\u00a0%."
    )
    assert figure.svg is not None
    assert figure.narrow_svg is not None
    for text in ("C3D", "16 frames", "Color", "Motion", "98.5\u00a0%", "chance 20\u00a0%", "Others &lt;b&gt;"):
        assert f">{text}<" in figure.svg.decode()
    for text in ("C3D", "16 frames", "98\u00a0%", "Others &lt;b&gt;"):  # 98.5 rounds to the even number
        assert f">{text}<" in figure.narrow_svg.decode()
    assert figure == share_panels(ROWS, ("Color", "Motion"), (0.2, 0.1))


def test_what_is_not_above_chance_is_gray() -> None:
    # One gray bar of four: flow's interval of colors, 17 to 25 %, holds chance.
    assert [known(share, 0.2) for share in (Share(0.21, 0.17, 0.25), Share(0.3, 0.21, 0.4), Share(0.21), Share(0.2))] \
        == [False, True, True, False]  # fmt: skip
    svg = (share_panels(ROWS, ("Color", "Motion"), (0.2, 0.1)).svg or b"").decode()
    assert (svg.count(f"fill: {ACCENT.light}"), svg.count(f"fill: {REST.light}")) == (3, 1)


@pytest.mark.parametrize(
    ("rows", "panels", "chances"),
    [
        ([], ("a",), (0.5,)),
        (ROWS, (), ()),
        (ROWS, ("a", "b"), (0.5,)),
        (ROWS, ("a",), (0.5,)),
        ([PanelRow("x", (Share(1.2),))], ("a",), (0.5,)),
        ([PanelRow("x", (Share(0.2, -0.1, 0.3),))], ("a",), (0.5,)),
    ],
)
def test_what_does_not_fit_is_refused(
    rows: list[PanelRow], panels: tuple[str, ...], chances: tuple[float, ...]
) -> None:
    with pytest.raises(UsageError, match=r"panels of bars|one share"):
        share_panels(rows, panels, chances)
