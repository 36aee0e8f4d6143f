"""``tubelet evaluate ucf101|hmdb51 --splits 1,2,3``: each split in its folder, then the mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.artifacts import write_json
from tubelet.datasets.manifest import Manifest
from tubelet.protocols import comparable, recognition
from tubelet.protocols.comparable import beside, done_in_round
from tubelet.protocols.recognition import Recognition
from tubelet.protocols.rounds import RoundSettings
from tubelet.protocols.video_level import classification_result

Tubelet = Callable[..., Any]


@pytest.fixture
def hmdb51(tmp_path: Path) -> Path:
    """Two classes of three videos, of which split n tests on the n-th."""
    root = tmp_path / "hmdb"
    for label in ("jump", "wave"):
        names = [f"film{number}_{label}_f_cm_np1_ba_bad_{number}.avi" for number in (1, 2, 3)]
        (root / label).mkdir(parents=True)
        (root / "annotations").mkdir(exist_ok=True)
        for name in names:
            (root / label / name).write_bytes(name.encode())
        for split in (1, 2, 3):
            lines = [f"{name} {2 if number == split else 1}" for number, name in enumerate(names, 1)]
            (root / "annotations" / f"{label}_test_split{split}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """No network is trained: on split 1 both test videos are right, on split 2 one, on split 3 none."""
    folders: list[Path] = []

    def train_and_test(
        training: Manifest, test: Manifest, settings: RoundSettings, folder: Path, **more: object
    ) -> Recognition:
        folders.append(folder)
        right = 3 - int(test.name[-1])
        labels = [str(item.label) for item in test.items]
        rows = [[float((name == label) == (index < right)) for name in test.classes]
                for index, label in enumerate(labels)]  # fmt: skip
        result = classification_result(
            np.array(rows), labels, test.classes, protocol="network", video_ids=[item.path for item in test.items],
            groups=test.item_groups,
        )  # fmt: skip
        result = beside(result, done_in_round(settings, test, "network", result.n, "none"))
        failed = (("gone.avi", "no frame"),) if test.name.endswith("2") else ()
        found = Recognition(result, None, failed)
        write_json(folder / "result.json", found.to_dict())
        return found

    monkeypatch.setattr(recognition, "train_and_test", train_and_test)
    monkeypatch.setitem(comparable.CLASSES, "hmdb51", 2)
    monkeypatch.setattr("tubelet.protocols.run_report.evaluation_report", lambda root, *rest: root / "report.html")
    return folders


def test_each_split_has_its_folder_and_the_mean_is_printed(
    tubelet: Tubelet, hmdb51: Path, rounds: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = tubelet("evaluate", "hmdb51", "--data", hmdb51, "--splits", "1,2,3", "-o", out, "--model", "res3d_18")
    assert found.code == 3, found.err
    assert rounds == [out / f"split{split}" / "seed0" for split in (1, 2, 3)]
    head = found.out.splitlines()[0]
    assert head.startswith("network, mean of splits 1, 2, 3: accuracy 50.0% (95% interval ")
    assert "; published: 54.9% (Res3D fine-tuned) [author's thread: facebook/C3D issue 252" in head
    assert "unlike it: pre-training none here, Sports-1M there" in found.out
    assert "unlike it: 6 test videos here, 4590 there" in found.out
    assert "each: split 1 100.0%, split 2 50.0%, split 3 0.0%" in found.out
    assert "split 2:" in found.err
    assert "seed 0: network: accuracy 50.0%" in found.err, "one split's figures are remarks"
    assert "Beside the papers" in (out / "report.html").read_text(encoding="utf-8")


def test_json_is_one_value(tubelet: Tubelet, hmdb51: Path, rounds: list[Path], tmp_path: Path) -> None:
    command = ("evaluate", "hmdb51", "--data", hmdb51, "--splits", "1,3", "--seeds", "0,1", "--json")
    found = tubelet(*command, "-o", tmp_path / "out")
    assert found.code == 0, found.err
    assert (found.json["means"][0]["value"], found.json["means"][0]["n"]) == (0.5, 4)
    assert len(rounds) == 4
    dry = tubelet(*command, "-o", tmp_path / "dry", "--dry-run")
    assert dry.json == {"folder": str(tmp_path / "dry"), "splits": [1, 3]}
    assert "4 to train on, 2 to test" in dry.err


def test_a_run_of_one_split_is_not_mixed_with_a_mean(
    tubelet: Tubelet, hmdb51: Path, rounds: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert tubelet("evaluate", "hmdb51", "--data", hmdb51, "--split", 1, "-o", out).code == 0
    found = tubelet("evaluate", "hmdb51", "--data", hmdb51, "--splits", "1,2", "-o", out)
    assert (found.code, found.out) == (2, "")
    assert found.complaint.startswith(f"the output folder holds a run of one split: {out}")


def test_each_split_has_its_own_model(tubelet: Tubelet, hmdb51: Path, tmp_path: Path) -> None:
    found = tubelet(
        "evaluate",
        "hmdb51",
        "--data",
        hmdb51,
        "--splits",
        "2",
        "--model",
        tmp_path / "net-{split}",
        "-o",
        tmp_path / "o",
    )
    assert found.code == 4
    assert f"{tmp_path / 'net-2'}" in found.complaint
