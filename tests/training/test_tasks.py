"""Several data sets that share all layers but the last (Simonyan and Zisserman 2014, section 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from tubelet.clips.jitter import Jitter
from tubelet.datasets.loader import Batch, DecodedVideos
from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.registry import create_model
from tubelet.training.checkpoint import latest_checkpoint
from tubelet.training.config import TrainConfig
from tubelet.training.loop import Classification, train
from tubelet.training.metrics import read_metrics
from tubelet.training.precision import Precision

FLOAT32 = Precision("float32", torch.contiguous_format, "a test")
CONFIG = TrainConfig(
    iterations=5, batch_size=4, optimizer="sgd", learning_rate=0.01, weight_decay=0.0, schedule="multistep",
    milestones=(3,), precision="float32", jitter=Jitter(crop="none"), checkpoint_every=2, keep_checkpoints=9,
)  # fmt: skip
Sets = tuple[DecodedVideos, DecodedVideos]


def shared(tasks: tuple[int, ...] = (3,), **options: Any) -> VideoModel:
    """A Two-Stream net on clips of 24x24 pixels whose signals survive its few channels."""
    model = create_model("two_stream_spatial", 2, seed=1, width=0.0625, side=63, tasks=tasks, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6)
    return model


def batch(seed: int, classes: int, n: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    clips = torch.randn((n, 3, 1, 63, 63), generator=generator)
    return Batch(clips, torch.randint(classes, (n,), generator=generator), tuple(range(n)))


def gradients(model: VideoModel) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_the_total_is_the_sum_and_each_head_learns_from_its_own_clips() -> None:
    first, second = batch(0, 2), batch(1, 3, n=4)
    model = shared(dropout=0.0)
    found = Classification(model, (), FLOAT32, "cpu").loss((first, second))
    found.total.backward()
    together = gradients(model)
    # The same by hand: the heads' losses by themselves, through forward and through the second head alone.
    alone: list[dict[str, torch.Tensor]] = []
    losses = []
    for part, head in ((first, "fc8"), (second, "fc8_task2")):
        twin = shared(dropout=0.0)
        full7 = twin.features(part.clips, ("full7",))["full7"].flatten(1)
        loss = F.cross_entropy(twin.get_submodule(head)(full7), part.targets)
        loss.backward()
        losses.append(loss.item())
        alone.append(gradients(twin))
    assert found.total.item() == pytest.approx(sum(losses), rel=1e-5)
    assert [part.item() for part in found.parts] == pytest.approx(losses, rel=1e-5)
    assert "fc8_task2.weight" not in alone[0]
    assert "fc8.weight" not in alone[1]
    for name, gradient in together.items():
        parts = [one[name] for one in alone if name in one]
        assert len(parts) == (1 if name.startswith("fc8") else 2), name
        torch.testing.assert_close(gradient, torch.stack(parts).sum(0), rtol=1e-4, atol=1e-6, msg=name)
    assert together["conv1.weight"].abs().max() > 0


def test_a_batch_of_one_set_leaves_the_other_head_alone() -> None:
    first, second = batch(0, 2), batch(1, 3)
    model = shared(dropout=0.0)
    parts = Classification(model, (), FLOAT32, "cpu").loss((first, second)).parts
    parts[1].backward()
    assert model.get_parameter("fc8.weight").grad is None or not model.get_parameter("fc8.weight").grad.any()
    assert model.get_parameter("fc8_task2.weight").grad.any()


class StopError(Exception):
    """Ends a run in the middle."""


def tensors(folder: Path) -> dict[str, bytes]:
    path = latest_checkpoint(folder / "checkpoints")
    assert path is not None
    assert path.name == "step_00000005.safetensors"
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


def interrupted(model_of: Any, sets: Sets, folder: Path, config: TrainConfig, **more: Any) -> None:
    """Train in two calls: the first dies after step 3, one after its last checkpoint."""

    def stop(step: int) -> None:
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        train(model_of(), sets[0], config, folder, on_step=stop, **more)
    assert train(model_of(), sets[0], config, folder, **more).resumed_from == 2


@pytest.mark.usefixtures("gradients_taken_for_right")
def test_two_sets_resume_to_the_bit(two_sets_63: Sets, tmp_path: Path) -> None:
    more = {"further": two_sets_63[1:]}
    outcome = train(shared(), two_sets_63[0], CONFIG, tmp_path / "whole", **more)
    interrupted(shared, two_sets_63, tmp_path / "killed", CONFIG, **more)
    assert tensors(tmp_path / "whole") == tensors(tmp_path / "killed")
    rows = (tmp_path / "whole" / "metrics.csv").read_text()
    assert rows == (tmp_path / "killed" / "metrics.csv").read_text()
    assert rows.splitlines()[0].endswith("val_loss,task1_loss,task2_loss")
    assert outcome.rows == read_metrics(tmp_path / "whole")
    for row in outcome.rows:
        assert row["loss"] == pytest.approx(row["task1_loss"] + row["task2_loss"], rel=1e-6)
        # Two clips of the first set a step, of its five.
        assert row["epoch"] == row["step"] * 2 / 5
    assert [row["learning_rate"] for row in outcome.rows] == pytest.approx([0.01] * 3 + [0.001] * 2)


@pytest.mark.usefixtures("gradients_taken_for_right")
def test_a_plateau_resumes_with_the_rates_of_the_unbroken_run(two_sets_63: Sets, tmp_path: Path) -> None:
    # A rate so high that the validation loss soon rises.
    config = CONFIG.changed(
        schedule="plateau", milestones=[], patience=1, validate_every=1, learning_rate=0.5, gradient_clip=1.0
    )
    videos = two_sets_63[0]
    more = {"validation": videos}
    outcome = train(shared(()), videos, config, tmp_path / "whole", **more)
    interrupted(lambda: shared(()), two_sets_63, tmp_path / "killed", config, **more)
    assert tensors(tmp_path / "whole") == tensors(tmp_path / "killed")
    lowest, drops = float("inf"), 0
    for row in outcome.rows:
        assert row["learning_rate"] == pytest.approx(0.5 * 0.1**drops)
        drops += row["val_loss"] >= lowest
        lowest = min(lowest, row["val_loss"])
    assert drops > 0
    with pytest.raises(UsageError, match="there are none"):
        train(shared(()), videos, config, tmp_path / "none")


@pytest.mark.usefixtures("gradients_taken_for_right")
def test_heads_and_sets_must_fit(two_sets_63: Sets, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"heads of 2, 3 outputs.*2 classes"):
        train(shared(), two_sets_63[0], CONFIG, tmp_path)
    model = create_model("c3d_small", 2, seed=1, width=0.125, side=24)
    with pytest.raises(UsageError, match="only the two_stream networks"):
        train(model, two_sets_63[0], CONFIG, tmp_path, further=two_sets_63[1:])
    with pytest.raises(UsageError, match="batch of 5 clips"):
        train(shared(), two_sets_63[0], CONFIG.changed(batch_size=5), tmp_path, further=two_sets_63[1:])
