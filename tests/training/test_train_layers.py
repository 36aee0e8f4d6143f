"""Training of chosen layers: the others keep weights and statistics, and autograd does not go through them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from tubelet.clips.jitter import Jitter
from tubelet.datasets.loader import DecodedVideos
from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.registry import create_model
from tubelet.training.checkpoint import latest_checkpoint
from tubelet.training.config import TrainConfig
from tubelet.training.loop import train

CONFIG = TrainConfig(
    iterations=4, batch_size=4, optimizer="sgd", learning_rate=0.1, nesterov=True, schedule="constant",
    precision="float32", jitter=Jitter(crop="none"), checkpoint_every=2, keep_checkpoints=9, train_layers=("head",),
)  # fmt: skip


def small() -> VideoModel:
    return create_model("c3d_small", 2, seed=1, width=0.125, side=24)


class StopError(Exception):
    """Ends a run in the middle."""


@pytest.mark.usefixtures("gradients_taken_for_right")
def test_only_the_head_changes_and_a_resumed_run_ends_with_the_same_bits(
    two_sets: tuple[DecodedVideos, DecodedVideos], tmp_path: Path
) -> None:
    model = small()
    train(model, two_sets[0], CONFIG, tmp_path / "whole")
    begun = small().state_dict()
    head = f"{model.head_name}."
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, begun[name])}
    assert changed == {f"{head}weight", f"{head}bias"}, "running statistics stay too"

    def stop(step: int) -> None:
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        train(small(), two_sets[0], CONFIG, tmp_path / "killed", on_step=stop)
    assert train(small(), two_sets[0], CONFIG, tmp_path / "killed").resumed_from == 2
    paths = [latest_checkpoint(tmp_path / name / "checkpoints") for name in ("whole", "killed")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    # The optimizer holds a momentum for weight and bias of the head and for nothing else.
    with safe_open(paths[0], framework="np") as file:
        assert sum(name.startswith("optimizer/") for name in file.keys()) == 2  # noqa: SIM118


def test_autograd_stops_at_the_first_layer_that_learns() -> None:
    model = small()
    model.train_only(("fc6", "head"))
    model.train()
    norms = {name: module.training for name, module in model.named_modules() if isinstance(module, nn.BatchNorm3d)}
    assert norms
    assert not any(norms.values())
    assert any(module.training for module in model.modules() if isinstance(module, nn.Dropout)), "dropout stays random"
    found = model.features(torch.randn(2, 3, 16, 24, 24), ("pool3", "fc6"))
    assert not found["pool3"].requires_grad, "nothing is kept of the trunk"
    assert found["fc6"].requires_grad


def test_a_norm_inside_a_chosen_layer_learns() -> None:
    model = create_model("p3d_63", 3, seed=0, width=0.0625, side=32)
    model.train_only(("res2a", "head"))
    model.train()
    norms = {name: module.training for name, module in model.named_modules() if isinstance(module, nn.BatchNorm3d)}
    assert {name for name, training in norms.items() if training} == {name for name in norms if "res2a." in name}
    assert sum(norms.values()) == 5, "of branch2a, 2b, 2b_t, 2c and branch1"


def test_what_partial_batch_normalization_froze_stays_frozen() -> None:
    model = create_model("p3d_63", 3, seed=0, width=0.0625, side=32, partial_bn=True)
    model.train_only(("res2a", "head"))
    assert not model.get_parameter("res2a.branch2a_bn.weight").requires_grad
    assert model.get_parameter("res2a.branch2a.weight").requires_grad
    assert not model.get_parameter("conv1_bn.weight").requires_grad


def test_head_is_all_heads_of_several_tasks() -> None:
    model = create_model("two_stream_spatial", 3, seed=0, width=0.03, side=63, tasks=(2,))
    model.train_only(("head",))
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning == {"fc8.weight", "fc8.bias", "fc8_task2.weight", "fc8_task2.bias"}


@pytest.mark.parametrize("layer", ["fc9", "pool1", ""])
def test_a_layer_without_weights_is_refused(layer: str) -> None:
    with pytest.raises(UsageError, match="with weights"):
        small().train_only((layer,))


@pytest.mark.usefixtures("gradients_taken_for_right")
def test_nothing_that_learns_is_refused(two_sets: tuple[DecodedVideos, DecodedVideos], tmp_path: Path) -> None:
    model = small()
    model.requires_grad_(False)
    with pytest.raises(UsageError, match="every weight of the network is frozen"):
        train(model, two_sets[0], CONFIG.changed(precision="float32"), tmp_path)
