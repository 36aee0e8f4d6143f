"""A stream's scores as a file: resumable by video, killed at any moment, failed videos told and tried again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.manifest import Manifest
from tubelet.errors import InputDataError, UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.registry import create_model
from tubelet.protocols import score_stream as module
from tubelet.protocols.score_file import ScoreFile
from tubelet.protocols.score_journal import JOURNAL, ScoreJournal
from tubelet.protocols.score_stream import NothingScoredError, StreamScores, check_stream, score_stream
from tubelet.protocols.view_scores import VideoScores, ViewScorer
from tubelet.protocols.views import views_by_name

VIEWS = views_by_name("2x3")
Scored = list[str]


@pytest.fixture(scope="module")
def videos(motion_folder: Path) -> Manifest:
    """The test part of the synthetic motions: 10 videos of 24 frames, one of each class."""
    return open_dataset("metadata", motion_folder).select(split="test")


@pytest.fixture(scope="module")
def model(videos: Manifest) -> VideoModel:
    made = create_model("c3d_small", len(videos.classes), seed=0, width=0.0625)
    made.recipe, made.labels = get_recipe("c3d_small"), videos.classes
    return made.eval()


@pytest.fixture(scope="module", autouse=True)
def one_decoder() -> Iterator[None]:
    """Decoding processes take seconds to start, so all runs here use the same."""
    with ClipDecoder(workers=2) as shared, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ClipDecoder", lambda workers: nullcontext(shared))
        yield


@pytest.fixture(scope="module")
def scorer(model: VideoModel) -> ViewScorer:
    return ViewScorer(model, VIEWS, device="cpu")


@pytest.fixture(scope="module")
def whole(videos: Manifest, scorer: ViewScorer, tmp_path_factory: pytest.TempPathFactory) -> StreamScores:
    return score_stream(scorer, videos, tmp_path_factory.mktemp("whole"), keep_views=True, notes=["a note"])


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Scored:
    """The videos that the network sees, in order; after ``stop`` of them Ctrl-C is pressed."""
    seen: Scored = []
    real = ViewScorer.view_scores

    def noted(self: ViewScorer, opened: Any, video: int, video_id: str) -> Any:
        seen.append(video_id)
        return real(self, opened, video, video_id)

    monkeypatch.setattr(ViewScorer, "view_scores", noted)
    return seen


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``stopping(n)``: Ctrl-C before the n-th video from now is kept."""

    def arm(after: int) -> None:
        real, calls = ScoreJournal.append, [0]

        def append(self: ScoreJournal, video_id: str, scores: VideoScores) -> None:
            calls[0] += 1
            if calls[0] == after:
                monkeypatch.setattr(ScoreJournal, "append", real)
                raise KeyboardInterrupt
            real(self, video_id, scores)

        monkeypatch.setattr(ScoreJournal, "append", append)

    return arm


def same(first: ScoreFile, second: ScoreFile) -> bool:
    names = ("video_ids", "classes", "groups", "labels", "scores", "probabilities", "view_counts", "view_scores")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


def test_the_file_holds_every_video_with_its_views(whole: StreamScores, videos: Manifest, model: VideoModel) -> None:
    file = ScoreFile.load(whole.path)
    assert same(file, whole.file)
    assert file.video_ids == tuple(item.path for item in videos.items)
    assert file.label_names == [item.label for item in videos.items]
    assert file.view_counts.tolist() == [6] * 10
    assert file.settings["views"] == {**VIEWS.to_dict(), "hash": VIEWS.hash}
    assert (file.settings["weights_sha256"], file.settings["stream"]) == (model.weights_id, "rgb")
    assert model.recipe is not None
    assert file.settings["recipe_hash"] == model.recipe.hash
    assert file.provenance["dataset"]["hash"] == videos.hash
    assert file.notes == ("a note",)
    assert whole.failures == ()
    assert [path.name for path in whole.path.parent.iterdir()] == ["scores.npz"], "the journal is gone"


def test_an_interrupted_run_goes_on_with_the_next_video(
    whole: StreamScores, videos: Manifest, scorer: ViewScorer, tmp_path: Path, scored: Scored,
    stopping: Callable[[int], None],
) -> None:  # fmt: skip
    stopping(5)
    with pytest.raises(KeyboardInterrupt):
        score_stream(scorer, videos, tmp_path, keep_views=True, notes=["a note"], workers=2)
    assert not (tmp_path / "scores.npz").exists()
    journal = tmp_path / JOURNAL
    whole_lines = journal.read_bytes()
    journal.write_bytes(whole_lines[:-40])  # kill -9 in the middle of a write: the fourth line is torn
    ids = [item.path for item in videos.items]
    assert scored == ids[:5]
    scored.clear()
    again = score_stream(scorer, videos, tmp_path, keep_views=True, notes=["a note"])
    assert scored == ids[3:]
    assert same(again.file, whole.file)
    scored.clear()
    before = again.path.stat().st_mtime_ns
    third = score_stream(scorer, videos, tmp_path, keep_views=True)
    assert scored == []
    assert (same(third.file, whole.file), third.path.stat().st_mtime_ns) == (True, before)


def test_scores_in_the_file_are_not_computed_again(
    whole: StreamScores, videos: Manifest, scorer: ViewScorer, tmp_path: Path, scored: Scored
) -> None:
    whole.file.take(range(7)).save(tmp_path / "scores.npz")
    found = score_stream(scorer, videos, tmp_path, keep_views=True)
    assert scored == [item.path for item in videos.items[7:]]
    assert same(ScoreFile.load(found.path), whole.file)
    scored.clear()
    replace(whole.file, view_scores=None).save(tmp_path / "scores.npz")
    score_stream(scorer, videos.select(keep=[0]), tmp_path, keep_views=True)
    assert len(scored) == 1, "views that were not kept have to be scored again"


def test_other_scores_in_the_folder_are_refused(
    whole: StreamScores, videos: Manifest, scorer: ViewScorer, model: VideoModel, tmp_path: Path
) -> None:
    whole.file.save(tmp_path / "scores.npz")
    with pytest.raises(InputDataError, match=r"made by another model or with other settings: .*scores\.npz"):
        score_stream(ViewScorer(model, views_by_name("1x1"), device="cpu"), videos, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.npz"], "nothing is begun"
    (tmp_path / "scores.npz").unlink()
    ScoreJournal(tmp_path / JOURNAL, {"views": "other"}).close()
    with pytest.raises(InputDataError, match="scores begun here were made by another model"):
        score_stream(scorer, videos, tmp_path)
    (tmp_path / JOURNAL).write_bytes(b"{}\n{}\n")
    with pytest.raises(InputDataError, match="scores begun here are damaged"):
        score_stream(scorer, videos, tmp_path)


def test_a_video_that_fails_is_told_and_tried_again(
    videos: Manifest, scorer: ViewScorer, tmp_path: Path, scored: Scored
) -> None:
    few = videos.select(keep=[0, 1, 2])
    for item in few.items:
        (tmp_path / "data" / item.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / item.path).write_bytes(videos.file(item).read_bytes())
    here = replace(few, root=tmp_path / "data")
    broken = here.file(here.items[1])
    data = broken.read_bytes()
    broken.write_bytes(b"no video")
    found = score_stream(scorer, here, tmp_path / "out")
    assert found.file.video_ids == (few.items[0].path, few.items[2].path)
    assert found.file.notes == ("1 of 3 videos could not be scored and are not counted",)
    (line,) = (tmp_path / "out" / "failed.jsonl").read_text().splitlines()
    assert json.loads(line)["video_id"] == few.items[1].path
    assert found.failures[0].video_id == few.items[1].path
    broken.write_bytes(data)
    scored.clear()
    mended = score_stream(scorer, here, tmp_path / "out")
    assert scored == [few.items[1].path]
    assert (len(mended.file), mended.file.notes, mended.failures) == (3, (), ())
    assert not (tmp_path / "out" / "failed.jsonl").exists()
    alone = here.select(keep=[1])
    broken.write_bytes(b"no video")
    with pytest.raises(NothingScoredError, match=r"no video could be scored.*failed\.jsonl") as told:
        score_stream(scorer, alone, tmp_path / "other")
    assert [failure.video_id for failure in told.value.failures] == [few.items[1].path]


def test_memory_too_small_for_a_video_changes_nothing(
    whole: StreamScores, videos: Manifest, scorer: ViewScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_VIDEO_BYTES", 1000)
    few = videos.select(keep=[3, 4])
    found = score_stream(scorer, few, tmp_path, keep_views=True)
    assert found.file.view_scores is not None
    assert whole.file.view_scores is not None
    assert np.array_equal(found.file.view_scores, whole.file.view_scores[18:30])


def test_what_does_not_fit_is_refused(videos: Manifest) -> None:
    bare = create_model("c3d_small", 3, seed=0, width=0.0625)
    with pytest.raises(InputDataError, match="no class names"):
        check_stream(bare, videos)
    bare.labels = ("left", "right", "up")
    with pytest.raises(InputDataError, match="labels unknown to the model: "):
        check_stream(bare, videos)
    flow = create_model("two_stream_temporal", 3, seed=0, width=0.0625)
    with pytest.raises(UsageError, match=r"takes optical flow, and no stored flow is given.*--flow DIR"):
        check_stream(flow, videos)
