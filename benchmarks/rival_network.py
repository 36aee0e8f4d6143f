"""The rival: C3D in plain eager PyTorch, fp32, contiguous. This process never imports tubelet."""

from __future__ import annotations

import sys

import torch
from torch import nn

from benchmarks.turns import serve

BATCH = 8


def c3d() -> nn.Module:
    """C3D up to fc8 with 487 classes, as a PyTorch user would write it (ceil pooling as published)."""
    layers: list[nn.Module] = []
    channels = 3
    for width, pool in ((64, 1), (128, 2), (256, 0), (256, 2), (512, 0), (512, 2), (512, 0), (512, 2)):
        layers += [nn.Conv3d(channels, width, 3, padding=1), nn.ReLU()]
        if pool:
            layers.append(nn.MaxPool3d((pool, 2, 2), (pool, 2, 2), ceil_mode=True))
        channels = width
    layers += [nn.Flatten(), nn.Linear(8192, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 487)]
    return nn.Sequential(*layers)


def main() -> None:
    torch.manual_seed(0)
    net = c3d().eval()
    clips = torch.randn(BATCH, 3, 16, 112, 112)

    def work() -> int:
        with torch.inference_mode():
            net(clips)
        return BATCH

    serve(work)
    assert "tubelet" not in sys.modules


if __name__ == "__main__":
    main()
