"""The page of one stream's scores: accuracy, confusion and classes, and how the views were made."""

from __future__ import annotations

from pathlib import Path

from tubelet.artifacts import write_json
from tubelet.protocols.result import Result
from tubelet.protocols.run_report import interval_text, result_section
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.video_level import classification_result
from tubelet.protocols.views import TestViews
from tubelet.reporting.page import Page
from tubelet.reporting.text import percent

RESULT = "result.json"


def stream_result(file: ScoreFile, views: TestViews, seed: int = 0) -> Result:
    """The figures of one stream alone: by the mean over views of the scores before softmax."""
    return classification_result(
        file.scores,
        file.label_names,
        file.classes,
        protocol=f"network, mean of {views.name} views before softmax",
        video_ids=file.video_ids,
        groups=file.groups,
        seed=seed,
        settings=file.settings,
        provenance=file.provenance,
        notes=file.notes,
    )


def write_stream(folder: Path, file: ScoreFile, result: Result, views: TestViews) -> Path:
    """Write ``result.json``, ``report.html`` and ``plots/`` into a folder; the path of the report."""
    write_json(folder / RESULT, result.to_dict())
    page = Page(
        f"{file.settings.get('model')} on {file.provenance['dataset']['name']}",
        f"{result.n} videos ({file.settings.get('part')}), {int(file.view_counts.sum())} views",
    )
    page.add_numbers(
        (percent(result.value), "accuracy", interval_text(result.interval)),
        (percent(result.class_mean or 0.0), "mean over classes", interval_text(result.class_mean_interval)),
    )
    result_section(page, result, folder / "plots")
    page.add_section("Settings").add_facts(
        {
            "network": file.settings.get("model"),
            "weights": str(file.settings.get("weights_sha256"))[:12],
            "recipe": file.settings["recipe"]["name"],
            "views": str(views),
            "views of a video": " to ".join(map(str, sorted({file.view_counts.min(), file.view_counts.max()}))),
            "precision": file.settings.get("precision"),
        }
    )
    page.set_provenance({**result.provenance, "settings": result.settings})
    return page.save(folder / "report.html")
