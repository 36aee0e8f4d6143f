"""Features of the adapters against plain calls of transformers on the same random networks."""

from __future__ import annotations

import copy
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tubelet
from models.huggingface.made import FRAMES, NETWORKS, SIDE, Save, network
from tubelet.descriptors.network import ClipNetwork
from tubelet.errors import UsageError
from tubelet.models.folder import load_model
from tubelet.models.huggingface import files
from tubelet.models.spec import descriptor_layer
from tubelet.training.precision import has_fast_bfloat16

VIDEO = ("videomae", "videomae_classes", "videomae_pretraining", "vjepa2", "vjepa2_classes")
IMAGE = tuple(name for name in NETWORKS if name not in VIDEO)


def clips(count: int = 2, frames: int = FRAMES) -> Tensor:
    return torch.from_numpy(np.random.default_rng(7).standard_normal((count, 3, frames, SIDE, SIDE), np.float32))


def assert_same(found: Tensor, right: Tensor) -> None:
    assert found.shape == right.shape
    assert float((found - right).detach().abs().max()) <= 1e-5
    assert float((found - right).detach().norm()) <= 1e-5 * float(right.norm())
    assert float(right.std()) > 1e-3, "a constant would be equal whatever was computed"


@torch.no_grad()
def plain(module: Any, x: Tensor) -> Any:
    """The network called as transformers' documentation calls it."""
    return module(x, output_hidden_states=True)


def test_torchvision_is_not_there() -> None:
    """Neither transformers nor the adapters may have had it for what follows."""
    assert importlib.util.find_spec("torchvision") is None
    assert "torchvision" not in sys.modules


def test_transformers_is_imported_in_one_place_and_when_it_is_called() -> None:
    sources = Path(tubelet.__file__).parent.rglob("*.py")
    named = {
        path.name for path in sources if re.search(r"import.*\b(transformers|huggingface_hub)\b", path.read_text())
    }
    assert named <= {"library.py", "load.py", "files.py"}
    for name in named:
        text = (Path(files.__file__).parent / name).read_text()
        assert not re.search(r"^(import|from) (transformers|huggingface_hub)", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["videomae", "videomae_pretraining"])
def test_videomae_without_a_classifier(transformers: Any, saved: Save, name: str) -> None:
    model, module, x = load_model(saved(name)), network(transformers, name), clips()
    base = getattr(module, "videomae", module)
    right = plain(base, x.transpose(1, 2))
    found = model.features(x, model.layer_names)
    assert model.layer_names == ("hidden_0", "hidden_1", "hidden_2", "last_hidden_state", "pooled")
    assert_same(found["pooled"], right.last_hidden_state.mean(1))
    assert_same(found["last_hidden_state"].flatten(2).transpose(1, 2), right.last_hidden_state)
    for index, state in enumerate(right.hidden_states):
        assert_same(found[f"hidden_{index}"].flatten(2).transpose(1, 2), state)
    with pytest.raises(UsageError, match=r"hf:videomae has no classifier.*layer pooled"):
        model(x)
    left_out = model.provenance["huggingface"]["tensors_left_out"] if model.provenance else []
    assert all(tensor.startswith(("decoder.", "encoder_to_decoder.", "mask_token")) for tensor in left_out)
    assert bool(left_out) == (name == "videomae_pretraining")


def test_tokens_stand_where_their_pixels_are(saved: Save) -> None:
    """One bright box of 2 frames × 8 × 8 pixels changes the embedding at its own place alone."""
    for name in ("videomae", "vjepa2", "vit"):
        model = load_model(saved(name))
        x = torch.zeros(1, 3, FRAMES, SIDE, SIDE)
        bright = x.clone()
        bright[:, :, 2:4, 8:16, 24:32] = 1.0
        change = (model.features(bright, ("hidden_0",))["hidden_0"] - model.features(x, ("hidden_0",))["hidden_0"])[0]
        where = change.abs().amax(0).nonzero().tolist()
        assert where == ([[2, 1, 3], [3, 1, 3]] if name == "vit" else [[1, 1, 3]]), name


def test_the_classifier_of_videomae(transformers: Any, saved: Save) -> None:
    model, module, x = load_model(saved("videomae_classes")), network(transformers, "videomae_classes"), clips()
    right = plain(module, x.transpose(1, 2))
    found = model.features(x, model.layer_names)
    assert_same(found["logits"], right.logits)
    assert_same(model(x), right.logits)
    assert_same(found["prob"], torch.softmax(right.logits, 1))
    normed = module.fc_norm(module.videomae(x.transpose(1, 2)).last_hidden_state.mean(1))
    assert_same(found["pooled"], normed.detach())
    assert (model.num_classes, model.labels) == (5, ("run", "crane (1)", "walk", "crane (3)", "wave"))


@pytest.mark.parametrize("frames", [FRAMES, 6])
def test_v_jepa_2(transformers: Any, saved: Save, frames: int) -> None:
    model, module, x = load_model(saved("vjepa2")), network(transformers, "vjepa2"), clips(2, frames)
    with torch.no_grad():
        right = module.get_vision_features(x.transpose(1, 2))
    found = model.features(x, model.layer_names)
    assert found["last_hidden_state"].shape == (2, 48, frames // 2, 4, 4)
    assert_same(found["last_hidden_state"].flatten(2).transpose(1, 2), right)
    assert_same(found["pooled"], right.mean(1))


def test_the_attentive_pooler_of_v_jepa_2(transformers: Any, saved: Save) -> None:
    model, module, x = load_model(saved("vjepa2_classes")), network(transformers, "vjepa2_classes"), clips()
    right = plain(module, x.transpose(1, 2))
    found = model.features(x, model.layer_names)
    assert_same(found["logits"], right.logits)
    with torch.no_grad():
        assert_same(found["pooled"], module.pooler(module.vjepa2.get_vision_features(x.transpose(1, 2))))
    for index, state in enumerate(right.hidden_states):
        assert_same(found[f"hidden_{index}"].flatten(2).transpose(1, 2), state)


@pytest.mark.parametrize("name", IMAGE)
def test_image_networks_see_every_frame_by_itself(transformers: Any, saved: Save, name: str) -> None:
    model, module, x = load_model(saved(name)), network(transformers, name), clips(2, 3)
    assert model.input.shape == (3, 1, SIDE, SIDE)
    found = model.features(x, model.layer_names)
    for clip in range(2):
        for frame in range(3):
            right = plain(module, x[clip : clip + 1, :, frame])
            if "logits" not in right:
                vector = right.image_embeds if name == "clip" else right.pooler_output
                assert_same(found["pooled"][clip, :, frame, 0, 0], vector.flatten())
            states = right.get("reshaped_hidden_states", right.hidden_states)
            assert sum(layer.startswith("hidden_") for layer in found) == len(states)
            for index, state in enumerate(states):
                # Tokens of patches, without what stands before them; maps of convolutions are places already.
                maps = state[0] if state.dim() == 4 else state[0, -16:].T.reshape(-1, 4, 4)
                assert_same(found[f"hidden_{index}"][clip, :, frame], maps)
    if "logits" in found:
        with torch.no_grad():
            right = torch.stack([module(x[:, :, frame]).logits for frame in range(3)], 1)
            read = module.get_submodule("classifier")(found["pooled"].transpose(1, 2).flatten(2).flatten(0, 1))
        assert_same(found["logits"], right.mean(1))
        assert_same(read, right.flatten(0, 1))


def test_the_vector_that_a_video_is_described_with(saved: Save) -> None:
    for name in ("videomae", "vit", "resnet_classes"):
        assert descriptor_layer(load_model(saved(name)).layer_names) == "pooled"


@pytest.mark.parametrize("name", ["videomae", "vjepa2_classes", "dinov2", "resnet", "convnext", "swin"])
def test_a_clip_is_described_alike_in_any_company(saved: Save, name: str) -> None:
    model, x = load_model(saved(name)), clips(5)
    net = ClipNetwork(model, ("hidden_1", "pooled"), clip_length=FRAMES, device="cpu")
    together, alone = net(x), net(x[3:4])
    right = {
        layer: value.flatten(2).mean(2) if value.dim() > 2 else value
        for layer, value in load_model(saved(name)).features(x, ("hidden_1", "pooled")).items()
    }
    for layer in net.layers:
        np.testing.assert_allclose(alone[layer][0], together[layer][3], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(together[layer], right[layer].detach().numpy(), rtol=1e-4, atol=1e-5)
    mirrored = ClipNetwork(model, ("pooled",), clip_length=FRAMES, device="cpu", mirror=lambda batch: batch.flip(-1))
    both = (net(x)["pooled"] + net(x.flip(-1))["pooled"]) / 2
    np.testing.assert_allclose(mirrored(x)["pooled"], both, rtol=1e-5, atol=1e-6)
    assert np.abs(mirrored(x)["pooled"] - together["pooled"]).max() > 1e-4


@pytest.mark.skipif(not has_fast_bfloat16("cpu"), reason="this machine has no bfloat16 arithmetic")
@pytest.mark.parametrize("name", ["videomae", "vjepa2", "vit", "resnet", "swin"])
def test_bfloat16_is_near_float32_and_something_else(saved: Save, name: str) -> None:
    model, x = load_model(saved(name)), clips(4)
    exact = ClipNetwork(model, ("pooled",), clip_length=FRAMES, device="cpu")(x)["pooled"]
    rounded = ClipNetwork(model, ("pooled",), clip_length=FRAMES, device="cpu", precision="bfloat16")(x)["pooled"]
    off = np.linalg.norm(exact - rounded) / np.linalg.norm(exact)
    assert 1e-5 < off < 3e-2


def test_weights_are_known_by_their_file_and_by_their_contents(saved: Save) -> None:
    import hashlib

    model = load_model(saved("vit"))
    assert model.weights_id == hashlib.sha256((saved("vit") / "model.safetensors").read_bytes()).hexdigest()
    assert copy.deepcopy(model).weights_id == model.weights_id
    before = model.weights_id
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    assert model.weights_id != before


@pytest.mark.parametrize(
    ("name", "shape", "match"),
    [
        ("videomae", (1, 3, 6, SIDE, SIDE), "takes clips of 4 frames, not 6"),
        (
            "vjepa2",
            (1, 3, 5, SIDE, SIDE),
            "takes clips of multiples of 2 frames, not 5; leave the clip length away: it is 4",
        ),
        ("vjepa2", (1, 3, SIDE, SIDE), r"takes clips of shape"),
        ("vjepa2", (1, 3, 4, SIDE, 40), r"takes clips of shape \(N, 3, T, 32, 32\)"),
        ("vit", (1, 3, 2, 40, 40), r"takes clips of shape \(N, 3, T, 32, 32\)"),
        ("vit", (1, 3, SIDE, SIDE), r"takes clips of shape"),
    ],
)
def test_other_clips_are_refused(saved: Save, name: str, shape: tuple[int, ...], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        load_model(saved(name)).features(torch.zeros(shape), ("pooled",))


def test_it_is_neither_trained_nor_saved(saved: Save, tmp_path: Path) -> None:
    model = load_model(saved("vit_classes"))
    for act in (lambda: model.save(tmp_path / "m"), lambda: model.reset_head(3), lambda: model.initialize(0)):
        with pytest.raises(UsageError, match=r"hf:vit .*described with, not trained.*evaluate descriptors --model"):
            act()
    assert not (tmp_path / "m").exists()
