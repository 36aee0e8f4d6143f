"""``tubelet visualize map``: what it writes and says, read back."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Tubelet = Callable[..., Any]
GROUPS = {"run": 7, "walk": 6, "jump": 5}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 videos of three classes that lie at right angles; and one class folder with those names."""
    folder = tmp_path_factory.mktemp("map")
    rng = np.random.default_rng(0)
    names = [f"{label}/{i}.avi" for label, n in GROUPS.items() for i in range(n)]
    classes = [list(GROUPS).index(name.split("/")[0]) for name in names]
    np.savez(folder / "idt.npz", video_id=np.array(names), vector=np.eye(6)[classes] + rng.normal(size=(18, 6)) * 0.05)
    for name in names:
        path = folder / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())  # labels are read from folders; no video is opened
    return folder / "idt.npz"


@pytest.fixture(scope="module")
def made(table: Path, tubelet: Tubelet) -> Any:
    out = table.parent / "map"
    found = tubelet("visualize", "map", table, "-o", out, "--data", table.parent / "videos", "--steps", 300, "--json")
    assert found.code == 0, found.err
    return found, out


def test_coordinates_labels_and_agreement(made: Any) -> None:
    found, out = made
    with (out / "map.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video_id", "clip", "start_s", "end_s", "x", "y", "label"]
    assert len(rows) == 18
    assert all(row["label"] == row["video_id"].split("/")[0] for row in rows)
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    away = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(away, np.inf)
    nearest = [rows[int(index)]["label"] == row["label"] for row, index in zip(rows, away.argmin(1), strict=True)]
    record = found.json
    assert record["agreement"]["in_map"] == pytest.approx(np.mean(nearest))
    assert record["agreement"]["in_descriptor"] == 1.0
    assert record["agreement"]["chance"] == pytest.approx(sum(n * (n - 1) for n in GROUPS.values()) / (18 * 17))
    assert (record["points"], record["of"], record["unit"], record["length"]) == (18, 18, "video", 6)
    assert record["layout"]["perplexity"] == pytest.approx(17 / 3)
    kept = json.loads((out / "map.json").read_text(encoding="utf-8"))
    assert kept["agreement"] == record["agreement"]
    assert kept["command"]
    assert f"report: {out / 'report.html'}" in found.err
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "18 of 18; " in page  # a share says of how many points it is
    assert "at random" not in page


def test_page_and_figures_stand_alone(made: Any) -> None:
    _, out = made
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "http-equiv" in page
    assert "src=" not in page.replace('src="data:', "")
    assert "do not" in page
    assert "nearest in the map has the same label" in page
    assert (out / "map.png").read_bytes()[:4] == b"\x89PNG"
    assert b">walk<" in (out / "map.svg").read_bytes()


def test_lines_for_people_and_a_draw_without_labels(table: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    found = tubelet("visualize", "map", table, "-o", tmp_path, "--limit", 9, "--steps", 250, "--seed", 3)
    assert found.code == 0
    assert found.out.startswith("9 videos of idt, vector, 6 numbers each: t-SNE, perplexity 2.67, KL divergence ")
    assert "9 of the table's 18 videos are drawn at random" in found.out
    assert "give --data to color them by class" in found.out
    assert "same label" not in found.out
    assert "the perplexity is 2.67 in place of 30: at most a third of the other points" in found.out
    found = tubelet("visualize", "map", table, "-o", tmp_path, "--perplexity", 2, "--steps", 250)
    assert "in place of" not in found.out


def test_few_points_are_principal_components(table: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    found = tubelet("visualize", "map", table, "-o", tmp_path, "--limit", 3)
    assert found.code == 0
    assert "there is nothing to optimize for 3 different descriptors: these are the principal components" in found.out
    assert "t-SNE" not in found.err
    assert "in place of" not in found.out
    found = tubelet("visualize", "map", table, "-o", tmp_path, "--limit", 1, "--json")
    assert found.json["layout"]["method"] == "principal components"
    assert found.json["agreement"]["kept"] is None


def test_usage(table: Path, tubelet: Tubelet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for arguments, code, words in [
        ((table, "--clips"), 2, "only a network's table of tubelet extract tells clips apart"),
        ((table, "--kind", "ucf101"), 2, "give --data, too"),
        ((table, "--layer", "fc7"), 2, "the table has no layer 'fc7'"),
        ((tmp_path / "none",), 4, "there is no such descriptor table"),
        ((table, "--perplexity", "0.5"), 2, "--perplexity"),
    ]:
        found = tubelet("visualize", "map", *arguments, "-o", tmp_path / "out")
        assert (found.code, words in found.err) == (code, True), found.err
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    found = tubelet("visualize", "map", table, "-o", tmp_path / "out")
    assert (found.code, "install the extra map" in found.err) == (5, True)
    assert not (tmp_path / "out").exists()


def test_a_map_says_which_videos_were_trained_on(trained_run: Any, tubelet: Tubelet, tmp_path: Path) -> None:
    table = trained_run.folder / "descriptors"
    for more in ((), ("--data", trained_run.videos)):
        found = tubelet("visualize", "map", table, "-o", tmp_path, "--clips", "--steps", 250, *more)
        assert found.code == 0, found.err
        shares = json.loads((tmp_path / "map.json").read_text(encoding="utf-8"))["agreement"]
        count = shares["in_descriptor"] * shares["labeled"]
        assert f"by the whole descriptor ({count:g} of {shares['labeled']})" in found.out
        # 30 videos, 20 of them to train on.
        assert "the network was trained on 20 of the 30 videos" in found.out
        assert "neighbors are looked for in other videos" in found.out
    with (tmp_path / "map.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["clip"] for row in rows} == {"0", "1"}
    assert rows[0]["end_s"] == "0.640"
