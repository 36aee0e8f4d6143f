"""``tubelet train``: starting weights of another network, chosen layers, further data sets, and a teacher."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tubelet.models.folder import load_model
from tubelet.models.registry import create_model
from tubelet.training.metrics import read_metrics
from tubelet.video.encode import encode

Tubelet = Callable[..., Any]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
QUICK = ("--iterations", 2, "--precision", "float32", "--workers", 1, "--device", "cpu", "--no-svm", "--json")


@pytest.fixture(scope="module")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of two classes, one color each, of 18 frames."""
    root = tmp_path_factory.mktemp("colors")
    rng = np.random.default_rng(0)
    for label, level in (("bright", 180), ("dark", 30)):
        for number in range(2):
            frames = (rng.integers(0, 40, (18, 24, 24, 3)) + level).astype(np.uint8)
            encode(root / label / f"{number}.avi", frames, codec="mjpeg")
    return root


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("tsn_rgb_pami", (), "starts from trained weights, and none ship; give a model folder with --weights DIR"),
        ("t3d_transfer", (), "learns from a trained image network; give its model folder with --teacher DIR"),
        ("two_stream_spatial_scratch", ("--teacher", "x"), "learns from labels, not from a teacher"),
        ("two_stream_temporal_L10", (), "give its folder with --flow DIR"),
        ("two_stream_multitask", ("--also", "hmdb51=x"), "give its folder with --flow DIR"),
    ],
)
def test_an_experiment_says_what_it_needs(
    tubelet: Tubelet, colors: Path, name: str, options: tuple[str, ...], says: str
) -> None:
    found = tubelet("train", EXPERIMENTS / f"{name}.toml", "--data", colors, *options)
    assert (found.code, found.out) == (2, "")
    assert says in found.complaint


def test_starting_weights_need_a_way_and_a_folder(tubelet: Tubelet, colors: Path) -> None:
    found = tubelet("train", "folder", "--data", colors, "--start-from", "inflate")
    assert (found.code, "none are given; add --weights" in found.complaint) == (2, True)
    found = tubelet("train", "folder", "--data", colors, "--start-from", "inflation", "--weights", "x")
    assert (found.code, "--start-from cannot be 'inflation'" in found.complaint) == (2, True)
    found = tubelet("train", "folder", "--data", colors, "--teacher", "x", "--also", "folder=y")
    assert (found.code, "give one of --teacher and --also" in found.complaint) == (2, True)
    found = tubelet("train", "folder", "--data", colors, "--also", "folder")
    assert (found.code, "--also folder is not KIND=DIR" in found.complaint) == (2, True)


def test_a_2d_network_starts_a_3d_one_whose_head_alone_learns(tubelet: Tubelet, colors: Path, tmp_path: Path) -> None:
    flat = create_model("c3d_depth1", 5, seed=4, width=0.0625, side=32)
    flat.save(tmp_path / "flat", provenance={"trained_on": {"dataset": "pictures", "group_hashes": ["0" * 16]}})
    experiment = tmp_path / "deep.toml"
    experiment.write_text(
        'name = "deep"\nsource = "a test"\ndataset = "folder"\nmodel = "c3d_depth3"\nrecipe = "c3d_channel_mean"\n'
        'weights = "required"\nstart_from = "inflate"\n[options]\nwidth = 0.0625\nside = 32\n'
        '[train]\nbatch_size = 2\noptimizer = "sgd"\nlearning_rate = 0.01\nschedule = "constant"\n'
    )
    found = tubelet(
        "train", experiment, "--data", colors, "--weights", tmp_path / "flat", "-o", tmp_path / "run",
        "--train-layers", "head", "--test-fraction", 0, *QUICK,
    )  # fmt: skip
    assert found.code == 0, found.err
    model = load_model(tmp_path / "run" / "model")
    given = flat.get_parameter("conv3a.weight").detach()
    # Repeated over the three frames of the kernel and divided by three (spec: mean-preserving inflation).
    torch.testing.assert_close(model.get_parameter("conv3a.weight").detach(), given.repeat(1, 1, 3, 1, 1) / 3)
    assert model.provenance is not None
    assert model.provenance["started_from"]["model"] == "c3d_depth1"
    assert model.provenance["trained_on"]["before"]["dataset"] == "pictures"
    assert 'start_from = "inflate"' in (tmp_path / "run" / "config.toml").read_text()
    assert "mean-preserving inflation" in (tmp_path / "run" / "log.txt").read_text()


def test_two_data_sets_share_a_network(tubelet: Tubelet, colors: Path, motion_folder: Path, tmp_path: Path) -> None:
    experiment = tmp_path / "both.toml"
    experiment.write_text(
        'name = "both"\nsource = "a test"\ndataset = "folder"\nmodel = "two_stream_spatial"\n'
        'recipe = "two_stream_rgb"\n'
        '[options]\nwidth = 0.0625\nside = 63\n[train]\nbatch_size = 4\n[[also]]\ndataset = "folder"\nsplit = 1\n'
    )
    command = ("train", experiment, "--data", colors, "-o", tmp_path / "run", "--test-fraction", 0, *QUICK)
    missing = tubelet(*command)
    assert missing.complaint == "the experiment both also learns from folder; add --also folder=DIR"
    found = tubelet(*command, "--also", f"folder={motion_folder}")
    assert found.code == 0, found.err
    assert "and motion: 20 videos of 10 classes" in found.err
    config = json.loads((tmp_path / "run/model/config.json").read_text())
    assert (config["num_classes"], config["options"]["tasks"]) == (2, [10])
    history = json.loads((tmp_path / "run/model/provenance.json").read_text())["trained_on"]
    assert [one["dataset"] for one in history["with"]] == ["motion"]
    for row in read_metrics(tmp_path / "run"):
        assert row["loss"] == pytest.approx(row["task1_loss"] + row["task2_loss"], rel=1e-5)
    leak = tubelet(
        "train", "folder", "--data", colors, "--model", "two_stream_spatial", "--also", f"folder={colors}",
        "-o", tmp_path / "leak", "--test-fraction", 0.5,
    )  # fmt: skip
    assert "holds 2 of the 2 test groups" in leak.complaint


def as_ucf101(colors: Path, folder: Path) -> Path:
    """The videos of ``colors`` under UCF101's names, all of them to be tested on; and one more to train on."""
    root = folder / "UCF-101"
    lists = folder / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 bright\n2 dark\n")
    (lists / "trainlist01.txt").write_text("dark/v_dark_g08_c01.avi 2\n")
    encode(root / "dark" / "v_dark_g08_c01.avi", np.zeros((18, 24, 24, 3), np.uint8), codec="mjpeg")
    names = []
    for group, path in enumerate(sorted(colors.glob("*/*.avi")), 1):
        names.append(f"{path.parent.name}/v_{path.parent.name}_g{group:02d}_c01.avi")
        (root / names[-1]).parent.mkdir(exist_ok=True)
        (root / names[-1]).write_bytes(path.read_bytes())
    (lists / "testlist01.txt").write_text("\n".join(names) + "\n")
    return root


def test_a_teacher_makes_a_student_that_is_fine_tuned(tubelet: Tubelet, colors: Path, tmp_path: Path) -> None:
    tiny = {"growth": 4, "stem": 8, "blocks": (1, 1, 1, 1), "side": 32}
    create_model("densenet_121", 5, seed=1, **tiny).save(tmp_path / "teacher")
    experiment = tmp_path / "taught.toml"
    experiment.write_text(
        'name = "taught"\nsource = "a test"\ndataset = "videos"\nmodel = "t3d_121"\nrecipe = "t3d_rgb"\n'
        'teacher = "required"\n[options]\ngrowth = 4\nstem = 8\nblocks = [1, 1, 1, 1]\nttl_width = 4\nside = 32\n'
        "clip_length = 16\n[train]\nbatch_size = 3\n"
    )
    command = (
        "train", experiment, "--data", colors, "-o", tmp_path / "run", "--teacher", tmp_path / "teacher",
        "--test-fraction", 0.5, *QUICK,
    )  # fmt: skip
    found = tubelet(*command)
    assert found.code == 0, found.err
    # Two videos held out, one clip of 16 each, two pairs a clip.
    assert (found.json["pairs"], found.json["steps"]) == (4, 2)
    assert found.json["accuracy"] in (0, 0.25, 0.5, 0.75, 1)
    assert Path(found.json["report"]).read_text().count("held-out pairs") >= 1
    again = tubelet(*command)
    assert again.json == found.json
    assert "training" not in again.err
    student = load_model(tmp_path / "run" / "model")
    assert student.name == "t3d_121"
    tuned = tubelet(
        "train", "folder", "--data", colors, "--weights", tmp_path / "run", "-o", tmp_path / "tuned", "--test-fraction",
        0, "--batch-size", 2, *QUICK,
    )  # fmt: skip
    assert tuned.code == 0, tuned.err
    fine_tuned = load_model(tmp_path / "tuned" / "model")
    assert fine_tuned.num_classes == 2
    # A model is handed on: it says which weights it began with, not where they lay on this machine.
    assert fine_tuned.provenance is not None
    assert fine_tuned.provenance["started_from"] == {
        "model": "t3d_121", "folder": "run", "weights_sha256": student.weights_id
    }  # fmt: skip
    assert str(tmp_path) not in json.dumps({**fine_tuned.provenance, "environment": None})
    # Two of the four were learned from. UCF101 calls them otherwise, and they bring labels along.
    listed = as_ucf101(colors, tmp_path)
    for run in ("run", "tuned"):
        test = ("evaluate", "ucf101", "--data", listed, "--model", tmp_path / run, "-o", tmp_path / f"test of {run}")
        refused = tubelet(*test, "--views", "1x1")
        assert refused.code == 2
        seen = 2 if run == "run" else 4
        assert refused.complaint.startswith(f"the weights were trained on {seen} of the 4 test groups"), run
    words = tubelet(*[part for part in command if part != "--json"])
    assert "of 4 held-out pairs right" in words.out
    assert f"next: tubelet train KIND --data DIR --weights {tmp_path / 'run'}" in words.err
