"""The page of one stream's scores: accuracy, confusion and classes, and how the views were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tubelet.artifacts import write_json
from tubelet.protocols.comparable import beside, done_by_streams, figures_are_hits, line_beside
from tubelet.protocols.diagnosis import DIAGNOSIS, Diagnosis
from tubelet.protocols.diagnosis_report import diagnosis_section
from tubelet.protocols.hits import Hit, hit_table
from tubelet.protocols.result import RESULT, Result
from tubelet.protocols.run_report import interval_text, published_section, result_section
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.video_level import classification_result
from tubelet.protocols.views import Average, TestViews
from tubelet.reporting.page import Page
from tubelet.reporting.text import percent


def stream_result(file: ScoreFile, views: TestViews, average: Average = "scores", seed: int = 0) -> Result:
    """The figures of one stream alone, by the mean over views of its scores before softmax or of their softmax."""
    result = classification_result(
        file.scores if average == "scores" else file.probabilities,
        file.label_names,
        file.classes,
        protocol=f"network, mean of {views.name} views {'before' if average == 'scores' else 'of the'} softmax",
        video_ids=file.video_ids,
        groups=file.groups,
        seed=seed,
        settings={**file.settings, "average": average},
        provenance=file.provenance,
        notes=file.notes,
        targets=file.every_target,
    )
    return beside(result, done_by_streams([file], average))


def stream_hits(file: ScoreFile, views: TestViews, average: Average = "scores") -> tuple[Hit, ...]:
    """hit@1 and hit@5 of videos and clips, with the papers' where there are comparable ones.

    Parameters
    ----------
    file, views, average
        As of `stream_result`; clips have figures where the file holds every view's scores.
    """
    found = hit_table(
        file.scores if average == "scores" else file.probabilities,
        file.every_target,
        views=file.view_scores,
        view_counts=file.view_counts,
        crops=views.crops_per_clip,
        groups=file.groups,
    )
    done = done_by_streams([file], average)
    if done is None:
        return found
    names = {"clip hit@1": ("clip hit@1", "clip accuracy")}
    return tuple(
        replace(hit, published=line_beside(replace(done, metrics=names.get(hit.name, (hit.name,))))) for hit in found
    )


def write_stream(
    folder: Path,
    file: ScoreFile,
    result: Result,
    views: TestViews,
    hits: Sequence[Hit] = (),
    diagnosis: Diagnosis | None = None,
) -> Path:
    """Write ``result.json``, ``report.html`` and ``plots/`` into a folder; the path of the report."""
    found = {} if diagnosis is None else {DIAGNOSIS: diagnosis.to_dict()}
    write_json(folder / RESULT, {**result.to_dict(), "hits": [hit.to_dict() for hit in hits], **found})
    page = Page(
        f"{file.settings.get('model')} on {file.provenance['dataset']['name']}",
        f"{result.n} videos ({file.settings.get('part')}), {int(file.view_counts.sum())} views",
    )
    if figures_are_hits(str(file.provenance["dataset"]["name"])):
        page.add_numbers(*[(percent(hit.value), hit.name, interval_text(hit.interval)) for hit in hits])
    else:
        page.add_numbers(
            (percent(result.value), "accuracy", interval_text(result.interval)),
            (percent(result.class_mean or 0.0), "mean over classes", interval_text(result.class_mean_interval)),
        )
    for note in result.notes:  # right below what they mark
        page.add_text(f"Note: {note}.")
    published_section(page, [("", result)])
    if diagnosis is not None:
        diagnosis_section(page, diagnosis, folder / "plots")
    if hits:
        page.add_section("Hits", "A video, or a clip, is hit at k if one of its labels is among the k best classes.")
        page.add_table(
            ["what", "number", "hit", "95 % interval", "published", "where"],
            [
                [hit.name, hit.n, percent(hit.value), interval_text(hit.interval),
                 None if hit.published is None else percent(hit.published.value),
                 None if hit.published is None else hit.published.where]
                for hit in hits
            ],
        )  # fmt: skip
    result_section(page, replace(result, notes=()), folder / "plots")
    page.add_section("Settings").add_facts(
        {
            "network": file.settings.get("model"),
            "weights": str(file.settings.get("weights_sha256"))[:12],
            "recipe": file.settings["recipe"]["name"],
            "views": str(views),
            "mean of": "scores before softmax" if result.settings["average"] == "scores" else "softmax",
            "views of a video": " to ".join(map(str, sorted({file.view_counts.min(), file.view_counts.max()}))),
            "precision": file.settings.get("precision"),
        }
    )
    page.set_provenance({**result.provenance, "settings": result.settings})
    return page.save(folder / "report.html")
