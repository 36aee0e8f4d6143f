"""One stream's figures: which mean over views, its clips, what stands beside it, and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tubelet.protocols import comparable
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.stream_report import stream_hits, stream_result, write_stream
from tubelet.protocols.views import views_by_name

# Two videos of three clips with one crop each. Before the softmax one clip shouts for a wrong class, and two quiet ones
# say the right one: scores add up to the wrong class, shares to the right one.
VIEWS = np.array([[3, 0, 0], [3, 0, 0], [0, 9, 0], [0, 1.5, 0], [0, 1.5, 0], [0, 0, 3.5]], dtype=np.float32)


@pytest.fixture
def file() -> ScoreFile:
    wide = VIEWS.astype(float)
    settings: dict[str, Any] = {
        "stream": "rgb", "part": "test", "model": "c3d", "options": {}, "seen_before": "Sports-1M",
        "weights_sha256": "w", "recipe": {"name": "c3d_sports1m"}, "recipe_hash": "r", "views": {"name": "t3d"},
        "precision": "float32",
    }  # fmt: skip
    return ScoreFile(
        ("a", "b"), ("x", "y", "z"), np.array([0, 1]), ("g1", "g2"), wide.reshape(2, 3, 3).mean(axis=1),
        softmax(wide, axis=1).reshape(2, 3, 3).mean(axis=1), np.array([3, 3]), VIEWS, settings,
        {"dataset": {"name": "ucf101-split1", "fps": None}},
    )  # fmt: skip


def test_the_mean_is_of_scores_or_of_their_softmax(file: ScoreFile) -> None:
    views = views_by_name("t3d")
    before, after = (stream_result(file, views, average) for average in ("scores", "softmax"))  # type: ignore[arg-type]
    assert [one.predicted for one in before.predictions] == ["y", "z"]
    assert [one.predicted for one in after.predictions] == ["x", "y"]
    assert (before.value, after.value) == (0.0, 1.0)
    assert before.protocol == "network, mean of t3d views before softmax"
    assert after.protocol == "network, mean of t3d views of the softmax"
    assert after.settings["average"] == "softmax"


def test_clips_and_videos_are_hit_and_compared(file: ScoreFile, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(hit.published is None for hit in stream_hits(file, views_by_name("t3d"), "softmax")), (
        "two of 101 classes"
    )
    monkeypatch.setitem(comparable.CLASSES, "ucf101", 2)
    (video, clip) = stream_hits(file, views_by_name("t3d"), "softmax")
    assert (video.name, video.value, clip.name, clip.value, clip.n) == ("video hit@1", 1.0, "clip hit@1", 4 / 6, 6)
    assert clip.published is not None
    assert (clip.published.value, clip.published.metric) == (pytest.approx(0.8019), "clip accuracy")
    assert "2 test videos here, 3783 there" in clip.published.differences
    several = stream_hits(replace(file, targets=np.array([[0, 1], [1, 2]])), views_by_name("t3d"), "softmax")
    assert [hit.value for hit in several] == [1.0, 1.0], "any of a video's labels counts"


def test_the_page_shows_them(file: ScoreFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(comparable.CLASSES, "ucf101", 2)
    views = views_by_name("t3d")
    result, hits = stream_result(file, views, "softmax"), stream_hits(file, views, "softmax")
    page = write_stream(tmp_path, file, result, views, hits).read_text(encoding="utf-8")
    for text in ("clip hit@1", "80.2", "Beside the papers", "83.1", "unlike the line in print"):
        assert text in page, text
    kept = json.loads((tmp_path / "result.json").read_text())
    assert [hit["name"] for hit in kept["hits"]] == ["video hit@1", "clip hit@1"]
