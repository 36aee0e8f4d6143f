"""The sampling policy as a value."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tubelet.clips import indices
from tubelet.clips.sampling import Sampling
from tubelet.errors import InputDataError, UsageError

ALL = [
    Sampling(),
    Sampling("dense", 8, 4, 2, "repeat-last"),
    Sampling("non_overlapping", 16, short="refuse"),
    Sampling("uniform", 16, n_clips=10),
    Sampling("random", 16, step_frames=2, n_clips=5),
    Sampling("segments", 1, n_clips=25),
]


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), lambda: indices.dense(100, 16, 8)),
        (
            Sampling("dense", 8, 4, 2, "repeat-last"),
            lambda: indices.dense(100, 8, 4, step_frames=2, short="repeat-last"),
        ),
        (
            Sampling("non_overlapping", 16, step_frames=2),
            lambda: indices.non_overlapping(100, 16, step_frames=2),
        ),
        (Sampling("uniform", 16, n_clips=10), lambda: indices.uniform(100, 16, 10)),
        (Sampling("random", 16, n_clips=10), lambda: indices.random_clips(100, 16, 10, rng())),
        (Sampling("segments", 3, n_clips=7), lambda: indices.segments(100, 7, 3, rng())),
    ],
)
def test_each_policy_is_its_function(sampling: Sampling, expected: Any) -> None:
    assert (sampling.indices(100, rng()).frames == expected().frames).all()


def test_segments_without_chance_are_centers() -> None:
    assert Sampling("segments", 1, n_clips=3).indices(75).frames.tolist() == [[12], [37], [62]]


@pytest.mark.parametrize("sampling", ALL, ids=lambda sampling: sampling.policy)
def test_it_survives_json(sampling: Sampling) -> None:
    again = Sampling.from_dict(json.loads(json.dumps(sampling.to_dict())))
    assert again == sampling
    assert again.hash == sampling.hash


def test_hashes_differ_and_are_the_documented_ones() -> None:
    assert len({sampling.hash for sampling in ALL}) == len(ALL)
    text = '{"clip_length":16,"policy":"dense","short":"loop","step_frames":1,"stride_frames":8}'
    assert Sampling().hash == hashlib.sha256(text.encode()).hexdigest()
    assert Sampling().hash == "3c6c1ea210acff1582b50deda6b75834ebfa93f4a535e89354180d9ce7623aa9"
    assert Sampling("dense", np.int64(16)) == Sampling()  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["dense", "non_overlapping"])
@pytest.mark.parametrize("n", [5, 31, 100])
def test_streams_give_the_same_clips(policy: Any, n: int) -> None:
    sampling = Sampling(policy, 8, step_frames=2)
    stream = sampling.stream()
    clips = [clip for index in range(n) if (clip := stream.push(index))]
    last = stream.finish()
    clips = clips if last is None else [*clips, last]
    assert np.array_equal([clip.frames for clip in clips], sampling.indices(n).frames)


def test_span() -> None:
    assert Sampling().span_frames == 16
    assert Sampling("dense", 8, 8, 2).span_frames == 15


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"policy": "sparse"}, "policy is 'sparse'; choose one of dense"),
        ({"short": "mirror"}, "short is 'mirror'"),
        ({"clip_length": 0}, "clip_length is 0"),
        ({"policy": "uniform"}, "uniform sampling needs n_clips"),
        ({"policy": "uniform", "n_clips": 0}, "n_clips is 0"),
        ({"policy": "uniform", "n_clips": 3, "stride_frames": 8}, "uniform sampling has no stride_frames"),
        ({"policy": "dense", "n_clips": 3}, "dense sampling has no n_clips"),
        ({"length": 16}, "sampling has no length"),
        ({"policy": "uniform", "n_clips": 3, "seed": 1}, "uniform sampling has no seed"),
    ],
)
def test_nonsense(values: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Sampling.from_dict(values)


def test_random_places_are_a_videos_own() -> None:
    sampling = Sampling("random", 8, n_clips=50, seed=3)
    clips = sampling.of_video("a/b.avi", 40)
    assert clips.frames.shape == (50, 8)
    assert set(clips.start_frames.tolist()) <= set(range(33))
    assert len(set(clips.start_frames.tolist())) > 20
    again = sampling.of_video("a/b.avi", 40)
    assert np.array_equal(again.frames, clips.frames)
    for other in (sampling.of_video("a/c.avi", 40), replace(sampling, seed=4).of_video("a/b.avi", 40)):
        assert not np.array_equal(other.frames, clips.frames)
    assert Sampling.from_dict(sampling.to_dict()) == sampling
    assert len({sampling.hash, replace(sampling, seed=4).hash, replace(sampling, seed=None).hash}) == 3
    assert np.array_equal(Sampling().of_video("a", 40).frames, Sampling().indices(40).frames)
    assert (sampling.streamed, Sampling().streamed) == (False, True)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="pass rng="):
        Sampling("random", n_clips=2).indices(100)
    with pytest.raises(UsageError, match="uniform sampling cannot be streamed"):
        Sampling("uniform", n_clips=2).stream()
    with pytest.raises(InputDataError, match="needs 16 frames"):
        Sampling(short="refuse").indices(3)


def test_policies_and_recipes_need_no_torch() -> None:
    program = "import sys, tubelet.clips.sampling, tubelet.clips.recipe; sys.exit('torch' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
