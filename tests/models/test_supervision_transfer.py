"""Supervision transfer (spec two_stream_tsn_p3d_t3d.md, section 4.3, ruling D32)."""

from __future__ import annotations

import copy
import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tubelet.errors import UsageError
from tubelet.models import create_model
from tubelet.models.contract import VideoModel
from tubelet.models.registry import build_meta
from tubelet.models.supervision_transfer import SupervisionTransfer, feature_size, matching_pairs

TINY: dict[str, Any] = {"growth": 4, "stem": 8, "blocks": (1, 1, 1, 1), "side": 32}


def teacher(**options: Any) -> VideoModel:
    return create_model("densenet_121", 10, seed=1, **{**TINY, **options})


def student(name: str = "t3d_121", **options: Any) -> VideoModel:
    extra = {"ttl_width": 4} if name.startswith("t3d") else {}
    return create_model(name, 10, seed=2, **{**TINY, "clip_length": 16, **extra, **options})


def batch(n: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(n, 3, 6, 32, 32, generator=generator),
        torch.randn(n, 3, 16, 32, 32, generator=generator),
    )


def head(network: SupervisionTransfer) -> dict[str, int]:
    return {
        name: sum(p.numel() for p in child.parameters())
        for name, child in network.named_children()
        if isinstance(child, nn.Linear)
    }


def test_head_has_the_counts_of_the_figure() -> None:
    published = {"fc1": 1_049_088, "fc2": 65_664, "classifier": 258}
    network = SupervisionTransfer(build_meta("densenet_121", 1000, {}), build_meta("t3d_121", 400, {}))
    assert network.fc1.in_features == 2048
    assert head(network) == {"student_fc": 918_528, **published}
    deeper = SupervisionTransfer(build_meta("densenet_169", 1000, {}), build_meta("t3d_169", 400, {}))
    assert head(deeper) == {"teacher_fc": 1664 * 1024 + 1024, "student_fc": 1408 * 1024 + 1024, **published}


def test_logits_are_those_of_the_figure_step_by_step() -> None:
    network = SupervisionTransfer(teacher(), student(), features=16).eval()
    frames, clips = batch()
    with torch.no_grad():
        found = network(frames, clips)
        # X frames one by one, each for itself.
        seen = [network.teacher.features(frames[:, :, i : i + 1], ("pool5",))["pool5"] for i in range(6)]
        taught = sum(value[:, :, 0, 0, 0] for value in seen) / 6
        x = torch.cat(
            (
                taught @ network.teacher_fc.weight.T + network.teacher_fc.bias,
                network.student.features(clips, ("pool5",))["pool5"] @ network.student_fc.weight.T
                + network.student_fc.bias,
            ),
            1,
        )
        for layer in (network.fc1, network.fc2):
            x = (x @ layer.weight.T + layer.bias).clamp(min=0)
        expected = x @ network.classifier.weight.T + network.classifier.bias
    assert found.shape == (4, 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_order_of_frames_is_nothing_to_the_teacher_and_something_to_the_student() -> None:
    network = SupervisionTransfer(teacher(), student(), features=16).eval()
    frames, clips = batch()
    with torch.no_grad():
        torch.testing.assert_close(network(frames.flip(2), clips), network(frames, clips), rtol=1e-4, atol=1e-5)
        assert (network(frames, clips.flip(2)) - network(frames, clips)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["t3d_121", "densenet3d_121"])
def test_a_step_of_training_leaves_the_teacher_alone(name: str) -> None:
    network = SupervisionTransfer(teacher(), student(name), features=16)
    network.train()
    assert not any(module.training for module in network.teacher.modules())
    assert network.student.training
    before = {key: value.clone() for key, value in network.state_dict().items()}
    frames, clips = batch()
    pairs = matching_pairs("abcd", torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        logits = network(frames[pairs.frames], clips[pairs.clips])
        nn.functional.cross_entropy(logits, pairs.matches).backward()
        optimizer.step()
    assert all(parameter.grad is None for parameter in network.teacher.parameters())
    for key, value in network.state_dict().items():
        # The student's own classifier takes no part.
        same = key.startswith(("teacher.", "student.classifier."))
        assert torch.equal(value, before[key]) == same, key


def test_no_gradient_reaches_the_frames_even_if_the_teacher_is_thawed() -> None:
    network = SupervisionTransfer(teacher(), student(), features=16)
    network.requires_grad_(True)
    frames, clips = batch()
    network(frames.requires_grad_(), clips.requires_grad_()).sum().backward()
    assert frames.grad is None
    assert all(parameter.grad is None for parameter in network.teacher.parameters())
    assert clips.grad is not None
    assert clips.grad.abs().sum() > 0


def test_gradients_are_those_of_float64() -> None:
    # In evaluation mode: batch statistics over a tiny map leave gradients that nearly cancel.
    network = SupervisionTransfer(teacher(), student(), features=16).eval()
    exact = copy.deepcopy(network).double()
    frames, clips = batch()
    matches = torch.tensor([1, 0, 0, 1])
    nn.functional.cross_entropy(network(frames, clips), matches).backward()
    nn.functional.cross_entropy(exact(frames.double(), clips.double()), matches).backward()
    wanted, compared = dict(exact.named_parameters()), 0
    for key, parameter in network.named_parameters():
        if key.startswith(("teacher.", "student.classifier.")):
            assert parameter.grad is None
            continue
        right = wanted[key].grad
        assert parameter.grad is not None, key
        assert right is not None, key
        assert right.norm() > 0, key
        assert (parameter.grad.double() - right).norm() <= 1e-2 * right.norm(), key
        compared += 1
    assert compared > 40


def test_it_learns_which_frames_belong_to_which_clip() -> None:
    # Four videos of one color each, with noise; the wrong frames are drawn anew at every step.
    generator = torch.Generator().manual_seed(0)
    videos = 2 * torch.randn(4, 3, 1, 1, 1, generator=generator)
    videos = videos + 0.2 * torch.randn(4, 3, 8, 32, 32, generator=generator)
    network = SupervisionTransfer(teacher(), student(clip_length=8), features=16)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4)
    taught, losses = network.teacher_features(videos), []
    for _ in range(100):
        pairs = matching_pairs(range(4), generator)
        logits = network.match(taught[pairs.frames], network.student_features(videos)[pairs.clips])
        loss = nn.functional.cross_entropy(logits, pairs.matches)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 < 0.5 * math.log(2) < losses[0]  # guessing costs log 2


def test_the_head_depends_on_its_seed_alone() -> None:
    state = torch.random.get_rng_state()
    one, same, other = (SupervisionTransfer(teacher(), student(), features=16, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), state)
    for name in ("student_fc", "teacher_fc", "fc1", "fc2", "classifier"):
        first, second, third = (network.get_submodule(name).weight for network in (one, same, other))
        assert torch.equal(first, second)
        assert not torch.equal(first, third)
    wide = SupervisionTransfer(teacher(), student(), features=256)
    assert float(wide.fc1.weight.detach().std()) == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert float(wide.fc2.weight.detach().std()) == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    inputs = wide.student_fc.in_features
    assert float(wide.student_fc.weight.detach().std()) == pytest.approx(inputs**-0.5, rel=0.05)


def test_sizes_of_layers_are_found_and_the_network_stays_as_it_is() -> None:
    model = student().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    # stem 8, one layer of 4 new channels per block, 3 · 4 channels leave each transition
    assert [feature_size(model, layer) for layer in ("pool0", "denseblock1", "ttl1", "norm5", "pool5")] == [
        8,
        12,
        12,
        16,
        16,
    ]
    assert feature_size(model, "classifier") == 10
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_other_layers_can_be_compared() -> None:
    network = SupervisionTransfer(teacher(), student(), teacher_layer="classifier", student_layer="norm5", features=10)
    assert network.teacher_fc is None  # ten classes are ten features already
    assert network(*batch()).shape == (4, 2)


def test_misuse_is_said() -> None:
    model = teacher()
    with pytest.raises(UsageError, match="same network"):
        SupervisionTransfer(model, model)
    with pytest.raises(UsageError, match="takes 16 frames"):
        SupervisionTransfer(student(), student())
    with pytest.raises(UsageError, match="did you mean 'pool5'"):
        SupervisionTransfer(teacher(), student(), student_layer="pool")
    network = SupervisionTransfer(teacher(), student(), features=16)
    frames, clips = batch()
    with pytest.raises(UsageError, match="cannot be compared"):
        network(frames[:3], clips)
    with pytest.raises(UsageError, match="give \\(N, C, X, H, W\\)"):
        network(frames[:, :, 0], clips)
    with pytest.raises(UsageError, match="takes clips of shape"):
        network(frames, clips[:, :2])


# ---------------------------------------------------------------------- pairs


def test_pairs_are_its_own_frames_and_those_of_another_video() -> None:
    videos = ["a", "b", "a", "c", "b", "a"]
    drawn: Counter[tuple[int, int]] = Counter()
    generator = torch.Generator().manual_seed(3)
    rounds = 400
    for _ in range(rounds):
        pairs = matching_pairs(videos, generator)
        assert pairs.matches.tolist() == [1] * 6 + [0] * 6
        assert pairs.clips.tolist() == [0, 1, 2, 3, 4, 5] * 2
        assert pairs.frames[:6].tolist() == [0, 1, 2, 3, 4, 5]
        for clip, frames in zip(pairs.clips[6:].tolist(), pairs.frames[6:].tolist(), strict=True):
            assert videos[clip] != videos[frames]
            drawn[clip, frames] += 1
    allowed = {(i, j) for i, a in enumerate(videos) for j, b in enumerate(videos) if a != b}
    assert set(drawn) == allowed
    for (clip, _), count in drawn.items():
        share = 1 / sum(video != videos[clip] for video in videos)
        deviation = (rounds * share * (1 - share)) ** 0.5
        assert abs(count - rounds * share) < 5 * deviation


def test_pairs_depend_on_their_generator_alone() -> None:
    state = torch.random.get_rng_state()
    one, same, other = (matching_pairs(range(32), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.frames, same.frames)
    assert not torch.equal(one.frames, other.frames)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("videos", [[], ["a"], ["a", "a", "a"]])
def test_a_batch_of_one_video_has_no_negatives(videos: list[str]) -> None:
    with pytest.raises(UsageError, match="no pair that does not match"):
        matching_pairs(videos, torch.Generator())
