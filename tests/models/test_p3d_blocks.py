"""P3D's blocks and first pooling against plain NumPy, and against what the popular port computes instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tubelet.models import create_model
from tubelet.models.p3d import PseudoBottleneck


def shifted(x: NDArray[np.float64], axis: int, by: int) -> NDArray[np.float64]:
    """x[i + by] along an axis, zeros beyond the border."""
    pad = [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)]
    return np.take(np.pad(x, pad), np.arange(x.shape[axis]) + 1 + by, axis)


def spatial(x: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    taps = [(i, j) for i in range(3) for j in range(3)]
    return sum(
        np.einsum("oc,nctyx->notyx", weight[:, :, 0, i, j], shifted(shifted(x, 3, i - 1), 4, j - 1)) for i, j in taps
    )


def temporal(x: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return sum(np.einsum("oc,nctyx->notyx", weight[:, :, k, 0, 0], shifted(x, 2, k - 1)) for k in range(3))


def normalized(x: NDArray[np.float64], norm: nn.BatchNorm3d) -> NDArray[np.float64]:
    mean, var, scale, shift = (
        t.detach().numpy()[:, None, None, None] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / np.sqrt(var + 1e-5) * scale + shift


def a_block(kind: Any) -> tuple[PseudoBottleneck, Tensor]:
    torch.manual_seed(3)
    block = PseudoBottleneck(kind, 12, 4, 1).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for norm in block.modules():
            if isinstance(norm, nn.BatchNorm3d):
                norm.running_mean.normal_(0, 0.2, generator=generator)
                norm.running_var.uniform_(0.5, 2, generator=generator)
                norm.weight.uniform_(0.5, 1.5, generator=generator)
                norm.bias.normal_(0, 0.2, generator=generator)
    return block, torch.randn(2, 4, 5, 6, 7, dtype=torch.float64).clamp(min=0)


@pytest.mark.parametrize("kind", ["A", "B", "C", "2D"])
def test_block_arithmetic_is_the_authors(kind: str) -> None:
    block, tensor = a_block(kind)
    y = tensor.numpy().copy()
    s = normalized(spatial(y, block.branch2b.weight.detach().numpy()), block.branch2b_bn).clip(0)
    if kind == "2D":
        expected = port = s
    else:
        t = temporal(y if kind == "B" else s, block.branch2b_t.weight.detach().numpy())
        t = normalized(t, block.branch2b_t_bn)
        expected = {"A": t.clip(0), "B": (s + t).clip(0), "C": (0.5 * s + 0.5 * t).clip(0)}[kind]
        port = t.clip(0) if kind == "A" else s + t.clip(0)
    with torch.no_grad():
        found = block.pseudo_3d(tensor).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    # ReLU on T, none after the sum and no halves is what the popular port computes.
    assert np.allclose(found, port) == (kind in ("A", "2D"))


@pytest.mark.parametrize(("kind", "share"), [("B", 1.0), ("C", 0.5)])
def test_without_t_what_is_left_is_s(kind: str, share: float) -> None:
    block, y = a_block(kind)
    with torch.no_grad():
        block.branch2b_t.weight.zero_()
        for norm in (block.branch2b_bn, block.branch2b_t_bn):
            norm.reset_parameters()
            norm.running_var.fill_(1 - norm.eps)
        s = spatial(y.numpy(), block.branch2b.weight.numpy()).clip(0)
        np.testing.assert_allclose(block.pseudo_3d(y).numpy(), share * s, rtol=1e-10, atol=1e-12)


def test_a_block_adds_its_input_and_rectifies_the_sum() -> None:
    block = PseudoBottleneck("A", 16, 4, 1).double().eval()
    assert not block.projects
    nn.init.zeros_(block.branch2c.weight)
    x = torch.randn(1, 16, 2, 3, 3, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(block(x), x.clamp(min=0), rtol=0, atol=0)
    assert PseudoBottleneck("A", 16, 4, 2).projects
    assert PseudoBottleneck("A", 12, 4, 1).projects


def test_windows_of_pool1_begin_at_0_2_4() -> None:
    pool = create_model("p3d_63", 5, width=0.125, depths=(1, 1, 1, 1)).pool1
    ramp = torch.arange(80.0)
    across = pool(ramp.expand(1, 1, 16, 80, 80))[0, 0, 0, 0]
    down = pool(ramp[:, None].expand(1, 1, 16, 80, 80))[0, 0, 0, :, 0]
    through = pool(torch.arange(16.0)[:, None, None].expand(1, 1, 16, 80, 80))[0, 0, :, 0, 0]
    # {0, 1, 2}, {2, 3, 4}, …, {78, 79}; padded by (0, 1, 1) as in the port it would be {0, 1}, {1, 2, 3}, …
    assert across.tolist() == down.tolist() == [*range(2, 80, 2), 79]
    assert through.tolist() == list(range(1, 16, 2))
    port = torch.nn.functional.max_pool3d(ramp.expand(1, 1, 16, 80, 80), (2, 3, 3), 2, (0, 1, 1))[0, 0, 0, 0]
    assert port.shape == across.shape
    assert port.tolist() == list(range(1, 80, 2))


def test_temporal_pools_take_frames_in_pairs_and_leave_space_alone() -> None:
    model = create_model("p3d_199", 5, width=0.125, depths=(1, 1, 1, 1))
    x = torch.randn(1, 2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    for layer in ("3a_pool", "4a_pool", "res5a_pool"):
        torch.testing.assert_close(model.get_submodule(layer)(x), torch.maximum(x[:, :, ::2], x[:, :, 1::2]))
