"""``tubelet evaluate descriptors``: tables side by side on official splits, with means, failures and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.models.folder import read_config
from tubelet.protocols import descriptor_svm
from tubelet.protocols.descriptor_done import model_of_table

Tubelet = Callable[..., Any]
LABELS = ("Run", "Sit", "Walk")


@pytest.fixture(scope="module")
def ucf101(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of six groups named as UCF101's, official lists of three splits, and two tables of vectors."""
    root = tmp_path_factory.mktemp("ucf")
    rng = np.random.default_rng(0)
    names = []
    for place, label in enumerate(LABELS):
        for group in range(1, 7):
            name = f"{label}/v_{label}_g{group:02d}_c01.avi"
            (root / "videos" / label).mkdir(parents=True, exist_ok=True)
            (root / "videos" / name).write_bytes(name.encode())
            names.append((name, place, group))
    lists = root / "videos" / "annotations"
    lists.mkdir()
    lists.joinpath("classInd.txt").write_text("".join(f"{n} {label}\n" for n, label in enumerate(LABELS, 1)))
    for split in (1, 2, 3):
        held = (2 * split - 1, 2 * split)
        lists.joinpath(f"trainlist0{split}.txt").write_text(
            "".join(f"{name} {place + 1}\n" for name, place, group in names if group not in held)
        )
        lists.joinpath(f"testlist0{split}.txt").write_text(
            "".join(f"{name}\n" for name, _, group in names if group in held)
        )
    for table, noise in (("good", 0.1), ("weak", 2.0)):
        rows = np.array([np.eye(3)[place] + noise * rng.normal(size=3) for _, place, _ in names])
        np.savez(root / f"{table}.npz", video_id=np.array([name for name, _, _ in names]), features=rows)
    return root


def test_the_mean_over_the_official_splits_is_printed(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    command = ("evaluate", "descriptors", "--data", ucf101 / "videos", "--table", ucf101 / "good.npz", "-o", tmp_path)
    found = tubelet(*command)
    assert found.code == 0, found.err
    assert found.out.startswith("linear SVM on good, 3 numbers, mean of splits 1, 2, 3: accuracy 100.0% (95% interval ")
    assert "each: split 1 100.0%, split 2 100.0%, split 3 100.0%" in found.out
    assert "ucf101: 3 classes, split1: 12 videos to train on, 6 to test" in found.err
    for name in ("report.html", "result.json", "split2/report.html", "split2/result.json", "split2/scores/split2.json"):
        assert (tmp_path / name).is_file(), name
    page = (tmp_path / "split1" / "report.html").read_text(encoding="utf-8")
    assert "Tables" in page
    assert "principal components" in page


def test_typed_again_nothing_is_fitted(
    tubelet: Tubelet, ucf101: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = ("--table", f"idt={ucf101 / 'weak.npz'}", "--table", ucf101 / "good.npz", "--splits", "2")
    command = ("evaluate", "descriptors", "--data", ucf101 / "videos", *tables, "-o", tmp_path, "--json")
    first = tubelet(*command)
    assert first.code == 0, first.err
    result = first.json["parts"]["split2"]
    assert result["protocol"] == "linear SVM on idt + good, 6 numbers"
    assert (result["n"], result["settings"]["folds"]) == (6, ["split2"])
    assert "mean" not in first.json

    def fit(*arguments: Any) -> Any:
        raise AssertionError("it is in the folder")

    monkeypatch.setattr(descriptor_svm, "fitted_decisions", fit)
    again = tubelet(*command)
    assert again.code == 0, again.err
    assert again.json["parts"]["split2"]["predictions"] == result["predictions"]
    other = tubelet(*command, "--C", 2)
    assert other.complaint.startswith("the output folder holds a run with other settings")


def test_videos_without_a_descriptor_are_listed(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    with np.load(ucf101 / "good.npz") as whole:
        np.savez(tmp_path / "some.npz", video_id=whole["video_id"][:-1], features=whole["features"][:-1])
    out = tmp_path / "out"
    found = tubelet(
        "evaluate", "descriptors", "--data", ucf101 / "videos", "--table", tmp_path / "some.npz", "--splits", "3",
        "-o", out, "--json",
    )  # fmt: skip
    assert found.code == 3
    lost = "Walk/v_Walk_g06_c01.avi"
    assert found.json["missing"] == [lost]
    assert json.loads((out / "failed.jsonl").read_text())["video_id"] == lost
    assert found.json["parts"]["split3"]["n"] == 5
    assert "1 of 6 test videos have no descriptor and are not counted" in found.json["parts"]["split3"]["notes"]


def test_the_tables_of_a_run_give_its_own_svm(tubelet: Tubelet, trained_run: Any, tmp_path: Path) -> None:
    command = ("evaluate", "descriptors", "--data", trained_run.videos, "--table", trained_run.folder / "descriptors")
    found = tubelet(*command, "-o", tmp_path / "out", "--json")
    assert found.code == 0, found.err
    own = json.loads((trained_run.folder / "result.json").read_text())["svm"]
    ours = found.json["parts"]["held-out"]
    assert ours["value"] == own["value"]
    assert [each["predicted"] for each in ours["predictions"]] == [each["predicted"] for each in own["predictions"]]
    leaking = tubelet(*command, "--test-fraction", "0.5", "-o", tmp_path / "leak")
    assert leaking.code == 2
    said = leaking.complaint.partition(":")[0]
    assert said.startswith("the weights were trained on ")
    out = tmp_path / "marked"
    marked = tubelet(*command, "--test-fraction", "0.5", "--allow-leak", "-o", out)
    assert f"note: descriptors: {said}" in marked.out
    assert f"descriptors: {said}" in json.loads((out / "result.json").read_text())["notes"]
    assert f"Note: descriptors: {said}" in (out / "report.html").read_text(encoding="utf-8")


def test_a_table_made_with_a_run_knows_the_model_in_it(trained_run: Any, tmp_path: Path) -> None:
    weights = read_config(trained_run.folder / "model").weights_sha256
    for named in (trained_run.folder, trained_run.folder / "model"):
        assert model_of_table(tmp_path, str(named), weights) == trained_run.folder / "model"
    for named, sha in ((None, weights), (str(tmp_path), weights), (str(trained_run.folder), "other")):
        assert model_of_table(tmp_path, named, sha) is None


def test_three_nets_are_12288_numbers(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    with np.load(ucf101 / "good.npz") as good:
        ids, few = good["video_id"], good["features"]
    tables: list[Any] = []
    for net in range(3):
        fc6 = np.random.default_rng(net).random((18, 4096)) + 40 * few @ np.eye(3, 4096, net)
        np.savez(tmp_path / f"net{net}.npz", video_id=ids, fc6=fc6)
        tables += ["--table", tmp_path / f"net{net}.npz"]
    command = ("evaluate", "descriptors", "--data", ucf101 / "videos", "--splits", 1, "-o", tmp_path / "out", "--json")
    found = tubelet(*command, *tables)
    assert found.code == 0, found.err
    assert "linear SVM on 12,288 numbers" in found.err
    assert found.json["parts"]["split1"]["protocol"].endswith(", 12,288 numbers")
    assert found.json["parts"]["split1"]["value"] == 1.0


def test_every_group_is_left_out_in_turn(tubelet: Tubelet, ucf101: Path, tmp_path: Path) -> None:
    command = ("evaluate", "descriptors", "--data", ucf101 / "videos", "--table", ucf101 / "good.npz", "-o", tmp_path)
    dry = tubelet(*command, "--leave-one-group-out", "--dry-run", "--json")
    assert dry.json == {"folder": str(tmp_path), "numbers": 3, "parts": ["groups"]}
    assert not (tmp_path / "config.toml").exists()
    found = tubelet(*command, "--leave-one-group-out", "--json")
    assert found.code == 0, found.err
    assert found.json["parts"]["groups"]["n"] == 18
    assert len(list((tmp_path / "scores").iterdir())) == 6


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--table", "none"], 4, "there is no such descriptor table: none"),
        (["--layer", "a", "--layer", "b"], 2, "2 layers are named for 1 tables"),
        (["--layer", "fc6"], 2, "the table has no layer 'fc6'"),
        (["--kind", "folder", "--splits", "1"], 2, "--splits are official splits, and folder has none"),
        (["--leave-one-group-out", "--splits", "1"], 2, "every group is tested on in turn"),
        (["--splits", "4"], 2, "UCF101 has no split 4 there"),
        (["--pca", "9", "--splits", "1"], 2, "9 principal components cannot be taken"),
    ],
)
def test_what_does_not_fit_is_refused(
    tubelet: Tubelet, ucf101: Path, tmp_path: Path, options: list[str], code: int, complaint: str
) -> None:
    given = [] if "--table" in options else ["--table", ucf101 / "good.npz"]
    found = tubelet("evaluate", "descriptors", "--data", ucf101 / "videos", *given, *options, "-o", tmp_path / "out")
    assert (found.code, found.out) == (code, "")
    assert found.complaint.startswith(complaint), found.complaint
