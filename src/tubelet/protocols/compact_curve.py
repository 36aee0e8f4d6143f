"""Accuracy over the numbers a descriptor is reduced to: the points, what each loses, and which is the smallest good."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tubelet.failures import FailedVideo
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.result import Result
from tubelet.reporting.text import aligned

MOST_LOST = 0.01
"""What the smallest variant has to lose less than: one percentage point of accuracy."""

_BYTES = {"float32": 4, "int8": 1}


@dataclass(frozen=True)
class Variant:
    """A descriptor as it is stored.

    Attributes
    ----------
    length
        Numbers of the whole descriptor.
    components
        Principal components that are kept; None: all numbers as they are.
    bits
        ``"float32"`` or ``"int8"``.
    """

    length: int
    components: int | None
    bits: str

    @property
    def numbers(self) -> int:
        """How many numbers are stored for a video."""
        return self.length if self.components is None else self.components

    @property
    def bytes_per_video(self) -> int:
        """What they take."""
        return self.numbers * _BYTES[self.bits]

    @property
    def bytes_once(self) -> int:
        """What is needed to use them, once for all videos, in float32: mean and components, lowest values and steps."""
        basis = 0 if self.components is None else (self.components + 1) * self.length
        return 4 * (basis + (2 * self.numbers if self.bits == "int8" else 0))

    @property
    def key(self) -> str:
        """A name, such as ``pca100_int8`` or ``all_float32``."""
        return f"{'all' if self.components is None else f'pca{self.components}'}_{self.bits}"

    @property
    def words(self) -> str:
        """Such as ``100 principal components, int8``."""
        what = f"{self.length:,} numbers" if self.components is None else f"{self.components} principal components"
        return what + (f", {self.bits}" if self.bits != "float32" else "")


@dataclass(frozen=True, eq=False)
class Point:
    """One variant's figure.

    Attributes
    ----------
    variant, result
        What was stored, and how often the videos were recognized by it.
    loss
        Accuracy of the whole descriptor in float32 minus this one's, on the same videos.
    loss_interval
        Its paired bootstrap interval; None of the whole descriptor itself.
    unchanged
        Whether it is right on exactly the videos that the whole descriptor is right on.
    """

    variant: Variant
    result: Result
    loss: float
    loss_interval: Interval | None
    unchanged: bool = False

    @property
    def good(self) -> bool:
        """Whether it loses less than one percentage point: by the figure itself, whatever its interval."""
        return self.loss < MOST_LOST

    @property
    def lost(self) -> str:
        """Such as ``loses 0.3 points (95% interval of the loss -0.2 to 0.9, which excludes 1)``."""
        ends = self.loss_interval
        assert ends is not None
        if self.unchanged:
            # Without one video to count the interval is an exact bound, and "nothing, -6.0 to 6.0" reads as a mistake.
            bound = f"{100 * ends.high:.1f} points"
            return f"right on the same videos as all numbers in float32; a loss of up to {bound} is not excluded"
        excluded = "excludes" if ends.high < MOST_LOST else "does not exclude"
        return (
            f"{_lost(self.loss)} ({ends.level:.0%} interval of the loss {100 * ends.low:.1f} to {100 * ends.high:.1f}, "
            f"which {excluded} {100 * MOST_LOST:g})"
        )

    def to_dict(self, *, videos: bool) -> dict[str, Any]:
        """JSON-ready: the Result's fields, the outcome of each video with ``videos``, and what belongs to a point."""
        shown = self.result if videos else replace(self.result, predictions=(), confusion=(), per_class=())
        return {
            **shown.to_dict(),
            "variant": self.variant.key,
            "numbers": self.variant.numbers,
            "bytes_per_video": self.variant.bytes_per_video,
            "bytes_once": self.variant.bytes_once,
            "loss": self.loss,
            "loss_interval": None if self.loss_interval is None else self.loss_interval.to_dict(),
            "unchanged": self.unchanged,
        }


@dataclass(frozen=True)
class Skipped:
    """A number of components that cannot be had.

    Attributes
    ----------
    dims
        The number.
    fold, n_train, rank
        The fold whose training videos span the fewest directions (empty where there is but one), how many videos these
        are, and how many directions.
    """

    dims: int
    fold: str
    n_train: int
    rank: int


@dataclass(frozen=True, eq=False)
class Curve:
    """One table's points.

    Attributes
    ----------
    name, layer, length
        Of the table; how many numbers a whole descriptor has.
    points
        By number of components, the whole descriptor last; of each, float32 before int8.
    skipped
        Numbers of components that at least one fold does not have.
    notes
        What a reader should know, such as a solver that did not converge.
    """

    name: str
    layer: str
    length: int
    points: tuple[Point, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> Point:
        """The descriptor as it is."""
        return self.at(None, "float32")

    @property
    def smallest(self) -> Point:
        """Of the points that lose less than one percentage point the one of fewest bytes; of equal ones the better."""
        return min((one for one in self.points if one.good), key=lambda one: (one.variant.bytes_per_video, one.loss))

    @property
    def fewest(self) -> Point:
        """Of these points the one of fewest numbers; of equal ones that of fewer bytes."""
        good = (one for one in self.points if one.good)
        return min(good, key=lambda one: (one.variant.numbers, one.variant.bytes_per_video))

    @property
    def chance(self) -> float:
        """The share that guessing one class of all gets right."""
        return 1.0 / len(self.whole.result.classes)

    @property
    def near_chance(self) -> bool:
        """Whether the whole descriptor is not told from guessing: then there is nothing to lose, and no choice."""
        ends = self.whole.result.interval
        return ends is not None and ends.low <= self.chance

    @property
    def chosen(self) -> Point | None:
        """The smallest that serves; None where the whole descriptor is near chance."""
        return None if self.near_chance else self.smallest

    def at(self, components: int | None, bits: str) -> Point:
        """The point of a variant."""
        return next(one for one in self.points if (one.variant.components, one.variant.bits) == (components, bits))

    def choice(self) -> str:
        """The smallest good variant, in a sentence without a period."""
        point, whole, full = self.chosen, self.whole.variant, self.whole.result
        if point is None:
            assert full.interval is not None
            return (
                f"{self.name}: none is chosen, all {whole.length:,} numbers are near chance: {full.value:.1%} "
                f"({full.interval.low:.1%} to {full.interval.high:.1%}), guessing {self.chance:.1%}"
            )
        if point is self.whole:
            return f"{self.name}: nothing smaller than all {whole.length:,} numbers loses less than " + _points(
                MOST_LOST
            )
        text = (
            f"{self.name}: {point.variant.words}, {point.variant.bytes_per_video:,} bytes a video for "
            f"{whole.bytes_per_video:,}, {point.lost}"
        )
        fewest = self.fewest
        if fewest.variant.numbers < point.variant.numbers:
            text += f"; fewest numbers: {fewest.variant.words}, {_lost(fewest.loss)}"
        return text


@dataclass(frozen=True, eq=False)
class Compactness:
    """The outcome; ``print`` shows it, ``to_dict()`` is JSON-ready.

    Attributes
    ----------
    dataset, title
        What was tested on, and which part of it.
    curves
        One for each table.
    notes
        What a reader should know.
    settings
        What was tried.
    failed
        Videos of training and test without a vector in every table.
    """

    dataset: str
    title: str
    curves: tuple[Curve, ...]
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    failed: tuple[FailedVideo, ...] = ()

    @property
    def skipped(self) -> list[str]:
        """The numbers of components that could not be had, in sentences without periods."""
        found: dict[tuple[str, str, int, int], list[int]] = {}
        for curve in self.curves:
            for each in curve.skipped:
                found.setdefault((curve.name, each.fold, each.n_train, each.rank), []).append(each.dims)
        return [
            f"{name}: {', '.join(map(str, dims))} principal components, because the {n_train} training videos"
            f"{f' of {fold}' if fold else ''} span {rank} directions"
            for (name, fold, n_train, rank), dims in found.items()
        ]

    def rows(self) -> Iterator[tuple[int, str, bool, list[Point | None]]]:
        """By numbers and kind of number: how many, which, whether it is all of a table, and each table's point."""
        keys = {
            (p.variant.numbers, p.variant.components is None, p.variant.bits) for c in self.curves for p in c.points
        }
        for numbers, whole, bits in sorted(keys):
            found = [
                next(
                    (
                        one
                        for one in curve.points
                        if (one.variant.numbers, one.variant.components is None, one.variant.bits)
                        == (numbers, whole, bits)
                    ),
                    None,
                )
                for curve in self.curves
            ]
            yield numbers, bits, whole, found

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; every point is a Result with more fields, of which the whole and the chosen list their videos."""
        return {
            "dataset": self.dataset,
            "part": self.title,
            "tables": {
                curve.name: {
                    "layer": curve.layer,
                    "length": curve.length,
                    "points": [one.to_dict(videos=one is curve.whole or one is curve.smallest) for one in curve.points],
                    "skipped": [asdict(each) for each in curve.skipped],
                    "smallest": curve.smallest.variant.key,
                    "fewest": curve.fewest.variant.key,
                    "near_chance": curve.near_chance,
                }
                for curve in self.curves
            },
            "settings": dict(self.settings),
            "notes": list(self.notes),
        }

    def csv(self) -> str:
        """One line for each point."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(
            ["table", "numbers", "components", "stored_as", "bytes_per_video", "bytes_once", "accuracy", "low", "high",
             "loss", "loss_low", "loss_high", "published", "videos"]
        )  # fmt: skip
        for curve in self.curves:
            for one in curve.points:
                ends, lost, line = one.result.interval, one.loss_interval, one.result.published
                writer.writerow(
                    [curve.name, one.variant.numbers, one.variant.components or "", one.variant.bits,
                     one.variant.bytes_per_video, one.variant.bytes_once, f"{one.result.value:.6f}",
                     *(("", "") if ends is None else (f"{ends.low:.6f}", f"{ends.high:.6f}")), f"{one.loss:.6f}",
                     *(("", "") if lost is None else (f"{lost.low:.6f}", f"{lost.high:.6f}")),
                     "" if line is None else f"{line.value:.4f}", one.result.n]
                )  # fmt: skip
        return buffer.getvalue()

    def __str__(self) -> str:
        first = self.curves[0].whole.result
        ends = first.interval
        over = "" if ends is None else f"; {ends.level:.0%} intervals over {ends.n_units} {ends.unit}s"
        part = f" ({self.title})" if self.title else ""
        lines = [f"{self.dataset}{part}: accuracy of a linear SVM on {first.n} videos{over}"]
        table = [["numbers", "stored as", "bytes", *(curve.name for curve in self.curves)]]
        for numbers, bits, whole, points in self.rows():
            size = next(one for one in points if one is not None).variant.bytes_per_video
            shown = [_cell(one, one is not None and one is curve.chosen)
                     for one, curve in zip(points, self.curves, strict=True)]  # fmt: skip
            table.append([f"all {numbers:,}" if whole else f"{numbers:,}", bits, f"{size:,}", *shown])
        lines += [f"  {line}" for line in aligned(table, right=(0, 2))]
        lines += ["  * the fewest bytes that lose less than one percentage point, by the figure itself"]
        lines += [f"  {curve.choice()}" for curve in self.curves]
        lines += [f"  left out: {each}" for each in self.skipped]
        lines += [f"  in print: {one.result.protocol}: {one.result.published}" for curve in self.curves
                  for one in curve.points if one.result.published is not None]  # fmt: skip
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def _cell(point: Point | None, chosen: bool) -> str:
    if point is None:
        return "-"
    ends, line = point.result.interval, point.result.published
    between = "" if ends is None else f" ({ends.low:.1%} to {ends.high:.1%})"
    paper = "" if line is None else f", paper {line.value:.1%}"
    return f"{point.result.value:.1%}{between}{paper}{' *' if chosen else ''}"


def _lost(share: float) -> str:
    """``loses 0.3 points``, or ``gains`` where it is negative."""
    shown = f"{100 * abs(share):.1f}"
    return f"{'gains' if share < 0 else 'loses'} {shown} points" if float(shown) else "loses nothing"


def _points(share: float) -> str:
    return f"{100 * share:g} percentage point"
