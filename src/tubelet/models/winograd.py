"""Winograd convolution over space, for inference on the CPU: about twice as fast as the direct one in float32.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), arXiv:1509.09308: F(m×m, 3×3) computes
m×m outputs from a tile of (m+2)×(m+2) inputs with (m+2)² products per channel pair in place of 9m², a quarter for
m = 4. Here the taps over time stay taps: in the transformed domain, a k×3×3 convolution is (m+2)² independent
convolutions k×1×1, which is one grouped convolution. So nothing but public PyTorch operations is used, and
oneDNN's direct kernels do the work.
"""

from __future__ import annotations

import platform
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Tile = Literal[2, 4]

# Section 4 of the paper: input, filter and output transforms (B^T, G, A^T) for 3 taps.
_INPUT: dict[Tile, list[list[float]]] = {
    2: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    4: [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
}
_FILTER: dict[Tile, list[list[float]]] = {
    2: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    4: [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
}
_OUTPUT: dict[Tile, list[list[float]]] = {
    2: [[1, 1, 1, 0], [0, 1, -1, -1]],
    4: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
}

_SCRATCH_BYTES = 96 << 20  # clips of a batch are taken together only as far as their tiles fit into this
_LARGE_SIDE, _SMALL_SIDE = 24, 12  # rows and columns from which tiles of 4 and of 2 pay
_CHANNELS = {torch.float32: 64, torch.bfloat16: 128}


def use_winograd(model: nn.Module) -> int:
    """Replace every convolution of ``model`` that can be computed so by a `WinogradConv3d` over the same weights.

    Parameters
    ----------
    model
        Changed in place; its names of parameters change too, so take a copy that is used for inference only.

    Returns
    -------
    int
        How many were replaced; 0 on processors other than x86-64, where this was not measured.
    """
    if platform.machine().lower() not in ("x86_64", "amd64") or not _has_onednn():
        return 0
    found = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Conv3d) and _suits(child)
    ]
    for parent, name, child in found:
        setattr(parent, name, WinogradConv3d(child))
    return len(found)


def _has_onednn() -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available


def _suits(conv: nn.Conv3d) -> bool:
    least = _CHANNELS.get(conv.weight.dtype)
    return (
        least is not None
        and conv.kernel_size[1:] == (3, 3)
        and conv.stride[1:] == (1, 1)
        and conv.dilation == (1, 1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and conv.padding[1:] == (1, 1)
        and min(conv.in_channels, conv.out_channels) >= least
    )


class WinogradConv3d(nn.Module):
    """A ``Conv3d`` with a k×3×3 kernel, computed by Winograd's algorithm where that is faster.

    The result differs from the direct convolution's by rounding only: relative to float64 by about 5e-6 in
    float32 (the direct one: 1e-6), and by 5e-3 in bfloat16 (the direct one: 2e-3), where only tiles of 2 are
    used, since those of 4 would cost 3e-2. With gradients enabled, off the CPU and for small frames it is the
    convolution itself.

    Parameters
    ----------
    conv
        Whose weights are used, in their present state: the transformed ones are made anew when they change.
    """

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv
        self._transformed: tuple[tuple[int, int, int], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Convolve ``input`` (N, C, T, H, W) → (N, C', T', H, W)."""
        tile = self.tile(input)
        if tile is None:
            output: Tensor = self.conv(input)
            return output
        return self._convolve(input, tile)

    def tile(self, input: Tensor) -> Tile | None:
        """Side of the output tiles for such an input; None where the direct convolution is used."""
        side = min(input.shape[-2:])
        if input.device.type != "cpu" or torch.is_grad_enabled() or input.dtype != self.conv.weight.dtype:
            return None
        if input.dim() != 5 or side < _SMALL_SIDE:
            return None
        return 4 if side >= _LARGE_SIDE and input.dtype == torch.float32 else 2

    def _convolve(self, x: Tensor, m: Tile) -> Tensor:
        n, _, frames, height, width = x.shape
        k, pad, step = self.conv.kernel_size[0], int(self.conv.padding[0]), self.conv.stride[0]
        frames_out = (frames + 2 * pad - k) // step + 1
        output = torch.empty(
            (n, self.conv.out_channels, frames_out, height, width), dtype=x.dtype, memory_format=torch.channels_last_3d
        )
        last = output.permute(0, 2, 3, 4, 1)
        tiles = -(-height // m) * -(-width // m) * (m + 2) ** 2
        per_clip = 2 * tiles * (frames * x.shape[1] + frames_out * last.shape[4]) * x.element_size()
        clips = max(1, _SCRATCH_BYTES // per_clip)
        weight = self._weight(m)
        for first in range(0, n, clips):
            part = slice(first, first + clips)
            whole = _tiled(x[part], weight, m, pad, step)[:, :, :height, :width]
            if self.conv.bias is None:
                last[part] = whole
            else:
                torch.add(whole, self.conv.bias, out=last[part])
        return output

    def _weight(self, m: Tile) -> Tensor:
        """(m+2)²·C' filters of C × k × 1 × 1."""
        weight = self.conv.weight.detach()
        state = (m, weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if self._transformed is None or self._transformed[0] != state:
            g = torch.tensor(_FILTER[m], dtype=torch.float64)
            taps = torch.einsum("ia,jb,octab->ijoct", g, g, weight.double())
            taps = taps.reshape(-1, weight.shape[1], weight.shape[2], 1, 1).to(weight.dtype)
            self._transformed = state, taps.contiguous(memory_format=torch.channels_last_3d)
        return self._transformed[1]


def _tiled(x: Tensor, weight: Tensor, m: Tile, pad: int, step: int) -> Tensor:
    """(N, T', rows, columns, C'), rows and columns rounded up to whole tiles."""
    n, channels, frames, height, width = x.shape
    side, groups = m + 2, (m + 2) ** 2
    rows, columns = -(-height // m), -(-width // m)
    padded = F.pad(x.permute(0, 2, 3, 4, 1), (0, 0, 1, columns * m + 1 - width, 1, rows * m + 1 - height))
    tiles = padded.unfold(2, side, m).unfold(3, side, m).permute(0, 1, 2, 3, 5, 6, 4)
    inputs = torch.matmul(_twice(_INPUT[m], x.dtype), tiles.reshape(-1, groups, channels))
    inputs = inputs.view(n, frames, rows, columns, groups * channels).permute(0, 4, 1, 2, 3)
    products = F.conv3d(inputs, weight, stride=(step, 1, 1), padding=(pad, 0, 0), groups=groups)
    frames, channels = products.shape[2], weight.shape[0] // groups
    outputs = torch.matmul(_twice(_OUTPUT[m], x.dtype), products.permute(0, 2, 3, 4, 1).reshape(-1, groups, channels))
    outputs = outputs.view(n, frames, rows, columns, m, m, channels).permute(0, 1, 2, 4, 3, 5, 6)
    return outputs.reshape(n, frames, rows * m, columns * m, channels)


def _twice(matrix: list[list[float]], dtype: torch.dtype) -> Tensor:
    """The transform over rows and columns at once, as one matrix over the flattened tile."""
    once = torch.tensor(matrix, dtype=dtype)
    return torch.kron(once, once)
