from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tubelet.models.layers import Conv3d, MaxPool3d, relu


def pooled_by_definition(x: Tensor, depth: int) -> Tensor:
    """Window after window, each cut off at the border."""
    n, c, time, height, width = x.shape
    out = torch.empty(n, c, -(-time // depth), -(-height // 2), -(-width // 2), dtype=x.dtype)
    for t in range(out.shape[2]):
        for h in range(out.shape[3]):
            for w in range(out.shape[4]):
                window = x[:, :, t * depth : (t + 1) * depth, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2]
                out[:, :, t, h, w] = window.amax((2, 3, 4))
    return out


def test_pool5_windows_are_caffes() -> None:
    rows = torch.tensor([5.0, 1, 2, 9, 3, 4, 7])
    x = rows.view(1, 1, 1, 7, 1).expand(1, 1, 2, 7, 7).contiguous()
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            pooled = MaxPool3d(2)(x)
        # {5,1} {2,9} {3,4} {7}; padding (0,1,1) gives {5} {1,2} {9,3} {4,7}: same shape, other values.
        assert pooled[0, 0, 0, :, 0].tolist() == [5, 9, 4, 7]
        ported = nn.MaxPool3d(2, 2, padding=(0, 1, 1))(x)
        assert ported.shape == pooled.shape == (1, 1, 1, 4, 4)
        assert not torch.equal(ported, pooled)


@settings(max_examples=60)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    depth=st.sampled_from([1, 2]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
    last=st.booleans(),
    gradients=st.booleans(),
)
def test_pooling_equals_its_definition(
    shape: tuple[int, int, int], depth: int, dtype: torch.dtype, last: bool, gradients: bool
) -> None:
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    if last:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    before = x.clone()
    with torch.set_grad_enabled(gradients):
        pooled = MaxPool3d(depth)(x)
    assert torch.equal(pooled, pooled_by_definition(before, depth))
    assert torch.equal(x, before)


def test_pooling_keeps_nan_and_serves_larger_windows() -> None:
    x = torch.zeros(1, 1, 2, 4, 4)
    x[0, 0, 0, 0, 0] = float("nan")
    with torch.no_grad():
        assert MaxPool3d(2)(x).isnan().sum() == 1
        assert MaxPool3d(3, 3)(x).shape == (1, 1, 1, 2, 2)


def test_relu_works_in_place_only_where_no_gradient_is_wanted() -> None:
    x = torch.tensor([-1.0, 2.0])
    assert relu(x).tolist() == [0, 2]
    assert x.tolist() == [-1, 2]
    with torch.no_grad():
        relu(x)
    assert x.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("frames", "depth", "autocast", "gradients", "dtype"),
    [
        (2, 3, True, True, torch.float32),  # the trap
        (4, 5, True, True, torch.float32),
        (6, 7, True, True, torch.float32),
        (1, 3, True, True, torch.bfloat16),  # one frame is right
        (3, 3, True, True, torch.bfloat16),  # as many frames as taps are right
        (2, 1, True, True, torch.bfloat16),
        (2, 3, True, False, torch.bfloat16),  # without gradients nothing is wrong
        (2, 3, False, True, torch.float32),
    ],
)
def test_only_the_layers_in_the_trap_compute_in_float32(
    frames: int, depth: int, autocast: bool, gradients: bool, dtype: torch.dtype
) -> None:
    layer = Conv3d(2, 3, (depth, 1, 1), padding=(depth // 2, 0, 0))
    x = torch.randn(2, 2, frames, 3, 3)
    with torch.set_grad_enabled(gradients), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert layer(x).dtype == dtype


def test_weights_in_bfloat16_are_out_of_the_trap_too() -> None:
    layer = Conv3d(2, 3, 3, padding=1).bfloat16()
    x = torch.randn(2, 2, 2, 5, 5).bfloat16()
    output = layer(x)
    assert output.dtype == torch.bfloat16
    exact = nn.functional.conv3d(x.double(), layer.weight.double(), layer.bias.double(), padding=1)
    torch.testing.assert_close(output.double(), exact, rtol=1e-2, atol=1e-2)
    output.sum().backward()
    # Every output but those at the border sees a tap: the gradient is a sum of inputs.
    expected = nn.functional.pad(x.double().sum(0), (1,) * 6).unfold(1, 2, 1).unfold(2, 5, 1).unfold(3, 5, 1)
    expected = expected.sum((-1, -2, -3))
    found = layer.weight.grad[0].double()
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=5e-2)


def test_state_dict_is_that_of_the_torch_layer() -> None:
    ours, theirs = Conv3d(2, 3, 3), nn.Conv3d(2, 3, 3)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 2, 4, 5, 5)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("shape", "depth"),
    [  # odd sizes, then pool1, pool2 and pool5 of c3d_small
        ((2, 3, 4, 7, 6), 2), ((2, 16, 16, 56, 56), 1), ((2, 32, 16, 28, 28), 2), ((2, 64, 2, 4, 4), 2),
    ],
)  # fmt: skip
def test_pooling_under_autocast_stays_in_bfloat16_with_the_same_values_and_gradients(
    shape: tuple[int, ...], depth: int
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    x = x.contiguous(memory_format=torch.channels_last_3d)
    pool = MaxPool3d(depth)
    narrow, wide = x.clone().requires_grad_(), x.float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = pool(narrow)
    right = F.max_pool3d(wide, (depth, 2, 2), (depth, 2, 2), ceil_mode=True)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found.float(), right)
    upstream = torch.randn(right.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    found.backward(upstream)
    right.backward(upstream.float())
    assert torch.equal(narrow.grad.float(), wide.grad)
