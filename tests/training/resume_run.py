"""A training run in a process of its own, which kills itself with SIGKILL after a given step (0: never)."""

import os
import signal
import sys
from pathlib import Path

import torch

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.jitter import Jitter
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.loader import decode_videos
from tubelet.models.registry import create_model
from tubelet.training.config import TrainConfig
from tubelet.training.loop import train


def main(videos: str, folder: str, precision: str, optimizer: str, workers: str, kill_at: str) -> None:
    torch.set_num_threads(2)
    recipe = get_recipe("c3d_small").with_side(32)
    manifest = open_dataset("folder", videos)
    model = create_model("c3d_small", len(manifest.classes), seed=3, width=0.125, side=32)
    config = TrainConfig(
        iterations=11,
        batch_size=4,
        optimizer=optimizer,
        learning_rate=0.01,
        schedule="one-cycle",
        label_smoothing=0.1,
        precision=precision,
        jitter=Jitter(crop="none", scale=(0.8, 1.2), shift=0.1, brightness=0.2),
        checkpoint_every=2,
        seed=5,
        workers=int(workers),
    )

    def on_step(step: int) -> None:
        if step == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    with ClipDecoder(workers=int(workers)) as decoder:
        decoded = decode_videos(manifest, recipe, decoder, workers=int(workers))
        train(model, decoded, config, Path(folder), on_step=on_step)


if __name__ == "__main__":
    main(*sys.argv[1:])
