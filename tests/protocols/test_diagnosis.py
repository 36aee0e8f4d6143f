"""What a diagnosis says: of variants that tie, and where videos are too few to say much."""

from __future__ import annotations

from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.diagnosis import Diagnosis, Expected, Suspect, Tried


def interval(low: float, high: float) -> Interval:
    return Interval(low, high, 0.95, "percentile bootstrap", "video", 100, 1000)


def variant(suspect: Suspect, name: str, value: float, moves: int, reaches: bool = False) -> Tried:
    ends, apart = interval(value - 0.1, min(1.0, value + 0.1)), interval(0.1, 0.5)
    return Tried(suspect, name, value, ends, 100, value - 0.5, apart, True, reaches, moves)


def diagnosis(expected: float, low: float, high: float, *tried: Tried, n: int = 100) -> Diagnosis:
    return Diagnosis(Expected(expected, "a paper"), 0.5, interval(low, high), n, n, tried)


def test_variants_that_explain_a_figure_equally_well_are_all_named() -> None:
    found = diagnosis(
        0.98,
        0.4,
        0.6,
        variant("mean", "ImageNet's mean", 1.0, 1, True),
        variant("mean", "Kinetics' mean", 1.0, 1, True),
        variant("mean", "none", 0.9, 1, True),
        variant("color order", "BGR", 1.0, 1, True),
        variant("stride", "step 2", 0.9, 1, True),
    )
    said = found.sentence()
    assert "The mean explains it: with ImageNet's mean 100.0%" in said
    assert "The same with Kinetics' mean; the color order BGR: these videos do not tell them apart." in said
    assert "less closely: the stride, with step 2 90.0%" in said
    assert said.count("BGR") == 1
    assert "The same with" not in diagnosis(0.98, 0.4, 0.6, *found.tried[3:]).sentence()


def test_a_tie_of_those_that_come_closest_is_told_too() -> None:
    tried = [variant("mean", name, 0.7, 1) for name in ("one", "another")]
    said = diagnosis(0.9, 0.4, 0.6, *tried).sentence()
    assert said.startswith("None of the five explains it. The mean comes closest: with one 70.0%")
    assert said.endswith("The same with another: these videos do not tell them apart.")


def test_few_videos_are_no_clean_bill() -> None:
    tried = [variant("mean", "none", 0.6, 0), variant("stride", "step 2", 0.4, 0)]
    said = diagnosis(0.62, 0.2, 0.8, *tried, n=10).sentence()
    assert "there is nothing to explain, and no variant moves the figure by more than chance." in said
    assert said.endswith(
        " But with 10 videos a difference of less than 30 points would not show; closest: the mean, with none 60.0% "
        "(+10.0 points, +10.0 to +50.0)."
    )
    none = diagnosis(0.45, 0.2, 0.8, variant("mean", "none", 0.6, 0), n=10).sentence()
    assert none.endswith("less than 30 points would not show; no variant comes closer.")
    assert "would not show" not in diagnosis(0.55, 0.41, 0.6, *tried).sentence()
