"""A network that reads stored flow: a run that was stopped ends with the same bits as an unbroken one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tubelet.clips.jitter import Jitter
from tubelet.clips.recipe import Recipe
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.loader import DecodedVideos, decode_videos
from tubelet.flow.decode import FlowDecoder
from tubelet.flow.record import FlowSettings
from tubelet.models.contract import VideoModel
from tubelet.models.precision import PrecisionReport
from tubelet.models.registry import create_model
from tubelet.training.config import TrainConfig
from tubelet.training.loop import train

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))
from made_flow import stored, texture

from tubelet.video.encode import encode

RECIPE = Recipe("small", (48, 64), (48, 48), "flow", flow_mean="field", flip=False)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> DecodedVideos:
    """The same textures to the left and to the right: single frames tell nothing."""
    root = tmp_path_factory.mktemp("directions")
    for number in range(3):
        frames = texture(8, seed=number)
        for label, moving in (("right", frames), ("left", frames[::-1])):
            path = root / "videos" / label / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            encode(path, moving, fps=25, codec="libx264rgb", options={"qp": "0"})
            stored(path, root / "flow" / label / str(number), FlowSettings())
    model = network()
    with FlowDecoder(root / "flow") as decoder:
        return decode_videos(open_dataset("folder", root / "videos"), RECIPE, decoder, modality=model.input.content)


def network() -> VideoModel:
    return create_model("two_stream_temporal", 2, seed=0, flow_fields=3, width=0.0625, side=48, dropout=0.5)


class StoppedError(Exception):
    """What ends a run in a test."""


def run(videos: DecodedVideos, folder: Path, stop_at: int = 0) -> tuple[VideoModel, int]:
    config = TrainConfig(
        iterations=6, batch_size=6, learning_rate=0.01, precision="float32", checkpoint_every=2,
        jitter=Jitter(crop="inclusive"), class_uniform=True,
    )  # fmt: skip

    def on_step(step: int) -> None:
        if step == stop_at:
            raise StoppedError

    model = network()
    outcome = train(model, videos, config, folder, on_step=on_step)
    assert outcome.rows[-1]["step"] == 6
    return model, outcome.resumed_from


def test_a_stopped_run_ends_with_the_same_bits(
    videos: DecodedVideos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The proof of the gradients takes seconds and has tests of its own.
    proved = lambda model, dtype, memory_format: PrecisionReport(dtype, memory_format, 1, ())  # noqa: E731
    monkeypatch.setattr("tubelet.training.precision.check_gradients", proved)
    whole, _ = run(videos, tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(videos, tmp_path / "stopped", stop_at=3)
    resumed, first = run(videos, tmp_path / "stopped")
    assert first == 2
    pairs = zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True)
    for (name, value), (_, other) in pairs:
        assert torch.equal(value, other), name
    assert (tmp_path / "whole" / "metrics.csv").read_text() == (tmp_path / "stopped" / "metrics.csv").read_text()
