"""Scores over test views, against a slow loop that crops every view by hand and runs it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.datasets.loader import DecodedVideos
from tubelet.datasets.manifest import Item, Manifest
from tubelet.errors import NumericalError, UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.registry import create_model
from tubelet.protocols.view_scores import VideoScores, ViewScorer, clip_frames, even_batches
from tubelet.protocols.views import PRESETS, TestViews, default_views, name_of, views_by_name

RECIPE = Recipe("tiny", (37, 45), (32, 32), "bgr", (104.0, 117.0, 123.0), scale=1 / 60)
CORNERS = [(0, 0), (0, 13), (5, 0), (5, 13), (2, 6)]  # of 32 x 32 out of 37 x 45


def decoded(n_frames: int, kept: bool = True, decoder: Any = None) -> DecodedVideos:
    frames = np.random.default_rng(n_frames).integers(0, 256, (n_frames, 37, 45, 3)).astype(np.uint8)
    manifest = Manifest("tiny", Path("."), (Item("a.avi", "run"),), ("run", "walk", "wave"))
    return DecodedVideos(manifest, RECIPE, [n_frames], [], [], decoder, [0], {0: frames} if kept else {})


def stirred(model: VideoModel, recipe: Recipe = RECIPE) -> VideoModel:
    """Weights so drawn that every pixel tells: with published starting weights scores hardly depend on the clip."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
    model.recipe = recipe
    return model.eval()


@pytest.fixture(scope="module")
def clips() -> VideoModel:
    return stirred(create_model("c3d_depth3", 3, seed=0, width=0.0625, side=32, clip_length=8))


@pytest.fixture(scope="module")
def snippets() -> VideoModel:
    return stirred(create_model("tsn_bn_inception", 3, seed=0, side=32, segments=3, consensus="weighted"))


def view_by_hand(frames: np.ndarray, y: int, x: int, mirrored: bool) -> torch.Tensor:
    """(1, 3, T, 32, 32): crop, BGR, mean, scale, mirror with nothing but NumPy's slices."""
    pixels = frames[:, y : y + 32, x : x + 32, ::-1].astype(np.float64)
    pixels = (pixels - [104.0, 117.0, 123.0]) / 60
    pixels = pixels[:, :, ::-1] if mirrored else pixels
    return torch.from_numpy(pixels.transpose(3, 0, 1, 2).astype(np.float32).copy())[None]


def test_25_positions_by_ten_crops_equal_a_slow_loop(snippets: VideoModel) -> None:
    videos = decoded(61)
    scorer = ViewScorer(snippets, views_by_name("25x10"), device="cpu", batch_size=64)
    found = scorer.view_scores(videos, 0, "a.avi")
    assert found.shape == (250, 3)
    positions = [round(60 * i / 24 + 1e-9) for i in range(25)]  # 61 frames, 25 equally spaced, halves up
    for position in (0, 1, 13, 24):
        frames = videos.kept[0][positions[position] : positions[position] + 1]
        slow = []
        for mirrored in (False, True):
            for y, x in CORNERS:
                with torch.no_grad():
                    hidden = snippets.features(view_by_hand(frames, y, x, mirrored), ["global_pool"])["global_pool"]
                    slow.append(snippets.fc_action(hidden.flatten(1))[0].numpy())
        ours = found[10 * position : 10 * position + 10]
        assert ours == pytest.approx(np.array(slow), rel=1e-4, abs=1e-4 * float(np.abs(slow).max()))
    assert (found.std(axis=0) > 1e-2 * np.abs(found).max()).all(), "views differ, or nothing would be tested"
    means = VideoScores.of_views(found)
    assert means.scores == pytest.approx(found.reshape(25, 10, 3).astype(np.float64).mean(1).mean(0))
    assert means.probabilities == pytest.approx(softmax(found.astype(np.float64), axis=1).mean(0))
    assert (means.views, means.view_scores) == (250, None)


@pytest.mark.parametrize(
    ("name", "starts", "places"),
    [
        ("3x10", [0, 6, 12], [(y, x, flip) for flip in (False, True) for y, x in CORNERS]),
        ("2x4", [0, 12], [(0, 0, False), (5, 13, False), (0, 0, True), (5, 13, True)]),
        ("2x3", [0, 12], [(2, 0, False), (2, 6, False), (2, 13, False)]),
        ("t3d", [0, 8], [(2, 6, False)]),
        ("dense", [0, 8], [(2, 6, False)]),
    ],
)
def test_clips_equal_a_slow_loop(
    clips: VideoModel, name: str, starts: list[int], places: list[tuple[int, int, bool]]
) -> None:
    videos = decoded(20)
    found = ViewScorer(clips, views_by_name(name), device="cpu").view_scores(videos, 0, "a.avi")
    slow = []
    for start in starts:
        for y, x, mirrored in places:
            with torch.no_grad():
                slow.append(clips(view_by_hand(videos.kept[0][start : start + 8], y, x, mirrored))[0].numpy())
    assert found == pytest.approx(np.array(slow), rel=1e-4, abs=1e-4 * float(np.abs(slow).max()))
    assert (found.std(axis=0) > 1e-3 * np.abs(found).max()).all(), "ten times what rounding may do"


def test_random_clips_depend_on_the_video_and_the_seed_alone(clips: VideoModel) -> None:
    videos = decoded(60)
    scorer = ViewScorer(clips, views_by_name("p3d"), device="cpu")
    found = scorer.view_scores(videos, 0, "a.avi")
    assert found.shape == (20, 3)
    again = ViewScorer(clips, views_by_name("p3d"), device="cpu", batch_size=3).view_scores(videos, 0, "a.avi")
    assert again == pytest.approx(found, rel=1e-4, abs=1e-4)
    starts = views_by_name("p3d").indices("a.avi", 60, 8, 1).start_frames
    assert len(set(starts.tolist())) > 5
    assert (starts != views_by_name("p3d").indices("b.avi", 60, 8, 1).start_frames).any()
    assert (starts != views_by_name("p3d", seed=1).indices("a.avi", 60, 8, 1).start_frames).any()
    alone = clips(view_by_hand(videos.kept[0][starts[7] : starts[7] + 8], 2, 6, False)).detach().numpy()[0]
    assert found[7] == pytest.approx(alone, rel=1e-4, abs=1e-4)


def test_a_recipe_that_averages_mirror_images_does_so_once(clips: VideoModel) -> None:
    videos = decoded(8)
    plain = ViewScorer(clips, views_by_name("1x2"), device="cpu").view_scores(videos, 0, "a")
    averaging = stirred(create_model("c3d_depth3", 3, seed=0, width=0.0625, side=32, clip_length=8))
    averaging.recipe = RECIPE.with_average_flip()
    one = ViewScorer(averaging, views_by_name("1x1"), device="cpu").view_scores(videos, 0, "a")
    both = ViewScorer(averaging, views_by_name("1x2"), device="cpu").view_scores(videos, 0, "a")
    assert one[0] == pytest.approx(plain.mean(0), rel=1e-4, abs=1e-4)
    assert both == pytest.approx(plain, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("total", "most"), [(250, 16), (17, 16), (1, 16), (20, 3), (33, 32), (7, 3)])
def test_batches_leave_none_alone(total: int, most: int) -> None:
    batches = [len(batch) for batch in even_batches(iter([torch.zeros(1)] * total), total, most)]
    assert sum(batches) == total
    assert max(batches) <= most
    assert min(batches) >= min(2, total)


def test_frames_that_are_not_kept_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[int]] = []
    whole = decoded(40).kept[0]

    class Decoder:
        def locate(self, path: Path, video_id: str) -> Path:
            return path

        def clip(self, path: Path, indices: np.ndarray, size: Any, fps: Any) -> np.ndarray:
            calls.append(indices.tolist())
            return whole[indices]

    videos = decoded(40, kept=False, decoder=Decoder())
    wanted = np.array([[0, 1], [30, 31], [1, 2], [0, 1]])
    found = list(clip_frames(videos, 0, wanted))
    assert calls == [[0, 1, 2, 30, 31]]
    assert all(np.array_equal(frames, whole[row]) for frames, row in zip(found, wanted, strict=True))
    monkeypatch.setattr("tubelet.protocols.view_scores._FRAMES_AT_ONCE", 16)
    long = np.arange(40).reshape(5, 8)
    calls.clear()
    assert np.array_equal(np.concatenate(list(clip_frames(videos, 0, long))), whole)
    assert [len(call) for call in calls] == [16, 16, 8], "memory is bounded, and still each frame comes once"


def test_what_cannot_be_scored_is_refused(clips: VideoModel) -> None:
    bare = create_model("c3d_depth3", 3, seed=0, width=0.0625, side=32, clip_length=8)
    with pytest.raises(UsageError, match="has no recipe"):
        ViewScorer(bare, views_by_name("1x1"))
    bare.recipe = RECIPE.with_flip(False)
    with pytest.raises(UsageError, match=r"views 25x10 hold mirror images .*another label.*such as 25x5"):
        ViewScorer(bare, views_by_name("25x10"))
    torch.nn.init.constant_(bare.get_submodule(bare.head_name).bias, float("nan"))
    with pytest.raises(NumericalError, match=r"scores of a\.avi are not finite"):
        ViewScorer(bare, views_by_name("1x1"), device="cpu").view_scores(decoded(8), 0, "a.avi")


def test_crops_that_coincide_are_told(caplog: pytest.LogCaptureFixture) -> None:
    whole = Recipe("whole", (32, 32), (32, 32))
    made = create_model("c3d_depth3", 3, seed=0, width=0.0625, side=32, clip_length=8)
    made.recipe = whole
    ViewScorer(made, views_by_name("1x2"), device="cpu")
    assert caplog.text == ""
    ViewScorer(made, views_by_name("1x10"), device="cpu")
    assert "recipe whole cuts nothing off, so the crops of the views 1x10 lie at the same place" in caplog.text


def test_the_clips_of_a_table_have_the_name_of_their_views() -> None:
    for name in ("dense", "c3d", "p3d", "t3d", "7x1", "random:7"):
        assert name_of(views_by_name(name, 3).sampling(16, 2)) == name
    assert name_of(Sampling("dense", 16, 16)) == "", "not every 8 frames"
    assert name_of(Sampling("non_overlapping", 16, short="refuse")) == "t3d"
    assert name_of(Sampling("segments", 1, n_clips=3)) == ""


def test_views_have_names() -> None:
    assert views_by_name("25x10") is PRESETS["25x10"][0]
    assert views_by_name("10x3") == TestViews("10x3", "uniform", 10, "three")
    assert [PRESETS[name][0].crops_per_clip for name in ("25x10", "tsn_caffe", "p3d", "t3d")] == [10, 10, 1, 1]
    assert str(views_by_name("p3d", 3)) == "20 clips (random, seed 3), crops: center"
    assert views_by_name("25x10").hash != views_by_name("tsn_torch").hash
    assert views_by_name("random:20", 5).hash == views_by_name("p3d", 5).hash, "a name is no setting"
    assert views_by_name("random:7x4", 5) == TestViews("random:7x4", "random", 7, "four", seed=5)
    assert str(views_by_name("deepvideo")) == "20 clips (random, seed 0), crops: four"
    for name in ("25x6", "0x1", "x", "25", "center", "random:", "random:0", "random:2x6"):
        with pytest.raises(UsageError, match="there are no test views"):
            views_by_name(name)
    with pytest.raises(UsageError, match="every snippet has its own scores"):
        TestViews("x", "segments", 3)
    with pytest.raises(UsageError, match="crops is 'six'"):
        TestViews("x", "uniform", 3, "six")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("network", "options", "views"),
    [
        ("two_stream_spatial", {"width": 0.0625}, "25x10"), ("tsn_bn_inception", {}, "25x10"),
        ("p3d_63", {}, "p3d"), ("t3d_121", {}, "t3d"), ("densenet3d_121", {}, "t3d"), ("c3d_small", {}, "dense"),
        ("c3d", {}, "c3d"), ("res3d_18", {}, "c3d"), ("c3d_depth3", {}, "dense"), ("lrcn", {}, "dense"),
        ("deepvideo_slow", {"width": 0.0625}, "deepvideo"), ("deepvideo_single", {"width": 0.0625}, "deepvideo"),
    ],
)  # fmt: skip
def test_a_network_has_the_views_of_its_paper(network: str, options: dict[str, Any], views: str) -> None:
    from tubelet.models.registry import build_meta

    assert default_views(build_meta(network, 5, options)).name == views


@pytest.mark.parametrize(
    ("network", "options", "average"),
    [
        ("tsn_bn_inception", {}, "scores"), ("tsn_resnet50", {}, "scores"), ("c3d_small", {}, "softmax"),
        ("two_stream_spatial", {"width": 0.0625}, "scores"), ("p3d_63", {}, "softmax"), ("t3d_121", {}, "softmax"),
    ],
)  # fmt: skip
def test_two_stream_and_tsn_average_before_the_softmax(network: str, options: dict[str, Any], average: str) -> None:
    from tubelet.models.registry import build_meta
    from tubelet.protocols.views import default_average

    assert default_average(build_meta(network, 5, options)) == average
