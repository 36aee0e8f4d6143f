"""``tubelet evaluate``: leave one actor out, resumable by fold; splits; several seeds; figures on standard output."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.cli.splits import parse_numbers
from tubelet.datasets.manifest import Manifest
from tubelet.errors import UsageError
from tubelet.protocols import recognition, rounds
from tubelet.protocols.recognition import Recognition
from tubelet.protocols.rounds import RoundScores, RoundSettings
from tubelet.protocols.video_level import classification_result
from tubelet.provenance import hash_json

Tubelet = Callable[..., Any]


@pytest.fixture(scope="module")
def finished(tubelet: Tubelet, weizmann_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Leave-one-actor-out, interrupted after the first fold and typed again: outcomes, folder, the fold's files."""
    out = tmp_path_factory.mktemp("evaluate") / "run"
    settings = ["--iterations", "2", "--precision", "float32", "--workers", "1", "--device", "cpu", "--json"]
    command = ("evaluate", "weizmann", "--data", weizmann_folder, "-o", out, *settings)
    real, calls = rounds.run_round, []

    def once(*arguments: Any, **more: Any) -> RoundScores:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recognition, "run_round", once)
        stopped = tubelet(*command)
    fold = out / "seed0" / "ann"
    first = {path: path.stat().st_mtime_ns for path in fold.rglob("*") if path.is_file()}
    return stopped, tubelet(*command), out, first


def test_an_interrupted_evaluation_goes_on_with_the_next_fold(finished: Any) -> None:
    stopped, again, out, first = finished
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.complaint.startswith("interrupted; what was finished is saved")
    assert again.code == 0
    assert again.err.count("training 2/2 steps") == 1, "the first fold is not trained again"
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert (out / "seed0" / "bob" / "scores.json").exists()
    assert "train" in tomllib.loads((out / "config.toml").read_text())
    assert (out / "env.json").exists()
    assert (out / "plots" / "curves_Seed_0.png").exists()


def test_every_video_is_scored_by_a_net_that_never_saw_its_actor(finished: Any) -> None:
    _, again, out, _ = finished
    record = again.json
    assert set(record) == {"seeds", "summary", "report"}
    assert record["summary"] == [], "one seed has no mean over seeds"
    for head in ("svm", "net"):
        result = record["seeds"]["0"][head]
        assert [prediction["video_id"] for prediction in result["predictions"]] == [
            "ann_run.avi", "ann_walk.avi", "bob_run.avi", "bob_walk.avi",
        ]  # fmt: skip
        right = sum(prediction["label"] == prediction["predicted"] for prediction in result["predictions"])
        assert result["value"] == right / 4
        assert 0 <= result["interval"]["low"] <= result["value"] <= result["interval"]["high"] <= 1
    for actor, other in (("ann", "bob"), ("bob", "ann")):
        trained = json.loads((out / "seed0" / actor / "model" / "provenance.json").read_text())["trained_on"]
        assert trained["group_hashes"] == [hash_json(["weizmann", other])[:16]]
        assert trained["videos"] == 2
    assert Path(record["report"]).is_file()
    assert (
        json.loads((out / "seed0" / "result.json").read_text())["net"]["value"] == record["seeds"]["0"]["net"]["value"]
    )


def test_other_settings_in_the_same_folder_are_refused(finished: Any, tubelet: Tubelet, weizmann_folder: Path) -> None:
    out = finished[2]
    found = tubelet(
        "evaluate", "weizmann", "--data", weizmann_folder, "-o", out, "--iterations", 3, "--precision", "float32"
    )
    assert (found.code, found.out) == (2, "")
    assert found.complaint.startswith(f"the output folder holds a run with other settings: {out} (")
    assert "--overwrite" in found.complaint


Asked = list[tuple[Manifest, Manifest, RoundSettings, Path]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Rounds are not run: seed s gets the first s + 1 of the test videos right. Says what was asked for."""
    calls: Asked = []

    def train_and_test(
        training: Manifest, test: Manifest, settings: RoundSettings, folder: Path, **more: object
    ) -> Recognition:
        calls.append((training, test, settings, folder))
        labels = [str(item.label) for item in test.items]
        perfect = np.array([[float(name == label) for name in test.classes] for label in labels])
        first = np.arange(len(labels))[:, None] <= settings.train.seed
        scores = np.where(first, perfect, np.roll(perfect, 1, axis=1))
        ids = [item.path for item in test.items]
        result = classification_result(scores, labels, test.classes, protocol="network", video_ids=ids)
        failed = (("gone.avi", "no frame"),) if settings.train.seed == 2 else ()
        return Recognition(result, None, failed)

    monkeypatch.setattr(recognition, "train_and_test", train_and_test)
    monkeypatch.setattr("tubelet.protocols.run_report.evaluation_report", lambda root, *rest: root / "report.html")
    return calls


def test_seeds_are_compared_on_the_same_videos(
    tubelet: Tubelet, motion_folder: Path, asked: Asked, tmp_path: Path
) -> None:
    found = tubelet("evaluate", "folder", "--data", motion_folder, "--seeds", "0-1", "-o", tmp_path, "--json", "--C", 2)
    assert found.code == 0
    assert [(settings.train.seed, settings.svm_c, folder.name) for _, _, settings, folder in asked] == [
        (0, 2.0, "seed0"),
        (1, 2.0, "seed1"),
    ]
    assert asked[0][1] == asked[1][1]
    # The folder has its own splits: metadata.csv.
    assert all(item.path.startswith("test/") for item in asked[0][1].items)
    record = found.json
    assert [run["net"]["value"] for run in record["seeds"].values()] == [0.1, 0.2]
    assert record["summary"][0]["mean"] == pytest.approx(0.15)
    assert "seed 0: network: accuracy 10.0%" in found.err


def test_figures_go_to_standard_output_and_failures_have_code_3(
    tubelet: Tubelet, motion_folder: Path, asked: Asked, tmp_path: Path
) -> None:
    found = tubelet("evaluate", "folder", "--data", motion_folder, "--seeds", "0,2", "-o", tmp_path)
    assert found.code == 3
    lines = found.out.splitlines()
    assert [line.partition(" (")[0] for line in lines] == [
        "seed 0: network: accuracy 10.0%", "seed 2: network: accuracy 30.0%",
        "network: mean over seeds 0, 2: 20.0%", f"report: {tmp_path / 'report.html'}",
    ]  # fmt: skip
    assert "1 videos could not be read, see failed.jsonl below" in found.err
    single = tubelet("evaluate", "folder", "--data", motion_folder, "--seed", 0, "-o", tmp_path)
    assert single.code == 0
    assert "  class " in single.out, "one seed shows its table of classes"


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    """Class folders with names like UCF101's: groups g01 to g05."""
    root = tmp_path / "grouped"
    for label in ("Run", "Walk"):
        for group in range(1, 6):
            path = root / label / f"v_{label}_g{group:02d}_c01.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{label} {group}".encode())
    return root


def test_named_groups_are_tested_on(tubelet: Tubelet, grouped: Path, asked: Asked, tmp_path: Path) -> None:
    tubelet("evaluate", "folder", "--data", grouped, "--test-groups", "g02-g03", "-o", tmp_path / "out")
    training, test = asked[0][:2]
    assert test.groups == ("g02", "g03")
    assert training.groups == ("g01", "g04", "g05")
    assert (len(training), len(test)) == (6, 4)


def test_kth_has_its_official_split_over_persons(tubelet: Tubelet, asked: Asked, tmp_path: Path) -> None:
    root = tmp_path / "kth"
    for person in (1, 2, 11, 12):  # 1 validates, 2 tests, 11 and 12 train (00sequences.txt)
        for action in ("boxing", "walking"):
            path = root / action / f"person{person:02d}_{action}_d1_uncomp.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{person} {action}".encode())
    head = "Training:  person11, 12\n\n"
    (root / "00sequences.txt").write_text(
        head
        + "".join(
            f"person{person:02d}_{action}_d1 frames 1-10, 8-20\n"
            for person in (1, 2, 11, 12)
            for action in ("boxing", "walking")
        )
    )
    found = tubelet("evaluate", "kth", "--data", root, "-o", tmp_path / "out")
    assert found.code == 0, found.err
    training, test = asked[0][:2]
    assert (training.groups, test.groups) == (("person11", "person12"), ("person02",))
    assert (len(training), len(test)) == (8, 4), "two segments of each video"
    assert "8 to train on, 4 to test" in found.err


def test_else_whole_groups_are_drawn(tubelet: Tubelet, grouped: Path, asked: Asked, tmp_path: Path) -> None:
    tubelet("evaluate", "folder", "--data", grouped, "--test-fraction", 0.4, "-o", tmp_path / "out")
    training, test = asked[0][:2]
    assert len(test) == 4
    assert not set(training.groups) & set(test.groups)


def test_copies_of_one_video_share_a_fold(tubelet: Tubelet, grouped: Path) -> None:
    (grouped / "Run" / "v_Run_g05_c01.avi").write_bytes((grouped / "Run" / "v_Run_g02_c01.avi").read_bytes())
    found = tubelet("evaluate", "folder", "--data", grouped, "--leave-one-group-out", "--dry-run", "--json")
    assert found.json["folds"] == 4, "groups 2 and 5 hold the same video"
    assert "joined" in found.err


def test_one_fold_per_group_where_asked_for(tubelet: Tubelet, grouped: Path, tmp_path: Path) -> None:
    found = tubelet(
        "evaluate", "folder", "--data", grouped, "--leave-one-group-out", "--dry-run", "--json", "-o", tmp_path / "out"
    )
    assert (found.code, found.json["folds"]) == (0, 5)
    assert "5 folds, for seed 0" in found.err
    assert not (tmp_path / "out").exists()
    assert tubelet("evaluate", "folder", "--data", grouped, "--dry-run").out == ""


def test_the_issues_ucf101_command_splits_as_it_says(tubelet: Tubelet, shared_data: Path, tmp_path: Path) -> None:
    found = tubelet(
        "evaluate", "folder", "--data", shared_data / "ucf101" / "frames_5fps", "--fps", 5, "--test-groups", "g21-g25",
        "-o", tmp_path / "out", "--dry-run", "--json",
    )  # fmt: skip
    assert found.code == 0
    assert "65 to train on, 25 to test" in found.err
    assert not (tmp_path / "out").exists()


def test_the_issues_weizmann_command_has_six_folds(tubelet: Tubelet, shared_data: Path, tmp_path: Path) -> None:
    found = tubelet(
        "evaluate", "weizmann", "--data", shared_data / "weizmann", "--seeds", "0,1,2", "--dry-run", "--json",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert (found.json["folds"], found.json["seeds"], found.json["model"]) == (6, [0, 1, 2], "c3d_small")
    assert "60 videos, 10 classes, 6 groups" in found.err


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["hmdb52"], 2, "no such command 'hmdb52'; did you mean 'hmdb51'?"),
        (["folder", "--splits", "1,2"], 2, "--splits are official splits, and folder has none"),
        (["hmdb51", "--splits", "1,x"], 2, "--splits cannot be '1,x'"),
        (["folder", "--seeds", "one"], 2, "--seeds cannot be 'one'"),
        (["folder", "--test-groups", "g09"], 2, "there is no group g09"),
        (["folder", "--test-groups", "g01", "--test-fraction", "0.5"], 2, "--test-groups and --test-fraction both say"),
        (["folder", "--test-fraction", "0"], 2, "grouped has no test videos; name test groups with --test-groups"),
        (["folder", "--leave-one-group-out", "--test-groups", "g01"], 2, "every group is tested on in turn"),
        (["folder", "--model", "c3d_smal"], 2, "there is no model 'c3d_smal'; did you mean 'c3d_small'?"),
        (["folder", "--model", "untrained:c3d_small"], 2, "untrained:c3d_small cannot be tested: its classes were"),
        (["folder", "--device", "tpu"], 2, "--device cannot be 'tpu'"),
        (["weizmann"], 4, "no video is named like those of Weizmann"),
        (["ucf101"], 4, "the official lists of UCF101 are not found"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    tubelet: Tubelet, grouped: Path, tmp_path: Path, arguments: list[str], code: int, complaint: str
) -> None:
    found = tubelet("evaluate", arguments[0], "--data", grouped, "-o", tmp_path / "out", *arguments[1:])
    assert (found.code, found.out) == (code, "")
    assert found.complaint.startswith(complaint)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "seeds"), [("0", (0,)), ("0,1,2", (0, 1, 2)), ("0-2", (0, 1, 2)), (" 5 , 7-8", (5, 7, 8)), ("3-3", (3,))]
)
def test_seeds_are_read(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_numbers(text, "--seeds") == seeds


@pytest.mark.parametrize("text", ["", "one", "1,", "1,1", "2-0", "0-", "-1", "0.5"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds cannot be"):
        parse_numbers(text, "--seeds")
