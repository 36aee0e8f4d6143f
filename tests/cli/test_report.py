"""``tubelet report``: several runs on one page, as rows, and what is left out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from protocols.made_results import LINE, first, made
from tubelet.artifacts import write_json

Tubelet = Callable[..., Any]
EVIL = "<script>alert(1)</script> & \\input{x} `y` [z](#q)"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on 36 videos with groups, one of them of two seeds and with a figure in print."""
    root = tmp_path_factory.mktemp("runs")
    groups = [f"g{index}" for index in range(36)]
    alone = made(first(30, 36), name=EVIL, dataset="ucf101-split1", groups=groups, published=LINE)
    write_json(root / "alone" / "result.json", {"svm": None, "net": alone.to_dict()})
    seeds = {
        str(seed): {"svm": None, "net": made(first(count, 36), dataset="ucf101-split1", groups=groups).to_dict()}
        for seed, count in ((0, 12), (1, 15))
    }
    write_json(root / "seeds" / "result.json", {"seeds": seeds, "summary": []})
    return root


def words_of(html: str) -> str:
    body = re.sub(r"<(style|svg)\b.*?</\1>", " ", html[html.index("<body") :], flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_has_what_a_results_section_has(tubelet: Tubelet, runs: Path, tmp_path: Path) -> None:
    found = tubelet("report", runs / "alone", runs / "seeds", "-o", tmp_path, "--title", "Two nets")
    assert found.code == 0, found.err
    assert found.out.splitlines()[0].startswith("Accuracy on UCF101: 36 videos of 3 classes. Intervals: percentile")
    assert f"report: {tmp_path / 'report.html'}" in found.out
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = words_of(html)
    for part in (
        "Two nets", "the most of 2 systems", "Table 1. Accuracy on UCF101", "Figure 1. Accuracy on UCF101.",
        "Paired differences on UCF101", "Confusion matrix", "Mistakes", "Methods", "References", "Provenance",
        "C3D (Tran et al., ICCV 2015), table 3", "split 1 here, the mean of splits 1 to 3 there",
        "mean of 2 seeds, which have 33.3, 41.7 %", "percentile bootstrap over 36 groups", "Film strips are left out",
    ):  # fmt: skip
        assert part in text, part
    assert "83.3" in text  # 30 of 36
    assert "+45.8" in text  # less the mean of 12 and 15 of 36
    assert "<script" not in html
    assert EVIL in text
    assert "http-equiv" in html
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", html)
    assert all(address.startswith(("data:", "#", "https://arxiv.org/")) for address in addresses)
    ids = set(re.findall(r' id="([^"]+)"', html))
    assert {address[1:] for address in addresses if address.startswith("#")} <= ids
    assert {path.name for path in (tmp_path / "plots" / "UCF101").iterdir()} >= {"accuracy.png", "differences.png"}


def test_rows_alone_need_no_page(tubelet: Tubelet, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    markdown = tubelet("report", runs, "--markdown", "-")
    assert markdown.code == 0, markdown.err
    assert r"| alone | **" not in markdown.out
    assert r"\<script\>" in markdown.out
    latex = tubelet("report", runs, "--latex", "-", "--csv", "rows.csv", "--sort", "accuracy")
    assert r"\textbackslash{}input\{x\}" in latex.out
    assert latex.out.startswith(r"\begin{table}")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text(encoding="utf-8"))))
    assert [float(row["value"]) for row in rows] == pytest.approx([30 / 36, 13.5 / 36])
    assert [row["seeds"] for row in rows] == ["1", "2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv"], "no page was asked for"


def test_json_has_rows_and_what_was_left_out(tubelet: Tubelet, runs: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    write_json(stopped / "env.json", {"settings_hash": "x"})
    found = tubelet("report", runs / "seeds", stopped, "-o", tmp_path / "out", "--json")
    assert found.code == 3
    assert f"left out: the run is not finished: {stopped}" in found.err
    assert [row["value"] for row in found.json["rows"]] == pytest.approx([13.5 / 36])
    assert found.json["left_out"][0]["path"] == str(stopped)
    assert "Left out: the run is not finished" in words_of((tmp_path / "out" / "report.html").read_text("utf-8"))


def test_what_is_no_run_is_refused(tubelet: Tubelet, tmp_path: Path, runs: Path) -> None:
    (tmp_path / "note.txt").write_text("x")
    found = tubelet("report", tmp_path)
    assert (found.code, found.out) == (4, "")
    assert found.complaint.startswith(f"the folder holds no run: {tmp_path} (it holds note.txt); give folders that")
    assert tubelet("report", tmp_path / "nowhere").code == 4
    assert "--sort cannot be 'size'" in tubelet("report", runs, "--sort", "size").complaint
    both = tubelet("report", runs, "--markdown", "-", "--json")
    assert (both.code, both.complaint.partition(";")[0]) == (2, "--markdown and --json cannot both be printed")


def test_a_real_run_with_its_videos(tubelet: Tubelet, trained_run: Any, tmp_path: Path) -> None:
    found = tubelet("report", trained_run.folder, "--data", trained_run.videos, "-o", tmp_path)
    assert found.code == 0, found.err
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = words_of(html)
    assert "Mistakes of" in text
    assert 'class="film' in html, "an untrained network makes mistakes, and their videos are there"
    assert "Training curves" in text
    assert "trained from scratch for 3 steps of 4 clips" in text
    assert (tmp_path / "plots" / "curves_run.png").exists()
    assert "the run's command" not in text


def test_a_planned_comparison_stands_once_and_leaked_rows_are_marked(tubelet: Tubelet, tmp_path: Path) -> None:
    leak = "the weights were trained on 2 of the 4 test groups"
    streams = [
        {**made(first(count), name=name, notes=notes).to_dict(), "parameters": 1, "macs": 1, "input": [3, 1, 8, 8]}
        for name, count, notes in (("rgb", 9, []), ("flow", 9, []), ("seen", 12, [leak]))
    ]
    run = {"streams": streams, "fusions": [], "differences": [{"first": "rgb", "second": "flow"}], "primary": True}
    write_json(tmp_path / "run" / "result.json", run)
    found = tubelet("report", tmp_path / "run", "-o", tmp_path / "out", "--data", tmp_path)
    assert found.code == 0, found.err
    assert "seen † " in found.out
    text = words_of((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "rgb gets 75.0 % of the videos right" in text
    assert "Leaked rows are not ranked: seen †." in text
    assert text.count("flow rgb +0.0") + text.count("rgb flow +0.0") == 1, "in the table of differences"
    assert "below what was named" not in text, "there is no other"
    plots = {path.name for path in (tmp_path / "out" / "plots" / "acts").iterdir()}
    assert "differences.png" in plots
    assert not any("minus" in name for name in plots), "no class differs"
