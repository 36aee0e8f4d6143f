"""The files: compression does not tell the direction of time; a data set is the same however it was made."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_val_score

from tubelet.errors import InputDataError, UsageError
from tubelet.provenance import derive_seed
from tubelet.video.encode import encode
from tubelet.video.synthetic import (
    MOTION_CLASSES,
    REVERSED,
    TEXTURES,
    Difficulty,
    draw_motion,
    draw_scene,
    make_dataset,
    make_video,
    render,
    write_video,
)

SIZES = {"train": 43, "test": 20}


def decode(path: Path) -> np.ndarray:
    """(T,H,W,3) uint8 RGB by PyAV, not by our reader."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def packets(path: Path) -> list[bytes]:
    """The coded frames."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def tree(root: Path) -> dict[str, bytes]:
    """Every file below ``root``, hidden ones too."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """63 videos, made in this process without a break."""
    return make_dataset(tmp_path_factory.mktemp("synthetic") / "set", SIZES, seed=3, workers=1)


@pytest.mark.parametrize("label", MOTION_CLASSES)
def test_compression_does_not_tell_the_direction_of_time(tmp_path: Path, label: str) -> None:
    ahead = make_video(tmp_path / "ahead.avi", label, seed=21)
    motion = draw_motion(label, 21).reversed(24)
    assert motion.step == draw_motion(REVERSED[label], 21).step
    back = write_video(tmp_path / "back.avi", render(draw_scene(21), motion.trajectory()))
    assert packets(back) == packets(ahead)[::-1]
    np.testing.assert_array_equal(decode(back), decode(ahead)[::-1])


def test_the_usual_codecs_would_have_told(tmp_path: Path) -> None:
    frames = render(draw_scene(21), draw_motion("grow", 21).trajectory())
    for codec in ("mjpeg", "mpeg4"):  # rate control alone, and prediction
        ahead = decode(encode(tmp_path / "ahead.avi", frames, codec=codec))
        back = decode(encode(tmp_path / "back.avi", frames[::-1], codec=codec))
        assert (ahead != back[::-1]).any()


def test_decoded_pictures_are_close_to_the_drawn_ones(tmp_path: Path) -> None:
    frames = render(draw_scene(2), draw_motion("left", 2).trajectory())
    decoded = decode(make_video(tmp_path / "a.avi", "left", 2))
    assert decoded.shape == frames.shape == (24, 64, 64, 3)
    assert np.abs(decoded.astype(int) - frames).mean() < 6
    with av.open(str(tmp_path / "a.avi")) as container:
        assert container.streams.video[0].average_rate == 25


def test_a_video_is_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    one = make_video(tmp_path / "one.avi", "grow", 6).read_bytes()
    assert make_video(tmp_path / "same.avi", "grow", 6).read_bytes() == one
    assert make_video(tmp_path / "other.avi", "grow", 7).read_bytes() != one


def test_what_a_data_set_holds(dataset: Path) -> None:
    with (dataset / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 63
    assert Counter(row["split"] for row in rows) == SIZES
    per_class = Counter(row["label"] for row in rows if row["split"] == "train")
    assert set(per_class.values()) == {4, 5}
    for row in rows:
        assert (dataset / row["file_name"]).is_file()
        assert row["file_name"].startswith(f"{row['split']}/{row['label']}/")
        assert row["texture"] == TEXTURES[draw_scene(int(row["seed"])).texture]
    assert len({row["seed"] for row in rows}) == 63
    first = rows[0]
    frames = render(draw_scene(int(first["seed"])), draw_motion(first["label"], int(first["seed"])).trajectory())
    assert np.abs(decode(dataset / first["file_name"]).astype(int) - frames).mean() < 6
    card = json.loads((dataset / "dataset.json").read_text())
    assert card["complete"] is True
    assert card["counts"]["test"] == dict.fromkeys(MOTION_CLASSES, 2)
    assert card["counts"]["train"] == dict(per_class)
    assert card["description"] == Difficulty().describe()
    assert len(tree(dataset)) == 63 + 2


def test_workers_make_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = make_dataset(tmp_path / "set", SIZES, seed=3, workers=2, progress=lambda *now: seen.append(now))
    assert tree(made) == tree(dataset)
    assert seen[0] == (0, 63)
    assert seen[-1] == (63, 63)


def test_an_interrupted_data_set_is_finished(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"

    def interrupt(done: int, _: int) -> None:
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_dataset(root, SIZES, seed=3, workers=1, progress=interrupt)
    videos = sorted(root.rglob("*.avi"))
    assert len(videos) == 30
    assert json.loads((root / "dataset.json").read_text())["complete"] is False
    assert not (root / "metadata.csv").exists()
    damaged = videos[4]
    damaged.write_bytes(damaged.read_bytes()[:5000])
    before = {path: path.stat().st_ino for path in videos if path != damaged}
    seen: list[int] = []
    make_dataset(root, SIZES, seed=3, workers=1, progress=lambda done, _: seen.append(done))
    assert seen == list(range(29, 64))
    assert {path: path.stat().st_ino for path in before} == before
    assert tree(root) == tree(dataset)
    written = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    make_dataset(root, SIZES, seed=3, workers=1, progress=lambda done, _: seen.append(done))
    assert seen[35:] == [63]
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == written
    (root / "metadata.csv").unlink()
    assert tree(make_dataset(root, SIZES, seed=3, workers=1)) == tree(dataset)


def test_a_data_set_may_grow_but_not_shrink(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "set", {"train": 12}, workers=1)
    small = tree(root)
    make_dataset(root, {"train": 20, "test": 10}, workers=1)
    grown = tree(root)
    assert len(grown) == 32
    assert all(grown[name] == data for name, data in small.items() if name.endswith(".avi"))
    with pytest.raises(UsageError, match="larger"):
        make_dataset(root, {"train": 12, "test": 10}, workers=1)
    with pytest.raises(UsageError, match="larger"):
        make_dataset(root, {"train": 20}, workers=1)
    assert tree(root) == grown


def test_a_folder_with_something_else_is_left_alone(dataset: Path, tmp_path: Path) -> None:
    before = tree(dataset)
    with pytest.raises(UsageError, match=r"another seed.*choose another folder"):
        make_dataset(dataset, SIZES, seed=4, workers=1)
    with pytest.raises(UsageError, match="another difficulty"):
        make_dataset(dataset, SIZES, seed=3, workers=1, difficulty=Difficulty(distractors=3))
    assert tree(dataset) == before
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputDataError, match="choose a new folder"):
        make_dataset(tmp_path, SIZES, workers=1)
    with pytest.raises(InputDataError):
        make_dataset(tmp_path / "letter.txt", SIZES, workers=1)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputDataError):
        make_dataset(tmp_path, SIZES, workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset.json", "letter.txt"]


@pytest.mark.parametrize(("sizes", "workers"), [({}, 1), ({"train": 0}, 1), ({"../train": 5}, 1), ({"train": 5}, 0)])
def test_sizes_that_make_no_sense(tmp_path: Path, sizes: dict[str, int], workers: int) -> None:
    with pytest.raises(UsageError):
        make_dataset(tmp_path / "set", sizes, workers=workers)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("pair", [("left", "right"), ("shrink", "grow")])
def test_time_averages_do_not_separate_a_pair(pair: tuple[str, str]) -> None:
    """A linear probe on mean frame and mean squared frame: at chance on the pair, good on the palette."""
    features, direction, palette = [], [], []
    for which, label in enumerate(pair):
        for number in range(150):
            seed = derive_seed(17, label, number)
            scene = draw_scene(seed)
            frames = render(scene, draw_motion(label, seed).trajectory())
            small = frames.reshape(24, 8, 8, 8, 8, 3).mean(axis=(2, 4), dtype=np.float32)
            features.append(np.concatenate([small.mean(axis=0).ravel(), (small**2).mean(axis=0).ravel()]))
            direction.append(which)
            palette.append(TEXTURES[scene.texture].startswith("warm"))
    table = np.stack(features)
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    probe = RidgeClassifier(alpha=300)
    # 300 coin tosses: chance ± 3.5 standard deviations.
    assert abs(cross_val_score(probe, table, direction, cv=5).mean() - 0.5) < 3.5 * 0.5 / np.sqrt(300)
    assert cross_val_score(probe, table, palette, cv=5).mean() > 0.8
    means = [table[np.array(direction) == which].mean(axis=0) for which in (0, 1)]
    # Under equal distributions this is a sum of squares of standard normal numbers of variance 1/150 each.
    assert np.mean((means[0] - means[1]) ** 2) < 2.5 * 2 / 150
