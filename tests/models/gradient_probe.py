"""Run by test_bf16_gradients in a child process: wrong kernels may crash it.

Argument: "ours" or "torch" (which Conv3d). Reads a JSON list of cases ["bfloat16" or "float32", in channels,
out channels, kernel, stride, T, side]; prints a JSON line per case: relative errors of output and gradients
against float64.
"""

from __future__ import annotations

import json
import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tubelet.models.layers import Conv3d


def poison(*like: Tensor) -> None:
    blocks = [
        torch.full((tensor.numel(),), value, dtype=dtype)
        for tensor in like
        for value in (float("nan"), 1e38)
        for dtype in (torch.float32, torch.bfloat16)
    ]
    blocks.clear()


def main() -> None:
    kind = Conv3d if sys.argv[1] == "ours" else nn.Conv3d
    for dtype, c, out, kernel, stride, time, side in json.load(sys.stdin):
        generator = torch.Generator().manual_seed(0)
        padding = tuple(k // 2 for k in kernel)
        layer = kind(c, out, tuple(kernel), tuple(stride), padding).to(memory_format=torch.channels_last_3d)
        for parameter in layer.parameters():
            nn.init.normal_(parameter, generator=generator)
        x = torch.randn(2, c, time, side, side, generator=generator)

        exact_x = x.double().requires_grad_()
        exact_w = layer.weight.detach().double().requires_grad_()
        exact_b = layer.bias.detach().double().requires_grad_()
        exact = F.conv3d(exact_x, exact_w, exact_b, tuple(stride), padding)
        upstream = torch.randn(exact.shape, generator=generator)
        exact.backward(upstream.double())

        x = x.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
        poison(x, layer.weight, upstream)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            output = layer(x)
        poison(x, layer.weight, upstream)
        output.backward(upstream.to(output.dtype))
        pairs = {
            "output": (output, exact),
            "weight": (layer.weight.grad, exact_w.grad),
            "bias": (layer.bias.grad, exact_b.grad),
            "input": (x.grad, exact_x.grad),
        }
        errors = {name: float((mine.double() - right).norm() / right.norm()) for name, (mine, right) in pairs.items()}
        print(json.dumps(errors), flush=True)


main()
