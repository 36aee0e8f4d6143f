from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tubelet.models import InputSpec, Paper, VideoModel, create_model, load_model
from tubelet.models.counts import layer_uses


def tiny(**options: object) -> VideoModel:
    return create_model("c3d_small", 3, width=0.0625, side=16, clip_length=4, **options)


def test_a_step_of_training_changes_the_identity() -> None:
    model = tiny(seed=4)
    assert model.weights_id == "untrained:4"
    model.eval()
    model(torch.randn(2, 3, 4, 16, 16))
    assert model.weights_id == "untrained:4"
    model.train()
    model(torch.randn(2, 3, 4, 16, 16)).sum().backward()
    after_statistics = model.weights_id  # batch normalization has counted a batch
    assert len(after_statistics) == 64
    torch.optim.SGD(model.parameter_groups(0.1, 0), lr=0.1).step()
    assert model.weights_id != after_statistics
    assert model.weights_id == model.weights_id


def test_identity_is_the_files_hash(tmp_path: Path) -> None:
    model = tiny()
    with torch.no_grad():
        model.fc8.weight.add_(1)
    before = model.weights_id
    model.save(tmp_path / "m")
    in_file = hashlib.sha256((tmp_path / "m" / "model.safetensors").read_bytes()).hexdigest()
    assert before == model.weights_id == in_file == load_model(tmp_path / "m").weights_id


def test_copies_and_conversions_keep_the_identity(tmp_path: Path) -> None:
    model = tiny(seed=2)
    assert copy.deepcopy(model).weights_id == "untrained:2"
    assert pickle.loads(pickle.dumps(model)).weights_id == "untrained:2"
    model.to(memory_format=torch.channels_last_3d)
    assert model.weights_id == "untrained:2"
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    half = copy.deepcopy(loaded).bfloat16()
    assert half.weights_id == loaded.weights_id
    with torch.inference_mode():
        assert len(copy.deepcopy(loaded).weights_id) == 64
    with torch.no_grad():
        loaded.fc6.weight.mul_(2)
    changed = copy.deepcopy(loaded)
    assert changed.weights_id == loaded.weights_id != model.weights_id


def test_loading_other_weights_changes_the_identity() -> None:
    one, two = tiny(seed=1), tiny(seed=2)
    one.load_state_dict(two.state_dict())
    assert one.weights_id != "untrained:1"
    assert len(one.weights_id) == 64


def test_reset_head_of_trained_weights_is_no_longer_untrained() -> None:
    model = tiny(seed=1)
    with torch.no_grad():
        model.conv1a.weight.add_(1)
    model.reset_head(5)
    assert len(model.weights_id) == 64
    other = tiny(seed=1)
    other.reset_head(5, seed=9)
    assert len(other.weights_id) == 64
    assert model.fc8.weight.dtype == torch.float32
    assert not torch.equal(model.fc8.weight, other.fc8.weight)


def test_frozen_parameters_are_not_in_the_groups() -> None:
    model = tiny()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert model.parameter_groups(1, 1) == []
    model.fc8.requires_grad_(True)
    assert [group["name"] for group in model.parameter_groups(1, 1)] == ["weights", "biases"]


class Strange(VideoModel):
    def __init__(self) -> None:
        paper = Paper("title", "authors", 2015, "1412.0767", "1")
        spec = InputSpec("rgb", 3, 1, 1, 8, "c3d_small")
        super().__init__(
            "strange", num_classes=2, options={}, input=spec, layer_names=("fc",), head_name="fc", paper=paper
        )
        self.scale = nn.Parameter(torch.ones(1))
        self.fc = nn.Linear(192, 2)

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        yield "fc", self.fc(x.flatten(1)) * self.scale

    def initialize_layer(self, name: str, layer: nn.Conv3d | nn.Linear, generator: torch.Generator) -> None:
        layer.weight.data.normal_(generator=generator)


def test_tensors_without_a_rule_are_an_error_not_chance() -> None:
    with pytest.raises(TypeError, match="Strange  has tensors but no rule"):
        Strange().initialize(0)


def test_layer_uses_of_any_module() -> None:
    module = nn.Sequential(nn.Conv3d(4, 6, (1, 3, 5), stride=(1, 2, 1), groups=2), nn.Flatten(), nn.Linear(60, 2))
    module.train()
    conv, linear = layer_uses(module, (3, 4, 1, 5, 9))
    assert conv.output_shape == (3, 6, 1, 2, 5)
    assert conv.macs == 6 * 2 * 5 * (2 * 15)
    assert conv.parameters == 6 * 2 * 15 + 6
    assert linear.macs == 120
    assert module.training
    assert not module[0].weight.is_meta
    with pytest.raises(TypeError, match="input_shape is needed"):
        layer_uses(module)


def test_repr_says_what_it_is() -> None:
    assert "name='c3d_small', num_classes=3" in repr(tiny())
