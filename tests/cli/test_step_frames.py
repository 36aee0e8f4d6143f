"""The step between the frames of a clip: an option of the network that every command reads out of the model folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tubelet.clips.sampling import Sampling
from tubelet.models.folder import load_model
from tubelet.models.precision import PrecisionReport
from tubelet.video.encode import encode

Tubelet = Callable[..., Any]
FRAMES, FPS = 24, 25.0

EXPERIMENT = """
name = "every_third"
source = "a test"
dataset = "folder"
model = "t3d_121"
recipe = "t3d_rgb"
[options]
growth = 2
stem = 4
blocks = [1, 1, 1, 1]
ttl_width = 2
side = 32
clip_length = 4
step_frames = 3
[train]
iterations = 2
batch_size = 4
precision = "float32"
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of noise, of two classes."""
    root = tmp_path_factory.mktemp("steps") / "noise"
    rng = np.random.default_rng(0)
    for label in ("one", "two"):
        for number in range(2):
            frames = rng.integers(0, 255, (FRAMES, 32, 32, 3), dtype=np.uint8)
            encode(root / label / f"{number}.avi", frames, fps=int(FPS), codec="mjpeg")
    return root


@pytest.fixture(scope="module")
def drawn() -> Iterator[set[int]]:
    """Steps between the frames of the clips that are drawn or cut."""
    steps: set[int] = set()
    real = Sampling.indices

    def watched(self: Sampling, *arguments: Any) -> Any:
        clips = real(self, *arguments)
        steps.update(np.diff(clips.frames, axis=1).ravel().tolist())
        return clips

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sampling, "indices", watched)
        yield steps


@pytest.fixture(scope="module")
def run(videos: Path, tubelet: Tubelet, drawn: set[int]) -> Path:
    """A run of ``tubelet train`` on clips of four frames, three apart."""
    (videos.parent / "every_third.toml").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patch:  # the proof of the gradients takes seconds and has tests of its own
        proved = lambda model, dtype, memory_format: PrecisionReport(dtype, memory_format, 1, ())  # noqa: E731
        patch.setattr("tubelet.training.precision.check_gradients", proved)
        done = tubelet(
            "train", videos.parent / "every_third.toml", "--data", videos, "--test-fraction", 0, "--flip", "--no-svm",
            "--out", videos.parent / "run", "--workers", 1,
        )  # fmt: skip
    assert done.code == 0, done.err
    assert drawn == {3}, "clips to train on"
    return videos.parent / "run"


def test_the_model_remembers_the_step(run: Path) -> None:
    config = json.loads((run / "model" / "config.json").read_text())
    assert config["options"]["step_frames"] == config["input"]["step_frames"] == 3
    assert load_model(run / "model").input.step_frames == 3


def test_evaluate_takes_it_and_tells_scores_of_another_step_apart(
    run: Path, videos: Path, tubelet: Tubelet, drawn: set[int], tmp_path: Path
) -> None:
    drawn.clear()
    views = ("evaluate", "folder", "--data", videos, "--part", "all", "--allow-leak", "--views", "t3d", "--workers", 1)
    scored = tubelet(*views, "--model", run, "--out", tmp_path / "scored")
    assert scored.code == 0, scored.err
    assert drawn == {3}, "clips to test on"
    with np.load(tmp_path / "scored" / "scores.npz") as file:
        # A clip spans 10 frames; one behind the other they begin every 12: at 0 and 12 of 24.
        assert file["view_counts"].tolist() == [2] * 4
        record = json.loads(file["record"].tobytes())
    assert (record["settings"]["sampling"]["clip_length"], record["settings"]["sampling"]["step_frames"]) == (4, 3)
    load_model(run / "model", step_frames=1).save(tmp_path / "other")  # the same weights: only the sampling tells
    told = tubelet(*views, "--model", tmp_path / "other", "--out", tmp_path / "scored")
    assert told.code == 4
    assert "made by another model or with other settings" in told.complaint


def test_classify_takes_it(run: Path, videos: Path, tubelet: Tubelet, tmp_path: Path) -> None:
    found = tubelet(
        "classify", videos / "one" / "0.avi", "--model", run, "--no-plots", "--out", tmp_path / "classified", "--json"
    )
    assert found.code == 0, found.err
    # Every eighth start: frames 0 to 9 and 8 to 17; at 16 the clip would end behind frame 23.
    spans = [(clip["start_s"] * FPS, clip["end_s"] * FPS) for clip in found.json["videos"][0]["clips"]]
    assert spans == [pytest.approx((0, 10)), pytest.approx((8, 18))]


def test_extract_may_take_another_and_search_cuts_the_query_likewise(
    run: Path, videos: Path, tubelet: Tubelet, tmp_path: Path
) -> None:
    extract = ("extract", videos / "two", "--model", run, "--layers", "pool5", "--out", tmp_path / "table", "--json")
    made = tubelet(*extract, "--step-frames", 5)
    assert made.code == 0, made.err
    assert made.json["rows"] == 4, "clips of 4 frames, 5 apart, span 16: they fit at 0 and 8"
    assert tubelet(*extract, "--dry-run").json["todo"] == 2, "rows of the model's own step are other rows"
    copy = tmp_path / "copy.avi"
    copy.write_bytes((videos / "two" / "1.avi").read_bytes())
    found = tubelet("search", copy, "--in", tmp_path / "table", "--model", run, "--start-s", 0, "--json")
    assert found.code == 0, found.err
    best = found.json["hits"][0]
    assert best["path"] == str(videos / "two" / "1.avi")
    assert (best["start_s"], best["end_s"]) == pytest.approx((0, 16 / FPS))
    assert best["score"] == pytest.approx(1, abs=1e-5)
