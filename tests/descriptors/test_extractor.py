"""Descriptors of real files, against a float64 network fed with the very pixels that were encoded."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tubelet.clips.recipe import Recipe
from tubelet.clips.sampling import Sampling
from tubelet.descriptors.described import Described
from tubelet.descriptors.extractor import Extractor
from tubelet.descriptors.request import VideoRequest, requests_of
from tubelet.errors import UsageError, VideoError
from tubelet.models.contract import VideoModel
from tubelet.models.folder import load_model
from tubelet.models.registry import create_model
from tubelet.protocols.views import views_by_name
from tubelet.video.encode import encode

pytestmark = pytest.mark.filterwarnings("ignore:.*is untrained:UserWarning")

Pixels = dict[str, NDArray[np.uint8]]


def expected_clips(n_frames: int) -> list[list[int]]:
    """Frames of each clip: 16 long, every 8; a shorter video starts again."""
    if n_frames < 16:
        return [[t % n_frames for t in range(16)]]
    return [list(range(start, start + 16)) for start in range(0, n_frames - 15, 8)]


def expected_fc6(model: VideoModel, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    clips = np.stack([frames[indices] for indices in expected_clips(len(frames))]).astype(np.float64)
    x = torch.from_numpy(((clips - 127.5) / 127.5).transpose(0, 4, 1, 2, 3).copy())
    with torch.no_grad():
        values: NDArray[np.float64] = copy.deepcopy(model).double().features(x, ("fc6",))["fc6"].numpy()
    return values


def assert_close(found: NDArray[np.float32], right: NDArray[np.float64]) -> None:
    assert found.shape == right.shape
    assert np.linalg.norm(found - right) <= 1e-5 * np.linalg.norm(right)


@pytest.fixture(scope="module")
def described(extractor: Extractor, videos: Path, pixels: Pixels) -> dict[str, Described]:
    outcomes = dict(extractor.describe_many([videos / name for name in pixels]))
    assert all(isinstance(outcome, Described) for outcome in outcomes.values())
    return {
        Path(path).relative_to(videos).as_posix(): outcome
        for path, outcome in outcomes.items()
        if isinstance(outcome, Described)
    }


def test_vectors_are_those_of_the_encoded_pixels(
    described: dict[str, Described], pixels: Pixels, model: VideoModel
) -> None:
    for name, frames in pixels.items():
        assert_close(described[name].vectors["fc6"], expected_fc6(model, frames))


def test_times_and_frames(described: dict[str, Described], pixels: Pixels) -> None:
    for name, frames in pixels.items():
        one, clips = described[name], expected_clips(len(frames))
        assert one.start_frame.tolist() == [min(clip) for clip in clips]
        assert one.end_frame.tolist() == [max(clip) + 1 for clip in clips]
        assert one.start_s == pytest.approx([min(clip) / 25 for clip in clips], abs=1e-3)
        assert one.end_s == pytest.approx([(max(clip) + 1) / 25 for clip in clips], abs=1e-3)
        assert one.padded.tolist() == [len(frames) < 16] * len(clips)
        assert len(one) == len(clips)
        assert (one.fps, one.fps_source) == (pytest.approx(25), "container")
        assert one.report.frames_decoded == len(frames)
        assert one.report.status == "ok"


def test_shapes_of_other_layers(described: dict[str, Described], extractor: Extractor) -> None:
    one = described["walk/a.mp4"]
    assert {layer: vectors.shape for layer, vectors in one.vectors.items()} == {
        layer: (4, dimension) for layer, dimension in extractor.dimensions.items()
    }
    assert one.vectors["prob"].sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert all(vectors.dtype == np.float32 for vectors in one.vectors.values())


def test_video_vector(described: dict[str, Described]) -> None:
    one = described["walk/a.mp4"]
    mean = one.vectors["fc6"].astype(np.float64).mean(axis=0)
    assert one.video_vector("fc6") == pytest.approx(mean / np.sqrt((mean**2).sum()), abs=1e-6)
    assert one.video_vector("fc6") is one.video_vector("fc6")
    with pytest.raises(UsageError, match="'fc7' was not extracted; there are fc6"):
        one.video_vector("fc7")


def test_workers_change_nothing_at_all(
    described: dict[str, Described], videos: Path, pixels: Pixels, model: VideoModel, recipe: Recipe
) -> None:
    with Extractor(model, layers=("fc6", "prob"), recipe=recipe, batch_size=4, device="cpu", workers=2) as parallel:
        for path, outcome in parallel.describe_many([videos / name for name in pixels]):
            assert isinstance(outcome, Described)
            one = described[Path(path).relative_to(videos).as_posix()]
            for layer in ("fc6", "prob"):
                assert np.array_equal(outcome.vectors[layer], one.vectors[layer])


def test_batch_size_changes_only_the_rounding(
    extractor: Extractor, videos: Path, pixels: Pixels, model: VideoModel, recipe: Recipe
) -> None:
    alone = extractor.describe(videos / "run/c.mp4").vectors["fc6"]
    assert_close(alone, expected_fc6(model, pixels["run/c.mp4"]))
    with Extractor(model, recipe=recipe, batch_size=1, device="cpu") as single:
        assert_close(single.describe(videos / "walk/a.mp4").vectors["fc6"], expected_fc6(model, pixels["walk/a.mp4"]))


def test_each_frame_is_decoded_once(extractor: Extractor, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = extractor._decoder.prefetch

    def watched(*arguments: object, **options: object) -> object:
        for path, part in real(*arguments, **options):  # type: ignore[arg-type]
            if hasattr(part, "images"):
                seen.extend(range(part.first_index, part.first_index + len(part)))
            yield path, part

    monkeypatch.setattr(extractor._decoder, "prefetch", watched)
    extractor.describe(videos / "walk/a.mp4")
    assert seen == list(range(40))


def test_what_fails_yields_its_error_and_the_rest_goes_on(extractor: Extractor, videos: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.avi"
    text.write_text("no video")
    paths = [videos / "walk/b.mp4", text, tmp_path / "absent.avi", videos / "run/c.mp4"]
    outcomes = list(extractor.describe_many(paths))
    assert [path for path, _ in outcomes] == [str(path) for path in paths]
    assert [type(outcome) for _, outcome in outcomes] == [Described, VideoError, VideoError, Described]
    with pytest.raises(VideoError, match=r"text\.avi"):
        extractor.describe(text)


def test_leaving_early_leaves_the_extractor_usable(extractor: Extractor, videos: Path) -> None:
    for _ in extractor.describe_many([videos / "walk/a.mp4", videos / "walk/b.mp4"]):
        break
    assert len(extractor.describe(videos / "walk/b.mp4")) == 1


def test_no_videos_no_outcomes(extractor: Extractor) -> None:
    assert list(extractor.describe_many([])) == []


def test_a_folder_of_frames_has_the_rate_it_is_given(extractor: Extractor, pixels: Pixels, tmp_path: Path) -> None:
    import av

    for number, image in enumerate(pixels["walk/a.mp4"][:20], start=1):
        av.VideoFrame.from_ndarray(image, format="rgb24").save(tmp_path / f"{number:05d}.jpg")
    one = extractor.describe(tmp_path, fps=5)
    assert (one.fps, one.fps_source) == (5, "given")
    assert one.start_s.tolist() == [0.0]
    assert one.end_s.tolist() == [pytest.approx(16 / 5)]


def test_a_truncated_video_is_partial(extractor: Extractor, pixels: Pixels, tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.avi", pixels["walk/a.mp4"], codec="mpeg4")
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    one = extractor.describe(tmp_path / "cut.avi")
    assert one.report.status == "partial"
    assert one.report.frames_declared == 40
    assert one.report.frames_decoded < 40
    assert len(one) == len(expected_clips(one.report.frames_decoded))


def test_a_model_that_learned_meanwhile_is_refused(videos: Path, recipe: Recipe, model: VideoModel) -> None:
    own = copy.deepcopy(model)
    with Extractor(own, recipe=recipe, device="cpu") as extractor:
        with torch.no_grad():
            own.get_submodule("fc8").bias.add_(1.0)  # type: ignore[operator,union-attr]
        with pytest.raises(UsageError, match="changed after this extractor was made"):
            extractor.describe(videos / "walk/b.mp4")


def test_recipes(model: VideoModel, recipe: Recipe) -> None:
    with Extractor(model, device="cpu") as extractor:
        assert extractor.recipe.name == "c3d_small"  # published for this net
    own = copy.deepcopy(model)
    own.recipe = recipe
    with Extractor(own, device="cpu") as extractor:
        assert extractor.recipe is recipe  # saved with the model


def test_untrained_c3d_takes_the_approximate_recipe_and_says_so() -> None:
    tiny = create_model("c3d", num_classes=2, width=0.125, side=56)
    with pytest.warns(UserWarning, match="c3d_channel_mean is used"):
        extractor = Extractor(tiny, device="cpu")
    assert extractor.recipe.name == "c3d_channel_mean"
    assert extractor.recipe.crop_hw == (56, 56)
    extractor.close()


def test_trained_c3d_without_its_mean_is_refused() -> None:
    tiny = create_model("c3d", num_classes=2, width=0.125)
    tiny.set_weights_id("ab" * 32)
    with pytest.raises(UsageError, match="c3d_sports1m needs its mean volume"):
        Extractor(tiny, device="cpu")


def test_whole_frames_that_are_not_square(pixels: Pixels, recipe: Recipe, tmp_path: Path) -> None:
    frames = np.ascontiguousarray(pixels["walk/a.mp4"][:24, :40])
    encode(tmp_path / "wide.mp4", frames, codec="libx264rgb", options={"qp": "0"})
    model = create_model("c3d_small", 3, seed=5, width=0.125, side=(40, 56)).eval()
    found = Extractor(model).describe(tmp_path / "wide.mp4").vectors["fc6"]
    right = expected_fc6(model, frames)
    assert found.shape == right.shape == (2, 256)
    assert np.linalg.norm(found - right) <= 1e-5 * np.linalg.norm(right)
    with pytest.raises(UsageError, match=r"56x56 pixels.*takes 56x40"):
        Extractor(model, recipe=recipe)
    folder = model.save(tmp_path / "model")
    again = load_model(folder)
    assert again.input.height_width == (40, 56)
    assert again.recipe is not None
    assert again.recipe.resize_hw == again.recipe.crop_hw == (40, 56)
    assert "16 frames of 40 × 56 pixels" in (folder / "README.md").read_text()


def test_impossible_settings(model: VideoModel, extractor: Extractor) -> None:
    with pytest.raises(UsageError, match="batch_size"):
        Extractor(model, batch_size=0)
    with pytest.raises(UsageError, match="stride_frames"):
        Extractor(model, stride_frames=0)
    with pytest.raises(UsageError, match="the same fps"):
        list(extractor.rows([VideoRequest(Path("a"), "a", fps=5), VideoRequest(Path("b"), "b", fps=6)]))


def test_properties(extractor: Extractor) -> None:
    assert extractor.layers == ("fc6", "conv5a", "pool5", "prob")
    assert extractor.precision == "float32"
    assert extractor.sampling_text == (
        '{"policy":"dense","clip_length":16,"stride_frames":8,"step_frames":1,"short":"loop"}'
    )


def test_clips_at_random_places_are_those_of_the_views(
    model: VideoModel, recipe: Recipe, videos: Path, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = Sampling("random", 16, n_clips=5, seed=2)
    found: list[dict[str, Described]] = []
    with Extractor(model, recipe=recipe, sampling=sampling, batch_size=4, device="cpu") as extractor:
        # The second time nothing is kept, so that frames are read again when the length is known.
        for kept in (1 << 30, 0):
            monkeypatch.setattr("tubelet.descriptors.clips._KEPT_BYTES", kept)
            requests = requests_of([videos / name for name in pixels], root=videos)
            outcomes = zip(requests, extractor.described(requests), strict=True)
            found.append({request.video_id: one for request, one in outcomes if isinstance(one, Described)})
        assert extractor.sampling_text == (
            '{"policy":"random","clip_length":16,"step_frames":1,"short":"loop","n_clips":5,"seed":2}'
        )
    for name, frames in pixels.items():
        one = found[0][name]
        places = views_by_name("random:5", 2).indices(name, len(frames), 16, 1)
        assert one.start_frame.tolist() == places.start_frames.tolist()
        assert one.padded.tolist() == [len(frames) < 16] * 5
        assert one.end_s == pytest.approx(one.end_frame / 25, abs=1e-3)
        clips = [frames[[t % len(frames) for t in range(start, start + 16)]] for start in one.start_frame.tolist()]
        x = (np.stack(clips).astype(np.float64) - 127.5) / 127.5
        with torch.no_grad():
            right = copy.deepcopy(model).double().features(
                torch.from_numpy(x.transpose(0, 4, 1, 2, 3).copy()), ("fc6",)
            )["fc6"].numpy()  # fmt: skip
        assert_close(one.vectors["fc6"], right)
        assert np.array_equal(found[1][name].vectors["fc6"], one.vectors["fc6"])
        assert found[1][name].start_s.tolist() == one.start_s.tolist()
    assert len(set(found[0]["walk/a.mp4"].start_frame.tolist())) > 1
    span = VideoRequest(videos / "walk/a.mp4", "walk/a.mp4#t=0.4,1.2", start_s=0.4, end_s=1.2)  # frames 10 to 29
    with Extractor(model, recipe=recipe, sampling=sampling, device="cpu") as extractor:
        (part,) = extractor.described([span])
    assert isinstance(part, Described)
    assert min(part.start_frame) >= 10
    assert max(part.end_frame) <= 30
    assert len(part) == 5


def test_a_sampling_stands_alone(model: VideoModel) -> None:
    with pytest.raises(UsageError, match="sampling says by itself how clips are cut"):
        Extractor(model, clip_length=8, sampling=Sampling("random", 8, n_clips=2))
    with pytest.raises(UsageError, match="segments makes one input of all snippets"):
        Extractor(model, sampling=Sampling("segments", 1, n_clips=2))
