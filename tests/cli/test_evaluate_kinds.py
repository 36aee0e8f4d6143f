"""``tubelet evaluate KIND --model`` on tiny data sets in their official formats: parts, hits, failures, leaks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tubelet.clips.decode import ClipDecoder
from tubelet.protocols import comparable, score_stream
from tubelet.protocols.score_file import ScoreFile
from tubelet.video.synthetic import MOTION_CLASSES

Tubelet = Callable[..., Any]
CLASSES = tuple(MOTION_CLASSES)
IDS = [f"abcdefghi{number:02d}" for number in range(10)]


@pytest.fixture(scope="module", autouse=True)
def one_decoder() -> Any:
    """Decoding processes take seconds to start, so all runs here use the same."""
    with ClipDecoder(workers=1) as shared, pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_stream, "ClipDecoder", lambda workers: nullcontext(shared))
        yield


def placed(folder: Path, motion: Path, names: Mapping[int, str], side: str = "test") -> None:
    """Videos of the synthetic motions, that of class k under ``names[k]``; after ``-`` stands a file of text."""
    for place, name in names.items():
        target = folder / name.removeprefix("-")
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("-"):
            target.write_text("no video")
        else:
            shutil.copy(sorted((motion / side / CLASSES[place]).iterdir())[0], target)


def sports1m(folder: Path, motion: Path, *, leak: bool = False, training: bool = True) -> Path:
    """Six test videos, three with several labels, one that is none and one that is not there; two to train on."""
    names = {place: f"{IDS[place]}.avi" for place in range(5)}
    placed(folder, motion, names)
    placed(folder, motion, {5: f"-{IDS[5]}.avi"})
    if leak:
        placed(folder, motion, {0: f"{IDS[0]}.avi"}, "train")
    if training:
        placed(folder, motion, {8: f"yt_{IDS[8]}.avi", 9: f"yt_{IDS[9]}.avi"}, "train")
    lists = folder / "sports-1m-dataset"
    (lists / "original").mkdir(parents=True)
    (lists / "labels.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    address = "https://www.youtube.com/watch?v="
    labels = ["0,1,2,3,4", "1", "2,9", "3", "4,3", "5", "6"]
    rows = [f"{address}{IDS[place]} {label}\n" for place, label in enumerate(labels)]
    (lists / "original" / "test_partition.txt").write_text("".join(rows))
    (lists / "original" / "train_partition.txt").write_text(f"{address}{IDS[8]} 8\n{address}{IDS[9]} 9\n")
    return folder


@pytest.fixture(scope="module")
def sports(motion_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sports1m(tmp_path_factory.mktemp("sports1m"), motion_folder)


@pytest.fixture(scope="module")
def tested(sports: Path, trained_run: Any, tubelet: Tubelet, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("tested")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(comparable.CLASSES, "sports1m", len(CLASSES))  # else a tenth of the classes would be compared
        found = tubelet(
            "evaluate", "sports1m", "--data", sports, "--model", trained_run.folder, "--views", "c3d",
            "--device", "cpu", "-o", out, "--json",
        )  # fmt: skip
    return found, out


def test_sports1m_hits_clips_and_videos_by_any_label(tested: Any) -> None:
    found, out = tested
    assert found.code == 3, found.err
    file = ScoreFile.load(out / "scores.npz")
    assert file.video_ids == tuple(f"{name}.avi" for name in IDS[:5]), "the official test part, without what failed"
    assert file.view_counts.tolist() == [10] * 5, "10 clips at random places"
    right = [{0, 1, 2, 3, 4}, {1}, {2, 9}, {3}, {4, 3}]
    assert file.every_label == [tuple(sorted(CLASSES[k] for k in some)) for some in right]
    assert file.view_scores is not None
    clips = softmax(file.view_scores.astype(float), axis=1)[:, [file.classes.index(name) for name in CLASSES]]
    videos = clips.reshape(5, 10, -1).mean(axis=1)

    def share(scores: np.ndarray, k: int, each: int) -> float:
        best = [set(row[:k].tolist()) for row in np.argsort(-scores, axis=1)]
        return float(np.mean([bool(some & right[index // each]) for index, some in enumerate(best)]))

    expected = {
        "video hit@1": share(videos, 1, 1), "video hit@5": share(videos, 5, 1),
        "clip hit@1": share(clips, 1, 10), "clip hit@5": share(clips, 5, 10),
    }  # fmt: skip
    assert {hit["name"]: hit["value"] for hit in found.json["hits"]} == pytest.approx(expected)
    assert found.json["value"] == pytest.approx(expected["video hit@1"])
    assert found.json["top_k"]["5"] == pytest.approx(expected["video hit@5"])


def test_sports1m_says_what_is_missing_and_what_papers_print(tested: Any) -> None:
    found, out = tested
    assert json.loads((out / "failed.jsonl").read_text())["video_id"] == f"{IDS[5]}.avi"
    assert found.json["notes"] == [
        "videos that the lists of sports1m name and that are not there: 1",
        "1 of 6 videos could not be scored and are not counted",
        "3 of 5 videos have several labels, any of which is right",
    ]
    printed = {hit["name"]: hit["published"]["value"] for hit in found.json["hits"] if hit["published"]}
    assert printed == pytest.approx({"clip hit@1": 0.449, "video hit@1": 0.600, "video hit@5": 0.844})
    line = found.json["published"]
    assert (line["value"], line["metric"], line["method"]) == (0.6, "video hit@1", "C3D (trained from scratch)")
    assert "network c3d_small here, c3d there" in line["differences"]
    page = (out / "report.html").read_text(encoding="utf-8")
    for text in ("clip hit@5", "84.4", "Beside the papers", "3 of 5 videos have several labels"):
        assert text in page, text


def test_few_classes_are_compared_with_no_paper(
    sports: Path, trained_run: Any, tubelet: Tubelet, tmp_path: Path
) -> None:
    found = tubelet(
        "evaluate", "sports1m", "--data", sports, "--model", trained_run.folder, "--views", "1x1", "--device", "cpu",
        "-o", tmp_path,
    )  # fmt: skip
    assert found.code == 3, found.err
    assert "clip hit@5" in found.out
    assert "published" not in found.out


def kinetics(folder: Path, motion: Path, leak: bool) -> Path:
    names = {k: f"{CLASSES[k]}/{IDS[k]}_000001_000011.avi" for k in range(4)}
    placed(folder, motion, names, "test")
    if leak:
        placed(folder, motion, {0: names[0]}, "train")
    rows = [f"{CLASSES[k]},{IDS[k]},1,11,validate" for k in range(4)]
    (folder / "val.csv").write_text("label,youtube_id,time_start,time_end,split\n" + "\n".join(rows) + "\n")
    return folder


def activitynet(folder: Path, motion: Path, leak: bool) -> Path:
    placed(folder, motion, {k: f"v_{IDS[k]}.avi" for k in range(4)}, "test")
    if leak:
        placed(folder, motion, {0: f"v_{IDS[0]}.avi"}, "train")
    database = {
        IDS[k]: {
            "subset": "validation",
            "annotations": [
                {"label": CLASSES[k], "segment": [0.0, 0.8]}, {"label": CLASSES[k + 1], "segment": [0.2, 0.6]},
            ],
            "duration": 0.96,
        }
        for k in range(4)
    }  # fmt: skip
    (folder / "activity_net.v1-3.min.json").write_text(json.dumps({"database": database}))
    return folder


def pyslowfast(folder: Path, motion: Path, leak: bool) -> Path:
    placed(folder, motion, {k: f"some/{k}.avi" for k in range(4)}, "test")
    if leak:
        placed(folder, motion, {0: "some/0.avi"}, "train")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (folder / "test.csv").write_text("".join(f"some/{k}.avi {k}\n" for k in range(4)))
    return folder


def part_of_sports1m(folder: Path, motion: Path, leak: bool) -> Path:
    return sports1m(folder, motion, leak=leak, training=False)


Made = Callable[[Path, Path, bool], Path]
KINDS: dict[str, tuple[Made, int, int]] = {
    "kinetics": (kinetics, 4, 1),
    "activitynet": (activitynet, 4, 2),
    "activitynet-segments": (activitynet, 8, 1),
    "pyslowfast": (pyslowfast, 4, 1),
    "sports1m": (part_of_sports1m, 5, 5),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_test_part_alone_is_tested_whole_and_leaks_are_marked(
    kind: str, motion_folder: Path, trained_run: Any, tubelet: Tubelet, tmp_path: Path
) -> None:
    make, rows, labels = KINDS[kind]
    whole = make(tmp_path / "data", motion_folder, False)
    command = ("evaluate", kind, "--model", trained_run.folder, "--views", "1x1", "--device", "cpu")
    found = tubelet(*command, "--data", whole, "-o", tmp_path / "out", "--json")
    assert found.code == (3 if kind == "sports1m" else 0), found.err
    file = ScoreFile.load(tmp_path / "out" / "scores.npz")
    assert (len(file), file.every_target.shape[1]) == (rows, labels), "no random part of it"
    assert found.json["provenance"]["dataset"]["name"] == kind.partition("-")[0]
    leaking = make(tmp_path / "leak", motion_folder, True)
    refused = tubelet(*command, "--data", leaking, "-o", tmp_path / "no")
    assert (refused.code, refused.out) == (2, "")
    said = f"the weights were trained on 1 of the {6 if kind == 'sports1m' else 4} test groups"
    assert refused.complaint.startswith(said)
    assert not (tmp_path / "no").exists()
    out = tmp_path / "marked"
    marked = tubelet(*command, "--data", leaking, "-o", out, "--allow-leak")
    assert f"note: {said}" in marked.out
    assert said in json.loads((out / "result.json").read_text())["notes"]
    assert f"Note: {said}" in (out / "report.html").read_text(encoding="utf-8")
    assert said in ScoreFile.load(out / "scores.npz").notes
    assert f"note: {said}" in tubelet("evaluate", "fuse", out / "scores.npz", "--by", "softmax").out


def test_a_test_part_alone_trains_nothing(motion_folder: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    data = kinetics(tmp_path / "data", motion_folder, False)
    for command in (("evaluate", "kinetics"), ("train", "kinetics")):
        found = tubelet(*command, "--data", data, "-o", tmp_path / "out")
        assert (found.code, found.out) == (2, "")
        assert found.complaint.startswith("kinetics has videos to test on (val) and none to train on: ")
        assert "--test-fraction 0.2" in found.complaint


def test_training_takes_the_first_label_and_testing_any(sports: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    found = tubelet(
        "evaluate", "sports1m", "--data", sports, "--iterations", 2, "--precision", "float32", "--workers", 1,
        "--device", "cpu", "-o", tmp_path, "--json",
    )  # fmt: skip
    assert found.code == 3, found.err
    net = found.json["seeds"]["0"]["net"]
    assert "3 of 5 videos have several labels, any of which is right" in net["notes"]
    kept = json.loads((tmp_path / "seed0" / "scores.json").read_text())
    right = [{0, 1, 2, 3, 4}, {1}, {2, 9}, {3}, {4, 3}]
    assert [set(row) - {-1} for row in kept["targets"]] == right
    best = np.argmax(np.array(kept["net"]), axis=1)
    assert net["value"] == np.mean([one in some for one, some in zip(best.tolist(), right, strict=True)])
