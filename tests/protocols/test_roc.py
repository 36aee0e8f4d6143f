"""The ROC against scikit-learn, and its mean over folds against a plain count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from tubelet.errors import InputDataError
from tubelet.protocols.roc import Roc, mean_roc, read_curve, roc_curve, write_curve


def made(seed: int, n: int = 60, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.random(n) < 0.4
    scores = rng.normal(size=n) + same
    return (scores if levels is None else np.round(scores * levels)), same


@pytest.mark.parametrize("levels", [None, 2, 0])
@pytest.mark.parametrize("seed", range(4))
def test_points_and_area_are_scikit_learns(seed: int, levels: int | None) -> None:
    scores, same = made(seed, levels=levels)  # with ties; with 0 levels all scores are equal
    ours = roc_curve(scores, same)
    false, true, _ = metrics.roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_allclose(ours.false_positive, false)
    np.testing.assert_allclose(ours.true_positive, true)
    assert ours.auc == pytest.approx(metrics.roc_auc_score(same, scores))


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    scores, same = made(9, levels=1)
    wins = [float(a > b) + 0.5 * float(a == b) for a in scores[same] for b in scores[~same]]
    assert roc_curve(scores, same).auc == pytest.approx(np.mean(wins))


def test_perfect_reversed_and_one_kind() -> None:
    same = np.array([True, False, True, False])
    assert roc_curve([3, 1, 4, 2], same).auc == 1.0
    assert roc_curve([1, 3, 2, 4], same).auc == 0.0
    for kind in (True, False):
        with pytest.raises(ValueError, match="same and not-same"):
            roc_curve([1, 2], [kind, kind])


def test_the_mean_curve_has_the_mean_area_and_lies_between() -> None:
    curves = [roc_curve(*made(seed, n=20 + 7 * seed, levels=None if seed % 2 else 2)) for seed in range(5)]
    mean = mean_roc(curves)
    assert mean.auc == pytest.approx(np.mean([curve.auc for curve in curves]), abs=1e-12)
    assert (np.diff(mean.false_positive) >= 0).all()
    assert (np.diff(mean.true_positive) >= -1e-12).all()
    assert (mean.false_positive[0], mean.true_positive[0]) == (0.0, 0.0)
    assert (mean.false_positive[-1], mean.true_positive[-1]) == (1.0, 1.0)
    # Between two points no curve rises at once, so linear interpolation of each is the truth.
    for share in np.setdiff1d(np.linspace(0.013, 0.987, 31), mean.false_positive):
        each = [np.interp(share, curve.false_positive, curve.true_positive) for curve in curves]
        assert np.interp(share, mean.false_positive, mean.true_positive) == pytest.approx(np.mean(each), abs=1e-12)


def test_the_mean_of_two_steps_by_hand() -> None:
    first = Roc(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    second = Roc(np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    mean = mean_roc([first, second])
    assert mean.false_positive.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert mean.true_positive.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert mean.auc == 0.5


def test_files_are_as_on_aslans_page(tmp_path: Path) -> None:
    curve = roc_curve(*made(3))
    path = write_curve(tmp_path / "roc.txt", curve)
    true, false = map(float, path.read_text().splitlines()[5].split())
    assert (true, false) == pytest.approx((curve.true_positive[5], curve.false_positive[5]))
    assert read_curve(path).auc == pytest.approx(curve.auc, abs=1e-6)
    (tmp_path / "falling.txt").write_text("1 1\n0.8 0.4\n0.5 0.1\n")
    back = read_curve(tmp_path / "falling.txt")
    assert back.false_positive.tolist() == [0.0, 0.1, 0.4, 1.0, 1.0]
    assert back.true_positive.tolist() == [0.0, 0.5, 0.8, 1.0, 1.0]


@pytest.mark.parametrize("text", ["", "0.1\n", "a b\n", "0.1 1.2\n", "0.9 0.1\n0.2 0.5\n"])
def test_what_is_no_curve_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "roc.txt").write_text(text)
    with pytest.raises(InputDataError, match="ROC cannot be read"):
        read_curve(tmp_path / "roc.txt")
