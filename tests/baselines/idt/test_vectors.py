"""Vectors of trajectories: made from training videos alone, counted by hand, kept, gone on with, refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parent))
from made_trajectories import put
from made_vectors import NAMES, SMALL, moved, store

from tubelet.baselines.idt.encoding import Encoding
from tubelet.baselines.idt.store import TrajectoryStore
from tubelet.baselines.idt.vectors import TrajectoryVectors
from tubelet.baselines.tables import open_table
from tubelet.descriptors.video_vectors import VideoVectors
from tubelet.errors import InputDataError, UsageError

TRAIN = [name for name in NAMES if "dee" not in name]
TEST = [name for name in NAMES if "dee" in name]
DIMS = {"shape": 30, "hog": 96, "hof": 108, "mbhx": 96, "mbhy": 96}
CHANNELS = ("shape", "hog", "hof", "mbhx", "mbhy")


def learned(table: TrajectoryVectors) -> dict[str, dict[str, Any]]:
    return {name: load_file(table.folder(TRAIN) / f"{name}.safetensors") for name in CHANNELS}


@pytest.mark.parametrize("layer", ["bow12", "fisher3"])
def test_what_is_learned_sees_the_training_videos_alone(tmp_path: Path, layer: str) -> None:
    """The trajectories of all test videos are others: not one bit of words and mixtures may know."""
    one = TrajectoryVectors(store(tmp_path / "one"), layer)
    two = TrajectoryVectors(store(tmp_path / "two", changed=TEST), layer)
    first, second = one.for_training(TRAIN), two.for_training(TRAIN)
    assert one.hash != two.hash
    for name, arrays in learned(one).items():
        for what, values in learned(two)[name].items():
            assert np.array_equal(values, arrays[what]), (name, what)
    assert np.array_equal(first.take(TRAIN), second.take(TRAIN))
    assert not np.isclose(first.take(TEST), second.take(TEST)).all(axis=1).any(), "they are encoded, though"
    other = TrajectoryVectors(store(tmp_path / "three", changed=TRAIN[:1]), layer)
    other.for_training(TRAIN)
    assert not np.array_equal(next(iter(learned(other)["hof"].values())), next(iter(learned(one)["hof"].values())))


def test_a_bag_is_counted_by_hand(tmp_path: Path) -> None:
    table = TrajectoryVectors(store(tmp_path, still=[TEST[0]]), "bow5", "mine")
    found = table.for_training(TRAIN)
    words = {name: arrays["words"].astype(np.float64) for name, arrays in learned(table).items()}
    assert found.vectors.shape == (24, 25)
    for video_id in (TRAIN[0], TRAIN[9], TEST[3]):
        expected = []
        for name in CHANNELS:
            counts = [0.0] * 5
            for row in moved(video_id, 20).channels[name].astype(np.float16).astype(np.float64):
                counts[min(range(5), key=lambda k: float(((row - words[name][k]) ** 2).sum()))] += 1
            expected += [count / 20 for count in counts]
        vector = np.array(expected) / np.sqrt(np.square(expected).sum())
        assert found.take([video_id])[0] == pytest.approx(vector, abs=1e-6)
    assert not found.take([TEST[0]]).any(), "without trajectories it says nothing"
    assert (found.name, found.layer, found.path, found.video_ids.tolist()) == ("mine", "bow5", tmp_path, NAMES)
    assert found.facts["encoding"] == {"kind": "bow", "words": 5, "sample": 100_000, "iterations": 20, "seed": 0}
    assert found.facts["settings"]["length"] == SMALL.length
    assert found.facts["no_network"] is True


def test_fisher_vectors_have_length_one_in_every_channel(tmp_path: Path) -> None:
    table = TrajectoryVectors(store(tmp_path, still=[TEST[0]]), "fisher4")
    found = table.for_training(TRAIN)
    sizes = [2 * 4 * numbers for numbers in (3, 4, 4, 4, 4)]  # half of 6, 8, 9, 8, 8
    assert (table.length, found.length) == (sum(sizes), sum(sizes))
    parts = np.split(found.take(NAMES), np.cumsum(sizes)[:-1], axis=1)
    moving = [row for row, name in enumerate(NAMES) if name != TEST[0]]
    for part in parts:
        assert np.linalg.norm(part[moving], axis=1) == pytest.approx(np.full(23, 5**-0.5), abs=1e-6)
    assert not found.take([TEST[0]]).any()


@pytest.fixture
def learning(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The channels that are learned; where ``stop`` is among them, the fourth fails."""
    begun: list[str] = []
    real = Encoding.learn

    def noted(self: Encoding, channel: str, values: Any) -> Any:
        if "stop" in begun and channel == "mbhx":
            raise KeyboardInterrupt
        begun.append(channel)
        return real(self, channel, values)

    monkeypatch.setattr(Encoding, "learn", noted)
    return begun


def test_a_fold_is_kept_and_gone_on_with(tmp_path: Path, learning: list[str]) -> None:
    whole = TrajectoryVectors(store(tmp_path / "whole"), "bow6")
    expected = whole.for_training(TRAIN)
    assert learning == list(CHANNELS)
    learning[:] = ["stop"]
    table = TrajectoryVectors(store(tmp_path / "stopped"), "bow6")
    with pytest.raises(KeyboardInterrupt):
        table.for_training(TRAIN)
    assert not table.is_learned(TRAIN)
    learning.clear()
    found = table.for_training(TRAIN)
    assert learning == ["mbhx", "mbhy"], "the others were kept"
    assert np.array_equal(found.vectors, expected.vectors)
    learning.clear()
    again = open_table(tmp_path / "stopped", "bow6")
    assert isinstance(again, TrajectoryVectors)
    assert again.is_learned(TRAIN)
    assert np.array_equal(again.for_training([*reversed(TRAIN), "none/such.avi"]).vectors, expected.vectors)
    assert learning == [], "whatever their order, and whatever else is named"
    assert table.folder(TRAIN[1:]) != table.folder(TRAIN)
    # A damaged file is made again: of vectors without learning, of words by learning that channel.
    folder = table.folder(TRAIN)
    (folder / "vectors.safetensors").write_bytes(b"half a file")
    assert np.array_equal(again.for_training(TRAIN).vectors, expected.vectors)
    assert learning == []
    (folder / "vectors.safetensors").unlink()
    (folder / "hof.safetensors").write_bytes(b"")
    assert np.array_equal(again.for_training(TRAIN).vectors, expected.vectors)
    assert learning == ["hof"]


def test_progress_names_channels_and_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TrajectoryVectors(store(tmp_path), "bow6", "idt").for_training(TRAIN)
    out, err = capsys.readouterr()
    assert out == ""
    assert "idt: 6 words a channel from 360 trajectories of 18 videos 5/5 channels" in err
    assert "idt: bow6 vectors 24/24 videos" in err


def test_what_cannot_be_learned_is_one_sentence(tmp_path: Path) -> None:
    stored = store(tmp_path)
    with pytest.raises(UsageError, match=r"5,000 words a channel cannot be learned from 360 trajectories.*18 training "
                       r"videos have no more, and 5,000 are needed at least.*take bow100 in place of bow"):  # fmt: skip
        TrajectoryVectors(stored).for_training(TRAIN)
    with pytest.raises(UsageError, match=r"256 Gaussians a channel cannot .* from 20 .*take fisher10 in place"):
        TrajectoryVectors(stored, "fisher").for_training(TRAIN[:1])
    with pytest.raises(UsageError, match=r"from 20 trajectories.*1 training video has no more.*take bow10 in place"):
        TrajectoryVectors(stored).require(TRAIN, TRAIN[:1], TRAIN[:2])
    TrajectoryVectors(stored, "bow20").require(TRAIN, TRAIN[:1])
    still = store(tmp_path / "still", still=TRAIN[:1])
    with pytest.raises(UsageError, match=r"1 training video has none, and 7 are needed at least\); give more training"):
        TrajectoryVectors(still, "bow7").require(TRAIN[:1])
    with pytest.raises(
        InputDataError, match=r"not one training video has stored trajectories.*such as 'run/ann_1.avi'"
    ):
        TrajectoryVectors(stored).for_training(["videos/run/ann_1.avi"])


@pytest.mark.parametrize(
    ("layer", "count", "instead"),
    [
        # HOF has 108 numbers, so 54 components, which the papers' mixtures need at least.
        ("fisher", 255, "fisher100"),
        ("fisher", 54, "fisher10"),
        ("fisher10", 53, "bow10"),
        ("fisher10", 36, "bow10"),
        ("bow", 36, "bow10"),
        ("bow", 4_999, "bow1000"),
        ("bow", 1, "bow1"),
        ("bow", 0, None),
    ],
)
def test_what_is_named_instead_can_be_learned(layer: str, count: int, instead: str | None) -> None:
    encoding = Encoding.of(layer)
    assert encoding.least(DIMS) > count
    assert encoding.fewer(count, DIMS) == instead
    rng = np.random.default_rng(0)
    if instead is not None and count < 300:
        for name in ("shape", "hof"):
            Encoding.of(instead).learn(name, rng.random((count, DIMS[name]), np.float32))
            if layer == "fisher10" and name == "hof":
                with pytest.raises(UsageError, match=f"need at least 54 trajectories, there are {count}"):
                    encoding.learn(name, rng.random((count, DIMS[name]), np.float32))


def test_words_that_repeat_others_are_noted(tmp_path: Path) -> None:
    """Five videos of the same four trajectories: of seven words four can differ, in every channel."""
    same = moved("run/ann_1.avi", 4)
    for number in range(5):
        put(tmp_path, f"run/{number}.avi", same, settings=SMALL)
    table = TrajectoryVectors(TrajectoryStore(tmp_path), "bow7", "idt")
    ids = table.video_ids.tolist()
    found = table.for_training(ids)
    counts = ", ".join(f"{name} 4 of 7" for name in CHANNELS)
    assert found.notes == (f"idt: so few trajectories differ that fewer words do: {counts}",)
    assert table.for_training(ids).notes == found.notes, "also where it is read again"
    assert ((found.vectors > 0).sum(axis=1) == 4 * 5).all(), "a word that repeats another is nobody's nearest"


@pytest.mark.parametrize(
    ("asked", "layer", "length"),
    [
        (None, "bow", 25_000),
        ("bow", "bow", 25_000),
        ("bow5000", "bow", 25_000),
        ("bow1000", "bow1000", 5_000),
        ("fisher", "fisher", 109_056),
        ("fisher256", "fisher", 109_056),
        ("fisher64", "fisher64", 27_264),
    ],
)
def test_a_layer_says_the_encoding(asked: str | None, layer: str, length: int) -> None:
    encoding = Encoding.of(asked)
    assert (encoding.layer, encoding.length(DIMS)) == (layer, length)


@pytest.mark.parametrize("asked", ["fc6", "bow0", "bow-1", "Fisher", "bowl", ""])
def test_what_is_no_encoding_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=r"trajectories cannot be encoded as .*take bow \(5000 words a channel\)"):
        Encoding.of(asked)


def test_one_way_opens_any_table(tmp_path: Path) -> None:
    stored = store(tmp_path / "trajectories")
    table = open_table(tmp_path / "trajectories", name="idt")
    assert (table.name, table.layer, table.length) == ("idt", "bow", 5 * 5000)
    assert table.video_ids.tolist() == stored.video_ids.tolist() == NAMES
    np.savez(tmp_path / "other.npz", video_id=np.array(["a", "b"]), fc6=np.eye(2, 3))
    plain = open_table(tmp_path / "other.npz")
    assert isinstance(plain, VideoVectors)
    assert plain.length == 3
    with pytest.raises(UsageError, match="cannot be encoded as 'fc6'"):
        open_table(tmp_path / "trajectories", "fc6")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputDataError, match="there is no descriptor table here"):
        open_table(tmp_path / "empty")
