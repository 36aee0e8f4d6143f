"""``tubelet train``: one command from videos to a model, an SVM and a report; typed again it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tubelet.cli.labeled import hold_out, open_labeled
from tubelet.datasets.catalog import open_dataset
from tubelet.errors import InputDataError, UsageError

Tubelet = Callable[..., Any]
# A command line that begins as the console script does, and hears Ctrl-C wherever it was started.
START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from tubelet.cli.main import main; sys.exit(main())"
)


def test_standard_output_is_the_result_and_nothing_else(trained_run: Any) -> None:
    record = json.loads(trained_run.stdout)
    assert record["model"] == str(trained_run.folder / "model")
    assert Path(record["report"]).is_file()
    assert record["failed"] == []
    for head in ("svm", "net"):
        assert record[head]["n"] == 10
        assert 0 <= record[head]["value"] <= 1
    for line in (
        "motion: 20 videos of 10 classes to train on, 10 to test",
        "training 3/3 steps",
        "extracting 30/30 videos",
    ):
        assert line in trained_run.stderr


@pytest.fixture
def again(trained_run: Any, tmp_path: Path) -> tuple[Any, ...]:
    """The command of the finished run, for a copy of its folder."""
    shutil.copytree(trained_run.folder, tmp_path / "run")
    return tuple(str(tmp_path / "run") if part == str(trained_run.folder) else part for part in trained_run.command)


def test_typed_again_nothing_is_done_again(
    tubelet: Tubelet, again: tuple[Any, ...], trained_run: Any, tmp_path: Path, files_of: Any
) -> None:
    before = files_of(tmp_path / "run")
    found = tubelet(*[part for part in again if part != "--json"])
    assert found.code == 0
    for work in ("reading videos", "training ", "extracting"):
        assert work not in found.err
    kept = {name: time_ns for name, time_ns in files_of(tmp_path / "run").items() if before.get(name) == time_ns}
    remade = set(before) - set(kept)
    assert remade <= {"report.html", "result.json"} | {name for name in before if name.startswith("plots/")}
    wanted = json.loads(trained_run.stdout)
    assert f"linear SVM on fc6: accuracy {wanted['svm']['value']:.1%}" in found.out
    assert f"model:  {tmp_path / 'run' / 'model'}" in found.out
    assert f"next: tubelet classify VIDEO_OR_FOLDER --model {tmp_path / 'run'}" in found.err


def test_a_changed_setting_is_refused_unless_the_run_may_go(
    tubelet: Tubelet, again: tuple[Any, ...], tmp_path: Path, files_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = ["4" if part == "3" else part for part in again]
    before = files_of(tmp_path / "run")
    found = tubelet(*changed)
    assert (found.code, found.out) == (2, "")
    assert found.complaint == (
        f"the output folder holds a run with other settings: {tmp_path / 'run'} (see its config.toml); "
        "choose another folder with -o, or add --overwrite to delete that run"
    )
    assert files_of(tmp_path / "run") == before

    def stop(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tubelet.protocols.rounds.trained_model", stop)
    assert tubelet(*changed, "--overwrite").code == 130
    assert "iterations = 4" in (tmp_path / "run" / "config.toml").read_text()
    assert not (tmp_path / "run" / "scores.json").exists()


def test_a_test_set_without_published_labels_gives_way_to_the_validation_set(tubelet: Tubelet, tmp_path: Path) -> None:
    rows = {"train": ("a", "b"), "val": ("a", "b", "a"), "test": (None,)}
    number = 0
    for split, labels in rows.items():
        text = (
            "label,youtube_id,time_start,time_end,split\n"
            if split != "test"
            else "youtube_id,time_start,time_end,split\n"
        )
        for label in labels:
            number += 1
            text += f"{label}," * (label is not None) + f"{number:011d},0,10,{split}\n"
            (tmp_path / f"{number:011d}_000000_000010.mp4").write_bytes(bytes([number]))
        (tmp_path / f"{split}.csv").write_text(text)
    found = tubelet("train", "kinetics", "--data", tmp_path, "--dry-run", "--json")
    assert (found.code, found.json["training"], found.json["test"]) == (0, 2, 3)
    assert "1 videos of the test set have no published labels and are left out" in found.err


def test_a_dry_run_says_the_plan_and_writes_nothing(
    tubelet: Tubelet, motion_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("train", "folder", "--data", motion_folder, "--seed", 3, "--C", 0.5, "--dry-run")
    found = tubelet(*command, "--json")
    plan = found.json
    assert (found.code, plan["training"], plan["test"], plan["folder"]) == (0, 20, 10, "runs/train/motion")
    assert (plan["model"], plan["svm_c"], plan["train"]["seed"]) == ("c3d_small", 0.5, 3)
    assert plan["recipe"]["flip"] is False, "a mirror swaps left and right"
    words = tubelet(*command)
    assert words.out == ""
    assert words.err == found.err
    assert "seed 3 -> runs/train/motion" in words.err
    assert list(tmp_path.iterdir()) == []


def test_weizmann_is_trained_as_it_is_evaluated(tubelet: Tubelet, weizmann_folder: Path) -> None:
    plans = [
        tubelet(verb, "weizmann", "--data", weizmann_folder, "--dry-run", "--json").json
        for verb in ("train", "evaluate")
    ]
    for key in ("model", "options", "recipe", "train", "svm_c", "layer", "stride_frames"):
        assert plans[0][key] == plans[1][key], key
    assert plans[0]["train"]["iterations"] == 600


def steps_of(folder: Path) -> str:
    return (folder / "metrics.csv").read_text()


def test_ctrl_c_saves_the_state_and_the_same_command_finishes(
    tubelet: Tubelet, motion_folder: Path, tmp_path: Path
) -> None:
    settings = "--test-fraction 0 --no-svm --iterations 8 --batch-size 4 --precision float32 --workers 1 --device cpu"
    command = ("train", "folder", "--data", str(motion_folder), *settings.split(), "-o")
    assert tubelet(*command, tmp_path / "whole").code == 0
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    stopped = tmp_path / "stopped"
    with subprocess.Popen(
        [sys.executable, "-c", START, *command, str(stopped)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        while process.poll() is None and not (stopped / "metrics.csv").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    assert err.splitlines()[-1] == (
        "tubelet: interrupted; what was finished is saved, the same command goes on from there"
    )
    saved = [path.name for path in (stopped / "checkpoints").iterdir()]
    assert len(saved) == 1
    step = int(saved[0].removeprefix("step_").removesuffix(".safetensors"))
    assert 1 <= step < 8, "the step under way was finished, and no other begun"
    assert len(steps_of(stopped).splitlines()) == 1 + step
    unfinished = tubelet("classify", motion_folder, "--model", stopped)
    assert (unfinished.code, unfinished.out) == (4, "")
    assert "not finished, so it has no model yet" in unfinished.complaint

    resumed = tubelet(*command, stopped)
    assert resumed.code == 0
    assert steps_of(stopped) == steps_of(tmp_path / "whole"), "the rows of the unbroken run, to the last digit"
    weights = [folder / "model" / "model.safetensors" for folder in (stopped, tmp_path / "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_damaged_videos_are_set_aside_and_the_code_is_3(tubelet: Tubelet, motion_folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "videos"
    for split, label in (("train", "left"), ("train", "grow"), ("test", "left"), ("test", "grow")):
        shutil.copytree(motion_folder / split / label, root / split / label)
    (root / "train" / "left" / "cut off.avi").write_bytes(b"RIFF")
    (root / "test" / "grow" / "text.avi").write_text("no video")
    command = ("train", "folder", "--data", root, "-o", tmp_path / "run")
    settings = ("--iterations", 1, "--batch-size", 2, "--workers", 1, "--precision", "float32", "--device", "cpu")
    found = tubelet(*command, *settings, "--json")
    assert found.code == 3
    assert f"2 videos could not be read, see {tmp_path / 'run' / 'failed.jsonl'}" in found.err
    failed = [json.loads(line) for line in (tmp_path / "run" / "failed.jsonl").read_text().splitlines()]
    assert [row["path"] for row in failed] == ["test/grow/text.avi", "train/left/cut off.avi"]
    assert [row["path"] for row in found.json["failed"]] == ["test/grow/text.avi", "train/left/cut off.avi"]
    assert found.json["svm"]["n"] == 2
    assert "1 of 3 test videos could not be read and are not counted" in found.json["svm"]["notes"]


def test_weizmann_is_trained_on_all_actors_and_classifies_others(
    tubelet: Tubelet, weizmann_folder: Path, tmp_path: Path
) -> None:
    settings = ("--iterations", 1, "--batch-size", 2, "--workers", 1, "--precision", "float32", "--device", "cpu")
    command = ("train", "weizmann", "--data", weizmann_folder, "-o", tmp_path / "run", *settings, "--json")
    found = tubelet(*command)
    assert found.code == 0
    assert "4 videos of 10 classes to train on, none held out (actors, from the names)" in found.err
    assert found.json["model"] == str(tmp_path / "run" / "model")
    assert "svm" not in found.json, "nothing was held out, so there is no figure"
    assert (tmp_path / "run" / "model" / "svm" / "svm.safetensors").is_file()
    again = tubelet(*command)
    assert (again.code, again.json) == (0, found.json)
    assert "training " not in again.err

    others = tmp_path / "others"
    others.mkdir()
    shutil.copy(weizmann_folder / "bob_walk.avi", others / "zoe_walk.avi")
    shutil.copy(weizmann_folder / "bob_run.avi", others / "zoe_bend.avi")
    record = tubelet("classify", others, "--model", tmp_path / "run", "--no-plots", "--json", "-o", tmp_path / "c").json
    assert [(video["video_id"], video["label"]) for video in record["videos"]] == [
        ("zoe_bend.avi", "bend"),
        ("zoe_walk.avi", "walk"),
    ]
    assert len(record["classes"]) == 10
    assert record["labeled"] == 2
    # The SVM saw two classes; the others are out of its reach, never first.
    assert {video["predicted"] for video in record["videos"]} <= {"run", "walk"}


@pytest.mark.parametrize(
    ("kind", "arguments", "code", "complaint"),
    [
        ("folde", [], 2, "there is no dataset kind 'folde'; did you mean folder?"),
        ("folder", ["--model", "c3d_smal"], 2, "there is no model 'c3d_smal'; did you mean 'c3d_small'?"),
        ("folder", ["--recipe", "c3d"], 2, "there is no recipe 'c3d'; choose one of"),
        ("folder", ["--precision", "half"], 2, "--precision cannot be 'half'; use one of auto, float32, bfloat16"),
        ("folder", ["--device", "tpu", "--dry-run"], 2, "--device cannot be 'tpu'"),
        ("folder", ["--learning-rate", "-1"], 2, "the settings of this run do not fit (learning_rate: "),
        ("folder", ["--test-fraction", "2"], 2, "the test fraction 2.0 is not between 0 and 1"),
        ("folder", ["--label-column", "mood"], 2, "no video of motion has a label column 'mood': "),
        ("folder", ["--weights", "nowhere"], 4, "this is no model folder: nowhere"),
        ("videos", [], 4, "30 of 30 videos have no label: "),
        ("absent.toml", [], 2, "there is no such experiment file: absent.toml; see experiments/*.toml"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    tubelet: Tubelet, motion_folder: Path, tmp_path: Path, kind: str, arguments: list[str], code: int, complaint: str
) -> None:
    found = tubelet("train", kind, "--data", motion_folder, "-o", tmp_path / "run", *arguments)
    assert (found.code, found.out) == (code, "")
    assert found.complaint.startswith(complaint)
    assert not (tmp_path / "run").exists()


def test_missing_and_empty_folders_are_bad_data(tubelet: Tubelet, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, why in (("absent", "there is no such folder"), ("empty", "the folder holds no video")):
        found = tubelet("train", "folder", "--data", tmp_path / name, "-o", tmp_path / "run")
        assert found.code == 4
        assert found.complaint.startswith(why)
        assert str(tmp_path / name) in found.complaint


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Class folders: three classes of four videos, of which two are copies of each other."""
    root = tmp_path / "folders"
    for label in ("a", "b", "c"):
        for number in range(4):
            (root / label).mkdir(parents=True, exist_ok=True)
            (root / label / f"{number}.avi").write_bytes(f"{label}{number % 4}".encode())
    (root / "a" / "1.avi").write_bytes((root / "a" / "0.avi").read_bytes())
    return root


def test_copies_of_one_video_stay_on_one_side(folders: Path) -> None:
    manifest = open_dataset("folder", folders)
    for seed in range(8):
        training, test = hold_out(manifest, "folder", None, 0.5, seed)
        assert test is not None
        sides = [{item.path for item in part.items} for part in (training, test)]
        assert sides[0] | sides[1] == {item.path for item in manifest.items}
        assert any({"a/0.avi", "a/1.avi"} <= side for side in sides)


def test_what_is_held_out(folders: Path, motion_folder: Path) -> None:
    manifest = open_dataset("folder", folders)
    assert hold_out(manifest, "folder", None, 0.0, 0) == (manifest, None)
    assert hold_out(manifest, "weizmann", None, None, 0) == (manifest, None)
    motion = open_dataset("folder", motion_folder)
    training, test = hold_out(motion, "folder", None, None, 0)
    assert test is not None
    assert (len(training), len(test)) == (20, 10)
    only = motion.select(split="train")
    assert hold_out(only, "folder", None, None, 0)[1] is None
    with pytest.raises(UsageError, match="both say what to test on"):
        hold_out(manifest, "folder", "g01", 0.2, 0)


def test_own_splits_that_leak_are_refused(folders: Path) -> None:
    manifest = open_dataset("folder", folders)
    marked = manifest.with_splits(["test" if item.path == "a/0.avi" else "train" for item in manifest.items])
    with pytest.raises(InputDataError, match=r"leak into each other.*a/0\.avi = a/1\.avi"):
        hold_out(marked, "folder", None, None, 0)


@pytest.mark.parametrize(
    ("limit", "counts"), [(1, [1]), (3, [1, 1, 1]), (7, [3, 2, 2]), (12, [4, 4, 4]), (99, [4, 4, 4])]
)
def test_a_limit_takes_the_classes_in_turn(folders: Path, limit: int, counts: list[int]) -> None:
    found = open_labeled("folder", folders, split=None, fps=None, label_column="label", limit=limit)
    assert np.bincount(found.targets).tolist() == counts
    assert len(found.classes) == len(counts)


def test_a_limit_keeps_both_splits(motion_folder: Path) -> None:
    found = open_labeled("folder", motion_folder, split=None, fps=None, label_column="label", limit=20)
    assert [len(found.select(split=split)) for split in ("train", "test")] == [10, 10]
