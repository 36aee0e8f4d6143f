"""The loop: learns, applies the papers' multipliers, and stops at the first number that is not finite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.jitter import Jitter
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.loader import Batch, DecodedVideos, decode_videos
from tubelet.errors import InputDataError, NumericalError
from tubelet.models.contract import VideoModel
from tubelet.models.registry import create_model
from tubelet.training import steps
from tubelet.training.config import TrainConfig
from tubelet.training.loop import Classification, clip_scores, train
from tubelet.training.precision import Precision
from tubelet.training.schedule import learning_rate
from tubelet.training.steps import StepLoss, build_optimizer, descend
from tubelet.video.encode import encode

FLOAT32 = Precision("float32", torch.contiguous_format, "a test")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> DecodedVideos:
    """Dark and bright videos: a task that any network learns in a few steps."""
    root = tmp_path_factory.mktemp("loop")
    rng = np.random.default_rng(0)
    for label, level in (("bright", 200), ("dark", 40)):
        for number in range(4):
            frames = (rng.integers(0, 30, (18, 16, 16, 3)) + level).astype(np.uint8)
            encode(root / label / f"{number}.avi", frames, fps=25, codec="mjpeg")
    with ClipDecoder(workers=1) as decoder:
        return decode_videos(open_dataset("folder", root), get_recipe("c3d_small").with_side(16), decoder)


def small(classes: int = 2) -> VideoModel:
    return create_model("c3d_small", classes, seed=1, width=0.125, side=16)


def test_it_learns_and_leaves_its_traces(videos: DecodedVideos, tmp_path: Path) -> None:
    config = TrainConfig(
        iterations=48,  # batch normalization needs some dozens of steps to know its statistics
        batch_size=8,
        learning_rate=0.01,
        precision="float32",
        jitter=Jitter(crop="none"),
        checkpoint_every=20,
        keep_checkpoints=2,
        validate_every=24,
    )
    outcome = train(small(), videos, config, tmp_path, validation=videos)
    assert outcome.steps == 48
    assert len(outcome.rows) == 48
    assert outcome.rows[-1]["val_accuracy"] == 1.0
    assert "val_accuracy" in outcome.rows[23]
    assert "val_accuracy" not in outcome.rows[24]
    assert outcome.rows[-1]["epoch"] == 48 * 8 / 8
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step_00000040.safetensors", "step_00000048.safetensors"]
    again = train(small(), videos, config, tmp_path)
    assert again.resumed_from == 48
    assert again.rows == outcome.rows


def test_a_run_goes_on_in_the_arithmetic_it_began_with(
    videos: DecodedVideos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = TrainConfig(iterations=2, batch_size=2, precision="float32")
    train(small(), videos, config, tmp_path)
    asked = []

    def choose(model: VideoModel, wanted: str, device: str) -> Precision:
        asked.append(wanted)
        name = "float32" if wanted == "float32" else "bfloat16"
        return Precision(name, torch.channels_last_3d, "planted")

    monkeypatch.setattr("tubelet.training.loop.choose_precision", choose)
    monkeypatch.setattr(steps, "choose_precision", choose)
    outcome = train(small(), videos, config.changed(iterations=3, precision="auto"), tmp_path)
    assert asked == ["auto", "float32"]
    assert outcome.precision.name == "float32"
    assert "goes on in float32" in caplog.text


def test_a_checkpoint_of_another_network_is_refused(videos: DecodedVideos, tmp_path: Path) -> None:
    config = TrainConfig(iterations=1, batch_size=2, precision="float32")
    train(small(), videos, config, tmp_path)
    other = create_model("c3d_small", 2, seed=1, width=0.25, side=16)
    with pytest.raises(InputDataError, match="another network"):
        train(other, videos, config, tmp_path)


def batch(value: float = 0.0) -> Batch:
    clips = torch.full((2, 3, 16, 16, 16), value)
    return Batch(
        clips + torch.randn(clips.shape, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1]), (0, 1)
    )


def take_step(model: VideoModel, given: Batch, config: TrainConfig, step: int = 0) -> StepLoss:
    optimizer = build_optimizer(model.parameter_groups(config.learning_rate, config.weight_decay), config)
    objective = Classification(model, (), FLOAT32, "cpu")
    return descend(objective, optimizer, (given,), config, step, learning_rate(config, step))


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    config = TrainConfig(iterations=1, batch_size=2)
    model = small()
    with pytest.raises(NumericalError, match="loss is nan at step 8"):
        take_step(model, batch(float("nan")), config, 7)


def test_a_gradient_that_is_not_finite_names_its_layer() -> None:
    config = TrainConfig(iterations=1, batch_size=2)
    model = small()
    weight = model.get_parameter("conv3a.weight")
    weight.register_hook(lambda gradient: gradient * float("inf"))
    before = weight.detach().clone()
    with pytest.raises(NumericalError, match=r"conv3a\.weight is not finite at step 1"):
        take_step(model, batch(), config, 0)
    assert torch.equal(weight, before)


def test_one_sgd_step_is_the_formula() -> None:
    """v = g + decay * w, w -= lr * mult * v, against autograd in a plain loop; biases: twice the rate, no decay."""
    config = TrainConfig(
        iterations=3, batch_size=2, optimizer="sgd", learning_rate=0.1, weight_decay=0.05, schedule="constant"
    )
    model = create_model("c3d_small", 2, seed=1, width=0.125, side=16, dropout=0.0)
    twin = create_model("c3d_small", 2, seed=1, width=0.125, side=16, dropout=0.0)
    take_step(model, batch(), config, 0)
    twin.train()
    given = batch()
    F.cross_entropy(twin(given.clips), given.targets).backward()
    for name, parameter in twin.named_parameters():
        module = twin.get_submodule(name.rpartition(".")[0])
        is_norm = isinstance(module, torch.nn.BatchNorm3d)
        is_bias = name.endswith("bias") and not is_norm
        decay = 0.0 if is_bias or is_norm else 0.05
        assert parameter.grad is not None
        wanted = parameter.detach() - 0.1 * (2 if is_bias else 1) * (parameter.grad + decay * parameter.detach())
        torch.testing.assert_close(model.get_parameter(name).detach(), wanted, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_to_the_norm() -> None:
    config = TrainConfig(iterations=1, batch_size=2, optimizer="sgd", learning_rate=1.0, weight_decay=0.0,
                         schedule="constant", gradient_clip=1e-3)  # fmt: skip
    model = small()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if "weight" in name}
    take_step(model, batch(), config, 0)
    moved = sum(float((model.get_parameter(name).detach() - old).square().sum()) for name, old in before.items())
    assert 0 < moved**0.5 <= 1e-3 * 1.001


def test_dropout_depends_on_the_step_alone() -> None:
    config = TrainConfig(iterations=9, batch_size=2)
    losses = []
    for step in (4, 5, 4):
        torch.manual_seed(step * 1000)  # whatever ran before
        model = small()
        losses.append(take_step(model, batch(), config, step).total.item())
    assert losses[0] == losses[2]
    assert losses[0] != losses[1]


def test_clip_scores_are_of_non_overlapping_clips(videos: DecodedVideos) -> None:
    model = small().eval()
    right = total = 0
    loss = 0.0
    for video, target in enumerate(videos.manifest.targets):
        frames = torch.from_numpy(videos.frames(video, np.arange(16)))  # 18 frames: one clip of 16
        clip = (frames.permute(3, 0, 1, 2).float() - 127.5) / 127.5
        with torch.no_grad():
            right += int(model(clip[None]).argmax()) == int(target)
            loss += float(F.cross_entropy(model(clip[None]).double(), torch.tensor([int(target)])))
        total += 1
    accuracy, found = clip_scores(model, videos, FLOAT32, "cpu")
    assert accuracy == right / total
    assert found == pytest.approx(loss / total, rel=1e-5)
