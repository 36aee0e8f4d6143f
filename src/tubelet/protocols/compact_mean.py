"""The mean of compactness curves over official splits, which test on different videos of one data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tubelet.protocols.bootstrap import paired_interval
from tubelet.protocols.compact_curve import Compactness, Curve, Point, Variant
from tubelet.protocols.split_mean import mean_over_splits


def mean_compactness(parts: Mapping[int, Compactness]) -> Compactness:
    """The means over official splits, at the variants that all of them have.

    Parameters
    ----------
    parts
        By split: of the same tables and settings.
    """
    splits = sorted(parts)
    first = parts[splits[0]]
    named = ", ".join(map(str, splits))
    curves = []
    for place, curve in enumerate(first.curves):
        same = [parts[split].curves[place] for split in splits]
        shared = [one.variant for one in curve.points if all(_has(other, one.variant) for other in same)]
        points = [_mean_point(dict(zip(splits, same, strict=True)), variant) for variant in shared]
        skipped = tuple(
            replace(each, fold=f"split {split}")
            for split, other in zip(splits, same, strict=True)
            for each in other.skipped
        )
        curves.append(replace(curve, points=tuple(points), skipped=skipped))
    notes = [f"split {split}: {note}" for split in splits for note in parts[split].notes]
    return replace(
        first,
        dataset=first.dataset.partition("-split")[0],
        title=f"mean of splits {named}",
        curves=tuple(curves),
        notes=tuple(dict.fromkeys(notes)),
        failed=(),
    )


def _has(curve: Curve, variant: Variant) -> bool:
    return any(one.variant == variant for one in curve.points)


def _mean_point(curves: Mapping[int, Curve], variant: Variant) -> Point:
    points = {split: curve.at(variant.components, variant.bits) for split, curve in curves.items()}
    wholes = {split: curve.whole for split, curve in curves.items()}
    result = mean_over_splits({split: [one.result] for split, one in points.items()})
    if variant == next(iter(wholes.values())).variant:
        return Point(variant, result, 0.0, None)
    after, before, groups, of = [], [], [], []
    for place, split in enumerate(curves):
        for mine, full in zip(points[split].result.predictions, wholes[split].result.predictions, strict=True):
            after.append(mine.predicted == mine.label)
            before.append(full.predicted == full.label)
            groups.append(mine.group if mine.group is not None else mine.video_id)
            of.append(place)
    seed = int(next(iter(points.values())).result.settings["bootstrap_seed"])
    interval = paired_interval(after, before, groups, classes=np.array(of), seed=seed)
    loss = float(np.mean([one.loss for one in points.values()]))
    return Point(variant, result, loss, interval, unchanged=after == before)
