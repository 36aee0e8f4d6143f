"""The page of an SVM on descriptor tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tubelet.artifacts import write_json
from tubelet.baselines.idt.encoding import learned_from
from tubelet.descriptors.video_vectors import ENCODING, VectorTable
from tubelet.protocols.descriptor_svm import Evaluated, SvmSettings
from tubelet.protocols.diagnosis import DIAGNOSIS, Diagnosis
from tubelet.protocols.diagnosis_report import diagnosis_section
from tubelet.protocols.result import RESULT
from tubelet.protocols.run_report import interval_text, published_section, result_section
from tubelet.reporting.page import Page
from tubelet.reporting.text import percent

_MISSING_SHOWN = 50
_WINDOWS = {
    "window_frames": "frames of a window",
    "step_frames": "step between its frames",
    "least_frames": "frames that its label needs",
    "stride_frames": "frames from one window to the next",
    "train": "windows to train on",
    "test": "windows to test",
    "windows": "windows",
    "kept": "with a label",
    "empty": "without an object",
    "unclear": "label in too few frames",
    "ties": "labels by a tie, first seen",
    "short": "videos shorter than a window",
}
"""What `tubelet.protocols.windows` counts, in words."""


def write_descriptors(
    folder: Path,
    title: str,
    found: Evaluated,
    tables: Sequence[VectorTable],
    settings: SvmSettings,
    diagnosis: Diagnosis | None = None,
) -> Path:
    """Write ``result.json``, ``report.html`` and ``plots/`` into a folder; the path of the report."""
    result = found.result
    write_json(folder / RESULT, {**result.to_dict(), **({} if diagnosis is None else {DIAGNOSIS: diagnosis.to_dict()})})
    dataset = result.provenance["dataset"]["name"]
    page = Page(
        f"{dataset}: linear SVM on descriptors",
        f"{title}, {result.n} test {result.unit}s, {len(result.classes)} classes",
    )
    page.add_numbers(
        (percent(result.value), result.metric, interval_text(result.interval)),
        (percent(result.class_mean or 0.0), "mean over classes", interval_text(result.class_mean_interval)),
    )
    published_section(page, [("", result)])
    if diagnosis is not None:
        diagnosis_section(page, diagnosis, folder / "plots")
    result_section(page, result, folder / "plots")
    page.add_section("Tables", "Each vector is scaled to length one; the tables stand side by side.")
    page.add_table(
        ["table", "network", "layer", "numbers", f"{result.unit}s", "weights", "recipe"],
        [
            [table.name, table.facts.get("model"), table.layer or None, table.length, len(table.video_ids),
             str(table.facts.get("weights_sha256") or "")[:12] or None, table.facts.get("recipe")]
            for table in tables
        ],
    )  # fmt: skip
    if found.failed:
        page.add_section("Left out", f"{len(found.failed)} videos lack a descriptor; the first are listed.")
        page.add_table(["video", "why"], [[each.video_id, each.error] for each in found.failed[:_MISSING_SHOWN]])
    if cut := result.settings.get("clips"):
        text = "Slid over every video; a window's label is the one that most of its frames have."
        page.add_section("Windows", text).add_facts({_WINDOWS[name]: count for name, count in cut.items()})
    page.add_section("Settings").add_facts(
        {
            "SVM": f"linear, squared hinge, C = {settings.svm_c:g}",
            "z-scores": "of the training videos" if settings.zscore else "none",
            "principal components": settings.pca or "none",
            **{
                f"{table.name} {table.layer}": learned_from(table.facts[ENCODING])
                for table in tables
                if ENCODING in table.facts
            },
        }
    )
    page.set_provenance({**result.provenance, "settings": result.settings})
    return page.save(folder / "report.html")
