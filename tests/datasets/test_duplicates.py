"""Copies are found among hashes as by trying every shift, and among videos whatever was done to them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from in_process import InProcess
from tubelet.clips.frame_hash import CERTAIN, CHANGE, CLEAR, MIRROR, PICTURE, STEP_S
from tubelet.datasets import duplicates
from tubelet.datasets.alignment import Rule, mirrored, overlap_at
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.duplicates import Duplicate, clusters, find_duplicates
from tubelet.datasets.fingerprints import Fingerprints, fingerprint_videos
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import UsageError

ALL = (1 << 63) - 1


def film(n: int, seed: int) -> np.ndarray:
    """(n, 4) uint64 hashes of nothing in particular, that change as those of a video: not much from row to row."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((n, 4), np.uint64)
    rows[:, PICTURE] = rng.integers(1, ALL, dtype=np.uint64)
    value = rng.integers(1, ALL, dtype=np.uint64)
    for k in range(n):
        value ^= rng.integers(1, ALL, dtype=np.uint64) & rng.integers(1, ALL, dtype=np.uint64)
        rows[k, CHANGE] = value
    rows[:, [CLEAR, CERTAIN]] = ALL
    return rows


def noisy(rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The same with a share of the bits of its changes turned around."""
    turned = np.random.default_rng(seed).random((len(rows), 63)) < share
    other = rows.copy()
    other[:, CHANGE] ^= (turned * (np.uint64(1) << np.arange(63, dtype=np.uint64))).sum(axis=1, dtype=np.uint64)
    return other


def prints(**hashes: np.ndarray) -> Fingerprints:
    return Fingerprints(tuple(hashes), tuple(hashes.values()), (0.0,) * len(hashes))


@pytest.fixture(scope="module")
def some() -> Fingerprints:
    """Twelve videos, of which three are parts of others with errors in their bits."""
    videos = {f"v{number}": film(60 + 7 * number, number) for number in range(9)}
    videos["of2"] = noisy(videos["v2"][11:65], 0.03, 0)
    videos["of5"] = noisy(np.concatenate([film(20, 50), videos["v5"][40:]]), 0.08, 1)
    videos["of2 too"] = noisy(videos["v2"][30:], 0.02, 2)
    return prints(**videos)


def exhaustive(some: Fingerprints) -> set[tuple[str, str, int]]:
    """Every pair at every shift."""
    found = set()
    for i, j in itertools.combinations(range(len(some)), 2):
        a, b = some.hashes[i], some.hashes[j]
        overlaps = [one for shift in range(-len(b), len(a)) if (one := overlap_at(a, b, shift, Rule()))]
        if overlaps:
            best = max(overlaps, key=lambda one: one.evidence)
            found.add((some.names[i], some.names[j], best.start_a - best.start_b))
    return found


def test_the_same_is_found_as_by_trying_every_shift(some: Fingerprints, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = exhaustive(some)
    assert {(a, b) for a, b, _ in wanted} == {("v2", "of2"), ("v5", "of5"), ("v2", "of2 too"), ("of2", "of2 too")}
    found = find_duplicates(some)
    assert {(pair.a, pair.b, round(pair.offset_s / STEP_S)) for pair in found} == wanted
    monkeypatch.setattr(duplicates, "_BATCH", 5)
    assert find_duplicates(some) == found, "however many are looked at together"


def test_two_sets_are_compared_with_each_other_only(some: Fingerprints) -> None:
    sources, copies = some.select(range(9)), some.select(range(9, 12))
    found = find_duplicates(sources, copies)
    assert [(pair.a, pair.b) for pair in sorted(found, key=lambda pair: pair.b)] == [
        ("v2", "of2"),
        ("v2", "of2 too"),
        ("v5", "of5"),
    ]
    by_name = {pair.b: pair for pair in found}
    assert by_name["of2"].offset_s == 11 * STEP_S
    assert by_name["of2"].share_b > 0.95
    assert by_name["of2"].share_a == pytest.approx(by_name["of2"].seconds / (len(sources.hashes[2]) * STEP_S))
    assert by_name["of5"].offset_s == 20 * STEP_S
    assert 0.9 < by_name["of5"].similarity < 0.94
    assert find_duplicates(sources) == ()


def test_mirrored_copies_are_found_if_asked_for(some: Fingerprints) -> None:
    sources, copy = some.select([3]), prints(turned=mirrored(some.hashes[3]))
    assert (copy.hashes[0][:, CHANGE] ^ some.hashes[3][:, CHANGE] == MIRROR).all()
    assert find_duplicates(sources, copy) == ()
    (pair,) = find_duplicates(sources, copy, mirror=True)
    assert pair.mirrored
    assert pair.similarity == 1.0
    assert "mirrored" in pair.sentence()


def test_stills_are_found_and_blackness_is_not() -> None:
    still = film(40, 0)
    still[:, [CHANGE, CERTAIN]] = 0
    near = still.copy()
    near[:, PICTURE] ^= np.uint64(1)
    black = np.zeros((40, 4), np.uint64)
    (pair,) = find_duplicates(prints(a=still, b=near, c=black, d=black.copy(), e=film(40, 1)))
    assert (pair.a, pair.b, pair.still) == ("a", "b", True)
    assert find_duplicates(prints(), prints(a=still)) == ()


def test_limits_that_nothing_can_meet_are_refused(some: Fingerprints) -> None:
    with pytest.raises(UsageError, match="limit above 0"):
        find_duplicates(some, rule=Rule(change_bits=0.0))


def test_progress_ends_with_all(some: Fingerprints) -> None:
    told: list[tuple[int, int]] = []
    find_duplicates(some, mirror=True, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_sets_of_what_hangs_together() -> None:
    def pair(a: str, b: str) -> Duplicate:
        return Duplicate(a, b, 0, 0, 1.0, 0.0, 2.0, 1.0, 1.0, 0.9)

    assert clusters([pair("a", "b"), pair("x", "y"), pair("c", "b"), pair("c", "a")]) == (("a", "b", "c"), ("x", "y"))
    assert pair("a", "b").sentence() == "b from 0.0 s on is a from 1.0 s on, for 2.0 s (90\u00a0% of the bits equal)"


@pytest.fixture(scope="module")
def looks(copies_folder: Path) -> tuple[Fingerprints, Fingerprints]:
    found = []
    for part in ("train", "test"):
        manifest = open_dataset("folder", copies_folder / part)
        made, failed = fingerprint_videos(manifest, InProcess())
        assert not failed
        found.append(made)
    return found[0], found[1]


def test_videos_encoded_scaled_trimmed_and_at_half_the_rate(looks: tuple[Fingerprints, Fingerprints]) -> None:
    train, test = looks
    found = {pair.b: pair for pair in find_duplicates(train, test)}
    assert {name: pair.a for name, pair in found.items()} == {
        "walk/trimmed.mp4": "walk/one.avi",
        "run/small.avi": "walk/two.avi",
        "run/half_rate.mp4": "run/three.avi",
    }, "and not the other motion before the same wall"
    assert found["walk/trimmed.mp4"].offset_s == pytest.approx(22 / 25, abs=STEP_S)
    assert found["walk/trimmed.mp4"].seconds == pytest.approx(49 / 25, abs=0.3)
    assert found["walk/trimmed.mp4"].share_a == pytest.approx(49 / 80, abs=0.1)
    for name in ("run/small.avi", "run/half_rate.mp4"):
        assert abs(found[name].offset_s) <= STEP_S
        assert found[name].seconds == pytest.approx(80 / 25, abs=0.3)
    assert find_duplicates(train) == ()


def test_fingerprints_from_a_file_find_the_same(looks: tuple[Fingerprints, Fingerprints], tmp_path: Path) -> None:
    train, test = looks
    kept = Fingerprints.load(train.save(tmp_path / "fingerprints.npz"))
    assert find_duplicates(kept, test) == find_duplicates(train, test)


def test_letterboxed_and_darker_copies(copies_folder: Path, tmp_path: Path) -> None:
    from tubelet.video.encode import encode
    from tubelet.video.reader import Video

    with Video(copies_folder / "train/walk/one.avi") as video:
        frames = video.frames(range(len(video)))
    encode(tmp_path / "boxed.mp4", np.pad(frames, ((0, 0), (12, 12), (0, 0), (0, 0))))
    encode(tmp_path / "darker.mp4", (frames * 0.7 + 10).astype(np.uint8))
    items = (Item("boxed.mp4"), Item("darker.mp4"))
    copies, _ = fingerprint_videos(Manifest("copies", tmp_path, items, ()), InProcess())
    source, _ = fingerprint_videos(open_dataset("folder", copies_folder / "train"), InProcess())
    assert {(pair.a, pair.b) for pair in find_duplicates(source, copies)} == {
        ("walk/one.avi", "boxed.mp4"),
        ("walk/one.avi", "darker.mp4"),
    }


def test_actors_before_one_wall_are_no_copies(shared_data: Path) -> None:
    """The same action at nearly the same place and speed, by different actors; and every clip's own second half."""
    whole = open_dataset("weizmann", shared_data / "weizmann").select(keep=lambda item: item.label in ("run", "wave1"))
    looks, failed = fingerprint_videos(whole, InProcess())
    assert not failed
    assert len(looks) == 12
    assert find_duplicates(looks) == ()
    halves = tuple(Item(item.path, item.label, start_s=0.5) for item in whole.items)
    parts, _ = fingerprint_videos(Manifest("halves", whole.root, halves, whole.classes), InProcess())
    found = find_duplicates(looks, parts)
    long = sum(len(rows) * STEP_S >= 1.0 for rows in parts.hashes)
    assert {pair.index_b for pair in found if pair.index_a == pair.index_b} >= {
        k for k, rows in enumerate(parts.hashes) if len(rows) * STEP_S >= 1.0
    }
    assert long >= 10
    assert all(pair.index_a == pair.index_b for pair in found)
