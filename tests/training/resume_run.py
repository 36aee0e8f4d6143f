"""A training run in a process of its own, which kills itself with SIGKILL after a given step (0: never)."""

import os
import signal
import sys
from pathlib import Path

import torch

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.jitter import Jitter
from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.loader import decode_videos
from tubelet.flow.decode import FlowDecoder
from tubelet.models.contract import VideoModel
from tubelet.models.registry import create_model
from tubelet.training.config import TrainConfig
from tubelet.training.loop import train

COLORS = Jitter(crop="none", scale=(0.8, 1.2), shift=0.1, brightness=0.2)
CROPS = Jitter(crop="inclusive")


def network(kind: str, classes: int) -> tuple[VideoModel, Recipe, Jitter]:
    """A small network for frames, or for the flow that is stored in ``flow`` beside the videos."""
    if kind == "rgb":
        model = create_model("c3d_small", classes, seed=3, width=0.125, side=32)
        return model, get_recipe("c3d_small").with_side(32), COLORS
    model = create_model("two_stream_temporal", classes, seed=3, flow_fields=3, width=0.0625, side=48)
    return model, Recipe("small", (48, 64), (48, 48), "flow", flow_mean="field"), CROPS


def main(kind: str, videos: str, folder: str, precision: str, optimizer: str, workers: str, kill_at: str) -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    manifest = open_dataset("folder", videos)
    model, recipe, jitter = network(kind, len(manifest.classes))
    config = TrainConfig(
        iterations=11,
        batch_size=4,
        optimizer=optimizer,
        learning_rate=0.01,
        schedule="one-cycle",
        label_smoothing=0.1,
        precision=precision,
        jitter=jitter,
        checkpoint_every=2,
        seed=5,
        workers=int(workers),
    )

    def on_step(step: int) -> None:
        if step == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    count = int(workers)
    with ClipDecoder(count) if kind == "rgb" else FlowDecoder(Path(videos).parent / "flow", count) as decoder:
        decoded = decode_videos(manifest, recipe, decoder, modality=model.input.content, workers=count)
        train(model, decoded, config, Path(folder), on_step=on_step)


if __name__ == "__main__":
    main(*sys.argv[1:])
