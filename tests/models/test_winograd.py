"""Winograd convolution against float64, at the networks' layer shapes and at odd ones."""

from __future__ import annotations

import platform

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tubelet.models import create_model
from tubelet.models.layers import Conv3d
from tubelet.models.winograd import WinogradConv3d, use_winograd

needs_x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="used on x86-64 only, where it was measured"
)


def layer(c: int, out: int, depth: int = 3, *, stride: int = 1, pad: int | None = None, bias: bool = True) -> Conv3d:
    pad = depth // 2 if pad is None else pad
    made = Conv3d(c, out, (depth, 3, 3), (stride, 1, 1), (pad, 1, 1), bias=bias)
    generator = torch.Generator().manual_seed(0)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=(c * depth * 9) ** -0.5, generator=generator)
    return made


def exact(conv: nn.Conv3d, x: Tensor) -> Tensor:
    bias = None if conv.bias is None else conv.bias.detach().double()
    return F.conv3d(x.double(), conv.weight.detach().double(), bias, conv.stride, conv.padding)


def relative(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right).norm() / right.norm())


# C3D's layers 2a to 4b (channels, frames, side), and Res3D's first.
@pytest.mark.parametrize(
    ("c", "out", "frames", "side", "tile"),
    [(64, 128, 4, 56, 4), (128, 256, 8, 28, 4), (256, 512, 4, 14, 2), (64, 64, 2, 56, 4)],
)
def test_float32_agrees_with_float64_at_real_shapes(c: int, out: int, frames: int, side: int, tile: int) -> None:
    conv = layer(c, out)
    x = torch.randn(2, c, frames, side, side, generator=torch.Generator().manual_seed(1))
    x = x.contiguous(memory_format=torch.channels_last_3d)
    fast = WinogradConv3d(conv)
    with torch.no_grad():
        found = fast(x)
        assert fast.tile(x) == tile
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    assert relative(found, exact(conv, x)) < 1e-5


def test_bfloat16_stays_within_its_rounding() -> None:
    conv = layer(128, 128).to(torch.bfloat16)
    x = torch.randn(2, 128, 4, 28, 28, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    fast = WinogradConv3d(conv)
    with torch.no_grad():
        assert fast.tile(x) == 2, "tiles of 4 cost 3e-2"
        assert relative(fast(x), exact(conv, x)) < 8e-3  # two roundings of 2^-9 more than the direct one


@given(
    height=st.integers(12, 40),
    width=st.integers(12, 40),
    frames=st.integers(1, 5),
    depth=st.sampled_from([1, 2, 3, 5]),
    stride=st.integers(1, 2),
    pad=st.integers(0, 2),
    batch=st.integers(1, 3),
    bias=st.booleans(),
)
@settings(max_examples=60)
def test_any_size_agrees_with_float64(
    height: int, width: int, frames: int, depth: int, stride: int, pad: int, batch: int, bias: bool
) -> None:
    if frames + 2 * pad < depth:
        return
    conv = layer(3, 5, depth, stride=stride, pad=pad, bias=bias)
    x = torch.randn(batch, 3, frames, height, width, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        found = WinogradConv3d(conv)(x)
    right = exact(conv, x)
    assert found.shape == right.shape
    assert relative(found, right) < 1e-5


def test_parts_of_a_batch_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = layer(8, 8)
    x = torch.randn(5, 8, 4, 24, 24, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        whole = WinogradConv3d(conv)(x)
        monkeypatch.setattr("tubelet.models.winograd._SCRATCH_BYTES", 1)
        parts = WinogradConv3d(conv)(x)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_changed_weights_are_noticed() -> None:
    conv = layer(4, 4)
    fast = WinogradConv3d(conv)
    x = torch.randn(2, 4, 3, 12, 12, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        before = fast(x)
        conv.weight.mul_(2)
        conv.bias.mul_(2)
        torch.testing.assert_close(fast(x), 2 * before, rtol=1e-4, atol=1e-5)
    conv.load_state_dict({key: value / 2 for key, value in conv.state_dict().items()})
    with torch.inference_mode():
        torch.testing.assert_close(fast(x), before, rtol=1e-4, atol=1e-5)


def test_gradients_and_small_frames_take_the_convolution_itself() -> None:
    conv = layer(4, 4)
    fast = WinogradConv3d(conv)
    x = torch.randn(2, 4, 3, 12, 12)
    assert torch.equal(fast(x), conv(x))
    fast(x).sum().backward()
    assert conv.weight.grad is not None
    with torch.no_grad():
        assert fast.tile(x) == 2
        assert fast.tile(x[..., :11]) is None
        assert torch.equal(fast(x[..., :11]), conv(x[..., :11]))


@needs_x86
def test_which_layers_are_replaced() -> None:
    model = create_model("c3d", 7, seed=0, side=56)
    assert use_winograd(model) == 7  # all of the eight but conv1a, which has three channels
    replaced = {name for name, module in model.named_modules() if isinstance(module, WinogradConv3d)}
    assert replaced == {"conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b"}
    others = nn.ModuleList(
        [
            nn.Conv3d(64, 64, (3, 5, 5), padding=(1, 2, 2)),
            nn.Conv3d(64, 64, 3, padding=1, stride=2),
            nn.Conv3d(64, 64, 3, padding=0),
            nn.Conv3d(64, 64, 3, padding="same"),
            nn.Conv3d(64, 64, 3, padding=1, groups=2),
            nn.Conv3d(64, 64, 3, padding=(1, 2, 2), dilation=(1, 2, 2)),
            nn.Conv3d(64, 64, 3, padding=1, padding_mode="replicate"),
            nn.Conv3d(32, 64, 3, padding=1),
            nn.Conv3d(64, 64, 3, padding=1, dtype=torch.bfloat16),
        ]
    )
    assert use_winograd(others) == 0


def test_other_processors_keep_their_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert use_winograd(create_model("c3d", 7, seed=0, side=56)) == 0
