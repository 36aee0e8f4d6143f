"""Ours: full C3D (487 classes) through the extractor's network, clips in memory."""

from __future__ import annotations

import sys

import torch

from benchmarks.turns import serve
from tubelet.allocator import set_allocator

BATCH = 8


def main(precision: str, batches: int = 1) -> None:
    set_allocator()
    from tubelet.descriptors.network import ClipNetwork
    from tubelet.models.registry import create_model

    model = create_model("c3d", 487, seed=0)
    network = ClipNetwork(model, ("prob",), clip_length=16, precision=precision, device="cpu")  # type: ignore[arg-type]
    clips = torch.randn(BATCH, 3, 16, 112, 112)

    def work() -> int:
        for _ in range(batches):
            network(clips)
        return BATCH * batches

    serve(work)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
