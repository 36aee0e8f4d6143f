"""The mean over official splits, which is what papers print for UCF101 and HMDB51."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tubelet.artifacts import write_json
from tubelet.protocols.bootstrap import bootstrap_interval
from tubelet.protocols.comparable import ALL_SPLITS, beside, compared
from tubelet.protocols.metrics import per_class_table
from tubelet.protocols.result import RESULT, Result, results_in
from tubelet.protocols.run_report import interval_text, kept, published_section, result_bar, result_section
from tubelet.provenance import environment
from tubelet.reporting.bars import interval_bars
from tubelet.reporting.page import Page
from tubelet.reporting.text import percent

BySplit = Mapping[int, Sequence[Result]]
"""Of one way of predicting: a result for each seed, by split."""


def mean_over_splits(results: BySplit) -> Result:
    """One result whose figures are means over splits of the splits' own.

    The interval resamples groups of videos (videos, where there are fewer than ten groups) over all splits at once: a
    group that several splits test on is drawn for all of them. Several seeds are averaged video by video.

    Parameters
    ----------
    results
        At least one split; each with as many seeds, which list the same videos.

    Returns
    -------
    Result
        ``n`` counts the test videos of all splits. ``settings["splits"]`` has each split's accuracy. The published
        figure is that of the mean, if all three splits are there.
    """
    splits = sorted(results)
    classes = results[splits[0]][0].classes
    column = {name: index for index, name in enumerate(classes)}
    right: list[float] = []
    groups: list[str] = []
    of_split: list[int] = []
    of_class: list[int] = []
    for place, split in enumerate(splits):
        seeds = results[split]
        for outcomes in zip(*(one.predictions for one in seeds), strict=True):
            first = outcomes[0]
            right.append(float(np.mean([each.predicted == each.label for each in outcomes])))
            # Without groups every video is its own, so that one in two splits is still drawn as one.
            groups.append(first.group if first.group is not None else first.video_id)
            of_split.append(place)
            of_class.append(place * len(classes) + column[first.label])
    by_split, by_class = np.array(of_split), np.array(of_class)
    values = {split: float(np.mean([one.value for one in results[split]])) for split in splits}
    every = [one for split in splits for one in results[split]]
    confusion = np.sum([one.confusion for one in every], axis=0)
    first_result = every[0]
    mean = Result(
        protocol=f"{first_result.protocol}, mean of splits {', '.join(map(str, splits))}",
        metric=first_result.metric,
        value=float(np.mean(list(values.values()))),
        n=len(right),
        interval=bootstrap_interval(right, groups, classes=by_split),
        class_mean=float(np.mean([one.class_mean for one in every])),
        class_mean_interval=bootstrap_interval(right, groups, classes=by_class),
        top_k={k: float(np.mean([one.top_k[k] for one in every])) for k in first_result.top_k},
        classes=classes,
        per_class=per_class_table(confusion, classes),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        settings={**first_result.settings, "splits": {str(split): value for split, value in values.items()}},
        provenance=environment(dataset=_dataset([results[split][0] for split in splits])),
        notes=tuple(dict.fromkeys(f"split {split}: {note}" for split in splits for note in results[split][0].notes)),
    )
    done = compared(first_result)
    if done is None:
        return mean
    named = ALL_SPLITS if splits == [1, 2, 3] else f"mean of {', '.join(map(str, splits))}"
    return beside(mean, replace(done, split=named, videos=mean.n))


def read_results(folder: Path) -> list[list[Result]]:
    """What a run on one split left: for each way of predicting, a result per seed, the paper's way first."""
    here = folder / RESULT
    files = [here] if here.exists() else sorted(folder.glob(f"seed*/{RESULT}"))
    found: dict[str, list[Result]] = {}
    for file in files:
        for keys, fields in results_in(json.loads(file.read_text(encoding="utf-8"))):
            found.setdefault("/".join(keys[-1:]), []).append(Result.from_dict(fields))
    return list(found.values())


def _dataset(results: Sequence[Result]) -> dict[str, Any]:
    """What the splits have in common of their data set's record."""
    records = [dict(one.provenance.get("dataset", {})) for one in results]
    first = records[0]
    same = {key: value for key, value in first.items() if all(other.get(key) == value for other in records)}
    return {**same, "name": str(first.get("name", "")).partition("-split")[0]} if first else {}


def write_means(root: Path, title: str, by_head: Sequence[BySplit]) -> tuple[list[Result], Path]:
    """Write ``result.json`` and ``report.html`` of all splits into ``root``; the means, and the report's path."""
    means = [mean_over_splits(results) for results in by_head]
    write_json(root / RESULT, {"means": [mean.to_dict() for mean in means]})
    splits = sorted(by_head[0])
    page = Page(title, f"{means[0].n} test videos in {len(splits)} splits, {len(means[0].classes)} classes")
    page.add_numbers(*[(percent(mean.value), mean.protocol, interval_text(mean.interval)) for mean in means])
    page.add_section("Accuracy")
    bars = []
    rows: list[list[Any]] = []
    for mean, results in zip(means, by_head, strict=True):
        head = results[splits[0]][0].protocol
        bars.append(replace(result_bar(mean, head, strong=True), label="mean of splits"))
        rows.append([mean.protocol, "mean", mean.n, percent(mean.value), interval_text(mean.interval)])
        for split in splits:
            one = results[split][0]
            value = mean.settings["splits"][str(split)]
            bar = result_bar(replace(one, published=None, value=value), head, strong=False)
            bars.append(replace(bar, label=f"split {split}"))
            rows.append([one.protocol, split, one.n, percent(value), interval_text(one.interval)])
    unit = "videos" if means[0].interval is None else f"{means[0].interval.unit}s"
    caption = f"Share of videos recognized; whiskers: 95 % bootstrap interval over {unit}. Dashed: chance."
    chance = 1 / len(means[0].classes)
    page.add_figure(kept(interval_bars(bars, chance=chance, caption=caption), root / "plots" / "accuracy.png"))
    page.add_table(["prediction", "split", "videos", "accuracy", "95 % interval"], rows)
    published_section(page, [("", mean) for mean in means])
    for mean in means:
        result_section(page, mean, root / "plots")
    page.set_provenance(environment(settings=dict(means[0].settings)))
    return means, page.save(root / "report.html")
