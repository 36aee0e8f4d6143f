"""Batches of motion networks, against a reference that reads the stored pictures with OpenCV and works by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.jitter import Jitter
from tubelet.clips.modality import Modality
from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.loader import DecodedVideos, TrainingClips, decode_videos, input_sampling, plain_clips
from tubelet.flow.decode import FlowDecoder
from tubelet.flow.record import FlowSettings
from tubelet.provenance import derive_seed

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))
from made_flow import stored, texture, video

HW, CROP = (48, 64), (32, 40)
BOUND = 8.0
LENGTHS = {"a/0": 14, "a/1": 4, "b/0": 19}
RANDOM = Jitter(crop="inclusive")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos in ``videos``, their flow in both directions in ``flow``; one of them as one file."""
    folder = tmp_path_factory.mktemp("motion")
    for number, (name, frames) in enumerate(LENGTHS.items()):
        file = video(folder / "videos" / f"{name}.mp4", frames, seed=number, step=1 + number)
        kind = "compact" if name == "b/0" else "jpeg"
        settings = FlowSettings(direction="both", bound=BOUND, store=kind)
        stored(file, folder / "flow" / (f"{name}.flow.zip" if kind == "compact" else name), settings)
    return folder


@pytest.fixture(scope="module")
def decoders(root: Path) -> dict[str, ClipDecoder]:
    with ClipDecoder() as frames, FlowDecoder(root / "flow") as flow, FlowDecoder(root / "flow", backward=True) as both:
        yield {"rgb": frames, "flow": flow, "both": both}


def pictures(root: Path, name: str, prefix: str) -> np.ndarray:
    """``(n, H, W, 2)`` levels as OpenCV reads them."""
    where = root / "flow" / name
    if not where.is_dir():  # the file of one video is a ZIP file of the same pictures
        import zipfile

        where = root / "unpacked" / name
        with zipfile.ZipFile(root / "flow" / f"{name}.flow.zip") as archive:
            archive.extractall(where)
    fields = []
    for number in range(1, LENGTHS[name]):
        both = [cv2.imread(str(where / f"{prefix}_{c}_{number:05d}.jpg"), cv2.IMREAD_GRAYSCALE) for c in "xy"]
        fields.append(np.stack(both, -1))
    return np.stack(fields)


def decode(root: Path, decoder: ClipDecoder, recipe: Recipe, modality: Modality, **more: int) -> DecodedVideos:
    return decode_videos(open_dataset("folder", root / "videos"), recipe, decoder, modality=modality, **more)


def reference(clips: TrainingClips, row: int, channels: list[np.ndarray], mean: str | None) -> tuple[np.ndarray, bool]:
    """One clip by hand from whole channels ``(T, H, W)``, x and y in turns: crop, mirror (or not), mean."""
    epoch, sample = clips._order(row)
    rng = np.random.default_rng(derive_seed(clips.seed, "clip", epoch, sample))
    clips._random.indices(clips.videos.lengths[sample], rng)  # chance goes to the place first
    draw = RANDOM.draw(clips.videos.recipe, rng, HW)
    (y, x), (height, width) = draw.offset_yx, CROP
    out = []
    for number, channel in enumerate(channels):
        cut = channel[:, y : y + height, x : x + width].astype(np.float64)
        if draw.flip:
            cut = cut[:, :, ::-1]
            if number % 2 == 0:
                cut = 255 - cut if mean == "level" else -cut
        out.append(cut - 128 if mean == "level" else cut)
    return np.stack(out), draw.flip


@pytest.mark.parametrize(
    ("channels", "clip_length", "segments", "mean"),
    [(10, 1, 3, "level"), (2, 4, 1, "level"), (6, 1, 1, "field"), (4, 2, 1, None)],
    ids=["tsn", "p3d", "two_stream", "two stacks without mean"],
)
def test_a_batch_is_what_the_pictures_say(
    root: Path, decoders: dict[str, ClipDecoder], channels: int, clip_length: int, segments: int, mean: str | None
) -> None:
    recipe = Recipe("f", HW, CROP, "flow", flow_mean=mean)  # type: ignore[arg-type]
    videos = decode(root, decoders["flow"], recipe, Modality("flow", channels))
    assert videos.lengths == [frames - 1 for frames in LENGTHS.values()]
    assert videos.in_memory
    clips = TrainingClips(videos, RANDOM, clip_length=clip_length, batch_size=6, seed=1, segments=segments)
    batch = clips.batch(1)
    assert batch.clips.shape == (6, channels, clip_length * segments, *CROP)
    levels = [pictures(root, name, "flow") for name in LENGTHS]
    flips = set()
    for row, (video_index, indices) in enumerate(zip(batch.videos, batch.frames, strict=True)):
        per_stack = channels // 2
        assert len(indices) == per_stack * clip_length * segments
        fields = levels[video_index][indices].reshape(-1, per_stack, *HW, 2).astype(np.float64)
        if mean != "level":
            fields = fields / 255 * 2 * BOUND - BOUND
        if mean == "field":
            fields = fields - fields.mean(axis=(2, 3), keepdims=True)
        whole = [fields[:, k, ..., c] for k in range(per_stack) for c in range(2)]
        expected, flip = reference(clips, 6 + row, whole, mean)
        off = np.abs(batch.clips[row].numpy() - expected)
        # The two JPEG decoders differ by one level here and there; a mirror image that is off by one, everywhere.
        level = 1 if mean == "level" else 2 * BOUND / 255
        assert off.max() <= 1.01 * level
        assert off.mean() < 0.05 * level
        flips.add(flip)
    assert flips == {True, False}
    lean = decode(root, decoders["flow"], recipe, Modality("flow", channels), cache_bytes=0)
    again = TrainingClips(lean, RANDOM, clip_length=clip_length, batch_size=6, seed=1, segments=segments).batch(1)
    assert not lean.kept
    assert (again.clips == batch.clips).all()


def test_bidirectional_stacks_read_both_directions(root: Path, decoders: dict[str, ClipDecoder]) -> None:
    recipe = Recipe("f", HW, HW, "flow")
    videos = decode(root, decoders["both"], recipe, Modality("flow", 8, "bidirectional"))
    clips, indices = plain_clips(videos, 2, Sampling("dense", 1, 4))
    forward, backward = (pictures(root, "b/0", prefix) for prefix in ("flow", "back"))
    assert indices.frames.shape == (4, 4)
    for clip, (a, b, c, d) in zip(clips, indices.frames, strict=True):
        expected = np.concatenate([forward[c], forward[d], backward[b], backward[a]], -1) / 255 * 2 * BOUND - BOUND
        assert np.abs(clip[:, 0].permute(1, 2, 0).numpy() - expected).max() <= 1.01 * 2 * BOUND / 255
    # The texture moves 3 pixels to the right per frame, and back.
    assert clips[:, 0].median().item() == pytest.approx(3, abs=0.2)
    assert clips[:, 4].median().item() == pytest.approx(-3, abs=0.2)


def test_fields_are_resized_as_pictures(root: Path, decoders: dict[str, ClipDecoder]) -> None:
    recipe = Recipe("f", (24, 40), (24, 40), "flow", flow_mean="level")
    videos = decode(root, decoders["flow"], recipe, Modality("flow", 2))
    levels = pictures(root, "a/0", "flow")
    for index in (0, 7):
        expected = cv2.resize(levels[index], (40, 24), interpolation=cv2.INTER_LINEAR).astype(int)
        off = np.abs(videos.frames(0, np.array([index]))[0].astype(int) - expected)
        assert off.max() <= 2
        assert off.mean() < 0.3


def test_a_short_video_repeats_its_fields(root: Path, decoders: dict[str, ClipDecoder]) -> None:
    videos = decode(root, decoders["flow"], Recipe("f", HW, HW, "flow", flow_mean="level"), Modality("flow", 10))
    clips, indices = plain_clips(videos, 1, input_sampling("non_overlapping", 1, step_frames=1, segments=1))
    assert indices.frames.tolist() == [[0, 1, 2, 0, 1]]
    assert indices.padded.tolist() == [True]
    assert (clips[0, 0:2] == clips[0, 6:8]).all()


def test_differences_of_frames_as_tsn_takes_them(root: Path, decoders: dict[str, ClipDecoder]) -> None:
    recipe = Recipe("d", HW, CROP, "bgr")
    videos = decode(root, decoders["rgb"], recipe, Modality("rgb_difference", 15))
    clips = TrainingClips(videos, RANDOM, clip_length=1, batch_size=3, seed=4, segments=2)
    batch = clips.batch(0)
    assert batch.clips.shape == (3, 15, 2, *CROP)
    for row, (video_index, indices) in enumerate(zip(batch.videos, batch.frames, strict=True)):
        name = list(LENGTHS)[video_index]
        frames = texture(LENGTHS[name], seed=video_index, step=1 + video_index)[indices].astype(np.float64)
        assert len(frames) == 12
        snippets = frames.reshape(2, 6, *HW, 3)[..., ::-1]
        differences = snippets[:, 1:] - snippets[:, :-1]
        whole = [differences[:, k, ..., c] for k in range(5) for c in range(3)]
        epoch, sample = clips._order(row)
        rng = np.random.default_rng(derive_seed(4, "clip", epoch, sample))
        clips._random.indices(videos.lengths[video_index], rng)
        draw = RANDOM.draw(recipe, rng, HW)
        y, x = draw.offset_yx
        cut = np.stack(whole)[:, :, y : y + CROP[0], x : x + CROP[1]]
        assert (batch.clips[row].numpy() == (cut[..., ::-1] if draw.flip else cut)).all()
    test, _ = plain_clips(videos, 0, input_sampling("non_overlapping", 1, step_frames=1, segments=2), views="five")
    assert test.shape == (5, 15, 2, *CROP)


def test_flow_that_is_not_there_is_told_per_video(root: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(root / "flow", tmp_path / "flow")
    shutil.rmtree(tmp_path / "flow" / "a" / "0")
    picture = tmp_path / "flow" / "a" / "1" / "flow_y_00002.jpg"
    picture.write_bytes(picture.read_bytes()[:100])
    with FlowDecoder(tmp_path / "flow") as decoder:
        videos = decode(root, decoder, Recipe("f", HW, HW, "flow", flow_mean="level"), Modality("flow", 2))
    assert [item.path for item in videos.manifest.items] == ["b/0.mp4"]
    (missing, why), (damaged, what) = videos.failed
    assert (missing, damaged) == ("a/0.mp4", "a/1.mp4")
    assert "no stored flow" in why
    assert "flow_y_00002.jpg" in what
