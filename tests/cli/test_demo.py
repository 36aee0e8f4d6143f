"""``tubelet demo``: the whole main job, at its smallest."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.protocols.motion import NETS, STEPS, STEPS_LONG
from tubelet.protocols.story import FACTORS
from tubelet.protocols.story_rows import ROWS

Tubelet = Callable[..., Any]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_from_nothing_to_a_report(tubelet: Tubelet, tmp_path: Path) -> None:
    settings = [
        "--steps",
        "1",
        "--train-videos",
        "20",
        "--test-videos",
        "10",
        "--workers",
        "1",
        "--device",
        "cpu",
        "--json",
    ]
    found = tubelet("demo", "-o", tmp_path, *settings)
    assert found.code == 0, found.err
    record = found.json
    assert list(record["nets"]) == ["depth3", "depth1", "frame", "texture"]
    for key, result in record["nets"].items():
        assert result["net"]["n"] == 10
        assert (result["svm"] is not None) == (key == "depth3")
        kept = json.loads((tmp_path / "steps1" / key / "result.json").read_text())
        assert kept["net"]["value"] == result["net"]["value"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert record["report"] == str(tmp_path / "report.html")
    for title in ("The videos", "Accuracy", "Training", "The descriptor", "Settings"):
        assert f">{title}<" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    plots = {path.name: path.read_bytes() for path in (tmp_path / "steps1" / "plots").iterdir()}
    assert {"curves.png", "accuracy.png", "map.png", "neighbors.png"} <= set(plots)
    assert sum(name.startswith("confusion_") for name in plots) == 3
    assert all(data.startswith(PNG) for data in plots.values())
    for net in NETS:
        assert f"{net.title}: 1 steps on 20 videos; expected {net.expects}" in found.err
    assert "making videos 30/30" in found.err


@pytest.mark.parametrize(
    ("arguments", "folder", "steps"),
    [
        ([], "short", STEPS),
        (["--long"], "long", STEPS_LONG),
        (["--seed", "1"], "short-seed1", STEPS),
        (["--steps", "7", "--seed", "2"], "steps7-seed2", 7),
    ],
)
def test_a_dry_run_says_where_and_how_long(
    tubelet: Tubelet, tmp_path: Path, arguments: list[str], folder: str, steps: int
) -> None:
    found = tubelet("demo", "-o", tmp_path / "demo", *arguments, "--dry-run", "--json")
    assert found.code == 0
    assert found.json == {
        "folder": str(tmp_path / "demo" / folder),
        "steps": steps,
        "videos": {"train": 2000, "test": 400},
        "nets": ["depth3", "depth1", "frame", "texture"],
    }
    assert f"4 nets of {steps} steps" in found.err
    assert not (tmp_path / "demo").exists()


def test_other_peoples_folders_are_left_alone(tubelet: Tubelet, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "holiday.mp4").write_bytes(b"x")
    found = tubelet("demo", "-o", tmp_path)
    assert (found.code, found.out) == (4, "")
    assert str(tmp_path / "videos") in found.complaint
    assert tubelet("demo", "-o", tmp_path, "--device", "tpu", "--dry-run").code == 2


@pytest.mark.slow
def test_the_story_from_nothing_to_a_report(tubelet: Tubelet, tmp_path: Path) -> None:
    settings = "--steps 1 --train-videos 20 --test-videos 10 --workers 1 --device cpu --json"
    found = tubelet("demo", "--story", "-o", tmp_path, *settings.split())
    assert found.code == 0, found.err
    folder = tmp_path / "story-steps1"
    kept = json.loads((folder / "story.json").read_text())
    assert kept["rows"] == found.json["rows"]
    assert list(kept["rows"]) == [row.key for row in ROWS if row.key != "images"]  # no --weights
    for row in kept["rows"].values():
        assert {factor: row[factor]["n"] for factor in FACTORS} == {"color": 10, "motion": 10, "both": 10}
        assert row["both"]["value"] <= 1
    assert [point["step"] for point in kept["learning"]] == [1]
    page = (tmp_path / "story-steps1.html").read_text(encoding="utf-8")
    for title in ("The videos", "What each knows", "What is learned first", "How it was made"):
        assert f">{title}<" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert {"videos.png", "orders.png", "story.png", "learning.png", "flow_red.png"} <= {
        path.name for path in (folder / "plots").iterdir()
    }
    other = tubelet(
        "demo", "--story", "-o", tmp_path, *settings.replace("--test-videos 10", "--test-videos 20").split()
    )
    assert other.code == 2
    assert "other settings" in other.complaint
    assert not (tmp_path / "story-videos" / "forward" / "test" / "left" / "left_00001.avi").exists()


def test_a_story_is_planned_without_being_told(tubelet: Tubelet, tmp_path: Path) -> None:
    found = tubelet("demo", "--story", "-o", tmp_path / "demo", "--dry-run", "--json")
    assert found.code == 0
    assert found.json == {
        "folder": str(tmp_path / "demo" / "story-short"),
        "steps": 900,
        "videos": {"train": 1500, "test": 300},
        "nets": ["c3d", "frame", "flow"],
    }
    assert not (tmp_path / "demo").exists()
    wrong = tubelet("demo", "-o", tmp_path / "demo", "--weights", tmp_path, "--dry-run")
    assert wrong.code == 2
    assert "--story" in wrong.complaint


def test_the_map_is_drawn_without_the_extra_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from tubelet.cli.demo_report import _layout

    vectors = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    layout, words = _layout(vectors)
    assert (layout.method, words) == ("t-SNE", "t-SNE")
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    layout, words = _layout(vectors)
    variances = np.linalg.eigvalsh(np.cov(vectors.T.astype(np.float64)))[::-1]
    share = variances[:2].sum() / variances.sum()
    assert layout.method == "principal components"
    assert (
        words
        == f"First two principal components ({100 * share:.0f}\u00a0% of the variance; t-SNE needs the extra `map`)"
    )
