"""The page of ASLAN's protocol: ROC, folds, what is in print, single similarities, and the most wrong pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tubelet.artifacts import write_json, write_text
from tubelet.clips.decode import ClipDecoder
from tubelet.clips.sampling import Sampling
from tubelet.datasets.aslan_pairs import PairView
from tubelet.errors import TubeletError
from tubelet.protocols.aslan import IMAGENET, PEOPLE, Alone, SimilarityResult, in_print
from tubelet.protocols.descriptor_done import UNTRAINED
from tubelet.protocols.film import middle_frames
from tubelet.protocols.result import RESULT
from tubelet.protocols.roc import Roc, write_curve
from tubelet.protocols.run_report import interval_text, kept
from tubelet.protocols.similarity import MEASURES
from tubelet.reporting.filmstrip import clip_strips
from tubelet.reporting.page import Page
from tubelet.reporting.roc import RocLine, roc_figure
from tubelet.reporting.strips import Strip
from tubelet.reporting.text import percent

MARGINS, CURVE = "margins.csv", "roc.txt"
_WORST = 3
_HASHES = ("weights_sha256", "recipe_hash", "sampling")
_LINES = (PEOPLE, IMAGENET)  # drawn beside any network


def write_similarity(
    folder: Path,
    outcome: SimilarityResult,
    view: PairView,
    *,
    names: Mapping[int, str] | None = None,
    videos: Mapping[int, Path] | None = None,
    curves: Mapping[str, Roc] | None = None,
    fps: float | None = None,
) -> Path:
    """Write ``result.json``, ``margins.csv``, ``roc.txt``, ``report.html`` and ``plots/``; the path of the report.

    Parameters
    ----------
    folder
        Where to.
    outcome, view
        The figures, and the pairs that they rest on.
    names
        Of the actions, by id.
    videos
        Where the samples lie, for film strips of the pairs that went most wrong.
    curves
        ROC curves of others, by name.
    fps
        Frames per second of folders of frames.
    """
    result, cross = outcome.result, outcome.cross
    write_json(folder / RESULT, outcome.to_dict())
    write_curve(folder / CURVE, cross.roc)
    write_text(folder / MARGINS, _margins(outcome, view))
    network = str(result.settings.get("model", "descriptors"))
    page = Page(f"ASLAN View {view.number}: {network}", f"{result.n} pairs of videos, same action or not")
    error = cross.standard_error
    page.add_numbers(
        (percent(result.value), "accuracy",
         "one fold" if error is None else f"± {100 * error:.1f} standard error over {len(cross.folds)} folds"),
        (f"{100 * cross.auc:.1f}", "area under the ROC", "mean of the folds"),
        *([] if result.published is None else
          [(percent(result.published.value), "published", f"{result.published.source}; {result.published.note}")]),
    )  # fmt: skip
    page.add_section("ROC")
    page.add_figure(kept(_roc(outcome, curves or {}), folder / "plots" / "roc.png"))
    page.add_section("Beside print", "Ours in the first row. Figures in percent.")
    page.add_table(
        ["what", "accuracy", "AUC", "source"],
        [
            [f"{network}, {len(result.settings['layers'])} layers x {len(MEASURES)} similarities",
             percent(result.value), f"{100 * cross.auc:.1f}", "this run"],
            *([line.what, percent(line.accuracy.value), "–" if line.auc is None else f"{100 * line.auc.value:.1f}",
               f"{line.accuracy.tag}: {line.accuracy.source}"]
              for line in in_print()),
        ],
        highlight=0,
    )  # fmt: skip
    page.add_section("Folds", f"95 % interval of the accuracy, folds resampled: {interval_text(result.interval)}."
                     if result.interval else "")  # fmt: skip
    page.add_table(
        ["tested on", "pairs", "accuracy", "AUC", "C"],
        [[fold.name, fold.pairs, percent(fold.accuracy), f"{100 * fold.auc:.1f}", fold.svm_c] for fold in cross.folds],
    )
    if outcome.alone:
        _alone(page, outcome.alone, result.settings)
    _worst(page, outcome, view, names or {}, videos or {}, fps)
    for note in result.notes:
        page.add_text(f"Note: {note}.")
    page.add_section("Settings").add_facts(_facts(result.settings))
    page.set_provenance({**result.provenance, "settings": result.settings})
    return page.save(folder / "report.html")


def _facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in words; hashes stand with the provenance, where they can be compared."""
    facts = {name: value for name, value in settings.items() if value and name not in _HASHES}
    if str(settings.get("weights_sha256", "")).startswith(UNTRAINED):
        facts["weights"] = "network never trained"
    if "sampling" in settings:
        facts["sampling"] = _clips(Sampling.from_dict(json.loads(settings["sampling"])))
    return facts


def _clips(sampling: Sampling) -> str:
    """Such as ``16-frame clips, every 8 frames``."""
    if sampling.policy == "dense":
        where = f"every {sampling.stride_frames} frames"
    else:
        where = sampling.policy if sampling.n_clips is None else f"{sampling.n_clips} a video, {sampling.policy}"
    step = "" if sampling.step_frames == 1 else f" of every {sampling.step_frames}th frame"
    return f"{sampling.clip_length}-frame clips{step}, {where}"


def _roc(outcome: SimilarityResult, curves: Mapping[str, Roc]) -> Any:
    cross = outcome.cross
    lines = [RocLine("this run", cross.roc.false_positive, cross.roc.true_positive)]
    lines += [RocLine(name, one.false_positive, one.true_positive, strong=False) for name, one in curves.items()]
    printed = outcome.result.published
    drawn = {*_LINES, "" if printed is None else printed.method}
    others = [
        (line.what.partition(":")[0] + " (computed)" * (line.accuracy.tag == "computed"), line.accuracy.value)
        for line in in_print()
        if line.what in drawn
    ]
    caption = (
        "Mean over the folds at every false-positive share. Dashed: what others reached in print, whose curves are "
        "not: all points of one accuracy, half of the pairs being the same. Dotted: guessing."
    )
    return roc_figure(lines, others, title="Same action or not", caption=caption)


def _alone(page: Page, parts: Sequence[Alone], settings: Mapping[str, Any]) -> None:
    layers = settings["layers"]
    searched = "; all together is the headline, whose C each fold chose" if settings["search_c"] else ""
    found = {(part.layer, part.measure): part for part in parts}
    columns = [*layers, "all"]
    formulas = {measure.name: measure.formula for measure in MEASURES}
    rows = [*formulas, "all"]
    page.add_section(
        "Single similarities and layers",
        f"Each judged by an SVM of its own with C = {settings['C']:g}, on the same folds{searched}. What is called "
        "sums one compares vectors scaled to a sum of one. The dot product and the cosine of descriptors of length one "
        "are the same number.",
    )
    for what in ("accuracy", "auc"):
        page.add_table(
            ["similarity", "formula", *columns],
            [
                [
                    name,
                    formulas.get(name, "together"),
                    *(f"{100 * getattr(found[layer, name], what):.1f}" for layer in columns),
                ]
                for name in rows
            ],
            highlight=len(rows) - 1,
            caption="Accuracy in percent" if what == "accuracy" else "Area under the ROC, times 100",
        )


def _worst(
    page: Page,
    outcome: SimilarityResult,
    view: PairView,
    names: Mapping[int, str],
    videos: Mapping[int, Path],
    fps: float | None,
) -> None:
    """The same pairs farthest on the wrong side, then the not-same ones."""
    margins = outcome.cross.margins
    chosen: list[int] = []
    for same in (True, False):
        off = -margins if same else margins
        wrong = np.flatnonzero((view.same == same) & (off > 0))
        chosen += wrong[np.argsort(-off[wrong], kind="stable")][:_WORST].tolist()
    if not chosen:
        return
    page.add_section(
        "Most wrong", "Pairs of the same action that look least alike, then pairs of two that look most so."
    )

    def named(row: int, side: int) -> str:
        action = int(view.actions[row, side])
        return names.get(action, f"action {action}") if action else ""

    page.add_table(
        ["samples", "actions", "truth", "margin"],
        [
            [
                " and ".join(f"{sample:04d}" for sample in view.samples[row].tolist()),
                " and ".join(dict.fromkeys(filter(None, (named(row, 0), named(row, 1))))),
                "same" if view.same[row] else "not same",
                f"{margins[row]:+.2f}",
            ]
            for row in chosen
        ],
    )
    strips = []
    with ClipDecoder() as decoder:
        for row in chosen:
            pair = []
            for side, sample in enumerate(view.samples[row].tolist()):
                path = videos.get(sample)
                try:
                    report = None if path is None else decoder.measure(path, fps)
                except TubeletError:  # it was read a moment ago; the figures stand without its picture
                    report = None
                frames = None if path is None or report is None else middle_frames(path, report, decoder)
                if frames is not None:
                    detail = f"{sample:04d}, margin {margins[row]:+.2f}"
                    pair.append(Strip(frames, named(row, side), detail, correct=False))
            strips += pair if len(pair) == 2 else []
    if strips:
        caption = "Two videos of a pair side by side, with the margin: above 0 they were taken for the same action."
        page.add_figure(clip_strips(strips, frames_shown=4, columns=2, title="Most wrong pairs", caption=caption))


def _margins(outcome: SimilarityResult, view: PairView) -> str:
    rows = zip(view.fold.tolist(), view.samples.tolist(), view.same.tolist(), outcome.cross.margins, strict=True)
    lines = [
        f"{view.folds[fold]},{first},{second},{int(same)},{margin:.9g}"
        for fold, (first, second), same, margin in rows
        if np.isfinite(margin)
    ]
    return "\n".join(["fold,first,second,same,margin", *lines]) + "\n"
