"""Reports stand alone, say the figures of the results they are given, and leave each plot as a picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.datasets.manifest import Item, Manifest
from tubelet.descriptors.described import Described
from tubelet.protocols import run_report
from tubelet.protocols.bootstrap import Interval
from tubelet.protocols.classifier import Classified
from tubelet.protocols.presets import SMALL, round_settings
from tubelet.protocols.recognition import Recognition, SeedSummary, over_seeds
from tubelet.protocols.result import Result
from tubelet.protocols.run_report import classify_report, evaluation_report, train_report, transfer_report
from tubelet.protocols.supervision import TransferResult
from tubelet.protocols.video_level import classification_result
from tubelet.video.report import DecodeReport

CLASSES = ("jump", "run", "walk")
PNG = b"\x89PNG\r\n\x1a\n"


def text_of(page: Path) -> str:
    """Visible words of a page."""
    html = page.read_text(encoding="utf-8")
    body = re.sub(r"<(style|script|svg|pre)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def stands_alone(page: Path) -> bool:
    html = page.read_text(encoding="utf-8")
    loaded = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", html)
    return all(address.startswith(("data:", "#")) for address in loaded) and "@import" not in html


def pictures(folder: Path) -> set[str]:
    found = list((folder / "plots").iterdir())
    assert all(path.read_bytes().startswith(PNG) for path in found)
    return {path.name for path in found}


def recognition(right: int, notes: tuple[str, ...] = ()) -> Recognition:
    """Twelve videos, the first ``right`` of which the net gets right; the SVM gets them all."""
    labels = [CLASSES[index % 3] for index in range(12)]
    perfect = np.array([[float(name == label) for name in CLASSES] for label in labels])
    net = np.where(np.arange(12)[:, None] < right, perfect, np.roll(perfect, 1, axis=1))
    common: dict[str, Any] = {
        "video_ids": [f"{index}.avi" for index in range(12)], "settings": {"protocol": "one split"}, "notes": notes,
    }  # fmt: skip
    return Recognition(
        classification_result(net, labels, CLASSES, protocol="network, mean of clip probabilities", **common),
        classification_result(perfect, labels, CLASSES, protocol="linear SVM on fc6", **common),
    )


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        "acts", Path("videos"), tuple(Item(f"{index}.avi", CLASSES[index % 3]) for index in range(12)), CLASSES
    )


def test_the_page_of_a_real_run(trained_run: Any) -> None:
    page = trained_run.folder / "report.html"
    text = text_of(page)
    result = json.loads((trained_run.folder / "result.json").read_text())
    for head in ("svm", "net"):
        assert f"{100 * result[head]['value']:.1f}" in text
    assert "Training on motion" in text
    assert "3 steps of 4 clips" in text
    assert "flip off" in text, "left and right are classes"
    assert stands_alone(page)
    assert pictures(trained_run.folder) == {
        "curves.png", "classes_linear_SVM_on_fc6.png", "confusion_linear_SVM_on_fc6.png",
        "classes_network__mean_of_clip_probabilities.png", "confusion_network__mean_of_clip_probabilities.png",
    }  # fmt: skip


def test_training_without_a_test_says_so(tmp_path: Path, manifest: Manifest) -> None:
    settings = round_settings(train=SMALL, weights="models/c3d", with_svm=False)
    text = text_of(train_report(tmp_path, manifest, settings, None))
    assert "No video was held out" in text
    assert "fine-tuned" in text
    assert "from scratch" not in text
    assert not (tmp_path / "plots").exists(), "there are no metrics to draw"
    assert json.loads((tmp_path / "result.json").read_text()) == {
        "note": "no video was held out, so there are no test figures"
    }


def test_one_seed_shows_its_figures_and_notes(tmp_path: Path, manifest: Manifest) -> None:
    page = evaluation_report(tmp_path, manifest, round_settings(), {0: recognition(9, ("a remark",))}, [])
    text = text_of(page)
    assert "75.0" in text  # 9 of 12
    assert "100" in text
    assert "Note: a remark." in text
    assert "mean of" not in text.partition("Settings")[0].replace("mean of clip", "")
    assert stands_alone(page)
    assert "accuracy.png" in pictures(tmp_path)


def test_several_seeds_show_their_mean_first(tmp_path: Path, manifest: Manifest) -> None:
    runs = {0: recognition(9), 1: recognition(6)}
    summaries: list[SeedSummary] = [
        over_seeds((0, 1), [run.svm for run in runs.values() if run.svm is not None]),
        over_seeds((0, 1), [run.net for run in runs.values()]),
    ]
    text = text_of(evaluation_report(tmp_path, manifest, round_settings(), runs, summaries))
    kept = json.loads((tmp_path / "result.json").read_text())
    assert [kept["seeds"][seed]["net"]["value"] for seed in ("0", "1")] == [0.75, 0.5]
    assert kept["summary"][1]["mean"] == 0.625
    assert text.count("mean of 2 seeds") == 2
    assert "62.5" in text  # (9 + 6) / 24
    assert "Seed 1: network, mean of clip probabilities" in text
    assert "confusion_Seed_1__linear_SVM_on_fc6.png" in pictures(tmp_path)


def classified(video_id: str, label: str | None, best: int) -> Classified:
    report = DecodeReport("ok", 24, 24, 25.0, "container", 0.96, 64, 64, "mjpeg", "avi")
    clips = np.full((2, 3), 0.2)
    clips[:, best] = 0.6
    described = Described(
        video_id, {}, np.array([0, 8]), np.array([16, 24]), np.array([0.0, 0.32]), np.array([0.64, 0.96]),
        np.zeros(2, dtype=bool), report,
    )  # fmt: skip
    return Classified(video_id, Path(video_id), label, "net", CLASSES, clips.mean(0), None, clips, clips, described)


def test_every_video_has_its_timeline(tmp_path: Path) -> None:
    videos = [classified("a/b.avi", "run", 1), classified("a_b.avi", None, 0), classified("c.avi", "fly", 2)]
    page = classify_report(tmp_path, videos, [("d.avi", "no frame can be decoded")], "net", top=5)
    text = text_of(page)
    assert "1 of 1" in text, "a label that the model does not know is no mistake"
    assert "no frame can be decoded" in text
    assert stands_alone(page)
    assert pictures(tmp_path) == {"a_b.avi.png", "a_b.avi-2.png", "c.avi.png"}, "no picture covers another"


def test_a_long_page_says_where_the_other_timelines_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_report, "_TIMELINES_IN_REPORT", 1)
    page = classify_report(tmp_path, [classified(f"{index}.avi", None, 0) for index in range(3)], [], "net", top=2)
    assert "The first 1 of 3 videos; all are in" in text_of(page)
    assert len(pictures(tmp_path)) == 3


def test_a_transfer_leaves_a_result_that_is_read_as_one(tmp_path: Path, manifest: Manifest) -> None:
    interval = Interval(0.7, 0.8, 0.95, "percentile bootstrap", "group", 12, 2000)
    settings = round_settings(train=SMALL, with_svm=False)
    transfer_report(tmp_path, manifest, settings, TransferResult(5, 24, 0.75, interval, 0.6))
    kept = Result.from_dict(json.loads((tmp_path / "result.json").read_text()))
    assert (kept.value, kept.n, kept.unit, kept.interval) == (0.75, 24, "pair", interval)
    transfer_report(tmp_path, manifest, settings, TransferResult(5, 0, None, None, None))
    assert "note" in json.loads((tmp_path / "result.json").read_text())
