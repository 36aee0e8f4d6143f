"""Trajectories in ``tubelet evaluate``: descriptors, a comparison of streams, and where they are refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines" / "idt"))
from made_trajectories import made_up, record_of
from made_vectors import CLASSES, NAMES, SMALL, store

from tubelet.baselines.idt.encoding import Encoding
from tubelet.baselines.idt.store import stored_settings, trajectories_path, write_trajectories
from tubelet.cli.judge_descriptors import Windows, _Opened
from tubelet.errors import UsageError
from tubelet.protocols import stream_trajectories
from tubelet.protocols.score_file import ScoreFile
from tubelet.training.run_folder import safe_name

Tubelet = Callable[..., Any]

TABLE = """name = "moves"
source = "a test"
dataset = "weizmann"
primary = ["both", "idt bow"]
[[trajectories]]
name = "idt bow"
encoding = "bow3"
workers = 1
[[trajectories]]
name = "idt fisher"
encoding = "fisher1"
[[combinations]]
name = "both"
of = ["idt bow", "idt fisher"]
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are no videos, in folders of classes, beside trajectories that could be theirs."""
    root = tmp_path_factory.mktemp("moves")
    for name in NAMES:
        (root / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "videos" / name).write_bytes(name.encode())
    (root / "videos" / "metadata.csv").write_text(
        "path,label,group\n" + "".join(f"{name},{name.partition('/')[0]},{name.split('/')[1][:3]}\n" for name in NAMES)
    )
    store(root / "idt")
    return root


def command(videos: Path, out: Path, *more: object) -> tuple[object, ...]:
    return (
        "evaluate", "descriptors", "--data", videos / "videos", "--table", f"mine={videos / 'idt'}", "-o", out,
        "--leave-one-group-out", *more,
    )  # fmt: skip


def test_descriptors_are_encoded_in_every_fold(
    tubelet: Tubelet, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = command(videos, tmp_path / "run", "--layer", "bow7", "--json")
    found = tubelet(*given)
    assert found.code == 0, found.err
    assert "mine: 24 videos, bow7 of 35 numbers, learned from each fold's training videos" in found.err
    assert "mine: 7 words a channel from 360 trajectories of 18 videos" in found.err
    result = found.json["parts"]["groups"]
    assert (result["n"], result["value"], result["notes"]) == (24, 1.0, [])
    assert result["protocol"] == "linear SVM on mine (idt bow7), 35 numbers, leaving one group out"
    (table,) = result["settings"]["tables"]
    assert table["encoding"]["words"] == 7
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "7 words of each channel, learned from at most 100,000 trajectories of a fold&#39;s training videos" in page

    def learn(*arguments: Any) -> Any:
        raise AssertionError("it is kept beside the trajectories")

    monkeypatch.setattr(Encoding, "learn", learn)
    again = tubelet(*command(videos, tmp_path / "again", "--layer", "bow7", "--json"))
    assert again.code == 0, again.err
    assert again.json["parts"]["groups"]["predictions"] == result["predictions"]


def test_what_trajectories_cannot_be_used_for(tubelet: Tubelet, videos: Path, tmp_path: Path) -> None:
    for options, complaint in (
        (["--diagnose", "--expected", "0.7"], "--diagnose lets a network describe videos again, and trajectories have"),
        (["--layer", "fc6"], "trajectories cannot be encoded as 'fc6'; take bow (5000 words a channel), fisher (256"),
        ([], "5,000 words a channel cannot be learned from 360 trajectories"),
        (["--dry-run"], "5,000 words a channel cannot be learned from 360 trajectories"),
        (["--layer", "fisher999"], "999 Gaussians a channel cannot be learned from 360 trajectories"),
    ):
        found = tubelet(*command(videos, tmp_path / "out", *options))
        assert (found.code, found.out) == (2, ""), found.err
        assert found.complaint.startswith(complaint), found.complaint
        assert not (tmp_path / "out").exists()
    compact = ("evaluate", "compactness", "--data", videos / "videos", "--leave-one-group-out", "-o", tmp_path / "out")
    found = tubelet(*compact, "--table", videos / "idt", "--dry-run")
    assert (found.code, found.out) == (2, ""), found.err
    assert "take bow100 in place of bow" in found.complaint
    assert not (tmp_path / "out").exists()
    labels: Any = CLASSES
    with pytest.raises(UsageError, match="windows of videos are judged here, and stored trajectories are encoded for"):
        _Opened(Windows(labels, 8)).add(str(videos / "idt"), None, None)


def test_a_table_of_trajectories_alone(
    tubelet: Tubelet,
    weizmann_folder: Path,
    tmp_path: Path,
    files_of: Callable[[Path], dict[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One long test: points are followed once, and the run is looked at from all sides."""
    (tmp_path / "moves.toml").write_text(TABLE)
    given = ("evaluate", "streams", tmp_path / "moves.toml", "--data", weizmann_folder, "--device", "cpu")
    run = tmp_path / "run"
    found = tubelet(*given, "-o", run, "--json")
    assert found.code == 0, found.err
    assert (
        "idt bow: improved dense trajectories, computed by this run; 3 words a channel learned in each fold; SVM"
        in found.err
    )
    assert "idt fisher: 4 videos described in " in found.err
    rows = {row["protocol"]: row for row in found.json["svms"]}
    assert list(rows) == ["idt bow", "idt fisher", "both"]
    assert {row["n"] for row in rows.values()} == {4}
    assert rows["both"]["made_of"] == (
        "SVM on 3 words a channel of improved dense trajectories + 1 Gaussians a channel of improved dense "
        "trajectories, 441 numbers"
    )
    assert rows["idt bow"]["networks"] == [{"model": "idt", "parameters": None, "macs": None, "input": []}]
    assert (found.json["differences"][0]["second"], found.json["differences"][0]["first"]) == ("both", "idt bow")
    assert {path.name for path in (run / "trajectories").glob("*.idt.safetensors")} == {
        f"{actor}_{action}.avi.idt.safetensors" for actor in ("ann", "bob") for action in ("run", "walk")
    }
    pooled = ScoreFile.load(run / "both" / "scores.npz")
    assert pooled.video_ids == ("ann_run.avi", "ann_walk.avi", "bob_run.avi", "bob_walk.avi")
    assert json.loads((run / safe_name("idt bow") / "timing.json").read_text())["describing_s"] > 0
    page = (run / "report.html").read_text(encoding="utf-8")
    for words in ("none: improved dense trajectories", "1 Gaussians of each channel, learned from at most 256,000"):
        assert words in page, words
    assert "scalar" not in page

    report = tubelet("report", run, "-o", tmp_path / "report", "--json")
    assert report.code == 0, report.err
    told = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    for words in ("3 words a channel of improved dense trajectories", "Action recognition with improved trajectories"):
        assert words in told, words

    # Typed again nothing is followed, learned or fitted; the trajectories serve other runs.
    monkeypatch.setattr("tubelet.protocols.streams_report.write_streams", lambda *arguments: "none")
    before = files_of(run / "trajectories")
    again = tubelet(*given, "-o", run, "--json")
    assert again.code == 0, again.err
    assert again.json["svms"] == found.json["svms"]
    kept = files_of(run / "trajectories")
    assert {name: kept[name] for name in kept if "provenance" not in name} == {
        name: before[name] for name in before if "provenance" not in name
    }

    def compute(*arguments: Any, **more: Any) -> Any:
        raise AssertionError("they are given")

    monkeypatch.setattr(stream_trajectories, "compute_trajectories", compute)
    other = tubelet(*given, "-o", tmp_path / "other", "--trajectories", run / "trajectories", "--streams", "idt bow",
                    "--json")  # fmt: skip
    assert other.code == 0, other.err
    assert [row["protocol"] for row in other.json["svms"]] == ["idt bow"]
    assert other.json["svms"][0]["predictions"] == rows["idt bow"]["predictions"]
    assert not (tmp_path / "other" / "trajectories").exists()


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories of five of six files that are no videos: not the papers' kind, and a draw."""
    root = tmp_path_factory.mktemp("five")
    names = [f"{actor}_{action}.avi" for actor in ("ann", "bob", "cyd") for action in ("run", "walk")]
    (root / "videos").mkdir()
    for name in names:
        (root / "videos" / name).write_bytes(name.encode())
    for number, name in enumerate(names[:-1]):
        record = record_of(name, 20, SMALL)
        record = replace(record, settings=stored_settings(SMALL, 20))
        write_trajectories(trajectories_path(root / "idt", name), made_up(20, number, SMALL), record)
    return root


@pytest.mark.parametrize("encodings", [1, 2])
def test_videos_without_stored_trajectories_are_listed(
    tubelet: Tubelet,
    five: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encodings: int,
) -> None:
    """Also where there is but one row, which has all that it can have."""
    monkeypatch.setattr("tubelet.protocols.streams_report.write_streams", lambda *arguments: "none")
    (tmp_path / "moves.toml").write_text(TABLE)
    given = ("evaluate", "streams", tmp_path / "moves.toml", "--data", five / "videos", "--device", "cpu",
             "--trajectories", five / "idt")  # fmt: skip
    some = ("--streams", "idt bow") if encodings == 1 else ()
    found = tubelet(*given, *some, "-o", tmp_path / "run", "--json")
    assert found.code == 3, found.err
    assert (
        "idt bow: dense trajectories (the camera's motion left in, length 3 in place of 15, scales 1 in place of 8, "
        "cells 1 in place of 2, segments 1 in place of 3, at most 20 of each video) of 5 of 6 videos, as they are in "
    ) in found.err
    assert {row["n"] for row in found.json["svms"]} == {5}
    assert "1 of 6 videos have no scores in every row and do not count" in found.json["notes"]
    listed = [json.loads(line) for line in (tmp_path / "run" / "failed.jsonl").read_text().splitlines()]
    assert [row["path"] for row in listed] == ["cyd_walk.avi"] == [row["path"] for row in found.json["failed"]]
    assert listed[0]["error"] == f"no trajectories of it are stored in {five / 'idt'}"
    assert "1 video unreadable or without trajectories, see " in found.err
    assert "SVM on 3 words a channel of dense trajectories (the" in found.json["svms"][0]["made_of"]


def test_what_does_not_fit_is_one_error_before_anything_is_done(
    tubelet: Tubelet, weizmann_folder: Path, five: Path, tmp_path: Path
) -> None:
    for text, options, code, complaint in (
        (TABLE.replace('"bow3"', '"bowl"'), [], 2, "the settings of "),
        (TABLE, ["--trajectories", tmp_path], 4, "no trajectories are stored here"),
        (TABLE.replace('"idt bow"', '"trajectories"'), [], 2, "the settings of "),
        # Each fold trains on the 40 trajectories of the other actor's two videos.
        (
            TABLE.replace("bow3", "bow50"),
            ["--trajectories", five / "idt", "--dry-run"],
            2,
            "50 words a channel cannot be learned from 40 trajectories",
        ),
        (
            TABLE.replace("bow3", "bow50"),
            ["--trajectories", five / "idt"],
            2,
            "50 words a channel cannot be learned from 40 trajectories",
        ),
    ):
        (tmp_path / "moves.toml").write_text(text)
        found = tubelet("evaluate", "streams", tmp_path / "moves.toml", "--data", weizmann_folder,
                        "-o", tmp_path / "out", *options)  # fmt: skip
        assert (found.code, found.out) == (code, ""), found.err
        assert found.complaint.startswith(complaint), found.complaint
        assert not (tmp_path / "out").exists()
