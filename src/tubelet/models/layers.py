"""The layers that all networks share: a convolution that is right in bfloat16, Caffe's poolings, LRN, LSTM, ReLU.

They have the parameters of the PyTorch layers they extend, so a state dict does not tell them apart.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_REDUCED = (torch.bfloat16, torch.float16)


class Conv3d(nn.Conv3d):
    """``torch.nn.Conv3d`` whose gradients can be trusted on the CPU.

    torch 2.13 (oneDNN) does not compute the weight gradient of a bfloat16 convolution whose input has more
    than one frame but fewer than the kernel is deep: the buffer comes back as it was allocated, and kernels
    of depth 6 and 7 write outside it. Nothing reports this and the first loss is right. C3D's conv5a and
    conv5b (two frames under a kernel of three) are such layers. On the CPU, with gradients enabled and
    bfloat16 or float16 at work (by autocast or by weights), these layers therefore compute in float32.
    Their output is then float32 under autocast too; whatever follows casts it as it needs.

    `tubelet.models.precision.check_gradients` proves on the machine at hand that the rule is enough.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve ``input`` (N, C, T, H, W) → (N, C', T', H', W')."""
        if self._needs_float32(input):
            bias = None if self.bias is None else self.bias.float()
            with torch.autocast("cpu", enabled=False):
                output: Tensor = self._conv_forward(input.float(), self.weight.float(), bias)
            return output.to(self.weight.dtype)
        return super().forward(input)

    def _needs_float32(self, input: Tensor) -> bool:
        if not 1 < input.shape[2] < self.kernel_size[0]:
            return False
        if input.device.type != "cpu" or not torch.is_grad_enabled():
            return False
        autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") in _REDUCED
        return autocast or self.weight.dtype in _REDUCED


class MaxPool3d(nn.MaxPool3d):
    """Caffe's max-pooling: windows side by side, none padded, the last one cut off at the border (ceil mode).

    Seven rows under windows of two give {0,1}, {2,3}, {4,5}, {6}. Padding by (0,1,1), as several ports do,
    gives {0}, {1,2}, {3,4}, {5,6}: the same shape and other values
    [C3D-v1.0/src/caffe/layers/pool3d_layer.cpp]. In time too a window takes what is there, so a single
    frame passes unpooled.

    Parameters
    ----------
    depth
        Frames per window.
    side
        Rows and columns per window.
    """

    def __init__(self, depth: int, side: int = 2) -> None:
        self.window = (depth, side, side)
        super().__init__(self.window, self.window, ceil_mode=True)

    def forward(self, input: Tensor) -> Tensor:
        """Pool ``input`` (N, C, T, H, W) → (N, C, ⌈T/depth⌉, ⌈H/side⌉, ⌈W/side⌉)."""
        if self._slices_are_faster(input):
            return self._by_slices(input)
        # CPU autocast would pool in float32: the same maxima and gradients, for a sixth of a small net's step.
        with torch.autocast("cpu", enabled=False):
            return F.max_pool3d(input, self.window, self.window, ceil_mode=True)

    def _slices_are_faster(self, input: Tensor) -> bool:
        # Without gradients, maxima of strided slices give the same numbers; on the CPU they take a tenth of
        # max_pool3d's time on contiguous clips and a fifth on bfloat16 ones.
        if torch.is_grad_enabled() or input.device.type != "cpu" or torch.compiler.is_compiling():
            return False
        if max(self.window) > 2 or input.dim() != 5:
            return False
        last = input.is_contiguous(memory_format=torch.channels_last_3d)
        return not last or input.dtype != torch.float32

    def _by_slices(self, x: Tensor) -> Tensor:
        for axis, window in zip((2, 3, 4), self.window, strict=True):
            if window == 1 or x.shape[axis] == 1:
                continue
            first = x[(slice(None),) * axis + (slice(0, None, 2),)]
            second = x[(slice(None),) * axis + (slice(1, None, 2),)]
            if first.shape[axis] == second.shape[axis]:
                x = torch.maximum(first, second)
            else:
                x = first.clone()
                whole = x.narrow(axis, 0, second.shape[axis])
                torch.maximum(whole, second, out=whole)
        return x


class CaffePool(nn.Module):
    """Max- or average-pooling with overlapping windows, as Caffe computes it (ceil mode).

    A window that begins inside the clip or its left padding is kept, however far it hangs over the right edge: 54
    rows under windows of 3, stride 2, give 27, the last of them two rows. Average windows divide by their full size
    within the padded clip, zeros included [Caffe pooling_layer.cpp].

    Parameters
    ----------
    kind
        ``"max"`` or ``"average"``.
    kernel, stride, padding
        In frames, rows, columns.
    """

    def __init__(
        self,
        kind: Literal["max", "average"],
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int],
        padding: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        super().__init__()
        self.kind, self.kernel, self.stride, self.padding = kind, kernel, stride, padding

    def forward(self, input: Tensor) -> Tensor:
        """Pool ``input`` (N, C, T, H, W) → (N, C, T', H', W'), sizes ⌈(size + 2·padding - kernel) / stride⌉ + 1."""
        # CPU autocast would pool in float32: the same maxima, and means are rounded once.
        with torch.autocast("cpu", enabled=False):
            if self.kind == "max":
                return F.max_pool3d(input, self.kernel, self.stride, self.padding, ceil_mode=True)
            return F.avg_pool3d(input, self.kernel, self.stride, self.padding, ceil_mode=True)

    def extra_repr(self) -> str:
        """What it pools, for ``print(model)``."""
        return f"{self.kind}, kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


class Lrn(nn.Module):
    """Local response normalization across channels: x / (k + α/n · Σ x²)^β over n neighboring channels.

    Parameters
    ----------
    size, alpha, beta, k
        In Caffe's and PyTorch's form, where α is divided by n. Krizhevsky's α = 1e-4 is of the sum: here 5e-4.
    """

    def __init__(self, size: int = 5, alpha: float = 5e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """Normalize ``input`` (N, C, T, H, W); the shape stays. Computed in float32 on whatever device."""
        with _without_autocast(input.device):
            return F.local_response_norm(input.float(), self.size, self.alpha, self.beta, self.k).to(input.dtype)

    def extra_repr(self) -> str:
        """Its numbers, for ``print(model)``."""
        return f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class Lstm(nn.LSTM):
    """``torch.nn.LSTM``, batch first, in float32 also under autocast: its gates saturate, and the proof of reduced
    precision (`tubelet.models.precision.check_gradients`) covers convolutions and fully connected layers only."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1) -> None:
        super().__init__(input_size, hidden_size, num_layers, batch_first=True)

    def forward(  # type: ignore[override]
        self, input: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(N, T, D) and optional (h, c), each (layers, N, H) → (N, T, H) and the last (h, c)."""
        dtype = next(self.parameters()).dtype
        with _without_autocast(input.device):
            if state is not None:
                state = (state[0].to(dtype), state[1].to(dtype))
            result: tuple[Tensor, tuple[Tensor, Tensor]] = super().forward(input.to(dtype), state)
        return result


def _without_autocast(device: torch.device) -> torch.autocast:
    # The meta device, on which shapes and costs are counted, knows no autocast.
    return torch.autocast("cpu" if device.type == "meta" else device.type, enabled=False)


def relu(x: Tensor) -> Tensor:
    """max(x, 0), any shape: in place when no gradient is wanted, which spares an allocation per layer.

    A forward hook on a convolution therefore keeps the rectified values under ``no_grad``; use
    ``VideoModel.features``, or hook with gradients enabled.
    """
    return F.relu(x) if torch.is_grad_enabled() else F.relu_(x)
