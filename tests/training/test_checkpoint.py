"""Checkpoints: everything comes back to the bit, damage is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tubelet.errors import InputDataError
from tubelet.models.registry import create_model
from tubelet.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from tubelet.training.config import TrainConfig
from tubelet.training.steps import build_optimizer

OPTIONS = {"width": 0.125, "side": 16, "clip_length": 16}


@pytest.mark.parametrize("optimizer_name", ["sgd", "adamw"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_round_trip(tmp_path: Path, optimizer_name: str, layout: torch.memory_format) -> None:
    config = TrainConfig().changed(optimizer=optimizer_name)
    model = create_model("c3d_small", 3, seed=0, **OPTIONS)
    model.to(memory_format=layout)
    optimizer = build_optimizer(model.parameter_groups(1e-3, 0.01), config)
    for _ in range(2):
        model(torch.randn(2, 3, 16, 16, 16)).square().sum().backward()
        optimizer.step()
    save_checkpoint(tmp_path, model, optimizer, {"step": 2, "note": "ü"}, keep=1)
    other = create_model("c3d_small", 3, seed=9, **OPTIONS)
    other.to(memory_format=layout)
    fresh = build_optimizer(other.parameter_groups(1e-3, 0.01), config)
    path = latest_checkpoint(tmp_path)
    assert path is not None
    state = load_checkpoint(path, other, fresh)
    assert (state["step"], state["note"]) == (2, "ü")
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        old, new = optimizer.state[mine], fresh.state[theirs]
        assert set(old) == set(new)
        for slot, value in old.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(new[slot]))
            if value.dim():
                assert new[slot].stride() == theirs.stride()


def test_a_damaged_file_is_one_error(tmp_path: Path) -> None:
    model = create_model("c3d_small", 3, seed=0, **OPTIONS)
    optimizer = build_optimizer(model.parameter_groups(1e-3, 0.01), TrainConfig())
    path = save_checkpoint(tmp_path, model, optimizer, {"step": 1}, keep=1)
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[: len(whole) // 2], b"\xff" * 64 + whole[64:]):
        path.write_bytes(damaged)
        with pytest.raises(InputDataError, match="cannot be read"):
            load_checkpoint(path, model, optimizer)


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "absent") is None
