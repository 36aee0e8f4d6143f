"""Points with whiskers left and right of zero."""

from __future__ import annotations

import pytest

from tubelet.errors import UsageError
from tubelet.reporting.differences import Gap, paired_differences


def test_filled_points_are_those_whose_interval_lies_on_one_side() -> None:
    gaps = [Gap("all over <spatial>", 0.333, 0.183, 0.467, "named beforehand"), Gap("a over b", -0.02, -0.07, 0.02)]
    assert [gap.shown for gap in gaps] == [True, False]
    assert Gap("touches", 0.1, 0.0, 0.2).shown is False, "an interval that ends at 0 holds it"
    assert Gap("worse", -0.1, -0.2, -0.01).shown is True
    figure = paired_differences(gaps, title="Gains", caption="In points.")
    assert figure.svg is not None
    text = figure.svg.decode()
    assert text.index("all over &lt;spatial&gt;") < text.index("a over b")
    assert "+33.3" in text
    assert "named beforehand" in text
    assert figure.narrow_svg is not None
    assert figure.alt == (
        "Differences: all over <spatial> +33.3 points (interval +18.3 to +46.7); "
        "a over b -2.0 points (interval -7.0 to +2.0)."
    )


def test_what_is_no_difference_of_shares_is_refused() -> None:
    with pytest.raises(UsageError, match="no differences to draw"):
        paired_differences([])
    for gap in (Gap("a", 33.3, 18.3, 46.7), Gap("a", 0.1, 0.2, 0.1), Gap("a", float("nan"), 0.0, 0.1)):
        with pytest.raises(UsageError, match="between -1 and 1"):
            paired_differences([gap])
