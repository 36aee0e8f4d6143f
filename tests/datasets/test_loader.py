"""Training clips: what is drawn depends on the seed alone; damaged and short videos are told, not lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.jitter import Jitter
from tubelet.clips.recipes import get_recipe
from tubelet.clips.sampling import Sampling
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.loader import DecodedVideos, TrainingClips, decode_videos, input_sampling, plain_clips
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import InputDataError, UsageError
from tubelet.video.encode import encode

RECIPE = get_recipe("c3d_small").with_side(16)
LENGTHS = {"a/0": 20, "a/1": 33, "b/0": 16, "b/1": 7}


def gray(n_frames: int, start: int = 0) -> np.ndarray:
    """Frame k has the gray level 4 (start + k), so that a pixel tells which frame it is from."""
    levels = (4 * (start + np.arange(n_frames))).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (n_frames, 16, 16, 3)).copy()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loader")
    for name, n_frames in LENGTHS.items():
        encode(folder / f"{name}.mp4", gray(n_frames), fps=25, codec="libx264", options={"qp": "0"})
    return folder


@pytest.fixture(scope="module")
def decoder() -> ClipDecoder:
    with ClipDecoder(workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def decoded(root: Path, decoder: ClipDecoder) -> DecodedVideos:
    return decode_videos(open_dataset("folder", root), RECIPE, decoder)


def frame_numbers(clip: torch.Tensor) -> list[int]:
    """Which frames a clip without jitter holds, read off its gray levels."""
    gray_levels = clip[0, :, 8, 8] * 127.5 + 127.5
    return [round(float(level) / 4) for level in gray_levels]


def test_lengths_and_frames_are_the_videos_own(decoded: DecodedVideos) -> None:
    assert [item.path for item in decoded.manifest.items] == [f"{name}.mp4" for name in sorted(LENGTHS)]
    assert decoded.lengths == [LENGTHS[name] for name in sorted(LENGTHS)]
    assert (decoded.failed, decoded.partial) == ([], [])
    frames = decoded.frames(1, np.array([32, 0, 5]))
    assert frames.shape == (3, 16, 16, 3)
    assert [round(float(level) / 4) for level in frames[:, 8, 8, 0]] == [32, 0, 5]


def test_without_memory_frames_are_decoded_on_demand(root: Path, decoder: ClipDecoder, decoded: DecodedVideos) -> None:
    lean = decode_videos(open_dataset("folder", root), RECIPE, decoder, cache_bytes=0)
    assert not lean.kept
    assert lean.lengths == decoded.lengths
    for video in range(4):
        indices = np.array([3, 0, 6])
        assert (lean.frames(video, indices) == decoded.frames(video, indices)).all()


def test_the_cache_keeps_to_its_budget(root: Path, decoder: ClipDecoder) -> None:
    budget = 20 * 16 * 16 * 3 + 100  # room for the first video alone
    some = decode_videos(open_dataset("folder", root), RECIPE, decoder, cache_bytes=budget)
    assert sum(frames.nbytes for frames in some.kept.values()) <= budget
    assert 0 in some.kept


def clips_of(decoded: DecodedVideos, seed: int = 0, **more: object) -> TrainingClips:
    settings = {"clip_length": 8, "batch_size": 3, "seed": seed, **more}
    return TrainingClips(decoded, Jitter(crop="none", flip_p=0.0), **settings)  # type: ignore[arg-type]


def test_an_epoch_holds_every_video_once(decoded: DecodedVideos) -> None:
    clips = clips_of(decoded)
    assert len(clips) == 4
    seen = [video for step in range(4) for video in clips.batch(step).videos]  # 12 draws: three epochs
    for epoch in range(3):
        assert sorted(seen[4 * epoch : 4 * epoch + 4]) == [0, 1, 2, 3]


def test_clips_are_consecutive_frames_inside_the_video(decoded: DecodedVideos) -> None:
    clips = clips_of(decoded)
    starts: set[int] = set()
    for step in range(30):
        batch = clips.batch(step)
        for clip, target, video in zip(batch.clips, batch.targets, batch.videos, strict=True):
            numbers = frame_numbers(clip)
            length = decoded.lengths[video]
            if length < 8:
                assert numbers == [k % length for k in range(8)]  # looped
            else:
                assert numbers == list(range(numbers[0], numbers[0] + 8))
                assert numbers[-1] < length
            assert int(target) == (0 if decoded.manifest.items[video].path.startswith("a/") else 1)
            starts.add(numbers[0])
    assert len(starts) > 8


def test_every_clip_of_the_paper(decoded: DecodedVideos) -> None:
    clips = clips_of(decoded, every_clip=True, batch_size=9)
    assert len(clips) == 20 // 8 + 33 // 8 + 16 // 8 + 1  # the seven-frame video gives one looped clip
    batch = clips.batch(0)
    found = sorted((video, frame_numbers(clip)[0]) for video, clip in zip(batch.videos, batch.clips, strict=True))
    assert found == [(0, 0), (0, 8), (1, 0), (1, 8), (1, 16), (1, 24), (2, 0), (2, 8), (3, 0)]


def test_batches_are_those_of_the_seed_whatever_ran_before(decoded: DecodedVideos) -> None:
    one, two = clips_of(decoded, seed=4), clips_of(decoded, seed=4)
    for ahead in (3, 0):
        batches = list(two.batches(5, 9, ahead=ahead, threads=2))
        assert len(batches) == 4
        for step, batch in enumerate(batches, start=5):
            assert torch.equal(batch.clips, one.batch(step).clips)
            assert batch.videos == one.batch(step).videos
    other = clips_of(decoded, seed=5)
    assert any(not torch.equal(one.batch(step).clips, other.batch(step).clips) for step in range(3))


def test_spans_of_a_video(root: Path, decoder: ClipDecoder) -> None:
    items = (Item("a/1.mp4", "x", start_s=0.4, end_s=0.8), Item("a/1.mp4", "y", start_s=0.8))
    for cache in (1 << 20, 0):
        spans = decode_videos(Manifest("spans", root, items, ("x", "y")), RECIPE, decoder, cache_bytes=cache)
        # 25 frames/s: 0.4 s is frame 10, 0.8 s is frame 20.
        assert spans.lengths == [10, 13]
        assert spans.offsets == [10, 20]
        levels = spans.frames(1, np.array([0, 12]))[:, 8, 8, 0]
        assert [round(float(level) / 4) for level in levels] == [20, 32]


def test_unreadable_videos_are_set_aside_by_name(root: Path, tmp_path: Path, decoder: ClipDecoder) -> None:
    for name in ("a/good", "b/good"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.mp4").write_bytes((root / "a/0.mp4").read_bytes())
    (tmp_path / "b/bad.mp4").write_bytes(b"no video at all")
    decoded = decode_videos(open_dataset("folder", tmp_path), RECIPE, decoder)
    assert [path for path, _ in decoded.failed] == ["b/bad.mp4"]
    assert [item.path for item in decoded.manifest.items] == ["a/good.mp4", "b/good.mp4"]
    assert decoded.frames(1, np.array([19]))[0, 8, 8, 0] == pytest.approx(76, abs=3)


def test_nothing_readable_is_an_error(tmp_path: Path, decoder: ClipDecoder) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/bad.mp4").write_bytes(b"no video at all")
    with pytest.raises(InputDataError, match="no video can be read"):
        decode_videos(open_dataset("folder", tmp_path), RECIPE, decoder)


def test_plain_clips_are_the_test_crop(decoded: DecodedVideos) -> None:
    clips, indices = plain_clips(decoded, 1, Sampling("dense", 16, 8))
    assert clips.shape == (3, 3, 16, 16, 16)
    assert indices.frames[:, 0].tolist() == [0, 8, 16]
    assert frame_numbers(clips[2]) == list(range(16, 32))


def test_an_input_of_segments_has_a_snippet_from_each_part(decoded: DecodedVideos) -> None:
    jitter = Jitter(crop="none", flip_p=0)
    clips = TrainingClips(decoded, jitter, clip_length=2, batch_size=4, seed=5, segments=3)
    seen: list[set[int]] = [set(), set(), set()]
    for step in range(40):
        batch = clips.batch(step)
        for clip, video in zip(batch.clips, batch.videos, strict=True):
            numbers = frame_numbers(clip)
            assert len(numbers) == 6
            assert [numbers[i + 1] - numbers[i] for i in (0, 2, 4)] == [1, 1, 1]  # neighbors within a snippet
            if video == 1:  # 33 frames: 32 starts in three parts of 10
                for part in range(3):
                    assert 10 * part <= numbers[2 * part] < 10 * (part + 1)
                    seen[part].add(numbers[2 * part])
    assert min(map(len, seen)) == 10
    with pytest.raises(UsageError, match="one input from each video"):
        TrainingClips(decoded, jitter, clip_length=2, batch_size=4, seed=5, segments=3, every_clip=True)


def test_the_test_input_of_segments_is_one_with_the_centers(decoded: DecodedVideos) -> None:
    sampling = input_sampling("non_overlapping", 1, step_frames=1, segments=3)
    inputs, indices = plain_clips(decoded, 1, sampling)
    assert inputs.shape == (1, 3, 3, 16, 16)
    assert frame_numbers(inputs[0]) == [5, 16, 27]  # 33 starts: (i + 1/2) * 11
    assert indices.frames.shape == (3, 1)


def test_class_uniform_batches(decoded: DecodedVideos) -> None:
    three = decoded.manifest.select(keep=[0, 1, 2])  # two videos of a, one of b
    uneven = DecodedVideos(three, RECIPE, decoded.lengths[:3], [], [], decoded.decoder, [0] * 3, decoded.kept)
    clips = clips_of(uneven, batch_size=4, class_uniform=True)
    seen = []
    for step in range(10):
        batch = clips.batch(step)
        assert sorted(batch.targets.tolist()) == [0, 0, 1, 1]
        seen += batch.videos
    assert [seen.count(video) for video in range(3)] == [10, 10, 20]
    again = list(clips_of(uneven, batch_size=4, class_uniform=True).batches(3, 6, ahead=2))
    assert all(torch.equal(batch.clips, clips.batch(3 + k).clips) for k, batch in enumerate(again))
    starts = {frame_numbers(clip)[0] for step in range(10) for clip in clips.batch(step).clips}
    assert len(starts) > 8, "a video that comes again gives another clip"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of three shapes, gray levels rising from left to right."""
    folder = tmp_path_factory.mktemp("shapes")
    for name, (height, width) in {"a/wide": (24, 40), "a/tall": (40, 24), "b/square": (32, 32)}.items():
        ramp = np.broadcast_to(np.linspace(20, 220, width)[:, None], (10, height, width, 3)).astype(np.uint8)
        encode(folder / f"{name}.mp4", ramp, fps=25, codec="libx264", options={"qp": "0"})
    return folder


def test_videos_of_different_shapes_keep_their_aspect(shapes: Path, decoder: ClipDecoder) -> None:
    recipe = get_recipe("resnet_rgb").with_side(14)  # shorter side 16
    for cache in (1 << 20, 0):
        videos = decode_videos(open_dataset("folder", shapes), recipe, decoder, cache_bytes=cache)
        sizes = {
            Path(item.path).stem: videos.frames(k, np.array([0])).shape[1:3]
            for k, item in enumerate(videos.manifest.items)
        }
        assert sizes == {"wide": (16, 27), "tall": (27, 16), "square": (16, 16)}
        for jitter in (Jitter("inclusive"), Jitter("corners", positions=5), Jitter("corners", sizes=(1, 0.75))):
            clips = TrainingClips(videos, jitter, clip_length=4, batch_size=6, seed=1)
            assert clips.batch(0).clips.shape == (6, 3, 4, 14, 14)
        for video in range(3):
            ten, _ = plain_clips(videos, video, Sampling("non_overlapping", 4), views="ten")
            assert ten.shape == (20, 3, 4, 14, 14)  # two clips
            one, _ = plain_clips(videos, video, Sampling("non_overlapping", 4))
            for clip in range(2):  # of ten views the fifth is the center, the tenth its mirror image
                assert torch.equal(ten[10 * clip + 4], one[clip])
                assert torch.equal(ten[10 * clip + 9], one[clip].flip(-1))


def test_snippets_of_a_video_share_their_draw(shapes: Path, decoder: ClipDecoder) -> None:
    recipe = get_recipe("resnet_rgb").with_side(14)
    videos = decode_videos(open_dataset("folder", shapes), recipe, decoder)
    jitter = Jitter("corners", sizes=(1, 0.875, 0.75), lighting=0.1)
    clips = TrainingClips(videos, jitter, clip_length=1, batch_size=3, seed=1, segments=3)
    for step in range(5):
        batch = clips.batch(step).clips  # the videos stand still, so equal draws give equal pixels
        assert torch.equal(batch, batch[:, :, :1].expand_as(batch))
    assert not torch.equal(clips.batch(0).clips, clips.batch(1).clips)


def test_released_rules_are_one_input_and_their_tests_are_several(decoded: DecodedVideos) -> None:
    one, _ = plain_clips(decoded, 1, Sampling("tsn_caffe", 1, n_clips=3))
    assert frame_numbers(one[0]) == [5, 16, 27]  # segments of 11 frames: (11 - 1 + 1) // 2
    several, _ = plain_clips(decoded, 1, Sampling("tsn_caffe_test", 1, n_clips=3), views="five")
    assert several.shape == (15, 3, 1, 16, 16)
    assert [frame_numbers(several[5 * k])[0] for k in range(3)] == [0, 16, 32]
