"""Intervals, against the binomial distribution and against coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn import metrics as reference

from tubelet.protocols.bootstrap import bootstrap_interval, class_mean, paired_interval


@pytest.mark.parametrize(("n", "right"), [(25, 17), (60, 55), (300, 120)])
def test_resampled_accuracy_is_binomial(n: int, right: int) -> None:
    # A resample of n videos of which a share p is right has Binomial(n, p) right ones.
    interval = bootstrap_interval([1] * right + [0] * (n - right), draws=20_000)
    low, high = stats.binom.ppf([0.025, 0.975], n, right / n) / n
    assert interval.low == pytest.approx(low, abs=1.01 / n)
    assert interval.high == pytest.approx(high, abs=1.01 / n)
    assert (interval.method, interval.unit, interval.n_units) == ("percentile bootstrap", "video", n)


def test_twenty_five_videos_give_about_eighteen_points() -> None:
    interval = bootstrap_interval([1] * 17 + [0] * 8)
    assert (interval.high - interval.low) / 2 == pytest.approx(0.18, abs=0.02)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_ten_groups_are_resampled_as_groups() -> None:
    # All videos of a group alike: ten independent units, whatever the number of videos.
    values = np.repeat([1.0] * 6 + [0.0] * 4, 30)
    groups = [f"g{index}" for index in range(10) for _ in range(30)]
    over_groups = bootstrap_interval(values, groups, draws=20_000)
    low, high = stats.binom.ppf([0.025, 0.975], 10, 0.6) / 10
    assert (over_groups.low, over_groups.high) == (pytest.approx(low), pytest.approx(high))
    assert (over_groups.unit, over_groups.n_units) == ("group", 10)
    over_videos = bootstrap_interval(values)
    assert over_videos.high - over_videos.low < (over_groups.high - over_groups.low) / 3


def test_groups_of_unequal_size_weigh_by_their_videos() -> None:
    values = [1.0] * 90 + [0.0] * 9
    groups = ["big"] * 90 + [f"g{index}" for index in range(9)]
    interval = bootstrap_interval(values, groups, draws=20_000)
    # P(the big group is not drawn) = 0.9^10 = 35 %, and then the accuracy is 0.
    assert interval.low == 0.0
    assert interval.high > 0.95


def test_fewer_than_ten_groups_are_too_few() -> None:
    values = [1, 0] * 9
    interval = bootstrap_interval(values, [f"g{index // 2}" for index in range(18)])
    assert (interval.unit, interval.n_units) == ("video", 18)


@pytest.mark.parametrize("n", [1, 12, 60])
def test_all_right_or_all_wrong_is_exact_binomial(n: int) -> None:
    right, wrong = bootstrap_interval(np.ones(n)), bootstrap_interval(np.zeros(n))
    exact = stats.binomtest(n, n).proportion_ci(0.95, method="exact")
    assert right.low == pytest.approx(exact.low)
    assert right.high == 1.0
    assert (wrong.low, wrong.high) == (0.0, pytest.approx(1 - exact.low))
    assert right.method == "exact binomial"


def test_level_widens() -> None:
    values = np.random.default_rng(3).random(40)
    narrow, wide = bootstrap_interval(values, level=0.5), bootstrap_interval(values, level=0.99)
    assert wide.low < narrow.low < values.mean() < narrow.high < wide.high


def test_coverage_is_near_the_level() -> None:
    rng = np.random.default_rng(7)
    inside = 0
    for trial in range(200):
        interval = bootstrap_interval(rng.normal(5.0, 1.0, 60), draws=400, seed=trial)
        inside += interval.low <= 5.0 <= interval.high
    assert 0.89 <= inside / 200 <= 0.99


@settings(max_examples=40)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=40), seed=st.integers(0, 99))
def test_an_interval_lies_within_the_values(values: list[float], seed: int) -> None:
    interval = bootstrap_interval(values, draws=100, seed=seed)
    if interval.method == "percentile bootstrap":
        assert min(values) - 1e-12 <= interval.low <= interval.high <= max(values) + 1e-12
    assert not math.isnan(interval.low)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="n > 0"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match="2 values but 1 groups"):
        bootstrap_interval([1, 0], ["g"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap_interval([1, 0], level=95)
    with pytest.raises(ValueError, match="classes of shape"):
        bootstrap_interval([1, 0], classes=np.array([0]))
    with pytest.raises(ValueError, match="2 values cannot be paired with 3"):
        paired_interval([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        paired_interval([1, 0], [1, -1])


def test_the_mean_over_classes_is_scikit_learns_balanced_accuracy() -> None:
    rng = np.random.default_rng(5)
    targets, predicted = rng.integers(0, 7, 90), rng.integers(0, 7, 90)
    targets[targets == 3] = 2  # a class without videos
    predicted[predicted == 3] = 2
    assert class_mean(predicted == targets, targets) == pytest.approx(
        reference.balanced_accuracy_score(targets, predicted)
    )


def test_resampled_class_means_follow_a_loop_over_resamples() -> None:
    rng = np.random.default_rng(1)
    classes = np.repeat([0, 1, 2, 5], [40, 12, 6, 2])
    right = (rng.random(60) < 0.7).astype(float)
    interval = bootstrap_interval(right, classes=classes, draws=4000)
    means = []
    for _ in range(4000):
        drawn = rng.integers(0, 60, 60)
        each = [right[drawn][classes[drawn] == name].mean() for name in (0, 1, 2, 5) if name in classes[drawn]]
        means.append(np.mean(each))
    assert [interval.low, interval.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.015)


def test_class_means_of_groups_resample_groups() -> None:
    # Every group holds one video of each of two classes; the second is wrong in 4 of 10 groups.
    values = [v for wrong in [True] * 4 + [False] * 6 for v in (1.0, 0.0 if wrong else 1.0)]
    groups = [f"g{index // 2}" for index in range(20)]
    interval = bootstrap_interval(values, groups, classes=np.array([0, 1] * 10), draws=20_000)
    low, high = (1 + stats.binom.ppf([0.025, 0.975], 10, 0.6) / 10) / 2
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))
    assert (interval.unit, interval.n_units) == ("group", 10)


@pytest.mark.parametrize("counts", [(5, 5, 5), (20, 3, 1), (2, 60)])
def test_all_right_bounds_the_mean_over_classes_by_its_worst_chances(counts: tuple[int, ...]) -> None:
    classes = np.repeat(np.arange(len(counts)), counts)
    found = bootstrap_interval(np.ones(sum(counts)), classes=classes)
    # The least mean of p with prod p_k^n_k = 0.025, by a general optimizer.
    least = optimize.minimize(
        lambda p: p.mean(),
        np.full(len(counts), 0.97),
        bounds=[(1e-6, 1.0)] * len(counts),
        constraints={"type": "ineq", "fun": lambda p: (np.array(counts) * np.log(p)).sum() - np.log(0.025)},
    )
    assert found.low == pytest.approx(least.fun, abs=1e-5)
    assert found.high == 1.0


def test_a_paired_interval_sees_what_two_intervals_hide() -> None:
    # b is right wherever a is, and on 8 more of 100 videos: of the differences 8 are 1, the others 0.
    a = np.array([1.0] * 60 + [0.0] * 40)
    b = np.array([1.0] * 68 + [0.0] * 32)
    paired = paired_interval(a, b, draws=20_000)
    low, high = stats.binom.ppf([0.025, 0.975], 100, 0.08) / 100
    assert [paired.low, paired.high] == pytest.approx([low, high], abs=0.0101)
    assert paired.low > 0
    assert bootstrap_interval(a).high > bootstrap_interval(b).low, "unpaired they overlap"
    turned = paired_interval(b, a, draws=20_000)
    assert [turned.low, turned.high] == pytest.approx([-paired.high, -paired.low], abs=0.0101)


def test_paired_differences_of_groups_and_of_class_means() -> None:
    # Ten groups of two classes: the second system mends class 1 in 6 groups, and nothing else.
    first = [1.0, 0.0] * 10
    second = [v for mended in [True] * 6 + [False] * 4 for v in (1.0, float(mended))]
    groups, classes = [f"g{index // 2}" for index in range(20)], np.array([0, 1] * 10)
    low, high = stats.binom.ppf([0.025, 0.975], 10, 0.6) / 20
    for asked in (None, classes):
        found = paired_interval(first, second, groups, classes=asked, draws=20_000)
        assert (found.low, found.high, found.unit) == (pytest.approx(low), pytest.approx(high), "group")


def test_equal_systems_may_still_differ_elsewhere() -> None:
    found = paired_interval([1, 0, 1, 1], [1, 0, 1, 1])
    unseen = 1 - 0.025 ** (1 / 4)  # (1 - p)^4 = 2.5 %
    assert (found.low, found.high) == (pytest.approx(-unseen), pytest.approx(unseen))
    assert found.method == "exact binomial"
    won = paired_interval([0, 0, 0, 0], [1, 1, 1, 1])
    assert (won.low, won.high) == (pytest.approx(2 * 0.025 ** (1 / 4) - 1), 1.0)


def test_classes_that_are_all_right_or_all_wrong_leave_no_interval_of_no_width() -> None:
    # Class 0 all right, class 1 all wrong, 6 videos each: either may have been otherwise with p^6 = 2.5 %.
    values, classes = np.repeat([1.0, 0.0], 6), np.repeat([0, 1], 6)
    found = bootstrap_interval(values, classes=classes)
    reach = 0.025 ** (1 / 6)
    assert (found.low, found.high) == (pytest.approx(reach / 2), pytest.approx(1 - reach / 2))
    assert found.method == "exact binomial"
    assert bootstrap_interval(values).method == "percentile bootstrap", "over videos it varies"
    # The same two systems differ on all of class 1 and nowhere else.
    gained = paired_interval(values, np.ones(12), classes=classes)
    least = optimize.minimize(
        lambda p: p[0] * 1 + p[1] * 2,  # differences 0 and 1, above the worst, which is -1
        [0.9, 0.9],
        bounds=[(1e-6, 1.0)] * 2,
        constraints={"type": "ineq", "fun": lambda p: 6 * np.log(p).sum() - np.log(0.025)},
    )
    assert gained.low == pytest.approx(least.fun / 2 - 1, abs=1e-5)
    assert gained.high == pytest.approx(1 - reach / 2), "only class 0 could have gained more"
