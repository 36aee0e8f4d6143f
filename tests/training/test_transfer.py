"""Training by an image network: pairs, features seen once, learning, and resume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from tubelet.clips.jitter import Jitter
from tubelet.clips.transforms import to_input
from tubelet.datasets.loader import Batch, DecodedVideos, TrainingClips
from tubelet.errors import UsageError
from tubelet.models.registry import create_model
from tubelet.models.supervision_transfer import SupervisionTransfer
from tubelet.training.checkpoint import latest_checkpoint
from tubelet.training.config import TrainConfig
from tubelet.training.precision import Precision
from tubelet.training.transfer import Matching, TaughtVideos, pair_scores, taught_videos, train_transfer

FLOAT32 = Precision("float32", torch.contiguous_format, "a test")
CONFIG = TrainConfig(
    iterations=5, batch_size=6, optimizer="adamw", learning_rate=0.005, weight_decay=0.0,
    schedule="constant", precision="float32", jitter=Jitter(crop="none"), checkpoint_every=2, keep_checkpoints=9,
    validate_every=2,
)  # fmt: skip
Sets = tuple[DecodedVideos, DecodedVideos]


def network() -> SupervisionTransfer:
    tiny = {"growth": 4, "stem": 8, "blocks": (1, 1, 1, 1), "side": 24}
    student = create_model("t3d_121", 1, seed=2, clip_length=16, ttl_width=4, **tiny)
    return SupervisionTransfer(create_model("densenet_121", 3, seed=1, **tiny), student, features=16)


@pytest.fixture(scope="module")
def taught(two_sets: Sets) -> TaughtVideos:
    return taught_videos(network(), two_sets[1], two_sets[1])


def test_every_frame_is_seen_once_by_itself(two_sets: Sets, taught: TaughtVideos) -> None:
    teacher, videos = network().teacher, two_sets[1]
    assert [len(features) for features in taught.taught] == [18] * 7
    every = torch.cat(taught.taught)
    assert every.double().square().mean().item() == pytest.approx(1, rel=1e-5)
    for video, frame in ((0, 0), (3, 17)):  # 17: the second chunk of 16
        picture = to_input(videos.frames(video, np.array([frame])), videos.recipe)[None]
        with torch.no_grad():
            alone = teacher.features(picture, ("pool5",))["pool5"].flatten()
        torch.testing.assert_close(taught.taught[video][frame] * taught.scale, alone, rtol=1e-4, atol=1e-5)
    other = taught_videos(network(), two_sets[0], two_sets[0], scale=2 * taught.scale)
    assert other.scale == 2 * taught.scale
    with pytest.raises(UsageError, match="same videos"):
        taught_videos(network(), two_sets[0], two_sets[1])


def test_the_loss_is_that_of_matching_and_other_frames(two_sets: Sets, taught: TaughtVideos) -> None:
    model = network().eval()
    clips = TrainingClips(two_sets[1], Jitter(crop="none"), clip_length=16, batch_size=2, seed=0)
    batch = clips.batch(1)
    assert [frames.shape for frames in batch.frames] == [(16,), (16,)]
    found = Matching(model, clips, taught.taught, 0, FLOAT32, "cpu").loss((1, batch))
    # With two clips the frames that do not match are the other's: four pairs, no chance.
    means = [taught.taught[video][frames].mean(0) for video, frames in zip(batch.videos, batch.frames, strict=True)]
    seen = model.student.features(batch.clips, ("pool5",))["pool5"]
    logits = torch.cat([model.match(means[i][None], seen[j : j + 1]) for i, j in ((0, 0), (1, 1), (1, 0), (0, 1))])
    torch.testing.assert_close(found.total, F.cross_entropy(logits, torch.tensor([1, 1, 0, 0])))
    assert found.accuracy.item() == pytest.approx((logits.argmax(1) == torch.tensor([1, 1, 0, 0])).float().mean())


class StopError(Exception):
    """Ends a run in the middle."""


@pytest.mark.usefixtures("gradients_taken_for_right")
def test_it_learns_and_the_teacher_does_not(taught: TaughtVideos, tmp_path: Path) -> None:
    model = network()
    before = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    outcome = train_transfer(
        model, taught, CONFIG.changed(iterations=60, validate_every=60), tmp_path, validation=taught
    )
    assert all(torch.equal(value, before[name]) for name, value in model.teacher.state_dict().items())
    losses = [row["loss"] for row in outcome.rows]
    assert np.mean(losses[:5]) > 0.65, "guessing costs ln 2"
    assert np.mean(losses[-5:]) < 0.62
    assert np.mean([row["accuracy"] for row in outcome.rows[-5:]]) > 0.6
    found = pair_scores(model, taught, FLOAT32, "cpu", CONFIG.seed)
    assert found.videos == tuple(range(7))
    assert found.loss == pytest.approx(outcome.rows[-1]["val_loss"], rel=1e-3)
    assert np.mean(found.right) == pytest.approx(outcome.rows[-1]["val_accuracy"])


@pytest.mark.usefixtures("gradients_taken_for_right")
def test_it_resumes_to_the_bit(taught: TaughtVideos, tmp_path: Path) -> None:
    train_transfer(network(), taught, CONFIG, tmp_path / "whole", validation=taught)

    def stop(step: int) -> None:
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        train_transfer(network(), taught, CONFIG, tmp_path / "killed", validation=taught, on_step=stop)
    assert train_transfer(network(), taught, CONFIG, tmp_path / "killed", validation=taught).resumed_from == 2
    contents = []
    for name in ("whole", "killed"):
        path = latest_checkpoint(tmp_path / name / "checkpoints")
        assert path is not None
        with safe_open(path, framework="np") as file:
            contents.append({key: file.get_tensor(key).tobytes() for key in file.keys()})  # noqa: SIM118
    assert any(key.startswith("optimizer/") for key in contents[0])
    assert contents[0] == contents[1]
    assert (tmp_path / "whole/metrics.csv").read_bytes() == (tmp_path / "killed/metrics.csv").read_bytes()


def test_pair_scores_count_both_pairs_of_each_clip(taught: TaughtVideos) -> None:
    model = network()
    with torch.no_grad():  # a head that says "match" whatever it sees: right for the first half of the pairs only
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([0.0, 1.0]))
    found = pair_scores(model, taught, FLOAT32, "cpu", 0)
    assert found.right == (0.5,) * 7
    # ln(1 + e) - 1 for the pairs that match, ln(1 + e) for the others.
    assert found.loss == pytest.approx(np.log(1 + np.e) - 0.5, rel=1e-6)


def test_what_a_teacher_cannot_do_is_refused(taught: TaughtVideos, tmp_path: Path) -> None:
    for settings in ({"clips": "non_overlapping"}, {"batch_size": 2}):
        with pytest.raises(UsageError, match="every batch needs several"):
            train_transfer(network(), taught, CONFIG.changed(**settings), tmp_path)
    for settings in ({"train_layers": ["head"]}, {"label_smoothing": 0.1}, {"class_uniform": True}):
        with pytest.raises(UsageError, match="without labels"):
            train_transfer(network(), taught, CONFIG.changed(**settings), tmp_path)
    with pytest.raises(UsageError, match="there are none"):
        train_transfer(network(), taught, CONFIG.changed(schedule="plateau"), tmp_path)


def test_a_batch_names_its_frames(two_sets: Sets) -> None:
    clips = TrainingClips(two_sets[0], Jitter(crop="none", flip_p=0.0), clip_length=16, batch_size=3, seed=4)
    batch: Batch = clips.batch(0)
    for clip, video, frames in zip(batch.clips, batch.videos, batch.frames, strict=True):
        assert torch.equal(clip, to_input(two_sets[0].frames(video, frames), two_sets[0].recipe))
