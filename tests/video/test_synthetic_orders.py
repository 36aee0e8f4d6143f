"""The same frames in other orders, and data sets with two labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest

from tubelet.errors import UsageError
from tubelet.video.synthetic import (
    COLORS,
    MOTION_CLASSES,
    Difficulty,
    Order,
    frame_order,
    joint_label,
    make_dataset,
    make_video,
    parted_label,
)

COLORED = Difficulty(looks="colors")


def decode(path: Path) -> np.ndarray:
    """(T,H,W,3) uint8 RGB by PyAV."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def forward(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return decode(make_video(tmp_path_factory.mktemp("order") / "f.avi", "right", 11, difficulty=COLORED))


@pytest.mark.parametrize("order", ["backward", "shuffled", "still"])
def test_frames_are_those_of_the_video_bit_for_bit(tmp_path: Path, forward: np.ndarray, order: Order) -> None:
    shown = decode(make_video(tmp_path / "o.avi", "right", 11, difficulty=COLORED, order=order))
    place = [int(np.flatnonzero((forward == frame).all(axis=(1, 2, 3)))[0]) for frame in shown]
    assert place == frame_order(order, 11, 24).tolist()
    expected = {"backward": list(range(23, -1, -1)), "still": [place[0]] * 24}
    if order == "shuffled":
        assert sorted(place) == list(range(24))
        assert place not in (list(range(24)), list(range(23, -1, -1)))
    else:
        assert place == expected[order]


def test_every_frame_may_be_the_still_one() -> None:
    drawn = np.bincount([frame_order("still", seed, 24)[0] for seed in range(2400)], minlength=24)
    # 100 expected of each, standard deviation 9.8.
    assert drawn.min() > 55
    assert drawn.max() < 145


def test_two_labels_in_the_table(tmp_path: Path) -> None:
    sizes = {"train": 10, "test": 10}
    root = make_dataset(tmp_path / "a", sizes, workers=1, difficulty=COLORED)
    still = make_dataset(tmp_path / "b", {"test": 10}, workers=1, difficulty=COLORED, order="still")
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file_name", "label", "color", "both", "split", "seed"]
    for row in rows:
        assert row["color"] in COLORS
        assert row["label"] in MOTION_CLASSES
        assert (row["both"], parted_label(row["both"])) == (
            joint_label(row["color"], row["label"]), (row["color"], row["label"]),
        )  # fmt: skip
    with (still / "metadata.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [row for row in rows if row["split"] == "test"]
    card = json.loads((still / "dataset.json").read_text())
    assert (card["order"], card["colors"]) == ("still", list(COLORS))
    assert "order" not in json.loads((root / "dataset.json").read_text())


def test_orders_and_looks_are_not_mixed(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", {"test": 1}, workers=1, difficulty=COLORED, order="still")
    make_dataset(tmp_path / "set", {"test": 1}, workers=1, difficulty=COLORED, order="still")
    with pytest.raises(UsageError, match="another order"):
        make_dataset(tmp_path / "set", {"test": 1}, workers=1, difficulty=COLORED)
    with pytest.raises(UsageError, match="another difficulty"):
        make_dataset(tmp_path / "set", {"test": 1}, workers=1, order="still")
    with pytest.raises(UsageError, match="sideways"):
        make_dataset(tmp_path / "new", {"test": 1}, workers=1, order="sideways")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="smells"):
        Difficulty(looks="smells")  # type: ignore[arg-type]


def test_sets_made_before_there_were_looks_go_on() -> None:
    assert "looks" not in Difficulty().to_dict()
    assert Difficulty.from_dict(Difficulty().to_dict()) == Difficulty()
    assert Difficulty.from_dict(COLORED.to_dict()) == COLORED
    assert "equal brightness" in COLORED.describe()
