"""What the processor can do: one large 3x3 convolution (oneDNN, channels last), in clips of C3D's arithmetic.

A direct convolution cannot be faster than this kernel, so it bounds any network that computes C3D that way.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from benchmarks.turns import serve
from tubelet.allocator import set_allocator

C3D_MACS = 38_548_959_232  # per clip at 487 classes (spec: 38.549 G)
BATCH, CHANNELS, SIDE, TIMES = 64, 256, 28, 4


def main(precision: str) -> None:
    set_allocator()
    dtype = getattr(torch, precision)
    conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False).to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(BATCH, CHANNELS, SIDE, SIDE).to(dtype).contiguous(memory_format=torch.channels_last)
    clips = TIMES * BATCH * CHANNELS * CHANNELS * 9 * SIDE * SIDE / C3D_MACS

    def work() -> float:
        with torch.inference_mode():
            for _ in range(TIMES):
                conv(x)
        return clips

    serve(work)


if __name__ == "__main__":
    main(sys.argv[1])
