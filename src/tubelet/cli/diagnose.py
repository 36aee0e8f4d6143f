"""``--diagnose`` of ``tubelet evaluate``: its options, and the diagnosis after a test of given weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.options import say
from tubelet.cli.splits import WITH_SPLITS
from tubelet.errors import InputDataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tubelet.datasets.manifest import Manifest
    from tubelet.protocols.diagnosis import Diagnosis, Expected
    from tubelet.protocols.diagnosis_descriptors import DescriptorTest
    from tubelet.protocols.diagnosis_network import NetworkTest
    from tubelet.protocols.result import Result

FOLDER = "diagnosis"
"""Folder of the variants in that of a run."""

DiagnoseOption = Annotated[
    bool,
    typer.Option(
        "--diagnose",
        help="Given weights: say which of color order, mean, stride, normalization and split moves the figure.",
    ),
]
ExpectedOption = Annotated[
    float | None,
    typer.Option(
        "--expected",
        help="--diagnose: the figure that ours should be, such as 0.823.",
        show_default="the published one",
    ),
]
DiagnoseVideosOption = Annotated[
    int | None,
    typer.Option(
        "--diagnose-videos",
        min=10,
        help="--diagnose: videos that variants are scored on.",
        show_default="200; descriptors 1000",
    ),
]
DiagnoseMeanOption = Annotated[
    Path | None, typer.Option("--diagnose-mean", help="--diagnose: a mean volume (npy, BGR) to be tried, too.")
]


class DiagnoseOptions:
    """What was asked for.

    Parameters
    ----------
    wanted, expected, videos, mean
        As the options.

    Raises
    ------
    UsageError
        Options of the diagnosis without ``--diagnose``, or a figure that is no share.
    """

    def __init__(self, wanted: bool, expected: float | None, videos: int | None, mean: Path | None) -> None:
        given = {"--expected": expected, "--diagnose-videos": videos, "--diagnose-mean": mean}
        odd = [name for name, value in given.items() if value is not None]
        if odd and not wanted:
            raise UsageError(f"{', '.join(odd)}: these are for a diagnosis", remedy="add --diagnose")
        if expected is not None and not 0 <= expected <= 1:
            raise UsageError(f"--expected cannot be {expected:g}", remedy="give a share between 0 and 1, such as 0.823")
        self.wanted, self.expected, self.videos, self.mean = wanted, expected, videos, mean

    def refuse_unknown(self, test: Manifest) -> None:
        """Refuse to begin where nothing in print can be comparable and no figure is given.

        Raises
        ------
        UsageError
            So it is.
        """
        from tubelet.protocols.comparable import official

        if self.wanted and self.expected is None and official(test.name) is None:
            raise UsageError(
                f"nothing in print is comparable with a figure on {test.name}",
                remedy="say with --expected what it should be",
            )

    @staticmethod
    def hint(result: Result) -> None:
        """Say that a diagnosis could be made where the published figure lies outside the interval."""
        from tubelet.protocols.diagnosis import expected_of, off

        expected = expected_of(result, None)
        if expected is not None and off(result, expected):
            say("the published figure lies outside the interval: --diagnose tries the five usual suspects")

    def network(self, test: NetworkTest, folder: Path) -> Diagnosis | None:
        """The diagnosis of a network's test, or None where none is wanted."""
        from tubelet.protocols.diagnosis_network import MOST_VIDEOS, diagnose_network

        def run(expected: Expected) -> Diagnosis:
            most = self.videos or MOST_VIDEOS
            return diagnose_network(test, expected, folder / FOLDER, mean=self.mean, most=most, tell=say)

        return self._diagnosed(test.result, run)

    def descriptors(self, test: DescriptorTest, folder: Path) -> Diagnosis | None:
        """The diagnosis of an SVM on a descriptor table, or None where none is wanted."""
        from tubelet.protocols.diagnosis_descriptors import MOST_VIDEOS, diagnose_descriptors

        def run(expected: Expected) -> Diagnosis:
            most = self.videos or MOST_VIDEOS
            return diagnose_descriptors(test, expected, folder / FOLDER, mean=self.mean, most=most, tell=say)

        return self._diagnosed(test.result, run)

    def _diagnosed(self, result: Result, run: Callable[[Expected], Diagnosis]) -> Diagnosis | None:
        from tubelet.protocols.diagnosis import expected_of

        if not self.wanted:
            self.hint(result)
            return None
        expected = expected_of(result, self.expected)
        if expected is None:
            raise UsageError("no published figure is comparable", remedy="say with --expected what it should be")
        return run(expected)


def other_splits(kind: str, split: int, reopen: Callable[..., Manifest]) -> list[tuple[str, Manifest]]:
    """The test parts of a data set's other official splits, named; none where it has no such splits.

    ``reopen(split=N)`` opens the data set as it was opened.
    """
    from tubelet.datasets.splits import official_fold

    found = []
    for number in (1, 2, 3) if kind in WITH_SPLITS else ():
        if number == split:
            continue
        try:
            fold = official_fold(reopen(split=number))
        except InputDataError as error:
            say(f"diagnosis: split {number} is not tried: {error}")
            continue
        if fold is not None:
            found.append((f"split {number}'s test part", fold.test))
    return found
