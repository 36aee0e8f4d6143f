"""``tubelet duplicates``, and `train` where a test video is a copy: what they print, write and end with."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def listed(copies_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copies with a table that names their splits, and one that cannot be read."""
    root = Path(shutil.copytree(copies_folder, tmp_path_factory.mktemp("listed") / "films"))
    (root / "test/walk/text.mp4").write_text("no video" * 99)
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label", "split"])
        for path in sorted(root.glob("*/*/*.*")):
            parts = path.relative_to(root).parts
            writer.writerow(["/".join(parts), parts[1], parts[0]])
    return root


def test_two_folders_are_compared(tubelet: Any, copies_folder: Path) -> None:
    outcome = tubelet("duplicates", copies_folder / "train", copies_folder / "test", "--workers", 1)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["equal", "shared", "offset", "of", "it", "video", "of", "it", "is", "also", "in"]
    assert {tuple(line.split()[i] for i in (-3, -1)) for line in lines[1:4]} == {
        ("walk/one.avi", "walk/trimmed.mp4"),
        ("walk/two.avi", "run/small.avi"),
        ("run/three.avi", "run/half_rate.mp4"),
    }
    assert lines[-1] == "3 videos of train against 4 videos of test: 3 pairs of copies"


def test_nothing_found_is_said(tubelet: Any, copies_folder: Path) -> None:
    outcome = tubelet("duplicates", copies_folder / "train", "--workers", 1, "--mirror")
    assert outcome.code == 0
    assert outcome.out == "3 videos of train: 0 pairs of copies\n"
    few = tubelet("duplicates", copies_folder / "train", copies_folder / "test", "--workers", 1, "--min-seconds", 2.5)
    assert "2 pairs of copies" in few.out, "the trimmed one shares less than two seconds"


def test_a_file_is_no_copy_of_itself(tubelet: Any, copies_folder: Path, tmp_path: Path) -> None:
    again = tubelet("duplicates", copies_folder / "train", copies_folder / "train" / "walk", "--workers", 1)
    assert again.out == "3 videos of train against 2 videos of walk: 0 pairs of copies\n"
    shutil.copy(copies_folder / "train/walk/one.avi", tmp_path)
    rows = ["file_name,start_s,end_s", "one.avi,0,2", "one.avi,1,3"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    assert "0 pairs of copies" in tubelet("duplicates", tmp_path, "--workers", 1).out


def test_splits_that_share_a_video_end_with_4_and_the_report_shows_it(
    tubelet: Any, listed: Path, tmp_path: Path
) -> None:
    outcome = tubelet("duplicates", listed, "--workers", 1, "--json", "-o", tmp_path / "out")
    assert outcome.code == 4
    found = outcome.json
    assert found["videos"] == [7]
    assert [pair["crosses_splits"] for pair in found["pairs"]] == [True, True, True]
    assert ["test/run/small.avi", "train/walk/two.avi"] in found["sets"]
    assert [Path(one["path"]).name for one in found["failed"]] == ["text.mp4"]
    by_name = {pair["a"]: pair for pair in found["pairs"]}
    trimmed = by_name["test/walk/trimmed.mp4"]
    assert trimmed["b"] == "train/walk/one.avi"
    assert trimmed["offset_s"] == pytest.approx(-22 / 25, abs=0.07)
    assert trimmed["overlap_s"] == pytest.approx(49 / 25, abs=0.3)

    assert json.loads((tmp_path / "out/duplicates.json").read_text()) == found
    assert json.loads((tmp_path / "out/failed.jsonl").read_text())["video_id"] == "test/walk/text.mp4"
    page = (tmp_path / "out/report.html").read_text()
    assert page.count('class="strip"') == 6, "three pairs side by side"
    assert "test/walk/trimmed.mp4" in page
    plain = tubelet("duplicates", listed, "--workers", 1)
    assert plain.out.splitlines()[-2] == "7 videos of films: 3 pairs of copies, 6 videos in 3 sets"
    assert plain.out.splitlines()[-1] == "PROBLEM: 3 pairs lie in two splits: what is tested was trained on"
    assert "unreadable: cannot open as a video" in plain.err


def test_one_video_needs_others(tubelet: Any, copies_folder: Path, tmp_path: Path) -> None:
    one = copies_folder / "train/walk/one.avi"
    alone = tubelet("duplicates", one)
    assert (alone.code, alone.complaint) == (
        2, f"one video has nothing to be compared with: {one}; name OTHER videos, too",
    )  # fmt: skip
    found = tubelet("duplicates", one, copies_folder / "test/walk", "--workers", 1, "-o", tmp_path / "out")
    assert found.out.splitlines()[-1].endswith("against 2 videos of walk: 1 pair of copies")
    assert found.out.splitlines()[-1].startswith("1 video of ")
    assert not (tmp_path / "out/failed.jsonl").exists()


def test_unreadable_videos_end_with_3(tubelet: Any, listed: Path) -> None:
    assert tubelet("duplicates", listed / "test", "--workers", 1).code == 3
    assert tubelet("duplicates", listed / "nowhere").code == 4


SMALL = ["--iterations", "2", "--batch-size", "2", "--precision", "float32", "--workers", "1", "--device", "cpu"]


def test_training_refuses_to_test_on_copies_and_weights_remember(
    tubelet: Any, copies_folder: Path, tmp_path: Path
) -> None:
    def table(root: Path, **splits: str) -> Path:
        shutil.copytree(copies_folder, root)
        lines = [f"{path},{Path(path).parts[1]},{split}\n" for path, split in splits.items()]
        (root / "metadata.csv").write_text("".join(["file_name,label,split\n", *lines]))
        return root

    one, three, cut = "train/walk/one.avi", "train/run/three.avi", "test/walk/trimmed.mp4"
    other, small = "train/walk/two.avi", "test/run/small.avi"
    half, near = "test/run/half_rate.mp4", "test/walk/near_miss.avi"
    leaking = table(tmp_path / "leaking", **{one: "train", three: "train", cut: "test"})
    run = ["train", "folder", "--model", "c3d_small", "--no-svm", *SMALL]
    refused = tubelet(*run, "--data", leaking, "-o", tmp_path / "refused")
    assert refused.code == 2
    assert "1 of the 1 test videos shows what training has too" in refused.complaint
    assert f"{cut} from 0" in refused.complaint
    assert f"is {one} from 0.9 s" in refused.complaint
    allowed = tubelet(*run, "--data", leaking, "-o", tmp_path / "allowed", "--allow-leak", "--json")
    assert allowed.code == 0, allowed.err
    assert any("shows what training has too" in note for note in allowed.json["net"]["notes"])
    # Its weights know the other copy again, also where the data set has another name and no bytes in common.
    apart = table(tmp_path / "apart", **{other: "train", small: "train", half: "test", near: "test"})
    weights = ["--data", apart, "--weights", tmp_path / "allowed"]
    told = tubelet(*run, *weights, "-o", tmp_path / "second")
    assert told.code == 2
    assert "1 of the 2 test videos shows what the weights were trained on too" in told.complaint
    assert f"is {three} from 0.0 s" in told.complaint
    tested = tubelet(
        "evaluate", "folder", "--data", apart, "--model", tmp_path / "allowed", "-o", tmp_path / "views", "--workers", 1
    )
    assert tested.code == 2
    assert "half_rate.mp4" in tested.complaint


def test_a_protocol_that_trains_refuses_copies_or_marks_its_figures(
    tubelet: Any, copies_folder: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(copies_folder, tmp_path / "films"))
    rows = ["train/walk/one.avi,walk,train", "train/run/three.avi,run,train", "test/walk/trimmed.mp4,walk,test"]
    (root / "metadata.csv").write_text("\n".join(["file_name,label,split", *rows, ""]))
    command = ["evaluate", "folder", "--data", root, "--iterations", "1", "--precision", "float32", "--workers", "1"]
    refused = tubelet(*command, "-o", tmp_path / "refused")
    assert refused.code == 2
    assert "test/walk/trimmed.mp4 from 0" in refused.complaint
    marked = tubelet(*command, "-o", tmp_path / "marked", "--allow-leak", "--json")
    assert marked.code == 0, marked.err
    for head in ("svm", "net"):
        assert any("shows what training has too" in note for note in marked.json["seeds"]["0"][head]["notes"])
